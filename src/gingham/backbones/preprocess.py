"""How an image becomes the input of a network, and what of that a user can choose."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from gingham import images
from gingham.errors import InputError
from gingham.names import did_you_mean

SQUARE, WHOLE = "square", "whole"
"""The views of `Reading`."""

RESOLUTIONS = range(160, 1025, images.GRAIN)


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes the input of a network: what is read, resized, (x - mean) / std.

    Attributes
    ----------
    size : side of the input, in pixels; where it keeps the aspect, of a square of as many pixels.
    crop : the side of the square that is read, from the middle of the image, as a fraction of
        its shorter side; None takes the whole image, and stretches it to a square.
    interpolation : see `gingham.images.resize`.
    mean, std : of each channel, in the network's channel order, in units of 0 to 255.
    bgr : whether that order is blue, green, red.
    keep_aspect : do not stretch, but read in the nearest of `gingham.images.input_shapes`.
    """

    size: int = 224
    crop: float | None = 0.875
    interpolation: str = "bicubic"
    mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    bgr: bool = False
    keep_aspect: bool = field(default=False, repr=False)  # by `repr` conversions are found

    def apply(
        self, image: Image, *, box: images.Box = images.WHOLE, mirror: bool = False
    ) -> NDArray[np.uint8]:
        """Make the (height, width, 3) input of an image or a part of it; see `resize`."""
        return images.resize(
            image,
            self.size,
            interpolation=self.interpolation,
            crop=self.crop,
            keep_aspect=self.keep_aspect,
            box=box,
            mirror=mirror,
        )


@dataclass(frozen=True)
class Reading:
    """What of an image a backbone is asked to read, and how finely.

    Attributes
    ----------
    view : `square`, the backbone's own way, mostly the middle; `whole`, all of the image, in a
        shape that keeps its aspect.
    resolution : the side of the square that is read or, of `whole`, of a square with about as many
        pixels. None: the backbone's own.
    """

    view: str = SQUARE
    resolution: int | None = None

    @classmethod
    def asked(cls, view: str, resolution: int | None) -> Self:
        """Check what a user asks for.

        Raises
        ------
        InputError
            If there is no such view, or the resolution is none of `RESOLUTIONS`.
        """
        if view not in (SQUARE, WHOLE):
            raise InputError(
                f"view must be {SQUARE} or {WHOLE}, got {view!r}"
                + did_you_mean(view, (SQUARE, WHOLE))
            )
        if resolution is not None and resolution not in RESOLUTIONS:
            raise InputError(
                f"resolution must be a multiple of {RESOLUTIONS.step} from {RESOLUTIONS.start} to "
                f"{RESOLUTIONS[-1]}, got {resolution}"
            )
        return cls(view, resolution)

    @classmethod
    def of(cls, preprocess: Preprocess) -> Self:
        """Say what gave a backbone's preprocessing."""
        return cls(WHOLE if preprocess.keep_aspect else SQUARE, preprocess.size)

    def __str__(self) -> str:
        finely = "" if self.resolution is None else f", resolution {self.resolution}"
        return f"view {self.view}{finely}"

    def changed(self, own: Preprocess) -> Preprocess:
        """Let a backbone read so, given its own way."""
        read = replace(own, size=self.resolution or own.size)
        return replace(read, crop=None, keep_aspect=True) if self.view == WHOLE else read


OWN_READING = Reading()
"""A backbone's own way."""
