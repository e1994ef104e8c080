"""Shopify's product CSV: several images a product in, metafields out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gingham.errors import InputError
from gingham.formats import csv_out, csv_table
from gingham.formats.content import Content, Row
from gingham.formats.exported import Exported

_HANDLE, _IMAGE, _LIST = "Handle", "Image Src", "; "
_METAFIELD = re.compile(r"(.+) \(product\.metafields\.gingham\.\w+\)")


def recognised(path: Path) -> bool:
    """Say whether a CSV has Shopify's columns."""
    names = csv_table.header(path)
    return _HANDLE in names and (_IMAGE in names or any(map(_METAFIELD.fullmatch, names)))


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read a row an image, each with the cells of its product, which Shopify writes only once.

    The metafields that gingham writes are columns of their attributes' names.
    """
    found = csv_table.read(path, None)
    names = [x for x in map(_plain, found.names) if x not in (_IMAGE, "image")]

    def rows() -> Iterator[Row]:
        product: dict[str, Any] = {}
        for row in found.rows:
            cells = {_plain(name): cell or None for name, cell in row.cells.items()}
            image = cells.pop(_IMAGE, None)
            if cells.get(_HANDLE) != product.get(_HANDLE):
                product = cells
            elif not image:
                continue  # another variant
            said = {name: cells.get(name) or product.get(name) for name in names}
            said |= {x: _values(y) for x, y in said.items() if y and x in given}
            yield Row(row.number, {"image": image} | said, row.bad)

    given = {_plain(name) for name in found.names if _METAFIELD.fullmatch(name)}
    return Content(["image", *names], rows())


def _values(cell: str) -> Any:
    found = re.findall(r"(?:\\.|[^\\;]|;(?! )|\\$)+", cell)
    values = [re.sub(r"\\([\\;])", r"\1", one.removeprefix(" ")) for one in found]
    return values if len(values) > 1 else next(iter(values), None)


def _plain(name: str) -> str:
    return found[1] if (found := _METAFIELD.fullmatch(name)) else name


def write(path: Path, exported: Exported) -> int:
    """Write a metafield an attribute, and the handle of each product.

    Raises
    ------
    InputError
        If no table with handles was joined.
    """
    if _HANDLE not in exported.given:
        raise InputError(
            "Shopify knows products by their handle: give --join PRODUCTS.csv --key Handle"
        )
    keys = {name: re.sub(r"\W+", "_", name.lower()) for name in exported.kinds}
    heads = {x: f"{x} (product.metafields.gingham.{key})" for x, key in keys.items()}
    known = [name for name in (_HANDLE, "Title") if name in exported.given]

    def rows() -> Iterator[dict[str, Any]]:
        for one in exported.files:
            cells = {name: one.cells.get(name) for name in known}
            said = {
                x: (re.sub(r"[\\;]", r"\\\g<0>", y) for y in tag.values)
                for x, tag in one.tags.items()
            }
            yield cells | {heads[x]: _LIST.join(values) for x, values in said.items()}

    return csv_out.write_rows(path, [*known, *heads.values()], rows())
