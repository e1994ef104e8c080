"""The file of an attribute's tags: what it answered for every image, and how sure that must be."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.attributes.attribute import TagBatch
from gingham.attributes.coded_tags import CodedTags, Numbered
from gingham.attributes.cutoffs import EVERY, Floors
from gingham.images import ImageId
from gingham.store import ids as many
from gingham.store.columns import column, numbers, vectors
from gingham.store.files import replacing
from gingham.store.ids import Ids

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(32), nullable=False),
        # Empty: unknown. Of kind `single` one value at most.
        pa.field("values", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        # Of what is unknown.
        pa.field("guess", pa.list_(pa.field("element", pa.string())), nullable=False),
        # How sure the value above that, and so on, is; empty outside of a hierarchy.
        pa.field("above", pa.list_(pa.field("element", pa.float32())), nullable=False),
        # How near a second value comes to the first, 0 to 1; not a number where it is not known.
        pa.field("doubt", pa.float32(), nullable=False),
        # In the look of the attribute; empty where it has none.
        pa.field("look", pa.list_(pa.field("element", pa.float32())), nullable=False),
    ]
)

_TAGS = _SCHEMA.names[:6]

_EARLIER = [name for name in _SCHEMA.names if name != "doubt"]
"""The columns of files of earlier versions that are read, too."""

_GROUP = 2**16
"""Rows that are written together."""

Tagged = tuple[ImageId, list[str], float, list[str]]
"""An image, its values (none: unknown), the confidence of them or of the best guess, and that."""

Version = tuple[int, int]
"""Tells one version of a file from another: when it was written, and its number on the disk."""


@dataclass(frozen=True)
class TagTable:
    """The tags of N different images.

    Attributes
    ----------
    table : their ids, values, confidences and guesses, held to no limits; the look where it was
        asked for.
    limits : those that they were written with.
    """

    table: pa.Table
    limits: Floors = EVERY

    @classmethod
    def of(cls, ids: Ids, tags: TagBatch) -> TagTable:
        """Take ids, and what the attribute answers for each."""
        keys = pa.Array.from_buffers(pa.binary(32), len(ids), [None, pa.py_buffer(ids.tobytes())])
        lists = [column(x, _SCHEMA.field("values").type) for x in (tags.values, tags.guesses)]
        confidence = numbers(np.asarray(tags.confidence, np.float32))
        looks = np.empty((len(ids), 0)) if tags.looks is None else tags.looks
        look = vectors(looks.astype(np.float32), _SCHEMA.field("look").type)
        sure = [[]] * len(ids) if tags.above is None else tags.above
        above = column(sure, _SCHEMA.field("above").type)
        doubt = numbers(tags.doubts.astype(np.float32))
        columns = [keys, lists[0], confidence, lists[1], above, doubt, look]
        return cls(pa.Table.from_arrays(columns, schema=_SCHEMA))

    @property
    def ids(self) -> Ids:
        """(N,) the ids."""
        return many.from_column(self.table["id"])

    @classmethod
    def joined(cls, parts: Iterable[TagTable]) -> TagTable:
        """Take the images of some tables, held to the same limits."""
        some = [cls(_SCHEMA.empty_table().select(_TAGS)), *parts]
        return cls(pa.concat_tables([one.table.select(_TAGS) for one in some]), some[-1].limits)

    def of_these(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which of M images are among these."""
        return many.are_in(self.ids, ids)

    @property
    def looks(self) -> NDArray[np.float32] | None:
        """(N, d), where the images lie in the look of the attribute; None if it has none."""
        column = self.table["look"].combine_chunks()
        values: NDArray[np.float32] = column.flatten().to_numpy()
        return values.reshape(len(self.table), -1) if len(values) else None

    def only(self, chosen: NDArray[np.bool_]) -> TagTable:
        """Keep some images, (N,)."""
        if chosen.all():
            return self
        return TagTable(self.table.take(pa.array(np.flatnonzero(chosen))), self.limits)

    def counts(self, unknown: str, limits: Floors) -> dict[str, int]:
        """Count the images of each value, and those that are unknown, held to limits."""
        sets, which = self.coded(unknown, limits)
        found: Counter[str] = Counter()
        for values, count in zip(sets, np.bincount(which, minlength=len(sets)), strict=True):
            found.update(dict.fromkeys(values, int(count)))
        return +found

    def coded(self, unknown: str, limits: Floors) -> tuple[list[tuple[str, ...]], NDArray[np.intp]]:
        """Say what the images are tagged, held to limits.

        Returns
        -------
        Different sets of values, that of what is `unknown` first, and which of them each of the N
        images has.
        """
        sets, which, *_ = self.numbered(limits)
        return [(unknown,), *sets[1:]], which

    def in_numbers(self) -> CodedTags:
        """Say the same in numbers."""
        return CodedTags.of(self.ids, self.table, self.limits)

    def numbered(self, limits: Floors) -> Numbered:
        """Say what `rows` gives, in numbers."""
        return self.in_numbers().numbered(limits)

    def rows(self, limits: Floors) -> Iterator[Tagged]:
        """Give what each image is tagged, held to limits."""
        found = zip(*(self.table[name].to_pylist() for name in _TAGS[:5]), strict=True)
        for image_id, values, confidence, guess, above in found:
            said, sure = limits.deepest(values, confidence, above) if values else ([], 0.0)
            if said:
                yield image_id, said, sure, guess
            else:
                yield image_id, [], confidence, values or guess


