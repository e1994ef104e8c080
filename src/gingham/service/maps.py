"""Maps of the catalogue, kept in files and drawn further when images come."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from gingham.attributes.registry import Attributes
from gingham.errors import StorageError
from gingham.names import folder_name
from gingham.operations.map import ImageMap, LookVectors, draw_map, follow
from gingham.operations.search import Searcher
from gingham.options import Progress
from gingham.recent import Recent
from gingham.service.arranging import arrange_map, check_arrangeable
from gingham.store.truth import Truth

logger = logging.getLogger(__name__)

KEPT = 64 << 20
"""Bytes of maps that are kept in memory: a dozen of 100,000 images."""


class Maps:
    """Draws maps; threads may call all methods together.

    Parameters
    ----------
    truth, attributes, searcher : of the catalogue.
    turn : taken while the searcher is asked.
    folder : of the files.
    may_write : says whether maps are kept there now, or in memory alone.
    """

    def __init__(
        self,
        truth: Truth,
        attributes: Attributes,
        searcher: Searcher,
        turn: AbstractContextManager[object],
        folder: Path,
        may_write: Callable[[], bool],
    ) -> None:
        self._truth = truth
        self._attributes = attributes
        self._searcher = searcher
        self._turn = turn
        self._folder = folder
        self._may_write = may_write
        self._drawing: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._kept: Recent[str, tuple[int, ImageMap]] = Recent(
            KEPT, lambda one: one[1].points.nbytes + one[1].ids.nbytes + (4 << 20)
        )

    def draw(self, look: str, progress: Progress) -> ImageMap:
        """Give all images as points: as they were arranged, or else projected at once.

        Raises
        ------
        InputError
            If there is no such look.
        """
        vectors = self._vectors(look)
        if (drawn := self._drawn(vectors)) is not None:
            return drawn
        with self._drawing[look]:
            if (drawn := self._drawn(vectors)) is not None:
                return drawn
            version = self._truth.locations.version
            kept = self._kept.get(look)
            if kept is not None and kept[1].stamp == vectors.stamp:
                before: ImageMap | None = kept[1]
            else:
                before = self._load(vectors)
            drawn = follow(before, vectors, progress) if before else draw_map(vectors, progress)
            self._keep(version, drawn, save=drawn is not before)
            return drawn

    def _drawn(self, vectors: LookVectors) -> ImageMap | None:
        """Give a map that is in memory as it is to be; None if it must be drawn."""
        version, drawn = self._kept.get(vectors.look) or (-1, None)
        there = drawn is not None and drawn.stamp == vectors.stamp
        return drawn if there and version == self._truth.locations.version else None

    def check(self, look: str) -> None:
        """Refuse what cannot be arranged.

        Raises
        ------
        InputError
            If there is no such look, or too few images.
        MissingExtraError
            If umap-learn is not installed.
        """
        self._vectors(look)
        check_arrangeable(len(self._truth.locations.images))

    def arrange(self, look: str, progress: Progress) -> ImageMap:
        """Arrange all images so that neighbours stay together, which takes long, and keep that.

        Raises
        ------
        InputError, MissingExtraError, ProblemError
            See `arrange_map`.
        """
        version = self._truth.locations.version
        drawn = arrange_map(self._vectors(look), progress)
        with self._drawing[look]:
            self._keep(version, drawn, save=True)
        return drawn

    def _vectors(self, look: str) -> LookVectors:
        return LookVectors(self._truth, self._attributes, self._searcher, look, self._turn)

    def _load(self, vectors: LookVectors) -> ImageMap | None:
        return ImageMap.load(self._path(vectors.look), vectors.look, vectors.stamp)

    def _keep(self, version: int, drawn: ImageMap, *, save: bool) -> None:
        self._kept.put(drawn.look, (version, drawn))
        if save and self._may_write():
            try:
                drawn.save(self._path(drawn.look))
            except StorageError as error:
                logger.warning("%s; until then the map is drawn again when needed", error)

    def _path(self, look: str) -> Path:
        return self._folder / f"{folder_name(look)}.npz"
