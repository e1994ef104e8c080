"""Numbered vectors and the largest dot products among them: a Qdrant Edge shard in a folder."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from gingham.errors import StorageError
from gingham.index.embedded.building import build_apart
from gingham.index.embedded.holes import ROOM, Holes
from gingham.store.files import reserve

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

_VECTOR = "looks"
# Recall@10, every slider tried: 1.000 at 16,000 images (2 ms), 0.97 to 1.00 at 200,000 (3.5 ms).
_SEARCH_WIDTH = 512
_FEW = 1_000  # so many images or fewer are scored one by one (1 ms), never by the graph
_RECYCLE_BYTES = 16 << 20  # a mapped file counts as our memory until it is closed


class Graph:
    """A shard that holds vectors and nothing else; the caller must hold the lock.

    Edge maps its files into memory: there must be room for them before they grow, or the process is
    killed (see `Holes`); while a graph is built, only one that does nothing else. Where the system
    refuses something it is a `StorageError`; Edge's other errors come as they are: plain
    `Exception`, or a `BaseException` for a Rust panic.

    Parameters
    ----------
    folder : of the shard.
    create_width : length of the vectors of a new shard; None to open one.
    """

    def __init__(self, folder: Path, *, create_width: int | None = None) -> None:
        self._folder = folder
        self._unflushed = 0
        self._holes = Holes(folder)
        if create_width is None:
            self._load()
        else:
            reserve(folder.parent, ROOM)
            with _refusals(folder):
                self._shard = edge.EdgeShard.create(str(folder), _config(create_width))
        self._open = True

    def _load(self) -> None:
        with _refusals(self._folder):
            self._shard = edge.EdgeShard.load(str(self._folder))
        self._open = True

    @classmethod
    def create(cls, folder: Path, width: int) -> Self:
        """Make an empty shard; the folder must not be there."""
        return cls(folder, create_width=width)

    def check(self, images: int, rows: int) -> None:
        """Check that all vectors are there.

        Raises
        ------
        ValueError
            If they are not.
        """
        if len(self) != images:
            raise ValueError(f"{len(self)} vectors of {images} images")

    def close(self) -> None:
        """Flush and let go of the files; closing again does nothing."""
        if not self._open:
            return
        self._open = False
        with _refusals(self._folder):
            try:
                self._shard.flush()
            finally:
                self._shard.close()

    def flush(self) -> None:
        """Make all changes durable."""
        with _refusals(self._folder):
            self._shard.flush()

    def optimise(self) -> None:
        """Build the graph over what was added, in a process of its own.

        Raises
        ------
        StorageError
            If there is no room, or not until the end; then the shard is damaged, and closed.
        """
        if len(self) <= _FEW:
            return
        self.close()
        build_apart(self._folder)
        self._load()
        self._holes = Holes(self._folder)

    def optimise_here(self) -> None:
        """Build the graph in this process, which is killed if the room runs out meanwhile."""
        # At most every vector is written once more, with its links.
        held = sum(file.stat().st_size for file in self._folder.rglob("*") if file.is_file())
        reserve(self._folder, held + ROOM)
        with _refusals(self._folder):
            self._shard.optimize()

    def put(self, rows: Rows, vectors: Floats) -> None:
        """Add or replace (N, width) vectors."""
        ready = _plain(vectors)
        start = 0
        while start < len(rows):
            if not self._unflushed:
                reserve(self._folder, ROOM)
            end = start + self._holes.fill(512, ready[0].nbytes)
            batch = [
                edge.Point(row, {_VECTOR: vector}, {})
                for row, vector in zip(rows[start:end].tolist(), ready[start:end], strict=True)
            ]
            with _refusals(self._folder):
                self._shard.update(edge.UpdateOperation.upsert_points(batch))
            start = end
            self._unflushed += len(batch) * ready[0].nbytes
            if self._unflushed > _RECYCLE_BYTES:
                self.close()
                self._load()
                self._unflushed = 0
                self._holes = Holes(self._folder)

    def delete(self, rows: Sequence[int]) -> None:
        """Remove vectors; rows that are not there are passed over."""
        self._holes.fill(1, 0)
        with _refusals(self._folder):
            self._shard.update(edge.UpdateOperation.delete_points(list(rows)))

    def __len__(self) -> int:
        return self._shard.count(edge.CountRequest())

    def vectors(self, rows: Rows) -> Floats:
        """Give the (N, width) vectors of rows that are there, N >= 1."""
        records: list[Any] = list(self._shard.retrieve(list(set(rows.tolist())), False, True))
        # Edge gives lists of numbers; packing them takes half the time of `np.array`.
        packed = {
            record.id: struct.pack(f"{len(vector)}f", *vector)
            for record in records
            for vector in (record.vector[_VECTOR],)
        }
        joined = np.frombuffer(b"".join(packed[row] for row in rows.tolist()), np.float32)
        return joined.reshape(len(rows), -1)

    def best(
        self, vector: Floats, extra: Floats, mask: NDArray[np.bool_], n: int
    ) -> tuple[Rows, Floats]:
        """Give rows of `mask`, the n of the largest ``vector @ stored + extra`` among them.

        Candidates come from the graph and, where `extra` is not 0, from the rows where it is
        largest; as long as a row in neither list could score as high as the n-th best, both are
        widened.

        Parameters
        ----------
        vector : (width,), not 0.
        extra, mask : (rows,); at least n rows match, n >= 1.

        Returns
        -------
        Rows, and the score of each; those that equal the n-th best are all there.
        """
        matching = np.flatnonzero(mask)
        width = (n + 16) * len(mask) // len(matching)
        while True:
            exact = len(matching) <= max(_FEW, 4 * width)
            if exact:
                some = 2 * len(matching) < len(mask)
                rows, scores = self.score(vector, matching if some else None)
                bound = -np.inf
            else:
                rows, scores = self.nearest(vector, width)
                bound = scores[-1]
            rows, scores = rows[mask[rows]], scores[mask[rows]]
            if not exact and extra.any():
                order = matching[np.argpartition(-extra[matching], width)]
                more, more_scores = self.score(vector, np.setdiff1d(order[:width], rows))
                rows, scores = np.append(rows, more), np.append(scores, more_scores)
                bound += extra[order[width]]
            totals = scores + extra[rows]
            # At equality, an image not seen could come first by its id.
            if exact or (len(rows) >= n and np.partition(totals, -n)[-n] > bound):
                return rows, totals
            width *= 4

    def nearest(self, vector: Floats, limit: int) -> tuple[Rows, Floats]:
        """Search the graph for about the `limit` largest dot products, best first."""
        wide = edge.SearchParams(hnsw_ef=max(_SEARCH_WIDTH, 2 * limit))
        return self._ask(vector, limit, wide)

    def score(self, vector: Floats, rows: Rows | None = None) -> tuple[Rows, Floats]:
        """Give the exact dot product of each of some rows, or of all, best first."""
        exact = edge.SearchParams(exact=True)
        if rows is None:
            return self._ask(vector, len(self), exact)
        chosen = edge.Filter(must=[edge.HasIdCondition(set(rows.tolist()))])
        return self._ask(vector, len(rows), exact, chosen)

    def _ask(
        self,
        vector: Floats,
        limit: int,
        params: edge.SearchParams,
        chosen: edge.Filter | None = None,
    ) -> tuple[Rows, Floats]:
        if not limit:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        query = edge.Query.Nearest(_plain(vector), using=_VECTOR)
        request = edge.QueryRequest(limit, query=query, params=params, filter=chosen)
        points: list[Any] = list(self._shard.query(request))
        rows = np.fromiter((point.id for point in points), np.int64, len(points))
        return rows, np.fromiter((point.score for point in points), np.float32, len(points))


@contextlib.contextmanager
def _refusals(folder: Path) -> Iterator[None]:
    """Tell a `StorageError` from Edge's other errors."""
    try:
        yield
    except BaseException as error:  # a panic in Rust is no Exception
        refused = StorageError.of(error, folder)
        if refused.damage:
            raise
        raise refused from error


def _config(width: int) -> edge.EdgeConfig:
    # float16 would halve the bytes, but colour cosines differ in the fourth digit: recall@10
    # falls to 0.973. Cold: read through the page cache, not loaded on opening.
    vector = edge.EdgeVectorParams(width, edge.Distance.Dot, memory=edge.Memory.Cold)
    return edge.EdgeConfig(
        vectors={_VECTOR: vector},
        hnsw_config=edge.HnswIndexConfig(m=32, ef_construct=100, full_scan_threshold=10),
        optimizers=edge.EdgeOptimizersConfig(
            indexing_threshold=20_000, default_segment_number=1, max_segment_size=2**40
        ),
        # The log doubles the bytes written and the memory; the truth is elsewhere.
        wal_enabled=False,
    )


def _plain(array: Floats) -> Any:
    """Edge takes numpy rows as they are; its stubs know of lists alone."""
    return np.ascontiguousarray(array, np.float32)
