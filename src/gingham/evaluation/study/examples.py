"""What the user points at -> the attributes to study: images, their values, their groups."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gingham.errors import InputError
from gingham.formats.content import heading
from gingham.formats.table import is_plain_folder
from gingham.labels import read_labels
from gingham.names import UNKNOWN_WORDS, did_you_mean
from gingham.results import BadRow, Failure
from gingham.tables import columns, read_table


@dataclass(frozen=True)
class Labelled:
    """One attribute as it was given, before any image is read.

    Attributes
    ----------
    name : of the attribute.
    source : the table or folder.
    images : N paths.
    values : the N values.
    groups : N names, images that share one stay on one side; None where no groups were given.
    unlabelled : rows that say nothing.
    listed : what a walk through folders left out or followed; see `gingham.sources.Walk`.
    bad_rows : rows of the table that were left out.
    given : images before `sample` drew some.
    """

    name: str
    source: Path
    images: tuple[str, ...]
    values: tuple[str, ...]
    groups: tuple[str | None, ...] | None
    unlabelled: int
    listed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bad_rows: tuple[BadRow, ...] = ()
    given: int = 0


@dataclass(frozen=True)
class StudyAttribute:
    """One attribute as it is studied.

    Attributes
    ----------
    name : of the attribute.
    rows : for each of N examples, which of the study's images it is.
    values : the N values.
    groups : the N groups; None where no groups were given.
    left_out : value -> its number of images (groups), too few for the folds.
    copies : files that are copies of another one, byte for byte, and do not count.
    given : images before `sample` drew some; 0 where it did not.
    """

    name: str
    rows: tuple[int, ...]
    values: tuple[str, ...]
    groups: tuple[str, ...] | None
    left_out: dict[str, int]
    copies: int
    given: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Value -> number of examples, sorted by value."""
        return dict(sorted(Counter(self.values).items()))


def read_examples(
    examples: Sequence[str | os.PathLike[str]],
    *,
    attributes: Sequence[str] = (),
    groups: str | None = None,
    image_column: str = "image",
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    unknown_words: Collection[str] = UNKNOWN_WORDS,
) -> tuple[list[Labelled], list[Failure]]:
    """Read folders and tables of examples, and decide which attributes they tell of.

    - A folder whose subfolders are the values tells of the attribute with the folder's name.
    - A table tells of the attributes in `attributes` that it has columns for; without any, of its
      only column besides the images and the groups, or else of the column with the file's name.
    - `NAME=PATH` says it outright: NAME is the attribute of the folder, or the column of the
      table; where the table has no such column, NAME is what its only column is called.

    Parameters
    ----------
    examples : paths, or NAME=PATH.
    attributes : names to study; none means all.
    groups : a column of the tables.
    image_column : of the tables.
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out rows that cannot be used.
    unknown_words : values that mean that nothing is known; see `Catalogue.teach`.

    Returns
    -------
    The attributes, in the order given; and the folders that cannot be listed.

    Raises
    ------
    InputError
        If a path or column is missing, two arguments tell of the same attribute, it is not clear
        which column is meant, an attribute asked for is nowhere, or an image has several values.
    """
    image_column = heading(image_column)
    groups = groups and heading(groups)
    attributes = [heading(name) for name in attributes]
    found: dict[str, Labelled] = {}
    failures: list[Failure] = []
    if not examples:
        raise InputError("no examples are given: give a folder of folders, or a table")
    for given in examples:
        name, path = _split(os.fspath(given))
        for attribute, column in _attributes(path, name, attributes, groups, image_column).items():
            if attribute in found:
                raise InputError(
                    f"attribute {attribute!r} is defined twice, the second time by {path}: "
                    "write NAME=PATH to give one another name"
                )
            labels = read_labels(
                path,
                kind="single",
                value_column=column,
                image_column=image_column,
                group_column=groups,
                trust_predictions=trust_predictions,
                skip_bad_rows=skip_bad_rows,
                unknown_words=unknown_words,
            )
            failures += labels.failures
            if not labels.rows:
                raise InputError(f"attribute {attribute!r}: {path} has no labelled image")
            if several := [row for row in labels.rows if "|" in next(iter(row.values))]:
                raise InputError(
                    f"attribute {attribute!r}: {several[0].image} has several values "
                    f"({next(iter(several[0].values))}), and a study tells one from another: "
                    f"give one value an image, or leave such images out ({len(several)} in {path})"
                )
            found[attribute] = Labelled(
                attribute,
                path,
                tuple(row.image for row in labels.rows),
                tuple(next(iter(row.values)) for row in labels.rows),
                tuple(row.group for row in labels.rows) if groups else None,
                labels.unlabelled,
                labels.listed,
                labels.bad_rows,
            )
    if missing := [name for name in attributes if name not in map(heading, found)]:
        there = [
            attribute
            for name, path in (_split(os.fspath(given)) for given in examples)
            for attribute in _offered(path, name, groups, image_column)
        ]
        raise InputError(
            f"no examples of attribute {missing[0]!r}; there are {', '.join(there) or 'none'}"
            + did_you_mean(missing[0], there)
        )
    return list(found.values()), failures


