"""How each look of a search compares: examples, words and sliders become parts of a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes
from gingham.backbones.image_text import TEXT
from gingham.errors import InputError
from gingham.index.index import Index
from gingham.index.looks import NEGATIVE_FACTOR, TAUGHT_PREFIX, LookSpace, direction
from gingham.operations.sync import SyncedIndex
from gingham.store.features import ImageId

Features = Mapping[str, NDArray[np.floating]]
Example = ImageId | Features
"""An image of the catalogue by its id, or the features of another: layer -> (1, 2C)."""

WORDS_SCALE = 4.0
"""The similarity of an image to words is so many times their cosine: a model puts words and what
they describe much farther apart than two images, and cosines of words spread less."""


@dataclass(frozen=True)
class Slider:
    """A look of a search: its similarity is ``constant`` plus the sum of its compared parts.

    Attributes
    ----------
    parts : (look of the index, vector, factor).
    """

    look: str
    weight: float
    constant: float
    parts: Sequence[tuple[str, NDArray[np.float32], float]]


class Sliders:
    """Makes the sliders of searches.

    Parameters
    ----------
    attributes, space, synced : of the catalogue.
    described : look -> descriptor -> its share; see `descriptor_looks`.
    """

    def __init__(
        self,
        attributes: Attributes,
        space: LookSpace,
        synced: SyncedIndex,
        described: Mapping[str, Mapping[str, float]],
    ) -> None:
        self._attributes = attributes
        self._space = space
        self._synced = synced
        self._described = described

    def of_words(self, index: Index, weight: float, words: NDArray[np.float32]) -> Slider:
        """Compare images with words, by the (D,) vector that the model gives these."""
        self._synced.further(index, TEXT)
        return Slider(TEXT, weight, 0.0, [(TEXT, words, WORDS_SCALE)])

    def of_images(
        self,
        index: Index,
        weights: Mapping[str, float],
        like: Sequence[Example],
        unlike: Sequence[Example],
    ) -> list[Slider]:
        """Say how each look compares: the built-in ones always, of others those with a weight."""
        stored = [self._builtin(index, side) for side in (like, unlike)]
        sliders = []
        for look in self._space.names:
            toward = direction(*(vectors[look] for vectors in stored))
            constant = 1 - self._space.scale(look)
            sliders.append(Slider(look, weights.get(look, 0.0), constant, [(look, toward, 1.0)]))
        for look, weight in weights.items():
            if look in self._described:
                parts = self._described_parts(index, look, like, unlike)
                sliders.append(Slider(look, weight, 1.0, parts))
            elif look == TEXT:
                toward = direction(*(self._texts(index, side) for side in (like, unlike)))
                sliders.append(Slider(look, weight, 0.0, [(look, toward, 1.0)]))
            elif look not in self._space.names:
                toward = direction(*(self._taught(index, look, side) for side in (like, unlike)))
                constant = 1 - self._space.scale(look)
                sliders.append(Slider(look, weight, constant, [(look, toward, 1.0)]))
        return sliders

    def _builtin(self, index: Index, examples: Sequence[Example]) -> dict[str, NDArray[np.float32]]:
        """Give the vectors of examples in the built-in looks: look -> (N, width)."""
        rows = [
            index.vectors([example.hex()], self._space.names)
            if isinstance(example, bytes)
            else self._space.embed(example)
            for example in examples
        ]
        return {
            look: np.concatenate([np.empty((0, width), np.float32), *(row[look] for row in rows)])
            for look, width in self._space.widths.items()
        }

    def _taught(self, index: Index, look: str, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Give the vectors of examples in a taught look, (N, d)."""
        self._synced.further(index, look)
        project = self._attributes.taught_attribute(look.removeprefix(TAUGHT_PREFIX)).project
        rows = [
            index.vectors([example.hex()], [look])[look]
            if isinstance(example, bytes)
            else project(example)
            for example in examples
        ]
        return np.concatenate([np.empty((0, rows[0].shape[1] if rows else 1), np.float32), *rows])

    def _texts(self, index: Index, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Give the vectors of examples in the look `text`, (N, D)."""
        self._synced.further(index, TEXT)
        width = index.vectors((), [TEXT])[TEXT].shape[1]
        rows = [np.empty((0, width), np.float32)]
        for one in examples:
            if not isinstance(one, bytes):
                rows.append(one[TEXT].astype(np.float32))
                continue
            row = index.vectors([one.hex()], [TEXT])[TEXT]
            if not row.any():
                raise InputError(
                    f"image {one.hex()} is not in the look {TEXT}: run gingham text-look first"
                )
            rows.append(row)
        return np.concatenate(rows)

    def _described_parts(
        self, index: Index, look: str, like: Sequence[Example], unlike: Sequence[Example]
    ) -> list[tuple[str, NDArray[np.float32], float]]:
        """Compare descriptors joined as they are.

        The similarity is ``1 - distance / typical distance`` to the mean of the examples; negative
        ones give back half of it.
        """
        shares = self._described[look]
        typical = sum(
            share * self._synced.further(index, name)["typical"] for name, share in shares.items()
        )
        parts = []
        for name, share in shares.items():
            for examples, factor in ((like, 1.0), (unlike, -NEGATIVE_FACTOR)):
                if examples:
                    rows = [self._descriptor(index, example, name) for example in examples]
                    mean = np.concatenate(rows).astype(np.float32).mean(axis=0)
                    parts.append((name, mean, share * factor / typical))
        return parts

    def _descriptor(self, index: Index, example: Example, name: str) -> NDArray[np.floating]:
        if isinstance(example, bytes):
            return index.vectors([example.hex()], [name])[name]
        return example[name]
