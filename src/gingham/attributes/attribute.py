"""What every attribute can do, whether it is taught by examples or comes with a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.preprocess import Preprocess
from gingham.backbones.runtime import Runtime
from gingham.cutoff import Cutoff, CutoffResult
from gingham.errors import InputError
from gingham.images import ImageSource
from gingham.names import did_you_mean
from gingham.options import ReadOptions
from gingham.results import Prediction
from gingham.schema.hierarchy import Hierarchy

PROJECTION = "projection"
GRAD_CAM = "grad-cam"
SEEN = "seen"

Features = Mapping[str, NDArray[np.floating]]
"""Layer -> (N, D) array: what an attribute answers from."""

Read = tuple[str, Features | None, str | None]
"""(image, its features with N = 1, None), or (image, None, why it cannot be read)."""


class Reader(Protocol):
    """What reads the features of images for attributes: a catalogue's truth, or a trained model."""

    @property
    def preprocess(self) -> Preprocess:
        """How an image becomes the input of its network."""

    def features_of(
        self, images: Sequence[ImageSource], layers: tuple[str, ...], options: ReadOptions
    ) -> Iterator[Read]:
        """Read images in order."""


class Picture(Protocol):
    """One image that is explained, read once for all attributes."""

    def input(self, preprocess: Preprocess) -> NDArray[np.uint8]:
        """The (height, width, 3) uint8 input of a network."""

    def maps(self, layers: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """The (C, H, W) activations of the catalogue's hidden layers."""


@dataclass(frozen=True)
class TagBatch:
    """What an attribute answers for N images, without evidence.

    Attributes
    ----------
    values : of each image; none: unknown.
    confidence : (N,), that the values, or those guessed, are right.
    guesses : the best guess for an image that is unknown; none where there is a value.
    looks : (N, d), where they lie in the look of the attribute; None if it has none.
    probabilities : (N, V), of the attribute's values; None if they are not told.
    above : how sure the value above that of each image is, and so on; none outside of a hierarchy.
    """

    values: list[list[str]]
    confidence: NDArray[np.floating]
    guesses: list[list[str]]
    looks: NDArray[np.floating] | None = None
    probabilities: NDArray[np.floating] | None = None
    above: list[list[float]] | None = None

    @property
    def doubts(self) -> NDArray[np.floating]:
        """(N,) how unsure each answer is: how near its second value comes to the first, 0 to 1.

        Where probabilities are not told, as of several values, what the confidence lacks.
        """
        if self.probabilities is None:
            return np.asarray(1 - self.confidence)
        none = np.zeros((len(self.probabilities), 2))
        padded = np.concatenate([none, self.probabilities], axis=1)
        second, first = np.partition(padded, (-2, -1), axis=1)[:, -2:].T
        return np.asarray(1 - first + second)

    def down(self, hierarchy: Hierarchy) -> TagBatch:
        """Answer with where the likeliest way down a hierarchy ends; what is unknown stays so."""
        if not hierarchy.steps or self.probabilities is None:
            return self
        ends, ways = hierarchy.ways(self.probabilities)
        answered = np.array([bool(values) for values in self.values], bool)
        return replace(
            self,
            values=[
                [hierarchy.names[end]] if there else []
                for end, there in zip(ends, answered, strict=True)
            ],
            confidence=np.where(answered, [way[0] for way in ways], self.confidence),
            above=[way[1:] if there else [] for way, there in zip(ways, answered, strict=True)],
        )


@dataclass(frozen=True)
class HeatMap:
    """Where one value of an attribute comes from.

    Attributes
    ----------
    value : the value that is explained.
    score : what the map adds up to; see `gingham.explaining.Explanation`.
    heat : (H, W) float32, positive where the picture speaks for the value.
    layers : hidden layer -> its share of the map.
    """

    value: str
    score: float
    heat: NDArray[np.float32]
    layers: dict[str, float]


class Attribute(Protocol):
    """One attribute of a catalogue: taught by examples, or attached with a trained model.

    Attributes
    ----------
    name : of the attribute.
    kind : `single` (at most one value per image) or `multi` (any number).
    values : all values that its answers may hold.
    stamp : differs whenever its answers could: what tags were made by it.
    needs : `features`, which the catalogue keeps, or `pixels`, so that files are read again.
    reader : reads what it needs; None stands for the catalogue. Attributes that share a reader
        share one pass over the images.
    layers : what it reads of the reader's features.
    method : how it is explained.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def values(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def stamp(self) -> str: ...  # noqa: D102
    @property
    def needs(self) -> Literal["features", "pixels"]: ...  # noqa: D102
    @property
    def reader(self) -> Reader | None: ...  # noqa: D102
    @property
    def layers(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102

    def answer(self, features: Features, *, evidence: int = 5) -> list[Prediction]:
        """Answer for N images, with at most so many of the nearest examples each."""

    def tags(self, features: Features) -> TagBatch:
        """Answer for N images."""

    def cut_off(self, cutoff: Cutoff) -> CutoffResult:
        """Say how sure its answers must be, and what is answered then."""

    def mapped_layers(self) -> tuple[str, ...]:
        """The catalogue's hidden layers whose maps `explain` asks the picture for."""

    def check_explainable(self, runtime: Runtime) -> None:
        """Refuse early what `explain` cannot do.

        Raises
        ------
        InputError
            If the runtime gives no maps.
        MissingExtraError
            If a library is not installed.
        """

    def explain(self, picture: Picture, features: Features, values: Sequence[str]) -> list[HeatMap]:
        """Say where in a picture, of which these are the features, some values come from."""


class Model(Protocol):
    """A trained model: attributes that share a reader."""

    def attributes(self, names: Sequence[str] | None = None) -> Sequence[Attribute]:
        """Give the attributes asked for, or all.

        Raises
        ------
        InputError
            If the model has no attribute of a name.
        """


def chosen_names(known: list[str], names: Sequence[str] | None) -> list[str]:
    """Return the attributes asked for, or all that are known.

    Raises
    ------
    InputError
        If one is not known, or there is none.
    """
    if not known:
        raise InputError("no attribute is taught yet: run gingham teach or gingham attach first")
    names = [names] if isinstance(names, str) else names
    for name in names or ():
        if name not in known:
            raise InputError(
                f"unknown attribute {name!r}; known: {', '.join(known)}{did_you_mean(name, known)}"
            )
    return list(dict.fromkeys(names)) if names else known
