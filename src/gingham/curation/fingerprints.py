"""What is measured of each picture file, once: its size, a hash of its pixels, a thumbnail."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from gingham.backbones.runtime import cpu_count
from gingham.errors import ImageError
from gingham.extract import VIEWS, Item, View, identify, in_order
from gingham.images import ImageId, open_image
from gingham.options import ReadOptions
from gingham.store.files import LocalFiles, allocate, refusals
from gingham.store.shards import Shards

SIDE = 32
"""Of a thumbnail, which is stretched to a square: the size on which a perceptual hash works."""

_SHARD = 4096
_EDGES = 256
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(32), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("pixels", pa.binary(16), nullable=False),
        pa.field("thumbnail", pa.binary(SIDE * SIDE * 3), nullable=False),
        pa.field("sharpness", pa.float32(), nullable=False),
    ],
    metadata={"gingham.fingerprints": "2"},
)


@dataclass(frozen=True)
class Fingerprints:
    """What was measured of N pictures; of one that could not be read, zeros.

    Attributes
    ----------
    ids : SHA-256 of each file's bytes; None if it could not be read.
    reasons : row -> why it could not be read.
    size : (N, 2) int, width and height, upright.
    pixels : (N,) 16-byte hash of the decoded pixels.
    thumbnails : (N, 32, 32, 3) uint8, on disk: whoever asks for rows reads them.
    sharpness : (N,) float32, see `sharpness_of`.
    """

    ids: list[ImageId | None]
    reasons: dict[int, str]
    size: NDArray[np.int64]
    pixels: NDArray[np.bytes_]
    thumbnails: NDArray[np.uint8]
    sharpness: NDArray[np.float32]


def take_fingerprints(paths: Sequence[str], cache: Path, options: ReadOptions) -> Fingerprints:
    """Measure N picture files; the cache spares decoding those whose bytes were measured before."""
    files = LocalFiles(cache / "fingerprints2")
    files.sweep()
    shards = Shards(files, "", _SCHEMA)
    known: dict[ImageId, tuple[str, int]] = {}
    for shard in shards.names():
        for at, image_id in enumerate(shards.table(shard, ["id"])["id"].to_pylist()):
            known[image_id] = (shard, at)
    ids: list[ImageId | None] = []
    reasons: dict[int, str] = {}
    new: dict[ImageId, dict[str, Any]] = {}

    def store() -> None:
        if new:
            shard = shards.append(pa.Table.from_pylist(list(new.values()), schema=_SCHEMA))
            known.update((image_id, (shard, at)) for at, image_id in enumerate(new))
            new.clear()

    claimed = set(known)

    def unmeasured(image_id: ImageId) -> tuple[View, ...]:
        if image_id in claimed:
            return ()
        claimed.add(image_id)
        return VIEWS

    def measure(item: Item) -> tuple[Item, dict[str, Any] | None]:
        if not item.views or item.id is None:
            return item, None
        try:
            return item, _measure(item.data, item.id, options.max_pixels)
        except ImageError as error:
            return replace(item, reason=str(error)), None

    failed: dict[ImageId, str] = {}
    count = cpu_count()
    with ThreadPoolExecutor(count, thread_name_prefix="measure") as pool:
        items = identify(paths, unmeasured)
        for row, (item, got) in enumerate(in_order(pool, measure, items, window=4 * count)):
            if got is not None and item.id is not None:
                new[item.id] = got
            if item.id is not None and item.reason is not None:
                failed[item.id] = item.reason
            reason = item.reason if item.id is None else failed.get(item.id)
            if reason is not None:
                reasons[row] = reason
            ids.append(None if reason is not None else item.id)
            if len(new) >= _SHARD:
                store()
            options.progress("measure", len(ids), len(paths))
        store()
    return _gather(ids, reasons, shards, known, cache)


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


def _gather(
    ids: list[ImageId | None],
    reasons: dict[int, str],
    shards: Shards,
    known: dict[ImageId, tuple[str, int]],
    cache: Path,
) -> Fingerprints:
    """Lay the stored measures out by row; the thumbnails in a file, which the system pages.

    The file has all its room, and no name by which another could make it shorter: whoever uses
    what is mapped would be killed.
    """
    n = len(ids)
    shape = (max(n, 1), SIDE, SIDE, 3)
    with refusals(cache), tempfile.TemporaryFile(dir=cache) as raw:
        allocate(raw, math.prod(shape))
        thumbnails = np.memmap(raw, np.uint8, "r+", shape=shape)[:n]
    size = np.zeros((n, 2), np.int64)
    # numpy's bytes end at the last that is not zero, as do both sides of every comparison.
    pixels = np.zeros(n, "S16")
    sharpness = np.zeros(n, np.float32)
    wanted: dict[str, list[tuple[int, int]]] = {}
    for row, image_id in enumerate(ids):
        if image_id is not None:
            shard, place = known[image_id]
            wanted.setdefault(shard, []).append((row, place))
    for shard, places in wanted.items():
        rows, at = (list(column) for column in zip(*places, strict=True))
        table = shards.table(shard).take(at)
        size[rows, 0], size[rows, 1] = table["width"].to_numpy(), table["height"].to_numpy()
        pixels[rows] = table["pixels"].to_pylist()
        sharpness[rows] = table["sharpness"].to_numpy()
        flat = np.frombuffer(b"".join(table["thumbnail"].to_pylist()), np.uint8)
        thumbnails[rows] = flat.reshape(len(rows), SIDE, SIDE, 3)
    return Fingerprints(ids, reasons, size, pixels, thumbnails, sharpness)
