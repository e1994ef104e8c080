"""How often the values are in a catalogue, which ten examples of each do not tell."""

from __future__ import annotations

import numpy as np

from gingham.attributes.space import Floats, Rows

HELD = 200.0
"""So many images, with the values as frequent as among the examples, are added to those counted.
Types of products from 10 per value (33 values, five draws): 0.767 of the best guesses are right
with it, 0.760 with 50, 0.769 with 400, and 0.759 without all this."""

TRUST = 3.0
"""So many answers, as the probabilities themselves foretell them, are added to those of a value's
held-out examples; with 1, colours of products (20 values) lose 0.1 points, types gain none."""

SHARPER = 2.0
"""Power of the probabilities that are counted. With 1, types of products gain 0.2 points, and
colours of products lose 0.9."""

FOREIGN = 8
"""Power of the share of images that are not foreign, by which the others count less: not all that
are foreign are found. Of a catalogue of which half is foreign, texture from 10 per value loses 0.5
points of accuracy with 0, 0.3 with 4; of products 2 % are (by the former way of counting)."""

ROUNDS = 200


def value_shift(
    told: Floats, counts: Rows, checked: Floats, said: Rows, share: float = 1.0
) -> Floats:
    """Say how much more often each value is in the catalogue than among the examples.

    The frequencies are those that explain best how often each value is answered in the catalogue,
    given how often held-out examples of each value are answered each. To count what is answered
    alone, or to let each image have the value it likeliest has, would follow the mistakes: what is
    often taken for another value would seem rarer the longer one counts.
    Uneven examples say something themselves, as those drawn by lot do: the more uneven, the more
    their own frequencies count.

    Parameters
    ----------
    told : (M, V), probabilities of M images of the catalogue, as if the values were as frequent
        there as among the examples.
    counts : (V,) int, examples of each value, at least 1.
    checked : (N, V), the same of held-out examples; nan where one was not held out.
    said : (N,) int, their values.
    share : of the catalogue's images that are not foreign, of which these are.

    Returns
    -------
    (V,) float64: a probability is to be multiplied by it, and all of an image divided by their sum.

    References
    ----------
    Lipton, Wang, Smola, *Detecting and Correcting for Label Shift with Black Box Predictors*
    (2018), for counting by the matrix of confusions; Richardson, *Bayesian-Based Iterative Method
    of Image Restoration* (1972), and Lucy (1974), for solving by ratios, which stays above 0; ours
    are the images and answers added, Dirichlet priors.
    """
    shares = value_shares(counts)
    held = HELD * float(counts.max() / counts.mean()) ** 2 / max(share, 0.01) ** FOREIGN
    found, ones = shares, np.ones(len(counts))
    if not len(told):
        return ones
    answered = _sharper(told)
    foretold = (told.T @ answered + 0.5 * shares) / (told.sum(axis=0) + 0.5)[:, None]
    there = ~np.isnan(checked).any(axis=1)
    own = np.eye(len(counts))[said[there]]
    seen = own.T @ _sharper(checked[there])
    confused = (seen + TRUST * foretold) / (own.sum(axis=0) + TRUST)[:, None]
    rate = answered.mean(axis=0)
    for _ in range(ROUNDS):
        explained = found * (confused @ (rate / (found @ confused)))
        found = (len(told) * explained + held * shares) / (len(told) + held)
    ratio: Floats = found / shares
    return ratio


def _sharper(probabilities: Floats) -> Floats:
    raised = probabilities**SHARPER
    rows: Floats = raised / raised.sum(axis=1, keepdims=True)
    return rows


def value_shares(counts: Rows) -> Floats:
    """Return how frequent each value is among examples, one more of each added: (V,), sum 1."""
    shares: Floats = (counts + 1) / (counts.sum() + len(counts))
    return shares


def shifted(probabilities: Floats, shift: Floats) -> Floats:
    """Return (N, V) probabilities where each value is so much more frequent; rows sum to 1."""
    weighed = probabilities * shift
    rows: Floats = weighed / weighed.sum(axis=1, keepdims=True)
    return rows
