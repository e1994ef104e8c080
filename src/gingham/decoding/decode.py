"""Bytes or an open file of any kind -> upright 8-bit sRGB; the guards against bad input."""

from __future__ import annotations

import contextlib
import ctypes
import io
import struct
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any, BinaryIO

from PIL import Image, ImageFile, _imaging

from gingham.decoding import jpeg2000
from gingham.decoding.pixels import IGNORED_PROFILE, to_srgb, upright
from gingham.decoding.png import pixels_only
from gingham.decoding.signatures import (
    HEAD,
    HEIC,
    LARGE,
    RAW,
    check_head,
    decoders,
    is_preview,
    why_unreadable,
)
from gingham.errors import ImageError
from gingham.options import MAX_PIXELS

_LARGE_PIXELS = 25_000_000
_one_large = Lock()

# Their decoders take several times the memory of the pixels before they notice damage.
_COSTLY = ("AVIF", "HEIF", "JPEG2000")
_MOST_PIXELS_A_BYTE = 250

_PROFILE = "gingham:profile"
_END = b"\xff\xd9"  # the end marker of a JPEG


@dataclass(frozen=True)
class Decoded:
    """A decoded image: upright 8-bit RGB, and a note on what of it could not be used."""

    image: Image.Image
    note: str | None = None


def decode(
    data: bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS, draft: int | None = None
) -> Decoded:
    """Decode one image to upright 8-bit RGB in sRGB.

    The format is told by the content, never by the name; HEIC needs the extra `heif`. Alpha is
    laid on white, the EXIF orientation and the colour profile are applied, of an animation the
    first frame is taken, 16-bit pixels are scaled to 8 bits. Texts inside the file are not read,
    but for those that may hold the orientation. Images over 25 megapixels are decoded one at a
    time, so that memory stays bounded however many threads decode.

    Parameters
    ----------
    data : the encoded image: its bytes, or an open file, which is read as needed.
    max_pixels : refuse an image whose header announces more pixels (a decompression bomb). For
        WebP, TIFF and the frames of some other formats Pillow's own limit, `2 *
        PIL.Image.MAX_IMAGE_PIXELS`, stays in force.
    draft : if given, a JPEG may be decoded at a power-of-two fraction of its size, as long as
        both sides stay at least twice this many pixels: several times faster for photos. So may
        a JPEG 2000 over 25 megapixels.

    Raises
    ------
    ImageError
        With a reason one can act on.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        head = file.read(HEAD)
        check_head(head)
        with _identify(file, head) as image:
            width, height = image.size
            if width * height > max_pixels:
                raised_by = getattr(max_pixels, "raised_by", "max_pixels")
                raise ImageError(
                    f"{width}x{height} pixels, over the limit of {max_pixels / 1e6:g} megapixels: "
                    "make it smaller" + (f" or raise {raised_by}" if raised_by else "")
                )
            if image.format in _COSTLY and width * height > _LARGE_PIXELS:
                size = file.seek(0, io.SEEK_END)
                if width * height > _MOST_PIXELS_A_BYTE * size:
                    raise ImageError(
                        f"damaged: its header announces {width}x{height} pixels in {size:,} bytes"
                    )
            if draft is not None and image.format == "JPEG":
                image.draft(None, (2 * draft, 2 * draft))
            width, height = image.size
            if image.format == "JPEG2000":
                width, height = jpeg2000.reduce(image, file, draft, _LARGE_PIXELS)
            large = width * height > _LARGE_PIXELS
            with _one_large if large else contextlib.nullcontext():
                unread = _has_profile(image) and not image.info.get("icc_profile")
                picture, note = to_srgb(upright(_load(image, file, draft)))
                return Decoded(picture, IGNORED_PROFILE if unread else note)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        # Some decoders hold frames and tiles against Pillow's own limit, whatever ours is.
        raise ImageError(
            "over Pillow's own limit for this format: make it smaller, or save it as JPEG or PNG"
        ) from None
    except MemoryError:
        raise ImageError("too large for the memory of this machine: make it smaller") from None
    except Exception as error:
        if reason := _variant(file):
            raise ImageError(reason) from None
        # Decoders of some thirty formats raise whatever they like on damaged input, and one
        # bad file must never end a run.
        raise ImageError(
            f"damaged or truncated ({error or type(error).__name__}): copy or export it again"
        ) from None


def _identify(file: BinaryIO, head: bytes) -> ImageFile.ImageFile:
    """Let the decoder that knows the content read the header, as `Image.open` does.

    `Image.open` holds the size against one limit for the whole process, warns on the way and asks
    every decoder there is; the limit of a call is checked by the caller, before any pixel is
    decoded.
    """
    for name in decoders(head):
        file.seek(0)
        try:
            if name == HEIC:
                import pillow_heif

                heif: Any = pillow_heif.HeifImageFile
                opened: ImageFile.ImageFile = heif(file)
                return opened
            if name == "TIFF":
                _silence_libtiff()
            if name != "PNG":
                opened = Image.OPEN[name][0](file, "")
                if is_preview(opened):
                    raise ImageError(RAW)
                return opened
            pixels, profile = pixels_only(file)
            opened = Image.OPEN[name][0](pixels, "")
            opened.info[_PROFILE] = profile
            return opened
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if reason := _variant(file):
                raise ImageError(reason) from error
    raise ImageError(f"damaged or truncated {'/'.join(decoders(head))}: copy or export it again")


@cache
def _silence_libtiff() -> None:
    """Keep libtiff from printing on stderr what Pillow raises as an error anyway."""
    # What Pillow is linked with is found through Pillow's own library, where there is such a way.
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_imaging.__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def _has_profile(image: ImageFile.ImageFile) -> bool:
    """Say whether a file holds a colour profile, though the decoder may have passed it over."""
    segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
    return image.info.get(_PROFILE, False) or any(
        name == "APP2" and data.startswith(b"ICC_PROFILE\0") for name, data in segments
    )


def _variant(file: BinaryIO) -> str | None:
    """Say whether it is of a kind that no decoder reads, rather than damaged."""
    file.seek(0)
    return why_unreadable(file.read(LARGE))


def _load(image: ImageFile.ImageFile, file: BinaryIO, draft: int | None) -> Image.Image:
    """Decode the pixels; of a JPEG the marker at its end may be missing."""
    try:
        image.load()
        return image
    except OSError as error:
        if image.format != "JPEG" or "truncated" not in str(error):
            raise
        file.seek(0)
        data = file.read()
        # Where nothing else is missing, what follows the data changes no pixel.
        whole, other = (_jpeg(data + end, draft) for end in (_END, bytes(range(80, 144)) + _END))
        if whole.tobytes() != other.tobytes():
            raise
        return whole


def _jpeg(data: bytes, draft: int | None) -> Image.Image:
    image = Image.OPEN["JPEG"][0](io.BytesIO(data), "")
    if draft is not None:
        image.draft(None, (2 * draft, 2 * draft))
    image.load()
    return image
