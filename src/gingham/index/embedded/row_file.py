"""Numbered rows of numbers in plain files: added, replaced, read, and never mapped into memory.

Where there is no room, a write fails, and the process is not killed.
"""

from __future__ import annotations

import bisect
import os
import shutil
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gingham.store.files import fsync, make_folder, refusals

Rows = NDArray[np.int64]
Numbers = NDArray[Any]

_CHUNK_BYTES = 16 << 20
_HELD_BYTES = 64 << 20
_MOST_FILES = 32


class RowFile:
    """Rows of a fixed width; the caller must hold the lock.

    They lie in files named by the number of their first row. A file that was there when the folder
    was opened may be a link that others read, too, and is never written to.

    Parameters
    ----------
    folder : made if it is not there.
    width, dtype : of a row.
    held_bytes : if they are no more, all rows are held in memory once as many were read.
    """

    SUFFIX = ".rows"

    def __init__(
        self, folder: Path, width: int, dtype: DTypeLike, *, held_bytes: int = _HELD_BYTES
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._width = width
        self._dtype = np.dtype(dtype)
        self._row_bytes = width * self._dtype.itemsize
        with refusals(folder):
            self._starts = sorted(int(path.stem) for path in folder.glob(f"*{self.SUFFIX}"))
            sizes = [self._path(start).stat().st_size for start in self._starts]
        self._rows = sum(sizes) // self._row_bytes
        self._own: set[int] = set()  # starts of the files that nobody else reads
        self._held_bytes = held_bytes
        self._held: Numbers | None = None
        self._rows_read = 0  # since something was put

    def __len__(self) -> int:
        """Count the rows."""
        return self._rows

    def check(self, rows: int) -> None:
        """Check that so many rows are there, whole.

        Raises
        ------
        ValueError
            If they are not.
        """
        ends = [*self._starts[1:], rows] if self._starts else []
        whole = all(
            self._path(start).stat().st_size == self._row_bytes * (end - start)
            for start, end in zip(self._starts, ends, strict=True)
        )
        if not whole or self._rows != rows:
            raise ValueError(f"{self._rows} rows of {rows} in {self._folder.name}")

    def flush(self) -> None:
        """Make all changes durable, in few files."""
        if len(self._starts) > _MOST_FILES:
            self._join()
        for start in self._own:
            with refusals(self._path(start)):
                fsync(self._path(start))

    def put(self, rows: Rows, values: Numbers) -> None:
        """Add or replace (N, width) rows; one is new only if all before it are there."""
        self._held, self._rows_read = None, 0
        ready = np.ascontiguousarray(values, self._dtype)
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
            done = 0
            while done < len(run):
                row = int(rows[run[done]])
                start, end = self._writable(row)
                some = run[done : done + end - row]
                path = self._path(start)
                with refusals(path), path.open("r+b", buffering=0) as file:
                    left = ready[some].data.cast("B")
                    file.seek(self._row_bytes * (row - start))
                    while left:
                        left = left[file.write(left) :]
                done += len(some)
                self._rows = max(self._rows, row + len(some))

    def get(self, rows: Rows, end: int | None = None) -> Numbers:
        """Read (N, width) rows that are there, or the numbers before `end` of each."""
        if self._held is not None:
            return self._held[:, :end].take(rows, axis=0)
        self._rows_read += len(rows)
        if self._rows_read > self._rows and self._rows * self._row_bytes <= self._held_bytes:
            self._held = self.all()
        found = np.empty((len(rows), end or self._width), self._dtype)
        order = np.argsort(rows, kind="stable")
        files = np.searchsorted(self._starts, rows[order], "right") - 1
        part_bytes, read = found.shape[1] * self._dtype.itemsize, 0
        for at, places in zip(*_runs(files, order), strict=True):
            start = self._starts[at]
            path, into = self._path(start), found.data.cast("B")
            with refusals(path), path.open("rb", buffering=0) as file:
                number = file.fileno()
                for place, row in zip(places, rows[places].tolist(), strict=True):
                    part = into[part_bytes * place : part_bytes * (place + 1)]
                    read += os.preadv(number, [part], self._row_bytes * (row - start))
        with refusals(self._folder):
            if read != found.nbytes:
                raise OSError("a file was cut short")
        return found

    def all(self) -> Numbers:
        """Read all rows, (N, width), with no second copy of them on the way."""
        found = np.empty((self._rows, self._width), self._dtype)
        done = 0
        for chunk in self.chunks():
            found[done : done + len(chunk)] = chunk
            done += len(chunk)
        return found

    def chunks(self, first: int = 0) -> Iterator[Numbers]:
        """Read all rows from `first` on, some megabytes at a time: (N, width)."""
        step = max(1, _CHUNK_BYTES // self._row_bytes)
        for start, end in pairwise([*self._starts, self._rows]):
            path = self._path(start)
            with refusals(path):
                for row in range(max(start, first), end, step):
                    count = min(step, end - row) * self._width
                    at = self._row_bytes * (row - start)
                    chunk = np.fromfile(path, self._dtype, count, offset=at)
                    if len(chunk) != count:
                        raise OSError("it was cut short")
                    yield chunk.reshape(-1, self._width)

    def _writable(self, row: int) -> tuple[int, int]:
        """Give the first row of the file in which a row may be written, and where that ends."""
        at = bisect.bisect_right(self._starts, row) - 1
        last = at == len(self._starts) - 1
        if row == self._rows and not (last and at >= 0 and self._starts[at] in self._own):
            self._starts.append(row)
            self._own.add(row)
            with refusals(self._path(row)):
                self._path(row).touch(exist_ok=False)
            return row, sys.maxsize
        start = self._starts[at]
        if start not in self._own:
            path = self._path(start)
            with refusals(path):
                shutil.copyfile(path, path.with_suffix(".copy"))
                path.with_suffix(".copy").replace(path)
            self._own.add(start)
            return start, self._rows if last else self._starts[at + 1]
        return start, sys.maxsize if last else self._starts[at + 1]

    def _join(self) -> None:
        """Make one of the last files, from the first that is not far larger than all after it."""
        at = len(self._starts) - 1
        while at and self._starts[at] - self._starts[at - 1] < 2 * (self._rows - self._starts[at]):
            at -= 1
        first, joined = self._starts[at], self._folder / "joined"
        with refusals(joined):
            with joined.open("wb") as file:
                for chunk in self.chunks(first):
                    file.write(chunk.data)
            for start in self._starts[at + 1 :]:
                self._path(start).unlink()
            joined.replace(self._path(first))
        self._own = {start for start in self._own if start < first} | {first}
        self._starts = self._starts[: at + 1]

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:012d}{self.SUFFIX}"


def _runs(keys: NDArray[np.int64], values: Rows) -> tuple[list[int], list[list[int]]]:
    """Group values by their key; keys are sorted."""
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    groups = np.split(values, first[1:]) if len(values) else []
    return keys[first].tolist(), [group.tolist() for group in groups]
