"""Changes of an index in Qdrant, which others do not see before they are committed.

A point that was committed is not changed but for what the committed version does not read: keys and
vectors that were made since, and `died`. What has to change is copied to the image's other slot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from gingham.errors import InputError
from gingham.index.checks import (
    check_array,
    check_text,
    check_there,
    check_upsert,
    check_values,
)
from gingham.index.filters import EVERYWHERE
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Floats,
    Keys,
    Metric,
    Tag,
    TagValue,
    Untag,
    Upsert,
)
from gingham.index.qdrant.collection import PointCollection, collections_of, vector_params
from gingham.index.qdrant.connection import QdrantConnection
from gingham.index.qdrant.layout import IndexVersion, LookVector
from gingham.index.qdrant.points import (
    BORN,
    DIED,
    IMAGE,
    MOST_IDS,
    both,
    chunks,
    is_part,
    newer,
    older,
    passing,
    point_id,
    rows_at_once,
    to_lists,
    to_texts,
)

_LARGEST = 65_504.0  # of float16


@dataclass(frozen=True)
class Found:
    """Where N images are.

    Attributes
    ----------
    slots : (N,) of the live point; -1 for an image that is not there.
    own : (N,) whether that point was made in this change.
    free : (N,) slot for a new point.
    """

    slots: NDArray[np.int64]
    own: NDArray[np.bool_]
    free: NDArray[np.int64]


class PointChanger:
    """What is changed from one version to the next.

    Parameters
    ----------
    server, owner : of the index.
    base : what was committed last.
    number : no other change has it.
    keep : makes sure that nobody else changes it; called before every change.

    Attributes
    ----------
    view : what the change amounts to; its layout grows with it.
    """

    def __init__(
        self,
        server: QdrantConnection,
        owner: str,
        base: IndexVersion,
        number: int,
        keep: Callable[[], None],
    ) -> None:
        self._server = server
        self._owner = owner
        self._base = base
        self._number = number
        self._keep = keep
        self.view = IndexVersion(base.layout.copy(), base.version + 1)
        self._layout = self.view.layout
        self._points = PointCollection(server, self._layout.collection)
        self._made: set[str] = set()  # keys and vectors that no committed version reads
        self._unfilled: set[str] = set()  # further looks that may lack images

    def reset(self, looks: dict[str, int]) -> None:
        """Leave everything, and make a collection of these looks."""
        self._keep()
        layout = self._layout
        if layout.collection != self._base.layout.collection:
            self._points.remove(self._owner)  # of a change that ends here
        layout.looks, layout.tags = {}, {}
        layout.collection = f"{self._server.name}.{self._number}"
        self._points = PointCollection(self._server, layout.collection)
        self._points.make(
            self._owner,
            {
                self._name_look(look, "dot", width, builtin=True).vector: vector_params(
                    self._server.options, "dot", width
                )
                for look, width in looks.items()
            },
        )
        for key in (BORN, DIED):
            self._points.index_key(key, models.PayloadSchemaType.INTEGER)

    def make(self, change: Change) -> None:
        """Make one change, see `Index.apply`; what is refused has changed nothing."""
        self._keep()
        match change:
            case Upsert():
                self._upsert(change)
            case Delete(ids):
                self._delete(to_texts(ids))
            case Tag(attribute, ids, values, which):
                self._tag(attribute, ids, values, which)
            case Untag(attribute):
                self._layout.tags.pop(attribute, None)
            case Fill(look, metric, ids, vectors):
                self._fill(look, metric, ids, vectors)
            case Drop(look):
                if look in self._layout.looks and not self._layout.looks[look].builtin:
                    del self._layout.looks[look]

    def fill_up(self) -> None:
        """Give every image a vector in every further look."""
        for name in sorted(self._unfilled & self._layout.looks.keys()):
            look = self._layout.looks[name]
            lacks = models.Filter(must_not=[models.HasVectorCondition(has_vector=look.vector)])
            asked = passing(self.view, EVERYWHERE, also=[lacks])
            assert asked is not None
            lacking = [str(record.id) for record in self._points.scroll(asked, ())]
            zeros = {look.vector: [0.0] * look.width}
            for some in chunks(lacking, rows_at_once(look.width)):
                self._keep()
                self._points.set_vectors((point, zeros) for point in some)
        self._unfilled.clear()

    def _upsert(self, change: Upsert) -> None:
        builtin = self._layout.builtin
        check_upsert(change, builtin)
        for look, rows in change.vectors.items():
            self._check_size(look, rows)
        images = to_texts(change.ids)
        size = rows_at_once(sum(builtin.values()))
        for start in range(0, len(images), size):
            some = slice(start, start + size)
            columns = {
                self._layout.looks[look].vector: to_lists(rows[some])
                for look, rows in change.vectors.items()
            }
            self._upsert_some(
                images[some],
                [
                    dict(zip(columns, row, strict=True))
                    for row in zip(*columns.values(), strict=True)
                ],
            )

    def _upsert_some(self, images: Sequence[str], vectors: Sequence[dict[str, Any]]) -> None:
        self._keep()
        found = self._find(images)
        live = [
            point_id(image, max(0, int(slot)))
            for image, slot in zip(images, found.slots, strict=True)
        ]
        old = [live[i] for i in np.flatnonzero((found.slots >= 0) & ~found.own)]
        held = self._held(old)
        new = []
        for i in np.flatnonzero(~found.own).tolist():
            payload, further = held.get(live[i], ({}, {}))
            new.append(
                models.PointStruct(
                    id=point_id(images[i], int(found.free[i])),
                    vector=further | vectors[i],
                    payload=payload | {IMAGE: images[i], BORN: self.view.version},
                )
            )
        self._points.put(new)
        own = np.flatnonzero(found.own).tolist()
        self._points.set_vectors((live[i], vectors[i]) for i in own)
        self._end(old)
        if (found.slots < 0).any():
            self._unfilled |= self._layout.looks.keys() - self._layout.builtin.keys()

    def _delete(self, images: Sequence[str]) -> None:
        for some in chunks(images, MOST_IDS // 2):
            found = self._find(some)
            live = [
                point_id(image, max(0, int(slot)))
                for image, slot in zip(some, found.slots, strict=True)
            ]
            self._end([live[i] for i in np.flatnonzero((found.slots >= 0) & ~found.own)])
            self._points.delete([live[i] for i in np.flatnonzero(found.own)])

    def _tag(
        self, attribute: str, ids: Keys, values: Sequence[TagValue], which: NDArray[np.integer]
    ) -> None:
        sets = check_values(attribute, values)
        images = to_texts(ids)
        found = self._find(images)
        check_there(found.slots, ids)
        key = self._layout.tags.get(attribute)
        if key is None:
            if not self._layout.collection:
                return
            key = self._name("t")
            self._layout.tags[attribute] = key
            self._points.index_key(key, models.PayloadSchemaType.KEYWORD)
        points, codes = self._changeable(images, found, key), np.asarray(which)
        for start in range(0, len(points), MOST_IDS):
            self._keep()
            part = codes[start : start + MOST_IDS]
            self._points.set_payloads(
                (
                    {key: list(sets[code])},
                    [points[start + i] for i in np.flatnonzero(part == code)],
                )
                for code in np.unique(part)
            )

    def _fill(self, name: str, metric: Metric, ids: Keys, vectors: Floats) -> None:
        check_text("a look", name)
        there = self._layout.looks.get(name)
        if there is not None and there.builtin:
            raise InputError(f"the look {name!r} is built in: its vectors come with the images")
        width = there.width if there is not None else max(1, vectors.shape[-1])
        check_array(vectors, "vectors", (len(ids), width))
        self._check_size(name, vectors)
        images = to_texts(ids)
        found = self._find(images)
        check_there(found.slots, ids)
        if there is None:
            if not self._layout.collection:
                return
            there = self._name_look(name, metric, width, builtin=False)
            self._points.add_vector(there.vector, metric, width)
        self._unfilled.add(name)
        points = self._changeable(images, found, there.vector)
        size = rows_at_once(width)
        for start in range(0, len(points), size):
            self._keep()
            rows = to_lists(vectors[start : start + size])
            self._points.set_vectors(
                (point, {there.vector: row})
                for point, row in zip(points[start : start + size], rows, strict=True)
            )

    def _name(self, kind: str) -> str:
        """Name a key or a vector as none ever was, also not by a change that was given up."""
        name = f"{kind}{self._number}_{len(self._made)}"
        self._made.add(name)
        return name

    def _name_look(self, look: str, metric: Metric, width: int, *, builtin: bool) -> LookVector:
        vector = self._name("v")
        made = LookVector(vector=vector, metric=metric, width=width, builtin=builtin)
        self._layout.looks[look] = made
        return made

    def _changeable(self, images: Sequence[str], found: Found, name: str) -> list[str]:
        """Give the points of images, so that a key or a vector of them may be changed.

        Those that are committed are copied, if the committed version reads it.
        """
        slots = found.slots.copy()
        if name not in self._made:
            committed = np.flatnonzero(~found.own)
            size = rows_at_once(sum(self._layout.widths.values()))
            for start in range(0, len(committed), size):
                self._keep()
                some = committed[start : start + size]
                old = [point_id(images[i], int(slots[i])) for i in some]
                held = self._held(old)
                self._points.put(
                    [
                        models.PointStruct(
                            id=point_id(images[i], int(found.free[i])),
                            vector=held[point][1],
                            payload=held[point][0] | {BORN: self.view.version},
                        )
                        for i, point in zip(some, old, strict=True)
                    ]
                )
                self._end(old)
            slots[committed] = found.free[committed]
        return [point_id(image, int(slot)) for image, slot in zip(images, slots, strict=True)]

    def _find(self, images: Sequence[str]) -> Found:
        """Find the points of images."""
        slots, own = np.full(len(images), -1), np.zeros(len(images), bool)
        free = np.zeros(len(images), np.int64)
        for start in range(0, len(images) if self._layout.collection else 0, MOST_IDS // 2):
            some = images[start : start + MOST_IDS // 2]
            rows = {point: start + i // 2 for i, point in enumerate(both(some))}
            for record in self._points.get(list(rows), [BORN, DIED]):
                payload, row = record.payload or {}, rows[str(record.id)]
                slot = int(str(record.id)[-1], 16) & 1
                if is_part(payload, self.view.version):
                    slots[row], own[row] = slot, payload[BORN] == self.view.version
                if payload[BORN] < self.view.version:
                    free[row] = 1 - slot
        return Found(slots, own, free)

    def _held(self, points: Sequence[str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """Give payloads and vectors of points: those that the layout knows."""
        layout = self._layout
        keys = [IMAGE, *layout.tags.values()]
        vectors = [look.vector for look in layout.looks.values()]
        held = {}
        for some in chunks(points, rows_at_once(sum(layout.widths.values()))):
            for record in self._points.get(some, keys, vectors):
                vector: Any = record.vector
                held[str(record.id)] = (dict(record.payload or {}), dict(vector or {}))
        return held

    def _end(self, points: Sequence[str]) -> None:
        """Leave committed points out of the next version."""
        for some in chunks(points, MOST_IDS):
            self._points.set_payloads([({DIED: self.view.version}, some)])

    def _check_size(self, look: str, vectors: Floats) -> None:
        float16 = self._server.options.datatype == "float16"
        if float16 and np.abs(vectors).max(initial=0) > _LARGEST:
            raise InputError(
                f"the vectors of {look!r} must be within {_LARGEST:,.0f}, as float16 is"
            )


def tidy(server: QdrantConnection, owner: str, base: IndexVersion) -> None:
    """Delete what the committed version has no use for.

    It is left by changes that were not committed, and by earlier versions, which nobody reads now.
    """
    layout, version = base.layout, base.version
    for collection in collections_of(server):
        if collection.name != layout.collection:
            collection.remove(owner)
    if not layout.collection:
        return
    points = PointCollection(server, layout.collection)
    points.delete(newer(BORN, version))
    points.delete(models.Filter(must=[older(DIED, version)]))
    points.forget_payload(DIED, newer(DIED, version))
    vectors, keys = points.names()
    for vector in vectors - {look.vector for look in layout.looks.values()}:
        points.forget_vector(vector)
    for key in keys - {BORN, DIED, *layout.tags.values()}:
        points.forget_key(key)
