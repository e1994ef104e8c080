"""What the frozen backbone sees of every image, kept on disk while a head learns from it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
class MapStore:
    """Float16 arrays, one a layer: (views, N, ...).

    Attributes
    ----------
    folder : of the arrays.
    layers : their names, in the head's order.
    views : how often each image was read; the first view is the image as it is.
    failures : row -> reason, of the images that could not be read; their rows hold zeros.
    """

    folder: Path
    layers: tuple[str, ...]
    views: int
    failures: dict[int, str]

    def open(self) -> list[NDArray[np.float16]]:
        """Map the arrays into memory, to be read."""
        return [np.load(self.folder / f"{layer}.npy", mmap_mode="r") for layer in self.layers]


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


def store_maps(
    folder: Path,
    images: Sequence[str],
    runtime: Runtime,
    shapes: Sequence[tuple[int, ...]],
    *,
    views: Views,
    stamp: str,
    options: ReadOptions,
) -> MapStore:
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
    layers = tuple(layer.name for layer in runtime.config.layers)
    names = [view.name for view in views(bytes(32))]
    note = folder / "maps.json"
    done, failures = _noted(note, stamp)
    if done < len(images):
        arrays = _arrays(folder, layers, shapes, (len(names), len(images)), fresh=not done)
        results = extract(identify(images[done:], views), runtime, options=options)
        for item in results:
            for number, name in enumerate(names if item.features else ()):
                for layer, array in zip(layers, arrays, strict=True):
                    array[number, done] = item.features[name][layer]
            if item.reason is not None:
                failures[done] = item.reason
            done += 1
            if done % _NOTED == 0 or done == len(images):
                for array in arrays:
                    array.flush()
                rows = sorted(failures.items())
                write_json(note, {"stamp": stamp, "done": done, "failures": rows})
            options.progress("read", done, len(images))
    return MapStore(folder, layers, len(names), failures)


def _noted(note: Path, stamp: str) -> tuple[int, dict[int, str]]:
    try:
        said = read_json(note)
    except CatalogueError:
        return 0, {}
    if said.get("stamp") != stamp:
        return 0, {}
    return int(said["done"]), {int(row): str(reason) for row, reason in said["failures"]}


def _arrays(
    folder: Path,
    layers: Sequence[str],
    shapes: Sequence[tuple[int, ...]],
    head: tuple[int, int],
    *,
    fresh: bool,
) -> list[np.memmap[Any, np.dtype[np.float16]]]:
    make_folder(folder)
    if fresh:
        needed = 2 * head[0] * head[1] * sum(int(np.prod(shape)) for shape in shapes)
        free = shutil.disk_usage(folder).free
        if needed > 0.95 * free:
            raise InputError(
                f"the maps of {head[1]} images need {needed / 1e9:.1f} GB in {folder}, where "
                f"{free / 1e9:.1f} GB are free: choose a smaller model.size, fewer model.layers "
                "or fewer training.views"
            )
    mode: Literal["w+", "r+"] = "w+" if fresh else "r+"
    arrays = []
    for layer, shape in zip(layers, shapes, strict=True):
        path = folder / f"{layer}.npy"
        with refusals(path):
            # Of a file that is there, type and shape are not asked for.
            array = np.lib.format.open_memmap(path, mode, np.float16, (*head, *shape))
            with path.open("r+b") as file:
                allocate(file, array.offset + array.nbytes)
        arrays.append(array)
    return arrays
