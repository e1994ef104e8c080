"""Tags as the catalogue's schema answers them: only where they apply, with what is above them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.coded_tags import CodedTags
from gingham.attributes.cutoffs import Floors
from gingham.attributes.registry import Attributes
from gingham.cutoff import Cutoff
from gingham.names import NOT_APPLICABLE, UNKNOWN
from gingham.schema.schema import SchemaAttribute
from gingham.store import ids as many
from gingham.store.features import ImageId
from gingham.store.ids import Ids


class SettledTag(NamedTuple):
    """The tag of an image: values, none of what is unknown or does not apply; see `TagTable`."""

    id: ImageId
    values: tuple[str, ...]
    confidence: float
    guess: tuple[str, ...]
    applies: bool


@dataclass(frozen=True)
class SettledTags:
    """The tags of one attribute.

    Attributes
    ----------
    about : what the schema says of it.
    ids : (N,) images, sorted.
    sets : different sets of values, first that of none, which is unknown.
    codes, guesses : (N,) which of them each image has, and which is its best guess.
    confidences : (N,) float32, of the one or the other.
    applies : (N,) bool; what does not apply is unknown, without a guess.
    """

    about: SchemaAttribute
    ids: Ids
    sets: list[tuple[str, ...]]
    codes: NDArray[np.intp]
    guesses: NDArray[np.intp]
    confidences: NDArray[np.float32]
    applies: NDArray[np.bool_]

    def rows(self) -> Iterator[SettledTag]:
        """Give the tags one by one."""
        for image_id, code, confidence, guess, applies in zip(
            many.to_list(self.ids),
            *(x.tolist() for x in (self.codes, self.confidences, self.guesses, self.applies)),
            strict=True,
        ):
            yield SettledTag(image_id, self.sets[code], confidence, self.sets[guess], applies)

    def at(self, rows: NDArray[np.int64]) -> SettledTags:
        """Give the tags in some rows, in their order."""
        return replace(
            self,
            ids=self.ids[rows],
            codes=self.codes[rows],
            guesses=self.guesses[rows],
            confidences=self.confidences[rows],
            applies=self.applies[rows],
        )

    def found(self) -> tuple[list[tuple[str, ...]], NDArray[np.intp]]:
        """Say what finds the images: their values with all above them, or that there are none.

        Returns
        -------
        Different sets of values, and which of them each of the N images has.
        """
        sets = [
            tuple(dict.fromkeys(one for value in values for one in self.about.above(value)))
            for values in self.sets
        ]
        places: dict[tuple[str, ...], int] = {}
        for values in ((UNKNOWN,), *sets[1:], (NOT_APPLICABLE,)):
            places.setdefault(values, len(places))
        of = np.array([places[values] for values in ((UNKNOWN,), *sets[1:])], np.intp)
        return list(places), np.where(self.applies, of[self.codes], places[NOT_APPLICABLE,])

    def counts(self) -> dict[str, int]:
        """Count the images that each value finds."""
        sets, which = self.found()
        found: Counter[str] = Counter()
        for values, count in zip(sets, np.bincount(which, minlength=len(sets)), strict=True):
            found.update(dict.fromkeys(values, int(count)))
        return dict(+found)


class Settling:
    """Settles the tags of attributes with one another, each read once.

    Parameters
    ----------
    attributes : of the catalogue.
    cutoff : how sure tags must be; None: as sure as they had to be when they were applied.
    """

    def __init__(self, attributes: Attributes, cutoff: Cutoff | None = None) -> None:
        self._attributes = attributes
        self._cutoff = cutoff
        self._schema = attributes.schema
        self._deciding: dict[str, SettledTags | None] = {}

    def of(self, name: str, *, former: bool = False) -> SettledTags:
        """Give the tags of an attribute; see `Attributes.held_to`."""
        return self.settle(name, *self._attributes.held_to(name, self._cutoff, former=former))

    def settle(self, name: str, tags: CodedTags, limits: Floors) -> SettledTags:
        """Settle tags of an attribute with those that the others have."""
        found = self._known(name, tags, limits)
        if not found.about.when:
            return found
        out = self._out(found.about, found.ids)
        return replace(
            found,
            codes=np.where(out, 0, found.codes),
            guesses=np.where(out, 0, found.guesses),
            confidences=np.where(out, np.float32(0), found.confidences),
            applies=~out,
        )

    def _known(self, name: str, tags: CodedTags, limits: Floors) -> SettledTags:
        sets, codes, guesses, confidences = tags.numbered(limits)
        every = np.ones(len(tags.ids), bool)
        about = self._about(name)
        return SettledTags(about, tags.ids, sets, codes, guesses, confidences, every)

    def _about(self, name: str) -> SchemaAttribute:
        return self._schema.attributes.get(name, SchemaAttribute())

    def _out(self, about: SchemaAttribute, ids: Ids) -> NDArray[np.bool_]:
        """Say of which images an attribute says nothing; what is not known excludes nothing."""
        out = np.zeros(len(ids), bool)
        for other, wanted in about.when.items():
            out |= self._out(self._about(other), ids)
            if (tags := self._decider(other)) is None:
                continue
            wrong = [
                bool(values) and not {x for v in values for x in tags.about.above(v)} & {*wanted}
                for values in tags.sets
            ]
            rows = many.find(tags.ids, ids)
            there = rows >= 0
            out[there] |= np.array(wrong)[tags.codes[rows[there]]]
        return out

    def _decider(self, name: str) -> SettledTags | None:
        """Give the tags of an attribute that others depend on; None without any."""
        if name not in self._deciding:
            there = name in self._attributes.answering()
            found = None
            if there and self._attributes.tagged(name) is not None:
                found = self._known(name, *self._attributes.held_to(name, self._cutoff))
            self._deciding[name] = found
        return self._deciding[name]


def settled_stamp(attributes: Attributes, name: str) -> str | None:
    """Name the tags of an attribute as they are settled; None without any of it as it is now."""
    own = attributes.tagged(name)
    about = attributes.schema.attributes.get(name)
    if own is None or about is None or not about.digest:
        return own
    said = json.dumps(_meaning(attributes, name))
    return f"{own}:{hashlib.sha256(said.encode()).hexdigest()[:16]}"


def _meaning(attributes: Attributes, name: str) -> list[Any]:
    """Name all that decides whether an attribute applies, and what is above its values."""
    about = attributes.schema.attributes[name]
    tagged = attributes.tagged(name) if name in attributes.answering() else None
    return [tagged, about.digest, [_meaning(attributes, other) for other in about.when]]
