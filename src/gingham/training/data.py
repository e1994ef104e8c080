"""A table of labels -> samples: images, known and unknown labels, and the split."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.formats.content import heading
from gingham.formats.table import is_plain_folder
from gingham.image_cells import resolve
from gingham.labels import (
    group_of,
    is_blank,
    read_cell,
    refuse_predictions,
    unknown_forms,
)
from gingham.names import did_you_mean
from gingham.tables import columns, read_table
from gingham.training.config import DataConfig
from gingham.training.cub import read_cub
from gingham.training.samples import PARTS, Cell, Rows, Samples, split_rows
from gingham.training.vocabulary import KINDS, NO, YES, ModelAttribute, Vocabulary

logger = logging.getLogger(__name__)

RESERVED = ("image", "group", "split", "repeat")

_WORDS = {"yes": True, "true": True, "no": False, "false": False}
_TRUTHS = _WORDS | {"1": True, "0": False}


def read_samples(
    table: Path,
    config: DataConfig | None = None,
    *,
    seed: int = 0,
    vocabulary: Vocabulary | None = None,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
) -> Samples:
    """Read a table: columns `image`, one an attribute, and where there `group`, `split`, `repeat`.

    An empty cell is unknown. A cell of several values is a list in Parquet (an empty list says:
    none of them), and joined by `|` in a CSV. A folder in the format of CUB-200-2011 will do, too.

    Parameters
    ----------
    table : `.csv` or `.parquet`, or a folder; images are relative to it.
    config : which columns, how they are read, and how to split; see `DataConfig`.
    seed : of the split, where the table has none.
    vocabulary : read into this one, of a trained network; then no value is dropped for being
        rare, and a table without a column `split` is all `test`.
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out the rows of which a cell cannot be read.

    Raises
    ------
    InputError
        If the table or a column is not there, it holds predictions that are not to be trusted, a
        cell is none that can be, or nothing is left to learn.
    """
    config = config or DataConfig()
    if is_plain_folder(table):
        return read_cub(table, config, seed=seed, vocabulary=vocabulary)
    config = _with_headings(config)
    unknown = unknown_forms(config.unknown_words)
    names = columns(table)
    wanted = [a.name for a in vocabulary.attributes] if vocabulary else list(config.attributes)
    wanted = wanted or [name for name in names if name and name not in RESERVED]
    if vocabulary:
        wanted = [name for name in wanted if heading(name) in names]
    if not wanted:
        raise InputError(f"table {table} has no attribute column to learn; it has {names}")
    asked = ["image", *wanted, *(name for name in RESERVED[1:] if name in names)]
    read = read_table(table, asked)
    if not trust_predictions:
        refuse_predictions(read, wanted)
    rows: list[dict[str, Any]] = []
    images: list[str] = []
    bad: dict[int, str] = {}
    cells: dict[str, list[Cell]] = {name: [] for name in wanted}
    for number, row in read.good():
        if is_blank(row["image"]):
            continue
        try:
            said = {name: _cell(row[name], name, unknown) for name in wanted}
            _check_part(row)
            _repeat(row)
            images.append(resolve(row["image"], table.parent))
        except InputError as error:
            bad[number] = str(error)
            continue
        rows.append(row)
        for name, cell in said.items():
            cells[name].append(cell)
    bad_rows = read.settle(bad, skip_bad_rows)
    if not rows:
        raise InputError(f"table {table} has no row with an image")
    lists = {name for name in wanted if any(isinstance(row[name], list) for row in rows)}
    for name, yes in config.yes.items():
        if name in cells:
            cells[name] = _yes_or_no(name, cells[name], yes)
    groups = _groups([group_of(row.get("group"), unknown) for row in rows])
    if "split" in names:
        part = np.array([PARTS.index(row["split"]) for row in rows], np.int64)
    elif vocabulary:
        part = np.full(len(rows), PARTS.index("test"))
    else:
        part = split_rows(list(cells.values()), groups, config, seed)
    repeat = np.array([_repeat(row) for row in rows], np.int64)
    if vocabulary is None:
        vocabulary, dropped = _learnable(table, cells, lists, part, config)
    else:
        dropped = _outside(vocabulary, cells)
    targets = _targets(vocabulary, cells, len(rows))
    without = len(read.rows) - len(rows) - len(bad_rows)
    return Samples(
        vocabulary, tuple(images), targets, groups, part, repeat, dropped, without, bad_rows
    )


def _with_headings(config: DataConfig) -> DataConfig:
    """Write the names of columns in a config as tables are known to have them."""
    return replace(
        config,
        attributes=tuple(map(heading, config.attributes)),
        kinds={heading(name): kind for name, kind in config.kinds.items()},
        yes={heading(name): value for name, value in config.yes.items()},
    )


def _cell(cell: Any, name: str, unknown: frozenset[str]) -> Cell:
    try:
        return read_cell(cell, unknown=unknown)[0]
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def _yes_or_no(name: str, column: Sequence[Cell], yes: str) -> list[Cell]:
    """Write a column of two values as yes and no; the words themselves say what they say."""
    said = {value for cell in column for value in cell or ()}
    others = sorted(value for value in said - {yes} if value.lower() not in _WORDS)
    if len(others) > 1:
        raise InputError(
            f"{name}: data.yes needs a column of two values, but besides {yes!r} there are "
            f"{', '.join(others)}"
        )
    meant = {value: _WORDS.get(value.lower(), False) for value in said} | {yes: True}
    return [cell and tuple(YES if meant[value] else NO for value in cell) for cell in column]


def _kind(name: str, column: Sequence[Cell], is_list: bool, config: DataConfig) -> str:
    if kind := config.kinds.get(name):
        return kind
    known = [cell for cell in column if cell is not None]
    if is_list or any(len(cell) != 1 for cell in known):
        return "multi"
    said = {cell[0].lower() for cell in known}
    return "binary" if said and said <= _TRUTHS.keys() else "single"


def _learnable(
    table: Path,
    cells: Mapping[str, Sequence[Cell]],
    lists: Set[str],
    part: Rows,
    config: DataConfig,
) -> tuple[Vocabulary, dict[str, dict[str, int]]]:
    """Choose attributes, kinds and values; say what is left out."""
    for key, names in (("kinds", config.kinds), ("yes", config.yes)):
        for name in names:
            if name not in cells:
                known = ", ".join(cells)
                raise InputError(
                    f"data.{key}: unknown attribute {name!r}; known: {known}"
                    + did_you_mean(name, cells)
                )
    train = part == PARTS.index("train")
    attributes, dropped = [], {}
    for name, column in cells.items():
        kind = _kind(name, column, name in lists, config)
        assert kind in KINDS
        if kind == "binary":
            _check_binary(name, column)
            attributes.append(ModelAttribute(name, kind, (YES,)))
            continue
        total = Counter(value for cell in column for value in cell or ())
        if kind == "single" and any(cell is not None and len(cell) != 1 for cell in column):
            raise InputError(f"{name}: kind single, but a cell holds several values or none")
        if len(total) > 50 and len(total) > len(column) / 2:
            raise InputError(
                f"table {table}: column {name!r} has {len(total)} values in {len(column)} rows, "
                "which is too many for an attribute: name the columns to learn in data.attributes"
            )
        learned = Counter(v for c, t in zip(column, train, strict=True) if t for v in c or ())
        kept = sorted(value for value in total if learned[value] >= config.min_count)
        if rare := {value: n for value, n in sorted(total.items()) if value not in kept}:
            dropped[name] = rare
        if len(kept) >= (2 if kind == "single" else 1):
            attributes.append(ModelAttribute(name, kind, tuple(kept)))
        else:
            dropped[name] = dict(sorted(total.items()))
    if not attributes:
        raise InputError(
            f"table {table}: no attribute has two values with {config.min_count} training images "
            "each: give more labels, or lower data.min_count"
        )
    for name, rare in dropped.items():
        logger.warning("%s: not learned, too few training images: %s", name, ", ".join(rare))
    return Vocabulary(tuple(attributes)), dropped


def _check_binary(name: str, column: Sequence[Cell]) -> None:
    for cell in column:
        if cell is not None and (len(cell) != 1 or cell[0].lower() not in _TRUTHS):
            raise InputError(f"{name}: kind binary, expected yes or no, got {', '.join(cell)!r}")


def _outside(
    vocabulary: Vocabulary, cells: Mapping[str, Sequence[Cell]]
) -> dict[str, dict[str, int]]:
    found = {}
    for attribute in vocabulary.attributes:
        column = cells.get(attribute.name, ())
        if attribute.kind == "binary":
            _check_binary(attribute.name, column)
            continue
        counts = Counter(v for cell in column for v in cell or () if v not in attribute.values)
        if counts:
            found[attribute.name] = dict(sorted(counts.items()))
    return found


def _targets(
    vocabulary: Vocabulary, cells: Mapping[str, Sequence[Cell]], count: int
) -> NDArray[np.float32]:
    targets = np.full((count, len(vocabulary)), np.nan, np.float32)
    for attribute in vocabulary.attributes:
        columns = vocabulary.columns[attribute.name]
        code = {value: i for i, value in enumerate(attribute.values)}
        for row, cell in enumerate(cells.get(attribute.name, ())):
            if cell is None:
                continue
            if attribute.kind == "binary":
                targets[row, columns] = _TRUTHS[cell[0].lower()]
                continue
            said = [code[value] for value in cell if value in code]
            # Of kind single, a value that is not learned leaves the others unknown: which of
            # them is nearest is not for us to say.
            if attribute.kind == "single" and not said:
                continue
            targets[row, columns] = 0
            targets[row, [columns.start + one for one in said]] = 1
    return targets


def _groups(groups: Sequence[str | None]) -> NDArray[np.int64]:
    codes: dict[str, int] = {}
    return np.array(
        [
            codes.setdefault(f"row {row}" if group is None else f"group {group}", len(codes))
            for row, group in enumerate(groups)
        ],
        np.int64,
    )


def _check_part(row: Mapping[str, Any]) -> None:
    if "split" in row and row["split"] not in PARTS:
        raise InputError(f"column split must hold train, validation or test, got {row['split']!r}")


def _repeat(row: Mapping[str, Any]) -> int:
    text = (row.get("repeat") or "").strip()
    if text and not (text.isdecimal() and 1 <= int(text) <= 1000):
        raise InputError(f"column repeat must hold whole numbers from 1 to 1000, got {text!r}")
    return int(text or 1)
