"""Append-only Parquet shards of features: the truth about images."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, repeat

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.backbones.table import FeatureConfig
from gingham.images import ImageId as ImageId
from gingham.store.columns import column, vectors
from gingham.store.files import Files
from gingham.store.shards import Shards

# Parquet calls the items of a list "element".
_ELEMENT = pa.field("element", pa.float16())


class FeatureStore:
    """The features of any number of images, one row per image, one column per hidden layer.

    Each layer is a column of (2C,) float16: channel means, then channel standard deviations.
    Descriptors, where the config has any, are further columns, and count as layers below. A
    few hundred bytes per image are held in memory (its id and its place), the features never.

    Threads may call all methods together, and several processes may add to a store at once. An
    image that two of them added counts once: as it is in the shard whose name comes first.

    Parameters
    ----------
    files : where the shards lie.
    config : what made the features; stored in every shard, and another's shard is refused.
    prefix : of the shards' names.
    """

    def __init__(self, files: Files, config: FeatureConfig, prefix: str = "features/") -> None:
        self.layers = tuple(config.widths)
        fields = [pa.field("id", pa.binary(32), nullable=False)]
        fields += [
            pa.field(name, pa.list_(_ELEMENT, width), nullable=False)
            for name, width in config.widths.items()
        ]
        self._shards = Shards(
            files, prefix, pa.schema(fields, metadata={"gingham.fingerprint": config.fingerprint})
        )
        self._changing = threading.RLock()
        self._found: dict[ImageId, tuple[str, int]] | None = None
        self._last: tuple[str, tuple[str, ...], dict[str, NDArray[np.float16]]] | None = None

    @property
    def _places(self) -> dict[ImageId, tuple[str, int]]:
        if self._found is None:
            with self._changing:
                if self._found is None:
                    places: dict[ImageId, tuple[str, int]] = {}
                    self._find_ids(places, self._shards.names())
                    self._found = places
        return self._found

    def _find_ids(self, places: dict[ImageId, tuple[str, int]], names: Sequence[str]) -> None:
        for name in names:
            _place(places, name, _ids(self._shards.table(name, ["id"])))

    def __contains__(self, image_id: object) -> bool:
        return image_id in self._places

    def __len__(self) -> int:
        return len(self._places)

    def refresh(self) -> bool:
        """Take in what other processes have added; say whether there was any."""
        with self._changing:
            new = self._shards.refresh()
            if self._found is not None:
                self._find_ids(self._found, new)
            return bool(new)

    def append(
        self, ids: Sequence[ImageId], features: Sequence[Mapping[str, NDArray[np.floating]]]
    ) -> None:
        """Add a shard of N different images, new to the store; it is durable when this returns.

        `features` gives for each image layer -> (2C,) array.
        """
        if not ids:
            return
        columns = [column(ids, pa.binary(32))]
        for layer in self.layers:
            block = np.stack([row[layer] for row in features]).astype(np.float16)
            columns.append(vectors(block, pa.list_(_ELEMENT, block.shape[1])))
        table = pa.Table.from_arrays(columns, ["id", *self.layers])
        with self._changing:
            places = self._places
            _place(places, self._shards.append(table), ids)

    def batches(
        self, layers: Sequence[str] | None = None
    ) -> Iterator[tuple[list[ImageId], dict[str, NDArray[np.float16]]]]:
        """Stream the store, one shard at a time: N ids, and layer -> (N, 2C) float16.

        Only the columns asked for are read. Rows come in the order of the shards' names, which is
        the order of writing; every image comes once.
        """
        names = self.layers if layers is None else tuple(layers)
        seen: set[ImageId] = set()
        for table in self._shards.tables(["id", *names]):
            ids = _ids(table)
            if not seen.isdisjoint(ids):
                fresh = [row for row, image_id in enumerate(ids) if image_id not in seen]
                table, ids = table.take(pa.array(fresh, pa.int64())), [ids[row] for row in fresh]
            seen.update(ids)
            if ids:
                yield ids, {name: _matrix(table, name) for name in names}

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
        wanted: dict[str, list[tuple[int, int]]] = {}
        for position, image_id in enumerate(ids):
            shard, row = self._places[image_id]
            wanted.setdefault(shard, []).append((position, row))
        widths = {f.name: f.type.list_size for f in self._shards.schema if f.name in names}
        out = {name: np.empty((len(ids), widths[name]), np.float16) for name in names}
        for shard in sorted(wanted):
            positions, rows = (list(column) for column in zip(*wanted[shard], strict=True))
            matrices = self._matrices(shard, names)
            for name in names:
                out[name][positions] = matrices[name][rows]
        return out

    def _matrices(self, shard: str, names: tuple[str, ...]) -> dict[str, NDArray[np.float16]]:
        # Images asked for one by one often lie in one shard; shards never change.
        last = self._last
        if last is None or last[:2] != (shard, names):
            table = self._shards.table(shard, list(names))
            last = shard, names, {name: _matrix(table, name) for name in names}
            self._last = last
        return last[2]

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
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


def _place(places: dict[ImageId, tuple[str, int]], shard: str, ids: Sequence[ImageId]) -> None:
    """Note where images lie; of two places of one image, the first counts."""
    if places.keys().isdisjoint(ids):
        places.update(zip(ids, zip(repeat(shard), count()), strict=False))
        return
    for row, image_id in enumerate(ids):
        if places.setdefault(image_id, (shard, row))[0] > shard:
            places[image_id] = (shard, row)


def _ids(table: pa.Table) -> list[ImageId]:
    # Several times as fast as to_pylist.
    column = table["id"].combine_chunks()
    start, stop = (32 * row for row in (column.offset, column.offset + len(column)))
    data = column.buffers()[1].to_pybytes() if len(column) else b""
    return [data[at : at + 32] for at in range(start, stop, 32)]


def _matrix(table: pa.Table, name: str) -> NDArray[np.float16]:
    column = table[name].combine_chunks()
    values: NDArray[np.float16] = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)