class PredictionsFile:
    """The file; the attribute's stamp is in it.

    Parameters
    ----------
    folder : of the attribute.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "predictions.parquet"
        self._name = str(self._path)  # every search asks for it, and making it takes longer

    def version(self, known: tuple[Version, str] | None) -> tuple[Version, str] | None:
        """Say which version the file is, and by which attribute; None if there is none.

        Parameters
        ----------
        known : what it said before: a file is read only if it is another one by now.
        """
        try:
            if known is not None and _key(os.stat(self._name)) == known[0]:
                return known
            with self._path.open("rb") as raw, pq.ParquetFile(raw) as file:
                stamp = _stamp(file)
                return None if stamp is None else (_key(os.fstat(raw.fileno())), stamp)
        except (OSError, pa.ArrowException):
            return None

    def read(self, stamp: str, *, looks: bool = False) -> Iterator[TagTable]:
        """Stream the tags, if they are still those of an attribute with this stamp.

        Parameters
        ----------
        stamp : of the attribute; of the empty one there are none.
        looks : with where the images lie in its look.
        """
        if not stamp:
            return
        try:
            file = pq.ParquetFile(self._path, pre_buffer=False)
        except FileNotFoundError:  # another process has forgotten the attribute
            return
        with file:
            # Another process may have applied another attribute of the name meanwhile.
            if _stamp(file) == stamp:
                limits = Floors.from_json(_head(file, b"limits"))
                names = _SCHEMA.names if looks else _TAGS
                for batch in file.iter_batches(columns=names, use_threads=False):
                    yield TagTable(_whole(pa.Table.from_batches([batch])), limits)

    def read_all(self, stamp: str) -> TagTable | None:
        """Read the tags at once, no looks; None if not those of this stamp, or damaged."""
        try:
            with (
                self._path.open("rb") as raw,
                pq.ParquetFile(raw, page_checksum_verification=True, pre_buffer=False) as file,
            ):
                if _stamp(file) != stamp:
                    return None
                table = file.read(columns=_TAGS, use_threads=False).combine_chunks()
                return TagTable(_whole(table), Floors.from_json(_head(file, b"limits")))
        except (OSError, pa.ArrowException):
            return None

    def count(self, stamp: str, places: int) -> int | None:
        """Count the images that were tagged when the log of locations had this version.

        Returns
        -------
        None if they were tagged at another one: some may have been removed since.
        """
        with contextlib.suppress(OSError, pa.ArrowException), pq.ParquetFile(self._path) as file:
            if (_stamp(file), _head(file, b"places")) == (stamp, str(places)):
                return int(file.metadata.num_rows)
        return None

    @contextlib.contextmanager
    def writing(self, stamp: str, limits: Floors, places: int) -> Iterator[TagWriter]:
        """Replace the tags by those that are put, unless an error comes between.

        Parameters
        ----------
        stamp : of the attribute.
        limits : what is less sure is kept, but it is unknown wherever no others are given.
        places : the version of the log of locations.
        """
        head = {"stamp": stamp, "limits": limits.to_json(), "places": str(places)}
        schema = _SCHEMA.with_metadata(head)
        with (
            replacing(self._path) as path,
            pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as file,
        ):
            writer = TagWriter(file, schema)
            yield writer
            writer.flush()


class TagWriter:
    """Writes tags, many together."""

    def __init__(self, file: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self._waiting: list[pa.Table] = []

    def put(self, tags: TagTable) -> None:
        """Add the tags of further images."""
        self._waiting.append(tags.table.cast(self._schema))
        if sum(map(len, self._waiting)) >= _GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            self._file.write_table(pa.concat_tables(self._waiting), row_group_size=_GROUP)
            self._waiting.clear()


def _whole(table: pa.Table) -> pa.Table:
    """Add what a file of an earlier version does not say."""
    if "doubt" in table.column_names:
        return table
    unknown = numbers(np.full(len(table), np.nan, np.float32))
    return table.add_column(_TAGS.index("doubt"), _SCHEMA.field("doubt"), unknown)


def _key(found: os.stat_result) -> Version:
    return found.st_mtime_ns, found.st_ino


def _stamp(file: pq.ParquetFile) -> str | None:
    """Name the attribute that the tags are of; None in a file of an earlier version."""
    known = file.schema_arrow.names in (_SCHEMA.names, _EARLIER)
    return _head(file, b"stamp") if known else None


def _head(file: pq.ParquetFile, name: bytes) -> str:
    value: bytes = (file.schema_arrow.metadata or {}).get(name, b"")
    return value.decode()
