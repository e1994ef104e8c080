"""The vectors of the built-in looks, joined: as they are on disk, and as codes in memory.

Codes give candidates, by a scan of all, or from some ten thousand images on by a graph a look and a
scan of what came after the graph was made. The candidates are scored by the vectors as they are.

A graph leads well to what is near one of its rows. An aim that is far from all, as what is like two
images and unlike a third, has many rows at about the same distance, and the way may end among wrong
ones: of 1,000,000 images, four of 40 such queries by all looks found at most one of the ten best.
Then some rows of all are scored, too, and the graphs are asked around the best.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gingham.index.embedded.directions import Codes, Directions
from gingham.index.embedded.graphs import Graphs
from gingham.index.embedded.row_file import RowFile, Rows
from gingham.index.embedded.scattered import Scattered
from gingham.store.files import refusals

Floats = NDArray[np.float32]
Number = TypeVar("Number", np.int8, np.float32)
Mask = NDArray[np.bool_]
Aims = Sequence[tuple[int, Codes, float]]

_FEW = 1_000  # so many images or fewer are scored one by one, as they are
_SAMPLE = 4_000  # vectors from which the directions are learned
_ROOM = 70  # candidates beyond three times as many as are wanted
_NEAREST = 4  # times as many rows as are scored are asked of a graph
_DEVIATIONS = 4  # farther off than so many standard deviations a code hardly ever is
_COST = 40  # rows are scanned in the time that a graph takes to find one
_FAR = 0.05  # of the mean squared distance of all: an aim is far if nothing is so near
_SEEDS = 24  # searches of graphs around good rows, for an aim that is far
_AROUND = 6  # a part of the rows that are asked of a graph are asked around each
_DEAR = 8  # times as long a good search for a far aim takes
_EVERY = 32  # of many scores one in so many tells which can be among the highest
_BLOCK = 4_096  # codes that stay in the cache of a core


class Vectors:
    """Numbered vectors in a folder; the caller must hold the lock.

    A vector takes two bytes a number: integers that are multiplied with a power of two, its own.

    Parameters
    ----------
    folder : made if it is not there.
    looks : the columns of each look.
    most_scanned : rows up to which `optimise` makes no graph.
    """

    def __init__(self, folder: Path, looks: Sequence[slice], most_scanned: int) -> None:
        self._folder = folder
        self._looks = list(looks)
        self._most_scanned = most_scanned
        self._stored = RowFile(folder / "vectors", looks[-1].stop + 1, np.int16)
        self._directions: Directions | None = None  # until there are more than a few
        self._codes: Codes = np.zeros((0, 0), np.int8)  # in memory, with room for more
        self._squares = np.zeros((0, len(looks)), np.float32)  # norms of codes, a column a look
        self._coded: RowFile | None = None
        self._graphs: Graphs | None = None
        self._scattered: Scattered | None = None  # of the rows of the graphs, once needed
        if self._directions_path.is_file():
            self._directions = Directions.load(self._directions_path, looks)
            self._coded = RowFile(folder / "codes", self._directions.width, np.int8)
            self._codes = self._coded.all()
            self._squares = self._directions.squares(self._codes)
        if (folder / "graphs").is_dir():
            self._graphs = Graphs(folder / "graphs")

    @property
    def _directions_path(self) -> Path:
        return self._folder / "directions.npz"

    def check(self, rows: int) -> None:
        """Check that all vectors are there.

        Raises
        ------
        ValueError
            If they are not.
        """
        self._stored.check(rows)
        if self._coded is not None:
            self._coded.check(rows)

    def put(self, rows: Rows, vectors: Floats) -> None:
        """Add or replace (N, width) vectors; a row is new only if all before it are there."""
        before = len(self._stored)
        self._stored.put(rows, _packed(vectors))
        if self._directions is None or self._coded is None:
            return
        codes = self._directions.encode(vectors)
        self._coded.put(rows, codes)
        if len(self._coded) > len(self._codes):
            room = len(self._coded) * 9 // 8 + 64
            self._codes = _longer(self._codes[:before], room)
            self._squares = _longer(self._squares[:before], room)
        self._codes[rows] = codes
        self._squares[rows] = self._directions.squares(codes)
        if self._graphs is not None and (rows < self._graphs.rows).any():
            # What is replaced would be found where it was.
            self._drop_graphs()

    def vectors(self, rows: Rows, columns: Sequence[slice]) -> list[Floats]:
        """Give some columns of the vectors of N rows that are there, (N, width) each."""
        packed = self._stored.get(rows, 1 + max(some.stop for some in columns))
        return [_unpacked(packed, some) for some in columns]

    def optimise(self, *, graphs: bool = True) -> None:
        """Learn directions once there are many more images, and make or extend graphs."""
        rows = len(self._stored)
        learned_of = self._directions.count if self._directions else 0
        if self._graphs is None and rows > _FEW and rows >= 2 * learned_of:
            self._learn()
        if not graphs or self._directions is None or rows <= self._most_scanned:
            return
        done = self._graphs.rows if self._graphs is not None else 0
        if rows - done > self._most_scanned // 2:
            self._graphs = self._scattered = None  # its files are no longer read
            self._graphs = Graphs.build(
                self._folder / "graphs", self._codes[:rows], self._directions.columns
            )

    def flush(self) -> None:
        """Make all changes durable."""
        self._stored.flush()
        if self._coded is not None:
            self._coded.flush()

    def best(self, vector: Floats, extra: Floats | None, mask: Mask, n: int) -> tuple[Rows, Floats]:
        """Give rows of `mask`, the n of the largest ``vector @ stored + extra`` among them.

        Codes are a little off. So there are enough candidates once the n-th best is above what the
        next one could have, judging by how far the last candidates were off.

        Parameters
        ----------
        vector : (width,), not 0.
        extra : (rows,), None for 0.
        mask : (rows,); at least n rows match, n >= 1.

        Returns
        -------
        Rows, and the scores of each; those that equal the n-th best are all there.
        """
        matching = int(np.count_nonzero(mask))
        width = 3 * n + _ROOM
        aims = [] if self._directions is None else self._directions.aims(vector)
        while aims and matching > max(_FEW, 2 * width):
            rows, roughly = self._candidates(aims, extra, mask, matching, width)
            if len(rows) <= n:  # a graph led to few of those that match
                width *= 4
                continue
            order = highest(roughly, width + 1)
            chosen = order[:width]
            scores = _plus(self._score(vector, rows[chosen]), extra, rows[chosen])
            off = (scores - roughly[chosen])[len(chosen) // 2 :]
            limit = roughly[order[-1]] + off.mean() + _DEVIATIONS * off.std()
            if np.partition(scores, -n)[-n] > limit:
                return rows[chosen], scores
            width *= 4
        rows = np.flatnonzero(mask)
        return rows, _plus(self._score(vector, rows), extra, rows)

    def _candidates(
        self, aims: Aims, extra: Floats | None, mask: Mask, matching: int, width: int
    ) -> tuple[Rows, Floats]:
        """Give rows of `mask` and their rough scores.

        By graphs those that are near in some look, around good ones if an aim is far from all, and
        all that came later; else the `matching` that there are.
        """
        wanted = _NEAREST * width * len(mask) // matching
        found = self._found(aims, extra, mask, matching, wanted)
        if found is None:
            rows = np.flatnonzero(mask)
        else:
            if extra is not None:
                found.append(highest(np.where(mask, extra, -np.inf), width))
            assert self._graphs is not None
            done = self._graphs.rows
            rows = np.unique(np.concatenate(found))
            rows = np.append(rows[rows < done], np.arange(done, len(mask)))
            rows = rows[mask[rows]]
        return rows, _plus(self._roughly(aims, rows, self._codes, self._squares), extra, rows)

    def _found(
        self, aims: Aims, extra: Floats | None, mask: Mask, matching: int, wanted: int
    ) -> list[Rows] | None:
        """Ask graphs for about `wanted` rows in each look; None if a scan is as quick."""
        cost = _COST * wanted * len(aims)
        if self._graphs is None or cost > matching:
            return None
        found, far = [], False
        for look, code, _ in aims:
            rows, distance = self._graphs.nearest(look, code, wanted)
            far = far or distance > _FAR * self._scatter().usual(look, code)
            if far and _DEAR * cost > matching:
                return None
            found.append(rows)
        if far:
            found += self._around_good(aims, extra, mask, max(1, wanted // _AROUND))
        return found

    def _around_good(
        self, aims: Aims, extra: Floats | None, mask: Mask, count: int
    ) -> Iterator[Rows]:
        """Give the `count` rows nearest in each look to each of the best of some of all rows."""
        assert self._graphs is not None
        assert self._directions is not None
        some = self._scatter()
        everywhere = np.arange(len(some.rows))
        roughly = self._roughly(aims, everywhere, some.codes, some.squares)
        scores = np.where(mask[some.rows], _plus(roughly, extra, some.rows), -np.inf)
        for place in highest(scores, max(1, _SEEDS // len(aims))):
            for look, _, _ in aims:
                code = some.codes[place, self._directions.columns[look]]
                yield self._graphs.nearest(look, code, count)[0]

    def _scatter(self) -> Scattered:
        if self._scattered is None:
            assert self._graphs is not None
            self._scattered = Scattered.of(self._codes, self._squares, self._graphs.rows)
        return self._scattered

    def _roughly(self, aims: Aims, rows: Rows, codes: Codes, squares: Floats) -> Floats:
        """Give the rough scores of (N,) rows of codes, rising, (N,) float32, up to a constant.

        The squared distances of all looks, each with its factor, are the squared norms of the
        codes and one product with a code of all looks.
        """
        from numkong import cdist  # loads in a seventh of a second

        assert self._directions is not None
        factors = np.zeros(len(self._looks), np.float32)
        joined = np.zeros((1, self._directions.width), np.int8)
        largest = max(-factor for _, _, factor in aims)
        for look, code, factor in aims:
            factors[look] = factor
            columns = self._directions.columns[look]
            joined[0, columns] = np.rint(code * np.float32(-factor / largest))
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            near, lengths = _around(codes, some), _around(squares, some)
            part = np.empty(len(near), np.float32)
            cdist(joined, near, "dot", out=part[None])
            part *= np.float32(2 * largest)
            part += lengths @ factors
            scores[start : start + len(some)] = (
                part if len(part) == len(some) else part[some - some[0]]
            )
        return scores

    def _score(self, vector: Floats, rows: Rows) -> Floats:
        if 8 * len(rows) < len(self._stored):
            return _products(self._stored.get(rows), vector)
        scores = [_products(chunk, vector) for chunk in self._stored.chunks()]
        return np.concatenate([np.zeros(0, np.float32), *scores])[rows]

    def _learn(self) -> None:
        rows = len(self._stored)
        chosen = np.unique(np.linspace(0, rows - 1, _SAMPLE).astype(np.int64))
        self._directions = Directions.learn(_unpacked(self._stored.get(chosen)), self._looks, rows)
        folder = self._folder / "codes"
        with refusals(folder):
            shutil.rmtree(folder, ignore_errors=True)
        self._coded = RowFile(folder, self._directions.width, np.int8)
        self._codes = np.empty((rows, self._directions.width), np.int8)
        self._squares = np.empty((rows, len(self._looks)), np.float32)
        done = 0
        for chunk in self._stored.chunks():
            codes = self._directions.encode(_unpacked(chunk))
            self._codes[done : done + len(codes)] = codes
            self._squares[done : done + len(codes)] = self._directions.squares(codes)
            self._coded.put(np.arange(done, done + len(codes)), codes)
            done += len(codes)
        self._directions.save(self._directions_path)

    def _drop_graphs(self) -> None:
        self._graphs = self._scattered = None
        shutil.rmtree(self._folder / "graphs")


def highest(scores: Floats, count: int) -> NDArray[np.int64]:
    """Give the places of the `count` highest scores, or of all, highest first."""
    if len(scores) > 2 * _EVERY * count:
        # A few of all are as high as that many of a sample.
        least = np.partition(scores[::_EVERY], -count)[-count]
        places = np.flatnonzero(scores >= least)
    else:
        places = np.arange(len(scores))
    if len(places) > count:
        places = places[np.argpartition(-scores[places], count)[:count]]
    ordered: NDArray[np.int64] = places[np.argsort(-scores[places], kind="stable")]
    return ordered


def _longer(rows: NDArray[Number], count: int) -> NDArray[Number]:
    """Copy rows, with room for others."""
    longer = np.zeros((count, rows.shape[1]), rows.dtype)
    longer[: len(rows)] = rows
    return longer


def _around(array: NDArray[Number], rows: Rows) -> NDArray[Number]:
    """Give rows in rising order, or all from the first to the last, which are less than a copy."""
    if rows[-1] - rows[0] < 2 * len(rows):
        return array[rows[0] : rows[-1] + 1]
    return array.take(rows, axis=0)  # twice as fast as array[rows]


def _plus(scores: Floats, extra: Floats | None, rows: Rows) -> Floats:
    return scores if extra is None else scores + extra[rows]


def _packed(vectors: Floats) -> NDArray[np.int16]:
    """Write (N, width) vectors as integers of 16 bits, with the exponent of each first."""
    _, exponents = np.frexp(np.abs(vectors).max(axis=1, initial=0))
    scaled = np.rint(np.ldexp(vectors, 15 - exponents[:, None]))
    packed = np.column_stack([exponents - 15, np.minimum(scaled, 32767)])
    return packed.astype(np.int16)


def _unpacked(packed: NDArray[np.int16], columns: slice = slice(None)) -> Floats:
    # One power of two a row: ldexp of all numbers takes eight times as long, and gives the same.
    scales = np.ldexp(np.float32(1), packed[:, :1].astype(np.int32))
    unpacked: Floats = np.multiply(packed[:, 1:][:, columns], scales, dtype=np.float32)
    return unpacked


def _products(packed: NDArray[np.int16], vector: Floats) -> Floats:
    """Give (N,) dot products, of equal rows equal ones; BLAS rounds them by their place.

    And its threads would cost more than they save.
    """
    products = np.einsum("ij,j->i", packed[:, 1:].astype(np.float32), vector)
    scaled: Floats = np.ldexp(products, packed[:, 0].astype(np.int32))
    return scaled