def _split(given: str) -> tuple[str | None, Path]:
    name, equals, path = given.partition("=")
    if equals and name and os.sep not in name and not os.path.lexists(given):
        return name, Path(path)
    return None, Path(given)


def _offered(path: Path, name: str | None, groups: str | None, image_column: str) -> list[str]:
    """List the attributes that a folder or table could tell of."""
    if name is not None or is_plain_folder(path):
        return [name or path.resolve().name]
    return [name for name in columns(path) if name and name not in (image_column, groups)]


def _attributes(
    path: Path, name: str | None, wanted: Sequence[str], groups: str | None, image_column: str
) -> dict[str, str]:
    """Attribute -> the column that holds it (of a folder: the attribute itself)."""
    if not path.exists():
        raise InputError(
            f"examples {path} do not exist: give a folder of folders, or a table", path=path
        )
    if is_plain_folder(path):
        if groups is not None:
            raise InputError(
                f"--groups goes with tables, and {path} is a folder: list its images in a table "
                f"with the columns {image_column}, a value and {groups}"
            )
        (own,) = _offered(path, name, groups, image_column)
        return {own: own} if not wanted or heading(own) in wanted else {}
    read_table(path, [image_column] + ([groups] if groups else []))
    offered = _offered(path, None, groups, image_column)
    listed = ", ".join(offered) or "none"
    if name is not None:
        column = heading(name)
        if column not in offered and len(offered) != 1:
            raise InputError(
                f"table {path} has no column {name!r}; it has {listed}{did_you_mean(name, offered)}"
            )
        chosen = {name: column if column in offered else offered[0]}
    elif wanted:
        return {column: column for column in offered if column in wanted}
    elif len(offered) == 1:
        chosen = {offered[0]: offered[0]}
    elif heading(path.stem) in offered:
        chosen = {path.stem: heading(path.stem)}
    else:
        raise InputError(
            f"table {path}: which column is the attribute? It has {listed}: "
            "name it with --attribute, or write NAME=PATH"
        )
    return {key: column for key, column in chosen.items() if not wanted or heading(key) in wanted}


def sample(labelled: Labelled, most: int, *, seed: int) -> Labelled:
    """Draw images of an attribute where it has more than `most`; 0 draws all.

    The same images are drawn for every attribute that has them. A rare value keeps all its images,
    up to half of an even share; beyond that, values keep their shares.

    Parameters
    ----------
    labelled : as it was given.
    most : how many to draw.
    seed : other images are drawn with another one.
    """
    if not 0 < most < len(labelled.images):
        return labelled
    draw = [
        hashlib.sha256(f"{seed} {image}".encode(errors="surrogateescape")).digest()
        for image in labelled.images
    ]
    kept = most // (2 * len(set(labelled.values)))
    seen: Counter[str] = Counter()
    first: list[int] = []
    others: list[int] = []
    for row in sorted(range(len(draw)), key=draw.__getitem__):
        (first if seen[labelled.values[row]] < kept else others).append(row)
        seen[labelled.values[row]] += 1
    rows = sorted([*first, *others][:most])
    return replace(
        labelled,
        images=tuple(labelled.images[row] for row in rows),
        values=tuple(labelled.values[row] for row in rows),
        groups=labelled.groups and tuple(labelled.groups[row] for row in rows),
        given=len(labelled.images),
    )


