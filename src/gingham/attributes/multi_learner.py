"""The learner of kind `multi`: one discriminant and one calibration per value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gingham.attributes.cutoffs import HeldOutAnswers
from gingham.attributes.discriminant import Ridge
from gingham.attributes.few_shot import (
    DoubtedRow,
    Exemplars,
    Learner,
    exemplars,
    same_image,
)
from gingham.attributes.fitted_voters import MultiVoter, logistic, unit_looks
from gingham.attributes.space import Floats, Rows
from gingham.errors import InputError, ShapeError

SLOPE = 8.0
"""Slope of a value's calibration where nothing of it can be held out."""


@dataclass(kw_only=True, eq=False)
class MultiLearner(Learner):
    """Learn which of several values an image has, from examples that may leave some unsaid.

    Layers are joined as in `SingleLearner`. For two classes shrinkage LDA is ridge regression onto
    their indicator; here one is solved for each value at once, an unknown entry standing at the
    value's mean, so that it pulls neither way. Held-out scores calibrate each value by a logistic
    curve.

    References
    ----------
    Platt, *Probabilistic outputs for support vector machines* (1999), section 2.2, for the targets
    of the logistic curve.
    """

    def fit(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        classes: Sequence[str] | None = None,
        groups: ArrayLike | None = None,
        views: ArrayLike | None = None,
    ) -> Self:
        """Learn from (N, D) features and the (N, V) entries of V values.

        Parameters
        ----------
        X : (N, D) float array, features
        Y : (N, V) float array: 1 has the value, 0 is said to lack it, nan is unknown
        classes : names of the V values; by default their numbers
        groups, views : see `SingleLearner.fit`

        Raises
        ------
        InputError
            For fewer than two examples, other entries, or a value that no example has, or all have;
            an estimator's also for NaN in X.
        ShapeError
            If Y, classes, groups or views do not fit X.
        """
        X, Y = self._given(X, Y)
        Y = Y.astype(np.float64)
        if Y.ndim != 2 or len(Y) != len(X) or not Y.shape[1]:
            raise ShapeError("Y", expected=f"({len(X)}, V) with V >= 1", got=Y.shape)
        if not np.isin(Y[~np.isnan(Y)], (0, 1)).all():
            raise InputError("Y must hold 1 (has the value), 0 (lacks it) and nan (unknown)")
        names = [str(v) for v in range(Y.shape[1])] if classes is None else list(classes)
        if len(names) != Y.shape[1]:
            raise ShapeError("classes", expected=f"({Y.shape[1]},)", got=(len(names),))
        examples = exemplars(X, Y, groups, views)
        del X
        n = examples.n
        if n < 2:
            raise InputError(f"need at least two examples, got {n}: add examples")
        self.classes_ = np.array(names)
        Y = self._assume(Y[examples.rows], n)
        for value, name in enumerate(names):
            if not (Y[:n, value] == 1).any() or not (Y[:n, value] == 0).any():
                lacking = "has" if not (Y[:n, value] == 1).any() else "is known to lack"
                raise InputError(
                    f"no example {lacking} {name!r}: add one, or leave the value out "
                    f"(!{name} says that an image lacks it)"
                )

        self._means = np.nanmean(Y[:n], axis=0)
        points = self._join_layers(examples, Y, _rarest(Y))
        ridge = Ridge(points, self._targets(Y), self.shrinkage)
        projection = replace(self._projection, look=ridge.coefficients())
        self.voter_ = MultiVoter(
            projection,
            self.classes_,
            examples.rows[:n],
            unit_looks(projection.apply(examples.X[:n])[0]),
            self._distance_rule(),
            self._calibrate(ridge, Y, examples),
            self._means,
        )
        self.contradictions_ = self._contradictions(Y, examples)
        self.checked_ = HeldOutAnswers.multi(self.held_out_truth_, self.held_out_probabilities_)
        return self

    def _assume(self, Y: Floats, n: int) -> Floats:
        """Let examples of other values stand in where no example is said to lack a value."""
        Y = Y.copy()
        never = ~(Y[:n] == 0).any(axis=0)
        self.assumed_ = [str(name) for name in self.classes_[never]]
        others = (Y == 1).any(axis=1)[:, None] & np.isnan(Y) & never
        Y[others] = 0
        return Y

    def _targets(self, Y: Floats) -> Floats:
        centred: Floats = np.where(np.isnan(Y), 0.0, Y - self._means)
        return centred

    def _held_out(self, ridge: Ridge, examples: Exemplars, folds: list[Rows]) -> Floats:
        """Score each example in a fold by the projection learned without its group."""
        scores = np.full((examples.n, ridge.T.shape[1]), np.nan)
        for fold in folds:
            scores[fold] = ridge.without(examples.with_group_of(fold))[fold]
        shifted: Floats = scores + self._means
        return shifted

    def _error(
        self, points: NDArray[Any], labels: NDArray[Any], examples: Exemplars, folds: list[Rows]
    ) -> tuple[float, float]:
        ridge = Ridge(points, self._targets(labels), self.shrinkage)
        scores = self._held_out(ridge, examples, folds)
        truth = labels[: examples.n]
        known = ~np.isnan(truth) & ~np.isnan(scores)
        right = (scores[known] > 0.5) == (truth[known] == 1)
        squared = (scores[known] - truth[known]) ** 2
        return float(right.mean()), float(squared.mean()) + 1e-6

    def _calibrate(self, ridge: Ridge, Y: Floats, examples: Exemplars) -> Floats:
        """Measure the held-out examples, and fit each value's logistic curve to them."""
        truth = Y[: examples.n]
        folds, parts = self._held_out_parts(_rarest(Y)[: examples.n], examples)
        scores = self._held_out(ridge, examples, parts)
        calibration = np.array(
            [logistic_curve(scores[:, v], truth[:, v]) for v in range(len(self.classes_))]
        )
        self.held_out_rows_, self.held_out_truth_ = examples.rows[: examples.n], truth
        self.held_out_probabilities_ = logistic(scores, calibration)
        self.folds_ = len(folds)
        self.cv_accuracy_ = self.cv_macro_f1_ = float("nan")
        if not folds:
            return calibration
        present = logistic(self._held_out(ridge, examples, folds), calibration) >= 0.5
        tested = ~np.isnan(truth) & np.isin(np.arange(examples.n), np.concatenate(folds))[:, None]
        right = present == (truth == 1)
        self.cv_accuracy_ = float(right[tested].mean())
        scored = []
        for value in range(len(self.classes_)):
            rows = tested[:, value]
            said, has = present[rows, value], truth[rows, value] == 1
            if has.any():
                scored.append(2 * (said & has).sum() / (said.sum() + has.sum()))
        self.cv_macro_f1_ = float(np.mean(scored))
        return calibration

    def _contradictions(self, Y: Floats, examples: Exemplars) -> list[DoubtedRow]:
        found: dict[tuple[int, int], set[int]] = {}
        for rows in same_image(examples):
            for value in np.flatnonzero((Y[rows] == 1).any(0) & (Y[rows] == 0).any(0)).tolist():
                for row in rows[Y[rows, value] == 1].tolist():
                    others = rows[Y[rows, value] == 0]
                    found.setdefault((row, value), set()).update(others.tolist())
        listed = [
            DoubtedRow(
                row=int(examples.rows[row]),
                value=str(self.classes_[value]),
                against=tuple(int(examples.rows[r]) for r in sorted(others)),
                other=f"!{self.classes_[value]}",
                reason="same image",
            )
            for (row, value), others in found.items()
        ]
        return sorted(listed, key=lambda item: (item.row, item.value))


