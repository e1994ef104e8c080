"""Images -> features: reading, decoding and inference overlap; it streams, in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Features, Runtime, cpu_count
from gingham.errors import ImageError
from gingham.images import WHOLE, Box, open_image, read_file, resize
from gingham.options import DEFAULTS, ReadOptions
from gingham.store.features import ImageId

A = TypeVar("A")
B = TypeVar("B")

PLAIN = "plain"


@dataclass(frozen=True)
class View:
    """A way to read an example: a box in fractions of what is read of it, and a mirror."""

    name: str
    box: Box = WHOLE
    mirror: bool = False


VIEWS = (View(PLAIN),)
"""How `index` reads an image: plainly, once."""


@dataclass(frozen=True)
class Extracted:
    """What came of one file: new features, an image known before, or the reason of a failure.

    Attributes
    ----------
    image : the path as it was given.
    id : SHA-256 of the file's bytes; None if they could not be read.
    features : view -> layer -> (2C,) float32; empty if nothing was to be read, or on failure.
    reason : why it failed; None if it did not.
    """

    image: str
    id: ImageId | None
    features: dict[str, Features]
    reason: str | None = None


@dataclass(frozen=True)
class _Read:
    image: str
    data: bytes
    id: ImageId | None
    views: tuple[View, ...]
    reason: str | None


def extract(
    images: Iterable[str],
    runtime: Runtime,
    *,
    layers: tuple[str, ...] | None = None,
    views: Callable[[ImageId], tuple[View, ...]] = lambda image_id: VIEWS,
    options: ReadOptions = DEFAULTS,
    workers: int | None = None,
) -> Generator[Extracted, None, None]:
    """Read image files into features, in order.

    Files are read and hashed, decoded, and run through the network at the same time, with a
    bounded number of images in flight. A file that cannot be read gives its reason; nothing
    is raised.

    Parameters
    ----------
    images : paths.
    runtime : the backbone.
    layers : the layers to give out; None means all.
    views : called once for each file with its id, in order; what to read of it. No view means
        that the image is known, and it is not decoded.
    options : its limit of pixels is used; progress is the caller's.
    workers : decoding threads; None means one a core.
    """
    config = runtime.config.preprocess
    count = workers or cpu_count()

    def read(image: str) -> _Read:
        try:
            data = read_file(image)
        except ImageError as error:
            return _Read(image, b"", None, (), str(error))
        return _Read(image, data, hashlib.sha256(data).digest(), (), None)

    def choose(item: _Read) -> _Read:
        if item.id is None or not (chosen := views(item.id)):
            return _Read(item.image, b"", item.id, (), item.reason)
        return _Read(item.image, item.data, item.id, chosen, None)

    def decode(item: _Read) -> tuple[_Read, list[NDArray[np.uint8]]]:
        if not item.views:
            return item, []
        try:
            picture = open_image(item.data, max_pixels=options.max_pixels, draft=config.size)
        except ImageError as error:
            return _Read(item.image, b"", item.id, (), str(error)), []
        squares = [
            resize(
                picture,
                config.size,
                interpolation=config.interpolation,
                crop=config.crop,
                box=view.box,
                mirror=view.mirror,
            )
            for view in item.views
        ]
        # The bytes are done with; let them go before the image queues for the network.
        return _Read(item.image, b"", item.id, item.views, None), squares

    def flatten(
        decoded: Iterable[tuple[_Read, list[NDArray[np.uint8]]]],
    ) -> Iterator[tuple[tuple[_Read, str], NDArray[np.uint8] | None]]:
        for item, squares in decoded:
            if not squares:
                yield (item, ""), None
            for view, square in zip(item.views, squares, strict=True):
                yield (item, view.name), square

    with ThreadPoolExecutor(count, thread_name_prefix="decode") as pool:
        reads = _ordered_map(pool, read, images, window=4 * count)
        chosen = (choose(item) for item in reads)
        decoded = _ordered_map(pool, decode, chosen, window=4 * count)
        gathered: dict[str, Features] = {}
        for (item, view), features in runtime.stream(flatten(decoded), layers):
            if features is not None:
                gathered[view] = features
            if len(gathered) == len(item.views):
                yield Extracted(item.image, item.id, gathered, item.reason)
                gathered = {}


def _ordered_map(
    pool: ThreadPoolExecutor, function: Callable[[A], B], items: Iterable[A], *, window: int
) -> Iterator[B]:
    """Map in threads, results in order, at most `window` items ahead of the consumer."""
    pending: deque[Future[B]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= window:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def absolute(path: str | os.PathLike[str]) -> str:
    """The name by which a catalogue knows a file: absolute, symbolic links kept."""
    return os.path.abspath(os.fspath(path))
