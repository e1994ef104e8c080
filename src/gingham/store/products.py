"""Which product each image shows: an append-only log, read once somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.store import ids as many
from gingham.store.columns import table
from gingham.store.files import Files
from gingham.store.ids import Ids
from gingham.store.shards import Log

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(32), nullable=False),
        pa.field("product", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Groups:
    """Images in groups, such as the images of one product.

    Attributes
    ----------
    ids : (N,) images that are in a group, sorted.
    codes : (N,) int64, which of the names each has.
    names : of the groups.
    """

    ids: Ids
    codes: NDArray[np.int64]
    names: Sequence[str]

    @classmethod
    def of(cls, ids: Ids, names: Iterable[str]) -> Groups:
        """Take (N,) images and the group of each; of an image that comes again the last counts."""
        known: dict[str, int] = {}
        given = np.fromiter((known.setdefault(x, len(known)) for x in names), np.int64)
        order = many.order(ids)
        ordered = ids[order]
        last = np.append(ordered[1:] != ordered[:-1], np.ones(len(ids[:1]), bool))
        return cls(ordered[last], given[order[last]], list(known))

    def group(self, image_id: bytes) -> int | None:
        """Give the code of an image's group; None if it is in none."""
        place = many.find_one(self.ids, image_id)
        return None if place < 0 else int(self.codes[place])

    def name(self, image_id: bytes) -> str | None:
        """Name an image's group; None if it is in none."""
        code = self.group(image_id)
        return None if code is None else self.names[code]

    def names_of(self, image_ids: Sequence[bytes]) -> list[str | None]:
        """Name the groups of some images at once; None for those that are in none."""
        places = many.find(self.ids, many.from_list(image_ids)).tolist()
        return [None if place < 0 else self.names[self.codes[place]] for place in places]

    def members(self, code: int) -> Ids:
        """Give the images of a group."""
        order, ends = self._by_group
        start = int(ends[code - 1]) if code else 0
        return self.ids[order[start : ends[code]]]

    @cached_property
    def _by_group(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of all images group by group, and where each group ends."""
        counts = np.bincount(self.codes, minlength=len(self.names))
        return np.argsort(self.codes, kind="stable"), np.cumsum(counts)


class ProductLog:
    """The products of images; a later event about an image replaces an earlier one.

    Threads may call all methods together.
    """

    def __init__(self, files: Files) -> None:
        self._log = Log(files, "products/", _SCHEMA)
        self._reading = threading.Lock()
        self._read = 0
        self._groups = Groups.of(many.from_list(()), ())

    @property
    def version(self) -> int:
        """Grows with every append."""
        return self._log.version

    def refresh(self) -> bool:
        """Take in what another process has added; say whether there was any."""
        return bool(self._log.refresh())

    def groups(self) -> Groups:
        """Give what is known, the same object until something is added."""
        with self._reading:
            shards = self._log.names()
            if len(shards) > self._read:
                tables = [self._log.table(name) for name in shards[self._read :]]
                old = self._groups
                new = pa.concat_tables(tables)
                ids = np.concatenate([old.ids, many.from_column(new["id"])])
                names = [old.names[code] for code in old.codes.tolist()]
                self._groups = Groups.of(ids, names + new["product"].to_pylist())
                self._read = len(shards)
            return self._groups

    @property
    def count(self) -> int:
        """The number of products."""
        return len(np.unique(self.groups().codes))

    def append(self, products: Mapping[bytes, str]) -> None:
        """Note the product of images, those of which it is new; durable when this returns."""
        known = self.groups()
        new = {key: name for key, name in products.items() if known.name(key) != name}
        if new:
            rows = [{"id": key, "product": name} for key, name in new.items()]
            self._log.append(table(rows, _SCHEMA))

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
        return self._log.verify()
