"""Lists and NumPy arrays -> Arrow columns, without pandas.

`pyarrow.array` imports pandas wherever that is installed, which takes longer than teaching does.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def column(values: Sequence[Any] | NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Make a column of N values of a type: text, bytes, bool, float or a list of one of them.

    Parameters
    ----------
    values : None is null, except in a column of floats.
    kind : of bytes those of a fixed length, too.
    """
    if pa.types.is_floating(kind):
        return numbers(np.asarray(values, kind.to_pandas_dtype()))
    nulls = [value is None for value in values]
    valid = _bits(~np.array(nulls, bool)) if any(nulls) else None
    if pa.types.is_list(kind):
        lists = [() if one is None else one for one in values]
        flat = column(list(chain.from_iterable(lists)), kind.value_type)
        ends = _ends([len(one) for one in lists])
        return pa.Array.from_buffers(kind, len(values), [valid, ends], children=[flat])
    if pa.types.is_boolean(kind):
        buffers = [_bits(np.array(values, bool))]
    elif pa.types.is_fixed_size_binary(kind):
        empty = bytes(kind.byte_width)
        buffers = [pa.py_buffer(b"".join([empty if one is None else one for one in values]))]
    else:
        texts = ["" if one is None else one for one in values] if any(nulls) else values
        data = [one.encode() if isinstance(one, str) else one for one in texts]
        buffers = [_ends([len(one) for one in data]), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(kind, len(values), [valid, *buffers])


def numbers(values: NDArray[np.floating]) -> pa.Array:
    """Make a column of (N,) numbers without nulls; they are not copied."""
    flat = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(flat.dtype)
    return pa.Array.from_buffers(kind, len(flat), [None, pa.py_buffer(flat)])


def vectors(values: NDArray[np.floating], kind: pa.DataType) -> pa.Array:
    """Make a column of vectors, lists of one length, of (N, D) numbers; they are not copied."""
    flat = numbers(values.reshape(-1))
    ends = [_ends([values.shape[1]] * len(values))] if pa.types.is_list(kind) else []
    return pa.Array.from_buffers(kind, len(values), [None, *ends], children=[flat])


def table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Make a table of rows, column -> value; what a row does not name is null. See `column`."""
    columns = [column([row.get(field.name) for row in rows], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _ends(lengths: Sequence[int]) -> pa.Buffer:
    ends = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    return pa.py_buffer(ends)


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
