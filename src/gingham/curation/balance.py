"""Stage 8: how often training sees each row, so that rare values are not drowned."""

from __future__ import annotations

import numpy as np

from gingham.curation.config import BalanceSection
from gingham.curation.table import Records, Stage, TableRows
from gingham.formats.content import heading

COLUMNS = ("attribute", "value", "images", "factor", "shown", "share_before", "share_after")


def balance_samples(samples: TableRows, section: BalanceSection, *, seed: int) -> Stage:
    """Set `repeat` of the training rows; the others are seen once.

    A value of fewer training images than the attribute's median is to be shown `(median / images)
    ** strength` times as often, a row as often as its rarest value asks, at most `max_repeat`
    times. A fraction is rounded up or down at random, in the same way for one seed.

    References
    ----------
    Gupta, Dollar, Girshick, *LVIS* (2019), appendix B.2: repeat factor sampling, with the root of
    the wanted over the actual frequency; the median as the wanted frequency is ours.
    """
    rows = [row for row in samples.rows if samples.split[row] == 0]
    names = tuple(map(heading, section.attributes)) or tuple(samples.values)
    wanted = np.ones(len(samples))
    factors: dict[tuple[str, str], float] = {}
    counts = {name: samples.counts(name, rows) for name in names}
    for name in names:
        if not counts[name]:
            continue
        median = float(np.median(list(counts[name].values())))
        for value, count in counts[name].items():
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
        after = samples.counts(name, rows, repeated=True)
        records += [
            {
                "attribute": name,
                "value": value,
                "images": count,
                "factor": round(factors[name, value], 3),
                "shown": after[value],
                "share_before": round(count / len(rows), 5),
                "share_after": round(after[value] / shown, 5),
            }
            for value, count in sorted(counts[name].items(), key=lambda item: (item[1], item[0]))
        ]
    return Stage("balance", records, {"training_rows": len(rows), "shown_an_epoch": shown})
