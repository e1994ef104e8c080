"""Closed-form discriminant projection of joined hidden layers; pure functions of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from gingham.attributes.one_pass import OnePass, Product, Read
from gingham.attributes.space import (
    Block,
    Floats,
    Rows,
    Space,
    chunks,
    in_two_threads,
    read_matrix,
)

_COLUMNS = 512  # of X, or rows, of which products are made at once
_BLOCK = 128  # columns of a Cholesky factor that are made, and solved with, at once


class Ridge:
    """Ridge regression onto centred targets, with exact held-out fits.

    Solved in the smaller of its two forms: n x n (few examples) or D x D (many).
    With K = X X', L the penalty and G = (K + L I)^-1, the fitted scores are F = T - L G T, and
    leaving out rows B changes them by F(-B) = F - (I - L G)[:, B] G[B, B]^-1 (G T)[B].

    Parameters
    ----------
    X : (N, D) array, float32 or float64, centred
    T : (N, V) float64 targets, centred
    penalty : added to the diagonal of K; X is scaled so that K's mean diagonal is 1

    References
    ----------
    Hastie, Buja, Tibshirani, *Penalized Discriminant Analysis*, Ann. Statist. 23 (1995): ridge
    regression onto class indicators spans the same space as LDA with Sw + L I.
    Rasmussen, Williams, *Gaussian Processes for Machine Learning* (2006), eq. 5.12: leave-one-out.
    """

    def __init__(self, X: NDArray[np.floating], T: Floats, penalty: float) -> None:
        self.X, self.T, self.penalty = X, T, penalty
        self.dual = len(X) <= X.shape[1]
        if self.dual:
            gram = (X @ X.T).astype(np.float64) + penalty * np.eye(len(T))
            self._inverse = np.asarray(np.linalg.inv(gram), np.float64)
            self.alpha = self._inverse @ T
        else:
            scatter = lower_scatter(X)
            scatter[np.diag_indices(len(scatter))] += penalty
            self._factor = Factor(scatter)
            self.coef = self._factor.solve((X.T @ T.astype(X.dtype)).astype(np.float64))
            # Each product would make all of X float64.
            parts = in_two_threads(lambda rows: X[rows] @ self.coef, list(chunks(len(X), _COLUMNS)))
            self.alpha = (T - np.concatenate(parts)) / penalty
        self.fitted: Floats = T - penalty * self.alpha

    def coefficients(self) -> Floats:
        """Return the (D, V) weights of the columns of X."""
        if not self.dual:
            return self.coef
        coef: Floats = (self.X.T @ self.alpha.astype(self.X.dtype)).astype(np.float64)
        return coef

    def held_out(self, rows: Rows) -> Floats:
        """Return the (n, V) scores of n `rows` alone, when these were not there to learn from.

        As `without` gives them, in a fraction of the time: the score of a row that is left out is
        its target less ``inv(inside) @ alpha``, where `inside` is that block of the inverse.
        """
        if self.dual:
            inside = self._inverse[np.ix_(rows, rows)]
        else:
            some = self.X[rows].astype(np.float64)
            inside = (np.eye(len(rows)) - some @ self._factor.solve(some.T)) / self.penalty
        scores: Floats = self.T[rows] - np.linalg.solve(inside, self.alpha[rows])
        return scores

    def without(self, rows: Rows) -> Floats:
        """Return the (N, V) scores of every row when `rows` were not there to learn from."""
        if self.dual:
            columns = self._inverse[:, rows]
            change = np.linalg.solve(columns[rows], self.alpha[rows])
            scores: Floats = self.fitted + self.penalty * (columns @ change)
            scores[rows] -= change
            return scores
        # L G = I - X S^-1 X' with S the scatter: of its columns only those of `rows` are needed in
        # `rows`, and elsewhere only their sum, so no (N, number of rows) array is made.
        some = self.X[rows].astype(np.float64)
        solved = self._factor.solve(some.T)
        inside = (np.eye(len(rows)) - some @ solved) / self.penalty
        change = np.linalg.solve(inside, self.alpha[rows])
        lost = (self.X @ (solved @ change).astype(self.X.dtype)).astype(np.float64)
        return self.fitted - lost


def lower_scatter(X: NDArray[np.floating]) -> Floats:
    """Return X' X, (D, D) float64, of which only the lower triangle is right; in two threads."""
    scatter = np.zeros((X.shape[1], X.shape[1]))
    columns = list(chunks(X.shape[1], _COLUMNS))

    def fill(one: slice, other: slice) -> None:
        scatter[one, other] = X[:, one].T @ X[:, other]

    pairs = [(one, other) for one in columns for other in columns if other.start <= one.start]
    in_two_threads(lambda pair: fill(*pair), pairs)
    return scatter


