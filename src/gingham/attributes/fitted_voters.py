"""What answers for a taught attribute once it is fitted.

Separate from the learners, which tagging and predicting do not need.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.discriminant import Projection, residuals
from gingham.attributes.logit_sum import LogitSum
from gingham.attributes.neighbour_vote import VoteRule, neighbours
from gingham.attributes.one_pass import OnePass, Product, Read
from gingham.attributes.space import Block, Floats, Rows, Space, read_matrix, unit
from gingham.attributes.unknown import UnknownRule


@dataclass(frozen=True)
class Votes:
    """What the examples say about N images.

    Attributes
    ----------
    value : (N,) int, index into the classes; -1 where unknown
    confidence : (N,) float, calibrated probability of the best value (also where unknown)
    probabilities : (N, V) float, calibrated, rows sum to 1
    evidence : (N, k) int, the nearest examples as rows of `fit`'s X
    distance : (N, k) float in [0, 2], one minus the cosine to each
    novelty : (N,) float, how far from what the examples look like; above 1 is unknown
    looks : (N, d) float64 unit rows, whose dot product is similarity
    """

    value: Rows
    confidence: Floats
    probabilities: Floats
    evidence: Rows
    distance: Floats
    novelty: Floats
    looks: Floats


@dataclass(frozen=True)
class MultiVotes:
    """What the examples say about N images and V values.

    Attributes
    ----------
    present : (N, V) bool, whether the image has the value
    probabilities : (N, V) float, calibrated probability that it has it
    confidence : (N,) float, mean probability over the values that the answer is right
    unknown : (N,) bool, the image is far from what the examples look like
    evidence : (N, k) int, the nearest examples as rows of `fit`'s X
    distance : (N, k) float in [0, 2], one minus the cosine to each
    novelty : (N,) float, how far from what the examples look like; above 1 is unknown
    looks : (N, d) float64 unit rows, whose dot product is similarity
    """

    present: NDArray[np.bool_]
    probabilities: Floats
    confidence: Floats
    unknown: NDArray[np.bool_]
    evidence: Rows
    distance: Floats
    novelty: Floats
    looks: Floats


@dataclass(frozen=True)
class Voter(ABC):
    """What both kinds need to answer.

    Attributes
    ----------
    projection : from features to the look
    classes : (V,) the values
    example_rows : (n,) int, the examples as rows of `fit`'s X
    example_looks : (n, d) float64 unit rows
    unknown : when an image is too foreign to be answered
    """

    projection: Projection
    classes: NDArray[Any]
    example_rows: Rows
    example_looks: Floats
    unknown: UnknownRule

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks that it reads, in the order of their columns."""
        used = {block for part in self._parts for block in part.space.blocks}
        return tuple(sorted(used, key=lambda block: block[1]))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers it reads."""
        return tuple(name for name, _, _ in self.blocks)

    @abstractmethod
    def vote(self, X: Read, k_evidence: int = 5) -> Votes | MultiVotes:
        """Answer for N images with finite features, in chunks of bounded memory."""

    @property
    def _parts(self) -> tuple[Product, ...]:
        """What one pass reads of the features."""
        return *self.projection.parts, *self.unknown.parts

    @cached_property
    def _pass(self) -> OnePass:
        return OnePass(self._parts)

    def _read(self, X: Read) -> tuple[Floats, Floats, list[Floats], list[Floats]]:
        """Give coordinates, residuals, what `UnknownRule` asks for, and what further parts give."""
        (coordinates, inside, *rest), squared = self._pass(X)
        judged = len(self.unknown.relatives)
        return coordinates, residuals(inside, squared), rest[:judged], rest[judged:]

    def look(self, X: Read) -> Floats:
        """Return (N, d) unit rows, whose dot product is similarity."""
        return unit_looks(self.projection.apply(X)[0])

    def _evidence(self, columns: Rows, near: Floats) -> tuple[Rows, Floats]:
        return self.example_rows[columns], np.clip(1 - near, 0, 2)

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays without objects (values become text)."""
        classes = self.classes.astype(str) if self.classes.dtype == object else self.classes
        return (
            self.projection.to_arrays()
            | self.unknown.to_arrays()
            | {
                "classes": classes,
                "example_rows": self.example_rows,
                "example_looks": self.example_looks,
            }
        )

    @classmethod
    @abstractmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """Rebuild what `to_arrays` returned; votes are identical.

        Raises
        ------
        KeyError
            If an array is missing.
        """


