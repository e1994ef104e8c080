"""What the learners of kind `single` and `multi` share: examples in, one projection out."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gingham.attributes.discriminant import Projection
from gingham.attributes.layer_choice import layer_weights
from gingham.attributes.measures import grouped_folds
from gingham.attributes.novelty import held_out_residuals, principal_directions
from gingham.attributes.space import (
    PROJECTED_ROWS,
    Block,
    Floats,
    Rows,
    check_blocks,
    chunks,
    in_two_threads,
    learn_points,
    rooted_layers,
    widen,
)
from gingham.attributes.unknown import UnknownRule, distance_rule
from gingham.errors import InputError, ShapeError
from gingham.names import did_you_mean

CHOICE_ROWS = 1000
"""Examples and views looked at to weigh the layers, and to learn what examples look like."""

VIEW_ROWS = 2000
"""Views are added to the examples up to this many rows in all; beyond, they only cost time."""

SINGLE_OUT = 300
"""Up to this many groups, each is held out alone for calibration; beyond, 30 parts are."""

HELD_OUT = 1000
"""Groups held out, in folds, where there are more than `VIEW_ROWS` examples."""


@dataclass(frozen=True)
class DoubtedRow:
    """An example whose value others speak against.

    Attributes
    ----------
    row : the example, a row of `fit`'s X
    value : what it was said to be
    against : the rows that speak against it, nearest first where it was voted
    other : what those are said to be
    reason : "same image" (the features or the group are the same) or "vote" (held out, the example
        is confidently voted another value)
    """

    row: int
    value: Any
    against: tuple[int, ...]
    other: Any
    reason: str


@dataclass(frozen=True)
class Exemplars:
    """Examples, then their views, in an order that depends on what they hold, not on how they came.

    Attributes
    ----------
    X : (N, D) features
    group : (N,) int, what is held out together
    n : the first n rows are examples, the others views
    rows : (N,) the rows as given
    digests : (N,) of the features
    """

    X: NDArray[Any]
    group: Rows
    n: int
    rows: Rows
    digests: Sequence[bytes]

    def with_group_of(self, some: Rows) -> Rows:
        """Return all rows that share a group with `some`."""
        return np.flatnonzero(np.isin(self.group, self.group[some]))


def exemplars(
    X: NDArray[Any], y: NDArray[Any], groups: ArrayLike | None, views: ArrayLike | None
) -> Exemplars:
    """Order the examples and their views.

    Raises
    ------
    ShapeError
        If groups or views have another length than X.
    InputError
        If there are views but no groups that tell whose they are, or nothing but views.
    """
    n = len(X)
    is_view = np.zeros(n, bool) if views is None else np.asarray(views, dtype=bool)
    if is_view.shape != (n,):
        raise ShapeError("views", expected=f"({n},)", got=is_view.shape)
    named = np.arange(n) if groups is None else np.asarray(groups)
    if named.shape != (n,):
        raise ShapeError("groups", expected=f"({n},)", got=named.shape)
    if is_view.any() and groups is None:
        raise InputError("views need groups: give a view the group of its example")
    if is_view.all():
        raise InputError("all rows are views; give the examples themselves too")
    digests = fingerprints(X)
    order = sorted(range(n), key=lambda i: (is_view[i], str(y[i]), digests[i]))
    count = int((~is_view).sum())
    kept = np.array(order[: max(VIEW_ROWS, count)], dtype=np.intp)
    # Groups are numbered in this order too, so that the folds do not depend on their names.
    first = {name: number for number, name in enumerate(dict.fromkeys(named[kept].tolist()))}
    group = np.array([first[name] for name in named[kept].tolist()], dtype=np.intp)
    return Exemplars(X[kept], group, count, kept, [digests[row] for row in kept])


def fingerprints(X: NDArray[Any]) -> list[bytes]:
    """Return a digest of each row's bytes; of float16 those of the same numbers in float32."""

    def digests(some: slice) -> list[bytes]:
        rows = np.ascontiguousarray(widen(X[some]))
        return [hashlib.blake2b(row, digest_size=12).digest() for row in rows]

    parts = list(chunks(len(X), PROJECTED_ROWS))
    return list(chain.from_iterable(in_two_threads(digests, parts)))


def same_image(examples: Exemplars) -> list[Rows]:
    """Return the sets of two or more examples that share a group, or every feature."""
    n = examples.n
    sets: dict[Any, list[int]] = {}
    for row, digest in enumerate(examples.digests[:n]):
        sets.setdefault(digest, []).append(row)
        sets.setdefault(int(examples.group[row]), []).append(row)
    return [np.array(rows) for rows in sets.values() if len(rows) > 1]


def evenly(labels: Rows, most: int, rng: np.random.Generator) -> Rows:
    """Choose at most `most` rows, as evenly over the labels as they allow; sorted."""
    if len(labels) <= most:
        return np.arange(len(labels))
    shuffled = rng.permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(by_label[np.argsort(turn, kind="stable")[:most]])


def select_blocks(blocks: Sequence[Block], layers: str | Sequence[str]) -> list[Block]:
    """Return the named blocks, or all of them for "auto".

    Raises
    ------
    InputError
        If a name is not among the blocks, or no layer is named.
    """
    if isinstance(layers, str) and layers == "auto":
        return list(blocks)
    wanted = [layers] if isinstance(layers, str) else list(layers)
    known = [name for name, _, _ in blocks]
    missing = [name for name in wanted if name not in known]
    if missing or not wanted:
        near = did_you_mean(missing[0], known) if missing else ""
        raise InputError(
            f"layers {missing or wanted} are not known; there are: {', '.join(known)}{near}"
        )
    return [block for block in blocks if block[0] in wanted]


