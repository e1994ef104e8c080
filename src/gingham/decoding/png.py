"""PNG files without what a decoder refuses the whole file for: large texts, large profiles."""

from __future__ import annotations

import io
import struct
import zlib
from typing import BinaryIO

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_MOST = 1 << 20  # what Pillow takes of one text


def pixels_only(file: BinaryIO) -> tuple[BinaryIO, bool]:
    """Give the file itself or, if it holds texts or a huge profile, a copy without them.

    Texts that may say how the image is to be turned stay, unless they are over 1 MB. Whatever is
    not as it should be stays as it is, for the decoder to judge.

    Returns
    -------
    The file, and whether the original has a colour profile.
    """
    start = file.tell()
    kept: list[tuple[int, int]] = []  # from, to
    dropped = profile = False
    place = start + 8
    size = file.seek(0, io.SEEK_END)
    while place + 12 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        end = place + 12 + length
        profile |= kind == b"iCCP"
        if kind in (*_TEXTS, b"iCCP") and end <= size and not _stays(kind, file, length):
            dropped = True
            if not kept:
                kept.append((start, place))
        elif kept and kept[-1][1] == place:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((place if kept else start, end))
        place = end
        if kind == b"IEND":
            break
    file.seek(start)
    if not dropped:
        return file, profile
    out = io.BytesIO()
    for first, last in kept:
        file.seek(first)
        out.write(file.read(last - first))
    out.seek(0)
    return out, profile


def _stays(kind: bytes, file: BinaryIO, length: int) -> bool:
    if length > _MOST:
        return False
    text = file.read(length)
    if kind == b"iCCP":
        return _unpacks(text.partition(b"\0")[2][1:])
    keyword = next((word for word in _ORIENTATION if text.startswith(word)), None)
    if keyword is None:
        return False
    if kind == b"tEXt":
        return True
    # After the keyword: the method, or a flag, a method, a language and a translated keyword.
    rest = text[len(keyword) :]
    packed = kind == b"zTXt" or rest[:1] == b"\1"
    body = rest[1:] if kind == b"zTXt" else rest[2:].split(b"\0", 2)[-1]
    return not packed or _unpacks(body)


def _unpacks(data: bytes) -> bool:
    """Say whether compressed data can be unpacked, to 1 MB at most."""
    unpack = zlib.decompressobj()
    try:
        unpack.decompress(data, _MOST)
    except zlib.error:
        return False
    return not unpack.unconsumed_tail
