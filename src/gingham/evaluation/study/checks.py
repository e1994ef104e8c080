"""What every experiment asks of its arrays, checked once, at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gingham.attributes.measures import check_finite
from gingham.errors import InputError, ShapeError

Rows: TypeAlias = NDArray[np.intp]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Checked:
    """Features and their values, as the experiments use them.

    Attributes
    ----------
    X : (N, D) float32, finite.
    labels : (N,) int, index into `values`.
    values : the V values, sorted.
    """

    X: Floats
    labels: Rows
    values: tuple[str, ...]


def check_features(X: ArrayLike) -> Floats:
    """Return features as (N, D) float32.

    Raises
    ------
    ShapeError
        If they are not (N, D), or empty.
    InputError
        If rows hold NaN or infinity; the message names them.
    """
    checked = np.asarray(X, dtype=np.float32)
    if checked.ndim != 2 or 0 in checked.shape:
        raise ShapeError("X", expected="(N, D), not empty", got=checked.shape)
    check_finite(checked)
    return checked


def check_labels(y: Sequence[str] | NDArray[np.generic]) -> tuple[Rows, tuple[str, ...]]:
    """Return (N,) label numbers, and the values they stand for.

    Raises
    ------
    ShapeError
        If y is not one-dimensional.
    InputError
        If there are fewer than two values.
    """
    named = np.asarray(y)
    if named.ndim != 1:
        raise ShapeError("y", expected="(N,)", got=named.shape)
    values, labels = np.unique(named.astype(str), return_inverse=True)
    if len(values) < 2:
        raise InputError(
            f"y has the single value {', '.join(map(repr, values.tolist())) or 'of no rows'}: "
            "a study needs two or more: add examples of another value"
        )
    return labels.astype(np.intp), tuple(values.tolist())


def check(X: ArrayLike, y: Sequence[str] | NDArray[np.generic]) -> Checked:
    """Check features and values together.

    Raises
    ------
    ShapeError
        If the shapes are wrong or do not fit each other.
    InputError
        As `check_features` and `check_labels`.
    """
    features = check_features(X)
    labels, values = check_labels(y)
    if len(labels) != len(features):
        raise ShapeError("y", expected=f"({len(features)},)", got=labels.shape)
    return Checked(features, labels, values)


def check_groups(groups: Sequence[object] | NDArray[np.generic] | None, n: int) -> Rows:
    """Return (N,) group numbers; without groups, every row is its own.

    Raises
    ------
    ShapeError
        If there are not N of them.
    """
    if groups is None:
        return np.arange(n)
    named = np.asarray([str(group) for group in groups])
    if named.shape != (n,):
        raise ShapeError("groups", expected=f"({n},)", got=named.shape)
    return np.unique(named, return_inverse=True)[1].astype(np.intp)