def join_groups(labelled: Sequence[Labelled], rows: Mapping[str, int]) -> list[int]:
    """Number the groups of the study's images.

    Images share a group if any table puts them into one, and copies of an image that are given
    several groups make these one. A group's name is its table's own: another table may mean other
    images by it.

    Parameters
    ----------
    labelled : all attributes of the study.
    rows : path -> which of the study's images it is; copies share one, failed images have none.
    """
    images = len(set(rows.values()))
    number: dict[tuple[Path, str], int] = {}
    links = [
        (rows[image], images + number.setdefault((one.source, group), len(number)))
        for one in labelled
        for image, group in zip(one.images, one.groups or (), strict=one.groups is not None)
        if group is not None and image in rows
    ]
    ends = np.array(links, np.intp).reshape(-1, 2).T
    size = images + len(number)
    graph = coo_array((np.ones(len(links)), tuple(ends)), shape=(size, size))
    together: list[int] = connected_components(graph, directed=False)[1][:images].tolist()
    return together


def settle(
    labelled: Labelled,
    rows: Mapping[str, int],
    together: Sequence[int],
    *,
    folds: int,
    neighbours: int = 1,
) -> StudyAttribute:
    """Keep the examples that can be studied.

    Copies of one image with the same value count once. A value with fewer images (with groups:
    fewer groups) than folds is left out, and named.

    Parameters
    ----------
    labelled : as it was given.
    rows : path -> which of the study's images it is; copies share one, failed images have none.
    together : the group of each of the study's images; see `join_groups`.
    folds : of the cross-validation.
    neighbours : that vote, of each training part.

    Raises
    ------
    InputError
        If fewer than two values are left, or too few images to vote; the message says why.
    """
    groups = labelled.groups or (None,) * len(labelled.images)
    kept: dict[int, tuple[str, str]] = {}
    names: dict[int, str] = {}
    for image, value, group in zip(labelled.images, labelled.values, groups, strict=True):
        if (row := rows.get(image)) is not None:
            own = f"image {row}" if group is None else f"group {group}"
            kept.setdefault(row, (value, names.setdefault(together[row], own)))
    members: dict[str, set[str]] = {}
    for value, group in kept.values():
        members.setdefault(value, set()).add(group)
    few = {value: len(names) for value, names in sorted(members.items()) if len(names) < folds}
    if len(members) - len(few) < 2:
        what = "images" if labelled.groups is None else "groups"
        sizes = [f"{value!r} ({len(groups)})" for value, groups in members.items()]
        said = ", ".join(sizes[:5]) + (f" and {len(sizes) - 5} more" if len(sizes) > 5 else "")
        raise InputError(
            f"attribute {labelled.name!r} has too few examples: a study needs two values with at "
            f"least {folds} {what} each (one a fold), and it has {said or 'no readable image'}"
        )
    chosen = {row: kept[row] for row in sorted(kept) if kept[row][0] not in few}
    if (least := len(chosen) - -(-len(chosen) // folds)) < neighbours:
        raise InputError(
            f"attribute {labelled.name!r} has too few examples: {neighbours} neighbours vote, and "
            f"of its {len(chosen)} images in {folds} folds a training part has {least}"
        )
    return StudyAttribute(
        labelled.name,
        tuple(chosen),
        tuple(value for value, _ in chosen.values()),
        None if labelled.groups is None else tuple(group for _, group in chosen.values()),
        few,
        sum(image in rows for image in set(labelled.images)) - len(kept),
        labelled.given,
    )


def contradictions(labelled: Labelled, rows: Mapping[str, int]) -> list[Failure]:
    """List the copies of one image that are given different values."""
    first: dict[int, tuple[str, str]] = {}
    found = []
    for image, value in zip(labelled.images, labelled.values, strict=True):
        if (row := rows.get(image)) is None:
            continue
        other, said = first.setdefault(row, (image, value))
        if said != value:
            found.append(
                Failure(
                    image,
                    f"{labelled.name} is {value!r} here and {said!r} of the same image {other}: "
                    f"counted as {said!r}",
                )
            )
    return found
