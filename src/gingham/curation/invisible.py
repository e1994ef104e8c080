"""Columns of a table about what pictures cannot show: years, dates, prices, numbers of things."""

from __future__ import annotations

import re
from collections.abc import Collection

_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{2,4}")
_NUMBER = re.compile(r"[-+]?\d{1,3}([ ,.'\u00a0\u202f]\d{3})*([.,]\d+)?|[-+]?\d+([.,]\d+)?")
_MONEY = re.compile(
    r"([$\u20ac\u00a3\u00a5\u20b9]|(usd|eur|gbp|chf|jpy|inr)\b)\s*[\d.,' ]+"
    r"|[\d.,' ]+\s*([$\u20ac\u00a3\u00a5\u20b9]|(usd|eur|gbp|chf|jpy|inr))",
    re.IGNORECASE,
)
_NAMES = {
    "price": "prices",
    "cost": "prices",
    "msrp": "prices",
    "year": "years",
    "date": "dates",
    "sku": "numbers of articles",
    "ean": "numbers of articles",
    "gtin": "numbers of articles",
    "upc": "numbers of articles",
    "isbn": "numbers of articles",
    "barcode": "numbers of articles",
    "stock": "numbers in stock",
    "quantity": "numbers in stock",
    "inventory": "numbers in stock",
    "latitude": "places",
    "longitude": "places",
}
_YEARS = range(1800, 2101)


def invisible(name: str, values: Collection[str]) -> str | None:
    """Say what the values of a column are, if pictures cannot show it; else None.

    Numbers alone are no reason, since values are often numbered: they must look like years, prices
    or dates, or the name of the column must say so.

    Parameters
    ----------
    name : of the column.
    values : the different values that are known, at least one.
    """
    words = set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
    if all(map(_DATE.fullmatch, values)):
        return "dates"
    if all(map(_MONEY.fullmatch, values)):
        return "prices"
    if not all(map(_NUMBER.fullmatch, values)):
        return None
    if said := sorted(_NAMES[word] for word in words & _NAMES.keys()):
        return said[0]
    if len(values) > 1 and all(x.isdecimal() and int(x) in _YEARS for x in values):
        return "years"
    return None
