"""The one reading pipeline: `identify` images, `extract` their features, `read_into` a store.

Reading, decoding and inference overlap; everything streams, in order and in bounded memory.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Features, Runtime, cpu_count
from gingham.decoding.decode import Decoded, decode
from gingham.errors import ImageError
from gingham.images import (
    WHOLE,
    Box,
    ImageId,
    ImageSource,
    hash_source,
    open_file,
)
from gingham.object_storage import is_object_address
from gingham.options import DEFAULTS, ReadOptions

A = TypeVar("A")
B = TypeVar("B")

PLAIN = "plain"

KEEP_VIEWS = 512
KEEP_IMAGES = 8192
KEEP_SECONDS = 30.0


@dataclass(frozen=True)
class View:
    """A way to read an example: a box in fractions of what is read of it, and a mirror."""

    name: str
    box: Box = WHOLE
    mirror: bool = False


VIEWS = (View(PLAIN),)
"""How `index` reads an image: plainly, once."""

Views = Callable[[ImageId], tuple[View, ...]]
"""What to read of an image; no view means that it is known."""

Recognise = Callable[[ImageSource], ImageId | None]
"""Gives the id of an image that is known without its bytes; called by several threads."""


@dataclass(frozen=True)
class Item:
    """An image before it is read: what identifies it, and its bytes where they must be decoded.

    Attributes
    ----------
    image : the path as it was given. Of bytes and open files the id in hexadecimal, or the type,
        `<bytes>`, where they are empty or cannot be read.
    name : by which a catalogue knows it: the absolute path, or `image` where there is no path.
    id : SHA-256 of its bytes; None if they could not be read.
    data : its bytes; empty if nothing is to be decoded, or of a file that is read again for it,
        since it is too large to be held.
    views : what to read of it; none if it is known or failed.
    reason : why it failed; None if it did not.
    note : what of it could not be used.
    """

    image: str
    name: str
    id: ImageId | None
    data: bytes = b""
    views: tuple[View, ...] = ()
    reason: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Extracted:
    """What came of one image: new features, a known image, or the reason of a failure.

    Attributes
    ----------
    image, name, id : see `Item`.
    features : view -> layer -> (2C,) float32; empty if nothing was to be read, or on failure.
    reason : why it failed; None if it did not.
    note : what of it could not be used.
    """

    image: str
    name: str
    id: ImageId | None
    features: dict[str, Features]
    reason: str | None = None
    note: str | None = None


def unrecognised(image: ImageSource) -> ImageId | None:
    """Recognise no image, so that all are read."""


def identify(
    images: Iterable[ImageSource],
    views: Views = lambda image_id: VIEWS,
    *,
    recognise: Recognise = unrecognised,
    workers: int | None = None,
) -> Generator[Item, None, None]:
    """Read and hash images in threads, in order, and decide what to extract from each.

    Nothing is raised: an image that cannot be read is an item with a reason.

    Parameters
    ----------
    images : paths, bytes or open files.
    views : called once for each image that can be read, in order.
    recognise : says which images need not be read.
    workers : threads; None means one per core, 0 that the caller's thread reads.
    """
    count = cpu_count() if workers is None else workers
    read = partial(_read, recognise=recognise)
    with ExitStack() as stack:
        found: Iterator[Item] = map(read, images)
        if count:
            pool = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="read"))
            found = in_order(pool, read, images, window=4 * count)
        for item in found:
            chosen = () if item.id is None else views(item.id)
            yield replace(item, data=item.data if chosen else b"", views=chosen)


def _read(source: ImageSource, recognise: Recognise) -> Item:
    image = name = f"<{type(source).__name__}>"
    if isinstance(source, (str, os.PathLike)):
        image, name = os.fspath(source), absolute(source)
    if (known := recognise(source)) is not None:
        return Item(image, name, known)
    try:
        image_id, data = hash_source(source)
    except ImageError as error:
        return Item(image, name, None, reason=str(error))
    if not isinstance(source, (str, os.PathLike)):
        image = name = image_id.hex()
    return Item(image, name, image_id, data or b"")


def extract(
    items: Iterable[Item],
    runtime: Runtime,
    *,
    layers: tuple[str, ...] | None = None,
    options: ReadOptions = DEFAULTS,
    workers: int | None = None,
) -> Generator[Extracted, None, None]:
    """Decode items and run them through the backbone, in order.

    It needs nothing but its arguments, so items may be sent to another process and extracted
    there. Nothing is raised: an image that cannot be decoded, or whose features are not finite in
    float16, gives its reason and no features.

    Parameters
    ----------
    items : see `identify`.
    runtime : the backbone.
    layers : the layers to give out; None means all.
    options : its limit of pixels is used; progress is the caller's.
    workers : decoding threads; None means one per core, 0 that the caller's thread decodes.
    """
    config = runtime.config.preprocess
    count = cpu_count() if workers is None else workers

    def decode(item: Item) -> tuple[Item, list[NDArray[np.uint8]]]:
        if not item.views:
            return item, []
        # The bytes are let go before the image queues for the network.
        rest = replace(item, data=b"")
        try:
            decoded = _decode(item, options.max_pixels, config.size)
        except ImageError as error:
            return replace(rest, views=(), reason=str(error)), []
        picture, rest = decoded.image, replace(rest, note=decoded.note)
        inputs = [config.apply(picture, box=one.box, mirror=one.mirror) for one in item.views]
        return rest, inputs

    def flatten(
        decoded: Iterable[tuple[Item, list[NDArray[np.uint8]]]],
    ) -> Iterator[tuple[tuple[Item, str], NDArray[np.uint8] | None]]:
        for item, inputs in decoded:
            if not inputs:
                yield (item, ""), None
            for view, one in zip(item.views, inputs, strict=True):
                yield (item, view.name), one

    with ExitStack() as stack:
        decoded: Iterator[tuple[Item, list[NDArray[np.uint8]]]] = map(decode, items)
        if count:
            pool = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="decode"))
            decoded = in_order(pool, decode, items, window=4 * count)
        gathered: dict[str, Features] = {}
        for (item, view), features in runtime.stream(flatten(decoded), layers):
            if features is not None:
                gathered[view] = features
            if len(gathered) == len(item.views):
                reason = item.reason or _not_finite(gathered)
                found = {} if reason else gathered
                yield Extracted(item.image, item.name, item.id, found, reason, item.note)
                gathered = {}


def _decode(item: Item, max_pixels: int, draft: int) -> Decoded:
    if item.data:
        return decode(item.data, max_pixels=max_pixels, draft=draft)
    with open_file(item.name) as file:
        decoded = decode(file, max_pixels=max_pixels, draft=draft)
    if hash_source(item.name)[0] != item.id:
        raise ImageError("it changed while it was read: try again")
    return decoded


def _not_finite(features: dict[str, Features]) -> str | None:
    """Say which layers hold what float16 cannot: NaN, or numbers beyond 65504."""
    with np.errstate(over="ignore"):
        every = [row for rows in features.values() for row in rows.values()]
        if not every or np.isfinite(np.concatenate(every).astype(np.float16)).all():
            return None
        bad = {
            layer: None
            for rows in features.values()
            for layer, row in rows.items()
            if not np.isfinite(row.astype(np.float16)).all()
        }
    return f"its features are not finite in layer {', '.join(bad)}: leave it out"


def read_into(
    keep: Callable[[dict[ImageId, dict[str, Features]]], None],
    images: Iterable[ImageSource],
    runtime: Runtime,
    *,
    missing: Views,
    options: ReadOptions,
    step: str,
    total: int,
    recognise: Recognise = unrecognised,
) -> Generator[Extracted, None, None]:
    """Read what a store lacks of images, and hand it over every few hundred images.

    Of copies only the first is read; a copy of an image that failed fails for the same reason.
    However the loop ends, by Ctrl-C too, what was read is handed over. Close the generator.

    Parameters
    ----------
    keep : puts id -> view -> layer -> (2C,) float32 in the store; called after an image has been
        given out, also with nothing new when some time has passed.
    images : paths, bytes or open files.
    runtime : the backbone.
    missing : what the store lacks of an image.
    options : the largest image, and progress.
    step, total : for progress.
    recognise : see `identify`; what it knows is in the store.

    Yields
    ------
    Every image, in order, before its features are handed over.
    """
    waiting: dict[ImageId, dict[str, Features]] = {}
    reasons: dict[ImageId, str] = {}
    claimed: set[ImageId] = set()

    def unclaimed(image_id: ImageId) -> tuple[View, ...]:
        if image_id in claimed:
            return ()
        claimed.add(image_id)
        return missing(image_id)

    def hand_over() -> None:
        keep(waiting)
        waiting.clear()

    views = given = 0
    kept = time.monotonic()
    items = identify(images, unclaimed, recognise=recognise, workers=_readers(images))
    try:
        with closing(extract(items, runtime, options=options)) as results:
            for done, item in enumerate(results, 1):
                if item.id is not None and item.reason is not None:
                    reasons[item.id] = item.reason
                elif item.id is not None and item.features:
                    waiting[item.id] = item.features
                    views += len(item.features)
                elif item.id in reasons:
                    item = replace(item, reason=reasons[item.id])
                yield item
                options.progress(step, done, total)
                given += 1
                late = time.monotonic() - kept > KEEP_SECONDS
                if views >= KEEP_VIEWS or given >= KEEP_IMAGES or late:
                    hand_over()
                    views, given, kept = 0, 0, time.monotonic()
    finally:
        hand_over()


def _readers(images: Iterable[ImageSource]) -> int | None:
    """Say how many threads read: more where they wait for answers from object storage."""
    far = isinstance(images, Sequence) and any(map(is_object_address, images))
    return max(8, 4 * cpu_count()) if far else None


def in_order(
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
    if is_object_address(path):
        return str(path)
    return os.path.abspath(os.fspath(path))
