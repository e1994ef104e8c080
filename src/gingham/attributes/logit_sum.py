"""Several scores of each value -> one probability: a weighted sum, fitted by held-out examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gingham.attributes.space import Floats, Rows

HELD = 3.0
"""Weight of half the squares of the offsets, beside the sum of the examples' losses."""

LAPSES = np.append(0, np.geomspace(0.005, 0.5, 24))
"""Those that are tried."""

ROUNDS = 25
"""Steps at most; further ones move nothing that matters."""


@dataclass(frozen=True)
class LogitSum:
    """How K scores of each of V values become probabilities.

    Attributes
    ----------
    weights : (K,) float64, 0 or more, of each kind of score
    offsets : (V,) float64, added to the sum of each value
    lapse : chance that the scores say nothing; n right answers prove no certainty
    shares : (V,) float64, how often each value is answered then
    """

    weights: Floats
    offsets: Floats
    lapse: float
    shares: Floats

    def probabilities(self, scores: Sequence[Floats]) -> Floats:
        """Turn K arrays of (N, V) scores into (N, V) probabilities."""
        told = _softmax(_summed(scores, self.weights, self.offsets))
        mixed: Floats = (1 - self.lapse) * told + self.lapse * self.shares
        return mixed


def fit_logit_sum(
    scores: Sequence[Floats], own: Rows, expected: Floats, deviations: Floats, shares: Floats
) -> LogitSum:
    """Fit weights, offsets and lapse by the likelihood of held-out examples' own values.

    Parameters
    ----------
    scores : K arrays of (n, V)
    own : (n,) int, the values of the n examples
    expected : (K,) weights, which are kept where there are no examples
    deviations : (K,) above 0, of a Gaussian prior about those: the fewer the examples, the less the
        weights move, and they stay finite where every example is right
    shares : (V,) how often each value is among all examples

    Notes
    -----
    The lapse allows for labels that are wrong, without which a few would make every answer unsure.
    It is at least 1 / (n + 2), Laplace's rule of succession. In turns, each example is believed as
    far as its label is likelier from its scores than by lapse, and Newton's step is made for the
    examples so believed.

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks* (2017), section 4.2, scale by one
    temperature; Alexandari, Kundaje, Shrikumar (2020) add an offset for each value. Wolpert,
    *Stacked Generalization* (1992), joins classifiers by their held-out answers; ours are the
    lapse, and that offsets are held near 0. Bertsekas, *Projected Newton Methods for Optimization
    Problems with Simple Constraints* (1982), for weights that stay 0 or more.
    """
    n, values = scores[0].shape
    least = 1 / (n + 2)
    weights, offsets, lapse = expected.astype(np.float64), np.zeros(values), least
    if not n:
        return LogitSum(weights, offsets, least, shares)
    rows, lapses = np.arange(n), np.unique(np.maximum(LAPSES, least))

    def cost(weights: Floats, offsets: Floats, lapse: float) -> float:
        told = _softmax(_summed(scores, weights, offsets))[rows, own]
        lost = -np.log((1 - lapse) * told + lapse * shares[own]).sum()
        far = (weights - expected) / deviations
        return float(lost + HELD * offsets @ offsets / 2 + far @ far / 2)

    now = cost(weights, offsets, lapse)
    for _ in range(ROUNDS):
        before = now
        told = _softmax(_summed(scores, weights, offsets))
        mixed = np.outer(1 - lapses, told[rows, own]) + np.outer(lapses, shares[own])
        lapse = float(lapses[np.log(mixed).sum(axis=1).argmax()])
        right = (1 - lapse) * told[rows, own]
        believed = right / (right + lapse * shares[own])
        now = cost(weights, offsets, lapse)
        pull = (weights - expected) / deviations**2
        step = _newton(scores, own, told, believed, weights, offsets, pull, deviations)
        for _ in range(12):
            tried = np.maximum(weights - step[: len(weights)], 0), offsets - step[len(weights) :]
            then = cost(*tried, lapse)
            if then <= now:
                (weights, offsets), now = tried, then
                break
            step /= 2
        if before - now < 1e-4 * n * least:
            break
    return LogitSum(weights, offsets, lapse, shares)


def _newton(
    scores: Sequence[Floats],
    own: Rows,
    told: Floats,
    believed: Floats,
    weights: Floats,
    offsets: Floats,
    pull: Floats,
    deviations: Floats,
) -> Floats:
    """Return the step, (K + V,), that is to be subtracted from weights and offsets."""
    kinds, rows = len(scores), np.arange(len(own))
    sure = told * believed[:, None]
    means = [(told * one).sum(axis=1) for one in scores]
    slope = np.empty(kinds + len(offsets))
    bend = np.zeros((len(slope), len(slope)))
    for k, (one, mean) in enumerate(zip(scores, means, strict=True)):
        slope[k] = believed @ (mean - one[rows, own]) + pull[k]
        for j in range(k + 1):
            products = (told * one * scores[j]).sum(axis=1) - mean * means[j]
            bend[k, j] = bend[j, k] = believed @ products
        bend[k, kinds:] = bend[kinds:, k] = (sure * (one - mean[:, None])).sum(axis=0)
    there = np.bincount(own, believed, minlength=len(offsets))
    slope[kinds:] = sure.sum(axis=0) - there + HELD * offsets
    bend[kinds:, kinds:] = np.diag(sure.sum(axis=0) + HELD) - sure.T @ told
    bend[np.diag_indices(kinds)] += 1 / deviations**2
    # A weight of 0 that would go below stays, and the others move as if it were not there.
    free = np.ones(len(slope), bool)
    free[:kinds] = (weights > 0) | (slope[:kinds] < 0)
    step = np.zeros(len(slope))
    step[free] = np.linalg.solve(bend[np.ix_(free, free)], slope[free])
    return step


def _summed(scores: Sequence[Floats], weights: Floats, offsets: Floats) -> Floats:
    total: Floats = offsets + sum(w * one for w, one in zip(weights, scores, strict=True))
    return total


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares
