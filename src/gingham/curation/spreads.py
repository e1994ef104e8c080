"""The distribution of one attribute's values, before and after curation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_VALUES = 18


def spread(
    name: str,
    before: Mapping[str, int],
    after: Mapping[str, int],
    shown: Mapping[str, int],
    unknown: int,
) -> dict[str, Any]:
    """Prepare the bars of one attribute; the rarest values are one row.

    Bars are shares, so that a table, the clean one and its training part can be compared.
    """
    columns = [before, after] + ([shown] if shown else [])
    values = sorted(
        before.keys() | after.keys(), key=lambda v: (-max(before.get(v, 0), after.get(v, 0)), v)
    )
    rows = [(value, [column.get(value, 0) for column in columns]) for value in values]
    if len(rows) > MOST_VALUES:
        rest = [counts for _, counts in rows[MOST_VALUES - 1 :]]
        others = [sum(counts) for counts in zip(*rest, strict=True)]
        rows = [*rows[: MOST_VALUES - 1], (f"{len(rest)} others", others)]
    totals = [sum(column.values()) or 1 for column in columns]
    shares = [[n / total for n, total in zip(counts, totals, strict=True)] for _, counts in rows]
    most = max((share for row in shares for share in row), default=0.0) or 1.0
    kinds = ("before", "after", "shown")
    bars = []
    for (value, (came, stayed, *_)), row in zip(rows, shares, strict=True):
        change = "" if came == stayed else f" \N{RIGHTWARDS ARROW} {stayed:,} ({stayed - came:+,})"
        drawn = [
            (kind, f"{100 * share / most:.1f}", f"{kind} {100 * share:.1f} %")
            for kind, share in zip(kinds, row, strict=False)
        ]
        bars.append((value, f"{came:,}{change}", drawn))
    about = {"name": name, "before": len(before), "after": len(after), "unknown": unknown}
    return about | {"rows": bars}
