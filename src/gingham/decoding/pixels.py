"""Decoded pixels of any kind -> upright 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

from gingham.errors import ImageError

IGNORED_PROFILE = "its colour profile cannot be used and is ignored"

_STRIP = 4 << 20  # so many pixels are widened at a time
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SAME = 2  # levels of 255: a profile that changes no colour by more is sRGB


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # Damaged EXIF says nothing about the pixels: keep them as they are stored.
        return image


def to_srgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """Convert an image of any mode to RGB in sRGB, alpha on white, 16 bits scaled to 8.

    An embedded ICC profile is applied (relative colorimetric, black point compensation); without
    one the colours are taken as sRGB.

    Returns
    -------
    The image, and a note if its profile was ignored: it cannot be read, or is of another kind of
    colours.

    Raises
    ------
    ImageError
        If the pixels are floating-point numbers or wider than 16 bits.
    """
    profile = image.info.get("icc_profile")
    image = _eight_bits(image)
    alpha = None
    if image.has_transparency_data:
        image = _in(image, "LA" if image.mode in ("LA", "La") else "RGBA")
        alpha = image.getchannel("A")
    note = None
    if image.mode == "LAB":
        profile, image = None, _from_lab(image)
    if image.mode not in ("L", "CMYK"):
        image = _in(image, "L" if image.mode in ("1", "LA") else "RGB")
    if profile:
        try:
            transform = _transform(profile, image.mode)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            note = IGNORED_PROFILE
        else:
            if transform is not None:
                image = ImageCms.applyTransform(image, transform) or image
    image = _in(image, "RGB")
    if alpha is not None:
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=alpha)
        image = white
    return image, note


def _in(image: Image.Image, mode: str) -> Image.Image:
    # `convert` copies even where there is nothing to do.
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ImageError("floating-point pixels have no defined range: save it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    # 16 bits a pixel; a file of 32 bits whose values fit in 16 is read alike.
    width, height = image.size
    out = np.empty((height, width), np.uint8)
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = np.asarray(image.crop((0, top, width, min(height, top + rows))))
        wide: NDArray[Any] = strip.astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ImageError("32-bit pixels have no defined range: save it with 8 or 16 bits")
        out[top : top + rows] = (wide + 128) // 257
    return Image.fromarray(out)


def _from_lab(image: Image.Image) -> Image.Image:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return ImageCms.profileToProfile(image, lab, _srgb(), outputMode="RGB") or image


@lru_cache(maxsize=64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Make the transform from a profile to sRGB; None if it changes nothing that can be seen."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = _SPACES.get(source.profile.xcolor_space)
    if space != mode:
        raise ValueError(f"a profile of {source.profile.xcolor_space} colours for {mode} pixels")
    transform = ImageCms.buildTransform(
        source,
        _srgb(),
        mode,
        "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        # Without its cache of the last colour, threads may share it.
        flags=ImageCms.Flags.NOCACHE | ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode == "CMYK":
        return transform
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = levels[:, None]
    if mode == "RGB":
        grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(27, 27, 3)
    before = Image.fromarray(grid)
    after = np.asarray(ImageCms.applyTransform(before, transform), np.int64)
    change = np.abs(after - np.asarray(before.convert("RGB"), np.int64)).max()
    return transform if change > _SAME else None


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
