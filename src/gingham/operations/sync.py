"""Keep the search index in step with the truth: images, tags, further looks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes
from gingham.index.descriptor_looks import typical_distance
from gingham.index.filters import UNKNOWN
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Index,
    Metric,
    State,
    Tag,
    Untag,
    Upsert,
)
from gingham.index.looks import TAUGHT_PREFIX, TAUGHT_SCALE, LookSpace
from gingham.store.truth import Truth

logger = logging.getLogger(__name__)


class SyncedIndex:
    """The index of a catalogue: opened when first needed, brought up to date before it is given.

    The index's state says what it holds: `space` and `images` (versions), `tags` (attribute ->
    stamp) and `looks` (further look -> stamp, and for a descriptor its typical distance). What it
    does not say is put again, so a crash at any moment costs nothing but time.

    Parameters
    ----------
    open_index : gives the index.
    truth, attributes : what it is to hold.
    space : the built-in looks.
    """

    def __init__(
        self,
        open_index: Callable[[], Index],
        truth: Truth,
        attributes: Attributes,
        space: LookSpace,
    ) -> None:
        self._open_index = open_index
        self._index: Index | None = None
        self._features = truth.features
        self._locations = truth.locations
        self._attributes = attributes
        self._space = space

    def close(self) -> None:
        """Close the index; it opens again when needed."""
        if self._index is not None:
            index, self._index = self._index, None
            index.close()

    def rebuild(self) -> None:
        """Make the index from nothing."""
        with self._changing():
            self._open().reset(self._space.widths)
        self.get()

    def get(self) -> Index:
        """Bring the index in step with the files, the features and the tags, and give it."""
        index = self._open()
        state = self._state(index)
        stamps = {name: self._attributes.tagged(name) for name in self._attributes.answering()}
        wanted = {
            **state,
            "images": self._locations.version,
            "tags": {name: stamp for name, stamp in stamps.items() if stamp is not None},
        }
        if state != wanted:
            logger.info("bringing the search index up to date")
            gone = {
                look: note
                for look, note in state["looks"].items()
                if look.startswith(TAUGHT_PREFIX)
                and look.removeprefix(TAUGHT_PREFIX) not in self._attributes.names()
            }
            wanted["looks"] = {k: v for k, v in state["looks"].items() if k not in gone}
            with self._changing():
                if state["images"] is None:
                    index.reset(self._space.widths)
                index.apply(self._changes(index, state, wanted, gone))
                index.commit(wanted)
        return index

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Let go of an index that could not be changed as a whole; it opens as it was committed."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self.close()
            raise

    def further(self, index: Index, look: str) -> dict[str, Any]:
        """Bring a taught look or a descriptor up to date; gives what the state notes of it.

        Parameters
        ----------
        index : what `get` gave.
        look : of the index.
        """
        version = f"{self._locations.version}"
        if look.startswith(TAUGHT_PREFIX):
            attribute = self._attributes.taught_attribute(look.removeprefix(TAUGHT_PREFIX))
            projected = (
                (ids, attribute.project(features) * np.float32(TAUGHT_SCALE))
                for ids, features in self._live(attribute.layers)
            )
            return self._filled(index, look, "dot", f"{attribute.stamp}:{version}", projected)
        described = (
            (ids, features[look].astype(np.float32)) for ids, features in self._live([look])
        )
        return self._filled(index, look, "l1", version, described)

    def _filled(
        self,
        index: Index,
        look: str,
        metric: Metric,
        stamp: str,
        vectors: Iterable[tuple[list[str], NDArray[np.float32]]],
    ) -> dict[str, Any]:
        state = self._state(index)
        note: dict[str, Any] = state["looks"].get(look, {})
        if note.get("stamp") != stamp:
            with self._changing():
                index.apply([Drop(look)])
                index.apply(Fill(look, metric, ids, rows) for ids, rows in vectors)
                note = {"stamp": stamp}
                if metric == "l1":
                    ids = index.ids()
                    note["typical"] = typical_distance(
                        len(ids),
                        lambda rows: index.vectors([ids[row] for row in rows], [look])[look],
                    )
                index.commit({**state, "looks": state["looks"] | {look: note}})
        return note

    def missing(self) -> tuple[set[str], set[str]]:
        """Name images that should be in the index and are not, and the other way round."""
        if not self._open().state():
            return set(), set()
        there = set(self.get().ids())
        live = {image_id.hex() for image_id, _ in self._locations.image_files()}
        return live - there, there - live

    def _open(self) -> Index:
        if self._index is None:
            self._index = self._open_index()
        return self._index

    def _state(self, index: Index) -> State:
        state = index.state()
        if state.get("space") == self._space.fingerprint:
            return state
        return {"space": self._space.fingerprint, "images": None, "tags": {}, "looks": {}}

    def _changes(
        self, index: Index, old: State, new: State, gone: Iterable[str]
    ) -> Iterator[Change]:
        added: set[str] = set()
        if old["images"] != new["images"]:
            there = set(index.ids())
            live = {image_id.hex() for image_id, _ in self._locations.image_files()}
            added = live - there
            yield Delete(sorted(there - live))
            layers = {layer for look in self._space.looks for layer in look.layers}
            for ids, features in self._live(sorted(layers), added):
                yield Upsert(ids, self._space.embed(features))
        yield from (Drop(look) for look in gone)
        yield from (Untag(name) for name in old["tags"].keys() - new["tags"].keys())
        for name, stamp in new["tags"].items():
            if old["tags"].get(name) != stamp:
                yield Untag(name)
                yield Tag(name, self._tags(name))
            elif added:
                tags = self._tags(name)
                yield Tag(name, {key: tags[key] for key in tags.keys() & added})

    def _tags(self, attribute: str) -> dict[str, Sequence[str]]:
        return {
            image_id.hex(): values or [UNKNOWN]
            for image_id, values, _ in self._attributes.predictions(attribute)
            if image_id in self._locations.images
        }

    def _live(
        self, layers: Sequence[str], wanted: set[str] | None = None
    ) -> Iterator[tuple[list[str], Mapping[str, NDArray[np.floating]]]]:
        """Read the features of images that have a file, or of those wanted, each once."""
        left = set(wanted) if wanted is not None else None
        for ids, features in self._features.batches(layers):
            chosen = [
                row
                for row, image_id in enumerate(ids)
                if (image_id in self._locations.images if left is None else image_id.hex() in left)
            ]
            if chosen:
                names = [ids[row].hex() for row in chosen]
                if left is not None:
                    left.difference_update(names)
                yield names, {layer: rows[chosen] for layer, rows in features.items()}
