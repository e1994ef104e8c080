"""Files of Qdrant Edge that have holes get their space on the disk before it is written to."""

from __future__ import annotations

from pathlib import Path

from gingham.store.files import allocate, refusals, reserve

_VECTORS = "vector_storage-*/vectors"
_SMALL = 1 << 20  # files of up to so many bytes get all their space
_OF_A_POINT = 256  # bytes that a point takes at most in a large file that holds no vectors
_SPARE = 1 << 16
ROOM = 96 << 20
"""Bytes that Edge maps at a time (files of 1 MB to 32 MB, with holes), whatever a shard holds."""
_FIRST = 1 << 20  # for the first vector of a new file


class Holes:
    """The files of a shard, which Edge makes long at once and writes to from their start on.

    A process that writes to a mapped file is killed if another one has taken the room meanwhile. A
    new file gets its space only once Edge has made it: between the two it writes one vector.

    Parameters
    ----------
    folder : of the shard.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Path, int] = {}  # bytes from the start on that may be written

    def fill(self, points: int, vector_bytes: int) -> int:
        """Make room for points to come.

        Returns
        -------
        How many may be added at once: all, or a single one where Edge may begin a new file.

        Raises
        ------
        StorageError
            If there is no room.
        """
        folders = list(self._folder.glob(f"segments/*/{_VECTORS}"))
        chunks = [sorted(folder.glob("chunk_*.mmap"), key=_number) for folder in folders]
        room = [self._room(files[-1]) if files else 0 for files in chunks]
        if min(room, default=0) < points * vector_bytes + _SPARE:
            points = 1
            reserve(self._folder, _FIRST)
        for files in chunks:
            if files:
                self._grow(files[-1], points * vector_bytes)
        for path in self._folder.rglob("*.dat"):
            self._grow(path, points * _OF_A_POINT)
        return points

    def _room(self, path: Path) -> int:
        found = path.stat()
        # Not known yet: what has space is what was written, or a little more.
        held = self._held.setdefault(path, min(found.st_size, 512 * found.st_blocks))
        return found.st_size - held

    def _grow(self, path: Path, size: int) -> None:
        with refusals(path):
            room = self._room(path)
            if not room:
                return
            held = self._held[path]
            whole = held + room
            wanted = whole if whole <= _SMALL else min(whole, held + size + _SPARE)
            with path.open("r+b") as file:
                allocate(file, wanted)
            self._held[path] = whole if wanted == whole else held + size


def _number(chunk: Path) -> int:
    return int(chunk.stem.removeprefix("chunk_"))
