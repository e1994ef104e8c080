"""What held-out examples say of an attribute: how good it is, and what would help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.cutoffs import chance
from gingham.results import Confusion, ValueVerdict, Verdict

PRECISION = 0.95
"""Share of right answers that is asked for where a verdict says how much can be answered."""

GOOD, FAIR = 0.95, 0.8
"""Shares of right answers from which an attribute is called good, or fair."""

FEW = 20
"""Fewer held-out examples say nothing."""

CHANCE = 0.05
"""Two values are told apart if chance would tell them apart as well in fewer cases than this."""

PAIRS = 3
"""Pairs of values that are named."""

Truth = NDArray[np.intp]
Probabilities = NDArray[np.float64]


def judge(
    values: Sequence[str],
    truth: Truth,
    probabilities: Probabilities,
    images: Sequence[str],
    answered: float,
    first: Collection[int] = (),
) -> Verdict:
    """Judge an attribute of kind `single` by its held-out examples.

    Parameters
    ----------
    values : V names.
    truth : (N,) int, the value of each example.
    probabilities : (N, V), what the others predict of it; nan where it was not held out.
    images : N file names.
    answered : the share that can be answered at `PRECISION`, see `gingham.attributes.cutoffs`.
    first : rows of the examples that were taught first; empty where there are no others.
    """
    rows = np.flatnonzero(~np.isnan(probabilities).any(axis=1))
    guess, said = probabilities[rows].argmax(axis=1), truth[rows]
    right = guess == said
    counts = [
        ValueVerdict(name, int((said == v).sum()), int(right[said == v].sum()))
        for v, name in enumerate(values)
    ]
    pairs = Counter(zip(said[~right].tolist(), guess[~right].tolist(), strict=True))
    confused = tuple(
        Confusion(
            values[value],
            values[other],
            count,
            tuple(images[rows[i]] for i in np.flatnonzero((said == value) & (guess == other))[:2]),
        )
        for (value, other), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    )
    by_chance = [(values[a], values[b]) for a, b in _told_by_chance(said, guess)]
    kept = np.isin(rows, list(first)) if first else np.zeros(len(rows), bool)
    return _verdict(
        counts,
        confused,
        by_chance,
        answered,
        (int(right[kept].sum()), int(kept.sum())),
    )


def judge_multi(
    values: Sequence[str],
    truth: Probabilities,
    probabilities: Probabilities,
    images: Sequence[str],
    answered: float,
    first: Collection[int] = (),
) -> Verdict:
    """Judge an attribute of kind `multi`, each value of an example by itself; see `judge`.

    Parameters
    ----------
    truth : (N, V), 1, 0, or nan where it is not known.
    """
    tested = ~np.isnan(truth) & ~np.isnan(probabilities)
    said, has = probabilities >= 0.5, truth == 1
    right = tested & (said == has)
    counts = [
        ValueVerdict(name, int(tested[:, v].sum()), int(right[:, v].sum()))
        for v, name in enumerate(values)
    ]
    confused = []
    for v, name in enumerate(values):
        for there, pair in ((True, (name, f"!{name}")), (False, (f"!{name}", name))):
            wrong = np.flatnonzero(tested[:, v] & ~right[:, v] & (has[:, v] == there))
            if len(wrong):
                shown = tuple(images[row] for row in wrong[:2])
                confused.append(Confusion(*pair, len(wrong), shown))
    confused.sort(key=lambda one: -one.count)
    kept = np.zeros(len(truth), bool)
    kept[list(first)] = True
    return _verdict(
        counts,
        tuple(confused),
        [],
        answered,
        (int(right[kept].sum()), int(tested[kept].sum())),
    )


def _told_by_chance(said: Truth, guess: Truth) -> list[tuple[int, int]]:
    """List pairs of values that are confused and not told apart better than by a coin.

    Of the examples of either that got one of the two, the right ones are counted: a binomial test,
    one-sided.
    """
    found = []
    pairs = {(min(pair), max(pair)) for pair in zip(said.tolist(), guess.tolist(), strict=True)}
    for a, b in sorted(pair for pair in pairs if pair[0] != pair[1]):
        both = np.isin(said, (a, b)) & np.isin(guess, (a, b))
        n, k = int(both.sum()), int((said == guess)[both].sum())
        if chance(k, n, 0.5) > CHANCE:
            found.append((n - k, a, b))
    return [(a, b) for _, a, b in sorted(found, key=lambda item: (-item[0], *item[1:]))]


def _verdict(
    counts: Sequence[ValueVerdict],
    confused: tuple[Confusion, ...],
    by_chance: Sequence[tuple[str, str]],
    answered: float,
    first: tuple[int, int],
) -> Verdict:
    tested, right = sum(one.tested for one in counts), sum(one.right for one in counts)
    worst = tuple(sorted(counts, key=lambda one: (one.right / max(one.tested, 1), one.value)))
    share = right / tested if tested else 0.0
    grade = "good" if share >= GOOD else "fair" if share >= FAIR else "weak"
    advice = None
    if tested < FEW:
        grade, advice = "untested", "teach more examples: too few can be held out to judge it"
    elif grade != "good":
        # The value that takes part in most mistakes, of equals the one with fewest examples.
        mistakes = Counter[str]()
        for one in confused:
            mistakes.update(
                {one.value.removeprefix("!"): one.count, one.predicted.removeprefix("!"): one.count}
            )
        most = min(counts, key=lambda one: (-mistakes[one.value], one.tested, one.value))
        advice = (
            f"more examples of {most.value} would help most: it takes part in "
            f"{mistakes[most.value]} of {tested - right} mistakes"
        )
    sentence = f"{grade}: {right} of {tested} held-out examples right"
    if grade == "weak":
        sentence += "; treat its answers as suggestions"
    if by_chance:
        pairs = ", ".join(f"{a} and {b}" for a, b in by_chance[:PAIRS])
        sentence += f"; {pairs} are told apart by chance"
    return Verdict(
        grade=grade,
        sentence=sentence,
        tested=tested,
        right=right,
        values=worst,
        confusions=confused,
        by_chance=tuple(by_chance[:PAIRS]),
        precision=PRECISION,
        answered=answered,
        advice=advice,
        first_tested=first[1],
        first_right=first[0],
    )
