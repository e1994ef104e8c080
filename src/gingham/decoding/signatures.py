"""What a file is by its first bytes: which decoders may try it, or why none may.

Only decoders on the list here are ever asked, whatever the name of a file says: none starts another
program or follows a reference to another file.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable
from importlib.util import find_spec

from PIL import Image, TiffImagePlugin

from gingham.errors import ImageError, MissingExtraError

HEAD = 4096
"""So many bytes say what a file is."""

LARGE = 64 << 20
"""Files of more bytes are never held in memory whole."""

DECODERS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "TIFF",
    "AVIF",
    "BMP",
    "DIB",
    "JPEG2000",
    "PPM",
    "TGA",
    "ICO",
    "CUR",
    "ICNS",
    "PSD",
    "PCX",
    "QOI",
    "SGI",
    "SUN",
    "DDS",
    "FITS",
    "MSP",
    "XBM",
    "XPM",
)
HEIC = "HEIC"
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2", "SUN": ".ras"}
"""Of decoders whose files are not called by their name."""
NOT_AN_IMAGE = "not an image in a known format: give JPEG, PNG, WebP, GIF, TIFF, BMP or the like"

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_CONTAINER_BRANDS = {b"mif1", b"msf1", b"miaf"}
_VIDEO = "a video, not an image: give single frames of it as pictures"
RAW = "a camera's raw file: export it to JPEG"
_POSTSCRIPT = "PostScript is a program, not pixels: render it to PNG"
_JPEG_XL = "JPEG XL cannot be read: save it as JPEG or PNG"
_ARCHIVE = "an archive, not an image: unpack it"
_COMPRESSED = "compressed, not an image: unpack it"
_FLOATS = "floating-point pixels have no defined range: save it with 8 or 16 bits"
_TEXT = "Base64 text, not the image itself: decode it"
_PAGE = "an HTML page, not an image: the download went wrong, fetch it again"
_ERROR = "an error message of a server, not an image: the download went wrong, fetch it again"

# Behind instructions, comments and the type; atomic, so that many comments cost no more than few.
_SVG = re.compile(
    rb"(?>\s+|<\?.*?\?>|<!--.*?-->|<!doctype[^\[>]*(?:\[.*?\]\s*)?>)*+<svg\b", re.DOTALL
)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the image itself: run git lfs pull"),
    (b"/annex/objects/", "a git-annex pointer, not the image itself: run git annex get"),
    (b"%!ps", _POSTSCRIPT),
    (b"\x04%!ps", _POSTSCRIPT),
    (b"\xc5\xd0\xd3\xc6", _POSTSCRIPT),
    (b"%pdf", "a PDF, not an image: render its pages to PNG"),
    (b"at&tform", "a DjVu document, not an image: render its pages to PNG"),
    (b"\xff\x0a", _JPEG_XL),
    (b"\0\0\0\x0cjxl \r\n\x87\n", _JPEG_XL),
    (b"II\xbc", "JPEG XR cannot be read: save it as JPEG or PNG"),
    (b"v/1\x01", _FLOATS),
    (b"#?radiance", _FLOATS),
    (b"IIU\0", RAW),
    (b"IIRO", RAW),
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"\x1aE\xdf\xa3", _VIDEO),
    (b"\0\0\x01\xba", _VIDEO),
    (b"\0\0\x01\xb3", _VIDEO),
    (b"oggs", _VIDEO),
    (b"flv\x01", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),
    (b"gimp xcf", "a GIMP project, not an image: export it to PNG"),
    (b"\xd7\xcd\xc6\x9a", "WMF is a drawing, not pixels: render it to PNG"),
    (b"\x01\0\0\0\x6c\0\0\0", "EMF is a drawing, not pixels: render it to PNG"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
    (b"data:image/", _TEXT),
    (b"/9j/", _TEXT),
    (b"iVBORw0KGgo", _TEXT),
    (b"pk\x03\x04", "an archive (or an office document), not an image: unpack it"),
    (b"rar!", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"\x1f\x8b", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\xfd7zXZ\0", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"\0\x05\x16\x07", "what macOS keeps beside a file, not the image itself: leave it out"),
)


def check_head(head: bytes) -> None:
    """Refuse a file with these first bytes, unless a decoder may try it.

    Raises
    ------
    ImageError
        With the reason.
    """
    if not head:
        raise ImageError("the file is empty: copy or export it again")
    if reason := why_not(head):
        raise ImageError(reason)


def why_not(head: bytes) -> str | None:
    """Say why a file with these first bytes is not read; None if a decoder may try.

    Parameters
    ----------
    head : the first `HEAD` bytes, or fewer of a smaller file.
    """
    # Two that a decoder would try.
    if head[8:10] == b"CR" or head[:15] == b"FUJIFILMCCD-RAW":
        return RAW
    if head[:6] == b"8BPS\0\x02":
        return "a large Photoshop document (PSB): export it to PNG"
    if decoders(head):
        return None
    lower = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for signature, reason in _SIGNATURES:
        if lower.startswith(signature) or head.startswith(signature):
            return reason
    if _brands(head) & _HEIC_BRANDS or (_brands(head) & _CONTAINER_BRANDS):
        return f"{MissingExtraError('pillow-heif', extra='heif', purpose='HEIC')}"
    if b"crx " in _brands(head):
        return RAW
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide") or (
        head[:4] == b"RIFF" and head[8:12] == b"AVI "
    ):
        return _VIDEO
    if _SVG.match(lower):
        return "SVG is a drawing, not pixels: render it to PNG"
    if lower.startswith(b"<?xml") or lower.startswith(b"<error>"):
        if b"<html" in lower:
            return _PAGE
        return _ERROR if b"<error" in lower else "an XML document, not an image: give image files"
    if lower.startswith((b'{"', b"{\n", b"{ ", b'[{"')):
        return "JSON, not an image: the download went wrong, fetch it again"
    if head[257:262] == b"ustar":
        return _ARCHIVE
    if head[128:132] == b"DICM":
        return "DICOM cannot be read: export it to PNG"
    if not head.strip(b"\0"):
        return "nothing but zeros at its start: it was not copied whole, copy it again"
    return NOT_AN_IMAGE


def decoders(head: bytes) -> list[str]:
    """Name the decoders that may try a file with these first bytes; none if it is refused."""
    brands = _brands(head)
    if brands & _HEIC_BRANDS or (brands & _CONTAINER_BRANDS and not brands & _AVIF_BRANDS):
        return [HEIC] if find_spec("pillow_heif") else []
    found: list[str] = []
    # The common decoders first: to import all of them takes a tenth of a second.
    for load in (Image.preinit, Image.init):
        load()
        found = [name for name in DECODERS if name in Image.OPEN and _accepts(name, head)]
        if found:
            break
    return found


def suffix_of(head: bytes) -> str:
    """Give the usual suffix of a file with these first bytes, which a decoder may try."""
    name = decoders(head)[0]
    return _SUFFIXES.get(name, f".{name.lower()}")


def _accepts(name: str, head: bytes) -> bool:
    if name == "TGA":
        return _is_tga(head)
    accept: Callable[[bytes], bool | str] | None = Image.OPEN[name][1]
    try:
        # A decoder that is not installed answers with a text.
        return accept is not None and accept(head[:16]) is True
    except (struct.error, IndexError):  # fewer bytes than it looks at
        return False


def _is_tga(head: bytes) -> bool:
    """TGA has no signature: go by what every field of its header may hold."""
    if len(head) < 18:
        return False
    has_map, kind = head[1], head[2]
    width, height = struct.unpack_from("<HH", head, 12)
    return (
        ((has_map == 1 and kind in (1, 9)) or (has_map == 0 and kind in (2, 3, 10, 11)))
        and (has_map == 1 or head[3:8] == bytes(5))
        and head[16] in (1, 8, 15, 16, 24, 32)
        and head[17] & 0xC0 == 0
        and width > 0
        and height > 0
    )


def _brands(head: bytes) -> set[bytes]:
    """Give the brands of a file in the ISO base media format (HEIC, AVIF, MP4); else none."""
    if head[4:8] != b"ftyp":
        return set()
    size = min(int.from_bytes(head[:4], "big"), len(head))
    return {head[8:12], *(head[i : i + 4] for i in range(16, size - 3, 4))}


def why_unreadable(data: bytes) -> str | None:
    """Say which variant of a format it is that its decoder does not read; None if it is none."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _tiff_variant(data)
    if data[:2] == b"\xff\xd8":
        frame = _jpeg_frame(data)
        if frame is not None and frame[1] != 8:
            return f"JPEG of {frame[1]} bits a channel cannot be read: save it with 8"
        if frame is not None and frame[0] in (0xC3, 0xC7, 0xCB, 0xCF):
            return "lossless JPEG cannot be read: save it as PNG"
    return None


def is_preview(image: Image.Image) -> bool:
    """Say whether what Pillow shows of a TIFF is the preview of a camera's raw file (DNG, NEF)."""
    tags = getattr(image, "tag_v2", {})
    return 50706 in tags or (330 in tags and bool(tags.get(254, 0) & 1))


def _jpeg_frame(data: bytes) -> tuple[int, int] | None:
    """Give the frame marker (0xC0 to 0xCF) of a JPEG and its bits a channel; None without one."""
    place = 2
    while place + 5 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return marker, data[place + 4]
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def _tiff_variant(data: bytes) -> str | None:
    try:
        directory = TiffImagePlugin.ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(directory.next)
        directory.load(file)
        kinds = directory.get(339, (1,))
        bits = directory.get(258, (1,))
        colours = directory.get(262)
    except Exception:
        # Damaged so early that nothing can be said of its kind.
        return None
    if colours in (32803, 34892):  # of a sensor
        return RAW
    if 3 in (kinds if isinstance(kinds, tuple) else (kinds,)):
        return _FLOATS
    depth = max(bits if isinstance(bits, tuple) else (bits,))
    if depth not in (1, 8):
        return f"TIFF of {depth} bits a channel and this layout cannot be read: save it as PNG"
    return None
