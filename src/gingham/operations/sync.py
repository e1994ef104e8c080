"""Keep the search index in step with the truth: images, tags, further looks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.palette import LAYERS, VERSION, closeness, unmix
from gingham.attributes.registry import Attributes
from gingham.attributes.settled_tags import SettledTags, Settling, settled_stamp
from gingham.backbones.image_text import TEXT
from gingham.cutoff import Cutoff
from gingham.index.descriptor_looks import typical_distance
from gingham.index.home import IndexHome
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Index,
    State,
    Tag,
    Untag,
    Upsert,
)
from gingham.index.looks import COLOURS_LOOK, TAUGHT_PREFIX, TAUGHT_SCALE, LookSpace, unit
from gingham.operations.cut_tags import cut_mark, cut_name
from gingham.store import ids as many
from gingham.store.ids import Ids
from gingham.store.truth import Truth

logger = logging.getLogger(__name__)

_SHARED_CUTS = 4
"""Cut-offs whose tags are kept where several processes may ask for different ones."""


class SyncedIndex:
    """The index of a catalogue: opened when first needed, brought up to date before it is given.

    The index's state says what it holds: `space` and `images` (versions), `tags` (attribute ->
    stamp) and `looks` (further look -> stamp, for a descriptor its typical distance, for `text` the
    shards that it holds). What it does not say is put again, so a crash at any moment costs nothing
    but time.

    Parameters
    ----------
    home : gives where the index is kept, when it is first needed.
    truth, attributes : what it is to hold.
    space : the built-in looks.
    refresh : takes in what other processes have added to the truth.
    """

    def __init__(
        self,
        home: Callable[[], IndexHome],
        truth: Truth,
        attributes: Attributes,
        space: LookSpace,
        refresh: Callable[[], object] = lambda: None,
    ) -> None:
        self._home = home
        self._refresh = refresh
        self._index: Index | None = None
        self._truth = truth
        self._config = truth.config
        self._features = truth.features
        self._locations = truth.locations
        self._attributes = attributes
        self._space = space

    def close(self) -> None:
        """Close the index; it opens again when needed."""
        if self._index is not None:
            index, self._index = self._index, None
            index.close()

    def lacks(self, state: State) -> bool:
        """Say whether an index of this state lacks images, tags, or looks that `fill` fills.

        What it holds and should not is no lack: it is quickly left out.
        """
        known = self._known(state)
        wanted = self._wanted(known)
        return (
            known["images"] != wanted["images"]
            or any(known["tags"].get(name) != stamp for name, stamp in wanted["tags"].items())
            or any(
                self._differs(known["looks"].get(look, {}), look) for look in self._lasting_looks()
            )
        )

    def publish(self, home: IndexHome, *, anew: bool = False) -> None:
        """Bring the index that others open in step, with the looks that are worth keeping.

        The caller must hold the catalogue's lease. What this object has opened stays as it is.

        Parameters
        ----------
        home : where it is kept.
        anew : make everything again.
        """
        made = SyncedIndex(lambda: home, self._truth, self._attributes, self._space)
        with home.making(anew=anew) as index:
            made._index = index
            if anew:
                with made._changing():
                    index.begin()
                    made._bring(index, made._known({}))
            made.get()
            for look in made._lasting_looks():
                made.further(index, look)

    def get(self) -> Index:
        """Bring the index in step with the files, the features and the tags, and give it.

        Where another process is doing that, it is given as it is, if it holds anything.
        """
        index = self._open()
        state = self._known(index.state())
        lacking = state != self._wanted(state)
        if lacking and self._home().is_newer(index):
            self.close()
            index = self._open()
            state = self._known(index.state())
            lacking = state != self._wanted(state)
        if lacking:
            with self._changing():
                if index.begin(wait=state["images"] is None):
                    # Another may have changed it by what this process has not seen yet.
                    self._refresh()
                    self._bring(index, self._known(index.state()))
        return index

    def _bring(self, index: Index, state: State) -> None:
        """Bring an index of some state up to date."""
        wanted = self._wanted(state)
        if state != wanted:
            logger.info("bringing the search index up to date")
            if state["images"] is None:
                index.reset(self._space.widths)
            index.apply(self._changes(index, state, wanted))
        index.commit(wanted)

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
        """Bring a look that is not built in up to date; gives what the state notes of it.

        Parameters
        ----------
        index : what `get` gave.
        look : of the index.
        """
        note = self._note(index, look)
        if self._differs(note, look):
            with self._changing():
                index.begin()
                note = self._note(index, look)
                state = self._known(index.state())
                if self._differs(note, look):
                    now = self._now(look)
                    index.apply([Drop(look)])
                    index.apply(self._filling(look, index.held()))
                    note = now | self._typical(index, look)
                index.commit({**state, "looks": state["looks"] | {look: note}})
        return note

    def _note(self, index: Index, look: str) -> dict[str, Any]:
        """Give what the state notes of a further look; empty if it is not there."""
        return dict(self._known(index.state())["looks"].get(look, {}))

    def cut(self, index: Index, cutoff: Cutoff) -> None:
        """Bring the tags that are held to a cut-off up to date; the last few cut-offs are kept.

        Parameters
        ----------
        index : what `get` gave.
        """
        mark = cut_mark(cutoff)
        state = self._known(index.state())
        if state.get("cuts", {}).get(mark) == self._cut_of(state):
            return
        with self._changing():
            index.begin()
            state = self._known(index.state())
            wanted, cuts = self._cut_of(state), dict(state.get("cuts", {}))
            most = _SHARED_CUTS if self._home().shared else 1
            old = cuts.pop(mark, {"tags": {}})
            if old != wanted:
                for other in list(cuts)[: len(cuts) + 1 - most]:
                    tags = cuts.pop(other)["tags"]
                    index.apply([Untag(cut_name(name, other)) for name in tags])
                index.apply([Untag(cut_name(name, mark)) for name in old["tags"]])
                settling = Settling(self._attributes, cutoff)
                for name in wanted["tags"]:
                    index.apply([_tag(cut_name(name, mark), settling.of(name), index.held())])
            index.commit({**state, "cuts": cuts | {mark: wanted}})

    @staticmethod
    def _cut_of(state: State) -> dict[str, Any]:
        """Name what tags that are held to a cut-off are made of."""
        return {"tags": state["tags"], "images": state["images"]}

    def _lasting_looks(self) -> list[str]:
        """Name the further looks that are worth keeping for others."""
        taught = self._attributes.names()
        tagged = [name for name in taught if self._attributes.tagged(name) is not None]
        looks = [
            f"{TAUGHT_PREFIX}{name}" for name in tagged if name not in self._attributes.attached
        ]
        text = [] if self._truth.text.current is None else [TEXT]
        return [*looks, *(one.name for one in self._config.descriptors), *text]

    def _now(self, look: str) -> dict[str, Any]:
        """Say what the state should note of a further look, but for what `_typical` gives."""
        features = self._truth.text.features if look == TEXT else None
        held = {} if features is None else {"shards": features.shards()}
        return {"stamp": self._stamp(look)} | held

    def _differs(self, note: State, look: str) -> bool:
        return any(note.get(key) != value for key, value in self._now(look).items())

    def _stamp(self, look: str) -> str | None:
        """Name the state of what makes a further look; None if there is no such look any more."""
        if look == TEXT:
            return self._truth.text.fingerprint
        if look == COLOURS_LOOK:
            return f"{look}:{VERSION}"
        if not look.startswith(TAUGHT_PREFIX):
            return look
        name = look.removeprefix(TAUGHT_PREFIX)
        return self._attributes.taught_stamp(name) if name in self._attributes.names() else None

    def _filling(self, look: str, wanted: Ids) -> Iterator[Fill]:
        """Give the vectors of images in a further look."""
        if look.startswith(TAUGHT_PREFIX):
            for ids, rows in self._taught_rows(look.removeprefix(TAUGHT_PREFIX), wanted):
                yield Fill(look, "dot", ids, rows * np.float32(TAUGHT_SCALE))
            return
        if look == COLOURS_LOOK:
            for ids, features in self._features.blocks(LAYERS, wanted):
                yield Fill(look, "dot", ids, closeness(unmix(features)))
            return
        if look == TEXT:
            yield from self._texts(wanted)
            return
        for ids, features in self._features.blocks([look], wanted):
            yield Fill(look, "l1", ids, features[look].astype(np.float32))

    def _texts(self, wanted: Ids) -> Iterator[Fill]:
        """Give the vectors of those images that were read for the look `text`."""
        current, store = self._truth.text.current, self._truth.text.features
        if current is not None and store is not None:
            # Of no image at all the look is there, too.
            width = current.config.widths[TEXT]
            yield Fill(TEXT, "dot", wanted[:0], np.empty((0, width), np.float32))
            for ids, features in store.blocks([TEXT], wanted):
                yield Fill(TEXT, "dot", ids, unit(features[TEXT]))

    def _taught_rows(self, name: str, wanted: Ids) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
        """Give where images lie in the look of a taught attribute."""
        left = np.ones(len(wanted), bool)
        if name not in self._attributes.attached:
            for tags in self._attributes.read_tags(name):
                found = many.find(wanted, tags.ids)
                if (looks := tags.looks) is not None:
                    left[found[found >= 0]] = False
                    yield tags.ids[found >= 0], looks[found >= 0]
        if left.any():
            one = self._attributes.taught_attribute(name)
            yield from self._features.worked(
                lambda ids, features: (ids, one.project(features)), one.layers, wanted[left]
            )

    def _typical(self, index: Index, look: str) -> dict[str, Any]:
        if look.startswith(TAUGHT_PREFIX) or look in (COLOURS_LOOK, TEXT):
            return {}
        ids = index.held()
        found = typical_distance(len(ids), lambda rows: index.vectors(ids[rows], [look])[look])
        return {"typical": found}

    def missing(self) -> tuple[list[str], list[str]]:
        """Name images that should be in the index and are not, and the other way round."""
        if not self._open().state():
            return [], []
        added, gone = self._differences(self.get())
        return _texts(added), _texts(gone)

    def _differences(self, index: Index) -> tuple[Ids, Ids]:
        """Give what an index lacks, and what it should not hold; both sorted."""
        there, live = index.held(), np.sort(self._locations.ids())
        return live[many.find(there, live) < 0], there[many.find(live, there) < 0]

    def _open(self) -> Index:
        if self._index is None:
            self._index = self._home().open()
        return self._index

    def _known(self, state: State) -> State:
        """Give a state of an index, or that of an empty one if it is of other looks."""
        if state.get("space") == self._space.fingerprint:
            return state
        return {"space": self._space.fingerprint, "images": None, "tags": {}, "looks": {}}

    def _wanted(self, state: State) -> dict[str, Any]:
        """Say what the state should be, with those further looks that are what they were."""
        names = self._attributes.answering()
        stamps = {name: settled_stamp(self._attributes, name) for name in names}
        return {
            **state,
            "images": self._locations.complete_version(),
            "tags": {name: stamp for name, stamp in stamps.items() if stamp is not None},
            "looks": {
                look: note | self._now(look)
                for look, note in state["looks"].items()
                if note["stamp"] == self._stamp(look)
            },
        }

    def _changes(self, index: Index, old: State, new: dict[str, Any]) -> Iterator[Change]:
        yield from (Drop(look) for look in old["looks"].keys() - new["looks"].keys())
        added = many.from_list(())
        if old["images"] != new["images"]:
            added, gone = self._differences(index)
            yield Delete(gone)
            layers = {layer for look in self._space.looks for layer in look.layers}
            if len(added):
                for ids, features in self._features.blocks(sorted(layers), added):
                    yield Upsert(ids, self._space.embed(features))
                for look in new["looks"]:
                    yield from self._filling(look, added)
            for look, note in new["looks"].items():
                new["looks"][look] = note | self._typical(index, look)
        if TEXT in new["looks"] and self._truth.text.features is not None:
            # Images may come to the index before they are read for this look.
            known = old["looks"][TEXT].get("shards", ())
            late = self._truth.text.features.ids_in({*new["looks"][TEXT]["shards"]} - {*known})
            yield from self._filling(TEXT, late[many.find(index.held(), late) >= 0])
        yield from (Untag(name) for name in old["tags"].keys() - new["tags"].keys())
        settling = Settling(self._attributes)
        for name, stamp in new["tags"].items():
            if old["tags"].get(name) != stamp:
                yield Untag(name)
                yield _tag(name, settling.of(name), index.held())
            elif len(added):
                yield _tag(name, settling.of(name), added)


def _tag(name: str, tags: SettledTags, wanted: Ids) -> Tag:
    """Give the tags of an attribute, under a name; only those of some images, sorted."""
    values, which = tags.found()
    kept = many.find(wanted, tags.ids) >= 0
    return Tag(name, tags.ids[kept], values, which[kept])


def _texts(ids: Ids) -> list[str]:
    return [image_id.hex() for image_id in many.to_list(ids)]
