"""Which file holds which image: an append-only log, the truth about what is in the catalogue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa

from gingham.extract import absolute
from gingham.store.columns import column
from gingham.store.features import ImageId
from gingham.store.files import Files
from gingham.store.shards import Log, Replayed
from gingham.store.uploads import PREFIX

_SCHEMA = pa.schema(
    [
        # File names need not be text, so they are kept as the system's bytes.
        pa.field("image", pa.binary(), nullable=False),
        pa.field("id", pa.binary(32)),
    ]
)


_INSIDE = b"./"
"""Begins names that are relative to the root; neither absolute paths nor ids begin so."""

_OWN = os.fsencode(PREFIX)
"""Begins names of files that the catalogue keeps itself; they are relative to its folder."""

_SAMPLE = 64


class Locations(Replayed):
    """The files of a catalogue and the image each of them holds.

    An image is in the catalogue as long as one of its files is. A later event about a file
    replaces an earlier one; an event without an id removes the file.

    Threads may call all methods together; while another thread may append, `image_files` and
    `file_ids` are what to iterate over, not the dicts below.

    Parameters
    ----------
    files : of the catalogue.
    root : names of files below it are stored relative to it; None: all are stored as they are.

    Attributes
    ----------
    root : as given, or as found by `follow`.
    files : file name -> id, in the order they were added.
    images : id -> its files, in the order they were added.
    """

    def __init__(self, files: Files, root: str | None = None) -> None:
        self.root = root
        self._start = os.path.join(root or "", "")
        self._own = os.path.join(absolute(str(files)), PREFIX)
        self.files: dict[str, ImageId] = {}
        self.images: dict[ImageId, list[str]] = {}
        super().__init__(Log(files, "locations/", _SCHEMA))

    @classmethod
    def beside(cls, files: Files, home: str | None, folder: str | os.PathLike[str]) -> Self:
        """Read those of a catalogue in a folder that may have been moved.

        Parameters
        ----------
        files : of the catalogue.
        home : the root that was last known, if any.
        folder : the catalogue's; its parent is the root if that is where the files are now.
        """
        parent = str(Path(os.path.abspath(folder)).parent)
        found = cls(files, home or parent)
        found.follow(parent)
        return found

    def follow(self, root: str) -> bool:
        """Take another root if, of a sample, files are there, and no fewer than below this one."""
        if self.root is None or root == self.root or _is_same(root, self.root):
            return False
        with self._changing:
            old = self._start
            inside = [name for name in self.files if name.startswith(old)]
            sample = inside[:: len(inside) // _SAMPLE + 1]
            there = sum(not is_missing(os.path.join(root, x.removeprefix(old))) for x in sample)
            if not there or there < sum(not is_missing(name) for name in sample):
                return False
            self.root, self._start = root, os.path.join(root, "")
            self.files.clear()
            self.images.clear()
            self.version = 0
            self._catch_up()
        return True

    def _encode(self, name: str) -> bytes:
        if name.startswith(self._own):
            return _OWN + os.fsencode(name.removeprefix(self._own))
        if self.root is not None and name.startswith(self._start):
            return _INSIDE + os.fsencode(name.removeprefix(self._start))
        return os.fsencode(name)

    def _decode(self, name: bytes) -> str:
        if name.startswith(_OWN):
            return self._own + os.fsdecode(name.removeprefix(_OWN))
        if self.root is not None and name.startswith(_INSIDE):
            return self._start + os.fsdecode(name.removeprefix(_INSIDE))
        return os.fsdecode(name)

    def image_files(self) -> list[tuple[ImageId, list[str]]]:
        """List every image with its files."""
        with self._changing:
            return [(image_id, list(files)) for image_id, files in self.images.items()]

    def file_ids(self) -> list[tuple[str, ImageId]]:
        """List every file with the id of its image."""
        with self._changing:
            return list(self.files.items())

    def missing(self) -> list[str]:
        """List the files that have left the disk; see `is_missing`."""
        return [name for name, _ in self.file_ids() if is_missing(name)]

    def _take_in(self, events: pa.Table) -> None:
        for image, image_id in zip(*(c.to_pylist() for c in events.columns), strict=True):
            self._apply(self._decode(image), image_id)

    def removed(self, first: int, last: int) -> dict[str, ImageId]:
        """Name the files that were removed between two versions of the log, with their ids."""
        known: dict[str, ImageId] = {}
        gone: dict[str, ImageId] = {}
        for version, shard in enumerate(self._log.names()[:last]):
            columns = self._log.table(shard).columns
            for image, image_id in zip(*(c.to_pylist() for c in columns), strict=True):
                name = self._decode(image)
                if image_id is not None:
                    known[name] = image_id
                elif (old := known.pop(name, None)) is not None and version >= first:
                    gone[name] = old
        return gone

    def append(self, events: Sequence[tuple[str, ImageId | None]]) -> None:
        """Add events (file name, id or None to remove it); durable when this returns."""
        if not events:
            return
        names, ids = zip(*events, strict=True)
        columns = [
            column([self._encode(name) for name in names], pa.binary()),
            column(ids, pa.binary(32)),
        ]
        with self._changing:
            try:
                self._log.append(pa.Table.from_arrays(columns, schema=_SCHEMA))
            except BaseException:
                self._catch_up()
                raise
            for name, image_id in events:
                self._apply(name, image_id)
            self.version += 1

    def _apply(self, name: str, image_id: ImageId | None) -> None:
        old = self.files.get(name)
        if old == image_id:
            return
        if old is not None:
            self.images[old].remove(name)
            if not self.images[old]:
                del self.images[old]
            del self.files[name]
        if image_id is not None:
            self.files[name] = image_id
            self.images.setdefault(image_id, []).append(name)


def has_path(name: str) -> bool:
    """Say whether a name is a path; an image that was given as bytes has its id instead."""
    return os.sep in name


def is_missing(name: str) -> bool:
    """Say whether a file of a catalogue has left the disk.

    One that cannot be looked at, say for want of permission, is not known to be missing. Of an
    image inside a table the table counts.
    """
    table = name.rpartition("#")[0]
    paths = [name, table] if table.lower().endswith(".parquet") else [name]
    return has_path(name) and all(map(_is_gone, paths))


def _is_gone(path: str) -> bool:
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False


def _is_same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
