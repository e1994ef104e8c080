"""The vote of the nearest examples, and the rule that turns it into calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gingham.attributes.logit_sum import LogitSum, fit_logit_sum
from gingham.attributes.prevalence import shifted, value_shares
from gingham.attributes.space import Floats, Rows, chunks

TEMPERATURES = (0.05, 0.1, 0.2)
WEIGHTS = np.array([0.3, 6.0])
"""Expected weights of votes and regression, which many attributes have."""

DEVIATIONS = np.array([0.3, 4.0])
"""Of the prior of these weights. Halved, usages of products lose 1.4 points."""

FURTHER = 1.5
"""Deviation of the prior of the weight of each further regression, which is expected to be 0. With
2, colours from 5 per value lose 0.2 points; with 1, colours of products gain 0.2 points less."""

HEARD = 1.0
"""Weight below which a further regression is left out, and need not be read."""

GAIN = 2.0
"""Log-likelihood of held-out examples that further regressions have to gain, or none is heard: 1
for each of two, as of Akaike (1974). Photos of colours and textures, which gain nothing by them,
have 0 to 1.6; usages, genders and colours of products 2.4 to 10.9."""

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
    of each regression onto the values, learned without them.
    """

    rows: Rows
    voters: Rows
    similarity: Floats
    scores: Sequence[Floats]


@dataclass(frozen=True)
class VoteRule:
    """How similar neighbours, and regressions onto the values, become probabilities.

    Attributes
    ----------
    temperature : similarity that divides a neighbour's weight by e
    joined : how the logs of the neighbours' shares and the regressions' scores are summed
    shift : (V,) float64, how much more often a value is to be expected than among the examples
    """

    temperature: float
    joined: LogitSum
    shift: Floats

    def probabilities(self, labels: Rows, similarity: Floats, scores: Sequence[Floats]) -> Floats:
        """Turn (N, k) neighbours' labels and similarities, and some (N, V) scores, into (N, V)."""
        logs = log_shares(labels, similarity, len(self.shift), self.temperature)
        return shifted(self.joined.probabilities([logs, *scores]), self.shift)


def fit_vote_rule(held: Sequence[HeldOut], labels: Rows, n_values: int) -> VoteRule:
    """Choose temperature and sum by the likelihood of held-out examples' own values.

    The nearest examples vote as if all values were as frequent, whatever the examples say: in the
    projection each value's examples lie close together, and an image lies in between. The
    regressions and the offsets know how frequent they are: docs/benchmarks.md has the figures. The
    first regression is that of the projection; further ones count as far as held-out examples say
    so, and have a weight of 0 where they would count for little, or gain little.

    Parameters
    ----------
    held : what was held out; its rows index `labels`
    labels : (N,) values of all examples
    n_values : V
    """
    parts = [part for part in held if len(part.rows)]
    shares, even = value_shares(np.bincount(labels, minlength=n_values)), np.ones(n_values)
    further = len(held[0].scores) - 1 if held else 0
    weights = np.append(WEIGHTS, np.zeros(further))
    deviations = np.append(DEVIATIONS, np.full(further, FURTHER))
    if not parts:
        nothing = [np.zeros((0, n_values))] * len(weights)
        joined = fit_logit_sum(nothing, np.zeros(0, np.intp), weights, deviations, shares)
        return VoteRule(TEMPERATURES[1], joined, even)
    own = labels[np.concatenate([part.rows for part in parts])]
    scores = [np.concatenate(one) for one in zip(*(part.scores for part in parts), strict=True)]

    def likeliest(heard: int) -> tuple[float, VoteRule]:
        found = []
        for temperature in TEMPERATURES:
            logs = [
                log_shares(labels[p.voters], p.similarity, n_values, temperature) for p in parts
            ]
            every = [np.concatenate(logs), *scores[:heard]]
            kinds = slice(len(every))
            joined = fit_logit_sum(every, own, weights[kinds], deviations[kinds], shares)
            told = joined.probabilities(every)[np.arange(len(own)), own]
            found.append((float(np.log(told).sum()), VoteRule(temperature, joined, even)))
        return max(found, key=lambda one: one[0])

    told, rule = likeliest(1)
    if further:
        told_by_all, with_all = likeliest(1 + further)
        rule = with_all if told_by_all >= told + GAIN else rule
    said = np.zeros(len(weights))
    said[: len(rule.joined.weights)] = rule.joined.weights
    said[2:][said[2:] < HEARD] = 0
    return replace(rule, joined=replace(rule.joined, weights=said))
