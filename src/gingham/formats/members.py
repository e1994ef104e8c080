"""What holds for the files inside every archive: names, sizes, and which of them are images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from gingham.formats.content import ImageInside, Row

MOST_BYTES = 256 << 20
"""Of one file; what says it is larger, or is, is not unpacked."""

CLUTTER = frozenset({"__macosx", "@eadir", "desktop.ini", "thumbs.db"})


def is_clutter(name: str) -> bool:
    """Say whether systems and file managers left a file there, or it is hidden."""
    return any(part.startswith(".") and part.strip(".") for part in name.split("/")) or any(
        part.lower() in CLUTTER for part in name.split("/")
    )


def why_not(name: str, size: int) -> str | None:
    """Say why a file of an archive is not read; None if it may be."""
    if not name.isprintable() or "\\" in name or not all(p.strip(".") for p in name.split("/")):
        return "its name is no plain path below the archive: pack it again under another name"
    if size > MOST_BYTES:
        return f"it unpacks to {size} bytes, more than {MOST_BYTES}: unpack the archive yourself"
    return None


def digest(name: str) -> int:
    """Give 64 bits by which a name is known, so that a million of them need little memory."""
    return int.from_bytes(hashlib.blake2b(name.encode(errors="replace"), digest_size=8).digest())


def repeated(digests: Iterable[int]) -> frozenset[int]:
    """Give those that are there more than once: it is not known which file is meant."""
    found: NDArray[np.uint64] = np.fromiter(digests, np.uint64)
    found.sort()
    return frozenset(found[1:][found[1:] == found[:-1]].tolist())


TWICE = "two files of the archive have this name: which is meant is not known"


def row(number: int, archive: str, name: str, reason: str | None) -> Row:
    """Give the row of a file of an archive; its value is the folder that it is in."""
    folder = name.split("/")[-2] if "/" in name else None
    return Row(number, {"image": ImageInside(f"{archive}#{name}"), "folder": folder}, reason)


def numbered(rows: Iterator[Row]) -> Iterator[Row]:
    """Number rows from 1."""
    for number, one in enumerate(rows, 1):
        yield Row(number, one.cells, one.bad)
