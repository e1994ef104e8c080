"""When an image is unknown: several scores of how foreign it is, joined, and a limit for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.one_pass import Product
from gingham.attributes.relative_distance import RelativeDistance
from gingham.attributes.space import Floats

TAIL = 5
"""The largest fifth of the held-out scores is the tail that the limit is read from."""

NEAREST = 0.5
"""Weight of the distance from the nearest example. Without it 0.346 of the products of other types
are unknown where 2 % of right answers are lost, with it 0.425, and with 1 0.422."""

FAR = 3.0
"""An image is unknown, too, where the first score alone lies so many deviations above the held-out
examples: of the photos of another kind it finds some that the joined score does not (colour, all
examples: 0.970 unknown, and without it 0.693 with 0.1 % allowed, 0.892 with 0.5 %)."""

ALLOWED_LOSS = 0.002
"""Share of right answers that the joined score may make unknown. An unknown right answer is a
mistake in every accuracy, and held-out examples flatter: 1.4 % of texture's became unknown where
0.5 % were allowed. docs/benchmarks.md has what more buys."""


@dataclass(frozen=True)
class UnknownRule:
    """A limit for some scores joined, each in deviations of the held-out examples.

    The first score is the log of the squared distance from what the examples look like
    (`gingham.attributes.novelty`), which finds pictures of another kind; the others are
    `RelativeDistance`, which also find other values of the same kind. To the largest of them half
    of another one is added: the distance from the nearest example, one minus the cosine.

    Attributes
    ----------
    relatives : the relative distances; none where the catalogue has too few images
    centres, spreads : (2 + number of relatives,) float64, mean and deviation of held-out scores,
        last of the distance from the nearest example
    threshold, excess, share, count : of the tail of the held-out scores: the share and number of
        them above the threshold, and how far above it they are on average
    allowed_loss : share of right answers that the joined score may make unknown
    """

    relatives: tuple[RelativeDistance, ...]
    centres: Floats
    spreads: Floats
    threshold: float
    excess: float
    share: float
    count: int
    allowed_loss: float = ALLOWED_LOSS

    def limit(self, allowed_loss: float | None = None) -> float:
        """Say above which score an image is unknown, so that this share of right answers is lost.

        A hundred examples have no 99.5 % quantile, but they have a tail. Above a threshold t it is
        exponential: P(score > t + s) = share exp(-s / e). With e itself known from k examples only,
        the chance for a further one is share (1 + s / (k excess))^-k, which is solved for s.

        References
        ----------
        Pickands, *Statistical Inference Using Extreme Order Statistics* (1975), with shape 0;
        Geisser, *Predictive Inference* (1993), for the exponential seen k times.
        """
        allowed = self.allowed_loss if allowed_loss is None else allowed_loss
        times = max(self.share / allowed, 1.0)
        beyond: float = self.count * (times ** (1 / self.count) - 1)
        return self.threshold + self.excess * beyond

    @property
    def parts(self) -> tuple[Product, ...]:
        """What one pass reads of the features: `whitened` below."""
        return tuple(Product(one.space, one.directions) for one in self.relatives)

    def score(self, whitened: Sequence[Floats], residual: Floats, nearest: Floats) -> Floats:
        """Return the (N,) joined scores of N images.

        Parameters
        ----------
        whitened : (N, r) for each relative distance; see `RelativeDistance.whiten`
        residual : (N,) the squared distance from what the examples look like
        nearest : (N,) that from the nearest example
        """
        scores = [np.log(residual)]
        scores += [one.measure(z) for one, z in zip(self.relatives, whitened, strict=True)]
        return join_scores(np.stack([*scores, nearest]), self.centres, self.spreads)

    def novelty(self, whitened: Sequence[Floats], residual: Floats, nearest: Floats) -> Floats:
        """Return (N,) float64 of the same; above 1 is unknown."""
        above = self.score(whitened, residual, nearest) - self.limit()
        if self.relatives:
            far = (np.log(residual) - self.centres[0]) / self.spreads[0] - FAR
            above = np.maximum(above, far)
        novelty: Floats = np.exp(np.minimum(above, 700))
        return novelty

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays, without pickle."""
        arrays: dict[str, NDArray[np.generic]] = {
            "unknown_scores": np.stack([self.centres, self.spreads]),
            "unknown_tail": np.array(
                [self.threshold, self.excess, self.share, self.count, self.allowed_loss]
            ),
        }
        for number, one in enumerate(self.relatives):
            arrays |= one.to_arrays(f"relative{number}")
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> UnknownRule:
        """Rebuild what `to_arrays` returned.

        Raises
        ------
        KeyError
            If an array is missing.
        ShapeError
            If the arrays do not fit each other.
        """
        centres, spreads = arrays["unknown_scores"].astype(np.float64)
        relatives = tuple(
            RelativeDistance.from_arrays(arrays, f"relative{number}")
            for number in range(len(centres) - 2)
        )
        threshold, excess, share, count, allowed = (
            arrays["unknown_tail"].astype(np.float64).tolist()
        )
        return cls(relatives, centres, spreads, threshold, excess, share, int(count), allowed)


def join_scores(scores: Floats, centres: Floats, spreads: Floats) -> Floats:
    """Join (S, N) scores, each centred and scaled: the largest, and half of the last; (N,)."""
    scaled = (scores - centres[:, None]) / spreads[:, None]
    joined: Floats = scaled[:-1].max(axis=0) + NEAREST * scaled[-1]
    return joined


def distance_rule(logs: Floats, sigmas: float) -> UnknownRule:
    """Judge by the first score alone: unknown lies `sigmas` deviations above held-out examples.

    `logs` (n,) are their scores; fewer than three say nothing, and no image is then unknown.
    """
    if len(logs) < 3:
        return UnknownRule((), np.zeros(2), np.ones(2), np.inf, 0.0, 1.0, 1)
    # Without end, the distance from the nearest example says nothing.
    centres = np.array([logs.mean(), 0.0])
    spreads = np.array([max(float(logs.std()), 1e-12), np.inf])
    return UnknownRule((), centres, spreads, sigmas, 0.0, 1.0, 1)


def relative_rule(
    scores: Floats,
    right: NDArray[np.bool_],
    relatives: Sequence[RelativeDistance],
    allowed_loss: float = ALLOWED_LOSS,
) -> UnknownRule | None:
    """Judge by all scores, with a limit from the examples that were answered rightly.

    Parameters
    ----------
    scores : (S, n) float64, of held-out examples, the distance from the nearest other last; nan
        where one was not held out
    right : (n,) bool, whether its answer was right
    relatives : what measured all scores but the first and the last
    allowed_loss : share of right answers that may become unknown

    Returns
    -------
    None if fewer than 2 `TAIL` examples can be judged.
    """
    judged = scores[:, right & np.isfinite(scores).all(axis=0)]
    count = judged.shape[1]
    if count < 2 * TAIL:
        return None
    centres, spreads = judged.mean(axis=1), np.maximum(judged.std(axis=1), 1e-12)
    joined = np.sort(join_scores(judged, centres, spreads))
    above = count // TAIL
    threshold = float(joined[-above - 1])
    excess = float((joined[-above:] - threshold).mean())
    return UnknownRule(
        tuple(relatives),
        centres,
        spreads,
        threshold,
        excess,
        above / count,
        above,
        allowed_loss,
    )
