"""Which file holds which image: an append-only log, the truth about what is in the catalogue."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gingham.extract import absolute
from gingham.formats.inside import container
from gingham.object_storage import is_object, is_object_address
from gingham.store.columns import column
from gingham.store.features import ImageId
from gingham.store.files import Files
from gingham.store.ids import Ids
from gingham.store.kept import Kept
from gingham.store.known_files import FileIds, ImageFiles, KnownFiles
from gingham.store.places import lasting
from gingham.store.settled import Settled
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

_MANY = 20_000
"""Events that are not taken in one by one."""


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
    kept : a file in which what the log adds up to may be kept; see `keep`.

    Attributes
    ----------
    root : as given, or as found by `follow`.
    files : file name -> id, in the order they were added.
    images : id -> its files, in the order they were added.
    """

    def __init__(self, files: Files, root: str | None = None, kept: Path | None = None) -> None:
        self.root = root
        self._start = os.path.join(root or "", "")
        self._own = os.path.join(absolute(str(files)), PREFIX)
        self._kept = Kept(kept)
        self._rewritten = False
        # Of what is kept: the shards of the log, and the files. None: not looked for yet.
        self._covered: tuple[int, int] | None = None
        self._known = self._settled(Settled.empty())
        self.files: Mapping[str, ImageId] = FileIds(lambda: self._known)
        self.images = ImageFiles(lambda: self._known)
        super().__init__(Log(files, "locations/", _SCHEMA))

    @classmethod
    def beside(
        cls,
        files: Files,
        home: str | None,
        folder: str | os.PathLike[str],
        kept: Path | None = None,
    ) -> Self:
        """Read those of a catalogue in a folder that may have been moved.

        Parameters
        ----------
        files : of the catalogue.
        home : the root that was last known, if any.
        folder : the catalogue's; its parent is the root if that is where the files are now.
        kept : see above.
        """
        parent = os.path.dirname(absolute(folder))  # noqa: PTH120
        found = cls(files, home or parent, kept)
        found.follow(parent)
        return found

    def follow(self, root: str) -> bool:
        """Take another root if, of a sample, files are there, and no fewer than below this one."""
        if self.root is None or root == self.root or _is_same(root, self.root):
            return False
        with self._changing:
            if self._known.changed:
                self._known = self._settled(self._known.settled.after([self._changes()]))
            inside = self._known.settled.starting(_INSIDE)
            sample = inside[:: len(inside) // _SAMPLE + 1].tolist()
            names = [self._known.settled.name(file).removeprefix(_INSIDE) for file in sample]
            below = [os.fsdecode(name) for name in names]
            there = sum(not is_missing(os.path.join(root, name)) for name in below)
            if not there or there < sum(not is_missing(self._start + name) for name in below):
                return False
            self.root, self._start = root, os.path.join(root, "")
            self.version, self._covered = 0, None
            self._catch_up()
        return True

    def encode(self, name: str) -> bytes:
        """Give what is stored of the name of a file."""
        if name.startswith(self._own):
            return _OWN + os.fsencode(name.removeprefix(self._own))
        if self.root is not None and name.startswith(self._start):
            return _INSIDE + os.fsencode(name.removeprefix(self._start))
        return os.fsencode(name)

    def decode(self, name: bytes) -> str:
        """Give the name of a file that was stored."""
        if name.startswith(_OWN):
            return self._own + os.fsdecode(name.removeprefix(_OWN))
        if self.root is not None and name.startswith(_INSIDE):
            return self._start + os.fsdecode(name.removeprefix(_INSIDE))
        return os.fsdecode(name)

    def _settled(self, settled: Settled) -> KnownFiles:
        return KnownFiles(lambda: settled, (len(settled.ends), len(settled.ids)), self)

    def _catch_up(self) -> bool:
        if self._covered is None:
            self._begin()
        new = self._log.names()[self.version :]
        tables = [self._log.table(shard) for shard in new]
        if sum(map(len, tables)) > _MANY:
            changes = [self._changes()] if self._known.changed else []
            events = [self._canonical(table) for table in tables]
            self._known = self._settled(self._known.settled.after([*changes, *events]))
        else:
            for table in tables:
                self._take_in(table)
        self.version += len(new)
        return bool(new)

    def _begin(self) -> None:
        """Start with what was kept, or with nothing."""
        self._covered, self._known = (0, 0), self._settled(Settled.empty())
        self._rewritten = False
        head = self._kept.head()
        if head is None or not self._fits(head):
            return
        version, counts = head["version"], (head["files"], head["images"])

        def load() -> Settled:
            arrays = self._kept.arrays(head)
            if arrays is not None:
                return Settled.from_arrays(arrays)
            # Damaged, or replaced since.
            shards = self._log.names()[:version]
            return Settled.empty().after([self._canonical(self._log.table(x)) for x in shards])

        known = KnownFiles(load, counts, self)
        if [self.root, self._own] != head["roots"] and (
            head["rewritten"] or any(len(known.settled.starting(x)) for x in self._others())
        ):
            return
        self._rewritten = head["rewritten"]
        self._known, self.version, self._covered = known, version, (version, counts[0])

    def _fits(self, head: dict[str, Any]) -> bool:
        shards = self._log.names()
        return (
            {"version", "files", "images", "last", "roots", "rewritten"} <= head.keys()
            and 0 < head["version"] <= len(shards)
            and head["last"] == self._mark(shards[head["version"] - 1])
        )

    def _mark(self, shard: str) -> list[str]:
        # The last number is used again if its shard was deleted, say because it was damaged.
        return [shard, self._log.digest(shard)]

    def keep(self) -> None:
        """Keep what the log adds up to, if going through what is new takes a while at a start."""
        with self._changing:
            version, files = self._covered or (0, 0)
            shards, count = self._log.names()[: self.version], self._known.file_count
            sizes = [abs(count - files), *[0] * (self.version - version - 1)]
            if not shards or version == self.version or not lasting(files, sizes):
                return
            if self._known.changed:
                self._known = self._settled(self._known.settled.after([self._changes()]))
            settled = self._known.settled
            head = {
                "version": self.version,
                "last": self._mark(shards[-1]),
                "files": len(settled.ends),
                "images": len(settled.ids),
                "roots": [self.root, self._own],
                "rewritten": self._rewritten,
            }
            self._kept.put(head, settled.to_arrays())
            self._covered = self.version, len(settled.ends)

    def _changes(self) -> pa.Table:
        """Give what came since the arrays were made as events."""
        names, ids = zip(*self._known.changed.items(), strict=True)
        return self._events([self.encode(name) for name in names], ids)

    def _others(self) -> list[bytes]:
        """List how names begin that would be stored otherwise today."""
        starts = [self._own] if self.root is None else [self._own, self._start]
        found = [os.fsencode(start) for start in starts]
        if self.root is not None and self._own.startswith(self._start):
            found.append(_INSIDE + os.fsencode(self._own.removeprefix(self._start)))
        return found

    def _canonical(self, events: pa.Table) -> pa.Table:
        """Store names as they would be today: catalogues of format 2 have only absolute ones."""
        import pyarrow.compute as pc

        names = events["image"]
        if not any(pc.any(pc.starts_with(names, start)).as_py() for start in self._others()):
            return events
        self._rewritten = True
        again = [self.encode(self.decode(name)) for name in names.to_pylist()]
        return events.set_column(0, "image", column(again, pa.binary()))

    @staticmethod
    def _events(names: Sequence[bytes], ids: Sequence[ImageId | None]) -> pa.Table:
        columns = [column(names, pa.binary()), column(ids, pa.binary(32))]
        return pa.Table.from_arrays(columns, schema=_SCHEMA)

    def image_files(self) -> list[tuple[ImageId, list[str]]]:
        """List every image with its files."""
        with self._changing:
            return [(image_id, list(files)) for image_id, files in self._known.image_files()]

    def copies(self) -> dict[ImageId, list[str]]:
        """List the files of those images that have several."""
        with self._changing:
            return self._known.copies()

    def file_ids(self) -> list[tuple[str, ImageId]]:
        """List every file with the id of its image."""
        with self._changing:
            return list(self._known.file_ids())

    def ids(self) -> Ids:
        """Give the ids of all images, in the order of `image_files`."""
        with self._changing:
            return self._known.ids()

    def has(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which of N images are in the catalogue."""
        with self._changing:
            return self._known.has(ids)

    def missing(self) -> list[str]:
        """List the files that have left the disk; see `is_missing`."""
        return [name for name, _ in self.file_ids() if is_missing(name)]

    def _take_in(self, events: pa.Table) -> None:
        for image, image_id in zip(*(c.to_pylist() for c in events.columns), strict=True):
            name = self.decode(image)
            self._rewritten |= self.encode(name) != image
            self._known.apply(name, image_id)

    def removed(self, first: int, last: int) -> dict[str, ImageId]:
        """Name the files that were removed between two versions of the log, with their ids."""
        known: dict[str, ImageId] = {}
        gone: dict[str, ImageId] = {}
        for version, shard in enumerate(self._log.names()[:last]):
            columns = self._log.table(shard).columns
            for image, image_id in zip(*(c.to_pylist() for c in columns), strict=True):
                name = self.decode(image)
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
        with self._changing:
            try:
                self._log.append(self._events([self.encode(name) for name in names], ids))
            except BaseException:
                self._catch_up()
                raise
            for name, image_id in events:
                self._known.apply(name, image_id)
            self.version += 1
            if len(self._known.changed) > max(_MANY, self._known.file_count // 8):
                self._known = self._settled(self._known.settled.after([self._changes()]))


def has_path(name: str) -> bool:
    """Say whether a name is a path; an image that was given as bytes has its id instead."""
    return os.sep in name


def is_missing(name: str) -> bool:
    """Say whether a file of a catalogue has left the disk.

    One that cannot be looked at, say for want of permission, is not known to be missing. Of an
    image inside a file that file counts.
    """
    around = container(name)
    return has_path(name) and all(map(_is_gone, [name] if around is None else [name, around]))


def _is_gone(path: str) -> bool:
    if is_object_address(path):
        return not is_object(path)
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
