"""Stage 8: how often training sees each row, so that rare values are not drowned."""

from __future__ import annotations

from typing import Any

import numpy as np

from gingham.curation.config import BalanceSection
from gingham.curation.table import Records, Stage, TableRows

COLUMNS = ("attribute", "value", "images", "factor", "shown", "share_before", "share_after")


def balance_samples(samples: TableRows, section: BalanceSection, *, seed: int) -> Stage:
    """Set `repeat` of the training rows; the others are seen once.

    A value of fewer training images than the attribute's median is to be shown
    `(median / images) ** strength` times as often, a row as often as the rarest of its values asks,
    at most `max_repeat` times. What is between two whole numbers is drawn, the same for one seed.

    References
    ----------
    Gupta, Dollar, Girshick, *LVIS* (2019), appendix B.2: repeat factor sampling, with the root of
    the wanted over the actual frequency; the median as the wanted frequency is ours.
    """
    rows = [row for row in samples.rows if samples.split[row] == 0]
    names = section.attributes or tuple(samples.values)
    wanted = np.ones(len(samples))
    factors: dict[tuple[str, str], float] = {}
    for name in names:
        counts = samples.counts(name, rows)
        if not counts:
            continue
        median = float(np.median(list(counts.values())))
        for value, count in counts.items():
            factor = min(max(1.0, (median / count) ** section.strength), section.max_repeat)
            factors[name, value] = factor
        column = samples.values[name]
        for row in rows:
            wanted[row] = max([wanted[row], *(factors[name, value] for value in column[row] or ())])
    drawn = np.random.default_rng(seed).random(len(samples))
    repeat = np.floor(wanted) + (drawn < wanted - np.floor(wanted))
    samples.repeat[:] = 1
    samples.repeat[rows] = repeat[rows].astype(np.int64)
    shown = int(samples.repeat[rows].sum())
    records: Records = []
    for name in names:
        before = samples.counts(name, rows)
        column = samples.values[name]
        after = dict.fromkeys(before, 0)
        for row in rows:
            for value in column[row] or ():
                after[value] += int(samples.repeat[row])
        for value, count in sorted(before.items(), key=lambda item: (item[1], item[0])):
            records.append(_line(name, value, count, factors[name, value], after, len(rows), shown))
    return Stage("balance", records, {"training_rows": len(rows), "shown_an_epoch": shown})


def _line(
    name: str,
    value: str,
    count: int,
    factor: float,
    after: dict[str, int],
    rows: int,
    shown: int,
) -> dict[str, Any]:
    return {
        "attribute": name,
        "value": value,
        "images": count,
        "factor": round(factor, 3),
        "shown": after[value],
        "share_before": round(count / rows, 5),
        "share_after": round(after[value] / shown, 5),
    }
