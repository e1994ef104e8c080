"""The vote of the nearest examples, and the rule that turns it into calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gingham.attributes.prevalence import shifted, value_shares
from gingham.attributes.space import Floats, Rows, chunks

TEMPERATURES = (0.05, 0.1, 0.2)
SHARPNESS = np.geomspace(0.03, 4, 30)
LAPSES = np.array([0, 0.005, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3])

_PRODUCTS = 1_000_000  # that are made at once


def nearest(similarity: Floats, count: int) -> tuple[Rows, Floats]:
    """Return the columns of the `count` largest of each row, best first, and their values."""
    count = min(count, similarity.shape[1])
    columns = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    values = np.take_along_axis(similarity, columns, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(values, order, axis=1)


def neighbours(looks: Floats, others: Floats, count: int) -> tuple[Rows, Floats]:
    """Find the `count` nearest of (M, d) unit rows to each of N, by dot product.

    Returns
    -------
    (N, count) their rows, best first, and the products.
    """
    parts = chunks(len(looks), max(1, _PRODUCTS // len(others)))
    found = [nearest(looks[rows] @ others.T, count) for rows in parts]
    return np.concatenate([rows for rows, _ in found]), np.concatenate([near for _, near in found])


def log_shares(labels: Rows, similarity: Floats, n_values: int, temperature: float) -> Floats:
    """Let each of (N, k) neighbours vote with weight exp(similarity / temperature).

    Returns
    -------
    (N, V) float64, the log of each value's share. Every value also gets one imaginary voter on the
    opposite side of the space, so that no share is zero.
    """
    n = len(labels)
    weight = np.exp((similarity - 1) / temperature)
    where = np.arange(n)[:, None] * n_values + labels
    total = np.bincount(where.ravel(), weight.ravel(), minlength=n * n_values)
    share = total.reshape(n, n_values) + np.exp(-2 / temperature)
    logs: Floats = np.log(share / share.sum(axis=1, keepdims=True))
    return logs


@dataclass(frozen=True)
class HeldOut:
    """Examples held out: their rows (n,), and their (n, k) neighbours among the others."""

    rows: Rows
    voters: Rows
    similarity: Floats


@dataclass(frozen=True)
class VoteRule:
    """How similar neighbours become probabilities.

    Attributes
    ----------
    temperature : similarity that divides a neighbour's weight by e
    sharpness : power to which the shares are raised
    lapse : chance that the vote says nothing; n right answers prove no certainty
    shares : (V,) float64, how often each value is answered then
    shift : (V,) float64, how much more often a value is to be expected than among the examples
    """

    temperature: float
    sharpness: float
    lapse: float
    shares: Floats
    shift: Floats

    def probabilities(self, labels: Rows, similarity: Floats, n_values: int) -> Floats:
        """Turn (N, k) neighbours' labels and similarities into (N, V) probabilities."""
        return self.sharpen(log_shares(labels, similarity, n_values, self.temperature))

    def sharpen(self, logs: Floats) -> Floats:
        """Turn (N, V) logs of shares, as of `log_shares`, into probabilities."""
        voted = (1 - self.lapse) * _raised(logs, self.sharpness) + self.lapse * self.shares
        return shifted(voted, self.shift)


def _raised(logs: Floats, sharpness: float) -> Floats:
    power = sharpness * logs
    power = np.exp(power - power.max(axis=1, keepdims=True))
    raised: Floats = power / power.sum(axis=1, keepdims=True)
    return raised


def fit_vote_rule(held: Sequence[HeldOut], labels: Rows, n_values: int) -> VoteRule:
    """Choose temperature, sharpness and lapse by the likelihood of held-out examples' own values.

    Without the lapse a few wrong labels, or values of one example, make every answer unsure: of
    the colours of products none had a confidence above 0.73.

    Parameters
    ----------
    held : what was held out; its rows index `labels`
    labels : (N,) values of all examples
    n_values : V

    References
    ----------
    Guo et al., *On Calibration of Modern Neural Networks* (2017), section 4.2, scale by one
    temperature; ours is `sharpness`. The lapse is at least 1 / (n + 2), Laplace's rule of
    succession.
    """
    count = sum(len(part.rows) for part in held)
    lapses = np.unique(np.maximum(LAPSES, 1 / (count + 2)))
    shares, even = value_shares(np.bincount(labels, minlength=n_values)), np.ones(n_values)
    best, best_loss = VoteRule(0.1, 0.5, lapses[0], shares, even), np.inf
    own = labels[np.concatenate([part.rows for part in held])] if count else np.empty(0, np.intp)
    for temperature in TEMPERATURES if count else ():
        logs = np.concatenate(
            [
                log_shares(labels[part.voters], part.similarity, n_values, temperature)
                for part in held
            ]
        )
        for sharpness in SHARPNESS:
            voted = _raised(logs, sharpness)[np.arange(count), own]
            told = (1 - lapses[:, None]) * voted + lapses[:, None] * shares[own]
            losses = -np.log(told).sum(axis=1)
            place = int(losses.argmin())
            if losses[place] < best_loss:
                lapse, best_loss = float(lapses[place]), float(losses[place])
                best = VoteRule(temperature, float(sharpness), lapse, shares, even)
    return best
