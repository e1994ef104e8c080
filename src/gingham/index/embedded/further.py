"""Further looks: taught attributes and descriptors, compared with every image one by one.

One file of plain float32 a look, a row for each row of the index; what no one wrote is zero.
float16 would be half the bytes, and three times as slow to compare. Looks of few numbers that are
compared by dot product, those of taught attributes, stay in memory once they are asked for.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.descriptors import l1_distances
from gingham.errors import CatalogueError, InputError, StorageError
from gingham.index.index import Metric
from gingham.store.files import make_folder, refusals

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

CHUNK_BYTES = 16 << 20
KEPT_BYTES = 256 << 20  # of all looks that stay in memory

_MANY = 512  # rows are read together in the time that one takes by itself
_AT_ONCE = 8192  # rows of them that are compared: larger products would start threads


@dataclass
class _File:
    name: str
    metric: Metric
    width: int
    rows: int


class FurtherLooks:
    """The looks in a folder. `listed` is to be saved; a file that is not in it is nobody's.

    Parameters
    ----------
    folder : of the files; it need not exist.
    listed : what `listed` gave.
    """

    def __init__(self, folder: Path, listed: dict[str, Any]) -> None:
        self._folder = folder
        self._files = {look: _File(**file) for look, file in listed.items()}
        self._new: set[str] = set()
        self._kept: dict[str, Floats] = {}  # file -> its numbers, (d, rows)
        self.clear_up()

    @property
    def listed(self) -> dict[str, Any]:
        """All looks as JSON: look -> its file."""
        return {look: asdict(file) for look, file in self._files.items()}

    def __contains__(self, look: object) -> bool:
        return look in self._files

    def fill(self, look: str, metric: Metric, rows: Rows, vectors: Floats) -> None:
        """Write the (N, d) vectors of rows; a look that is not there is made."""
        make_folder(self._folder)
        file = self._files.get(look) or _File("", metric, vectors.shape[1], 0)
        if look not in self._new:
            # What `listed` last named stays as it was, should the process end before it is saved.
            name = f"{uuid.uuid4().hex}.f32"
            with refusals(self._folder / name):
                if file.rows:
                    shutil.copyfile(self._folder / file.name, self._folder / name)
                else:
                    (self._folder / name).touch()
            self._files[look] = file = replace(file, name=name)
            self._new.add(look)
        self._kept.pop(file.name, None)
        order = np.argsort(rows)
        runs = np.split(order, np.flatnonzero(np.diff(rows[order]) != 1) + 1)
        # By write, not through a mapping: its pages would count as our memory.
        path = self._folder / file.name
        with refusals(path), path.open("r+b") as out:
            for run in runs if len(rows) else []:
                out.seek(4 * file.width * int(rows[run[0]]))
                out.write(vectors[run].astype(np.float32, copy=False).tobytes())
        file.rows = max(file.rows, int(rows.max(initial=-1)) + 1)

    def drop(self, look: str) -> None:
        """Forget a look; its file stays until `clear_up`, which comes after `listed` was saved."""
        self._files.pop(look, None)
        self._new.discard(look)

    def sync(self) -> None:
        """Make what was written durable."""
        for look in self._new:
            path = self._folder / self._files[look].name
            with refusals(path), path.open("rb") as file:
                os.fsync(file.fileno())
        self._new.clear()

    def check(self) -> None:
        """Open every file once.

        Raises
        ------
        CatalogueError
            If one is not there whole.
        """
        for file in self._files.values():
            with self._reading(file):
                pass

    def clear_up(self) -> None:
        """Delete the files of looks that were dropped, or never saved."""
        kept = {file.name for file in self._files.values()}
        for name in self._kept.keys() - kept:
            del self._kept[name]
        for path in self._folder.glob("*.f32"):
            if path.name not in kept:
                path.unlink()

    def width(self, look: str) -> int:
        """Length of a look's vectors.

        Raises
        ------
        InputError
            If there is no such look.
        """
        return self._file(look).width

    @property
    def widths(self) -> dict[str, int]:
        """Look -> length of its vectors."""
        return {look: file.width for look, file in self._files.items()}

    def metric(self, look: str) -> Metric:
        """How a look compares; looks that are not here, the built-in ones, by dot product."""
        return self._files[look].metric if look in self._files else "dot"

    def get(self, look: str, rows: Rows) -> Floats:
        """Give the (N, d) vectors of rows."""
        file = self._file(look)
        found = np.zeros((len(rows), file.width), np.float32)
        there = np.flatnonzero(rows < file.rows)
        kept = file.name in self._kept or _MANY * len(there) > file.rows
        if kept and (columns := self._columns(file)) is not None:
            found[there] = columns[:, rows[there]].T
            return found
        with self._reading(file) as data:
            for i in there.tolist():
                data.seek(4 * file.width * int(rows[i]))
                found[i] = np.fromfile(data, np.float32, file.width)
        return found

    def compare(self, look: str, vector: Floats, count: int) -> Floats:
        """Compare a (d,) vector with each of the first `count` rows, a few MB at a time.

        Returns
        -------
        (count,) float32 array, see `Metric`.

        Raises
        ------
        CatalogueError
            If the file cannot be read.
        """
        file = self._file(look)
        columns = self._columns(file)
        if columns is None:
            parts = [compare(file.metric, vector, chunk) for chunk in self._chunks(file, count)]
        else:
            ends = range(0, min(count, file.rows), _AT_ONCE)
            parts = [vector @ columns[:, start : start + _AT_ONCE] for start in ends]
        missing = count - sum(map(len, parts))
        rest = compare(file.metric, vector, np.zeros((1, file.width), np.float32))
        return np.concatenate([*parts, np.repeat(rest, missing)])

    def _columns(self, file: _File) -> Floats | None:
        """Give all numbers of a look from memory, (d, rows); None if it does not stay there."""
        if file.name not in self._kept:
            taken = sum(one.nbytes for one in self._kept.values())
            if file.metric != "dot" or taken + 4 * file.width * file.rows > KEPT_BYTES:
                return None
            columns, start = np.empty((file.width, file.rows), np.float32), 0
            for chunk in self._chunks(file, file.rows):
                columns[:, start : start + len(chunk)] = chunk.T
                start += len(chunk)
            self._kept[file.name] = columns
        return self._kept[file.name]

    def _chunks(self, file: _File, count: int) -> Iterator[Floats]:
        step = max(1, CHUNK_BYTES // (4 * file.width))
        left = min(count, file.rows)
        with self._reading(file) as data:
            while left:
                rows = np.fromfile(data, np.float32, min(step, left) * file.width)
                yield rows.reshape(-1, file.width)
                left -= min(step, left)

    def _file(self, look: str) -> _File:
        if look not in self._files:
            known = ", ".join(map(repr, sorted(self._files))) or "none"
            raise InputError(f"unknown look {look!r}; further looks: {known}")
        return self._files[look]

    @contextlib.contextmanager
    def _reading(self, file: _File) -> Iterator[BinaryIO]:
        path = self._folder / file.name
        try:
            with path.open("rb") as data:
                size, expected = os.fstat(data.fileno()).st_size, 4 * file.width * file.rows
                if size != expected:
                    raise OSError(f"{size:,} bytes instead of {expected:,}")
                yield data
        except OSError as error:
            refused = StorageError.of(error, path)
            raise (unreadable(path, error) if refused.damage else refused) from None


def compare(metric: Metric, vector: Floats, rows: Floats) -> Floats:
    """Compare a (d,) vector with (N, d) rows: (N,) float32, see `Metric`."""
    if metric == "l1":
        return -l1_distances(vector, rows)
    products: Floats = rows @ vector
    return products


def unreadable(path: Path, error: BaseException) -> CatalogueError:
    """Say that a part of the index cannot be read, and what to do."""
    return CatalogueError(
        f"the index in {path} cannot be read ({error}); run: gingham rebuild CATALOGUE"
    )
