"""Which values are taken for which, and which examples look mislabelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix

from gingham.errors import ShapeError
from gingham.evaluation.study.checks import Rows, check_labels


@dataclass(frozen=True)
class ConfusedPair:
    """Two values taken for each other.

    Attributes
    ----------
    first, second : the values.
    rows : of `first` taken for `second`, then of `second` taken for `first`.
    """

    first: str
    second: str
    rows: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def count(self) -> int:
        """How many rows in all."""
        return len(self.rows[0]) + len(self.rows[1])


@dataclass(frozen=True)
class Suspect:
    """An example that looks mislabelled.

    Attributes
    ----------
    row : of the example.
    value, probability : its own value, and how probable that is while it is held out.
    other, other_probability : the value it looks like.
    """

    row: int
    value: str
    probability: float
    other: str
    other_probability: float


def confusions(y: Sequence[str] | NDArray[np.generic], predicted: Rows) -> NDArray[np.intp]:
    """Count what each value is taken for.

    Parameters
    ----------
    y : (N,) values.
    predicted : (N,) int, held-out predictions; see `gingham.evaluation.study.accuracy.Accuracy`.

    Returns
    -------
    (V, V) int array, own value by predicted one, both sorted.

    Raises
    ------
    ShapeError
        If there are not N predictions.
    """
    labels, values = check_labels(y)
    if predicted.shape != labels.shape:
        raise ShapeError("predicted", expected=str(labels.shape), got=predicted.shape)
    counts: NDArray[np.intp] = confusion_matrix(labels, predicted, labels=range(len(values)))
    return counts


def confused_pairs(y: Sequence[str] | NDArray[np.generic], predicted: Rows) -> list[ConfusedPair]:
    """List the five pairs of values most often taken for each other, worst first.

    Parameters
    ----------
    y, predicted : see `confusions`.

    Raises
    ------
    ShapeError
        If there are not N predictions.
    """
    counts = confusions(y, predicted)
    labels, values = check_labels(y)
    pairs = sorted(
        (-int(counts[a, b] + counts[b, a]), a, b)
        for a in range(len(values))
        for b in range(a + 1, len(values))
        if counts[a, b] + counts[b, a]
    )

    def rows(own: int, taken: int) -> tuple[int, ...]:
        return tuple(np.flatnonzero((labels == own) & (predicted == taken)).tolist())

    return [ConfusedPair(values[a], values[b], (rows(a, b), rows(b, a))) for _, a, b in pairs[:5]]


def suspects(y: Sequence[str] | NDArray[np.generic], probabilities: ArrayLike) -> list[Suspect]:
    """List the 24 examples that look mislabelled most clearly, the clearest first.

    An example is listed if another value is at least as probable for it as that value is, on
    average, for its own examples, and more probable than the example's own value.

    Parameters
    ----------
    y : (N,) values.
    probabilities : (N, V) of the sorted values, each row predicted while it was held out.

    Raises
    ------
    ShapeError
        If the arrays do not fit each other.

    References
    ----------
    Northcutt, Jiang, Chuang, *Confident Learning* (2021), eq. 2: a value's threshold is its own
    examples' mean probability. Sorting by the margin is their `normalised margin`.
    """
    labels, values = check_labels(y)
    p = np.asarray(probabilities, dtype=np.float64)
    if p.shape != (len(labels), len(values)):
        raise ShapeError("probabilities", expected=f"({len(labels)}, {len(values)})", got=p.shape)
    own = p[np.arange(len(labels)), labels]
    threshold = np.array([own[labels == v].mean() for v in range(len(values))])
    likely = np.where((p >= threshold) & (p > own[:, None]), p, -1.0)
    other = likely.argmax(axis=1)
    value = likely.max(axis=1)
    order = np.argsort(own - value, kind="stable")
    return [
        Suspect(
            int(row), values[labels[row]], float(own[row]), values[other[row]], float(value[row])
        )
        for row in order
        if value[row] >= 0
    ][:24]
