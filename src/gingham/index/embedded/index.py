"""The index in a folder: vectors, and beside them, by row number, tags and further looks.

Tags are columns in the order of row numbers, so filters and facets are a look-up, exact by
construction.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from gingham.errors import CatalogueBusyError, InputError, StorageError
from gingham.index.checks import check_array, check_looks, check_query, check_text, check_upsert
from gingham.index.embedded.further import FurtherLooks, compare, unreadable
from gingham.index.embedded.row_file import Rows
from gingham.index.embedded.rows import RowTable
from gingham.index.embedded.vectors import Floats, Vectors, highest
from gingham.index.filters import EVERYWHERE, Where
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Keys,
    Match,
    Metric,
    Query,
    State,
    Tag,
    Term,
    Untag,
    Upsert,
)
from gingham.results import Facets
from gingham.store.files import make_folder, refusals
from gingham.store.ids import Ids

logger = logging.getLogger(__name__)

MOST_SCANNED = 50_000
"""Rows up to which a scan is about as fast as graphs."""


class EmbeddedIndex:
    """An `Index` in a folder, held by one process at a time until `close`.

    A process that ends between a change of vectors and `commit` leaves an empty index behind, as
    does damage (a warning says so); changes of tags and further looks are undone.

    Parameters
    ----------
    folder : made if it is not there.
    most_scanned : with more rows than this, `commit` makes graphs.
    lasting : False: it goes with the process, so `commit` keeps what changes in memory alone, and
        makes no graph over what was added.

    Raises
    ------
    CatalogueBusyError
        If another process holds the index.
    StorageError
        If the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, *, most_scanned: int = MOST_SCANNED, lasting: bool = True
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._most_scanned = most_scanned
        self._lasting = lasting
        self._lock = FileLock(folder / "lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise CatalogueBusyError(f"another process holds the index {folder} open") from None
        except OSError as error:
            raise StorageError.of(error, folder) from error
        self._mark = folder / "changed"
        self._stored: Vectors | None = None
        self._changed = False
        try:
            self._load()
        except BaseException:
            self._lock.release()
            raise

    def state(self) -> State:
        """Give what was committed last."""
        return self._table.state

    def begin(self, *, wait: bool = True) -> bool:
        """Change it: nobody else has the folder."""
        return True

    def reset(self, looks: Mapping[str, int]) -> None:
        """Forget everything and be an index of these looks, see `Index.reset`."""
        check_looks(looks)
        self._empty()
        self._take(RowTable(looks))
        self._stored = self._open_vectors()

    def apply(self, changes: Iterable[Change]) -> None:
        """Make changes, see `Index.apply`."""
        for change in changes:
            match change:
                case Upsert():
                    self._upsert(change)
                case Delete(ids):
                    self._delete(ids)
                case Tag(attribute, ids, values, which):
                    rows = self._table.rows_of(ids)
                    self._table.tags.put(attribute, rows, values, which)
                case Untag(attribute):
                    self._table.tags.clear(attribute)
                case Fill(look, metric, ids, vectors):
                    self._fill(look, metric, ids, vectors)
                case Drop(look):
                    self._further.drop(look)

    def commit(self, state: State) -> None:
        """Make all changes durable together with what they amount to, and quick to search."""
        if self._changed and self._stored is not None:
            self._stored.optimise(graphs=self._lasting)
            self._stored.flush()
        self._further.sync()
        self._table.state = dict(state)
        self._table.further = self._further.listed
        if self._lasting:
            self._table.save(self._folder / "table.npz")
            self._mark.unlink(missing_ok=True)
        self._changed = False
        self._further.clear_up()

    def query(self, query: Query) -> list[Match]:
        """Find the images of the largest score, see `Index.query`.

        Further looks are compared with every image; see `Vectors.best`.
        """
        check_query(query, self._widths)
        mask = self._table.mask(query.where, query.without)
        vector = np.zeros(self._width, np.float32)
        extra: Floats | None = None
        scanned: dict[int, Floats] = {}
        for i, term in enumerate(query.terms):
            if term.look in self._blocks:
                vector[self._blocks[term.look]] += np.float32(term.weight) * term.vector
            elif term.weight:
                scanned[i] = self._further.compare(term.look, term.vector, len(mask))
                more = np.float32(term.weight) * scanned[i]
                extra = more if extra is None else extra + more
        rows, scores = self._best(vector, extra, mask, query.n)
        kept = scores >= np.float64(query.min_score)  # in float32 it might be rounded to 0
        rows, scores = rows[kept], scores[kept]
        return self._matches(query.terms, rows, scores, scanned)

    def facets(self, where: Where = EVERYWHERE) -> Facets:
        """Count images and values, see `Index.facets`."""
        mask = self._table.mask(where)
        return Facets(int(mask.sum()), self._table.tags.facets(mask))

    def held(self, where: Where = EVERYWHERE) -> Ids:
        """Give the ids of images, see `Index.held`."""
        return self._table.held(where)

    def vectors(self, ids: Keys, looks: Sequence[str]) -> dict[str, Floats]:
        """Give stored vectors, see `Index.vectors`."""
        return self._vectors(self._table.rows_of(ids), looks)

    def close(self) -> None:
        """Let go of the folder; closing again does nothing."""
        self._lock.release()

    @property
    def _widths(self) -> dict[str, int]:
        """Every look -> width of its vectors."""
        return self._table.looks | self._further.widths

    @property
    def _width(self) -> int:
        return sum(self._table.looks.values())

    def _upsert(self, change: Upsert) -> None:
        check_upsert(change, self._table.looks)
        assert self._stored is not None
        self._touch()
        self._table.add(change.ids)
        joined = np.concatenate([change.vectors[look] for look in self._blocks], axis=1)
        self._stored.put(self._table.rows_of(change.ids), joined)

    def _delete(self, ids: Keys) -> None:
        self._touch()
        self._table.remove(ids)

    def _fill(self, look: str, metric: Metric, ids: Keys, vectors: Floats) -> None:
        if look in self._blocks:
            raise InputError(f"the look {look!r} is built in: its vectors come with the images")
        check_text("a look", look)
        width = self._further.width(look) if look in self._further else max(1, vectors.shape[-1])
        check_array(vectors, "vectors", (len(ids), width))
        self._further.fill(look, metric, self._table.rows_of(ids), vectors)

    def _best(
        self, vector: Floats, extra: Floats | None, mask: NDArray[np.bool_], n: int
    ) -> tuple[Rows, Floats]:
        """Give the n rows of `mask` of the largest ``vector @ stored + extra``, best first."""
        n = min(n, int(np.count_nonzero(mask)))
        if n and extra is not None and not vector.any():
            least = extra[highest(np.where(mask, extra, -np.inf), n)[-1]]
            rows = np.flatnonzero(mask & (extra >= least))
            return self._first(rows, extra[rows], n)
        if not n or not vector.any() or self._stored is None:
            matching = np.flatnonzero(mask)
            return self._first(matching, np.zeros(len(matching), np.float32), n)
        return self._first(*self._stored.best(vector, extra, mask, n), n)

    def _first(self, rows: Rows, scores: Floats, n: int) -> tuple[Rows, Floats]:
        """Give the n rows of the largest scores, equals in the order of their ids."""
        if len(rows) > n > 0:
            kept = scores >= np.partition(scores, -n)[-n]
            rows, scores = rows[kept], scores[kept]
        ids = np.array(self._table.ids_of(rows), dtype=str)
        order = np.lexsort((ids, -scores))[:n]
        return rows[order], scores[order]

    def _matches(
        self, terms: Sequence[Term], rows: Rows, scores: Floats, scanned: Mapping[int, Floats]
    ) -> list[Match]:
        unscanned = {term.look for i, term in enumerate(terms) if i not in scanned}
        stored = self._vectors(rows, sorted(unscanned))
        compared = [
            scanned[i][rows]
            if i in scanned
            else compare(self._further.metric(term.look), term.vector, stored[term.look])
            for i, term in enumerate(terms)
        ]
        return [
            Match(key, score, tuple(parts), self._table.tags.of(row))
            for key, score, row, *parts in zip(
                self._table.ids_of(rows),
                scores.tolist(),
                rows.tolist(),
                *(part.tolist() for part in compared),
                strict=True,
            )
        ]

    def _vectors(self, rows: Rows, looks: Sequence[str]) -> dict[str, Floats]:
        own = [look for look in looks if look in self._blocks]
        if len(rows) and own and self._stored is not None:
            read = self._stored.vectors(rows, [self._blocks[look] for look in own])
        else:
            read = [np.zeros((0, self._table.looks[look]), np.float32) for look in own]
        found = dict(zip(own, read, strict=True))
        return {
            look: found[look] if look in found else self._further.get(look, rows) for look in looks
        }

    def _touch(self) -> None:
        """Note on disk, before the first change of vectors, that they are not yet committed."""
        if not self._changed:
            with refusals(self._mark):
                self._mark.touch()
            self._changed = True

    def _load(self) -> None:
        path = self._folder / "table.npz"
        if path.is_file() and not self._mark.exists():
            try:
                self._take(RowTable.load(path))
                self._further.check()
                self._stored = self._open_vectors()
                self._stored.check(len(self._table))
                return
            except MemoryError:
                raise
            except Exception as error:
                refused = StorageError.of(error, self._folder)
                if not refused.damage:
                    raise refused from error
                logger.warning("%s: rebuilding it now", unreadable(self._folder, error))
        self._empty()

    def _open_vectors(self) -> Vectors:
        return Vectors(self._folder, list(self._blocks.values()), self._most_scanned)

    def _empty(self) -> None:
        self._stored = None
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()
        self._take(RowTable({}))

    def _take(self, table: RowTable) -> None:
        ends = list(accumulate(table.looks.values()))
        self._table = table
        self._blocks = {
            look: slice(end - width, end)
            for (look, width), end in zip(table.looks.items(), ends, strict=True)
        }
        self._further = FurtherLooks(self._folder / "looks", table.further)
        self._changed = False
