"""Tar archives, read without unpacking: which files they hold, and where."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gingham.errors import ImageError
from gingham.formats.members import digest, is_clutter

_TABLE = [("name", np.uint64), ("start", np.int64), ("size", np.int64)]


class PackedFile(NamedTuple):
    """A file of an archive: where its bytes are, and why it is not read."""

    name: str
    start: int
    size: int
    bad: str | None


def packed_files(archive: str) -> Iterator[PackedFile]:
    """List the files of an archive as they follow each other, without holding them."""
    length = os.stat(archive).st_size
    with Path(archive).open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        name = None
        try:
            while (one := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]
                name, bad = one.name, None
                ends = one.offset_data + one.size
                if ends > length:
                    bad = "the archive ends in the middle of it: copy the archive again"
                elif not one.isreg() or one.issparse():
                    bad = "a link or a device, not a file: pack the file itself"
                if not one.isdir() and not is_clutter(name):
                    yield PackedFile(name, one.offset_data, one.size, bad)
                if ends > length:
                    return
            file.seek(tar.offset)
            whole = file.read(512) == bytes(512)
        except tarfile.ReadError:
            if name is None:
                raise
            whole = False
        if not whole:
            yield PackedFile(
                f"after {name}", 0, 0, "the archive is cut off or damaged: copy it again"
            )


def member(file: str, name: str) -> bytes:
    """Read a file of an archive."""
    try:
        found = places(file, os.stat(file).st_mtime_ns)
        at = int(np.searchsorted(found["name"], np.uint64(digest(name))))
        if at == len(found) or found["name"][at] != digest(name):
            raise ImageError(f"{file} has no file {name}: the archive has changed")
        with Path(file).open("rb") as archive:
            archive.seek(int(found["start"][at]))
            return archive.read(int(found["size"][at]))
    except (OSError, tarfile.TarError) as error:
        raise ImageError(f"{name} in {file} cannot be read: {error}") from None


@lru_cache(maxsize=4)
def places(archive: str, changed: int) -> NDArray[Any]:
    """Say where which file is, in the order of the digests of their names."""
    try:
        files = ((digest(one.name), one.start, one.size) for one in packed_files(archive))
        found = np.fromiter(files, _TABLE)
    except tarfile.TarError as error:
        raise ValueError(f"it is no tar archive, or damaged: {error}") from None
    found.sort(order="name")
    return found
