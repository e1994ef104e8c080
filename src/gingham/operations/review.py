"""What a person should look at next: the least sure tags, and those that others speak against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.attribute_fitting import fit
from gingham.attributes.next_labels import rank_next
from gingham.attributes.registry import Attributes
from gingham.attributes.settled_tags import Settling, settled_stamp
from gingham.attributes.tags import Column, rising
from gingham.attributes.taught import TaughtAttribute
from gingham.errors import InputError
from gingham.index.looks import TAUGHT_PREFIX, TAUGHT_SCALE
from gingham.names import NOT_APPLICABLE, UNKNOWN
from gingham.operations.search import Searcher
from gingham.results import Prediction
from gingham.review_results import ReviewItem, ReviewOrder, ReviewResult
from gingham.store import ids as many
from gingham.store.examples import Example
from gingham.store.features import ImageId
from gingham.store.truth import Truth

SAMPLE = 3000
"""Tags that are compared with each other: the least sure ones, and as many spread evenly."""
UNSURE = 1500
"""The least sure tags, of which those that teach most come first."""
STRANGE = 0.25
"""How much what is unknown is worth: most of it may be pictures of another kind, which have no
value, as in a catalogue of clothes and photos of anything."""
EVERY = 10
"""So often comes an example that the others contradict."""
NEIGHBOURS = 10
AGREEMENT = 0.5
"""A tag that fewer of its neighbours share is suspicious."""


SURE = 0.9
"""An answer all of whose probabilities are as near to 0 or 1 is not called unsure."""


@dataclass(frozen=True)
class _Suspect:
    """An image to look at, and why.

    Attributes
    ----------
    values : value -> probability, where it is not what the attribute predicts now.
    """

    id: ImageId
    value: str | list[str]
    reason: str
    example: bool = False
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Queue:
    """Images in the order in which to look at them.

    Attributes
    ----------
    first : those that come first.
    rows : (N,) the others, of `column`, as they are tagged.
    reason : why to look at these.
    multi : whether an image may have several values.
    """

    first: list[_Suspect]
    column: Column
    rows: NDArray[np.integer]
    reason: str
    multi: bool

    def __len__(self) -> int:
        return len(self.first) + len(self.rows)

    def only(self, value: str) -> _Queue:
        """Keep those of a value."""
        has = np.array([value in (values or (UNKNOWN,)) for values in self.column.values], bool)
        first = [one for one in self.first if value in _listed(one.value)]
        return replace(self, first=first, rows=self.rows[has[self.column.codes[self.rows]]])

    def part(self, start: int, end: int) -> list[_Suspect]:
        """Give some of them, as of a list."""
        before = len(self.first)
        rows = self.rows[max(start - before, 0) : max(end - before, 0)]
        return self.first[start:end] + [
            _Suspect(
                image_id,
                _value(self.column.values[self.column.codes[row]], self.multi),
                self.reason,
            )
            for image_id, row in zip(
                many.to_list(self.column.ids[rows]), rows.tolist(), strict=True
            )
        ]

    def ahead(self, count: int) -> _Queue:
        """Have so many of the others as a list, too."""
        first = self.part(0, len(self.first) + count)
        return replace(self, first=first, rows=self.rows[count:])


class Reviewer:
    """Orders the images of a catalogue for review; what it worked out is kept until it changes.

    Threads that share one must take turns.

    Parameters
    ----------
    truth, attributes, searcher : of the catalogue.
    """

    def __init__(self, truth: Truth, attributes: Attributes, searcher: Searcher) -> None:
        self._truth = truth
        self._attributes = attributes
        self._searcher = searcher
        self._columns: dict[str, tuple[object, Column]] = {}
        self._kept: dict[tuple[str, str], tuple[object, _Queue]] = {}

    def review(
        self, name: str, order: ReviewOrder, value: str | None, n: int, offset: int
    ) -> ReviewResult:
        """List a part of what is to be looked at; see `Catalogue.review`."""
        self._attributes.check([name])
        if order not in get_args(ReviewOrder):
            raise InputError(f"order must be one of {', '.join(get_args(ReviewOrder))}: {order!r}")
        if n < 1 or offset < 0:
            raise InputError(f"expected n >= 1 and offset >= 0, got {n} and {offset}")
        values = self._attributes.answers(name)
        if value is not None and value not in (*values, UNKNOWN):
            raise InputError(f"attribute {name!r} has no value {value!r}: {', '.join(values)}")
        key = (
            *(self._attributes.stamp(name), self._attributes.written(name)),
            *(self._truth.locations.version, self._truth.confirmed.version),
            *(self._truth.schema.version, settled_stamp(self._attributes, name)),
        )
        if self._kept.get((name, order), (None,))[0] != key:
            make = {"useful": self._useful, "suspicious": self._suspicious}
            self._kept[name, order] = key, make.get(order, self._untaught)(name, order)
        found = self._kept[name, order][1]
        if value is not None:
            found = found.only(value)
        shown = self._items(name, found.part(offset, offset + n))
        return ReviewResult(len(found), tuple(shown))

    def _untaught(self, name: str, order: str) -> _Queue:
        """List the tagged images that are no examples: the least sure first, or in any order."""
        column = self._column(name)
        taught = many.from_list(example.id for example in self._examples(name))
        wanted = self._truth.locations.has(column.ids)
        places = column.rows(taught)
        wanted[places[places >= 0]] = False
        wanted &= np.array([x != (NOT_APPLICABLE,) for x in column.values], bool)[column.codes]
        # The digits of an id are as good as drawn by lot.
        rows = np.flatnonzero(wanted)
        if order == "uncertain":
            rows = rows[rising(column.confidences[rows])]
        multi = self._attributes.kind(name) == "multi"
        return _Queue([], column, rows, "drawn by lot" if order == "random" else "", multi)

    def _useful(self, name: str, order: str) -> _Queue:
        """List what teaches most; every tenth is an example that the others contradict.

        The least sure are ranked against each other; the others follow by their confidence. An
        attribute that reads the files themselves has no features to compare: the least sure first.
        """
        left = self._untaught(name, "uncertain")
        attribute = self._attributes.get(name)
        if isinstance(attribute, TaughtAttribute) and len(left):
            left = left.ahead(UNSURE)
            ranked = rank_next(*self._doubts(attribute, [one.id for one in left.first]))
            left = replace(left, first=[left.first[row] for row in ranked.tolist()])
        contradictory = self._contradictions(name)
        left = left.ahead(max(EVERY * len(contradictory) - len(left.first), 0))
        for place, one in enumerate(contradictory):
            left.first.insert(EVERY * (place + 1) - 1, one)
        return left

    def _doubts(
        self, attribute: TaughtAttribute, images: Sequence[ImageId]
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Say how unsure the answers for N images are, (N,), and give the look of each, (N, d).

        Tags of the attribute as it is now tell both, and the index; else it answers again.
        """
        name, ids = attribute.name, many.from_list(images)
        if self._attributes.tagged(name) is not None:
            tags, _ = self._attributes.held_to(name, None)
            index, look = self._searcher.synced.get(), f"{TAUGHT_PREFIX}{name}"
            self._searcher.synced.further(index, look)
            rows = many.find(tags.ids, ids)
            doubts = tags.doubts[rows].astype(np.float64) * np.where(tags.known[rows], 1.0, STRANGE)
            there = (rows >= 0) & (many.find(index.held(), ids) >= 0) & ~np.isnan(doubts)
            if there.all():
                looks: NDArray[np.float32] = index.vectors(ids, [look])[look]
                return doubts, looks / np.float32(TAUGHT_SCALE)
        features = self._truth.features.get(images, attribute.layers)
        answers = attribute.answer(features, evidence=1)
        multi = attribute.kind == "multi"
        return np.array([_doubt(one, multi) for one in answers]), attribute.project(features)

    def _suspicious(self, name: str, order: str) -> _Queue:
        """List contradictory examples, then tags that few neighbours share."""
        found = [*self._contradictions(name), *self._disagreeing(name)]
        return _Queue(found, self._column(name), np.empty(0, np.intp), "", False)

    def _contradictions(self, name: str) -> list[_Suspect]:
        taught = self._attributes.taught().get(name)
        if taught is None or name in self._attributes.attached:
            return []
        confirmed = self._truth.confirmed.of(name)
        by_image = {example.image: example for example in taught.examples}
        pairs = self._attributes.taught_attribute(name).contradictions
        if pairs is None or any(one.image not in by_image for one in pairs):
            # An earlier version kept none, or the files have other names by now.
            pairs = fit(self._truth, name, taught, self._attributes.background).contradictions
        found: dict[ImageId, _Suspect] = {}
        for one in pairs:
            example = by_image[one.image]
            if example.id in confirmed or example.id in found:
                continue
            said = f"taught as {one.value}, but "
            reason = (
                f"{said}a copy of it is taught as {one.against_value}"
                if one.reason == "same image"
                else f"{said}the other examples say {one.against_value}"
            )
            found[example.id] = _Suspect(example.id, _said(example, taught.kind), reason, True)
        return list(found.values())

    def _disagreeing(self, name: str) -> list[_Suspect]:
        """Compare tags with those of the images that look most alike, in the look that fits best.

        The look is the built-in one in which the tags of neighbours agree most. Of a large
        catalogue a sample is compared, in bounded time and memory.
        """
        column = self._column(name)
        index = self._searcher.synced.get()
        taught = {example.id for example in self._examples(name)}
        rows = np.flatnonzero(many.find(index.held(), column.ids) >= 0)
        if len(rows) <= NEIGHBOURS:
            return []
        if len(rows) > SAMPLE:
            unsure = rows[rising(column.confidences[rows])[: SAMPLE // 2]]
            spread = rows[:: len(rows) // (SAMPLE // 2)]
            rows = np.union1d(unsure, spread)[:SAMPLE]
        names = self._searcher.space.names
        vectors, ids = index.vectors(column.ids[rows], names), many.to_list(column.ids[rows])
        codes = column.codes[rows]
        agreements = [_agreement(vectors[look], codes) for look in names]
        best = int(np.argmax([one.mean() for one in agreements]))
        agreement = agreements[best]
        multi = self._attributes.kind(name) == "multi"
        found = []
        for place in np.argsort(agreement, kind="stable").tolist():
            if agreement[place] >= AGREEMENT:
                break
            image_id = ids[place]
            if image_id not in taught:
                share = round(float(agreement[place]) * NEIGHBOURS)
                value = _value(column.values[codes[place]], multi)
                reason = (
                    f"of the {NEIGHBOURS} images most like it in {names[best]}, "
                    f"{share or 'none'} {'has' if share <= 1 else 'have'} the same tag"
                )
                found.append(_Suspect(image_id, value, reason))
        return found

    def _items(self, name: str, suspects: Sequence[_Suspect]) -> list[ReviewItem]:
        """Say of each image what the attribute predicts now."""
        attribute = self._attributes.get(name)
        column = self._column(name)
        suspects = [
            one for one in suspects if one.id in self._truth.locations.images or one.example
        ]
        said: list[tuple[str | list[str] | None, float | None, dict[str, float]]] = []
        if attribute.reader is None and suspects:
            features = self._truth.features.get([one.id for one in suspects], attribute.layers)
            answers = attribute.answer(features)
            said = [(one.value, one.confidence, one.values) for one in answers]
        else:
            tags = column.find([one.id for one in suspects])
            for one, tag in zip(suspects, tags, strict=True):
                sure = tag[1] if tag and tag[0] else None
                values = {} if sure is None else dict.fromkeys(_listed(one.value), sure)
                said.append((one.value, sure, values))
        items = []
        for one, (value, confidence, values) in zip(suspects, said, strict=True):
            if one.example or value is None:
                value = one.value if one.example else UNKNOWN
            files = self._truth.locations.images.get(one.id)
            items.append(
                ReviewItem(
                    id=one.id.hex(),
                    image=files[0] if files else self._example_image(name, one.id),
                    value=value,
                    confidence=confidence,
                    values=values,
                    reason=one.reason or _unsure(values, value == UNKNOWN),
                    example=one.example,
                )
            )
        return items

    def _example_image(self, name: str, image_id: ImageId) -> str:
        return next(one.image for one in self._examples(name) if one.id == image_id)

    def _examples(self, name: str) -> list[Example]:
        taught = self._attributes.taught().get(name)
        return taught.examples if taught else []

    def _column(self, name: str) -> Column:
        """Give the tags of an attribute, of an earlier state of it if there are none of this."""
        written = self._attributes.written(name)
        if written is None:
            raise InputError(f"attribute {name!r} is not tagged yet: apply it first")
        key = written, self._truth.schema.version, settled_stamp(self._attributes, name)
        if self._columns.get(name, (None,))[0] != key:
            settled = Settling(self._attributes).of(name, former=True)
            self._columns[name] = key, Column.settled(settled)
        return self._columns[name][1]


def _doubt(answer: Prediction, multi: bool) -> float:
    """Say how unsure an answer is: see `TagBatch.doubts`."""
    first, second = [*answer.values.values(), 0.0, 0.0][:2]
    doubt = 1 - first + second
    if multi:
        doubt = 1 - float(np.mean([max(share, 1 - share) for share in answer.values.values()]))
    return doubt * (STRANGE if answer.value is None else 1)


def _agreement(vectors: NDArray[np.float32], codes: NDArray[np.int32]) -> NDArray[np.float32]:
    """Say of each of N images what share of its nearest neighbours has the same code, (N,)."""
    found = np.empty(len(codes), np.float32)
    # At once: of a matrix with itself half the products are enough.
    distances = -(vectors @ vectors.T)
    np.fill_diagonal(distances, np.inf)
    for start in range(0, len(codes), 512):
        some = distances[start : start + 512]
        nearest = np.argpartition(some, NEIGHBOURS - 1, axis=1)[:, :NEIGHBOURS]
        same = codes[nearest] == codes[start : start + 512, None]
        found[start : start + 512] = same.mean(axis=1)
    return found


def _value(values: Sequence[str], multi: bool) -> str | list[str]:
    some = list(values) or [UNKNOWN]
    return some if multi else some[0]


def _said(example: Example, kind: str) -> str | list[str]:
    values = [value for value, present in example.values.items() if present]
    return values if kind == "multi" or len(values) != 1 else values[0]


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _unsure(values: dict[str, float], unknown: bool) -> str:
    if unknown:
        best = list(values)[:2]
        return f"unlike the examples; most like {' or '.join(best)}" if best else "unknown"
    said = [f"{100 * p:.0f} % {value}" for value, p in list(values.items())[:2]]
    word = "unsure" if not values or any(1 - SURE < p < SURE for p in values.values()) else "sure"
    return f"{word}: {', '.join(said)}" if said else word
