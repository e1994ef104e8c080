"""Images inside files, known as `FILE#MEMBER`: which file that is, and how they are read."""

from __future__ import annotations

import re
from pathlib import Path

from gingham.formats.table import FORMATS

_MEMBERS = {suffix: one.member for one in FORMATS if one.member for suffix in one.suffixes}
_INSIDE = re.compile("(?:" + "|".join(map(re.escape, _MEMBERS)) + ")#", re.IGNORECASE)


def container(name: str) -> str | None:
    """Give the file that an image is inside of; None: its name is not `FILE#MEMBER`."""
    if "#" not in name:
        return None
    ends = [found.end() - 1 for found in _INSIDE.finditer(name)]
    # A folder may be called as if it were an archive.
    return next((name[:end] for end in ends if Path(name[:end]).is_file()), None) or (
        name[: ends[0]] if ends else None
    )


def read_inside(name: str) -> bytes | None:
    """Read an image inside a file; None if its name is not `FILE#MEMBER`.

    Raises
    ------
    ImageError
        If the file has no such image any more, or it cannot be read.
    """
    file = container(name)
    if file is None or not Path(file).is_file():
        return None
    read = _MEMBERS[Path(file).suffix.lower()]
    return read(file, name[len(file) + 1 :])
