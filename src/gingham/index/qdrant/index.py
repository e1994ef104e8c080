"""The index in collections of a Qdrant server, of which each version is seen as a whole or not."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import httpx
import numpy as np

from gingham.errors import GinghamError, ServerError
from gingham.index.address import IndexAddress
from gingham.index.checks import check_known, check_looks, check_query, check_there, to_array
from gingham.index.filters import EVERYWHERE, Where
from gingham.index.index import Floats, Keys, Match, Query, State
from gingham.index.qdrant.changing import PointChanger, tidy
from gingham.index.qdrant.collection import PointCollection
from gingham.index.qdrant.connection import MissingError, QdrantConnection
from gingham.index.qdrant.layout import IndexVersion, PointLayout
from gingham.index.qdrant.points import (
    BORN,
    DIED,
    IMAGE,
    both,
    chunks,
    is_part,
    passing,
    rows_at_once,
    to_ids,
    to_texts,
)
from gingham.index.qdrant.root import About, Root
from gingham.index.qdrant.searching import search
from gingham.index.remote import (
    PATIENCE,
    ChangedIndex,
    ForbiddenError,
    LockedError,
    ordered_facets,
)
from gingham.results import Facets
from gingham.store.ids import Ids

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TRIES = 5  # for collections that another process replaces meanwhile


class QdrantIndex(ChangedIndex[PointChanger]):
    """An `Index` in a Qdrant server; `close` gives up what was not committed.

    What was committed last is seen by all, and searched meanwhile. Whoever changes it is the only
    one, from the first change to `commit`.

    Parameters
    ----------
    address : of the server and the collection.
    owner : of the index in the collection; any text, for ever the same.
    patience : seconds for which a server that does not answer is asked again.
    transport : sends the requests, in place of sockets.

    Raises
    ------
    CatalogueError
        If the collection holds the index of another owner, or something else.
    ServerError
        If the server cannot be reached, or refuses.
    """

    _gone = MissingError

    def __init__(
        self,
        address: IndexAddress,
        owner: str,
        *,
        patience: float = PATIENCE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._owner = owner
        self._server = QdrantConnection(address, patience, transport)
        self._root = Root(self._server, owner)
        self._about = About({}, IndexVersion(PointLayout(), 0))
        try:
            self._read()
        except BaseException:
            self._server.close()
            raise

    def state(self) -> State:
        """Give what was committed last."""
        if self._changer is None:
            self._read()
        return self._about.state

    def begin(self, *, wait: bool = True) -> bool:
        """Be the only one who changes it, see `Index.begin`."""
        if self._changer is not None:
            return True
        try:
            self._root.lock(wait=wait)
        except (LockedError, ForbiddenError):
            if wait:
                raise
            return False
        with self._changing(), self._releasing():
            self._read()
            base = self._about.view
            tidy(self._server, self._owner, base)
            self._changer = PointChanger(
                self._server, self._owner, base, self._root.number, self._root.keep
            )
        return True

    def reset(self, looks: Mapping[str, int]) -> None:
        """Forget everything and be an index of these looks, see `Index.reset`."""
        check_looks(looks)
        changer = self._changed()
        with self._changing():
            changer.reset(dict(looks))
        self._about = About({}, self._about.view)

    def commit(self, state: State) -> None:
        """Make all changes durable together with what they amount to."""
        changer = self._changed()
        with self._changing():
            changer.fill_up()
            base = self._about.view
            self._root.note(state, base, changer.view)
        self._changer, self._about = None, About(dict(state), changer.view)
        if base.layout.collection not in ("", changer.view.layout.collection):
            with contextlib.suppress(GinghamError):  # the next change does it
                PointCollection(self._server, base.layout.collection).remove(self._owner)
        self._release()

    def query(self, query: Query) -> list[Match]:
        """Find the images of the largest score, see `Index.query`.

        Each look gives candidates, which are scored exactly.
        """

        def read(points: PointCollection, view: IndexVersion) -> list[Match]:
            check_query(query, view.layout.widths)
            return search(points, view, query) if view.layout.collection else []

        return self._reading(read)

    def facets(self, where: Where = EVERYWHERE) -> Facets:
        """Count images and values, see `Index.facets`."""

        def read(points: PointCollection, view: IndexVersion) -> Facets:
            asked = passing(view, where)
            if asked is None or not view.layout.collection:
                return Facets(0, {})
            counts = {name: points.facet(key, asked) for name, key in view.layout.tags.items()}
            return ordered_facets(points.count(asked), counts)

        return self._reading(read)

    def held(self, where: Where = EVERYWHERE) -> Ids:
        """Give the ids of images, see `Index.held`."""

        def read(points: PointCollection, view: IndexVersion) -> Ids:
            asked = passing(view, where)
            if asked is None or not view.layout.collection:
                return to_array([])
            records = points.scroll(asked, [IMAGE])
            return to_ids((record.payload or {})[IMAGE] for record in records)

        return self._reading(read)

    def vectors(self, ids: Keys, looks: Sequence[str]) -> dict[str, Floats]:
        """Give stored vectors, see `Index.vectors`."""

        def read(points: PointCollection, view: IndexVersion) -> dict[str, Floats]:
            check_known(looks, view.layout.looks)
            widths = view.layout.widths
            images = to_texts(ids)
            found = {look: np.zeros((len(images), widths[look]), np.float32) for look in looks}
            there = np.full(len(images), -1)
            places: dict[str, list[int]] = {}
            for i, image in enumerate(images):
                places.setdefault(image, []).append(i)
            names = {look: view.layout.looks[look].vector for look in looks}
            for some in chunks(list(places), rows_at_once(sum(widths[look] for look in looks))):
                for record in points.get(both(some), [IMAGE, BORN, DIED], names.values()):
                    payload: Any = record.payload
                    if is_part(payload, view.version):
                        rows, vector = places[payload[IMAGE]], cast(Any, record.vector)
                        there[rows] = 1
                        for look, name in names.items():
                            found[look][rows] = vector[name]
            check_there(there, ids)
            return found

        return self._reading(read)

    def close(self) -> None:
        """Let go of the connection, and of what was not committed."""
        if self._changer is not None:
            self._changer = None
            self._release()
        self._server.close()

    def _reading(self, read: Callable[[PointCollection, IndexVersion], T]) -> T:
        """Read, with what was changed; again, if another process has replaced the collection."""
        if self._changer is not None:
            with self._changing():
                self._changer.fill_up()
                view = self._changer.view
                return read(PointCollection(self._server, view.layout.collection), view)
        for _ in range(_TRIES):
            self._read()
            view = self._about.view
            with contextlib.suppress(MissingError):
                return read(PointCollection(self._server, view.layout.collection), view)
        raise ServerError(
            f"the index at {self._server.shown} lacks a collection: run gingham rebuild CATALOGUE"
        )

    @contextlib.contextmanager
    def _releasing(self) -> Iterator[None]:
        """Let others have the lock if this fails."""
        try:
            yield
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        with contextlib.suppress(GinghamError, MissingError):
            self._root.release()

    @property
    def _gone_sentence(self) -> str:
        return (
            f"the index at {self._server.shown} was deleted while it was changed: run gingham "
            "rebuild CATALOGUE"
        )

    def _read(self) -> None:
        try:
            self._about = self._root.read()
        except MissingError:
            self._about = self._root.make()
