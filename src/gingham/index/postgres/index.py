"""The index in a schema of a PostgreSQL database, changed in place in one transaction at a time."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from psycopg import errors

from gingham.errors import CatalogueError, GinghamError, ServerError
from gingham.index.address import IndexAddress
from gingham.index.aims import aims_of
from gingham.index.checks import check_known, check_looks, check_query, check_there, to_array
from gingham.index.filters import EVERYWHERE, Where
from gingham.index.index import Floats, Keys, Match, Query, State
from gingham.index.postgres.binary import read_ids, read_vectors
from gingham.index.postgres.changing import Changer
from gingham.index.postgres.connection import DatabaseConnection, LostError
from gingham.index.postgres.layout import TableLayout
from gingham.index.postgres.sql import Part, Statements, session
from gingham.index.postgres.views import views
from gingham.index.remote import (
    PATIENCE,
    ChangedIndex,
    ForbiddenError,
    LockedError,
    candidates,
    ordered_facets,
)
from gingham.results import Facets
from gingham.store.ids import Ids, to_list

logger = logging.getLogger(__name__)

T = TypeVar("T")

DEFAULT_SCHEMA = "gingham"
MOST_SCANNED = 1_000_000
"""Numbers of a look up to which all images are compared rather than an HNSW index asked."""

_TRIES = 5  # for tables that another process replaces meanwhile


class PostgresIndex(ChangedIndex[Changer]):
    """An `Index` in a database; `close` gives up what was not committed.

    What was committed last is seen by all, and searched meanwhile. Whoever changes it is the only
    one, from the first change to `commit`.

    Parameters
    ----------
    address : of the database; its option `schema` is `gingham` by default.
    owner : of the index in the schema; any text, for ever the same.
    most_scanned : see `MOST_SCANNED`.
    patience : seconds for which a database that does not answer is asked again.

    Raises
    ------
    CatalogueError
        If the schema holds the index of another owner.
    ServerError
        If the database cannot be reached, or refuses.
    """

    _gone = LostError

    def __init__(
        self,
        address: IndexAddress,
        owner: str,
        *,
        most_scanned: int = MOST_SCANNED,
        patience: float = PATIENCE,
    ) -> None:
        self._address = address
        self._schema = address.options.get("schema", DEFAULT_SCHEMA)
        self._owner = owner
        self._most_scanned = most_scanned
        self._sql = Statements(self._schema)
        self._server = DatabaseConnection(address, session(candidates(10)), patience)
        self._layout = TableLayout()
        self._state: State = {}
        try:
            self._open()
        except BaseException:
            self._server.close()
            raise

    def _open(self) -> None:
        with contextlib.suppress(errors.UndefinedTable):
            return self._read()
        with self._changing():
            self._server.begin()
            for statement in (*self._sql.set_up(), self._sql.own(self._owner, TableLayout())):
                self._server.ask(statement)
            self._server.commit()
        return self._read()

    def state(self) -> State:
        """Give what was committed last."""
        if self._changer is None:
            self._read()
        return self._state

    def begin(self, *, wait: bool = True) -> bool:
        """Be the only one who changes it, see `Index.begin`."""
        if self._changer is not None:
            return True
        with self._changing():
            self._server.begin()
            try:
                self._take(self._server.ask(self._sql.lock(wait=wait)))
            except (LockedError, ForbiddenError):
                if wait:
                    raise
                self._server.rollback()
                return False
            self._changer = Changer(self._server, self._sql, self._layout)
        return True

    def reset(self, looks: Mapping[str, int]) -> None:
        """Forget everything and be an index of these looks, see `Index.reset`."""
        check_looks(looks)
        self._changed().reset(dict(looks))
        self._state = {}

    def commit(self, state: State) -> None:
        """Make all changes durable together with what they amount to, and quick to search."""
        changer = self._changed()
        with self._changing():
            changer.optimise(self._most_scanned)
            self._server.ask(self._sql.note(json.dumps(state), self._layout))
            self._server.commit()
            self._changer, self._state = None, dict(state)
            self._tidy()

    def query(self, query: Query) -> list[Match]:
        """Find the images of the largest score, see `Index.query`.

        Where looks have HNSW indexes, each gives candidates, which are scored exactly.
        """
        return self._reading(lambda: self._query(query))

    def facets(self, where: Where = EVERYWHERE) -> Facets:
        """Count images and values, see `Index.facets`."""
        return self._reading(lambda: self._facets(where))

    def held(self, where: Where = EVERYWHERE) -> Ids:
        """Give the ids of images, see `Index.held`."""
        return self._reading(lambda: self._held(where))

    def vectors(self, ids: Keys, looks: Sequence[str]) -> dict[str, Floats]:
        """Give stored vectors, see `Index.vectors`."""
        return self._reading(lambda: self._vectors(ids, looks))

    def close(self) -> None:
        """Let go of the connection, and of what was not committed."""
        self._changer = None
        self._server.close()

    def _query(self, query: Query) -> list[Match]:
        check_query(query, self._layout.widths)
        if not self._layout.images:
            return []
        looks = self._layout.looks
        aims = aims_of(query, self._layout.metrics)
        given: list[Part] | None = None
        if aims == []:
            given = [self._sql.first(self._layout, query)]
        elif aims is not None and any(looks[aim.look].graph for aim in aims):
            count = candidates(query.n)
            given = [
                self._sql.nearest(self._layout, looks[aim.look], aim.vector, query, count)
                for aim in aims
            ]
        found = self._server.ask(self._sql.search(self._layout, query, given))
        if aims and given is not None and len(found) < query.n and query.min_score == -np.inf:
            # An HNSW index leads to few of those that match.
            found = self._server.ask(self._sql.search(self._layout, query, None))
        parts = 2 + len(query.terms)
        return [
            Match(
                row[0],
                row[1],
                row[2:parts],
                {
                    name: tuple(values)
                    for name, values in zip(self._layout.tags, row[parts:], strict=True)
                    if values
                },
            )
            for row in found
        ]

    def _held(self, where: Where) -> Ids:
        if not self._layout.images:
            return to_array([])
        return read_ids(self._server.copy_out(self._sql.held(self._layout, where)))

    def _facets(self, where: Where) -> Facets:
        if not self._layout.images:
            return Facets(0, {})
        images, *found = self._server.ask(self._sql.facets(self._layout, where))
        counts: dict[str, Counter[str]] = {}
        for attribute, values, count in found:
            for value in values:
                counts.setdefault(attribute, Counter())[value] += count
        return ordered_facets(images[2], counts)

    def _vectors(self, ids: Keys, looks: Sequence[str]) -> dict[str, Floats]:
        check_known(looks, self._layout.looks)
        keys = to_array(ids)
        images, found = to_list(keys), {}
        for look in looks:
            there = self._layout.looks[look]
            statement = self._sql.vectors(self._layout, there, images)
            stored = dict(self._server.ask(statement, binary=True))
            missing = [-1 if image not in stored else 0 for image in images]
            check_there(np.array(missing, int), ids)
            found[look] = read_vectors([stored[image] for image in images], there.width)
        return found

    def _reading(self, read: Callable[[], T]) -> T:
        """Read, with what was changed; again, if another process has replaced a table meanwhile."""
        if self._changer is not None:
            with self._changing():
                self._changer.fill_up()
                return read()
        for _ in range(_TRIES):
            with contextlib.suppress(errors.UndefinedTable):
                return read()
            self._read()
        raise ServerError(
            f"the index at {self._address.shown} lacks a table: run gingham rebuild CATALOGUE"
        )

    def _release(self) -> None:
        self._server.rollback()

    @property
    def _gone_sentence(self) -> str:
        return (
            f"the connection to the index at {self._address.shown} was lost while it was changed; "
            "nothing of that is left: run the command again"
        )

    def _read(self) -> None:
        self._take(self._server.ask(self._sql.about()))

    def _take(self, rows: Sequence[tuple[str, str, str]]) -> None:
        (owner, state, layout) = rows[0]
        if owner != self._owner:
            raise CatalogueError(
                f"the schema {self._schema} at {self._address.shown} holds the index of another "
                "catalogue: give another with ?schema=NAME, or drop that one if it is no longer "
                "needed"
            )
        self._state, self._layout = json.loads(state), TableLayout.read(layout)

    def _tidy(self) -> None:
        """Bring the views up to date and drop what is no longer needed.

        Where a long query of somebody's still reads it, that is left to the next commit.
        """
        if self._layout.shown and not self._layout.gone:
            return
        layout = self._layout.copy()
        try:
            self._server.begin()
            for statement in self._sql.hurry():
                self._server.ask(statement)
            rows = self._server.ask(self._sql.lock(wait=False))
            if rows[0][2] == layout.write():
                for statement in views(self._schema, layout) if layout.images else ():
                    self._server.ask(statement)
                for table in layout.gone:
                    self._server.ask(self._sql.drop(table))
                layout.gone, layout.shown = [], True
                self._server.ask(self._sql.note(json.dumps(self._state), layout))
            self._server.commit()
            self._layout = layout
        except (LostError, GinghamError) as error:
            logger.info("the views of the index are brought up to date the next time: %s", error)
            self._server.rollback()
