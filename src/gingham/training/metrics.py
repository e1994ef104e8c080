"""How good the answers are: by value, by attribute, and overall; unknown labels are left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.measures import calibration_error
from gingham.errors import ShapeError
from gingham.results import Result
from gingham.training.vocabulary import NO, YES, ModelAttribute, Vocabulary

Floats = NDArray[np.floating]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class ValueMetrics:
    """One output. `images` is how many images have the value, of the `known` that may.

    `precision` is None where the value was never given, `recall` where no image has it, `f1` where
    both; `average_precision` where no image has it.
    """

    attribute: str
    value: str
    images: int
    known: int
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None


@dataclass(frozen=True)
class Summary:
    """Several outputs together.

    Attributes
    ----------
    macro_precision, macro_recall, macro_f1 : means over the outputs that some image has; a
        precision without an answer counts 0.
    micro_precision, micro_recall, micro_f1 : over all answers together.
    map : mean average precision of the outputs that some image has.
    w_map : the same, weighted by how many images have each.
    """

    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None
    micro_precision: float | None
    micro_recall: float | None
    micro_f1: float | None
    map: float | None
    w_map: float | None


@dataclass(frozen=True)
class AttributeMetrics:
    """One attribute.

    Attributes
    ----------
    images : those with a known label.
    accuracy : share of the images whose answer is right; an answer `unknown` is wrong, and for kind
        `multi` an answer is right if every known value is.
    answered : share of the images that got an answer.
    calibration_error : expected, of the confidence in the answers, over ten bins; for kind `multi`
        every known value is an answer.
    names, confusion : the confusion matrix, truth by answer, `unknown` in the last column; None for
        kind `multi`.
    """

    name: str
    kind: str
    images: int
    accuracy: float | None
    answered: float | None
    calibration_error: float | None
    summary: Summary
    names: tuple[str, ...] | None
    confusion: tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class Metrics(Result):
    """All of it. `avgprec` is `ranking_precision`."""

    images: int
    overall: Summary
    avgprec: float | None
    calibration_error: float | None
    attributes: tuple[AttributeMetrics, ...]
    values: tuple[ValueMetrics, ...]


@dataclass(frozen=True)
class Answers:
    """What was said of N images.

    Attributes
    ----------
    scores : (N, V) float; larger is likelier. Only the order within an output, and for `avgprec`
        within an image, counts.
    given : (N, V) bool; the values that were answered.
    probabilities : (N, V) float in [0, 1], that an image has a value.
    """

    scores: Floats
    given: Bools
    probabilities: Floats

    def certainty(self, kind: str, columns: slice) -> Floats:
        """How sure the answers of one attribute are: (N, 1) of kind `single`, else (N, values)."""
        p = self.probabilities[:, columns]
        if kind == "single":
            return np.asarray(p.max(1, keepdims=True))
        return np.where(self.given[:, columns], p, 1 - p)


def measure(vocabulary: Vocabulary, answers: Answers, targets: Floats) -> Metrics:
    """Measure answers against (N, V) targets of 1, 0 and NaN (unknown).

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    """
    if targets.shape != (len(targets), len(vocabulary)) or answers.given.shape != targets.shape:
        raise ShapeError("targets", expected=f"(N, V) = {answers.given.shape}", got=targets.shape)
    values = tuple(
        _value(label, answers.scores[:, v], answers.given[:, v], targets[:, v])
        for v, label in enumerate(vocabulary.labels)
    )
    attributes, sure, right = [], [], []
    for attribute in vocabulary.attributes:
        columns = vocabulary.columns[attribute.name]
        one, confidence, correct = _attribute(
            attribute,
            answers.given[:, columns],
            answers.certainty(attribute.kind, columns),
            targets[:, columns],
            values[columns],
        )
        attributes.append(one)
        sure.append(confidence)
        right.append(correct)
    joined, hits = np.concatenate(sure), np.concatenate(right)
    return Metrics(
        len(targets),
        summarise(values, answers.given, targets),
        ranking_precision(answers.scores, targets),
        calibration_error(joined, hits) if len(joined) else None,
        tuple(attributes),
        values,
    )


def average_precision(scores: Floats, truth: Floats) -> float | None:
    """Mean precision over the images that have the value, ranked by score; None if none has.

    `scores` (N,) may be equal, and such images are found together; `truth` (N,) is 1, 0 or NaN
    (left out).
    """
    if not (truth == 1).any():
        return None
    known = ~np.isnan(truth)
    _, place = np.unique(-scores[known], return_inverse=True)
    hits = np.bincount(place, truth[known])
    precision = hits.cumsum() / np.bincount(place).cumsum()
    return float(hits @ precision / hits.sum())


def ranking_precision(scores: Floats, targets: Floats) -> float | None:
    """AVGPREC of (N, V): each image's mean precision over its values ranked by score, averaged.

    Unknown values (NaN in `targets`) are left out of the ranking, and images without a known value
    that holds altogether. None if no image remains.

    References
    ----------
    Zakizadeh et al., *FineTag*, arXiv:1806.07124, section 4; Zhang and Zhou, *A Review on
    Multi-Label Learning Algorithms* (2014), average precision.
    """
    rows = (targets == 1).any(1)
    if not rows.any():
        return None
    truth, ranked = targets[rows], np.array(scores[rows], np.float64)
    # Ranks alone count, and what is unknown comes after all else, where it moves nothing.
    ranked[np.isnan(truth)] = ranked.min() - 1
    precision = []
    for row, holds in zip(ranked, truth == 1, strict=True):
        before = row >= row[holds, None]
        precision.append((before[:, holds].sum(1) / before.sum(1)).mean())
    return float(np.mean(precision))


def weighted_mean_precision(scores: Floats, targets: Floats) -> float | None:
    """W_MAP: each label's average precision, weighted by how many images have it.

    None if no image has any.

    References
    ----------
    Zakizadeh et al., *FineTag*, arXiv:1806.07124, section 4.
    """
    found = [average_precision(scores[:, v], targets[:, v]) for v in range(targets.shape[1])]
    return _weighted(found, (targets == 1).sum(0))


def summarise(values: Sequence[ValueMetrics], given: Bools, targets: Floats) -> Summary:
    """Join the outputs of (N, V) answers; see `Summary`."""
    held = [value for value in values if value.images]
    precision, recall, f1, mean_precision = (
        float(np.mean([getattr(value, name) or 0.0 for value in held])) if held else None
        for name in ("precision", "recall", "f1", "average_precision")
    )
    images = np.array([value.images for value in values])
    weighted = _weighted([value.average_precision for value in values], images)
    return Summary(precision, recall, f1, *_scores(given, targets), mean_precision, weighted)


def _value(label: tuple[str, str], scores: Floats, given: Bools, truth: Floats) -> ValueMetrics:
    images, known = int((truth == 1).sum()), int((~np.isnan(truth)).sum())
    found = average_precision(scores, truth)
    return ValueMetrics(*label, images, known, *_scores(given, truth), found)


def _scores(given: Bools, truth: Floats) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1 of answers, as far as the truth is known."""
    has = truth == 1
    hits, there = int((given & has).sum()), int(has.sum())
    said = int((given & ~np.isnan(truth)).sum())
    return _ratio(hits, said), _ratio(hits, there), _ratio(2 * hits, said + there)


