"""A part of an image, given wherever an image may be given."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from gingham.errors import InputError
from gingham.images import WHOLE, Box, ImageSource, open_image, read_source
from gingham.options import MAX_PIXELS


def parse_crop(text: str) -> Box:
    """Read a part of an image such as ``0.1,0.2,0.5,0.5``: x, y, width and height, in fractions.

    Returns
    -------
    Left, top, right and bottom; see `Part`.

    Raises
    ------
    InputError
        If it is not that, or leaves the picture.
    """
    try:
        x, y, width, height = map(float, text.split(","))
    except ValueError:
        x = math.nan
    # Ends that are 1 but for rounding are 1.
    if not math.isfinite(x) or not (0 <= x < 1 and 0 <= y < 1):
        raise InputError(_CROP.format(text))
    right, bottom = (1.0 if abs(end - 1) < 1e-9 else end for end in (x + width, y + height))
    if not (x < right <= 1 and y < bottom <= 1):
        raise InputError(_CROP.format(text))
    return x, y, right, bottom


_CROP = (
    "a crop is X,Y,WIDTH,HEIGHT in fractions of the upright picture, within 0 to 1 and not empty, "
    "as in 0.1,0.2,0.5,0.5; got {!r}"
)

LEAST = 512
"""A large JPEG is decoded smaller, as long as the part's sides keep twice as many pixels."""


@dataclass(frozen=True)
class Part:
    """A box of an image: it is read as if it were a file of its own.

    It reads like an open file, so that every function that takes an image takes it.

    Parameters
    ----------
    image : the whole image.
    box : left, top, right, bottom, in fractions of the upright picture's sides.
    max_pixels : of the whole image; see `gingham.ReadOptions`.

    Raises
    ------
    InputError
        If the box is empty, or not within 0 to 1.
    """

    image: ImageSource
    box: Box = WHOLE
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise InputError(
                "a crop is left, top, right, bottom in fractions of the upright picture, from 0 to "
                f"1 and not empty, as in 0.1, 0.2, 0.5, 0.9; got {', '.join(map(str, self.box))}"
            )

    def read(self) -> bytes:
        """Give the part as the bytes of a file without loss; at least one pixel.

        Raises
        ------
        ImageError
            If the image cannot be read.
        """
        left, top, right, bottom = self.box
        draft = math.ceil(LEAST / min(right - left, bottom - top))
        whole = open_image(read_source(self.image), max_pixels=self.max_pixels, draft=draft)
        edges = []
        for low, high, side in ((left, right, whole.width), (top, bottom, whole.height)):
            start = min(math.floor(low * side), side - 1)
            edges.append((start, max(math.ceil(high * side), start + 1)))
        buffer = io.BytesIO()
        (x0, x1), (y0, y1) = edges
        # The quickest of the formats that lose nothing: it is decoded again at once.
        whole.crop((x0, y0, x1, y1)).save(buffer, "BMP")
        return buffer.getvalue()