def _rarest(Y: Floats) -> Rows:
    """Return the rarest value that each row has, V where it has none: what folds balance."""
    has = Y == 1
    count = np.where(has, has.sum(axis=0), np.inf)
    rarest: Rows = np.where(has.any(axis=1), count.argmin(axis=1), Y.shape[1])
    return rarest


def logistic_curve(scores: Floats, truth: Floats) -> tuple[float, float]:
    """Fit slope and offset of one value's probability to held-out scores of its known entries."""
    known = ~np.isnan(scores) & ~np.isnan(truth)
    has, lacks = int((truth[known] == 1).sum()), int((truth[known] == 0).sum())
    if not has or not lacks:
        return SLOPE, -SLOPE / 2
    # Platt's targets keep a value that was never missed from being certain.
    target = np.where(truth[known] == 1, (has + 1) / (has + 2), 1 / (lacks + 2))
    design = np.stack([scores[known], np.ones(known.sum())], axis=1)
    penalty = np.array([1e-4, 0])

    def loss(curve: Floats) -> float:
        z = design @ curve
        return float((np.logaddexp(0, z) - target * z).sum() + (penalty * curve**2).sum() / 2)

    curve, lost = np.zeros(2), np.inf
    while loss(curve) < lost:
        lost = loss(curve)
        p = logistic(scores[known][:, None], curve[None])[:, 0]
        bend = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(penalty)
        step = np.linalg.solve(bend, design.T @ (p - target) + penalty * curve)
        while loss(curve - step) > lost:
            step /= 2
        curve = curve - step
    return float(curve[0]), float(curve[1])
