"""The vote of the nearest examples, and the rule that turns it into calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gingham.attributes.logit_sum import LogitSum, fit_logit_sum
from gingham.attributes.prevalence import shifted, value_shares
from gingham.attributes.space import Floats, Rows, chunks

TEMPERATURES = (0.05, 0.1, 0.2)
WEIGHTS = np.array([0.3, 6.0])
"""Expected weights of votes and regression, which many attributes have."""

DEVIATIONS = np.array([0.3, 4.0])
"""Of the prior of these weights. Halved, usages of products lose 1.4 points."""

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
    """Examples held out: their rows (n,), what the others say of them.

    Their (n, k) neighbours among the others, as rows, and how similar they are; and (n, V) scores
    of the regression onto the values, learned without them.
    """

    rows: Rows
    voters: Rows
    similarity: Floats
    scores: Floats


@dataclass(frozen=True)
class VoteRule:
    """How similar neighbours, and the regression onto the values, become probabilities.

    Attributes
    ----------
    temperature : similarity that divides a neighbour's weight by e
    joined : how the logs of the neighbours' shares and the regression's scores are summed
    shift : (V,) float64, how much more often a value is to be expected than among the examples
    """

    temperature: float
    joined: LogitSum
    shift: Floats

    def probabilities(self, labels: Rows, similarity: Floats, scores: Floats) -> Floats:
        """Turn (N, k) neighbours' labels and similarities, and (N, V) scores, into (N, V)."""
        logs = log_shares(labels, similarity, len(self.shift), self.temperature)
        return shifted(self.joined.probabilities([logs, scores]), self.shift)


def fit_vote_rule(held: Sequence[HeldOut], labels: Rows, n_values: int) -> VoteRule:
    """Choose temperature and sum by the likelihood of held-out examples' own values.

    The nearest examples vote as if all values were as frequent, whatever the examples say: in the
    projection each value's examples lie close together, and an image lies in between. The
    regression and the offsets know how frequent they are: docs/benchmarks.md has the figures.

    Parameters
    ----------
    held : what was held out; its rows index `labels`
    labels : (N,) values of all examples
    n_values : V
    """
    parts = [part for part in held if len(part.rows)]
    shares, even = value_shares(np.bincount(labels, minlength=n_values)), np.ones(n_values)
    if not parts:
        nothing = np.zeros((0, n_values))
        joined = fit_logit_sum([nothing] * 2, np.zeros(0, np.intp), WEIGHTS, DEVIATIONS, shares)
        return VoteRule(TEMPERATURES[1], joined, even)
    own = labels[np.concatenate([part.rows for part in parts])]
    scores = np.concatenate([part.scores for part in parts])
    found = []
    for temperature in TEMPERATURES:
        logs = [log_shares(labels[p.voters], p.similarity, n_values, temperature) for p in parts]
        both = [np.concatenate(logs), scores]
        joined = fit_logit_sum(both, own, WEIGHTS, DEVIATIONS, shares)
        told = joined.probabilities(both)[np.arange(len(own)), own]
        found.append((-float(np.log(told).sum()), VoteRule(temperature, joined, even)))
    return min(found, key=lambda one: one[0])[1]
