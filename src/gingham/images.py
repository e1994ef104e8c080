"""Path or bytes -> RGB uint8 (H, W, 3). Every guard against bad input is here."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from gingham.errors import ImageError, InputError, MissingExtraError
from gingham.options import MAX_PIXELS
from gingham.tables import read_embedded


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

INTERPOLATIONS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Read the bytes of one image file, or of one inside a Parquet file; see `gingham.tables`.

    Raises
    ------
    ImageError
        If the file is missing, not a regular file, unreadable or empty; the message says which
        and what to do.
    """
    try:
        # Not blocking: a named pipe with no writer would otherwise hang a whole run.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ImageError("not a regular file: give an image file")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read()
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        if (embedded := read_embedded(os.fspath(path))) is not None:
            return embedded
        raise ImageError("no such file: check the path") from None
    except PermissionError:
        raise ImageError("not readable: check the file's permissions") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ImageError(f"cannot be read: {reason}") from None
    if not data:
        raise ImageError("the file is empty: copy or export it again")
    return data


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
    data: bytes, *, max_pixels: int = MAX_PIXELS, draft: int | None = None
) -> Image.Image:
    """Decode the bytes of one image to upright 8-bit RGB.

    The format is told by the content, never by the name; HEIC needs the extra `heif`. Alpha is
    laid on white, the EXIF orientation is applied, of an animation the first frame is taken,
    16-bit pixels are scaled to 8 bits.

    Parameters
    ----------
    data : the encoded image.
    max_pixels : refuse an image whose header announces more pixels (a decompression bomb). For
        WebP, TIFF and the frames of some other formats Pillow's own limit, `2 *
        PIL.Image.MAX_IMAGE_PIXELS`, stays in force.
    draft : if given, a JPEG may be decoded at a power-of-two fraction of its size, as long as
        both sides stay at least twice this many pixels: several times faster for photos.

    Raises
    ------
    ImageError
        With a reason one can act on.
    """
    try:
        with _identify(data) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise ImageError(_bomb(f"{width}x{height} pixels", max_pixels))
            if draft is not None and image.format == "JPEG":
                image.draft(None, (2 * draft, 2 * draft))
            image.load()
            return _to_rgb(_upright(image))
    except ImageError:
        raise
    except UnidentifiedImageError:
        raise ImageError(_not_an_image(data)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Some decoders hold frames and tiles against Pillow's own limit, whatever ours is.
        raise ImageError(
            "over Pillow's own limit for this format: make it smaller, or save it as JPEG or PNG"
        ) from None
    except MemoryError:
        raise ImageError("too large for the memory of this machine: make it smaller") from None
    except Exception as error:
        # Decoders of some thirty formats raise whatever they like on damaged input, and one
        # bad file must never end a run.
        raise ImageError(
            f"damaged or truncated ({error or type(error).__name__}): copy or export it again"
        ) from None


def _identify(data: bytes) -> ImageFile.ImageFile:
    """Find the decoder that knows the content, as `Image.open` does, and let it read the header.

    `Image.open` holds the size against one limit for the whole process and warns on the way; the
    limit of a call is checked by the caller, before any pixel is decoded.
    """
    file = io.BytesIO(data)
    if _is_heic(data) and find_spec("pillow_heif"):
        import pillow_heif

        heif: Any = pillow_heif.HeifImageFile
        opened: ImageFile.ImageFile = heif(file)
        return opened
    tried: set[str] = set()
    for load in (Image.preinit, Image.init):
        load()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accepts = Image.OPEN[name]
            # A decoder that is not installed answers with a text.
            accepted = accepts is None or accepts(data[:16])
            if not accepted or isinstance(accepted, str):
                continue
            file.seek(0)
            try:
                return factory(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    raise UnidentifiedImageError


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
        return np.asarray(_to_rgb(_upright(source)))
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
    box: Box = WHOLE,
    mirror: bool = False,
) -> NDArray[np.uint8]:
    """Make the square that a network reads of an image, or of a part of it, mirrored if asked.

    Parameters
    ----------
    image : RGB.
    size : side of the square, in pixels.
    interpolation : `bilinear`, `bicubic` or `lanczos`, antialiased when shrinking.
    crop : what is read; see `frame`.
    box : the part of what is read: left, top, right, bottom, as fractions of its sides.
    mirror : swap left and right.

    Returns
    -------
    (size, size, 3) uint8 array.
    """
    left, top, right, bottom = frame(*image.size, crop)
    width, height = right - left, bottom - top
    edges = (
        left + box[0] * width,
        top + box[1] * height,
        left + box[2] * width,
        top + box[3] * height,
    )
    square = np.asarray(image.resize((size, size), INTERPOLATIONS[interpolation], box=edges))
    return np.ascontiguousarray(square[:, ::-1]) if mirror else square


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


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # Damaged EXIF says nothing about the pixels: keep them as they are stored.
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ImageError("floating-point pixels have no defined range: save it with 8 or 16 bits")
    if image.mode.startswith("I"):
        # 16 bits a pixel; a file of 32 bits whose values fit in 16 is read alike.
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ImageError("32-bit pixels have no defined range: save it with 8 or 16 bits")
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _bomb(what: str, max_pixels: int) -> str:
    return (
        f"{what}, over the limit of {max_pixels / 1e6:g} megapixels: "
        "make it smaller or raise --max-megapixels"
    )


def _is_heic(data: bytes) -> bool:
    return data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1")


def _not_an_image(data: bytes) -> str:
    head = data[:1024].lstrip().lower()
    if b"<svg" in head:
        return "SVG is a drawing, not pixels: render it to PNG"
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not an image: the download went wrong, fetch it again"
    if _is_heic(data):
        return f"{MissingExtraError('pillow-heif', extra='heif', purpose='HEIC')}"
    return "not an image in a known format: give JPEG, PNG, WebP, GIF, TIFF, BMP or the like"
