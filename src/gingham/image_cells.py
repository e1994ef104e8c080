"""Images that the cells of a table name: where a path leads."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Self

from gingham.errors import InputError
from gingham.formats.content import ImageInside

_SCHEME = re.compile(r"(?:^|/)([A-Za-z][A-Za-z0-9+.-]+):/")
_DRIVE = re.compile(r"(?:^|/)[A-Za-z]:[\\/]|^\\\\")


class Unfound(str):
    """A path in a table that leads to no file; `reason` says where it was looked for."""

    reason: str

    @classmethod
    def of(cls, name: str, reason: str) -> Self:
        """Make one."""
        made = cls(name)
        made.reason = reason
        return made


def resolve(image: Any, folder: Path) -> str:
    """Find the file that a cell of a table in `folder` means: relative to it, or to here.

    Spaces around a path are left out where there is no file with them.

    Raises
    ------
    InputError
        If the cell is not text.
    """
    if not isinstance(image, str):
        raise InputError(f"the image is {type(image).__name__}, not a path")
    if not image.strip():
        return Unfound.of("", "no image is named")
    if isinstance(image, ImageInside):
        return os.path.abspath(os.path.join(folder, image))
    tried = []
    for name in dict.fromkeys((image, image.strip())):
        tried = [os.path.join(folder, name), name]
        for path in tried:
            if os.path.lexists(path):
                return path
    if foreign := _foreign(name):
        return Unfound.of(name, foreign)
    beside = os.path.abspath(tried[0])
    return Unfound.of(
        beside,
        "no such file: "
        + (
            f"{name}: check the path"
            if os.path.isabs(name)  # noqa: PTH117
            else f"{beside} (relative to the table), nor {os.path.abspath(name)} "
            "(relative to the working folder)"
        ),
    )


def why_missing(path: str | os.PathLike[str]) -> str:
    """Say why there is no file of that path, and which path was tried."""
    name = os.fspath(path)
    if isinstance(name, Unfound):
        return name.reason
    if reason := _foreign(name):
        return reason
    if os.path.isabs(name):  # noqa: PTH117  (Path keeps parts of names)
        return "no such file: check the path"
    return f"no such file: {os.path.abspath(name)} (relative to the working folder)"


def _foreign(name: str) -> str | None:
    """Say why a path cannot be one here."""
    if found := _SCHEME.search(name):
        return f"a URL ({found[1]}:), which is not read: fetch the images with gingham download"
    if os.name != "nt" and _DRIVE.search(name):
        return "a path of Windows, and this system is another: give the path that it has here"
    return None
