"""Lists of images in an order, kept so that any part of one is given at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes
from gingham.attributes.tags import Column, TagReader, rising
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.operations.search import Searcher
from gingham.recent import Recent
from gingham.results import Result
from gingham.store import ids as many
from gingham.store.ids import Ids
from gingham.store.truth import Truth

KEPT = 64 << 20
"""Bytes of lists that are kept: twenty of 100,000 images."""


@dataclass(frozen=True)
class Listed(Result):
    """One image of a list.

    Attributes
    ----------
    id, image, copies : the id, the file, and other files with the same bytes.
    attributes : attribute -> value, list of values, or `unknown`, of those that are tagged.
    confidence : attribute -> that its value is right, 0 to 1, of those that are not unknown.
    best_guess : attribute -> what is likeliest, of those that are.
    """

    id: str
    image: str
    copies: tuple[str, ...]
    attributes: dict[str, str | list[str]]
    confidence: dict[str, float]
    best_guess: dict[str, str | list[str]]


class Listings:
    """The images that match filters, in the order they were added or by confidence.

    Threads that share one must take turns.

    Parameters
    ----------
    truth, attributes, searcher : of the catalogue.
    tags : gives the confidences.
    """

    def __init__(
        self, truth: Truth, attributes: Attributes, searcher: Searcher, tags: TagReader
    ) -> None:
        self._truth = truth
        self._attributes = attributes
        self._searcher = searcher
        self._tags = tags
        self._kept: Recent[tuple[object, ...], Ids] = Recent(KEPT, lambda ids: ids.nbytes)
        self._order: tuple[object, NDArray[np.int32]] = None, np.empty(0, np.int32)
        self._counts: dict[str, tuple[object, int]] = {}

    def ids(self, where: Sequence[str], unsure_of: str | None, cutoff: Cutoff | None = None) -> Ids:
        """List images.

        Parameters
        ----------
        where : filters, see `Catalogue.search`.
        unsure_of : an attribute; the images of whose tag it is least sure come first, and those
            without a tag last. None: in the order they were added.
        cutoff : how sure the tags must be that are filtered by; see `Attributes.predictions`.

        Raises
        ------
        InputError
            If an attribute or a value is not there, or the attribute is not tagged.
        """
        names = self._attributes.answering()
        stamps = tuple((name, self._attributes.tagged(name)) for name in names)
        key = (tuple(where), unsure_of, cutoff, self._truth.locations.version, stamps)
        if (found := self._kept.get(key)) is None:
            found = self._added()
            if where or unsure_of is not None:
                found = many.take(found, self._places(found, where, unsure_of, cutoff))
            self._kept.put(key, found)
        return found

    def _places(
        self, ids: Ids, where: Sequence[str], unsure_of: str | None, cutoff: Cutoff | None
    ) -> NDArray[np.int64]:
        """Say which of N images are listed, in order; what sorted ids tell is looked up quickly."""
        version = self._truth.locations.version
        if self._order[0] != (version, len(ids)):
            self._order = (version, len(ids)), many.order(ids).astype(np.int32)
        order = self._order[1]
        in_order, chosen = many.take(ids, order), np.arange(len(ids))
        if where:
            rows = many.find(in_order, self._searcher.matching(where, cutoff))
            chosen = np.sort(order[rows[rows >= 0]]).astype(np.int64)
        if unsure_of is not None:
            confidences = np.empty(len(ids), np.float32)
            confidences[order] = _confidences(in_order, self._column(unsure_of))
            chosen = chosen[rising(confidences[chosen])]
        return chosen

    def tagged(self, name: str) -> int:
        """Count the images with a tag of an attribute as it is now."""
        key = (self._attributes.tagged(name), self._truth.locations.version)
        if name not in self._counts or self._counts[name][0] != key:
            self._counts[name] = key, self._attributes.tagged_count(name)
        return self._counts[name][1]

    def _added(self) -> Ids:
        return self._truth.locations.ids()

    def _column(self, name: str) -> Column:
        self._attributes.check([name])
        column = self._tags.column(name)
        if column is None:
            raise InputError(f"attribute {name!r} is not tagged yet: apply it first")
        return column


def _confidences(ids: Ids, column: Column) -> NDArray[np.float32]:
    """Give the confidence of each image's tag; infinity where there is none."""
    rows = column.rows(ids)
    found = np.full(len(ids), np.inf, np.float32)
    found[rows >= 0] = column.confidences[rows[rows >= 0]]
    return found
