"""The catalogue for other programs: tags of files, of the rows of a table, or of products."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from gingham.attributes.registry import Attributes
from gingham.attributes.settled_tags import SettledTags, Settling
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.formats.exported import Exported, ExportedFile, ExportedTag
from gingham.formats.format import Format
from gingham.formats.table import FORMATS
from gingham.images import read_file
from gingham.names import did_you_mean
from gingham.operations.joining import by_product, joined
from gingham.store import ids as many
from gingham.store.features import ImageId
from gingham.store.files import replace_file
from gingham.store.locations import Locations, has_path, is_missing

_TOGETHER = 4096
"""Files whose tags are looked up together."""

Points = Callable[[], Mapping[str, tuple[float, float]]]
"""Gives id in hexadecimal -> place on a map."""


@dataclass(frozen=True)
class Arrangement:
    """What an export is like.

    Attributes
    ----------
    form : the name of a format; by default the suffix says it.
    join : a table whose rows, with all their columns, get the tags of their images.
    join_key : `image`: a row an image. Another column of the table: a row for each of its values,
        with the tags that most of its images have, by confidence.
    relative : write paths relative to the folder of the file.
    answered : leave out what has no answer at all.
    """

    form: str | None = None
    join: Path | None = None
    join_key: str = "image"
    relative: bool = False
    answered: bool = False


def export_table(
    file: Path,
    locations: Locations,
    attributes: Attributes,
    cutoff: Cutoff | None = None,
    arrangement: Arrangement | None = None,
    points: Points | None = None,
) -> int:
    """Write image, id, and what each attribute says of it; see `Catalogue.export`."""
    kinds = {name: attributes.kind(name) for name in attributes.used()}
    tags = _Tags(kinds, Settling(attributes, cutoff))
    copies = locations.copies()
    dead = {i: set(filter(is_missing, names)) for i, names in copies.items()}
    # A missing file says nothing that another file of the image does not.
    shown = (
        (name, i)
        for name, i in locations.file_ids()
        if i not in dead or name not in dead[i] or len(dead[i]) == len(copies[i])
    )

    def lookup(name: str) -> ExportedFile | None:
        found = locations.files.get(name)
        return None if found is None else next(tags.of([(name, found)]))

    return write_export(
        file, kinds, tags.of(shown), lookup, arrangement, points=points, read=read_file
    )


class _Tags:
    """The tags of attributes, in arrays: a catalogue may have millions.

    Parameters
    ----------
    names : of the attributes.
    settling : gives their tags.
    """

    def __init__(self, names: Iterable[str], settling: Settling) -> None:
        self._known: dict[str, SettledTags] = {}
        for name in names:
            self._known[name] = settling.of(name)

    def of(self, files: Iterable[tuple[str, ImageId]]) -> Iterator[ExportedFile]:
        """Give files, each with what is said of its image."""
        coming = iter(files)
        while some := list(islice(coming, _TOGETHER)):
            ids = many.from_list(image_id for _, image_id in some)
            found: list[dict[str, ExportedTag]] = [{} for _ in some]
            for name, tags in self._known.items():
                rows = many.find(tags.ids, ids)
                there = np.flatnonzero(rows >= 0)
                parts = tags.codes, tags.confidences, tags.guesses, tags.applies
                columns = (part[rows[there]].tolist() for part in parts)
                for place, code, sure, guess, applies in zip(there.tolist(), *columns, strict=True):
                    tag = ExportedTag(tags.sets[code], sure, tags.sets[guess], applies)
                    found[place][name] = tag
            for (name, image_id), said in zip(some, found, strict=True):
                yield ExportedFile(name, image_id.hex(), said)


def write_export(
    file: Path,
    kinds: Mapping[str, str],
    files: Iterable[ExportedFile],
    lookup: Callable[[str], ExportedFile | None],
    arrangement: Arrangement | None = None,
    *,
    points: Points | None = None,
    read: Callable[[str], bytes] | None = None,
) -> int:
    """Write files and their tags; return the number of rows.

    Parameters
    ----------
    file : what is written; a folder where the format is one.
    kinds : attribute -> its kind.
    files : taken once.
    lookup : gives the file of a path, if the catalogue has it.
    arrangement : see there.
    points : where images are on a map; None: that is not known here.
    read : gives the bytes of an image; None: they are not here.

    Raises
    ------
    InputError
        See `Catalogue.export`.
    """
    arrangement = arrangement or Arrangement()
    form = _format(file, arrangement.form)
    if not file.parent.is_dir():
        raise InputError(
            f"export to {file}: there is no folder {file.parent}: make it first", path=file.parent
        )
    given: list[str] = []
    chosen = iter(files)
    if arrangement.join:
        given, chosen = joined(arrangement.join, arrangement.join_key, lookup)
        if arrangement.join_key != "image":
            chosen = by_product(chosen, arrangement.join_key, kinds)
    elif arrangement.join_key != "image":
        raise InputError(
            "--key names a column of the table that --join gives: give both (the key of a server "
            "is read from GINGHAM_KEY)"
        )
    if arrangement.answered:
        chosen = (one for one in chosen if any(tag.values for tag in one.tags.values()))
    if form.needs_points:
        if points is None:
            raise InputError("points need the folder of the catalogue: export where it lies")
        places = points()
        chosen = (replace(one, point=places[one.id]) for one in chosen if one.id in places)
    if form.relative or (arrangement.relative and not form.is_folder):
        chosen = _relative(chosen, file)
    try:
        return _write(form, file, Exported(kinds, given, chosen, read))
    except InputError as error:
        raise InputError(f"export to {file}: {error}", path=error.path) from None


def _write(form: Format, file: Path, exported: Exported) -> int:
    write, written = form.write, 0
    assert write is not None
    if form.is_folder:
        if os.path.lexists(file):
            raise InputError("it is there already: give the name of a new folder")
        try:
            return write(file, exported)
        except BaseException:
            shutil.rmtree(file, ignore_errors=True)
            raise

    def fill(path: Path) -> None:
        nonlocal written
        written = write(path, exported)

    replace_file(file, fill)
    return written


def _format(file: Path, name: str | None) -> Format:
    """Choose by name, or by suffix."""
    forms = {one.slug: one for one in FORMATS if one.write}
    if name is not None:
        if name not in forms:
            raise InputError(
                f"unknown format {name!r}; known: {', '.join(forms)}{did_you_mean(name, forms)}"
            )
        return forms[name]
    plain = {".csv": "csv", ".parquet": "parquet"}
    if file.suffix.lower() not in plain:
        raise InputError(
            f"export to {file}: expected a name that ends in .parquet or .csv, or a format",
            path=file,
        )
    return forms[plain[file.suffix.lower()]]


def _relative(files: Iterable[ExportedFile], file: Path) -> Iterator[ExportedFile]:
    start = os.path.abspath(file.parent)
    for one in files:
        inside = os.path.relpath(one.image, start) if has_path(one.image) else one.image
        yield replace(one, image=inside)
