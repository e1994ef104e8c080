"""Append-only Parquet shards of features: the truth about images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.backbones.table import FeatureConfig
from gingham.store.files import Shards

ImageId = bytes
"""The SHA-256 of an image file's bytes: 32 bytes."""

# Parquet calls the items of a list "element".
_ELEMENT = pa.field("element", pa.float16())


class FeatureStore:
    """The features of any number of images, one row an image, one column a hidden layer.

    Each layer is a column of (2C,) float16: channel means, then channel standard deviations.
    Descriptors, where the config has any, are further columns, and count as layers below. A
    few hundred bytes an image are held in memory (its id and its place), the features never.

    Parameters
    ----------
    folder : of the shards.
    config : what made the features; stored in every shard, and another's shard is refused.
    """

    def __init__(self, folder: Path, config: FeatureConfig) -> None:
        self.layers = tuple(config.widths)
        fields = [pa.field("id", pa.binary(32), nullable=False)]
        fields += [
            pa.field(name, pa.list_(_ELEMENT, width), nullable=False)
            for name, width in config.widths.items()
        ]
        self._shards = Shards(
            folder, pa.schema(fields, metadata={"gingham.fingerprint": config.fingerprint})
        )
        self._last: tuple[Path, tuple[str, ...], dict[str, NDArray[np.float16]]] | None = None

    @cached_property
    def _places(self) -> dict[ImageId, tuple[Path, int]]:
        places: dict[ImageId, tuple[Path, int]] = {}
        for path in self._shards.paths():
            ids = self._shards.table(path, ["id"])["id"].to_pylist()
            for row, image_id in enumerate(ids):
                places.setdefault(image_id, (path, row))
        return places

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def __len__(self) -> int:
        return len(self._places)

    def append(
        self, ids: Sequence[ImageId], features: Sequence[Mapping[str, NDArray[np.floating]]]
    ) -> None:
        """Add a shard of images; it is on disk when this returns.

        Parameters
        ----------
        ids : of N images that are not in the store.
        features : for each image, layer -> (2C,) array.
        """
        if not ids:
            return
        columns = [pa.array(ids, pa.binary(32))]
        for layer in self.layers:
            block = np.stack([row[layer] for row in features]).astype(np.float16)
            columns.append(pa.FixedSizeListArray.from_arrays(block.ravel(), block.shape[1]))
        places = self._places
        self._shards.append(pa.table(dict(zip(("id", *self.layers), columns, strict=True))))
        path = self._shards.paths()[-1]
        places.update((image_id, (path, row)) for row, image_id in enumerate(ids))

    def batches(
        self, layers: Sequence[str] | None = None
    ) -> Iterator[tuple[list[ImageId], dict[str, NDArray[np.float16]]]]:
        """Stream the store, one shard at a time: N ids, and layer -> (N, 2C) float16.

        Only the columns asked for are read. Row order is the order of writing.
        """
        names = self.layers if layers is None else tuple(layers)
        for table in self._shards.tables(["id", *names]):
            yield table["id"].to_pylist(), {name: _matrix(table, name) for name in names}

    def get(
        self, ids: Sequence[ImageId], layers: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float16]]:
        """Read the features of given images, in the order given: layer -> (N, 2C) float16.

        Raises
        ------
        KeyError
            If an id is not in the store.
        """
        names = self.layers if layers is None else tuple(layers)
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for position, image_id in enumerate(ids):
            path, row = self._places[image_id]
            wanted.setdefault(path, []).append((position, row))
        widths = {f.name: f.type.list_size for f in self._shards.schema if f.name in names}
        out = {name: np.empty((len(ids), widths[name]), np.float16) for name in names}
        for path in sorted(wanted):
            positions, rows = (list(column) for column in zip(*wanted[path], strict=True))
            shard = self._matrices(path, names)
            for name in names:
                out[name][positions] = shard[name][rows]
        return out

    def _matrices(self, path: Path, names: tuple[str, ...]) -> dict[str, NDArray[np.float16]]:
        # Images asked for one by one often lie in one shard; shards never change.
        if self._last is None or self._last[:2] != (path, names):
            table = self._shards.table(path, list(names))
            self._last = path, names, {name: _matrix(table, name) for name in names}
        return self._last[2]

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line a problem."""
        problems = self._shards.verify()
        if not problems:
            for ids, features in self.batches():
                finite = np.ones(len(ids), bool)
                for block in features.values():
                    finite &= np.isfinite(block).all(axis=1)
                problems += [
                    f"features of {ids[row].hex()} are not finite"
                    for row in np.flatnonzero(~finite)
                ]
        return problems

    def sweep(self) -> None:
        """Delete what a killed process left half-written."""
        self._shards.sweep()


def _matrix(table: pa.Table, name: str) -> NDArray[np.float16]:
    column = table[name].combine_chunks()
    values: NDArray[np.float16] = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)
