"""Is one picture a re-encoded, resized or turned copy of the other? A strict comparison.

What JPEG does to a picture is known: a copy names the quantisation tables that made it. So the
other picture is resized and encoded alike, and what then still differs is no compression. Two
product photos that differ in a shade of lipstick stay apart, while a copy of quality 30 is found.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from gingham.errors import ImageError
from gingham.images import open_image, read_file

Pixel = TypeVar("Pixel", np.uint8, np.float32)
Turn = Image.Transpose
TURNS: tuple[Turn | None, ...] = (None, *Turn)
"""The eight ways to lay a picture: as it is, mirrored, upside down, and on its sides."""

_BACK = {Turn.ROTATE_90: Turn.ROTATE_270, Turn.ROTATE_270: Turn.ROTATE_90}

_LAID: dict[Turn | None, tuple[int, bool]] = {
    None: (0, False),
    Turn.FLIP_LEFT_RIGHT: (0, True),
    Turn.FLIP_TOP_BOTTOM: (2, True),
    Turn.ROTATE_90: (1, False),
    Turn.ROTATE_180: (2, False),
    Turn.ROTATE_270: (3, False),
    Turn.TRANSPOSE: (3, True),
    Turn.TRANSVERSE: (1, True),
}
"""Quarter turns to the left, and whether mirrored after them."""

GRID = 8
"""Differences are averaged over this many blocks a side."""

SAME = (5.0, 3.0)
ALTERED = (10.0, 6.0)
"""The most that a block of a copy may differ, of 255: absolute, and signed, in any channel.

`SAME` holds where size and encoding are the copy's own, `ALTERED` where a filter or a quality had
to be guessed."""

TWINS = (1.5, 1.5)
"""The same of two that are of one size, laid alike and encoded alike: encoded so once more, a
picture hardly changes, and what differs was drawn, such as another shade of lipstick."""

RELATED = 0.8
"""The least likeness of a copy: faint drawings on white differ by little, whatever they show."""

GREY, COLOURED = 4, 24
"""Channels that are apart by less and by more, of 255, are of a grey picture and of one in colour;
what is between may be either, after compression."""

CLEAR = 0.4
"""By how much more, of 255, the worst block must differ one way to tell copy from original."""

_LARGE = 1024
_COMPARED = 256
_FILTERS = (
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.NEAREST,
)
_WEBP_QUALITIES = (90, 80, 65, 50)


@dataclass(frozen=True)
class Encoded:
    """A decoded picture and how it had been encoded.

    Attributes
    ----------
    picture : RGB, upright; no longer than 1024 pixels.
    tables, sampling : of a JPEG that was not made smaller here; None of others.
    webp : whether it was a lossy kind of WebP.
    """

    picture: Image.Image
    tables: dict[int, list[int]] | None = None
    sampling: int = -1
    webp: bool = False


@dataclass(frozen=True)
class Difference:
    """How far a picture is from being a copy of another.

    Attributes
    ----------
    block : mean absolute difference of the worst block, of 255.
    shift : mean signed difference of the worst block and channel, of 255.
    grey : one of the two is grey and the other is not; compared without colour.
    guessed : the resizing filter or the quality had to be guessed.
    original : -1 where the first is plainly what the second was made from, 1 the other way round,
        0 where that cannot be told.
    twins : size, lay and encoding of the two were the same to begin with.
    likeness : about the correlation of the two; 1 of two blank ones.

    References
    ----------
    Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity* (2004),
    equations 9 and 10: the likeness is contrast times structure, over the whole picture.
    """

    block: float
    shift: float
    grey: bool
    guessed: bool
    original: int = 0
    twins: bool = False
    likeness: float = 1.0

    @property
    def is_copy(self) -> bool:
        """Whether nothing but encoding, size and turn tells the two apart."""
        block, shift = TWINS if self.twins else ALTERED if self.guessed else SAME
        return self.block <= block and self.shift <= shift and self.likeness >= RELATED


def undo(turn: Turn | None) -> Turn | None:
    """Name the turn that takes another one back."""
    return turn if turn is None else _BACK.get(turn, turn)


def turned(pixels: NDArray[Pixel], turn: Turn | None) -> NDArray[Pixel]:
    """Lay (..., S, S, 3) squares as Pillow's `transpose` would."""
    # Rows are the last axis but two, columns the last but one.
    turns, mirrored = _LAID[turn]
    laid = np.rot90(pixels, turns, (-3, -2))
    return np.flip(laid, -2) if mirrored else laid


