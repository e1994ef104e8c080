"""How often the values are in a catalogue, which ten examples of each do not tell."""

from __future__ import annotations

import numpy as np

from gingham.attributes.space import Floats, Rows

HELD = 200.0
"""So many images, with the values as frequent as among the examples, are added to those counted.
With 100, colours of products (20 values) gain 0.3 points, usages 1.2, and the calibration error of
colours rises by 0.008; with 300 colours lose 0.3 points, usages 0.9 (10 examples of each)."""

FOREIGN = 8
"""Power of the share of images that are not foreign, by which the others count less: not all that
are foreign are found. With 0, textures from 5 per value, in a catalogue of which three quarters are
foreign, lose 0.4 points."""

ROUNDS = 100


def value_shift(told: Floats, counts: Rows, share: float = 1.0) -> Floats:
    """Say how much more often each value is in the catalogue than among the examples.

    The frequencies are those under which the catalogue's images are likeliest, given how likely
    each is with each value. Uneven examples say something themselves, as those drawn by lot do: the
    more uneven, the more their own frequencies count.

    Parameters
    ----------
    told : (M, V), probabilities of M images of the catalogue, as if the values were as frequent
        there as among the examples.
    counts : (V,) int, examples of each value, at least 1.
    share : of the catalogue's images that are not foreign, of which these are.

    Returns
    -------
    (V,) float64: a probability is to be multiplied by it, and all of an image divided by their sum.

    References
    ----------
    Saerens, Latinne, Decaestecker, *Adjusting the Outputs of a Classifier to New a Priori
    Probabilities* (2002), for the rounds; Alexandari, Kundaje, Shrikumar, *Maximum Likelihood with
    Bias-Corrected Calibration is Hard-To-Beat at Label Shift Adaptation* (2020), that calibrated
    probabilities need no matrix of confusions. Ours are the images added, a Dirichlet prior.
    """
    shares = value_shares(counts)
    held = HELD * float(counts.max() / counts.mean()) ** 2 / max(share, 0.01) ** FOREIGN
    ratio = np.ones(len(counts))
    for _ in range(ROUNDS):
        found = shifted(told, ratio).sum(axis=0) + held * shares
        ratio = found / ((len(told) + held) * shares)
    return ratio


def value_shares(counts: Rows) -> Floats:
    """Return how frequent each value is among examples, one more of each added: (V,), sum 1."""
    shares: Floats = (counts + 1) / (counts.sum() + len(counts))
    return shares


def shifted(probabilities: Floats, shift: Floats) -> Floats:
    """Return (N, V) probabilities where each value is so much more frequent; rows sum to 1."""
    weighed = probabilities * shift
    rows: Floats = weighed / weighed.sum(axis=1, keepdims=True)
    return rows
