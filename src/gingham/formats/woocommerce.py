"""WooCommerce's product CSV: several images a product in, attributes out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.formats import csv_out, csv_table
from gingham.formats.content import Content, Row
from gingham.formats.exported import Exported

_KEYS = ("ID", "SKU")
_NAME = re.compile(r"Attribute (\d+) name")
_MOST = 100


def recognised(path: Path) -> bool:
    """Say whether a CSV has WooCommerce's columns."""
    names = csv_table.header(path)
    return bool({*_KEYS} & {*names} and {"Images", "Attribute 1 name"} & {*names})


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a row an image; `Attribute N name` and its values are a column of that name.

    Which attributes there are say the first rows.
    """
    found = csv_table.read(path, None)
    numbers = [match[1] for name in found.names if (match := _NAME.fullmatch(name))]
    own = [x for x in found.names if not re.fullmatch(r"Images|image|Attribute \d+ .*", x)]
    named: dict[str, None] = {}
    for row, _ in zip(csv_table.read(path, None).rows, range(_MOST), strict=False):
        named |= dict.fromkeys(x for n in numbers if (x := row.cells[f"Attribute {n} name"]))
    named.pop("image", None)
    names = [*own, *(name for name in named if name not in own)]

    def rows() -> Iterator[Row]:
        for row in found.rows:
            cells = {name: row.cells[name] or None for name in own} | dict.fromkeys(named)
            for n in numbers:
                name, said = (
                    row.cells[f"Attribute {n} name"],
                    row.cells.get(f"Attribute {n} value(s)"),
                )
                if name in named and said:
                    values = [value.strip().replace("\\,", ",") for value in _split(said)]
                    cells[name] = values if len(values) > 1 else values[0]
            for image in _split(row.cells.get("Images") or "") or [None]:
                yield Row(row.number, {"image": image and image.strip()} | cells, row.bad)

    return Content(["image", *names], rows())


def _split(cell: str) -> list[Any]:
    return [part for part in re.split(r"(?<!\\),", cell) if part.strip()]


def write(path: Path, exported: Exported) -> int:
    """Write an attribute of the product for each of the catalogue's, and its SKU or ID.

    Raises
    ------
    InputError
        If no table with SKUs or IDs was joined.
    """
    known = [name for name in (*_KEYS, "Name") if name in exported.given]
    if not set(_KEYS) & set(known):
        raise InputError(
            "WooCommerce knows products by ID or SKU: give --join PRODUCTS.csv --key SKU"
        )
    heads = ("name", "value(s)", "visible", "global")
    kinds = enumerate(exported.kinds, 1)
    places = {x: [f"Attribute {n} {head}" for head in heads] for n, x in kinds}

    def rows() -> Iterator[dict[str, Any]]:
        for one in exported.files:
            row = {name: one.cells.get(name) for name in known}
            for name, tag in one.tags.items():
                values = ", ".join(value.replace(",", "\\,") for value in tag.values)
                row |= dict(
                    zip(places[name], (name, values, 1, 0) if values else ("",) * 4, strict=True)
                )
            yield row

    return csv_out.write_rows(path, [*known, *(x for y in places.values() for x in y)], rows())
