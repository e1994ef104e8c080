"""The table under curation: its rows, what is known of each, and the clean table it becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.curation.config import TableSection, UnknownSection
from gingham.curation.invisible import invisible
from gingham.errors import InputError
from gingham.extract import absolute
from gingham.formats.content import heading
from gingham.image_cells import Unfound, resolve
from gingham.labels import group_of, read_cell, refuse_predictions, unknown_forms
from gingham.names import SEPARATOR
from gingham.results import BadRow
from gingham.store.files import replace_file, write_csv
from gingham.tables import read_table

Values = tuple[str, ...] | None
"""What is known of one attribute of one image: None is unknown; a value, or where it is multi any
number of them, and of these an empty tuple says that it is none of them."""

FEW_VALUES = 50
"""A column of at most this many different values is an attribute, however short the table."""

WRITTEN = ("group", "split", "repeat")
"""The columns of the clean table after the attributes."""

GROUPS = "images of one group stay on one side of every split"

SPLITS = ("train", "validation", "test")


@dataclass
class TableRows:
    """The rows of a table, in order; stages unmark rows and edit values, and say so.

    Attributes
    ----------
    names : the images as the table names them.
    paths : their files, absolute.
    values : attribute -> what is known of each row.
    multi : the attributes with any number of values an image.
    ignored : the columns that are no attributes, each with a reason.
    spelled : attribute -> (row, word) of the cells, or parts of them, that mean unknown.
    kept : rows that are still there.
    group : rows of one number stay on one side of every split.
    split : of each row, as a position in `SPLITS`.
    repeat : how often training sees the row an epoch.
    bad_rows : rows that cannot be used, and are not kept.
    unseen : the attributes that pictures do not show, each with what its values are.
    """

    names: list[str]
    paths: list[str]
    values: dict[str, list[Values]]
    multi: frozenset[str] = frozenset()
    ignored: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    bad_rows: tuple[BadRow, ...] = ()
    unseen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.names)
        self.kept: NDArray[np.bool_] = np.ones(n, bool)
        self.group: NDArray[np.int64] = np.arange(n)
        self.split: NDArray[np.int8] = np.zeros(n, np.int8)
        self.repeat: NDArray[np.int64] = np.ones(n, np.int64)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def seen(self) -> tuple[str, ...]:
        """The attributes that pictures show, as far as one can tell."""
        return tuple(name for name in self.values if name not in self.unseen)

    @property
    def rows(self) -> list[int]:
        """The rows that are still there."""
        return [int(row) for row in np.flatnonzero(self.kept)]

    def counts(
        self, attribute: str, rows: Sequence[int] | None = None, *, repeated: bool = False
    ) -> Counter[str]:
        """Count the rows (those still there) of each value; with `repeated`, as training does."""
        column = self.values[attribute]
        rows = self.rows if rows is None else rows
        if repeated:
            rows = np.repeat(rows, self.repeat[rows]).tolist()
        return Counter(value for row in rows for value in column[row] or ())

    def line(self, row: int, action: str, **cells: Any) -> dict[str, Any]:
        """List what a stage did to a row."""
        return {"row": row, "image": self.names[row], "action": action, **cells}


def written(values: Values) -> str:
    """Write what is known of one attribute as stages list it."""
    if values is None:
        return "unknown"
    return " + ".join(values) or "none of them"


def read_samples(
    table: Path,
    section: TableSection,
    unknown: UnknownSection,
    *,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
) -> TableRows:
    """Read a `.csv` or `.parquet` table of images and their attributes.

    Raises
    ------
    InputError
        If it cannot be read, has no rows, lacks a column, holds predictions that are not to be
        trusted, or has bad rows that are not skipped.
    """
    image = heading(section.image)
    wanted = [image, *dict.fromkeys(map(heading, section.attributes + section.multi))]
    read = read_table(table, None)
    read.check_columns([*wanted, heading(section.group)] if section.group else wanted)
    bad: dict[int, str] = {}
    names, paths = [], []
    for number, record in zip(read.numbers, read.rows, strict=True):
        try:
            path = resolve(record[image] or "", table.parent)
        except InputError as error:
            bad[number], path = str(error), ""
        names.append(str(record[image] or ""))
        paths.append(path if isinstance(path, Unfound) else absolute(path))
    spellings = unknown_forms(unknown.spellings if unknown.enabled else ())
    samples = TableRows(names, paths, {}, frozenset(section.multi))
    multi = set(map(heading, section.multi))
    group = heading(section.group) or "group"
    if group in read.names:
        samples.group = _groups([record[group] for record in read.rows], spellings)
    for name in dict.fromkeys(read.names):
        if name == image:
            continue
        if name in (group, *WRITTEN) and name not in wanted:
            samples.ignored[name] = GROUPS if name == group else "curate replaces it"
            continue
        if section.attributes and name not in wanted:
            continue
        cells = [record[name] for record in read.rows]
        if any(isinstance(cell, list) for cell in cells):
            multi.add(name)
        separator = section.separator if name in multi else None
        spelled: list[tuple[int, str]] = []
        column: list[Values] = []
        unread: dict[int, str] = {}
        for row, cell in enumerate(cells):
            try:
                values, words = read_cell(cell, separator, spellings)
            except InputError as error:
                unread[read.numbers[row]] = f"{name}: {error}"
                values, words = (repr(cell),), []
            column.append(values and tuple(sorted(values)))
            spelled += [(row, word) for word in words]
        if reason := None if name in wanted else _no_attribute(name, column):
            samples.ignored[name] = reason
            continue
        bad |= unread
        if name in ("image", *WRITTEN):
            raise InputError(
                f"table {table}: column {name!r} is written by curate itself: rename it, or name "
                "the attributes in the config"
            )
        samples.values[name] = column
        samples.spelled[name] = spelled
        known = {value for cell in column for value in cell or ()}
        if known and (shown := invisible(name, known)):
            samples.unseen[name] = shown
    if not samples.values:
        raise InputError(
            f"table {table} has no attribute column: name the columns in [table] attributes"
        )
    if not trust_predictions:
        refuse_predictions(read, samples.values)
    samples.multi = frozenset(multi & set(samples.values))
    samples.bad_rows = read.settle(bad, skip_bad_rows)
    left_out = {one.row for one in samples.bad_rows}
    for row, number in enumerate(read.numbers):
        if number in left_out:
            samples.kept[row] = False
            for column in samples.values.values():
                column[row] = None
    samples.spelled = {
        name: [(row, word) for row, word in spelled if samples.kept[row]]
        for name, spelled in samples.spelled.items()
    }
    return samples


def _groups(cells: Sequence[Any], unknown: frozenset[str]) -> NDArray[np.int64]:
    """Number the rows of one group alike, by the first; where the cell says nothing, alone."""
    first: dict[str, int] = {}
    said = [group_of(cell, unknown) for cell in cells]
    return np.array(
        [row if g is None else first.setdefault(g, row) for row, g in enumerate(said)], np.int64
    )


def _no_attribute(name: str, column: Sequence[Values]) -> str | None:
    if not name:
        return "it has no name"
    known = [cell for cell in column if cell]
    different = len({value for cell in known for value in cell})
    if not different:
        return "it is empty"
    if different > max(FEW_VALUES, len(known) // 10):
        return f"its {different} values on {len(known)} images look like names, not like values"
    return None


def write_clean(folder: Path, samples: TableRows) -> tuple[Path, Path]:
    """Write the clean table as `clean.csv` and `clean.parquet`.

    Columns: `image` (absolute), the attributes (empty or null: unknown; of kind multi lists in
    Parquet, joined by `|` in CSV), `group`, `split`, `repeat`. An empty list says "none
    of them"; a CSV cannot say it, and has an empty cell, which is unknown.

    Raises
    ------
    InputError
        If a value of kind multi holds `|`.
    """
    rows = samples.rows
    for name in samples.multi:
        for value in samples.counts(name):
            if SEPARATOR in value:
                raise InputError(
                    f"value {value!r} of {name} contains {SEPARATOR!r}, which separates the values "
                    "of a cell of the clean table: rename it by a rule in [values]"
                )
    paths = [samples.paths[row] for row in rows]
    known = {name: [column[row] for row in rows] for name, column in samples.values.items()}
    splits = [SPLITS[samples.split[row]] for row in rows]
    end = {"group": samples.group[rows], "split": splits, "repeat": samples.repeat[rows]}
    # A name that is not UTF-8 cannot stand in a column of text as it is.
    raw = (path.encode(errors="surrogateescape") for path in paths)
    columns = {"image": pa.array([x.decode(errors="backslashreplace") for x in raw], pa.string())}
    for name, cells in known.items():
        if name in samples.multi:
            columns[name] = pa.array(cells, pa.list_(pa.string()))
        else:
            columns[name] = pa.array([c[0] if c else None for c in cells], pa.string())
    columns |= {name: pa.array(cells) for name, cells in end.items()}
    joined = ([SEPARATOR.join(cell or ()) for cell in cells] for cells in known.values())
    lines = zip(paths, *joined, *end.values(), strict=True)
    heads = ["image", *known, *end]
    csv_path, parquet_path = folder / "clean.csv", folder / "clean.parquet"
    write_csv(csv_path, heads, (dict(zip(heads, line, strict=True)) for line in lines))
    replace_file(parquet_path, lambda path: pq.write_table(pa.table(columns), path))
    return csv_path, parquet_path


Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Stage:
    """What one stage did: a line for whatever it removed, changed or flagged, and its figures."""

    name: str
    records: Records
    summary: Mapping[str, Any]
