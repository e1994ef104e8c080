"""An attribute taught by a few examples: weighted layers, shrinkage LDA, vote, confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from gingham.discriminant import (
    Block,
    Floats,
    Projection,
    Ridge,
    Rows,
    check_blocks,
    chunks,
    learn_space,
    optimal_scoring,
    principal_directions,
    unit,
)
from gingham.errors import InputError, ShapeError
from gingham.evaluate import grouped_folds

CHOICE_ROWS = 1000  # examples and views looked at to weigh the layers
VIEW_ROWS = 2000  # views are added to the examples up to this many rows in all
SINGLE_OUT = 300  # up to this many groups each is held out alone for calibration
HELD_OUT = 1000  # examples held out where there are more than VIEW_ROWS
DIRECTIONS = 64  # principal directions of what the examples look like
VOTE_TEMPERATURES = (0.05, 0.1, 0.2)
SHARPNESS = np.geomspace(0.03, 4, 30)


@dataclass(frozen=True)
class Votes:
    """What the examples say about N images.

    Attributes
    ----------
    value : (N,) int, index into `classes_`; -1 where unknown
    confidence : (N,) float, calibrated probability of the best value (also where unknown)
    probabilities : (N, V) float, calibrated, rows sum to 1
    evidence : (N, k) int, the nearest examples as rows of `fit`'s X
    distance : (N, k) float in [0, 2], one minus the cosine to each
    novelty : (N,) float, how far from what the examples look like; above 1 is unknown
    """

    value: Rows
    confidence: Floats
    probabilities: Floats
    evidence: Rows
    distance: Floats
    novelty: Floats


@dataclass(frozen=True)
class Contradiction:
    """An example whose value others speak against.

    `reason` is "same image" (its features or its group are another's) or "vote" (held out, it is
    confidently voted another value by the examples in `against`).
    """

    row: int
    value: Any
    against: tuple[int, ...]
    other: Any
    reason: str


def nearest(similarity: Floats, count: int) -> tuple[Rows, Floats]:
    """Return the columns of the `count` largest of each row, best first, and their values."""
    count = min(count, similarity.shape[1])
    columns = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    values = np.take_along_axis(similarity, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)


def log_shares(labels: Rows, similarity: Floats, n_values: int, temperature: float) -> Floats:
    """Let each of (N, k) neighbours vote with weight exp(similarity / temperature).

    Returns
    -------
    (N, V) float64, the log of each value's share. Every value also gets one imaginary voter on the
    opposite side of the space, so that no share is zero.
    """
    n, k = labels.shape
    weight = np.exp((similarity - 1) / temperature)
    where = np.arange(n)[:, None] * n_values + labels
    total = np.bincount(where.ravel(), weight.ravel(), minlength=n * n_values)
    share = total.reshape(n, n_values) + np.exp(-2 / temperature)
    return np.log(share / share.sum(axis=1, keepdims=True))


def sharpen(log_share: Floats, sharpness: float, lapse: float) -> Floats:
    """Raise shares to a power, normalise, and mix with the even guess: (N, V) probabilities.

    `lapse` is the chance that a vote says nothing: n right answers prove no certainty.
    """
    power = sharpness * log_share
    power = np.exp(power - power.max(axis=1, keepdims=True))
    probabilities: Floats = power / power.sum(axis=1, keepdims=True)
    return (1 - lapse) * probabilities + lapse / probabilities.shape[1]


def layer_weights(errors: Floats) -> Floats:
    """Weigh layers by their held-out error: exp(1 - error / smallest error), summing to 1.

    Joining layers by weight is steadier than picking a set of them: with 100 examples the
    difference between two sets is within the noise of any cross-validation. A layer below 2 % of
    the best one's weight is left out.
    """
    weight = np.exp(1 - errors / errors.min())
    weight[weight < 0.02 * weight.max()] = 0
    normalised: Floats = weight / weight.sum()
    return normalised


def check_features(estimator: BaseEstimator, X: ArrayLike, *, reset: bool) -> NDArray[Any]:
    """Validate (N, D) features: finite, float32 or float64 (float16 becomes float32).

    Raises
    ------
    InputError
        If rows hold NaN or infinity; the message names them.
    """
    if getattr(X, "dtype", None) == np.float16:
        X = np.asarray(X, dtype=np.float32)
    checked: NDArray[Any] = validate_data(
        estimator, X, reset=reset, dtype=[np.float64, np.float32], ensure_all_finite=False
    )
    bad = np.flatnonzero(~np.isfinite(checked).all(axis=1))
    if len(bad):
        more = "" if len(bad) <= 5 else f" and {len(bad) - 5} more"
        raise InputError(
            f"X holds NaN or infinity in rows {bad[:5].tolist()}{more}; "
            "extract these images again or leave them out"
        )
    return checked


def check_groups(groups: ArrayLike | None, views: ArrayLike | None, n: int) -> tuple[Rows, Any]:
    """Return the (N,) group numbers and the (N,) mask of views.

    Raises
    ------
    ShapeError
        If either has another length than X.
    InputError
        If there are views but no groups that tell whose views they are.
    """
    is_view = np.zeros(n, bool) if views is None else np.asarray(views, dtype=bool)
    if is_view.shape != (n,):
        raise ShapeError("views", expected=f"({n},)", got=is_view.shape)
    if groups is None:
        if is_view.any():
            raise InputError("views need groups: give a view the group of its example")
        return np.arange(n), is_view
    named = np.asarray(groups)
    if named.shape != (n,):
        raise ShapeError("groups", expected=f"({n},)", got=named.shape)
    return np.unique(named, return_inverse=True)[1], is_view


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
        raise InputError(f"layers {missing or wanted} are not known; there are: {', '.join(known)}")
    return [block for block in blocks if block[0] in wanted]


def canonical_order(X: NDArray[Any], labels: Rows) -> Rows:
    """Return an order of the rows that depends on what they hold, not on how they came."""
    return np.array(sorted(range(len(X)), key=lambda i: (labels[i], X[i].tobytes())), dtype=np.intp)


def evenly(labels: Rows, most: int, rng: np.random.Generator) -> Rows:
    """Choose at most `most` rows, as evenly over the labels as they allow; sorted."""
    if len(labels) <= most:
        return np.arange(len(labels))
    shuffled = rng.permutation(len(labels))
    by_label = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    turn = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.sort(by_label[np.argsort(turn, kind="stable")[:most]])


def novelty_limit(
    points: NDArray[Any], groups: Rows, is_view: NDArray[np.bool_], folds: list[Rows], sigmas: float
) -> float:
    """Return the squared distance from the examples' principal subspace that is too far.

    Each fold is measured against the subspace of the others; the limit is the mean plus `sigmas`
    standard deviations of the log distance. Infinite without folds: nothing is then called unknown.
    """
    held = []
    for fold in folds:
        out = np.isin(groups, groups[fold])
        rest = points[~out]
        if len(rest) < 2:
            continue
        test = points[np.intersect1d(fold, np.flatnonzero(~is_view))] - rest.mean(axis=0)
        directions = principal_directions(rest - rest.mean(axis=0), DIRECTIONS).astype(points.dtype)
        squared = (test**2).sum(axis=1) - ((test @ directions) ** 2).sum(axis=1)
        held.append(np.log(np.maximum(squared, 1e-12)))
    if not held:
        return float("inf")
    logs = np.concatenate(held)
    return float(np.exp(logs.mean() + sigmas * logs.std())) if len(logs) > 2 else float("inf")


class AttributeClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn the values of one attribute from a few examples.

    1. Each hidden layer (block of columns) is made unit length, centred and scaled to the same
       spread; layers are joined, each weighted by its own grouped cross-validated error.
    2. Shrinkage LDA, in closed form, projects the joined layers.
    3. The nearest examples vote, weighted by cosine; held-out votes calibrate the confidence.

    Parameters
    ----------
    blocks : sequence of (layer name, first column, end column), or None for one block
    layers : "auto" (weighted by cross-validation) or the names of layers to join evenly
    neighbours : how many of the nearest examples vote
    shrinkage : ridge penalty, relative to the mean squared length of an example
    folds : the most folds of the cross-validation
    unknown_sigmas : an image is unknown where the log of its distance from what the examples look
        like lies this many standard deviations above the held-out examples' mean
    random_state : seed of the folds

    Attributes
    ----------
    classes_ : (V,) the values
    layers_ : names of the layers used; `layer_weights_` maps them to their share
    layer_accuracy_ : held-out accuracy of each layer alone, by name; empty if not measured
    cv_accuracy_, cv_macro_f1_ : mean over `folds_` folds, nan if `folds_` is 0
    contradictions_ : list of `Contradiction`

    Notes
    -----
    `cv_accuracy_` holds examples out of the projection and of the vote, but not of the layers'
    weights nor of the means and scales of the blocks (which see no labels). The weights
    are one smooth number a layer, so the bias is small: docs/benchmarks.md compares it with tests.
    A value whose examples are all of one group cannot be cross-validated: they train only.

    Confidence: up to 300 groups, each group is held out alone, exactly, by a closed form, and voted
    on by the others in a projection that never saw it. Beyond, 30 parts are held out in turn; and
    beyond 2,000 examples, the folds over 1,000 of them.

    References
    ----------
    Baloian et al. (2021): hidden layers and kNN; the joined layers, LDA, confidence and unknown are
    ours. Hastie, Buja, Tibshirani (1995): penalised discriminants as ridge regression.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[Block] | None = None,
        layers: str | Sequence[str] = "auto",
        neighbours: int = 30,
        shrinkage: float = 0.3,
        folds: int = 5,
        unknown_sigmas: float = 3.0,
        random_state: int = 0,
    ) -> None:
        self.blocks = blocks
        self.layers = layers
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.folds = folds
        self.unknown_sigmas = unknown_sigmas
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        views: ArrayLike | None = None,
    ) -> Self:
        """Learn from (N, D) features and their (N,) values.

        Parameters
        ----------
        X : (N, D) float array, features
        y : (N,) values
        groups : (N,) hashable; examples that share one are held out together
        views : (N,) bool; True for an altered copy of an example: it shapes the projection, but is
            never tested and never votes. It carries the group of its example

        Raises
        ------
        InputError
            For fewer than two examples or values, NaN, unknown layers, or views without groups.
        """
        X = check_features(self, X, reset=True)
        given = np.asarray(y)
        if given.ndim == 2 and given.shape[1] == 1:
            given = given[:, 0]
        if given.shape != (len(X),):
            raise ShapeError("y", expected=f"({len(X)},)", got=given.shape)
        check_classification_targets(given)
        group, is_view = check_groups(groups, views, len(X))
        if self.neighbours < 1 or self.shrinkage <= 0 or self.folds < 2:
            raise InputError(
                "expected neighbours >= 1, shrinkage > 0 and folds >= 2, got "
                f"{self.neighbours}, {self.shrinkage} and {self.folds}"
            )
        self.classes_ = np.unique(given[~is_view])
        if len(self.classes_) < 2:
            raise InputError(
                f"two values are the least, but y has {len(self.classes_)} class "
                f"({', '.join(map(str, self.classes_))}) in {int((~is_view).sum())} examples; "
                "add examples of another value"
            )
        blocks = select_blocks(check_blocks(self.blocks, X.shape[1]), self.layers)
        labels = np.searchsorted(self.classes_, given)
        if not np.isin(given, self.classes_).all():
            raise InputError("a view has a value that no example has; views only add to examples")

        order = canonical_order(X, labels)
        order = np.concatenate([order[~is_view[order]], order[is_view[order]]])
        room = max(VIEW_ROWS - int((~is_view).sum()), 0)
        order = order[: int((~is_view).sum()) + room]
        self._learn(X[order], labels[order], group[order], is_view[order], blocks, order)
        return self

    def _learn(
        self,
        X: NDArray[Any],
        labels: Rows,
        group: Rows,
        is_view: NDArray[np.bool_],
        blocks: list[Block],
        rows: Rows,
    ) -> None:
        n = int((~is_view).sum())
        weights = self._weigh(X, labels, group, is_view, blocks)
        used = [block for block, weight in zip(blocks, weights, strict=True) if weight > 0]
        space = learn_space(X, used, weights[weights > 0])
        self.layers_ = [name for name, _, _ in used]
        self.layer_weights_ = dict(zip(self.layers_, weights[weights > 0].tolist(), strict=True))

        points = space.apply(X)
        targets = self._targets(labels)
        ridge = Ridge(points, targets, self.shrinkage)
        sizes = np.bincount(labels, minlength=len(self.classes_)).astype(np.float64)
        map_ = optimal_scoring(ridge.fitted, targets, sizes)
        # The subspace of what examples look like needs no more of them than this.
        rng = np.random.default_rng(self.random_state)
        some = np.flatnonzero(~is_view) if n <= CHOICE_ROWS else evenly(labels, CHOICE_ROWS, rng)
        subspace = principal_directions(points[some], DIRECTIONS)
        self.projection_ = Projection(space, ridge.coefficients() @ map_, subspace)
        self.example_rows_ = rows[:n]
        self.example_labels_ = labels[:n]
        self.example_looks_ = self.projection_.apply(X[:n])[0]

        self._calibrate(ridge, labels, group, n)
        again = grouped_folds(labels[some], group[some], folds=10, seed=self.random_state)
        self.novelty_limit_ = novelty_limit(
            points[some], group[some], is_view[some], again, self.unknown_sigmas
        )
        self._contradict(X[:n], labels[:n], group[:n])

    def _targets(self, labels: Rows) -> Floats:
        indicator = np.eye(len(self.classes_))[labels]
        centred: Floats = indicator - indicator.mean(axis=0)
        return centred

    def _held_out(self, ridge: Ridge, labels: Rows, out: Rows, n: int) -> tuple[Rows, Rows, Floats]:
        """Hold rows `out` (and their views) out; return the examples among them, their neighbours'
        rows and similarities, in the projection learned without them.
        """
        scores = ridge.without(out)
        kept = np.setdiff1d(np.arange(len(labels)), out)
        sizes = np.bincount(labels[kept], minlength=len(self.classes_)).astype(np.float64)
        map_ = optimal_scoring(scores[kept], ridge.T[kept], sizes)
        test, voters = out[out < n], kept[kept < n]
        similarity = unit(scores[test] @ map_) @ unit(scores[voters] @ map_).T
        columns, values = nearest(similarity.astype(np.float64), self.neighbours)
        return test, voters[columns], values

    def _weigh(
        self,
        X: NDArray[Any],
        labels: Rows,
        group: Rows,
        is_view: NDArray[np.bool_],
        blocks: list[Block],
    ) -> Floats:
        even = np.full(len(blocks), 1 / len(blocks))
        self.layer_accuracy_: dict[str, float] = {}
        if len(blocks) == 1 or self.layers != "auto":
            return even
        rng = np.random.default_rng(self.random_state)
        n_all = int((~is_view).sum())
        some = evenly(labels[:n_all], CHOICE_ROWS, rng)
        n = len(some)
        some = np.concatenate([some, np.arange(n_all, len(X))])[:CHOICE_ROWS]
        X, labels, group = X[some], labels[some], group[some]
        folds = grouped_folds(labels[:n], group[:n], folds=self.folds, seed=self.random_state)
        if not folds:
            return even
        errors = []
        targets = self._targets(labels)
        for block in blocks:
            points = learn_space(X, [block], np.ones(1)).apply(X)
            gram = (points @ points.T).astype(np.float64)
            ridge = Ridge(None, targets, self.shrinkage, gram=gram)
            wrong = tested = 0
            for fold in folds:
                out = np.flatnonzero(np.isin(group, group[fold]))
                test, voters, similarity = self._held_out(ridge, labels, out, n)
                share = log_shares(labels[voters], similarity, len(self.classes_), 0.1)
                wrong += int((share.argmax(axis=1) != labels[test]).sum())
                tested += len(test)
            # One more error than seen, so that one lucky layer never silences the rest.
            errors.append((wrong + 1) / (tested + 2))
            self.layer_accuracy_[block[0]] = 1 - wrong / tested
        return layer_weights(np.array(errors))

    def _calibrate(self, ridge: Ridge, labels: Rows, group: Rows, n: int) -> None:
        """Cross-validate, then fit the vote's temperature and sharpness to held-out votes."""
        rng = np.random.default_rng(self.random_state)
        n_values = len(self.classes_)
        sample = np.arange(n)
        if n > VIEW_ROWS:
            chosen = rng.permutation(np.unique(group[:n]))[:HELD_OUT]
            sample = np.flatnonzero(np.isin(group[:n], chosen))
        parts = grouped_folds(
            labels[sample], group[sample], folds=self.folds, seed=self.random_state
        )
        folds = [np.flatnonzero(np.isin(group, group[sample[part]])) for part in parts]
        votes = [self._held_out(ridge, labels, out, n) for out in folds]
        single = [self._testable(labels[:n], group[:n], test) for test, _, _ in votes]

        if folds and n <= VIEW_ROWS:
            names = rng.permutation(np.unique(group[:n]))
            pieces = np.array_split(
                names, min(len(names), SINGLE_OUT if len(names) <= SINGLE_OUT else 30)
            )
            outs = [np.flatnonzero(np.isin(group, piece)) for piece in pieces]
            exact = [self._held_out(ridge, labels, out, n) for out in outs]
        else:
            exact = votes
        # Kept where nothing can be held out: a cautious guess.
        self.temperature_, self.sharpness_, self.lapse_ = 0.1, 0.5, 1 / (n + 2)
        self.held_out_ = np.full((n, n_values), np.nan)
        self._neighbours_out: dict[int, Rows] = {}
        if exact:
            self._fit_vote(exact, labels, group, n)
        truth = [labels[test][ok] for (test, _, _), ok in zip(votes, single, strict=True)]
        guess = [
            log_shares(labels[voters], near, n_values, self.temperature_).argmax(axis=1)[ok]
            for (_, voters, near), ok in zip(votes, single, strict=True)
        ]
        pairs = [(t, g) for t, g in zip(truth, guess, strict=True) if len(t)]
        self.folds_ = len(pairs)
        self.cv_accuracy_ = float(np.mean([(t == g).mean() for t, g in pairs])) if pairs else np.nan
        self.cv_macro_f1_ = float(np.mean([macro_f1(t, g) for t, g in pairs])) if pairs else np.nan

    @staticmethod
    def _testable(labels: Rows, group: Rows, test: Rows) -> NDArray[np.bool_]:
        pairs = np.unique(np.stack([labels, group]), axis=1)[0]
        several: NDArray[np.bool_] = np.bincount(pairs)[labels[test]] > 1
        return several

    def _fit_vote(
        self, held: list[tuple[Rows, Rows, Floats]], labels: Rows, group: Rows, n: int
    ) -> None:
        n_values = len(self.classes_)
        test = np.concatenate([part[0] for part in held])
        truth = labels[test]
        ok = self._testable(labels[:n], group[:n], test)
        best = np.inf
        self.lapse_ = 1 / (int(ok.sum()) + 2)
        for temperature in VOTE_TEMPERATURES:
            share = np.concatenate(
                [log_shares(labels[v], near, n_values, temperature) for _, v, near in held]
            )
            for sharpness in SHARPNESS:
                right = sharpen(share[ok], sharpness, self.lapse_)[np.arange(ok.sum()), truth[ok]]
                loss = -float(np.log(right).sum())
                if loss < best:
                    best, self.temperature_, self.sharpness_ = loss, temperature, float(sharpness)
                    self.held_out_[test] = sharpen(share, sharpness, self.lapse_)
        self.held_out_[test[~ok]] = np.nan
        for part, voters, _ in held:
            self._neighbours_out.update(zip(part.tolist(), voters, strict=True))

    def _contradict(self, X: NDArray[Any], labels: Rows, group: Rows) -> None:
        """Collect examples that share a group or all features but not the value, and examples
        whose held-out vote is confidently another value.
        """
        found: dict[int, tuple[set[int], str]] = {}
        bytes_of = np.unique(X.astype(np.float16), axis=0, return_inverse=True)[1].ravel()
        for same in (group, bytes_of):
            order = np.argsort(same, kind="stable")
            for rows in np.split(order, np.flatnonzero(np.diff(same[order])) + 1):
                for row in rows if len(set(labels[rows])) > 1 else ():
                    other = {int(r) for r in rows if labels[r] != labels[row]}
                    found.setdefault(int(row), (set(), "same image"))[0].update(other)
        best = np.nan_to_num(self.held_out_, nan=0).argmax(axis=1)
        for row in np.flatnonzero(np.nanmax(self.held_out_, axis=1, initial=0) >= 0.9):
            if best[row] != labels[row] and int(row) not in found:
                near = [int(v) for v in self._neighbours_out[int(row)] if labels[v] == best[row]]
                found[int(row)] = (set(near[:3]), "vote")
        del self._neighbours_out
        self.contradictions_ = [
            Contradiction(
                int(self.example_rows_[row]),
                self.classes_[labels[row]].item(),
                tuple(sorted(int(self.example_rows_[r]) for r in against)),
                self.classes_[labels[min(against)]].item(),
                reason,
            )
            for row, (against, reason) in sorted(
                found.items(), key=lambda item: int(self.example_rows_[item[0]])
            )
        ]

    def vote(self, X: ArrayLike, k_evidence: int = 5) -> Votes:
        """Let the examples vote on (N, D) features, in chunks of bounded memory.

        Raises
        ------
        InputError
            For NaN or infinity.
        """
        check_is_fitted(self)
        X = check_features(self, X, reset=False)
        looks, residual = self.projection_.apply(X)
        n, n_values = len(X), len(self.classes_)
        k = min(k_evidence, len(self.example_labels_))
        probabilities = np.empty((n, n_values))
        evidence, distance = np.empty((n, k), np.intp), np.empty((n, k))
        for rows in chunks(n, max(1, 16_000_000 // len(self.example_labels_))):
            columns, near = nearest(looks[rows] @ self.example_looks_.T, max(k, self.neighbours))
            voters = columns[:, : self.neighbours]
            share = log_shares(
                self.example_labels_[voters],
                near[:, : self.neighbours],
                n_values,
                self.temperature_,
            )
            probabilities[rows] = sharpen(share, self.sharpness_, self.lapse_)
            evidence[rows] = self.example_rows_[columns[:, :k]]
            distance[rows] = np.clip(1 - near[:, :k], 0, 2)
        novelty = residual / self.novelty_limit_
        best = probabilities.argmax(axis=1)
        return Votes(
            value=np.where(novelty > 1, -1, best),
            confidence=probabilities[np.arange(n), best],
            probabilities=probabilities,
            evidence=evidence,
            distance=distance,
            novelty=novelty,
        )

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return (N, V) calibrated probabilities of `classes_`, unknown or not."""
        return self.vote(X).probabilities

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the (N,) best values; unlike `vote` it never answers unknown."""
        values: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return values

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Return the look: (N, V - 1) float32 unit rows, whose dot product is similarity."""
        check_is_fitted(self)
        X = check_features(self, X, reset=False)
        return self.projection_.apply(X)[0].astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return what voting needs as arrays without objects (string values become text)."""
        check_is_fitted(self)
        classes = self.classes_.astype(str) if self.classes_.dtype == object else self.classes_
        return self.projection_.to_arrays() | {
            "classes": classes,
            "example_rows": self.example_rows_,
            "example_labels": self.example_labels_,
            "example_looks": self.example_looks_,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the rest, ready for JSON: parameters and scores (nan and infinity become None)."""
        check_is_fitted(self)
        return {
            "params": {
                "blocks": None if self.blocks is None else [list(block) for block in self.blocks],
                "layers": self.layers if isinstance(self.layers, str) else list(self.layers),
                "neighbours": self.neighbours,
                "shrinkage": self.shrinkage,
                "folds": self.folds,
                "unknown_sigmas": self.unknown_sigmas,
                "random_state": self.random_state,
            },
            "n_features": self.n_features_in_,
            "layer_weights": self.layer_weights_,
            "layer_accuracy": self.layer_accuracy_,
            "folds": self.folds_,
            "cv_accuracy": finite(self.cv_accuracy_),
            "cv_macro_f1": finite(self.cv_macro_f1_),
            "temperature": self.temperature_,
            "sharpness": self.sharpness_,
            "lapse": self.lapse_,
            "novelty_limit": finite(self.novelty_limit_),
        }

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], meta: Mapping[str, Any]
    ) -> Self:
        """Rebuild what `to_arrays` and `to_dict` returned; votes are identical.

        `contradictions_` is a finding of teaching and is not kept.

        Raises
        ------
        InputError
            If an array or an entry is missing.
        """
        try:
            params = dict(meta["params"])
            if params["blocks"] is not None:
                params["blocks"] = [tuple(block) for block in params["blocks"]]
            model = cls(**params)
            model.projection_ = Projection.from_arrays(dict(arrays))
            model.classes_ = arrays["classes"]
            model.example_rows_ = arrays["example_rows"].astype(np.intp)
            model.example_labels_ = arrays["example_labels"].astype(np.intp)
            model.example_looks_ = arrays["example_looks"].astype(np.float64)
            model.n_features_in_ = int(meta["n_features"])
            model.layer_weights_ = dict(meta["layer_weights"])
            model.layers_ = list(model.layer_weights_)
            model.layer_accuracy_ = dict(meta["layer_accuracy"])
            model.folds_ = int(meta["folds"])
            model.cv_accuracy_ = number(meta["cv_accuracy"], np.nan)
            model.cv_macro_f1_ = number(meta["cv_macro_f1"], np.nan)
            model.temperature_ = float(meta["temperature"])
            model.sharpness_ = float(meta["sharpness"])
            model.lapse_ = float(meta["lapse"])
            model.novelty_limit_ = number(meta["novelty_limit"], np.inf)
        except KeyError as error:
            raise InputError(f"a saved attribute lacks {error}; teach it again") from error
        return model


def macro_f1(truth: Rows, guess: Rows) -> float:
    """Mean over the values in `truth` of the harmonic mean of precision and recall."""
    scores = []
    for value in np.unique(truth):
        hit = int(((truth == value) & (guess == value)).sum())
        scores.append(2 * hit / (int((truth == value).sum()) + int((guess == value).sum())))
    return float(np.mean(scores))


def finite(value: float) -> float | None:
    """Return a number that JSON can hold, None for nan and infinity."""
    return float(value) if np.isfinite(value) else None


def number(value: float | None, missing: float) -> float:
    """Undo `finite`."""
    return missing if value is None else float(value)
