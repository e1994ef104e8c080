"""Zip archives of images, read without unpacking."""

from __future__ import annotations

import errno
import os
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from gingham.errors import ImageError
from gingham.formats.content import Content, Row
from gingham.formats.members import MOST_BYTES, TWICE, digest, is_clutter, repeated, row, why_not

MOST_FILES = 300_000
"""Of an archive: its list of files is held in memory."""


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """List the files of an archive: columns `image` and `folder`, the innermost that it is in."""
    archive = _opened(os.fspath(path), path.stat().st_mtime_ns)
    files = [one for one in archive.infolist() if not one.is_dir()]
    twice = repeated(digest(one.filename) for one in files)

    def rows() -> Iterator[Row]:
        for number, one in enumerate(files, 1):
            if not is_clutter(one.filename):
                reason = TWICE if digest(one.filename) in twice else None
                reason = why_not(one.filename, one.file_size) or reason
                yield row(number, path.name, one.filename, reason)

    return Content(["image", "folder"], rows())


def member(file: str, name: str) -> bytes:
    """Read a file of an archive; no more is unpacked than the archive says it has."""
    try:
        archive = _opened(file, os.stat(file).st_mtime_ns)
        found = archive.getinfo(name)
        if reason := why_not(name, found.file_size):
            raise ImageError(reason)
        with archive.open(found) as opened:
            return opened.read(MOST_BYTES)
    except KeyError:
        raise ImageError(f"{file} has no file {name}: the archive has changed") from None
    except RuntimeError as error:
        if "password" not in str(error) and not isinstance(error, NotImplementedError):
            raise
        what = "encrypted" if "password" in str(error) else "packed in a way that is not read"
        raise ImageError(f"{name} is {what}: unpack {file}, and give the folder") from None
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ImageError(f"{name} in {file} is damaged: {error}") from None


@lru_cache(maxsize=2)
def _opened(file: str, changed: int) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise ValueError("it is no zip archive, or truncated: copy it again") from None
    if len(archive.filelist) > MOST_FILES:
        archive.close()
        raise ValueError(f"it holds more than {MOST_FILES} files: unpack it, and give the folder")
    return archive
