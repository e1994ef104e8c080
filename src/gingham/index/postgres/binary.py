"""Rows of numbers as PostgreSQL's binary COPY has them, from and to arrays, without a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.store.ids import KIND, Ids

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"

Column = tuple[str, NDArray[np.generic]]
"""A kind (`int`, `id` or `halfvec`) and N values of it."""


def dump(columns: Sequence[Column]) -> bytes:
    """Write columns as the content of COPY ... FROM STDIN (FORMAT binary)."""
    count = len(columns[0][1])
    rows = np.zeros(count, _type([(kind, values.shape[-1]) for kind, values in columns]))
    rows["fields"] = len(columns)
    for i, (kind, values) in enumerate(columns):
        rows[f"size{i}"] = rows.dtype[f"value{i}"].itemsize
        if kind == "halfvec":
            rows[f"value{i}"]["width"] = values.shape[1]
            rows[f"value{i}"]["numbers"] = values
        else:
            rows[f"value{i}"] = values
    return _HEADER + rows.tobytes() + _END


def read_numbers(data: bytes) -> NDArray[np.int64]:
    """Read what COPY gives of two columns of integers: (N, 2)."""
    rows = np.frombuffer(_body(data), _type([("int", 1), ("int", 1)]))
    return np.stack([rows["value0"], rows["value1"]], axis=1).astype(np.int64)


def read_ids(data: bytes) -> Ids:
    """Read what COPY gives of one column of ids."""
    return np.ascontiguousarray(np.frombuffer(_body(data), _type([("id", 1)]))["value0"])


def read_vectors(vectors: Sequence[bytes], width: int) -> NDArray[np.float32]:
    """Read N vectors of type halfvec: (N, width)."""
    rows = np.frombuffer(b"".join(vectors), _value("halfvec", width))
    numbers: NDArray[np.float32] = rows["numbers"].reshape(-1, width).astype(np.float32)
    return numbers


def _body(data: bytes) -> bytes:
    return data[len(_HEADER) : -len(_END)]


def _type(columns: Sequence[tuple[str, int]]) -> np.dtype[np.void]:
    fields: list[tuple[str, Any]] = [("fields", ">i2")]
    for i, (kind, width) in enumerate(columns):
        fields += [(f"size{i}", ">i4"), (f"value{i}", _value(kind, width))]
    return np.dtype(fields)


def _value(kind: str, width: int) -> np.dtype[Any]:
    if kind == "halfvec":
        return np.dtype([("width", ">i2"), ("unused", ">i2"), ("numbers", ">f2", (width,))])
    return np.dtype({"int": ">i4", "id": KIND}[kind])
