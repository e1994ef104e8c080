"""A folder of Hugging Face's `datasets` as it is written: Parquet with the images inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from gingham.errors import ImageError, InputError
from gingham.formats.exported import Exported

_ROWS = 500
_README = "---\npretty_name: tagged by gingham\n---\n\nColumns: image, id, {}.\n"


def write(folder: Path, exported: Exported) -> int:
    """Write `data/train-*.parquet`, some hundred images each, and a README.

    Raises
    ------
    InputError
        If the images are not here, or not one can be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    read = exported.read
    if read is None:
        raise InputError("images go into a folder of datasets: export where the catalogue lies")
    inside = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    kinds = {"text": pa.string(), "texts": pa.list_(pa.string()), "number": pa.float32()}
    columns = exported.columns()
    fields = [(name, kinds[kind]) for name, kind in columns.items() if name != "image"]
    said = {"huggingface": json.dumps({"info": {"features": _features(columns)}})}
    schema = pa.schema([("image", inside), *fields], metadata=said)

    def rows() -> Iterator[dict[str, Any]]:
        for row in exported.rows():
            try:
                data = read(row["image"])
            except ImageError:
                continue
            yield row | {"image": {"bytes": data, "path": Path(row["image"]).name}}

    (folder / "data").mkdir(parents=True)
    left, written = rows(), 0
    for part in range(1_000_000):
        batch = list(islice(left, _ROWS))
        if not batch:
            break
        table = pa.Table.from_pylist(batch, schema=schema)
        pq.write_table(table, folder / "data" / f"train-{part:05}.parquet", row_group_size=100)
        written += len(batch)
    if not written:
        raise InputError("not one image can be read: give back the files, or index them again")
    (folder / "README.md").write_text(_README.format(", ".join(exported.kinds)), encoding="utf-8")
    return written


def _features(columns: dict[str, str]) -> dict[str, Any]:
    """Describe columns as `datasets` does."""
    text = {"dtype": "string", "_type": "Value"}
    kinds: dict[str, Any] = {"text": text, "number": {"dtype": "float32", "_type": "Value"}}
    kinds["texts"] = {"feature": text, "_type": "List"}
    return {name: kinds[kind] for name, kind in columns.items()} | {"image": {"_type": "Image"}}
