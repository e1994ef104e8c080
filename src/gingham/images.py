"""Path, bytes or open file -> RGB uint8 (H, W, 3)."""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gingham.decoding.decode import decode
from gingham.decoding.pixels import to_srgb, upright
from gingham.decoding.signatures import HEAD, LARGE, check_head
from gingham.errors import GinghamError, ImageError, InputError
from gingham.formats.inside import read_inside
from gingham.image_cells import why_missing
from gingham.object_storage import is_object_address, read_object
from gingham.options import MAX_PIXELS


class Readable(Protocol):
    """An open binary file, or whatever else gives the bytes of an image."""

    def read(self) -> bytes: ...  # noqa: D102


ImageSource = str | os.PathLike[str] | bytes | Readable
"""An image as it may be given: a path, the encoded bytes, or an open binary file."""

ImageId = bytes
"""The SHA-256 of an image file's bytes: 32 bytes."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

GRAIN, TOLERANCE, LONGEST = 32, 1 / 7, 4
"""Of `input_shapes`; networks halve their input five times."""

INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@contextlib.contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open one image file, or one inside another file (see `gingham.formats`), to read it.

    Only the first bytes are looked at: what is no image is refused before the rest is read.

    Raises
    ------
    ImageError
        If the file is missing, not a regular file, unreadable, empty or no image; the message
        says which and what to do.
    """
    try:
        # Not blocking: a named pipe with no writer would otherwise hang a whole run.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ImageError("not a regular file: give an image file")
            with open(descriptor, "rb", closefd=False) as file:
                check_head(file.read(HEAD))
                file.seek(0)
                yield file
        finally:
            os.close(descriptor)
    except ImageError:
        raise
    except FileNotFoundError:
        inside = _read_object(path) if is_object_address(path) else read_inside(os.fspath(path))
        if inside is None:
            raise ImageError(why_missing(path)) from None
        check_head(inside[:HEAD])
        yield io.BytesIO(inside)
    except PermissionError:
        raise ImageError("not readable: check the file's permissions") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"cannot be read: {reason}") from None


