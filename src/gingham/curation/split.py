"""Stage 7: training, validation and test sets, stratified over all values of all attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.curation.config import SplitSection
from gingham.curation.table import SPLITS, Records, Stage, TableRows
from gingham.errors import InputError

COLUMNS = ("row", "image", "group", "split")


def split_samples(samples: TableRows, section: SplitSection, *, seed: int) -> Stage:
    """Assign every row that is still there to a set, without dividing a group.

    Raises
    ------
    InputError
        If no row is left for training.
    """
    rows = np.array(samples.rows, np.int64)
    shares = (1 - section.validation - section.test, section.validation, section.test)
    keys = [(name, value) for name in samples.values for value in sorted(samples.counts(name))]
    number = {key: i for i, key in enumerate(keys)}
    labels = [
        [
            number[name, value]
            for name, column in samples.values.items()
            for value in column[row] or ()
        ]
        for row in rows.tolist()
    ]
    groups = np.unique(samples.group[rows], return_inverse=True)[1]
    samples.split[rows] = stratify(labels, groups, shares, seed=seed)
    if not (samples.split[rows] == 0).any():
        raise InputError(
            f"[split] validation = {section.validation} and test = {section.test} leave none of "
            f"{len(rows)} rows in {groups.max() + 1} groups for training: lower them"
        )
    records: Records = [
        {
            "row": row,
            "image": samples.names[row],
            "group": int(samples.group[row]),
            "split": SPLITS[samples.split[row]],
        }
        for row in rows.tolist()
    ]
    sizes = {name: int((samples.split[rows] == i).sum()) for i, name in enumerate(SPLITS)}
    training = rows[samples.split[rows] == 0].tolist()
    trained = {(name, value) for name in samples.values for value in samples.counts(name, training)}
    lost = [f"{name}: {value}" for name, value in keys if (name, value) not in trained]
    return Stage("split", records, {**sizes, "values_without_training": lost})


def stratify(
    labels: Sequence[Sequence[int]],
    groups: NDArray[np.intp],
    shares: Sequence[float],
    *,
    seed: int,
) -> NDArray[np.int8]:
    """Distribute rows over sets so that every label is shared out alike, rare labels first.

    Parameters
    ----------
    labels : of each of N rows, any number of labels from 0.
    groups : (N,) int from 0; rows of one group go together.
    shares : of each set; they sum to 1. A set of share 0 stays empty.
    seed : of the order of groups, and of ties.

    Returns
    -------
    (N,) int8, the set of each row.

    References
    ----------
    Sechidis, Tsoumakas, Vlahavas, *On the Stratification of Multi-Label Data* (2011), algorithm 1;
    groups in place of single examples, the largest of a label first, are ours.
    """
    rng = np.random.default_rng(seed)
    n_groups = int(groups.max(initial=-1)) + 1
    share = np.array(shares, float)
    size = np.bincount(groups, minlength=n_groups)
    counts: list[dict[int, int]] = [{} for _ in range(n_groups)]
    for group, found in zip(groups.tolist(), labels, strict=True):
        for label in found:
            counts[group][label] = counts[group].get(label, 0) + 1
    n_labels = max((label for found in labels for label in found), default=-1) + 1
    holders: list[list[int]] = [[] for _ in range(n_labels)]
    total = np.zeros(n_labels)
    order = rng.permutation(n_groups)
    order = order[np.argsort(-size[order], kind="stable")]
    for group in order.tolist():
        for label, count in counts[group].items():
            holders[label].append(group)
            total[label] += count
    wanted = total[:, None] * share
    room = len(groups) * share
    chosen = np.full(n_groups, -1, np.int8)
    left = total.copy()

    def place(group: int, need: NDArray[np.float64]) -> None:
        # A full set takes no more: many rare labels, each a little over, would swell it.
        free = (room > 0) & (share > 0)
        free = free if free.any() else share > 0
        best = np.flatnonzero(free & (need >= need[free].max() - 1e-9))
        best = best[room[best] >= room[best].max() - 1e-9]
        target = int(best[0] if len(best) == 1 else rng.choice(best))
        chosen[group] = target
        room[target] -= size[group]
        for label, count in counts[group].items():
            wanted[label, target] -= count
            left[label] -= count

    while left.any():
        label = int(np.where(left > 0, left, np.inf).argmin())
        for group in holders[label]:
            if chosen[group] < 0:
                place(group, wanted[label])
    for group in order.tolist():
        if chosen[group] < 0:
            place(group, room)
    return chosen[groups]
