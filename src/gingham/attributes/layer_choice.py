"""Which layers speak, and how far the examples are believed: one rule, of arrays.

First every layer is weighed by its own held-out error, which is steady with few examples. Where
the examples are likelier with a larger penalty, so where labels are noisy, the weights and the
penalty go half of the way to where the examples are likeliest altogether, under a prior that holds
them where they were: the fewer the examples, the less they move. docs/benchmarks.md compares this
with other rules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.space import Floats

LEAST = 0.02
"""Share of the joined space below which a layer is left out."""

ROWS = 400
"""The most examples, each of another group, by which weights are moved."""

DEVIATION = 1.0
"""Of the prior of the log of each weight, and of that of the penalty."""

STEPS = 12
"""Steps of the search; further ones move nothing that matters."""


def layer_weights(errors: Floats) -> Floats:
    """Weigh layers by their held-out error: exp(1 - error / smallest error), summing to 1.

    Joining layers by weight is steadier than picking a set of them: with 100 examples the
    difference between two sets is within the noise of any cross-validation. A layer below 2 % of
    the best one's weight is left out.
    """
    weight = np.exp(1 - errors / errors.min())
    weight[weight < LEAST] = 0
    normalised: Floats = weight / weight.sum()
    return normalised


def likeliest(
    products: NDArray[np.floating], indicator: Floats, weights: Floats, penalty: float
) -> tuple[Floats, float]:
    """Move weights and penalty half of the way to where the values of examples are likeliest.

    Ridge regression onto centred indicators is the mean of a Gaussian process with covariance
    sum w_b K_b + L I, w_b the weights and L the penalty. With Y the indicators, C the covariance
    and q = tr(Y' inv(C) Y), twice the negative log of their likelihood, with the best overall scale
    and for each of the V - 1 free columns, is n log q + log det C. It is counted once, not V - 1
    times: the columns are of the same images.

    Parameters
    ----------
    products : (B, n, n), K_b: of the points of n examples in each layer, centred, whose mean
        squared length is 1
    indicator : (n, V), 1 where an example has a value, else 0
    weights : (B,), above 0: where to begin, and the centre of the prior
    penalty : the same

    Returns
    -------
    The weights, which sum to 1 and of which those below `LEAST` are 0, and the penalty: both are
    geometric means of what was given and what is likeliest. Where that penalty is no larger than
    the one given, what was given is returned: where labels are clean a smaller one would be
    likelier, but answers are worse (photos of 10 colours, 10 examples each, two draws: 0.969 right
    instead of 0.973), and other weights are no better.

    References
    ----------
    Rasmussen, Williams, *Gaussian Processes for Machine Learning* (2006), eq. 5.8 and 5.9;
    MacKay, *Bayesian Interpolation* (1992), for choosing a penalty so.
    """
    layers, n, _ = products.shape
    every = products.reshape(layers, n * n)
    centred = indicator - indicator.mean(axis=0)
    begin = np.log(np.append(weights, penalty))

    def loss(place: Floats) -> tuple[float, Floats]:
        weight, ridge = _shares(place[:-1]), np.exp(place[-1])
        covariance = (weight.astype(every.dtype) @ every).reshape(n, n).astype(np.float64)
        covariance[np.diag_indices(n)] += ridge
        try:
            root = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:  # rounding is larger than the penalty: no place to go
            return np.inf, np.zeros_like(place)
        inverse = np.linalg.inv(covariance)
        solved = inverse @ centred
        q = float((centred * solved).sum())
        slope = inverse - (n / q) * (solved @ solved.T)
        by_weight = (every @ slope.ravel().astype(every.dtype)).astype(np.float64) / 2
        moved = place - begin
        # A factor common to all weights is none.
        moved[:-1] -= moved[:-1].mean()
        value = n * np.log(q) / 2 + np.log(np.diag(root)).sum() + moved @ moved / DEVIATION**2 / 2
        rise = np.append(weight * (by_weight - weight @ by_weight), ridge * np.trace(slope) / 2)
        return float(value), rise + moved / DEVIATION**2

    found = (begin + _descend(loss, begin)) / 2
    if found[-1] <= begin[-1]:
        return weights, penalty
    weight = _shares(found[:-1])
    weight[weight < LEAST] = 0
    return weight / weight.sum(), float(np.exp(found[-1]))


def _shares(logs: Floats) -> Floats:
    raised = np.exp(logs - logs.max())
    shares: Floats = raised / raised.sum()
    return shares


def _descend(loss: Callable[[Floats], tuple[float, Floats]], place: Floats) -> Floats:
    """Find a minimum by a few steps of the method of Broyden, Fletcher, Goldfarb and Shanno.

    Nocedal, Wright, *Numerical Optimization* (2006), algorithm 6.1, where a step is only made
    shorter; the core does without scipy, which has it. `loss` gives a value and its slope, (P,).
    """
    even = np.eye(len(place))
    value, slope = loss(place)
    inverse = even / max(1.0, float(np.linalg.norm(slope)))
    for _ in range(STEPS):
        step = -inverse @ slope
        for _ in range(10):
            tried, tried_slope = loss(place + step)
            if tried <= value + 1e-4 * float(step @ slope):
                break
            step /= 3
        else:
            return place
        change = tried_slope - slope
        place, value, slope = place + step, tried, tried_slope
        along = float(step @ change)
        if along > 1e-12:
            turn = even - np.outer(step, change) / along
            inverse = turn @ inverse @ turn.T + np.outer(step, step) / along
        if np.abs(slope).max() < 0.05:
            break
    return place
