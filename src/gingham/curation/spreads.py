"""The distribution of one attribute's values, before and after, as bars of HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gingham.report.frame import escaped

MOST_VALUES = 18


def spread(
    name: str,
    before: Mapping[str, int],
    after: Mapping[str, int],
    shown: Mapping[str, int],
    unknown: int,
) -> str:
    """Draw the distribution of one attribute: a few bars a value, the rarest values folded.

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
    most = max(
        (count / total for _, counts in rows for count, total in zip(counts, totals, strict=True)),
        default=1.0,
    )
    bars = "".join(_bar(value, counts, totals, most or 1.0) for value, counts in rows)
    return (
        f'<div class="spread"><h3>{escaped(name)}</h3><p class="soft">'
        f"{len(before)} values before, {len(after)} after; {unknown} images unknown</p>"
        f"{bars}</div>"
    )


def _bar(value: str, counts: Sequence[int], totals: Sequence[int], most: float) -> str:
    drawn = "".join(
        f'<i class="{kind}" style="width:{100 * count / total / most:.1f}%" '
        f'title="{count / total:.1%}"></i>'
        for kind, count, total in zip(("before", "after", "shown"), counts, totals, strict=False)
    )
    said = " / ".join(f"{count:,}" for count in counts)
    words = f"<span>{escaped(value)}</span><span>{said}</span>"
    return f'<div class="bars">{words}<div>{drawn}</div></div>'
