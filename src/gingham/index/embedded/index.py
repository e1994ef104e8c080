"""The vector index: graph search by Qdrant Edge, tags and taught looks beside it, in a folder.

Everything here is derived and can be rebuilt. Edge holds the vectors and nothing else: to set a
payload on a point of a finished segment, it copies the vector to a new segment and drops it from
the graph (16,000 x 1,808: 2.3 s, then 13 s to build the graph again); a vector added under a new
name does the same. So tags and taught looks are arrays in the order of Edge's point numbers;
filters and facets are then a look-up, exact by construction.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from filelock import FileLock, Timeout

from gingham.errors import CatalogueBusyError, CatalogueError, InputError, ShapeError
from gingham.index.embedded.graph import Floats, Graph, Rows
from gingham.index.embedded.hits import Hits, best_hits
from gingham.index.embedded.rows import Table
from gingham.index.embedded.taught import TaughtLooks, damage_named
from gingham.index.filters import Where
from gingham.index.tags import TagValue

EVERYWHERE = Where()
_FEW = 1_000  # so many images or fewer are scored one by one (1 ms), never by the graph


class VectorIndex:
    """An index in a folder; one process at a time. Use `create` or `open`, then `close`.

    Changes are durable after `flush` or `close`. The index of a process killed before opens empty:
    `interrupted` is then true, and images, tags and taught looks are to be put again from where
    the truth is.

    Attributes
    ----------
    interrupted : whether the last process to change this index ended without `flush`.
    """

    def __init__(self, folder: Path, *, create_width: int | None) -> None:
        self._folder = folder
        # Without its log, Edge lets a second process in.
        self._lock = FileLock(folder / "lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CatalogueBusyError(f"another process holds the index {folder} open") from None
        self._mark = folder / "changed"
        self._looks = TaughtLooks(folder / "looks")
        self._table: Table
        self._graph: Graph
        self._changed = self.interrupted = False
        try:
            if create_width is None:
                self._load()
            else:
                self._make(create_width)
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def create(cls, folder: str | Path, width: int) -> Self:
        """Make an empty index of vectors of `width` numbers, in place of one that is there.

        Raises
        ------
        InputError
            If `width` is below 1.
        CatalogueBusyError
            If another process holds it open.
        """
        if width < 1:
            raise InputError(f"width must be at least 1, got {width}")
        Path(folder).mkdir(parents=True, exist_ok=True)
        return cls(Path(folder), create_width=width)

    @classmethod
    def open(cls, folder: str | Path) -> Self:
        """Open the index in `folder`.

        Raises
        ------
        CatalogueError
            If there is none, or it cannot be read.
        CatalogueBusyError
            If another process holds it open.
        """
        if not Path(folder, "table.npz").is_file():
            raise CatalogueError(f"there is no index in {folder}; run: gingham rebuild CATALOGUE")
        return cls(Path(folder), create_width=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def width(self) -> int:
        """Length of the stored vectors."""
        return self._table.width

    @property
    def rows(self) -> int:
        """The number of rows, those of removed images too."""
        return len(self._table)

    def rows_of(self, ids: Sequence[str]) -> Rows:
        """Say in which row each image stands.

        Raises
        ------
        InputError
            If an id is not in the index.
        """
        return self._table.rows_of(ids)

    @property
    def looks(self) -> tuple[str, ...]:
        """Names of the taught looks, sorted."""
        return self._looks.names

    def close(self) -> None:
        """Make all changes durable and let go of the folder; closing again does nothing."""
        if self._lock.is_locked:
            try:
                self.flush()
                self._graph.close()
            finally:
                self._lock.release()

    def flush(self) -> None:
        """Make all changes durable."""
        if self._changed:
            self._graph.flush()
            self._table.save(self._folder / "table.npz")
            self._mark.unlink(missing_ok=True)
            self._changed = False

    def optimise(self) -> bool:
        """Flush, and build the graph over what was added.

        Meanwhile it takes the memory and the disk of the new segment beside the old one.

        Returns
        -------
        Whether there was something to do.
        """
        self._touch()
        changed = self._graph.optimise()
        self.flush()
        return changed

    def upsert(self, ids: Sequence[str], vectors: Floats) -> None:
        """Add images, or replace the vectors of those that are there; their tags stay.

        Parameters
        ----------
        ids : SHA-256 of each image, 64 lower-case hex characters.
        vectors : (N, width) array, finite.

        Raises
        ------
        InputError
            If an id is no SHA-256 or comes twice, or a vector is not finite.
        ShapeError
            If `vectors` has another shape.
        """
        _check(vectors, "vectors", (len(ids), self.width))
        if len(set(ids)) < len(ids):
            raise InputError(f"ids must be different, {len(ids) - len(set(ids))} are repeated")
        self._touch()
        self._table.add(ids)
        self._graph.put(self._table.rows_of(ids), vectors)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove images with their tags; ids that are not there are passed over."""
        self._touch()
        self._graph.delete(self._table.remove(ids))

    def set_tags(self, attribute: str, tags: Mapping[str, TagValue]) -> None:
        """Set the value (or, of kind multi, the values) that images have of an attribute.

        Parameters
        ----------
        tags : id -> a value, several values, or no value at all (which clears).

        Raises
        ------
        InputError
            If an id is not in the index, or a name or value is not valid text.
        """
        rows = self._table.rows_of(list(tags))
        self._touch()
        self._table.tags.put(attribute, rows, list(tags.values()))

    def clear_tags(self, attribute: str) -> None:
        """Forget an attribute's tags on every image; nothing happens if there are none."""
        self._touch()
        self._table.tags.clear(attribute)

    def tags(self, ids: Sequence[str]) -> list[dict[str, tuple[str, ...]]]:
        """Give the tags of images: attribute -> values, attributes without a tag left out.

        Raises
        ------
        InputError
            If an id is not in the index.
        """
        return [self._table.tags.of(row) for row in self._table.rows_of(ids).tolist()]

    def set_look(self, name: str, ids: Sequence[str], vectors: Floats) -> None:
        """Store a taught look, in place of all the vectors it had; no rebuild follows.

        Parameters
        ----------
        ids : images in the index; those left out score 0 in this look.
        vectors : (N, d) array, finite; stored as it is (give unit rows).

        Raises
        ------
        InputError
            If an id is not in the index, or a vector is not finite.
        ShapeError
            If `vectors` is not (len(ids), d).
        """
        _check(vectors, "vectors", (len(ids), max(1, vectors.shape[-1])))
        rows = self._table.rows_of(ids)
        self.flush()  # the file counts on row numbers: they must be durable before it is
        full = np.zeros((len(self._table), vectors.shape[1]), np.float32)
        full[rows] = vectors
        self._looks.put(name, full)

    def drop_look(self, name: str) -> None:
        """Forget a taught look; nothing happens if it is not there."""
        self._looks.drop(name)

    def look_vectors(self, name: str, ids: Sequence[str]) -> Floats:
        """Give the (N, d) vectors of a taught look; zero where an image was left out.

        Raises
        ------
        InputError
            If there is no such look, or an id is not in the index.
        """
        rows, stored = self._table.rows_of(ids), self._looks.get(name)
        found = np.zeros((len(rows), stored.shape[1]), np.float32)
        inside = rows < len(stored)
        found[inside] = stored[rows[inside]]
        return found

    def vectors(self, ids: Sequence[str]) -> Floats:
        """Give the stored (N, width) vectors.

        Raises
        ------
        InputError
            If an id is not in the index.
        """
        rows = self._table.rows_of(ids)
        return self._graph.vectors(rows) if len(rows) else np.zeros((0, self.width), np.float32)

    def ids(self, where: Where = EVERYWHERE) -> list[str]:
        """List the images that satisfy `where`, sorted."""
        return sorted(self._table.ids_of(np.flatnonzero(self._table.mask(where))))

    def count(self, where: Where = EVERYWHERE) -> int:
        """Count the images that satisfy `where`."""
        return int(self._table.mask(where).sum())

    def facets(self, where: Where = EVERYWHERE) -> dict[str, dict[str, int]]:
        """Count the images of each value among those that satisfy `where`.

        Returns
        -------
        attribute -> value -> count above zero, most frequent first; exact, all values.
        """
        return self._table.tags.facets(self._table.mask(where))

    def query(
        self,
        vector: Floats,
        n: int,
        where: Where = EVERYWHERE,
        *,
        taught: Mapping[str, Floats] | None = None,
        added: Floats | None = None,
    ) -> Hits:
        """Find the images of the largest score.

        The score is ``vector @ stored + sum_k taught[k] @ look_k + added``.

        Candidates come from the graph by the first part and from a full scan by the second; as
        long as an image in neither list could score as high as the n-th best, both are widened.

        Parameters
        ----------
        vector : (width,) array; all zero to search by taught looks alone.
        n : at most so many answers.
        where : only images that satisfy it.
        taught : taught look -> (d,) array.
        added : (rows,) array: what each row scores besides, in looks that others keep.

        Raises
        ------
        InputError
            If `n` is below 1, a vector is not finite, or a taught look is not there.
        ShapeError
            If a vector has another length.
        """
        if n < 1:
            raise InputError(f"n must be at least 1, got {n}")
        _check(vector, "vector", (self.width,))
        mask = self._table.mask(where)
        extra = np.zeros(len(mask), np.float32)
        if added is not None:
            _check(added, "added", (len(mask),))
            extra += added
        for name, part in (taught or {}).items():
            stored = self._looks.get(name)
            _check(part, f"taught[{name!r}]", stored.shape[1:])
            extra[: len(stored)] += stored @ part.astype(np.float32)
        matching = np.flatnonzero(mask)
        n = min(n, len(matching))
        if not n or not vector.any():
            return best_hits(self._table.ids_of, matching, extra[matching], n)
        width = (n + 16) * len(mask) // len(matching)
        while True:
            exact = len(matching) <= max(_FEW, 4 * width)
            if exact:
                some = 2 * len(matching) < len(mask)
                rows, scores = self._graph.score(vector, matching if some else None)
                bound = -np.inf
            else:
                rows, scores = self._graph.nearest(vector, width)
                bound = scores[-1]
            rows, scores = rows[mask[rows]], scores[mask[rows]]
            if (taught or added is not None) and not exact:
                order = matching[np.argpartition(-extra[matching], width)]
                more, more_scores = self._graph.score(vector, np.setdiff1d(order[:width], rows))
                rows, scores = np.append(rows, more), np.append(scores, more_scores)
                bound += extra[order[width]]
            totals = scores + extra[rows]
            # At equality, an image not seen could come first by its id.
            if exact or (len(rows) >= n and np.partition(totals, -n)[-n] > bound):
                return best_hits(self._table.ids_of, rows, totals, n)
            width *= 4

    def _touch(self) -> None:
        """Note on disk, before the first change, that what follows is not yet flushed."""
        if not self._changed:
            self._mark.touch()
            self._changed = True

    def _make(self, width: int) -> None:
        (self._folder / "table.npz").unlink(missing_ok=True)
        for name in ("graph", "looks"):
            shutil.rmtree(self._folder / name, ignore_errors=True)
        self._table = Table(width)
        self._graph = Graph.create(self._folder / "graph", width)
        self._touch()
        self.flush()

    def _load(self) -> None:
        with damage_named(self._folder):
            self._table = Table.load(self._folder / "table.npz")
            self._graph = Graph(self._folder / "graph")
            same = len(self._graph) == len(self._table.rows)
            self.interrupted = self._mark.exists() or not same
            if self.interrupted:
                # A shard killed while it was written may find points that it does not list:
                # what the table does not name cannot be trusted to be dropped.
                self._graph.close()
                self._make(self._table.width)


def _check(array: Floats, name: str, shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ShapeError(name, expected=str(shape), got=array.shape)
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite, got NaN or infinity")