def _read_object(path: str | os.PathLike[str]) -> bytes | None:
    try:
        return read_object(path if isinstance(path, str) else str(path))
    except FileNotFoundError:
        return None
    except GinghamError as error:
        raise ImageError(str(error)) from None


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read the bytes of one image file, or of one inside another file; see `open_file`."""
    with open_file(path) as file:
        return file.read()


def read_source(source: ImageSource) -> bytes:
    """Read the bytes of one image, however it is given; an open file is read to its end.

    Raises
    ------
    ImageError
        If it cannot be read or is empty.
    """
    if isinstance(source, (str, os.PathLike)):
        return read_file(source)
    try:
        data = source if isinstance(source, bytes) else source.read()
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        raise ImageError(f"cannot be read: {error}") from None
    if not data:
        raise ImageError("it is empty: give the bytes of an image file")
    return data


def hash_source(source: ImageSource) -> tuple[ImageId, bytes | None]:
    """Hash one image, however it is given; gives its bytes too unless it is a `LARGE` file.

    Raises
    ------
    ImageError
        If it cannot be read, is empty or, if it is a file, no image; see `open_file`.
    """
    if not isinstance(source, (str, os.PathLike)):
        data = read_source(source)
        return hashlib.sha256(data).digest(), data
    with open_file(source) as file:
        # Asked for a number of bytes, Python makes room for as many first.
        large = file.seek(0, io.SEEK_END) > LARGE
        file.seek(0)
        if not large:
            data = file.read()
            return hashlib.sha256(data).digest(), data
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.digest(), None


def in_memory(source: ImageSource) -> str | bytes:
    """Read an open file, so that it may be used twice; of a path its text, of bytes themselves.

    Raises
    ------
    ImageError
        If the open file cannot be read or is empty.
    """
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else read_source(source)


def image_name(source: str | bytes) -> str:
    """Name an image in results: by its path or, where it has none, by its id in hexadecimal."""
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else source


def open_image(
    data: bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS, draft: int | None = None
) -> Image.Image:
    """Decode one image, see `decode`."""
    return decode(data, max_pixels=max_pixels, draft=draft).image


def load_image(
    source: ImageSource | Image.Image | NDArray[np.uint8],
    *,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.uint8]:
    """Load one image as (H, W, 3) uint8 RGB, upright, alpha on white.

    Parameters
    ----------
    source : a path, the encoded bytes, an open file, a Pillow image, or an (H, W, 3) uint8
        array, which is returned as it is.
    max_pixels : see `open_image`.

    Raises
    ------
    ImageError
        If it cannot be read; the message names the path where there is one.
    InputError
        If an array is not (H, W, 3) uint8.
    """
    if isinstance(source, np.ndarray):
        if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
            raise InputError(
                f"an image array must be (H, W, 3) uint8, got {source.shape} {source.dtype}"
            )
        return source
    if isinstance(source, Image.Image):
        return np.asarray(to_srgb(upright(source))[0])
    try:
        return np.asarray(open_image(read_source(source), max_pixels=max_pixels))
    except ImageError as error:
        if isinstance(source, (str, os.PathLike)):
            raise ImageError(f"{Path(source)}: {error}") from None
        raise


def resize(
    image: Image.Image,
    size: int,
    *,
    interpolation: str,
    crop: float | None = None,
    keep_aspect: bool = False,
    box: Box = WHOLE,
    mirror: bool = False,
) -> NDArray[np.uint8]:
    """Make what a network reads of an image, or of a part of it, mirrored if asked.

    Parameters
    ----------
    image : RGB.
    size : side in pixels of the square that is made, or of one with about as many pixels.
    interpolation : `bilinear`, `bicubic` or `lanczos`, antialiased when shrinking.
    crop : what is read; see `frame`.
    keep_aspect : make a rectangle of `input_shape` instead of a square.
    box : the part of what is read: left, top, right, bottom, as fractions of its sides.
    mirror : swap left and right.

    Returns
    -------
    (height, width, 3) uint8 array.
    """
    shape = input_shape(*image.size, size) if keep_aspect else (size, size)
    left, top, right, bottom = frame(*image.size, crop)
    width, height = right - left, bottom - top
    edges = (
        left + box[0] * width,
        top + box[1] * height,
        left + box[2] * width,
        top + box[3] * height,
    )
    made = np.asarray(image.resize(shape, INTERPOLATIONS[interpolation], box=edges))
    return np.ascontiguousarray(made[:, ::-1]) if mirror else made


def input_shape(width: int, height: int, size: int) -> tuple[int, int]:
    """Give the width and height, in pixels, in which a whole image is read.

    Of the shapes of `input_shapes`, the one nearest in aspect.
    """
    aspect = width / height
    return min(input_shapes(size), key=lambda shape: abs(math.log(aspect * shape[1] / shape[0])))


@cache
def input_shapes(size: int) -> tuple[tuple[int, int], ...]:
    """List the (width, height) in which whole images are read.

    Their sides are multiples of `GRAIN`, and they have as many pixels as a square of side `size`,
    give or take `TOLERANCE`; the longer side is at most `LONGEST` times the shorter.
    """
    cells = (size / GRAIN) ** 2
    sides = range(1, int(LONGEST * size / GRAIN) + 1)
    shapes = [
        (wide, high)
        for wide in sides
        for high in sides
        if abs(wide * high - cells) <= TOLERANCE * cells
        and max(wide, high) <= LONGEST * min(wide, high)
    ]
    # Of shapes alike in aspect, the one that is nearest in pixels comes first.
    shapes.sort(key=lambda shape: (abs(shape[0] * shape[1] - cells), shape))
    return tuple((GRAIN * wide, GRAIN * high) for wide, high in shapes)


def frame(width: int, height: int, crop: float | None) -> Box:
    """Say which part of an image is read: left, top, right, bottom, in pixels.

    Parameters
    ----------
    width, height : of the image.
    crop : the side of the square in its middle, as a fraction of the shorter side; None takes
        the whole image, which is then stretched.
    """
    if crop is None:
        return (0.0, 0.0, float(width), float(height))
    side = crop * min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return (left, top, left + side, top + side)
