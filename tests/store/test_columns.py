from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.store.columns import column, numbers, table, vectors

KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.string(), st.none() | st.text()),
    (pa.binary(), st.none() | st.binary()),
    (pa.binary(4), st.none() | st.binary(min_size=4, max_size=4)),
    (pa.bool_(), st.none() | st.booleans()),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.list_(pa.field("element", pa.string())), st.none() | st.lists(st.text())),
]


@pytest.mark.parametrize(("kind", "values"), KINDS, ids=lambda x: str(x)[:20])
@settings(deadline=None)  # Arrow itself imports pandas the first time
@given(data=st.data())
def test_a_column_holds_what_arrow_itself_would_make(
    kind: pa.DataType, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    given_ = data.draw(st.lists(values, max_size=20))
    made = column(given_, kind)
    made.validate(full=True)
    assert made.equals(pa.array(given_, kind))


@settings(deadline=None)
@given(rows=st.integers(0, 5), width=st.integers(1, 4))
def test_vectors_keep_their_numbers(rows: int, width: int) -> None:
    block = np.arange(rows * width, dtype=np.float16).reshape(rows, width)
    kind = pa.list_(pa.field("element", pa.float16()), width)
    made = vectors(block, kind)
    made.validate(full=True)
    assert made.to_pylist() == block.tolist()
    assert numbers(block[:, 0]).to_pylist() == block[:, 0].tolist()


def test_what_a_row_does_not_name_is_null() -> None:
    schema = pa.schema([("name", pa.string()), ("there", pa.bool_())])
    rows: list[dict[str, Any]] = [{"name": "a", "there": True}, {"name": "b"}]
    assert table(rows, schema).to_pylist() == [rows[0], {"name": "b", "there": None}]


def test_columns_do_not_import_pandas() -> None:
    code = """
import sys
import numpy as np, pyarrow as pa
from gingham.store.columns import table, vectors
schema = pa.schema([("a", pa.string()), ("b", pa.list_(pa.string())), ("c", pa.float64())])
table([{"a": "x", "b": ["y"], "c": 1.0}], schema).cast(schema)
vectors(np.zeros((2, 3), np.float16), pa.list_(pa.float16(), 3))
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