@dataclass(kw_only=True, eq=False)
class Learner(ABC):
    """Base: parameters, layers' weights, the projection, and what is unknown.

    A subclass says how well one layer tells the values apart (`_error`) and fits the rest. What it
    is given is finite and of one width; `gingham.attributes.estimators`, where the parameters are
    explained, sees to it.
    """

    blocks: Sequence[Block] | None = None
    layers: str | Sequence[str] = "auto"
    shrinkage: float = 0.3
    folds: int = 5
    unknown_sigmas: float = 3.0
    random_state: int = 0

    def _given(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Take what `fit` is given as arrays; an estimator checks them, too."""
        return np.asarray(X), np.asarray(y)

    def _chosen_blocks(self, n_columns: int) -> list[Block]:
        if self.shrinkage <= 0 or self.folds < 2:
            raise InputError(
                f"expected shrinkage > 0 and folds >= 2, got {self.shrinkage} and {self.folds}"
            )
        return select_blocks(check_blocks(self.blocks, n_columns), self.layers)

    @abstractmethod
    def _error(
        self, points: NDArray[Any], labels: NDArray[Any], examples: Exemplars, folds: list[Rows]
    ) -> tuple[float, float]:
        """Return a layer's held-out accuracy, and its error, above 0."""

    def _join_layers(self, examples: Exemplars, labels: NDArray[Any], strata: Rows) -> NDArray[Any]:
        """Weigh and join the layers; return the (N, width) points, and keep the projection in part.

        `labels` (N, ...) go to `_error`; `strata` (N,) ints are what folds are balanced by.
        """
        blocks = self._chosen_blocks(examples.X.shape[1])
        rooted = rooted_layers([name for name, _, _ in blocks])
        weights = np.full(len(blocks), 1 / len(blocks))
        self.layer_accuracy_: dict[str, float] = {}
        self._layer_errors = np.empty(0)
        self.penalty_ = self.shrinkage
        rng = np.random.default_rng(self.random_state)
        some = evenly(strata[: examples.n], CHOICE_ROWS, rng)
        if self.layers == "auto" and len(blocks) > 1:
            views = np.arange(examples.n, len(examples.X))[: CHOICE_ROWS - len(some)]
            rows = np.concatenate([some, views])
            part = Exemplars(
                examples.X[rows],
                examples.group[rows],
                len(some),
                examples.rows[rows],
                [examples.digests[row] for row in rows],
            )
            folds = self._split(strata[some], part.group[: part.n], self.folds)

            def measure(block: Block) -> tuple[float, float]:
                _, points = learn_points(part.X, [block], np.ones(1), rooted)
                return self._error(points, labels[rows], part, folds)

            if folds:
                accuracies, errors = zip(*in_two_threads(measure, blocks), strict=True)
                names = [name for name, _, _ in blocks]
                self.layer_accuracy_ = dict(zip(names, accuracies, strict=True))
                self._layer_errors = np.array(errors)
                weights = layer_weights(self._layer_errors)
                weights, self.penalty_ = self._move(part, blocks, strata[some], weights)
        used = [block for block, weight in zip(blocks, weights, strict=True) if weight > 0]
        space, points = learn_points(examples.X, used, weights[weights > 0], rooted)
        self.layers_ = [name for name, _, _ in used]
        self.layer_weights_ = dict(zip(self.layers_, weights[weights > 0].tolist(), strict=True))
        deepest = check_blocks(self.blocks, examples.X.shape[1])
        deepest = deepest[-max(1, len(deepest) // 4) :]
        # Views differ from pictures as they come: the mean is that of the examples alone.
        even = np.full(len(deepest), 1 / len(deepest))
        kind, seen = learn_points(examples.X[some], deepest, even)
        self._projection = Projection(
            space, np.zeros((space.width, 0)), kind, principal_directions(seen)
        )
        self._judged = some
        self._parts = self._split(strata[some], examples.group[some], 10)
        self._residuals = held_out_residuals(seen, examples.group[some], self._parts)
        return points

    def _move(
        self, examples: Exemplars, blocks: Sequence[Block], labels: Rows, weights: Floats
    ) -> tuple[Floats, float]:
        """Give the layers' weights and the penalty, from weights by the layers' own errors."""
        return weights, self.shrinkage

    def _distance_rule(self) -> UnknownRule:
        """Judge by the distance from what the examples look like alone."""
        found = self._residuals
        return distance_rule(found[np.isfinite(found)], self.unknown_sigmas)

    def _split(self, strata: Rows, group: Rows, folds: int) -> list[Rows]:
        return grouped_folds(strata, group, folds=folds, seed=self.random_state)

    def _held_out_parts(self, strata: Rows, examples: Exemplars) -> tuple[list[Rows], list[Rows]]:
        """Return the rows of each cross-validation fold, and of each part to calibrate by."""
        group = examples.group[: examples.n]
        rng = np.random.default_rng(self.random_state)
        names = rng.permutation(np.unique(group))
        many = examples.n > VIEW_ROWS
        sample = np.flatnonzero(np.isin(group, names[:HELD_OUT] if many else names))
        folds = [sample[part] for part in self._split(strata[sample], group[sample], self.folds)]
        if many or not folds:
            return folds, folds
        count = len(names) if len(names) <= SINGLE_OUT else 30
        pieces = np.array_split(names, count)
        return folds, [np.flatnonzero(np.isin(group, piece)) for piece in pieces]
