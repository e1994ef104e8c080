"""Vectors as a few small integers: close where the vectors are, in whatever mixture of looks.

To rotate a look and subtract its mean changes no distance, and then a few directions carry nearly
all of it (Jolliffe, *Principal Component Analysis*, 2002, chapter 6); their numbers are rounded to
int8. What is asked for is a dot product. It is turned into a distance by one more number a look,
the root of what the squared norm lacks to the largest (Bachrach et al., *Speeding Up the Xbox
Recommender System Using a Euclidean Transformation for Inner-Product Spaces*, RecSys 2014): for
vectors of one norm it is 0. Distances lose less than dot products by what is left out: of the ten
best of 15,882 products, at the worst of six mixtures 0.9997 are among the first 100 by distance,
and 0.996 by product.

Near vectors differ more evenly in all directions than far ones do, so where some of the variance is
left out, the wide directions are made a little narrower: of 100,000 mixtures of products, where 99
of 100 of the ten best by meaning were among the first 285 by distance, they are among the first 36
then.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gingham.store.files import replace_file

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]

_FEWEST, _MOST = 64, 160  # directions of a look: between the two a quarter of its width
_LARGEST = 127
_WITHIN = 99.9  # per cent of a sample's numbers that are not cut to the largest
_NEARLY_ALL = 0.9  # of a sample's variance is in the directions: they are left as they are
_EVENED = 0.2  # a direction is divided by its deviation to this power


class Directions:
    """The directions of each look along which a sample varies most.

    Parameters
    ----------
    looks : the columns of each look.
    means : (width,), of all looks.
    axes : of each look, (width of the look, d).
    radii : of each look, the largest norm.
    steps : of each look, what the integer 1 stands for.
    count : how many vectors there were when they were learned.
    """

    def __init__(
        self,
        looks: Sequence[slice],
        means: Floats,
        axes: Sequence[Floats],
        radii: Floats,
        steps: Floats,
        count: int,
    ) -> None:
        self.count = count
        self._looks = list(looks)
        self._means, self._axes, self._radii, self._steps = means, list(axes), radii, steps
        ends = np.cumsum([part.shape[1] + 1 for part in axes]).tolist()
        starts = [0, *ends[:-1]]
        self.columns = [slice(start, end) for start, end in zip(starts, ends, strict=True)]
        self.width: int = ends[-1]

    @classmethod
    def learn(cls, sample: Floats, looks: Sequence[slice], count: int) -> Self:
        """Find the directions of a sample, (N, width), of `count` vectors."""
        means = sample.mean(axis=0)
        axes, radii, steps = [], [], []
        for look in looks:
            part = sample[:, look]
            centred = part - means[look]
            _, vectors = np.linalg.eigh(centred.T @ centred)  # in rising order
            kept = min(max(len(vectors) // 4, _FEWEST), _MOST)
            leading = np.ascontiguousarray(vectors[:, : -kept - 1 : -1])
            before, after = np.square(centred).sum(), np.square(centred @ leading).sum()
            if after < _NEARLY_ALL * before:
                leading *= _evening(centred, leading)
            norms = np.linalg.norm(part, axis=1)
            axes.append(leading)
            radii.append(norms.max())
            numbers = np.column_stack([centred @ leading, _lacking(norms, norms.max())])
            steps.append(max(np.percentile(np.abs(numbers), _WITHIN) / _LARGEST, 1e-30))
        sizes = np.array([radii, steps], np.float32)
        return cls(looks, means, axes, sizes[0], sizes[1], count)

    def encode(self, vectors: Floats) -> Codes:
        """Give the codes of (N, width) vectors, (N, `width`)."""
        codes = np.empty((len(vectors), self.width), np.int8)
        for k, (look, columns) in enumerate(zip(self._looks, self.columns, strict=True)):
            part = vectors[:, look]
            codes[:, columns] = self._rounded(k, part, _lacking(_norms(part), self._radii[k]))
        return codes

    def aims(self, vector: Floats) -> list[tuple[int, Codes, float]]:
        """Turn a (width,) vector to multiply with into points to be near to.

        Returns
        -------
        Of each look in which the vector is not 0: its number, a code (d,), and a factor. The sum
        of ``factor * squared distance to the code`` over looks is, up to a constant and rounding,
        the dot product.
        """
        found = []
        for k, look in enumerate(self._looks):
            part = vector[None, look]
            norm = float(_norms(part)[0])
            if norm > 0 and self._radii[k] > 0:
                scale = norm / float(self._radii[k])
                code = self._rounded(k, part / np.float32(scale), np.zeros(1, np.float32))
                found.append((k, code[0], -scale * float(self._steps[k]) ** 2 / 2))
        return found

    def squares(self, codes: Codes) -> Floats:
        """Give the squared norm of (N, `width`) codes in each look, (N, looks)."""
        from numkong import cdist  # loads in a seventh of a second

        found = np.zeros((len(self.columns), len(codes)), np.float32)
        for squares, columns in zip(found, self.columns, strict=True):
            if len(codes):  # cdist refuses none
                some = codes[:, columns]
                cdist(np.zeros_like(some[:1]), some, "sqeuclidean", out=squares[None])
        return np.ascontiguousarray(found.T)

    def save(self, path: Path) -> None:
        """Write them; `path` holds the old ones or these."""
        arrays = {f"axes{k}": axes for k, axes in enumerate(self._axes)}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(
                    file,
                    allow_pickle=False,
                    means=self._means,
                    radii=self._radii,
                    steps=self._steps,
                    count=self.count,
                    **arrays,
                )

        replace_file(path, write)

    @classmethod
    def load(cls, path: Path, looks: Sequence[slice]) -> Self:
        """Read what `save` wrote; whatever is wrong with the file comes as it is."""
        with path.open("rb") as raw, np.load(raw) as file:
            axes = [file[f"axes{k}"] for k in range(len(looks))]
            numbers = (file["means"], axes, file["radii"], file["steps"])
            return cls(looks, *numbers, int(file["count"]))

    def _rounded(self, k: int, part: Floats, lacking: Floats) -> Codes:
        numbers = np.empty((len(part), len(self._axes[k].T) + 1), np.float32)
        np.matmul(part - self._means[self._looks[k]], self._axes[k], out=numbers[:, :-1])
        numbers[:, -1] = lacking
        numbers /= self._steps[k]
        rounded: Codes = np.rint(np.minimum(np.maximum(numbers, -_LARGEST), _LARGEST)).astype(
            np.int8
        )
        return rounded


def _evening(centred: Floats, leading: Floats) -> Floats:
    """Give factors of directions, (d,): the wider one is, the smaller, distances as before."""
    spread = (centred @ leading).std(axis=0)
    factors = np.maximum(spread, 1e-6 * max(spread.max(), 1e-30)) ** -_EVENED
    apart = centred - centred[::-1]
    before, after = (np.square(rows).sum(axis=1) for rows in (apart, apart @ leading * factors))
    slope = (before * after).sum() / max(np.square(after).sum(), 1e-30)
    even: Floats = factors * np.sqrt(np.float32(slope))
    return even


def _norms(rows: Floats) -> Floats:
    norms: Floats = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return norms


def _lacking(norms: Floats, radius: np.float32) -> Floats:
    rest = radius**2 - norms**2
    # Norms that differ by rounding alone are equal.
    lacking: Floats = np.sqrt(np.where(rest > 1e-5 * radius**2, rest, 0)).astype(np.float32)
    return lacking
