"""The vectors of a shard, read where they lie: columns that are neither compressed nor encoded.

Arrow reads whole row groups. Of a shard whose columns are one plain page each, a row of a column
is a range of bytes, which is read in a microsecond, and a column is read as it will be used.

References
----------
The file format is https://parquet.apache.org/docs/file-format/, the header of a page the Thrift
compact protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Vectors = NDArray[np.float16]

WRITING: Mapping[str, Any] = {
    "compression": "none",
    "use_dictionary": False,
    # One row group, and in each of its columns one page.
    "row_group_size": 1 << 30,
    "data_page_size": 1 << 30,
}
"""How `pyarrow.parquet.write_table` writes a table that can be read so."""

_ENCODINGS = {"PLAIN", "RLE"}
_BYTES = 2
_LONGEST = 64  # bytes that the beginning of a header takes, at most
_INTEGER = 0x15  # of a header: the next field, which is an integer


@dataclass(frozen=True)
class PlainColumn:
    """Where a column of N vectors is in its file.

    Attributes
    ----------
    start : of its page, with what comes before the numbers.
    first, end : of the numbers.
    width : of a vector.
    """

    start: int
    first: int
    end: int
    width: int

    @property
    def numbers(self) -> tuple[int, int, int]:
        """What `from_numbers` takes."""
        return self.start, self.first, self.end


def columns(shard: pq.ParquetFile) -> dict[str, PlainColumn]:
    """Say where the columns of vectors of a shard are; empty if they are not plain.

    Parameters
    ----------
    shard : without nulls; each column of vectors has one width.
    """
    head = shard.metadata
    if head.num_row_groups != 1:
        return {}
    group, found = head.row_group(0), {}
    for number, field in enumerate(shard.schema_arrow):
        chunk = group.column(number)
        if chunk.compression != "UNCOMPRESSED" or not _ENCODINGS.issuperset(chunk.encodings):
            return {}
        if pa.types.is_fixed_size_list(field.type):
            start = chunk.data_page_offset
            end = start + chunk.total_compressed_size
            first = end - _BYTES * chunk.num_values
            found[field.name] = PlainColumn(start, first, end, field.type.list_size)
    return found


def from_numbers(widths: Mapping[str, int], numbers: NDArray[np.int64]) -> dict[str, PlainColumn]:
    """Take where L columns are, (L, 3), as was noted before; zeros where they are not plain."""
    if not numbers.any():
        return {}
    columns = zip(widths.items(), numbers.tolist(), strict=True)
    return {
        name: PlainColumn(start, first, end, width)
        for (name, width), (start, first, end) in columns
    }


def read_column(file: int, column: PlainColumn) -> Vectors:
    """Read all (N, width) vectors of a column.

    Parameters
    ----------
    file : a descriptor.

    Raises
    ------
    OSError
        If they are not as they were written.
    """
    # The numbers begin where numbers may, at an even address.
    odd = (column.first - column.start) % _BYTES
    page = np.empty(odd + column.end - column.start, np.uint8)[odd:]
    _read(file, page, column.start)
    size, checksum = _header(page[:_LONGEST].tobytes())
    if zlib.crc32(page[len(page) - size :].data) != checksum:
        raise OSError("a checksum does not match")
    return page[column.first - column.start :].view(np.float16).reshape(-1, column.width)


def read_row(file: int, column: PlainColumn, row: int, out: Vectors) -> None:
    """Read one vector into `out`, (width,); checksums are of whole columns, and not looked at.

    Raises
    ------
    OSError
        If the file was cut short.
    """
    _read(file, out, column.first + _BYTES * column.width * row)


def _read(file: int, out: NDArray[Any], start: int) -> None:
    if os.preadv(file, [out.data], start) != out.nbytes:
        raise OSError("it was cut short")


def _header(data: bytes) -> tuple[int, int]:
    """Give the size of a page without its header, and its checksum."""
    numbers, place = [], 0
    for _ in range(4):  # the kind, the size, the size when compressed, the checksum
        if data[place] != _INTEGER:
            raise OSError("it has no checksum")
        number, shift, more = 0, 0, True
        while more:
            place += 1
            number |= (data[place] & 0x7F) << shift
            shift, more = shift + 7, data[place] > 0x7F
        numbers.append(number >> 1 ^ -(number & 1))
        place += 1
    return numbers[2], numbers[3] % 2**32
