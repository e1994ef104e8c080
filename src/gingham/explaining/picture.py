"""What is read to explain an image, and which values are explained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gingham.backbones.runtime import MapRuntime, Runtime
from gingham.backbones.table import Preprocess
from gingham.errors import ImageError, InputError
from gingham.images import Box, frame, open_image, read_source, resize
from gingham.options import ReadOptions
from gingham.results import Prediction
from gingham.store.examples import Taught
from gingham.store.truth import Truth

EVIDENCE = 5
"""Examples shown beside an explanation."""


def check_values(known: Mapping[str, Sequence[str]], values: Sequence[str]) -> None:
    """Refuse a value that no attribute has.

    Parameters
    ----------
    known : attribute -> its values.
    values : asked for.

    Raises
    ------
    InputError
        If none of the attributes has one of them.
    """
    for value in values:
        if not any(value in those for those in known.values()):
            there = "; ".join(f"{name}: {', '.join(those)}" for name, those in known.items())
            raise InputError(f"unknown value {value!r}; known: {there}")


def chosen_values(prediction: Prediction, values: Sequence[str]) -> list[str]:
    """Say which values of an attribute to explain: those asked for that it has, else the best."""
    asked = [value for value in dict.fromkeys(values) if value in prediction.values]
    return asked or [next(iter(prediction.values))]


def without_itself(
    truth: Truth, prediction: Prediction, taught: Taught, image: str | bytes
) -> tuple[Prediction, bool]:
    """Take an image out of its own evidence, and say whether it is an example of the attribute.

    Parameters
    ----------
    truth : of the catalogue.
    prediction : with one example more than is to be shown.
    taught : the attribute's examples.
    image : file, bytes or id; it can be read.
    """
    image_id = truth.image_id(image) or hashlib.sha256(read_source(image)).digest()
    own = {example.image for example in taught.examples if example.id == image_id}
    evidence = [one for one in prediction.evidence if one.image not in own]
    return replace(prediction, evidence=tuple(evidence[:EVIDENCE])), bool(own)


class CataloguePicture:
    """One image that is explained: read and sent through the backbone once for all attributes.

    Parameters
    ----------
    image : file, or id of an image of the catalogue.
    truth : of the catalogue.
    runtime : gives its backbone.
    layers : the hidden layers whose maps any attribute asks for.
    options : see `gingham.ReadOptions`.
    """

    def __init__(
        self,
        image: str | bytes,
        truth: Truth,
        runtime: Callable[[], Runtime],
        layers: tuple[str, ...],
        options: ReadOptions,
    ) -> None:
        self._image, self._truth, self._runtime = image, truth, runtime
        self._layers, self._options = layers, options
        self._images: dict[int, Image.Image] = {}

    def image(self, size: int) -> Image.Image:
        """Read the image; a JPEG may be decoded smaller, as for a network's input of this side.

        Raises
        ------
        ImageError
            If it cannot be read, or the file of an id is gone or holds another picture by now.
        """
        if size not in self._images:
            self._images[size] = read_picture(self._truth, self._image, size, self._options)
        return self._images[size]

    def square(self, preprocess: Preprocess) -> NDArray[np.uint8]:
        """See `Picture.square`."""
        image = self.image(preprocess.size)
        how = preprocess.interpolation
        return resize(image, preprocess.size, interpolation=how, crop=preprocess.crop)

    def maps(self, layers: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """See `Picture.maps`."""
        return {layer: self._maps[layer] for layer in layers}

    @cached_property
    def _maps(self) -> Mapping[str, NDArray[np.float32]]:
        runtime = self._runtime()
        assert isinstance(runtime, MapRuntime)  # checked before the first image was read
        return runtime.maps(self.square(self._truth.preprocess), self._layers)


def read_picture(truth: Truth, image: str | bytes, size: int, options: ReadOptions) -> Image.Image:
    """Read the picture of a file, or of an id of the catalogue.

    Parameters
    ----------
    truth : of the catalogue.
    image : file, bytes or id.
    size : side of the network's input: a JPEG may be decoded smaller, as `extract` does.
    options : see `gingham.ReadOptions`.

    Raises
    ------
    ImageError
        If it cannot be read, or the file of an id is gone or holds another picture by now.
    """
    image_id = truth.image_id(image)
    if image_id is None:
        return open_image(read_source(image), max_pixels=options.max_pixels, draft=size)
    stored = truth.stored(image_id)
    try:
        return open_image(stored.read(), max_pixels=options.max_pixels, draft=size)
    except ImageError as error:
        raise ImageError(f"{stored.files[0]}: {error}") from None


def box_read(picture: Image.Image, crop: float | None) -> Box:
    """Say which part of a picture is read, in fractions of its sides."""
    wide, high = picture.size
    left, top, right, bottom = frame(wide, high, crop)
    return (left / wide, top / high, right / wide, bottom / high)
