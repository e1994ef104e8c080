"""Numbered vectors in a plain file: all are compared in a few dimensions, the best as they are.

To rotate a look and subtract its mean changes no ranking, and then a few directions carry nearly
all of it (Jolliffe, *Principal Component Analysis*, 2002, chapter 6). So each look is kept a second
time in its leading directions, in memory. One product of a matrix gives candidates, which are
scored by the vectors as they are. There are enough of them once the next one's product is below the
score of the n-th best; until then they are widened.

Nothing is mapped into memory: where there is no room, a write fails, and the process is not killed.
"""

from __future__ import annotations

import bisect
import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.store.files import fsync, make_folder, refusals, replace_file

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_FEW = 1_000  # so many images or fewer are scored one by one, as they are
_DIRECTIONS = 96  # a look
_SAMPLE = 4_000  # vectors from which the directions are learned
_CHUNK_BYTES = 16 << 20
_MOST_FILES = 32


class Scan:
    """The vectors of a folder; the caller must hold the lock.

    They lie in files named by the number of their first row. A file that was there when the folder
    was opened may be a link that others read, too, and is never written to.

    Parameters
    ----------
    folder : made if it is not there.
    looks : the columns of each look.
    """

    def __init__(self, folder: Path, looks: Sequence[slice]) -> None:
        make_folder(folder)
        self._folder = folder
        self._looks = list(looks)
        self._width = looks[-1].stop
        self._reduced_path = folder / "reduced.npz"
        with refusals(folder):
            self._starts = sorted(int(path.stem) for path in folder.glob("*.f32"))
            sizes = [self._path(start).stat().st_size for start in self._starts]
        self._rows = sum(sizes) // (4 * self._width)
        self._own: set[int] = set()  # starts of the files that nobody else reads
        # (rows, d) in the leading directions; None until there are more than a few.
        self._reduced: Floats | None = None
        self._mean = np.zeros(self._width, np.float32)
        self._directions = np.zeros((0, self._width), np.float32)
        self._learned_of = 0
        self._saved = True
        if self._reduced_path.is_file():
            self._load_reduced()

    def check(self, images: int, rows: int) -> None:
        """Check that all vectors are there.

        Raises
        ------
        ValueError
            If they are not.
        """
        ends = [*self._starts[1:], rows] if self._starts else []
        whole = all(
            self._path(start).stat().st_size == 4 * self._width * (end - start)
            for start, end in zip(self._starts, ends, strict=True)
        )
        reduced = rows if self._reduced is None else len(self._reduced)
        if not whole or self._rows != rows or reduced != rows:
            raise ValueError(f"{self._rows} vectors, {reduced} reduced, of {rows} images")

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def flush(self) -> None:
        """Make all changes durable."""
        for start in self._own:
            with refusals(self._path(start)):
                fsync(self._path(start))
        if not self._saved and self._reduced is not None:
            arrays = {
                "reduced": self._reduced,
                "directions": self._directions,
                "mean": self._mean,
                "learned_of": np.array(self._learned_of),
            }

            def write(temporary: Path) -> None:
                with temporary.open("wb") as file:
                    np.savez(file, allow_pickle=False, **arrays)

            replace_file(self._reduced_path, write)
            self._saved = True

    def optimise(self) -> None:
        """Learn directions once there are many more images than they were learned from."""
        if len(self._starts) > _MOST_FILES:
            self._join()
        if self._rows > _FEW and self._rows >= 2 * self._learned_of:
            self._learn()

    def put(self, rows: Rows, vectors: Floats) -> None:
        """Add or replace (N, width) vectors; a row is new only if all before it are there."""
        ready = np.ascontiguousarray(vectors, np.float32)
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) != 1) + 1):
            done = 0
            while done < len(run):
                row = int(rows[run[done]])
                start, end = self._writable(row)
                some = run[done : done + end - row]
                path = self._path(start)
                with refusals(path), io.FileIO(path, "r+b") as file:
                    self._write(file, row - start, ready[some])
                done += len(some)
                self._rows = max(self._rows, row + len(some))
        if self._reduced is not None:
            added = self._rows - len(self._reduced)
            self._reduced = np.pad(self._reduced, ((0, added), (0, 0)))
            self._reduced[rows] = self._reduce(ready)
            self._saved = False

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
        """Make one file of all."""
        joined = self._folder / "joined"
        with refusals(joined):
            with joined.open("wb") as file:
                for chunk in self._chunks():
                    file.write(chunk.data)
            for start in self._starts[1:]:
                self._path(start).unlink()
            joined.replace(self._path(0))
        self._starts, self._own = [0], {0}

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:012d}.f32"

    def delete(self, rows: Sequence[int]) -> None:
        """Do nothing: a row that is asked for no more is never found."""

    def vectors(self, rows: Rows) -> Floats:
        """Give the (N, width) vectors of rows that are there."""
        found = np.empty((len(rows), self._width), np.float32)
        files = np.searchsorted(self._starts, rows, "right") - 1
        for at in np.unique(files).tolist():
            start = self._starts[at]
            path = self._path(start)
            with refusals(path), io.FileIO(path) as file:
                for i in np.flatnonzero(files == at).tolist():
                    self._read(file, int(rows[i]) - start, found[i])
        return found

    def best(
        self, vector: Floats, extra: Floats, mask: NDArray[np.bool_], n: int
    ) -> tuple[Rows, Floats]:
        """Give rows of `mask`, the n of the largest ``vector @ stored + extra`` among them.

        Parameters
        ----------
        vector : (width,).
        extra, mask : (rows,).

        Returns
        -------
        Rows, and the scores of each; those that equal the n-th best are all there.
        """
        matching = np.flatnonzero(mask)
        width = 2 * n + 118
        if self._reduced is None or len(matching) <= max(_FEW, width):
            return matching, self._score(vector, matching) + extra[matching]
        roughly = _products(self._reduced, _products(self._directions, vector)) + extra
        roughly += vector @ self._mean
        some = roughly if len(matching) == len(mask) else roughly[matching]
        while width < len(matching):
            order = np.argpartition(-some, width)[: width + 1]
            rows = matching[order[:width]]
            scores = self._score(vector, rows) + extra[rows]
            if np.partition(scores, -n)[-n] > some[order[width]]:
                return rows, scores
            width *= 4
        return matching, self._score(vector, matching) + extra[matching]

    def _score(self, vector: Floats, rows: Rows) -> Floats:
        if 8 * len(rows) < self._rows:
            return _products(self.vectors(rows), vector)
        scores = [_products(chunk, vector) for chunk in self._chunks()]
        return np.concatenate([np.zeros(0, np.float32), *scores])[rows]

    def _chunks(self) -> Iterator[Floats]:
        step = max(1, _CHUNK_BYTES // (4 * self._width))
        for start, end in pairwise([*self._starts, self._rows]):
            path = self._path(start)
            for row in range(start, end, step):
                chunk = np.empty((min(step, end - row), self._width), np.float32)
                with refusals(path), io.FileIO(path) as file:
                    self._read(file, row - start, chunk)
                yield chunk

    def _write(self, file: io.FileIO, row: int, vectors: Floats) -> None:
        left = vectors.data.cast("B")
        file.seek(4 * self._width * row)
        while left:
            left = left[file.write(left) :]

    def _read(self, file: io.FileIO, row: int, into: Floats) -> None:
        file.seek(4 * self._width * row)
        if file.readinto(into.data.cast("B")) != into.nbytes:
            raise OSError(f"it ends within row {row}")

    def _learn(self) -> None:
        """Find the directions of each look along which a sample of it varies most."""
        chosen = np.unique(np.linspace(0, self._rows - 1, _SAMPLE).astype(np.int64))
        sample = self.vectors(chosen)
        self._mean = sample.mean(axis=0)
        sample -= self._mean
        found = []
        for look in self._looks:
            part = sample[:, look]
            _, axes = np.linalg.eigh(part.T @ part)  # in rising order
            leading = axes[:, -_DIRECTIONS:].T
            joined = np.zeros((len(leading), self._width), np.float32)
            joined[:, look] = leading
            found.append(joined)
        self._directions = np.concatenate(found)
        self._reduced = np.concatenate([self._reduce(chunk) for chunk in self._chunks()])
        self._learned_of = self._rows
        self._saved = False

    def _reduce(self, vectors: Floats) -> Floats:
        reduced: Floats = (vectors - self._mean) @ self._directions.T
        return reduced

    def _load_reduced(self) -> None:
        with self._reduced_path.open("rb") as raw, np.load(raw) as file:
            self._reduced, self._directions = file["reduced"], file["directions"]
            self._mean, self._learned_of = file["mean"], int(file["learned_of"])


def _products(rows: Floats, vector: Floats) -> Floats:
    """Give (N,) dot products, of equal rows equal ones; BLAS rounds them by their place.

    And its threads would cost more than they save.
    """
    products: Floats = np.einsum("ij,j->i", rows, vector)
    return products
