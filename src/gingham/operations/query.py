"""The example images of a search, read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.errors import ImageError
from gingham.images import ImageSource, in_memory
from gingham.options import ReadOptions
from gingham.store.features import ImageId
from gingham.store.truth import Truth


def read_examples(
    truth: Truth, images: ImageSource | Sequence[ImageSource], options: ReadOptions
) -> list[ImageId | dict[str, NDArray[np.floating]]]:
    """Turn one example image or several into ids of the catalogue, or features of all layers.

    Raises
    ------
    ImageError
        If one cannot be read.
    """
    examples: list[ImageId | dict[str, NDArray[np.floating]]] = []
    given: Sequence[ImageSource] = (
        images
        if isinstance(images, Sequence) and not isinstance(images, (str, bytes))
        else [images]
    )
    for image in map(in_memory, given):
        if (known := truth.find(image)) is not None:
            examples.append(known)
            continue
        ((name, features, reason),) = truth.features_of(
            [image], tuple(truth.config.widths), options
        )
        if features is None:
            raise ImageError(f"{name}: {reason}")
        examples.append(features)
    return examples
