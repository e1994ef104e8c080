"""A catalogue as points in the plane, kept in a file and drawn further when images come."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from gingham.attributes.registry import Attributes
from gingham.backbones.image_text import TEXT
from gingham.errors import InputError
from gingham.index.descriptor_looks import descriptor_looks
from gingham.index.looks import TAUGHT_PREFIX
from gingham.names import did_you_mean
from gingham.operations.layout import Floats, Layout, projected
from gingham.operations.search import Searcher
from gingham.options import Progress
from gingham.store import ids as many
from gingham.store.files import replacing
from gingham.store.ids import KIND, Ids
from gingham.store.truth import Truth

MOST = 100_000
"""Images that are drawn; of more, a sample."""
SAMPLE = 4000
"""Images from which the directions of a projection are learned."""
BATCH = 4096
MUCH = 1.5
"""A map of so many times the images that it was made for could be better."""


class LookVectors:
    """The vectors of all images in one look, read a part at a time.

    Parameters
    ----------
    truth, attributes, searcher : of the catalogue.
    look : a built-in one, a descriptor's, or `attribute:NAME`.
    turn : taken while a part is read; others have the index in between.

    Attributes
    ----------
    stamp : differs whenever a vector could.

    Raises
    ------
    InputError
        If there is no such look.
    """

    def __init__(
        self,
        truth: Truth,
        attributes: Attributes,
        searcher: Searcher,
        look: str,
        turn: AbstractContextManager[object],
    ) -> None:
        if look not in searcher.looks:
            raise InputError(
                f"unknown look {look!r}; known: {', '.join(searcher.looks)}"
                f"{did_you_mean(look, searcher.looks)}"
            )
        self.look = look
        self._truth = truth
        self._locations = truth.locations
        self._attributes = attributes
        self._searcher = searcher
        self._parts = list(descriptor_looks(truth.config).get(look, (look,)))
        self._turn = turn
        self.stamp = self._now()

    @property
    def taught(self) -> bool:
        """Whether it is the look of a taught attribute."""
        return self.look.startswith(TAUGHT_PREFIX)

    def ids(self) -> tuple[Ids, int]:
        """Give the images to draw, sorted, and count those that there are.

        Of a large catalogue they are those whose ids come first: hashes are as good as drawn by
        lot, and most of these stay when others come.
        """
        with self._turn:
            ids = self._searcher.synced.get().held()
        return ids[:MOST].copy(), len(ids)

    def rows(self, ids: Ids) -> tuple[Ids, Floats]:
        """Give the images of some ids that are still there, and their (N, D) vectors.

        Raises
        ------
        InputError
            If the look is not what it was any more.
        """
        with self._turn:
            index = self._searcher.synced.get()
            if self.look not in self._searcher.looks or self._now() != self.stamp:
                raise InputError(f"{self.look} was changed while its map was drawn: ask again")
            for part in self._parts:
                if part not in self._searcher.space.names:
                    self._searcher.synced.further(index, part)
            there = ids[self._locations.has(ids)]
            found = index.vectors(there, self._parts)
        return there, np.concatenate([found[part] for part in self._parts], axis=1, dtype="f4")

    def _now(self) -> str:
        if self.taught:
            return self._attributes.taught_attribute(self.look.removeprefix(TAUGHT_PREFIX)).stamp
        if self.look == TEXT:
            return str(self._truth.text.fingerprint)
        return self._searcher.space.fingerprint


@dataclass(frozen=True)
class ImageMap:
    """Images as points.

    Attributes
    ----------
    look : in which images are compared.
    stamp : of the look.
    layout : by which they were placed.
    ids : (N,) sorted; see `LookVectors.ids`.
    points : (N, 2) float32, from -1 to 1.
    total : how many images there are.
    """

    look: str
    stamp: str
    layout: Layout
    ids: Ids
    points: Floats
    total: int

    @property
    def method(self) -> str:
        """`pca`; `lda` in the space that an attribute was taught; `umap`."""
        return self.layout.method

    @property
    def grown(self) -> bool:
        """Whether there are many more images than it was made for."""
        return self.total > MUCH * self.layout.fitted

    def save(self, path: Path) -> None:
        """Keep it in a file."""
        layout: dict[str, Any] = {
            f"layout_{name}": value for name, value in vars(self.layout).items()
        }
        ids = np.frombuffer(self.ids.tobytes(), np.uint8)
        with replacing(path) as temporary, temporary.open("wb") as file:
            own = {"look": self.look, "stamp": self.stamp, "total": np.array(self.total)}
            np.savez(file, ids=ids, points=self.points, **(own | layout))

    @classmethod
    def load(cls, path: Path, look: str, stamp: str) -> Self | None:
        """Read what `save` kept; None if it is of another look, damaged or not there."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                if (str(kept["look"]), str(kept["stamp"])) != (look, stamp):
                    return None
                ids = np.frombuffer(kept["ids"].tobytes(), KIND)
                arrays = ("mean", "directions", "anchors", "places", "centre")
                layout = Layout(
                    method=str(kept["layout_method"]),
                    fitted=int(kept["layout_fitted"]),
                    scale=float(kept["layout_scale"]),
                    **{name: kept[f"layout_{name}"] for name in arrays},
                )
                return cls(look, stamp, layout, ids, kept["points"], int(kept["total"]))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None


def draw_map(vectors: LookVectors, progress: Progress) -> ImageMap:
    """Project images onto the two directions in which a look varies most.

    Parameters
    ----------
    vectors : of the look.
    progress : called before each part; may raise to give up.
    """
    ids, total = vectors.ids()
    there, sample = vectors.rows(sampled(ids, SAMPLE))
    method = "lda" if vectors.taught else "pca"
    if not len(there):
        sample = np.zeros((1, sample.shape[1]), np.float32)
    return place_all(vectors, projected(method, total, sample), ids, total, progress)


def sampled(ids: Ids, most: int) -> Ids:
    """Give so many ids at most; sorted hashes are in no order, so every n-th one will do."""
    return ids[:: max(1, -(-len(ids) // most))]


def place_all(
    vectors: LookVectors, layout: Layout, ids: Ids, total: int, progress: Progress
) -> ImageMap:
    """Give images their points by a layout; those that were removed meanwhile are left out."""
    there = [ids[:0]]
    points = [np.zeros((0, 2), np.float32)]
    for start in range(0, len(ids), BATCH):
        progress("place", start, len(ids))
        some, rows = vectors.rows(ids[start : start + BATCH])
        there.append(some)
        points.append(layout.place(rows))
    placed = np.concatenate(there), np.concatenate(points)
    return ImageMap(vectors.look, vectors.stamp, layout, *placed, total)


def follow(drawn: ImageMap, vectors: LookVectors, progress: Progress) -> ImageMap:
    """Place the images that are new, and leave those out that are gone.

    A projection of many times the images that it was made for is made again; an arrangement
    only when it is asked for.
    """
    now, total = vectors.ids()
    if drawn.method != "umap" and total > MUCH * drawn.layout.fitted:
        return draw_map(vectors, progress)
    known = many.find(drawn.ids, now) >= 0
    if known.all() and (len(now), total) == (len(drawn.ids), drawn.total):
        return drawn
    new = place_all(vectors, drawn.layout, now[~known], total, progress)
    kept = many.find(now, drawn.ids) >= 0
    joined = np.concatenate([drawn.ids[kept], new.ids])
    order = many.order(joined)
    points = np.concatenate([drawn.points[kept], new.points])[order]
    return replace(drawn, ids=joined[order], points=points, total=total)
