"""Append-only Parquet shards of features: the truth about images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.backbones.table import FeatureConfig
from gingham.extract import in_order
from gingham.images import ImageId as ImageId
from gingham.store import ids as many
from gingham.store.columns import column, vectors
from gingham.store.compacting import Compacted, groups, rewrite
from gingham.store.files import Files
from gingham.store.ids import Ids
from gingham.store.kept import Kept
from gingham.store.places import Places, lasting
from gingham.store.shards import MissingShardError, Shards

R = TypeVar("R")

Blocks = dict[str, NDArray[np.float16]]
"""Layer -> (N, 2C)."""

_FEW = 2_000

# Parquet calls the items of a list "element".
_ELEMENT = pa.field("element", pa.float16())


class FeatureStore:
    """The features of any number of images, one row per image, one column per hidden layer.

    Each layer is a column of (2C,) float16: channel means, then channel standard deviations.
    Descriptors, where the config has any, are further columns, and count as layers below. Some
    forty bytes per image are held in memory (its id and its place), the features never.

    Threads may call all methods together, and several processes may add to a store at once. An
    image that two of them added counts once: as it is in the shard whose name comes first.

    Parameters
    ----------
    files : where the shards lie.
    config : what made the features; stored in every shard, and another's shard is refused.
    prefix : of the shards' names.
    kept : a file in which the places of images may be kept; see `keep`.
    """

    def __init__(
        self,
        files: Files,
        config: FeatureConfig,
        prefix: str = "features/",
        kept: Path | None = None,
    ) -> None:
        self.layers = tuple(config.widths)
        self._widths = dict(config.widths)
        fields = [pa.field("id", pa.binary(32), nullable=False)]
        fields += [
            pa.field(name, pa.list_(_ELEMENT, width), nullable=False)
            for name, width in config.widths.items()
        ]
        self._shards = Shards(
            files, prefix, pa.schema(fields, metadata={"gingham.fingerprint": config.fingerprint})
        )
        self._changing = threading.RLock()
        self._kept = Kept(kept)
        self._known = 0
        self._found: Places | None = None
        self._last: tuple[str, tuple[str, ...], NDArray[np.int64], Blocks] | None = None

    @property
    def _places(self) -> Places:
        if self._found is None:
            with self._changing:
                if self._found is None:
                    self._found = self._find(self._read_kept())
        return self._found

    def _read_kept(self) -> Places:
        head = self._kept.head()
        # A shard that is gone may have held what counts of an image that is in another, too.
        if head is None or not set(head.get("shards", ())) <= set(self._shards.names()):
            return Places.empty()
        arrays = self._kept.arrays(head)
        if arrays is None:
            return Places.empty()
        self._known = len(head["shards"])
        return Places.from_arrays(head, arrays)

    def _find(self, places: Places) -> Places:
        """Take in the shards that are not yet; begin anew if one has gone."""
        while True:
            names = self._shards.names()
            if not set(places.shards) <= set(names):
                places, self._known = Places.empty(), 0
            try:
                new = set(names).difference(places.shards)
                return places.add({name: self._ids(name) for name in sorted(new)})
            except MissingShardError:
                if not self._shards.refresh() and names == self._shards.names():
                    raise

    def _ids(self, shard: str) -> Ids:
        return many.from_column(self._shards.table(shard, ["id"])["id"])

    def keep(self) -> None:
        """Keep the places for the next start, if reading them from the shards takes a while."""
        with self._changing:
            if (places := self._found) is None:
                return
            known = sum(places.sizes[: self._known])
            if lasting(known, places.sizes[self._known :]):
                self._kept.put(*places.to_arrays())
                self._known = len(places.shards)

    def __contains__(self, image_id: object) -> bool:
        return many.find_one(self._places.ids, image_id) >= 0

    def __len__(self) -> int:
        return len(self._places.ids)

    def ids(self) -> Ids:
        """Give the ids of all images, sorted."""
        return self._places.ids

    def shards(self) -> list[str]:
        """Give the names of the shards, sorted."""
        return self._shards.names()

    def ids_in(self, shards: Collection[str]) -> Ids:
        """Give the ids of the images that count as they are in some shards, sorted."""
        places = self._places
        numbers = [number for number, name in enumerate(places.shards) if name in shards]
        return places.ids[np.isin(places.shard, numbers)]

    def has(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which of N images are in the store."""
        return many.find(self._places.ids, ids) >= 0

    def refresh(self) -> bool:
        """Take in what other processes have added; say whether there was any."""
        with self._changing:
            new = self._shards.refresh()
            if self._found is not None and {*self._found.shards} != {*self._shards.names()}:
                self._found = self._find(self._found)
            return bool(new)

    def append(
        self, ids: Sequence[ImageId], features: Sequence[Mapping[str, NDArray[np.floating]]]
    ) -> None:
        """Add a shard of N different images, new to the store; it is durable when this returns.

        `features` gives for each image layer -> (2C,) array.
        """
        if not ids:
            return
        with self._changing:
            places = self._places
            self._found = places.add({self.write(ids, features): many.from_list(ids)})

    def write(
        self, ids: Sequence[ImageId], features: Sequence[Mapping[str, NDArray[np.floating]]]
    ) -> str:
        """Add a shard as `append` does, for other processes; this one need not know the others.

        Returns
        -------
        The name of the shard.
        """
        columns = [column(ids, pa.binary(32))]
        for layer in self.layers:
            block = np.stack([row[layer] for row in features]).astype(np.float16)
            columns.append(vectors(block, pa.list_(_ELEMENT, block.shape[1])))
        return self._shards.append(pa.Table.from_arrays(columns, ["id", *self.layers]))

    def batches(
        self, layers: Sequence[str] | None = None
    ) -> Iterator[tuple[list[ImageId], dict[str, NDArray[np.float16]]]]:
        """Stream the store, one shard at a time: N ids, and layer -> (N, 2C) float16.

        Only the columns asked for are read. Rows come in the order of the shards' names, which is
        the order of writing; every image comes once.
        """
        for ids, features in self.blocks(layers):
            yield many.to_list(ids), features

    def blocks(
        self, layers: Sequence[str] | None = None, wanted: Ids | None = None
    ) -> Iterator[tuple[Ids, Blocks]]:
        """Do as `batches`, with ids in arrays, and the next shard read meanwhile.

        Parameters
        ----------
        wanted : only these images; None: all.
        """
        return self.worked(lambda ids, blocks: (ids, blocks), layers, wanted)

    def worked(
        self,
        work: Callable[[Ids, Blocks], R],
        layers: Sequence[str] | None = None,
        wanted: Ids | None = None,
    ) -> Iterator[R]:
        """Give what becomes of each batch, in order; two threads read and work.

        What `gingham compact` does meanwhile changes nothing: the walk goes on where the images
        are now, without those that were dropped.

        Parameters
        ----------
        work : what is done with a batch.
        layers, wanted : see `blocks`.
        """
        names = self.layers if layers is None else tuple(layers)
        places = self._places
        left = np.ones(len(places.ids), bool)
        if wanted is not None:
            left[:] = False
            found = many.find(places.ids, wanted)
            left[found[found >= 0]] = True
        order = sorted(range(len(places.shards)), key=places.shards.__getitem__)
        parts = {shard: places.of(shard, left) for shard in order}

        def read(shard: int) -> tuple[R]:
            images, rows = parts[shard]
            return (work(places.ids[images], self._block(places, shard, names, rows)),)

        todo = [shard for shard in order if len(parts[shard][1])]
        for shard, done in _ahead(read, todo, int(left.sum())):
            if done is None:
                self.refresh()
                if self._places is places:
                    raise MissingShardError(f"{places.shards[shard]} is not there any more")
                yield from self.worked(work, names, places.ids[left])
                return
            left[parts[shard][0]] = False
            yield done[0]

    def _block(
        self, places: Places, shard: int, names: Sequence[str], rows: NDArray[np.int32]
    ) -> Blocks:
        # Without a column there would be no rows to count.
        name, columns = places.shards[shard], list(names) or ["id"]
        if len(rows) == places.sizes[shard]:
            table = self._shards.table(name, columns)
            return {layer: _matrix(table, layer) for layer in names}
        table, read = self._shards.rows(name, columns, rows)
        chosen = np.searchsorted(read, rows)
        return {layer: _matrix(table, layer)[chosen] for layer in names}

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
        found = {x: np.empty((len(ids), self._widths[x]), np.float16) for x in names}
        self._read_into(found, ids)
        return found

    def joined(self, ids: Sequence[ImageId], layers: Sequence[str]) -> NDArray[np.float16]:
        """Read as `get` does, with layers side by side: (N, sum of 2C)."""
        ends = list(accumulate((self._widths[layer] for layer in layers), initial=0))
        found = np.empty((len(ids), ends[-1]), np.float16)
        parts = zip(layers, pairwise(ends), strict=True)
        self._read_into({layer: found[:, start:end] for layer, (start, end) in parts}, ids)
        return found

    def _read_into(self, out: Blocks, ids: Sequence[ImageId]) -> None:
        while True:
            places = self._places
            found = many.find(places.ids, many.from_list(ids))
            if (missing := np.flatnonzero(found < 0)).size:
                raise KeyError(ids[int(missing[0])])
            try:
                return self._read(places, found, out)
            except MissingShardError:
                # Compacted in the meantime.
                self.refresh()
                if self._places is places:
                    raise

    def _read(self, places: Places, found: NDArray[np.int64], out: Blocks) -> None:
        if not len(found):
            return
        shards, names = places.shard[found], tuple(out)
        # Those of a shard side by side: of many shards, each is not looked for among all images.
        order = np.argsort(shards, kind="stable")
        numbers, starts = np.unique(shards[order], return_index=True)
        asked = dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))

        def read(shard: int) -> bool:
            to = asked[shard]
            blocks, rows = self._rows(places.shards[shard], names, places.row[found[to]])
            for name in names:
                out[name][to] = blocks[name][rows]
            return True

        for _, done in _ahead(read, numbers.tolist()):
            if done is None:
                raise MissingShardError("a shard was compacted")
        # Of many images, Arrow would keep a hundred MB for what it reads next.
        pa.default_memory_pool().release_unused()

    def _rows(
        self, shard: str, names: tuple[str, ...], rows: NDArray[np.int32]
    ) -> tuple[Blocks, NDArray[np.int64]]:
        """Give blocks of a shard, and where in them its rows are."""
        # Images asked for one by one often lie side by side; shards never change.
        last = self._last
        if last is None or last[:2] != (shard, names) or not np.isin(rows, last[2]).all():
            table, read = self._shards.rows(shard, list(names), rows)
            last = shard, names, read, {name: _matrix(table, name) for name in names}
            self._last = last
        return last[3], np.searchsorted(last[2], rows)

    def compact(self, wanted: Ids) -> Compacted:
        """Write the features of some images in few shards, and delete those of all others.

        One writer at a time; readers go on. The rows of some shards are written anew first, then
        those are deleted, so every image that is wanted is there at every moment, as it was.

        Parameters
        ----------
        wanted : the images to keep.
        """
        with self._changing:
            self.refresh()
            places = self._places
            kept = np.zeros(len(places.ids), bool)
            found = many.find(places.ids, wanted)
            kept[found[found >= 0]] = True
            before, dropped = len(places.shards), int((~kept).sum())
            for group in groups(places, kept):
                rewrite(self._shards, places, group, kept)
            if dropped:
                self._kept.forget()
                self._known = 0
            self.refresh()
            return Compacted(before, len(self._shards.names()), dropped)

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


def _ahead(
    read: Callable[[int], R], todo: Sequence[int], images: int = _FEW
) -> Iterator[tuple[int, R | None]]:
    """Read shards, each while the one before is worked on; gives None where one has gone.

    Parameters
    ----------
    images : how many are read; of few, in one thread: a second one has buffers of its own.
    """

    def kept(shard: int) -> R | None:
        try:
            return read(shard)
        except MissingShardError:
            return None

    if len(todo) < 2 or images < _FEW:
        yield from ((shard, kept(shard)) for shard in todo)
        return
    with ThreadPoolExecutor(2) as pool:
        yield from zip(todo, in_order(pool, kept, todo, window=3), strict=True)


def _matrix(table: pa.Table, name: str) -> NDArray[np.float16]:
    column = table[name].combine_chunks()
    values: NDArray[np.float16] = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), -1)
