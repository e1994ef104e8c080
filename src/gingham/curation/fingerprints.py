"""What is measured of each picture file, once: its size, a hash of its pixels, a thumbnail."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.cluster.reading import read_by
from gingham.curation.measuring import SIDE, Measured, MeasuringWorker, measure
from gingham.extract import Extracted
from gingham.images import ImageId
from gingham.options import ReadOptions
from gingham.store import ids as many
from gingham.store.files import LocalFiles, allocate, refusals
from gingham.store.shards import Shards

_SHARD = 4096
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


def take_fingerprints(
    paths: Sequence[str], cache: Path, options: ReadOptions, cluster: str | None = None
) -> Fingerprints:
    """Measure N picture files; the cache spares decoding those whose bytes were measured before.

    `cluster` is the Ray cluster that measures; None: this process.
    """
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
    failed: dict[ImageId, str] = {}

    def store() -> None:
        if new:
            shard = shards.append(pa.Table.from_pylist(list(new.values()), schema=_SCHEMA))
            known.update((image_id, (shard, at)) for at, image_id in enumerate(new))
            new.clear()

    before = np.sort(many.from_list(list(known)))
    results: Generator[Extracted, None, None] = (
        measure(paths, before, options.max_pixels)
        if cluster is None
        else read_by(MeasuringWorker, cluster, options.max_pixels, before, paths)
    )
    with closing(results):
        for row, one in enumerate(results):
            if one.id is not None and isinstance(one, Measured) and one.measures:
                # Workers measure copies in different batches twice.
                if one.id not in known:
                    new[one.id] = one.measures
            elif one.id is not None and one.reason is not None:
                failed[one.id] = one.reason
            reason = one.reason if one.id is None else failed.get(one.id)
            if reason is not None:
                reasons[row] = reason
            ids.append(None if reason is not None else one.id)
            if len(new) >= _SHARD:
                store()
            options.progress("measure", len(ids), len(paths))
    store()
    return _gather(ids, reasons, shards, known, cache)


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
