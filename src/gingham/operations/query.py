"""The example images of a search, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gingham.errors import ImageError, InputError
from gingham.images import Box, ImageSource, in_memory
from gingham.operations.text_look import text_features
from gingham.options import ReadOptions
from gingham.parts import Part
from gingham.store.features import ImageId
from gingham.store.truth import Truth


@dataclass(frozen=True)
class Examples:
    """The example images of a search.

    Attributes
    ----------
    given : each as an id of the catalogue, or as features of all layers.
    known : the ids of those that are in the catalogue, also where only a part of one counts.
    """

    given: list[ImageId | dict[str, NDArray[np.floating]]] = field(default_factory=list)
    known: list[ImageId] = field(default_factory=list)


def read_examples(
    truth: Truth,
    images: ImageSource | Sequence[ImageSource],
    options: ReadOptions,
    crop: Box | None = None,
    *,
    text: bool = False,
) -> Examples:
    """Turn one example image or several into ids of the catalogue, or features of all layers.

    Parameters
    ----------
    crop : the part of a single image that counts: left, top, right, bottom; see `Part`.
    text : read those that are no ids for the look `text`, too.

    Raises
    ------
    ImageError
        If one cannot be read.
    InputError
        If a crop is no box, or goes with several images or none.
    """
    examples = Examples()
    given: Sequence[ImageSource] = (
        images
        if isinstance(images, Sequence) and not isinstance(images, (str, bytes))
        else [images]
    )
    if crop is not None and len(given) != 1:
        raise InputError(f"crop is a box of one image: give one, not {len(given)}")
    for image in map(in_memory, given):
        known = truth.find(image)
        if known is not None:
            examples.known.append(known)
        if known is not None and crop is None:
            examples.given.append(known)
            continue
        source: ImageSource = image
        if crop is not None:
            whole = image if known is None else truth.stored(known)
            source = Part(whole, crop, options.max_pixels)
        ((name, features, reason),) = truth.features_of(
            [source], tuple(truth.config.widths), options
        )
        if features is None:
            raise ImageError(f"{name}: {reason}")
        if text:
            features |= text_features(truth, source, options)
        examples.given.append(features)
    return examples
