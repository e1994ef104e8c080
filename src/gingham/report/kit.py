"""The kit of every page: templates filled with plain data, one file, nothing fetched."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gingham.errors import ImageError, InputError
from gingham.images import ImageSource, open_image, read_source
from gingham.options import ReadOptions
from gingham.store.files import replace_file

if TYPE_CHECKING:
    from jinja2 import Environment

UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""What a page cannot hold: control characters, and odd bytes of file names."""


@dataclass(frozen=True)
class Cell:
    """A cell of a table that is more than text: a small note, or the class of its `td`."""

    text: str
    small: str = ""
    tone: str = ""


def render(template: str, /, **data: Any) -> str:
    """Fill a template of `gingham/report/templates`.

    All values are escaped, and what a page cannot hold (control characters, odd bytes of file
    names) is replaced.
    """
    return _environment().get_template(template).render(data)


def write_page(path: Path, template: str, /, **data: Any) -> None:
    """Fill a template and write it as UTF-8, whole or not at all."""
    page = render(template, **data)
    replace_file(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


def check_page(path: Path, what: str) -> None:
    """Refuse a page that could not be written, before the work for it.

    Raises
    ------
    InputError
        If it does not end in .html, or its folder is not there.
    """
    if path.suffix.lower() != ".html":
        raise InputError(f"{what} {path}: expected a name that ends in .html")
    if not path.parent.is_dir():
        raise InputError(f"{what} {path}: there is no folder {path.parent}; create it first")


def thumbnail(
    image: ImageSource, size: int, *, max_pixels: int = ReadOptions().max_pixels, quality: int = 82
) -> str | None:
    """Make a small copy of an image: a `data:` address, or None if it cannot be read.

    Parameters
    ----------
    image : as everywhere.
    size : its longest side, in pixels.
    max_pixels : see `gingham.ReadOptions`.
    quality : of the JPEG, in percent.
    """
    try:
        picture = open_image(read_source(image), max_pixels=max_pixels, draft=size)
    except ImageError:
        return None
    return data_uri(picture, size, quality=quality)


def data_uri(picture: Image.Image, size: int, *, quality: int = 82) -> str:
    """Write a picture of `size` pixels at most into a `data:` address."""
    made = small_jpeg(picture, size, quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(made).decode("ascii")


def small_jpeg(picture: Image.Image, size: int, *, quality: int = 82) -> bytes:
    """Write a JPEG whose longer side is `size` pixels at most; `quality` in percent."""
    small = picture.copy()
    small.thumbnail((size, size))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def figure(value: float | None) -> str:
    """Write a figure with three digits; nothing if there is none."""
    return "" if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Write a share in percent; the ends only where they are reached."""
    if value is None:
        return ""
    if 0 < value < 0.001:
        return "<0.1 %"
    if 0.999 < value < 1:
        return ">99.9 %"
    return f"{100 * value:.1f} %"


def counted(n: int, noun: str) -> str:
    """Write a number of things."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def short(image: str) -> str:
    """Cut a file's name off its path."""
    return image.replace("\\", "/").rsplit("/", 1)[-1]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=PackageLoader("gingham.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What a template or macro made is clean already.
        finalize=lambda value: value if isinstance(value, Markup) else _clean(value),
    )
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    made.filters |= {"figure": figure, "percent": percent, "counted": counted, "short": short}
    return made


def _clean(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value)