@lru_cache(maxsize=64)
def read_encoded(path: str, max_pixels: int) -> Encoded:
    """Read a picture and how it is encoded.

    Raises
    ------
    ImageError
        If it cannot be read (any more).
    """
    data = read_file(path)
    picture = open_image(data, max_pixels=max_pixels)
    if max(picture.size) > _LARGE:
        # Made this much smaller, compression averages out.
        picture.thumbnail((_LARGE, _LARGE))
        return Encoded(picture)
    with Image.open(io.BytesIO(data)) as header:
        if isinstance(header, JpegImagePlugin.JpegImageFile):
            return Encoded(picture, dict(header.quantization), JpegImagePlugin.get_sampling(header))
        return Encoded(picture, webp=header.format == "WEBP")


def difference(a: Encoded, b: Encoded, turn: Turn | None) -> Difference:
    """Measure how far `b` is from a copy of `a` laid by `turn`, or `a` from a copy of `b`."""
    less, more = sorted((_colour(a.picture), _colour(b.picture)))
    grey = less <= GREY and more >= COLOURED
    alike = a.tables is not None and (a.tables, a.sampling) == (b.tables, b.sampling)
    twins = turn is None and a.picture.size == b.picture.size and alike
    there, back = (
        replace(_explained(*pair, grey), twins=twins) for pair in ((a, b, turn), (b, a, undo(turn)))
    )
    best = min(there, back, key=lambda d: (not d.is_copy, d.block))
    # Encoded once more as it is already, an original changes; a copy made so does not.
    apart = there.block - back.block
    return replace(best, original=int(np.sign(apart)) if abs(apart) > CLEAR else 0)


def is_readable_copy(a: str, b: str, turn: Turn | None, max_pixels: int) -> Difference | None:
    """Compare two files; None if one of them cannot be read any more."""
    try:
        return difference(read_encoded(a, max_pixels), read_encoded(b, max_pixels), turn)
    except ImageError:
        return None


def _explained(original: Encoded, copy: Encoded, turn: Turn | None, grey: bool) -> Difference:
    laid = original.picture if turn is None else original.picture.transpose(turn)
    laid = laid.convert("L") if grey else laid
    resized = laid.size != copy.picture.size
    best: Difference | None = None
    for made in _imitations(laid, copy):
        smaller = min(laid.size, copy.picture.size)
        block, shift, likeness = _compare(made, copy.picture, grey, smaller)
        if best is None or block < best.block:
            best = Difference(block, shift, grey, resized or copy.webp, likeness=likeness)
        if best.block <= CLEAR / 2:
            break
    assert best is not None
    return best


def _imitations(laid: Image.Image, copy: Encoded) -> Iterator[Image.Image]:
    size = copy.picture.size
    for resampling in _FILTERS if laid.size != size else (None,):
        made = laid if resampling is None else laid.resize(size, resampling)
        if copy.tables is not None:
            yield _encode(made, format="JPEG", qtables=copy.tables, subsampling=copy.sampling)
        elif copy.webp:
            for quality in _WEBP_QUALITIES:
                yield _encode(made, format="WEBP", quality=quality)
        else:
            yield made


def _encode(picture: Image.Image, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, **options)  # type: ignore[arg-type]
    with Image.open(buffer) as made:
        return made.convert("RGB")


def _compare(
    a: Image.Image, b: Image.Image, grey: bool, smaller: tuple[int, int]
) -> tuple[float, float, float]:
    """Compare at the size of the smaller picture: the worst block's two differences, likeness."""
    shrink = min(1.0, _COMPARED / max(smaller))
    size = (max(GRID, round(smaller[0] * shrink)), max(GRID, round(smaller[1] * shrink)))
    a, b = ((one.convert("L") if grey else one.convert("RGB")) for one in (a, b))
    x, y = (
        np.asarray(one if one.size == size else one.resize(size, Image.Resampling.BOX), np.float32)
        for one in (a, b)
    )
    if grey:
        x, y = x[..., None], y[..., None]
    gap = x - y
    x, y = x - x.mean((0, 1)), y - y.mean((0, 1))
    # The 1 added, of 255 squared, makes two blank pictures like each other.
    likeness = (2 * (x * y).mean() + 1) / (np.square(x).mean() + np.square(y).mean() + 1)
    worst = float(_means(np.abs(gap)).mean(axis=2).max()), float(np.abs(_means(gap)).max())
    return *worst, float(likeness)


def _means(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average (H, W, C) over a grid of 8 x 8 blocks."""
    edges = [np.linspace(0, length, GRID + 1).astype(int)[:-1] for length in values.shape[:2]]
    sums = np.add.reduceat(np.add.reduceat(values, edges[0], axis=0), edges[1], axis=1)
    heights, widths = (
        np.diff([*edge, length]) for edge, length in zip(edges, values.shape[:2], strict=True)
    )
    means: NDArray[np.float32] = sums / (heights[:, None, None] * widths[None, :, None])
    return means


def _colour(picture: Image.Image) -> int:
    """Say how far the channels of the most colourful spot are apart."""
    small = np.asarray(picture.resize((16, 16), Image.Resampling.BOX), np.int16)
    return int((small.max(axis=2) - small.min(axis=2)).max())
