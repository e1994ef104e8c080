"""Which images to label next: unsure ones, typical of what is unsure, none like another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.space import Floats, Rows

CLOSENESS = 4
"""Power of the cosine by which two images are alike: at 4, 0.9 counts 0.66, and 0.5 counts 0.06.

A power of two: squaring takes a tenth of the time of another power.
"""


def rank_next(doubt: Floats, looks: NDArray[np.floating]) -> Rows:
    """Order images by what labelling them would teach, each given those before it.

    An image is worth its doubt times the doubt of the images that are like it: what is typical of
    much that is not understood comes before what is strange. Then all that is like it is worth so
    much less.

    Parameters
    ----------
    doubt : (N,) how unsure each answer is, 0 to 1.
    looks : (N, d) unit rows in the look of the attribute.

    Returns
    -------
    (N,) rows, the first to be labelled first; equals in the order given.

    References
    ----------
    Settles and Craven, *An Analysis of Active Learning Strategies for Sequence Labeling Tasks*
    (2008), equation 13, weigh uncertainty by density; ours are the doubt of the neighbours, and
    that it is used up. docs/benchmarks.md compares it with other orders.
    """
    alike = np.clip(looks @ looks.T, 0, 1)
    for _ in range(CLOSENESS.bit_length() - 1):
        np.square(alike, out=alike)
    worth = doubt * (alike @ doubt)
    order = np.empty(len(doubt), np.intp)
    left = np.ones(len(doubt), bool)
    for place in range(len(order)):
        order[place] = best = int(np.where(left, worth, -1.0).argmax())
        left[best] = False
        worth = worth * (1 - alike[best])
    return order
