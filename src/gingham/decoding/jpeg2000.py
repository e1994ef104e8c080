"""JPEG 2000 in bounded memory: a large one is decoded at a fraction of its size, or refused."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from PIL import ImageFile

from gingham.errors import ImageError

_START = b"\xff\x4f\xff\x51"  # of the codestream: its marker, then that of the sizes
_STYLES = {0x52: 9, 0x53: 6}  # marker -> place of the number of levels behind it
_FIRST_TILE = 0x90
_LOOKED_AT = 4 << 20  # the codestream begins before, behind a profile if there is one


def reduce(
    image: ImageFile.ImageFile, file: BinaryIO, draft: int | None, most_pixels: int
) -> tuple[int, int]:
    """Let a large image be decoded at a power-of-two fraction of its size, as a draft may be.

    The decoder holds some twenty bytes for each pixel of a tile; most files are one tile.

    Parameters
    ----------
    image : opened, not loaded.
    file : that it was opened from.
    draft : both sides stay at least twice this many pixels; None: the size stays.
    most_pixels : of a tile that is decoded.

    Returns
    -------
    The width and height that it will have.

    Raises
    ------
    ImageError
        If a tile is larger even so.
    """
    width, height = image.size
    if width * height <= most_pixels:
        return width, height
    place = file.tell()
    file.seek(0)
    tile, levels = _layout(file.read(_LOOKED_AT))
    file.seek(place)
    power = 0
    while draft is not None and power < levels and min(width, height) >> (power + 1) >= 2 * draft:
        power += 1
    decoded = (min(tile[0], width) * min(tile[1], height)) >> (2 * power)
    if decoded > most_pixels:
        raise ImageError(
            f"JPEG 2000 of {width}x{height} pixels in one piece takes more memory than is "
            "allowed: save it in tiles, or as JPEG or PNG"
        )
    reducible: Any = image  # its `reduce` is an attribute, not the method of other images
    reducible.reduce = power
    return width >> power, height >> power


def _layout(data: bytes) -> tuple[tuple[int, int], int]:
    """Read the size of a tile, and how often every component of it can be halved."""
    place = data.index(_START) + 2
    tile: tuple[int, int] = struct.unpack_from(">II", data, place + 22)
    levels = []
    while place + 4 <= len(data) and data[place + 1] != _FIRST_TILE:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in _STYLES:
            levels.append(data[place + _STYLES[marker]])
        place += 2 + max(2, length)
    return tile, min(levels, default=0)
