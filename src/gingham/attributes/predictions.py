"""The file of an attribute's tags: what it answered for every image, and how sure that must be."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.attributes.attribute import TagBatch
from gingham.attributes.cutoffs import EVERY, Floors
from gingham.store.columns import column
from gingham.store.features import ImageId
from gingham.store.files import replacing

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.binary(32), nullable=False),
        # Empty: unknown. Of kind `single` one value at most.
        pa.field("values", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
        # Of what is unknown.
        pa.field("guess", pa.list_(pa.field("element", pa.string())), nullable=False),
    ]
)

Put = Callable[[Sequence[ImageId], TagBatch], None]
"""Takes ids, and what the attribute answers for each."""

Tagged = tuple[ImageId, list[str], float, list[str]]
"""An image, its values (none: unknown), the confidence of them or of the best guess, and that."""


@contextlib.contextmanager
def writing(path: Path, stamp: str, limits: Floors) -> Iterator[Put]:
    """Replace a file by the tags that are put, unless an error comes between.

    What is less sure than the limits is kept, but it is unknown wherever no others are given.
    """
    schema = _SCHEMA.with_metadata({b"stamp": stamp.encode(), b"limits": limits.to_json().encode()})
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):

        def put(ids: Sequence[ImageId], tags: TagBatch) -> None:
            columns: list[Sequence[Any] | NDArray[np.floating]]
            columns = [ids, tags.values, tags.confidence, tags.guesses]
            arrays = [column(c, f.type) for c, f in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

        yield put


def stamp_in(file: pq.ParquetFile) -> str | None:
    """Name the attribute that the tags are of; None in a file of an earlier version."""
    if file.schema_arrow.names != _SCHEMA.names:
        return None
    stamp: bytes = (file.schema_arrow.metadata or {}).get(b"stamp", b"")
    return stamp.decode()


def rows(file: pq.ParquetFile, limits: Floors | None) -> Iterator[Tagged]:
    """Stream tags, held to limits, or to those that they were written with."""
    if limits is None:
        limits = Floors.from_json(file.schema_arrow.metadata[b"limits"].decode())
    for batch in file.iter_batches(columns=_SCHEMA.names):
        found = zip(*(one.to_pylist() for one in batch.columns), strict=True)
        if limits == EVERY:
            yield from found
            continue
        for image_id, values, confidence, guess in found:
            if values and not limits.keep(values, confidence):
                yield image_id, [], confidence, values
            else:
                yield image_id, values, confidence, guess
