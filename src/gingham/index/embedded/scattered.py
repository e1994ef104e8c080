"""Some rows out of all, evenly apart, in memory side by side: what is usual, and where to begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gingham.index.embedded.directions import Codes, Floats

_MOST = 50_000  # rows, scored in about the time that three graphs take


@dataclass(frozen=True)
class Scattered:
    """Some rows, their codes (N, width), and the squared norms of these in each look, (N, looks).

    Attributes
    ----------
    means : (looks,), of the squared norms.
    """

    rows: NDArray[np.int64]
    codes: Codes
    squares: Floats
    means: Floats

    @classmethod
    def of(cls, codes: Codes, squares: Floats, count: int) -> Self:
        """Take rows from the first `count`."""
        step = -(-count // _MOST)
        some = squares[:count:step].copy()
        return cls(np.arange(0, count, step), codes[:count:step].copy(), some, some.mean(axis=0))

    def usual(self, look: int, code: Codes) -> float:
        """Give about the mean squared distance in a look to a code; the mean of codes is 0."""
        return float(self.means[look] + np.square(code, dtype=np.float32).sum())
