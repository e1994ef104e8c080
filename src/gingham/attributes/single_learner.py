"""The learner of kind `single`: weighted layers, shrinkage LDA, vote, confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gingham.attributes.cutoffs import HeldOutAnswers
from gingham.attributes.discriminant import Ridge, optimal_scoring, turned_back
from gingham.attributes.few_shot import (
    VIEW_ROWS,
    DoubtedRow,
    Exemplars,
    Learner,
    evenly,
    exemplars,
    same_image,
)
from gingham.attributes.fitted_voters import SingleVoter, unit_looks
from gingham.attributes.layer_choice import ROWS, layer_weights, likeliest
from gingham.attributes.measures import macro_f1
from gingham.attributes.neighbour_vote import (
    HeldOut,
    VoteRule,
    fit_vote_rule,
    log_shares,
    neighbours,
)
from gingham.attributes.one_pass import Product
from gingham.attributes.prevalence import shifted, value_shift
from gingham.attributes.relative_distance import LEAST, learn_background
from gingham.attributes.space import (
    Block,
    Floats,
    Rows,
    Space,
    check_blocks,
    in_two_threads,
    learn_points,
    rooted_layers,
)
from gingham.attributes.unknown import ALLOWED_LOSS, UnknownRule, relative_rule
from gingham.errors import InputError

CONFIDENT = 0.9
"""A held-out example voted another value with this probability contradicts it."""


@dataclass(kw_only=True, eq=False)
class SingleLearner(Learner):
    """Learn the values of one attribute from a few examples.

    1. Each hidden layer (block of columns) is made unit length, centred and scaled to the same
       spread; layers are joined, each weighted by its own grouped cross-validated error and by
       how likely it makes the examples, all told (`gingham.attributes.layer_choice`).
    2. Shrinkage LDA, in closed form, projects the joined layers.
    3. The nearest examples vote, weighted by cosine, and the regression that the projection is made
       of has a say, as have regressions on the earlier half of the layers and on the last one;
       held-out examples tell how much each, and calibrate the confidence.

    Notes
    -----
    `cv_accuracy_` holds examples out of the projection and of the vote, but not of the layers'
    weights, the penalty, the vote's temperature, nor the means and scales of the blocks (which see
    no labels). These are a few smooth numbers, so the bias is small: docs/benchmarks.md compares it
    with tests.
    A value whose examples are all of one group cannot be cross-validated: they train only.

    Confidence: up to 300 groups, each group is held out alone, exactly, by a closed form, and voted
    on by the others in a projection that never saw it. Beyond, 30 parts are held out in turn; and
    beyond 2,000 examples, the folds over 1,000 of their groups.

    References
    ----------
    Baloian et al. (2021): hidden layers and kNN; the joined layers, LDA, confidence and unknown are
    ours. Hastie, Buja, Tibshirani (1995): penalised discriminants as ridge regression.
    """

    neighbours: int = 30
    allowed_loss: float = ALLOWED_LOSS

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        views: ArrayLike | None = None,
        background: NDArray[np.floating] | None = None,
    ) -> Self:
        """Learn from (N, D) features and their (N,) values.

        Parameters
        ----------
        X : (N, D) float array, features
        y : (N,) values
        groups : (N,) hashable; examples that share one are held out together
        views : (N,) bool; True for an altered copy of an example: it shapes the projection, but is
            never tested and never votes. It carries the group of its example
        background : (M, D) features of images of any kind, for telling what is unknown; fewer than
            300 are not used

        Raises
        ------
        InputError
            For fewer than two values, unknown layers, or views without groups; an estimator's also
            for NaN in X.
        ShapeError
            If groups or views do not fit X; an estimator's also if y does not.
        ValueError
            An estimator's, if y is not one value a row, or holds NaN (scikit-learn's own words).
        """
        X, y = self._given(X, y)
        if self.neighbours < 1:
            raise InputError(f"expected neighbours >= 1, got {self.neighbours}")
        examples = exemplars(X, y, groups, views)
        # Of many examples it is a third of the memory.
        del X
        given = y[examples.rows]
        n = examples.n
        self.classes_ = np.unique(given[:n])
        if len(self.classes_) < 2:
            raise InputError(
                f"need at least two values; these {n} examples contain only 1 class, "
                f"{self.classes_[0]!s:.80}: add examples of another value"
            )
        strange = sorted(set(given[n:].tolist()) - set(self.classes_.tolist()))
        if strange:
            raise InputError(f"views have the values {strange}, which no example has")
        labels = np.searchsorted(self.classes_, given).astype(np.intp)

        points = self._join_layers(examples, labels, labels)
        ridge = Ridge(points, self._targets(labels), self.penalty_)
        turn = self._to_coordinates(ridge, ridge.fitted, labels)
        projection = replace(self._projection, look=ridge.coefficients() @ turn)
        further = self._further_regressions(examples, labels)
        rule = self._cross_validate([ridge, *(one for _, one in further)], labels, examples)
        del points, ridge  # of many examples they are most of the memory
        weights = rule.joined.weights
        heard = (np.arange(len(weights)) < 2) | (weights > 0)
        rule = replace(rule, joined=replace(rule.joined, weights=weights[heard]))
        unknown = self._unknown_rule(examples, labels, background) or self._distance_rule()
        self.voter_ = SingleVoter(
            projection,
            self.classes_,
            examples.rows[:n],
            unit_looks(projection.apply(examples.X[:n])[0]),
            unknown,
            labels[:n],
            turned_back(turn, np.bincount(labels)),
            rule,
            self.neighbours,
            tuple(
                Product(space, one.coefficients())
                for (space, one), said in zip(further, heard[2:], strict=False)
                if said
            ),
        )
        if background is not None and len(background) >= LEAST:
            self._expect_as_in(background)
        voted = shifted(self.held_out_probabilities_, self.voter_.rule.shift)
        self.checked_ = HeldOutAnswers.single(self.held_out_truth_, voted, self.voter_.rule.shift)
        return self

    def _expect_as_in(self, background: NDArray[np.floating]) -> None:
        """Expect the values as often as they seem to be among images of the catalogue."""
        votes = self.voter_.vote(background, 1)
        counts = np.bincount(self.voter_.example_labels, minlength=len(self.classes_))
        there = votes.value >= 0
        shift = value_shift(votes.probabilities[there], counts, float(there.mean()))
        self.voter_ = replace(self.voter_, rule=replace(self.voter_.rule, shift=shift))

    def _unknown_rule(
        self, examples: Exemplars, labels: Rows, background: NDArray[np.floating] | None
    ) -> UnknownRule | None:
        """Judge by distances relative to a background, too; None if that is not possible.

        They are measured in the layers that tell the values apart, with the same weights, and in
        the deeper half of all layers, evenly. The first find other values of the same kind, the
        second pictures of another kind: taught by 10 colours, a new colour differs in the early
        layers, an object in the deep ones.
        """
        if background is None or len(background) < LEAST:
            return None
        blocks = check_blocks(self.blocks, examples.X.shape[1])
        deep = blocks[len(blocks) // 2 :]
        weights = np.array(list(self.layer_weights_.values()))
        some, group = self._judged, examples.group[self._judged]
        scores, relatives = [self._residuals], []
        for used, shares in (
            (self._projection.space.blocks, weights),
            (deep, np.full(len(deep), 1 / len(deep))),
        ):
            one = learn_background(background, used, shares, self._projection.space.rooted)
            z = one.whiten(examples.X[some])
            scores.append(one.held_out(z, labels[some], group, self._parts))
            relatives.append(one.learn(z, labels[some], len(self.classes_)))
        scores.append(self._nearest[some])
        right = self.held_out_probabilities_[some].argmax(axis=1) == labels[some]
        return relative_rule(np.stack(scores), right, relatives, self.allowed_loss)

    def _move(
        self, examples: Exemplars, blocks: Sequence[Block], labels: Rows, weights: Floats
    ) -> tuple[Floats, float]:
        # Examples of one group are as good as copies: they would say that labels are never wrong.
        alone = np.unique(examples.group[: examples.n], return_index=True)[1]
        some = alone[evenly(labels[alone], ROWS, np.random.default_rng(self.random_state))]
        X, rooted = examples.X[some], rooted_layers([name for name, _, _ in blocks])
        if (labels[some] == labels[some[0]]).all():
            return weights, self.shrinkage
        speak = [number for number, weight in enumerate(weights) if weight > 0]
        products = []
        for number in speak:
            _, points = learn_points(X, [blocks[number]], np.ones(1), rooted)
            products.append(points @ points.T)
        indicator = np.eye(len(self.classes_))[labels[some]]
        moved = np.zeros_like(weights)
        moved[speak], penalty = likeliest(
            np.stack(products), indicator, weights[speak], self.shrinkage
        )
        return moved, penalty

    def _targets(self, labels: Rows) -> Floats:
        indicator = np.eye(len(self.classes_))[labels]
        centred: Floats = indicator - indicator.mean(axis=0)
        return centred

    def _to_coordinates(
        self, ridge: Ridge, scores: Floats, labels: Rows, rows: Rows | slice = slice(None)
    ) -> Floats:
        sizes = np.bincount(labels[rows], minlength=len(self.classes_)).astype(np.float64)
        return optimal_scoring(scores[rows], ridge.T[rows], sizes)

    def _further_regressions(self, examples: Exemplars, labels: Rows) -> list[tuple[Space, Ridge]]:
        """Learn onto the values in the earlier half of the layers, and in the last one.

        The joined layers weigh as they find nearest examples. What a colour needs of the first
        layers, and a usage of the last, may be more; held-out examples tell whether it is. Beyond
        `VIEW_ROWS` examples it is left out: teaching would take a third longer.
        """
        if not len(self._layer_errors) or examples.n > VIEW_ROWS:
            return []
        blocks = check_blocks(self.blocks, examples.X.shape[1])
        rooted = rooted_layers([name for name, _, _ in blocks])

        def learn(some: slice) -> tuple[Space, Ridge]:
            weights = layer_weights(self._layer_errors[some])
            used = [block for block, weight in zip(blocks[some], weights, strict=True) if weight]
            space, points = learn_points(examples.X, used, weights[weights > 0], rooted)
            return space, Ridge(points, self._targets(labels), self.penalty_)

        return in_two_threads(learn, [slice(len(blocks) // 2), slice(len(blocks) - 1, None)])

    def _hold_out(
        self, ridges: Sequence[Ridge], labels: Rows, examples: Exemplars, fold: Rows
    ) -> HeldOut:
        """Let the others vote on a fold, in the projection learned without it and its views.

        The projection is that of the first ridge; all of them give scores.
        """
        out = examples.with_group_of(fold)
        ridge = ridges[0]
        scores = ridge.without(out)
        kept = np.setdiff1d(np.arange(len(labels)), out)
        looks = unit_looks(scores @ self._to_coordinates(ridge, scores, labels, kept))
        voters = kept[kept < examples.n]
        # A value all of whose examples are held out together cannot be found again.
        fold = fold[np.isin(labels[fold], labels[voters])]
        if not len(fold):
            return HeldOut(
                fold, np.empty((0, 1), np.intp), np.empty((0, 1)), [scores[:0]] * len(ridges)
            )
        columns, similarity = neighbours(looks[fold], looks[voters], self.neighbours)
        within = np.searchsorted(out, fold)
        every = [scores[fold], *(one.held_out(out)[within] for one in ridges[1:])]
        return HeldOut(fold, voters[columns], similarity, every)

    def _error(
        self, points: NDArray[Any], labels: Rows, examples: Exemplars, folds: list[Rows]
    ) -> tuple[float, float]:
        ridge = Ridge(points, self._targets(labels), self.shrinkage)
        wrong = tested = 0
        for fold in folds:
            held = self._hold_out([ridge], labels, examples, fold)
            share = log_shares(labels[held.voters], held.similarity, len(self.classes_), 0.1)
            wrong += int((share.argmax(axis=1) != labels[held.rows]).sum())
            tested += len(held.rows)
        # One more error than seen, so that one lucky layer never silences the rest.
        return 1 - wrong / max(tested, 1), (wrong + 1) / (tested + 2)

    def _cross_validate(
        self, ridges: Sequence[Ridge], labels: Rows, examples: Exemplars
    ) -> VoteRule:
        """Measure the examples' answers to each other, and calibrate the vote by them."""
        n_values = len(self.classes_)
        folds, parts = self._held_out_parts(labels[: examples.n], examples)

        def hold_out(rows: Rows) -> HeldOut:
            return self._hold_out(ridges, labels, examples, rows)

        held = in_two_threads(hold_out, folds)
        alone = held if parts is folds else in_two_threads(hold_out, parts)
        rule = fit_vote_rule(alone, labels, n_values)
        sure = replace(rule, joined=replace(rule.joined, lapse=0.0))
        self.held_out_rows_ = examples.rows[: examples.n]
        self.held_out_truth_ = labels[: examples.n]
        self.held_out_probabilities_ = np.full((examples.n, n_values), np.nan)
        self._nearest = np.full(examples.n, np.nan)
        against: dict[int, Rows] = {}
        for part in alone:
            found = rule.probabilities(labels[part.voters], part.similarity, part.scores)
            self.held_out_probabilities_[part.rows] = found
            self._nearest[part.rows] = 1 - part.similarity[:, 0]
            best = found.argmax(axis=1)
            # Wrong labels, of which this looks for some, are what the lapse allows for.
            voted = sure.probabilities(labels[part.voters], part.similarity, part.scores).max(
                axis=1
            )
            doubted = (best != labels[part.rows]) & (voted >= CONFIDENT)
            for i in np.flatnonzero(doubted):
                voters = part.voters[i]
                others = voters[labels[voters] == best[i]][:3]
                if len(others):  # the regression may be sure where no neighbour says so
                    against[int(part.rows[i])] = others
        self.contradictions_ = self._contradictions(labels, examples, against)

        scores = []
        for part in held:
            if len(part.rows):
                share = rule.probabilities(labels[part.voters], part.similarity, part.scores)
                truth, guess = labels[part.rows], share.argmax(axis=1)
                scores.append(((truth == guess).mean(), macro_f1(truth, guess)))
        self.folds_ = len(scores)
        mean = np.mean(scores, axis=0) if scores else np.full(2, np.nan)
        self.cv_accuracy_, self.cv_macro_f1_ = float(mean[0]), float(mean[1])
        return rule

    def _contradictions(
        self, labels: Rows, examples: Exemplars, against: Mapping[int, Rows]
    ) -> list[DoubtedRow]:
        found = {row: ([int(r) for r in others], "vote") for row, others in against.items()}
        same: dict[int, set[int]] = {}
        for rows in same_image(examples):
            for row in rows if len(set(labels[rows])) > 1 else ():
                others = rows[labels[rows] != labels[row]]
                same.setdefault(int(row), set()).update(int(r) for r in others)
        found.update({row: (sorted(others), "same image") for row, others in same.items()})
        names = self.classes_.tolist()
        listed = [
            DoubtedRow(
                row=int(examples.rows[row]),
                value=names[labels[row]],
                against=tuple(int(examples.rows[r]) for r in others),
                other=names[labels[others[0]]],
                reason=reason,
            )
            for row, (others, reason) in found.items()
        ]
        return sorted(listed, key=lambda item: item.row)
