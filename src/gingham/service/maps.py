"""Maps of the catalogue, kept until its images or the look change."""

from __future__ import annotations

from collections.abc import Callable

from gingham.attributes.registry import Attributes
from gingham.attributes.tags import Column, TagReader
from gingham.index.looks import TAUGHT_PREFIX
from gingham.operations.map import ImageMap, draw_map
from gingham.operations.search import Searcher
from gingham.service.recent import Recent
from gingham.store.truth import Truth

KEPT = 64 << 20
"""Bytes of maps that are kept: three of 100,000 images."""


class Maps:
    """Draws maps; threads that share one must take turns.

    Parameters
    ----------
    truth, attributes, searcher : of the catalogue.
    tags : gives the values of points.
    """

    def __init__(
        self, truth: Truth, attributes: Attributes, searcher: Searcher, tags: TagReader
    ) -> None:
        self._truth = truth
        self._attributes = attributes
        self._searcher = searcher
        self._tags = tags
        # An id of 64 digits takes some 110 bytes, and its place in the list 8.
        self._kept: Recent[tuple[str, str, int], ImageMap] = Recent(
            KEPT, lambda one: one.points.nbytes + 120 * len(one.ids)
        )

    def draw(
        self, look: str, colour_by: str | None, check: Callable[[], None]
    ) -> tuple[ImageMap, Column | None]:
        """Give all images as points, see `draw_map`, and the tags of an attribute.

        Raises
        ------
        InputError
            If the look or the attribute is not there.
        """
        column = None
        if colour_by is not None:
            self._attributes.check([colour_by])
            column = self._tags.column(colour_by)
        name = look.removeprefix(TAUGHT_PREFIX)
        taught = look.startswith(TAUGHT_PREFIX) and name in self._attributes.names()
        stamp = self._attributes.taught_attribute(name).stamp if taught else ""
        key = (look, stamp, self._truth.locations.version)
        if (found := self._kept.get(key)) is None:
            found = draw_map(self._searcher, look, check)
            self._kept.put(key, found)
        return found, column
