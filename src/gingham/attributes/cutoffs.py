"""How sure an answer must be, value by value: decided here, by what held-out examples got.

At a precision P one limit for all values is learned from all held-out examples together, so that
ten examples per value are enough: the least confidence from which on P of their answers are right,
one more counted as wrong than was seen. Then a value is held to a limit of its own where its own
answers contradict that: where answers of which P are right would be wrong as often as its own in
one case of `CONTRADICTED` or less. docs/benchmarks.md compares this with other rules.

What is answered at a precision is the coverage of selective classification: El-Yaniv and Wiener,
*On the Foundations of Noise-free Selective Classification* (2010).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from gingham.cutoff import Cutoff, CutoffResult
from gingham.results import Prediction
from gingham.schema.hierarchy import SURE, Hierarchy

if TYPE_CHECKING:
    from gingham.attributes.attribute import Attribute

Floats = NDArray[np.float64]

NEVER = math.inf
"""The least confidence of a value that is not answered at all."""

CONTRADICTED = 0.2
"""A value whose answers would be so wrong more rarely than this gets a higher limit. With it 0.07
of the types of products are more than 0.05 below the precision asked for, without 0.11."""


@dataclass(frozen=True)
class Floors:
    """From which confidence on the values of an attribute are answered.

    Attributes
    ----------
    least : value -> its own; of kind `single` alone.
    others : that of all other answers.
    parents : value -> the one above it, which answers where it is not sure enough itself.
    over : that of values above others.
    """

    least: Mapping[str, float] = field(default_factory=dict)
    others: float = 0.0
    parents: Mapping[str, str] = field(default_factory=dict)
    over: float = 0.0

    def keep(self, values: Sequence[str], confidence: float) -> bool:
        """Say whether an answer is sure enough."""
        return confidence >= self.of(values)

    def of(self, values: Sequence[str]) -> float:
        """Give the confidence from which on some values are answered."""
        first = values[0] if len(values) == 1 else ""
        return self.over if first in self._inner else self.least.get(first, self.others)

    @cached_property
    def _inner(self) -> frozenset[str]:
        """The values above others."""
        return frozenset(self.parents.values())

    def deepest(
        self, values: Sequence[str], confidence: float, above: Sequence[float]
    ) -> tuple[list[str], float]:
        """Give the deepest of a value and those above it that is sure enough; none: no value.

        Parameters
        ----------
        above : how sure the value above it is, and so on; empty outside of a hierarchy.
        """
        for sure in (*above, None):
            if self.keep(values, confidence) or sure is None:
                break
            values, confidence = [self.parents[values[0]]], sure
        return (list(values), confidence) if self.keep(values, confidence) else ([], confidence)

    def cut(self, prediction: Prediction) -> Prediction:
        """Make a prediction that is not sure enough unknown, with its value as the best guess."""
        value, confidence = prediction.value, prediction.confidence
        if value is None or confidence is None:
            return prediction
        if not self.parents and self.keep([value] if isinstance(value, str) else value, confidence):
            return prediction
        above: Sequence[float] = ()
        if self.parents and isinstance(value, str):
            hierarchy = Hierarchy(tuple(prediction.values), self.parents)
            ends, ways = hierarchy.ways(np.array([list(prediction.values.values())]))
            value, (confidence, *above) = hierarchy.names[ends[0]], ways[0]
        said, confidence = self.deepest(
            [value] if isinstance(value, str) else value, confidence, above
        )
        if said:
            value = said[0] if isinstance(value, str) else value
            return replace(prediction, value=value, confidence=confidence)
        return replace(prediction, value=None, confidence=None, best_guess=value)

    def to_json(self) -> str:
        """Write it as text; `from_json` is the inverse."""
        return json.dumps(
            {
                "least": dict(self.least),
                "others": self.others,
                "parents": dict(self.parents),
                "over": self.over,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        said = json.loads(text)
        return cls(**said)


EVERY = Floors()
"""Everything is answered that is not foreign."""


@dataclass(frozen=True)
class HeldOutAnswers:
    """What held-out examples were answered.

    Attributes
    ----------
    guess : (N,) int, the value answered; of kind `multi` always 0.
    confidence : (N,) float64 of the answer.
    right : (N,) float64, 1 or 0; of kind `multi` the share of the values that is right.
    weight : (N,) float64, for how many images of the catalogue it stands.
    """

    guess: NDArray[np.intp]
    confidence: Floats
    right: Floats
    weight: Floats

    @classmethod
    def single(
        cls, truth: NDArray[np.intp], probabilities: Floats, shift: Floats | None = None
    ) -> Self:
        """Take what was predicted of examples of kind `single`.

        Parameters
        ----------
        truth : (N,) int, their values.
        probabilities : (N, V), as they would be answered; nan where one was not held out.
        shift : (V,), how much more often a value is in the catalogue than among the examples.
        """
        rows = np.flatnonzero(~np.isnan(probabilities).any(axis=1))
        told, said = probabilities[rows], truth[rows]
        guess = told.argmax(axis=1)
        weight = np.ones(len(rows)) if shift is None else shift[said]
        # Of unequal weights so many count as equal ones would be as sure.
        weight = weight * weight.sum() / max(float((weight**2).sum()), 1e-300)
        confidence = told[np.arange(len(rows)), guess]
        return cls(guess, confidence, (guess == said).astype(np.float64), weight)

    @classmethod
    def multi(cls, truth: Floats, probabilities: Floats) -> Self:
        """Take what was predicted of examples of kind `multi`: (N, V), nan where not known."""
        tested = ~np.isnan(truth) & ~np.isnan(probabilities)
        rows = np.flatnonzero(tested.any(axis=1))
        tested, told = tested[rows], probabilities[rows]
        sure = np.where(tested, np.maximum(told, 1 - told), 0.0).sum(axis=1)
        right = (tested & ((told >= 0.5) == (truth[rows] == 1))).sum(axis=1)
        count = tested.sum(axis=1)
        return cls(np.zeros(len(rows), np.intp), sure / count, right / count, np.ones(len(rows)))

    def least(self, values: int, precision: float) -> Floats:
        """Say from which confidence on each of V values is answered at a precision, (V,)."""
        pooled = self._pooled(precision)
        least = np.full(values, pooled)
        for value in np.unique(self.guess[self.confidence >= pooled]).tolist():
            own = np.flatnonzero((self.guess == value) & (self.confidence >= pooled))
            order = own[np.argsort(self.confidence[own], kind="stable")]
            least[value] = self._raised(order, pooled, precision)
        return least

    def _pooled(self, precision: float) -> float:
        """The least confidence from which on so many answers of all values are right."""
        order = np.argsort(-self.confidence, kind="stable")
        confidence, weight = self.confidence[order], self.weight[order]
        right = np.cumsum(weight * self.right[order]) / (np.cumsum(weight) + 1)
        # Equal confidences are answered together.
        last = np.append(np.diff(confidence) != 0, True)[: len(order)]
        enough = np.flatnonzero(last & (right >= precision))
        return float(confidence[enough[-1]]) if len(enough) else NEVER

    def _raised(self, order: NDArray[np.intp], pooled: float, precision: float) -> float:
        """Raise the limit of one value until its own answers, least sure first, allow it."""
        for first in range(len(order)):
            kept = order[first:]
            if first and self.confidence[order[first - 1]] == self.confidence[kept[0]]:
                continue
            wrong = 1 - np.average(self.right[kept], weights=self.weight[kept])
            if chance(math.ceil(wrong * len(kept) - 1e-9), len(kept), 1 - precision) > CONTRADICTED:
                return float(self.confidence[kept[0]]) if first else pooled
        return NEVER

    def met(self, least: Floats) -> tuple[float, float | None]:
        """Say which share of the examples is answered, and which share of that is right."""
        kept = self.confidence >= least[self.guess]
        total, weight = float(self.weight.sum()), float(self.weight[kept].sum())
        if not weight:
            return 0.0, None
        return weight / total, float((self.weight * self.right)[kept].sum()) / weight

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as one array."""
        rows = [self.guess.astype(np.float64), self.confidence, self.right, self.weight]
        return {"checked": np.stack(rows)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild what `to_arrays` returned.

        Raises
        ------
        KeyError
            If it is missing.
        """
        guess, confidence, right, weight = arrays["checked"].astype(np.float64)
        return cls(guess.astype(np.intp), confidence, right, weight)


def chance(k: int, n: int, p: float) -> float:
    """Return the probability that k or more of n happen, each with probability p.

    Beyond 500 by the normal distribution, half of one taken off k.
    """
    if n <= 500:
        return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    return math.erfc((k - 0.5 - n * p) / math.sqrt(2 * n * p * (1 - p))) / 2


def cut_off(
    attribute: str, kind: str, values: Sequence[str], cutoff: Cutoff, checked: HeldOutAnswers | None
) -> CutoffResult:
    """Say how sure the answers of an attribute must be, and what is answered then.

    Parameters
    ----------
    checked : what its held-out examples were answered. None if there are none, as of a trained
        model: its confidences are taken at their word, and each answer must be as sure as the
        precision.
    """
    least = np.full(len(values), cutoff.min_confidence or 0.0)
    tested, answered, right = 0, None, None
    if checked is None:
        least = np.maximum(least, cutoff.at_precision or 0.0)
    else:
        if cutoff.at_precision is not None:
            least = np.maximum(least, checked.least(len(values), cutoff.at_precision))
        if kind == "multi":
            least = np.full(len(values), least[0])
        tested = len(checked.guess)
        if tested:
            answered, right = checked.met(least)
    return CutoffResult(
        attribute=attribute,
        min_confidence=cutoff.min_confidence,
        at_precision=cutoff.at_precision,
        least={
            value: float(at) if math.isfinite(at) else None
            for value, at in zip(values, least, strict=True)
        },
        tested=tested,
        answered=answered,
        right=right,
    )


def limits_of(
    attribute: Attribute, cutoff: Cutoff | None, parents: Mapping[str, str] | None = None
) -> Floors:
    """Give what answers of an attribute are held to.

    Without a cut-off all are answered or, where values are above others, those that are `SURE`.

    Parameters
    ----------
    parents : value -> the one above it. Nothing was tested of those above: each must be as sure as
        the precision that is asked for.
    """
    if cutoff is None:
        return Floors(others=SURE, parents=parents, over=SURE) if parents else EVERY
    found = attribute.cut_off(cutoff)
    least = {value: NEVER if at is None else at for value, at in found.least.items()}
    if attribute.kind == "multi":
        return Floors(others=next(iter(least.values())))
    over = max(cutoff.min_confidence or 0.0, cutoff.at_precision or 0.0)
    return Floors(least, parents=parents, over=over) if parents else Floors(least)
