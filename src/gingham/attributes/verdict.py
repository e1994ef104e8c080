"""What held-out examples say of an attribute: how good it is, and what would help."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

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
    first: Collection[int] = (),
) -> Verdict:
    """Judge an attribute of kind `single` by its held-out examples.

    Parameters
    ----------
    values : V names.
    truth : (N,) int, the value of each example.
    probabilities : (N, V), what the others predict of it; nan where it was not held out.
    images : N file names.
    first : rows of the examples that were taught first; empty where there are no others.

    References
    ----------
    How much can be answered at a precision is the coverage of selective classification: El-Yaniv
    and Wiener, *On the Foundations of Noise-free Selective Classification* (2010).
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
    chance = [(values[a], values[b]) for a, b in _told_by_chance(said, guess)]
    kept = np.isin(rows, list(first)) if first else np.zeros(len(rows), bool)
    return _verdict(
        counts,
        confused,
        chance,
        answered_at(probabilities[rows].max(axis=1), right, PRECISION),
        (int(right[kept].sum()), int(kept.sum())),
    )


def judge_multi(
    values: Sequence[str],
    truth: Probabilities,
    probabilities: Probabilities,
    images: Sequence[str],
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
    confidence = np.maximum(probabilities, 1 - probabilities)[tested]
    kept = np.zeros(len(truth), bool)
    kept[list(first)] = True
    return _verdict(
        counts,
        tuple(confused),
        [],
        answered_at(confidence, right[tested], PRECISION),
        (int(right[kept].sum()), int(tested[kept].sum())),
    )


def answered_at(
    confidence: NDArray[np.floating], right: NDArray[np.bool_], precision: float
) -> float:
    """Return the largest share that can be answered, surest first, with so many of them right.

    Equal confidences are answered together. 0 where there is no such share.
    """
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(right[order])
    answered = np.arange(1, len(order) + 1)
    last_of_equal = np.append(np.diff(confidence[order]) != 0, True)[: len(order)]
    enough = np.flatnonzero(last_of_equal & (hits >= precision * answered))
    return float((enough[-1] + 1) / len(order)) if len(enough) else 0.0


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
        if chance_of(k, n) > CHANCE:
            found.append((n - k, a, b))
    return [(a, b) for _, a, b in sorted(found, key=lambda item: (-item[0], *item[1:]))]


def chance_of(k: int, n: int) -> float:
    """Return the probability that a coin thrown n times shows heads k times or more.

    Beyond 500 throws by the normal distribution, half a throw taken off k.
    """
    if n <= 500:
        return sum(math.comb(n, i) for i in range(k, n + 1)) / float(2**n)
    return math.erfc((2 * k - 1 - n) / math.sqrt(2 * n)) / 2


def _verdict(
    counts: Sequence[ValueVerdict],
    confused: tuple[Confusion, ...],
    chance: Sequence[tuple[str, str]],
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
    if chance:
        pairs = ", ".join(f"{a} and {b}" for a, b in chance[:PAIRS])
        sentence += f"; {pairs} are told apart by chance"
    return Verdict(
        grade=grade,
        sentence=sentence,
        tested=tested,
        right=right,
        values=worst,
        confusions=confused,
        by_chance=tuple(chance[:PAIRS]),
        precision=PRECISION,
        answered=answered,
        advice=advice,
        first_tested=first[1],
        first_right=first[0],
    )