@dataclass(frozen=True)
class SingleVoter(Voter):
    """Kind `single`: the nearest examples vote.

    Attributes
    ----------
    example_labels : (n,) int, index into the classes
    regression : (d, V) float64, from coordinates to the scores of the regression onto the values
    rule : how similar neighbours and the regressions' scores become probabilities
    neighbours : how many of the nearest vote
    further : regressions onto the values in layers of their own, which give (N, V) scores
    """

    example_labels: Rows
    regression: Floats
    rule: VoteRule
    neighbours: int
    further: tuple[Product, ...] = ()

    @property
    def _parts(self) -> tuple[Product, ...]:
        return *super()._parts, *self.further

    def vote(self, X: Read, k_evidence: int = 5) -> Votes:
        """Answer for N images with finite features, in chunks of bounded memory."""
        coordinates, residual, whitened, further = self._read(X)
        looks = unit_looks(coordinates)
        n = len(looks)
        k = min(k_evidence, len(self.example_labels))
        columns, near = neighbours(looks, self.example_looks, max(k, self.neighbours))
        voters = self.example_labels[columns[:, : self.neighbours]]
        scores = [coordinates @ self.regression, *further]
        probabilities = self.rule.probabilities(voters, near[:, : self.neighbours], scores)
        evidence, distance = self._evidence(columns[:, :k], near[:, :k])
        novelty = self.unknown.novelty(whitened, residual, 1 - near[:, 0])
        best = probabilities.argmax(axis=1)
        return Votes(
            value=np.where(novelty > 1, -1, best),
            confidence=probabilities[np.arange(n), best],
            probabilities=probabilities,
            evidence=evidence,
            distance=distance,
            novelty=novelty,
            looks=looks,
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays without objects (values become text)."""
        rule, joined = self.rule, self.rule.joined
        further: dict[str, NDArray[np.generic]] = {}
        for number, part in enumerate(self.further):
            name = f"further{number}"
            further |= part.space.to_arrays(name) | {f"{name}_scores": part.matrix}
        return (super().to_arrays() | further) | {
            "example_labels": self.example_labels,
            "regression": self.regression,
            "rule": np.array([rule.temperature, joined.lapse, *joined.weights]),
            "rule_values": np.stack([joined.offsets, joined.shares, rule.shift]),
            "neighbours": np.array(self.neighbours),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Voter.from_arrays`."""
        temperature, lapse, *weights = arrays["rule"].astype(np.float64).tolist()
        offsets, shares, shift = arrays["rule_values"].astype(np.float64)
        further = []
        for number in range(len(weights) - 2):
            space = Space.from_arrays(arrays, f"further{number}")
            scores = read_matrix(arrays, f"further{number}_scores", space.width)
            further.append(Product(space, scores))
        return cls(
            *_common(arrays),
            arrays["example_labels"].astype(np.intp),
            arrays["regression"].astype(np.float64),
            VoteRule(temperature, LogitSum(np.array(weights), offsets, lapse, shares), shift),
            int(arrays["neighbours"].astype(np.intp)),
            tuple(further),
        )


@dataclass(frozen=True)
class MultiVoter(Voter):
    """Kind `multi`: one calibrated score per value; the nearest examples are the evidence.

    Attributes
    ----------
    calibration : (V, 2) float64, slope and offset of each value's logistic curve
    means : (V,) float64, each value's share of the examples
    """

    calibration: Floats
    means: Floats

    def vote(self, X: Read, k_evidence: int = 5) -> MultiVotes:
        """Answer for N images with finite features, in chunks of bounded memory."""
        coordinates, residual, whitened, _ = self._read(X)
        looks = unit_looks(coordinates)
        n, k = len(looks), min(k_evidence, len(self.example_looks))
        evidence, distance = self._evidence(*neighbours(looks, self.example_looks, k))
        # Points and targets are centred: a score of nought is the value's mean.
        probabilities = logistic(coordinates + self.means, self.calibration)
        # Of kind `multi` the rule is one of `distance_rule`, which does not ask for the nearest.
        novelty = self.unknown.novelty(whitened, residual, np.zeros(n))
        return MultiVotes(
            present=probabilities >= 0.5,
            probabilities=probabilities,
            confidence=np.maximum(probabilities, 1 - probabilities).mean(axis=1),
            unknown=novelty > 1,
            evidence=evidence,
            distance=distance,
            novelty=novelty,
            looks=looks,
        )

    def to_arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything as arrays without objects (values become text)."""
        return super().to_arrays() | {"calibration": self.calibration, "means": self.means}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> Self:
        """See `Voter.from_arrays`."""
        return cls(
            *_common(arrays),
            arrays["calibration"].astype(np.float64),
            arrays["means"].astype(np.float64),
        )


def logistic(scores: Floats, calibration: Floats) -> Floats:
    """Turn (N, V) scores into probabilities by (V, 2) slopes and offsets."""
    slope, offset = calibration.T
    probabilities: Floats = 1 / (1 + np.exp(-(slope * scores + offset)))
    return probabilities


def _common(
    arrays: Mapping[str, NDArray[np.generic]],
) -> tuple[Projection, NDArray[Any], Rows, Floats, UnknownRule]:
    return (
        Projection.from_arrays(arrays),
        arrays["classes"],
        arrays["example_rows"].astype(np.intp),
        arrays["example_looks"].astype(np.float64),
        UnknownRule.from_arrays(arrays),
    )


def unit_looks(coordinates: Floats) -> Floats:
    """Turn (N, d) coordinates into the look: unit rows."""
    looks: Floats = unit(coordinates).astype(np.float64, copy=False)
    return looks