def _attribute(
    attribute: ModelAttribute,
    given: Bools,
    certainty: Floats,
    targets: Floats,
    values: Sequence[ValueMetrics],
) -> tuple[AttributeMetrics, Floats, Bools]:
    """Measure one attribute; give the confidence and the rightness of each answer, too."""
    seen = ~np.isnan(targets)
    rows = seen.any(1)
    agree = given == (targets == 1)
    correct = (agree | ~seen).all(1)[rows]
    # Of kind single no value is the answer `unknown`; of the others it is an answer.
    answered = given[rows].any(1) if attribute.kind == "single" else np.ones(len(correct), bool)
    if attribute.kind == "single":
        sure, right = certainty[rows][answered, 0], correct[answered]
    else:
        sure, right = certainty[seen], agree[seen]
    names, confusion = _confusion(attribute, given[rows], targets[rows])
    metrics = AttributeMetrics(
        attribute.name,
        attribute.kind,
        int(rows.sum()),
        _ratio(int(correct.sum()), len(correct)),
        _ratio(int(answered.sum()), len(correct)),
        calibration_error(sure, right) if len(sure) else None,
        summarise(values, given, targets),
        names,
        confusion,
    )
    return metrics, sure, right


def _confusion(
    attribute: ModelAttribute, given: Bools, targets: Floats
) -> tuple[tuple[str, ...] | None, tuple[tuple[int, ...], ...] | None]:
    if attribute.kind == "multi":
        return None, None
    if attribute.kind == "binary":
        names: tuple[str, ...] = (YES, NO)
        truth, said = (targets[:, 0] != 1).astype(int), (~given[:, 0]).astype(int)
    else:
        names = attribute.values
        truth = np.nan_to_num(targets).argmax(1)
        said = np.where(given.any(1), given.argmax(1), len(names))
    pairs = np.bincount(truth * (len(names) + 1) + said, minlength=len(names) * (len(names) + 1))
    return names, tuple(map(tuple, pairs.reshape(len(names), -1).tolist()))


def _weighted(values: Sequence[float | None], weights: NDArray[np.integer]) -> float | None:
    held = [(v, w) for v, w in zip(values, weights.tolist(), strict=True) if v is not None]
    if not held:
        return None
    return float(np.average([v for v, _ in held], weights=[w for _, w in held]))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
