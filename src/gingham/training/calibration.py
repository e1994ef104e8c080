"""Logits -> probabilities that can be believed, and answers: fitted on the validation images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.training.metrics import Answers
from gingham.training.vocabulary import Vocabulary

Floats = NDArray[np.floating]
_HOPELESS = 0.25
"""An answer of kind single is `unknown` where answers so unsure are right less often than this."""
_HELD = 0.2
"""What holds the offsets near 0: the weight of half their squares beside the mean loss. With less,
common values are answered more often, and rare ones hardly at all: see docs/training.md."""


@dataclass(frozen=True)
class Calibration:
    """How the logits of each output are read.

    Attributes
    ----------
    vocabulary : what the outputs mean.
    slope, offset : (V,) float64. Of kind `single`, the softmax of slope x logit + offset over the
        attribute's values, which share the slope; else the sigmoid of it.
    threshold : (V,) float64. Of kind `single`, the likeliest value is answered from this
        probability on, and below it `unknown`; else a value is there from it on.
    """

    vocabulary: Vocabulary
    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    threshold: NDArray[np.float64]

    def probabilities(self, logits: Floats) -> NDArray[np.float64]:
        """Turn (N, V) logits into (N, V) probabilities."""
        scaled = logits.astype(np.float64) * self.slope + self.offset
        given = np.empty_like(scaled)
        for attribute in self.vocabulary.attributes:
            columns = self.vocabulary.columns[attribute.name]
            block = scaled[:, columns]
            given[:, columns] = _softmax(block) if attribute.kind == "single" else _sigmoid(block)
        return given

    def answers(self, logits: Floats, *, ranked: Floats | None = None) -> Answers:
        """Decide; `ranked` are scores to be measured by, in place of the probabilities."""
        probabilities = self.probabilities(logits)
        given = np.zeros(probabilities.shape, bool)
        for attribute in self.vocabulary.attributes:
            columns = self.vocabulary.columns[attribute.name]
            p, t = probabilities[:, columns], self.threshold[columns]
            if attribute.kind == "single":
                best = p.argmax(1)
                rows = np.arange(len(p))
                given[rows, columns.start + best] = p[rows, best] >= t[best]
            else:
                given[:, columns] = p >= t
        return Answers(probabilities if ranked is None else ranked, given, probabilities)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        threshold: dict[str, dict[str, float]] = {}
        for (name, value), at in zip(self.vocabulary.labels, self.threshold.tolist(), strict=True):
            threshold.setdefault(name, {})[value] = at
        return {
            "slope": self.slope.tolist(),
            "offset": self.offset.tolist(),
            "threshold": threshold,
        }

    @classmethod
    def from_dict(cls, vocabulary: Vocabulary, values: dict[str, Any]) -> Calibration:
        """Read back what `to_dict` wrote."""
        threshold = [values["threshold"][name][value] for name, value in vocabulary.labels]
        arrays = [np.array(x, np.float64) for x in (values["slope"], values["offset"], threshold)]
        if any(array.shape != (len(vocabulary),) for array in arrays):
            raise ValueError(f"expected {len(vocabulary)} thresholds, slopes and offsets")
        return cls(vocabulary, *arrays)


def calibrate(vocabulary: Vocabulary, logits: Floats, targets: Floats) -> Calibration:
    """Fit slopes, offsets and thresholds on images that the network did not learn from.

    `logits` and `targets` are (N, V), the targets 1, 0 and NaN.

    References
    ----------
    Alexandari, Kundaje, Shrikumar, *Maximum Likelihood with Bias-Corrected Calibration is
    Hard-To-Beat at Label Shift Adaptation* (2020): for kind `single`, a temperature and an offset
    for each value; ours is that the offsets are held near 0, as much however many the images. Platt
    (1999): for the others, the sigmoid of slope and offset. The thresholds of the others are those
    with the best F1 on these images.
    """
    slope, offset = np.ones(len(vocabulary)), np.zeros(len(vocabulary))
    threshold = np.full(len(vocabulary), 0.5)
    for attribute in vocabulary.attributes:
        columns = vocabulary.columns[attribute.name]
        f, y = logits[:, columns].astype(np.float64), targets[:, columns]
        if attribute.kind == "single":
            known = (y == 1).any(1)
            slope[columns], offset[columns] = _biased_temperature(f[known], y[known].argmax(1))
            p = _softmax(f * slope[columns] + offset[columns])
            for v in range(f.shape[1]):
                rows = (p.argmax(1) == v) & known
                threshold[columns.start + v] = _floor(p[rows, v], y[rows, v] == 1)
            continue
        for v, place in enumerate(range(columns.start, columns.stop)):
            known = ~np.isnan(y[:, v])
            scores, truth = f[known, v], y[known, v]
            slope[place], offset[place] = _platt(scores, truth)
            p = _sigmoid(scores * slope[place] + offset[place])
            threshold[place] = best_threshold(p, truth == 1)
    return Calibration(vocabulary, slope, offset, threshold)


def best_threshold(probabilities: Floats, truth: NDArray[np.bool_]) -> float:
    """The threshold from which on answering `yes` has the best F1; 0.5 where none can be told."""
    if not truth.any() or truth.all():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    p, hits = probabilities[order], np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + truth.sum())
    # Images of equal probability are answered alike.
    ends = np.append(p[1:] != p[:-1], True)
    best = int(np.argmax(np.where(ends, f1, -1)))
    below = p[best + 1] if best + 1 < len(p) else 0.0
    return float((p[best] + below) / 2)


def _floor(probabilities: Floats, right: NDArray[np.bool_]) -> float:
    """The probability below which answers of a value were hopeless; 0 where none were."""
    if not len(probabilities):
        return 0.0
    order = np.argsort(probabilities, kind="stable")
    # As far as leaving out the answers below gains most: each wrong one gains, each right costs.
    gained = np.cumsum(_HOPELESS - right[order])
    last = int(np.argmax(gained))
    if gained[last] < 1:  # fewer than four wrong answers say nothing
        return 0.0
    p = probabilities[order]
    return float((p[last] + p[last + 1]) / 2 if last + 1 < len(p) else np.nextafter(p[last], 2))


def _biased_temperature(logits: Floats, truth: NDArray[np.intp]) -> tuple[float, Floats]:
    """The inverse temperature, and the offset of each value.

    A head's inputs are standardised, so that the mean of an output over the training images is
    its bias: one of thousands of weights, and learned no faster. It stays near 0, however common
    the value is, and where the network is unsure a rare value is answered as soon as a common one.
    """
    values = logits.shape[1]
    if not len(logits):
        return 1.0, np.zeros(values)
    from scipy.optimize import minimize

    is_true = np.eye(values)[truth]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, offset = np.exp(parameters[0]), parameters[1:]
        p = _softmax(slope * logits + offset)
        wrong = p - is_true
        lost = -np.log(np.maximum(p[is_true == 1], 1e-300)).mean() + _HELD * (offset**2).sum() / 2
        gradient = [[slope * (wrong * logits).sum(1).mean()], wrong.mean(0) + _HELD * offset]
        return float(lost), np.concatenate(gradient)

    bounds = [(-4.0, 4.0)] + [(None, None)] * values
    found = minimize(loss, np.zeros(values + 1), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), np.asarray(found[1:])


def _platt(logits: Floats, truth: Floats) -> tuple[float, float]:
    if len(np.unique(truth)) < 2:
        return 1.0, 0.0
    from sklearn.linear_model import LogisticRegression

    centre, spread = logits.mean(), logits.std() + 1e-12
    fitted = LogisticRegression().fit((logits[:, None] - centre) / spread, truth == 1)
    # A slope that is not positive would turn the ranking round.
    slope = max(float(fitted.coef_[0, 0]), 1e-3) / spread
    return float(slope), float(fitted.intercept_[0] - slope * centre)


def _softmax(x: Floats) -> NDArray[np.float64]:
    powers = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def _sigmoid(x: Floats) -> NDArray[np.float64]:
    return np.asarray(np.exp(-np.logaddexp(0, -x)), np.float64)
