"""What the frozen backbone sees of every image, kept on disk while a head learns from it."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Runtime
from gingham.errors import CatalogueError, InputError
from gingham.extract import PLAIN, View, Views, extract, identify
from gingham.options import ReadOptions
from gingham.store.features import ImageId
from gingham.store.files import allocate, make_folder, read_json, refusals, write_json

_NOTED = 256  # images between two notes of how far it has come


@dataclass(frozen=True)
class FeatureMaps:
    """Float16 arrays in plain files, one a layer: (N, views, ...); they are not mapped into memory.

    Attributes
    ----------
    folder : of the files.
    shapes : layer -> shape of one image's, in the head's order.
    views : how often each image was read; the first view is the image as it is.
    failures : row -> reason, of the images that could not be read; their rows hold zeros.
    """

    folder: Path
    shapes: Mapping[str, tuple[int, ...]]
    views: int
    failures: dict[int, str] = field(default_factory=dict)

    def read(
        self, rows: Sequence[int] | NDArray[np.int64], views: Sequence[int] | NDArray[np.int64]
    ) -> list[NDArray[np.float16]]:
        """Read a view of each of B rows: (B, ...) of every layer.

        Raises
        ------
        StorageError
            If a file cannot be read, or has become shorter.
        """
        return [self._read(layer, rows, views) for layer in self.shapes]

    def path(self, layer: str) -> Path:
        """Name the file of a layer."""
        return self.folder / f"{layer}.maps"

    def bytes_of(self, layer: str) -> int:
        """Count the bytes of one view of one image."""
        return 2 * math.prod(self.shapes[layer])

    def is_whole(self, rows: int) -> bool:
        """Say whether the files have the size of so many rows."""
        paths = {layer: self.path(layer) for layer in self.shapes}
        return all(
            path.is_file() and path.stat().st_size == rows * self.views * self.bytes_of(layer)
            for layer, path in paths.items()
        )

    def _read(self, layer: str, rows: Any, views: Any) -> NDArray[np.float16]:
        path, size = self.path(layer), self.bytes_of(layer)
        with refusals(path), path.open("rb", buffering=0) as file:
            data = b"".join(
                os.pread(file.fileno(), size, size * (int(row) * self.views + int(view)))
                for row, view in zip(rows, views, strict=True)
            )
            if len(data) != size * len(rows):
                raise OSError("it was cut short")
        return np.frombuffer(data, np.float16).reshape(-1, *self.shapes[layer])


def views_of(image: ImageId, *, mirror: bool, further: int, crop: float) -> tuple[View, ...]:
    """Say how an image is read: as it is, mirrored, and through random boxes.

    The image decides the `further` boxes, whose least side is `crop`, as a fraction; where `mirror`
    is set, every second one is mirrored.
    """
    rng = np.random.default_rng(list(image))
    views = [View(PLAIN)] + ([View("mirror", mirror=True)] if mirror else [])
    for number in range(further):
        side = rng.uniform(crop, 1.0)
        left, top = rng.uniform(0, 1 - side, 2)
        box = (left, top, left + side, top + side)
        views.append(View(f"box {number}", box, mirror=mirror and number % 2 == 1))
    return tuple(views)


def store_feature_maps(
    folder: Path,
    images: Sequence[str],
    runtime: Runtime,
    shapes: Sequence[tuple[int, ...]],
    *,
    views: Views,
    stamp: str,
    options: ReadOptions,
) -> FeatureMaps:
    """Read N images through a frozen backbone, once; an interrupted call resumes where it was.

    Every image must have as many `views`, the plain one first. `shapes` are those of one image's
    layers; maps of another `stamp` are computed again.

    Raises
    ------
    InputError
        If there is no room on the disk; the message says how much is needed.
    StorageError
        If the files cannot be written for another reason.
    """
    layers = [layer.name for layer in runtime.config.layers]
    names = [view.name for view in views(bytes(32))]
    store = FeatureMaps(folder, dict(zip(layers, shapes, strict=True)), len(names))
    note = folder / "maps.json"
    done, failures = _noted(note, stamp) if store.is_whole(len(images)) else (0, {})
    if done == len(images):
        return replace(store, failures=failures)
    with contextlib.ExitStack() as opened:
        files = _open(store, len(images), done, opened)
        for item in extract(identify(images[done:], views), runtime, options=options):
            for layer, file in files.items():
                shape = (len(names), *store.shapes[layer])
                found = [item.features[name][layer] for name in names if item.features]
                array = np.array(found, np.float16) if found else np.zeros(shape, np.float16)
                with refusals(store.path(layer)):
                    file.write(array.reshape(shape).data)
            if item.reason is not None:
                failures[done] = item.reason
            done += 1
            if done % _NOTED == 0 or done == len(images):
                for layer, file in files.items():
                    with refusals(store.path(layer)):
                        file.flush()
                        os.fsync(file.fileno())
                rows = sorted(failures.items())
                write_json(note, {"stamp": stamp, "done": done, "failures": rows})
            options.progress("read", done, len(images))
    return replace(store, failures=failures)


def _noted(note: Path, stamp: str) -> tuple[int, dict[int, str]]:
    try:
        said = read_json(note)
    except CatalogueError:
        return 0, {}
    if said.get("stamp") != stamp:
        return 0, {}
    return int(said["done"]), {int(row): str(reason) for row, reason in said["failures"]}


def _open(
    store: FeatureMaps, rows: int, done: int, opened: contextlib.ExitStack
) -> dict[str, BinaryIO]:
    """Open the file of every layer where row `done` begins, with room for all rows."""
    make_folder(store.folder)
    sizes = {layer: rows * store.views * store.bytes_of(layer) for layer in store.shapes}
    free = shutil.disk_usage(store.folder).free
    if not done and (needed := sum(sizes.values())) > 0.95 * free:
        raise InputError(
            f"the maps of {rows} images need {needed / 1e9:.1f} GB in {store.folder}, where "
            f"{free / 1e9:.1f} GB are free: choose a smaller model.size, fewer model.layers "
            "or fewer training.views"
        )
    files: dict[str, BinaryIO] = {}
    for layer, size in sizes.items():
        with refusals(store.path(layer)):
            file = opened.enter_context(store.path(layer).open("r+b" if done else "wb"))
            allocate(file, size)
            file.seek(done * store.views * store.bytes_of(layer))
        files[layer] = file
    return files
