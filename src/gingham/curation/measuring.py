"""What is measured of one picture file, in this process or by a worker of a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image

from gingham.backbones.runtime import cpu_count, limit_cpus
from gingham.errors import ImageError
from gingham.extract import VIEWS, Extracted, Item, View, identify, in_order
from gingham.images import ImageId, ImageSource, open_image
from gingham.store import ids as many
from gingham.store.ids import Ids

SIDE = 32
"""Of a thumbnail, which is stretched to a square: the size on which a perceptual hash works."""

_EDGES = 256


@dataclass(frozen=True)
class Measured(Extracted):
    """What came of one picture file.

    Attributes
    ----------
    measures : column of the fingerprints -> value; empty if they are known, or on failure.
    """

    measures: dict[str, Any] = field(default_factory=dict)


def measure(
    images: Sequence[ImageSource], known: Ids, max_pixels: int
) -> Generator[Measured, None, None]:
    """Measure picture files in threads, in order; of copies the first. Close the generator.

    Parameters
    ----------
    known : the sorted ids of those that were measured before.
    max_pixels : the largest picture that is decoded.
    """
    claimed: set[ImageId] = set()

    def unmeasured(image_id: ImageId) -> tuple[View, ...]:
        if image_id in claimed or many.find_one(known, image_id) >= 0:
            return ()
        claimed.add(image_id)
        return VIEWS

    def measured(item: Item) -> Measured:
        done = Measured(item.image, item.name, item.id, {}, item.reason)
        if not item.views or item.id is None:
            return done
        try:
            return replace(done, measures=_measure(item.data, item.id, max_pixels))
        except ImageError as error:
            return replace(done, reason=str(error))

    count = cpu_count()
    with ThreadPoolExecutor(count, thread_name_prefix="measure") as pool:
        items = identify(images, unmeasured)
        yield from in_order(pool, measured, items, window=4 * count)


class MeasuringWorker:
    """Measures picture files on a cluster; see `gingham.cluster.worker.ClusterWorker`.

    Parameters
    ----------
    max_pixels, known : see `measure`.
    cpus : threads that decode.
    """

    def __init__(self, max_pixels: int, known: Ids, cpus: int) -> None:
        self._max_pixels, self._known, self._cpus = max_pixels, known, cpus

    def prepare(self) -> None:
        """Take no more threads than there are CPUs for."""
        limit_cpus(self._cpus)

    def read(self, images: Sequence[ImageSource]) -> list[Measured]:
        """Give what came of each, in order."""
        with closing(measure(images, self._known, self._max_pixels)) as results:
            return list(results)


def _measure(data: bytes, image_id: ImageId, max_pixels: int) -> dict[str, Any]:
    picture = open_image(data, max_pixels=max_pixels)
    head = f"{picture.width}x{picture.height}".encode()
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return {
        "id": image_id,
        "width": picture.width,
        "height": picture.height,
        "pixels": hashlib.blake2b(head + picture.tobytes(), digest_size=16).digest(),
        "thumbnail": small.tobytes(),
        "sharpness": sharpness_of(picture),
    }


def sharpness_of(picture: Image.Image) -> float:
    """Say how sharp the sharpest edges of a picture are, at 256 pixels, against its contrast.

    The 99.5th percentile of the absolute Laplacian of the brightness, over its standard deviation
    (4 at least): 1 and more in photos, below 0.5 where they are blurred over a hundredth of a side.
    """
    grey = picture.convert("L")
    grey.thumbnail((_EDGES, _EDGES), Image.Resampling.BOX)
    g = np.asarray(grey, np.float32)
    if min(g.shape) < 3:
        return 0.0
    around = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:]
    edges = np.abs(4 * g[1:-1, 1:-1] - around)
    return float(np.percentile(edges, 99.5) / max(float(g.std()), 4.0))
