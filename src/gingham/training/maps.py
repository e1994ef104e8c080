"""What the frozen backbone sees of every image, kept on disk while a head learns from it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import CatalogueError, InputError
from gingham.extract import PLAIN, Progress, View, extract
from gingham.runtime import Runtime
from gingham.storage import read_json, write_json

SIDES = (View(PLAIN), View("mirror", mirror=True))
_NOTED = 256  # images between two notes of how far it has come


@dataclass(frozen=True)
class MapStore:
    """Float16 arrays, one a layer: (sides, N, ...).

    Attributes
    ----------
    folder : of the arrays.
    layers : their names, in the head's order.
    sides : 1, or 2 with the mirror images.
    failures : row -> reason, of the images that could not be read; their rows hold zeros.
    """

    folder: Path
    layers: tuple[str, ...]
    sides: int
    failures: dict[int, str]

    def open(self) -> list[NDArray[np.float16]]:
        """Map the arrays into memory, to be read."""
        return [np.load(_file(self.folder, layer), mmap_mode="r") for layer in self.layers]


def store_maps(
    folder: Path,
    images: Sequence[str],
    runtime: Runtime,
    shapes: Sequence[tuple[int, ...]],
    *,
    mirror: bool,
    stamp: str,
    max_pixels: int,
    progress: Progress,
) -> MapStore:
    """Read images through a frozen backbone, once; an interrupted call goes on where it was.

    Parameters
    ----------
    folder : of the arrays.
    images : N paths.
    runtime : gives the layers.
    shapes : of one image's layers.
    mirror : read the mirror images, too.
    stamp : names all that decides the maps; those of another stamp are made anew.
    max_pixels : see `gingham.images.open_image`.
    progress : called as images are done.

    Raises
    ------
    InputError
        If there is no room on the disk; the message says how much is needed.
    """
    layers = tuple(layer.name for layer in runtime.config.layers)
    sides = SIDES if mirror else SIDES[:1]
    note = folder / "maps.json"
    done, failures = _noted(note, stamp)
    if done < len(images):
        arrays = _arrays(folder, layers, shapes, (len(sides), len(images)), fresh=not done)
        results = extract(images[done:], runtime, views=lambda _: sides, max_pixels=max_pixels)
        for item in results:
            for side, view in enumerate(sides if item.features else ()):
                for layer, array in zip(layers, arrays, strict=True):
                    array[side, done] = item.features[view.name][layer]
            if item.reason is not None:
                failures[done] = item.reason
            done += 1
            if done % _NOTED == 0 or done == len(images):
                for array in arrays:
                    array.flush()
                write_json(note, _note(stamp, done, failures))
            progress(done, len(images))
    return MapStore(folder, layers, len(sides), failures)


def _note(stamp: str, done: int, failures: dict[int, str]) -> dict[str, Any]:
    return {"stamp": stamp, "done": done, "failures": sorted(failures.items())}


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
    folder.mkdir(parents=True, exist_ok=True)
    if fresh:
        needed = 2 * head[0] * head[1] * sum(int(np.prod(shape)) for shape in shapes)
        free = shutil.disk_usage(folder).free
        if needed > 0.95 * free:
            raise InputError(
                f"the maps of {head[1]} images need {needed / 1e9:.1f} GB in {folder}, where "
                f"{free / 1e9:.1f} GB are free: choose a smaller model.size or fewer model.layers"
            )
    return [
        np.lib.format.open_memmap(_file(folder, layer), "w+", np.float16, (*head, *shape))
        if fresh
        else np.lib.format.open_memmap(_file(folder, layer), "r+")
        for layer, shape in zip(layers, shapes, strict=True)
    ]


def _file(folder: Path, layer: str) -> Path:
    return folder / f"{layer}.npy"