class Factor:
    """The Cholesky factor L of a positive (D, D) matrix, for solving with it again and again.

    Only its lower triangle is read; L is written over it, so that large ones are there once.
    """

    def __init__(self, matrix: Floats) -> None:
        self._lower = lower = matrix
        self._blocks = list(chunks(len(matrix), _BLOCK))
        self._inverses = []
        for b in self._blocks:
            before = lower[b, : b.start]
            lower[b, b] = np.linalg.cholesky(lower[b, b] - before @ before.T)
            self._inverses.append(np.linalg.inv(lower[b, b]))
            in_two_threads(partial(self._fill, b), _halves(b.stop, len(lower)))

    def _fill(self, b: slice, rows: slice) -> None:
        """Make the columns of a block in rows below it."""
        lower = self._lower
        left = lower[rows, b] - lower[rows, : b.start] @ lower[b, : b.start].T
        lower[rows, b] = left @ self._inverses[-1].T

    def solve(self, right: Floats) -> Floats:
        """Solve L L' x = right, (D, k), block by block."""
        lower, solved = self._lower, right.copy()
        blocks = list(zip(self._blocks, self._inverses, strict=True))
        for b, inverse in blocks:
            solved[b] = inverse @ (solved[b] - lower[b, : b.start] @ solved[: b.start])
        for b, inverse in reversed(blocks):
            solved[b] = inverse.T @ (solved[b] - lower[b.stop :, b].T @ solved[b.stop :])
        return solved


def _halves(start: int, end: int) -> list[slice]:
    """Split rows in two, unless they are so few that it would take longer."""
    if end - start < 2 * _COLUMNS:
        return [slice(start, end)]
    middle = (start + end) // 2
    return [slice(start, middle), slice(middle, end)]


def optimal_scoring(fitted: Floats, targets: Floats, sizes: Floats) -> Floats:
    """Turn regressions onto class indicators into discriminant coordinates.

    Parameters
    ----------
    fitted : (N, V) fitted scores
    targets : (N, V) centred indicators
    sizes : (V,) number of rows of each class; a class without rows gets no say

    Returns
    -------
    (V, V - 1) float64 matrix: scores @ matrix are the LDA coordinates, in which the penalised
    spread within classes is 1 in every direction.

    References
    ----------
    Hastie, Buja, Tibshirani (1995), section 3: coordinates are scaled by 1/sqrt(a (1 - a)) with a
    the squared canonical correlation.
    """
    root = np.where(sizes > 0, 1 / np.sqrt(np.maximum(sizes, 1)), 0)
    between = (targets.T @ fitted) * root * root[:, None]
    share, direction = np.linalg.eigh((between + between.T) / 2)
    # The smallest belongs to the constant; others near 0 are values that have no rows here.
    share, direction = np.minimum(share[:0:-1], 1 - 1e-9), direction[:, :0:-1]
    spread = np.sqrt(np.maximum(share * (1 - share), 1e-12))
    scaled: Floats = root[:, None] * direction * np.where(share > 1e-6, 1 / spread, 0)
    return scaled


def turned_back(matrix: Floats, sizes: Rows) -> Floats:
    """Return the (V - 1, V) matrix that turns coordinates into the fitted scores again.

    `matrix` is one of `optimal_scoring`, with the numbers of rows `sizes` (V,) of each class: its
    coordinates forget only what all scores of a row have in common by class size, and the scores
    of a regression onto centred indicators add up to 0.
    """
    back = np.asarray(np.linalg.pinv(matrix), np.float64)
    return back - np.outer(back.sum(axis=1), sizes / sizes.sum())


@dataclass(frozen=True)
class Projection:
    """One pass over the features, to a look and to how foreign the image is.

    Attributes
    ----------
    space : the layers of the look, joined
    look : (width of space, d) float64, discriminant directions
    kind : the layers that tell what kind of thing an image shows, joined
    subspace : (width of kind, r) float64, principal directions of the examples in it
    """

    space: Space
    look: Floats
    kind: Space
    subspace: Floats

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks that it reads, in the order of their columns."""
        return tuple(sorted({*self.space.blocks, *self.kind.blocks}, key=lambda block: block[1]))

    @property
    def parts(self) -> tuple[Product, Product]:
        """What one pass reads of the features: the look, then the subspace."""
        return Product(self.space, self.look), Product(self.kind, self.subspace, lengths=True)

    def apply(self, X: Read) -> tuple[Floats, Floats]:
        """Return (N, d) coordinates, and (N,) squared distances from the examples' subspace."""
        (looks, inside), squared = OnePass(self.parts)(X)
        return looks, residuals(inside, squared)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything needed to rebuild it, without pickle."""
        return {
            **self.space.to_arrays("space"),
            "look": self.look,
            **self.kind.to_arrays("kind"),
            "subspace": self.subspace,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Projection:
        """Rebuild what `to_arrays` returned.

        Raises
        ------
        KeyError
            If an array is missing.
        ShapeError
            If the arrays do not fit each other.
        """
        space, kind = Space.from_arrays(arrays, "space"), Space.from_arrays(arrays, "kind")
        look = read_matrix(arrays, "look", space.width)
        return cls(space, look, kind, read_matrix(arrays, "subspace", kind.width))


def residuals(inside: Floats, squared: Floats) -> Floats:
    """Give squared distances from a subspace, of (N, r) coordinates in it and squared lengths."""
    left: Floats = np.maximum(squared - (inside**2).sum(axis=1), 1e-12)
    return left


def blas_threads(most: int | None) -> AbstractContextManager[object]:
    """Let matrix products use at most this many threads; None changes nothing.

    Those of few examples are so small that threads wait for each other longer than they work:
    teaching took twice as long with two threads as with one, where other work went on beside.
    """
    limits: AbstractContextManager[object] = threadpool_limits(most, user_api="blas")
    return limits
