"""What takes long to derive, kept beside a truth in object storage for other machines."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from gingham.errors import GinghamError, StorageError
from gingham.store.files import TEMPORARY_PREFIX, Files, replacing, write_json

logger = logging.getLogger(__name__)

PREFIX = "derived/"
_LIST = f"{PREFIX}list.json"
_NOTE = "mirrored.json"


class Mirror:
    """Copies in object storage of the files in some local folders.

    A list names the copies of all files by their SHA-256, so a reader has those of one moment.

    Parameters
    ----------
    files : where the copies lie.
    folder : of what is derived.
    below : the folders in it.
    """

    def __init__(self, files: Files, folder: Path, below: str = "attributes") -> None:
        self._files = files
        self._folder = folder
        self._below = below
        self._last: tuple[object, dict[str, str]] | None = None

    def push(self) -> None:
        """Copy what is new or has changed; the caller must hold the lease.

        What can be made again is not worth an error.
        """
        try:
            self._push()
        except GinghamError as error:
            logger.warning("%s; other machines see the tags as they were before", error)

    def _push(self) -> None:
        known, note = self._list() or {}, self._note()
        now: dict[str, str] = {}
        for name, path in self._local():
            mark = _mark(path)
            now[name] = note[name][0] if note.get(name, [None])[1:] == mark else _digest(path)
            note[name] = [now[name], *mark]
        if now != known:
            there = set(known.values())
            for name, digest in now.items():
                if digest not in there:
                    with (self._folder / name).open("rb") as file:
                        self._files.put(PREFIX + digest, partial(shutil.copyfileobj, file))
            text = json.dumps(now, indent=1).encode()
            self._files.put(_LIST, lambda file: file.write(text))
            for digest in there - set(now.values()):
                self._files.delete(PREFIX + digest)
        write_json(self._folder / _NOTE, {name: note[name] for name in now})

    def pull(self) -> bool:
        """Make the local files what was copied last; say whether any changed.

        No other process may write them meanwhile.

        Raises
        ------
        StorageError
            If the storage refuses, or the folder cannot be written to.
        """
        stamp = self._files.stamp(PREFIX)
        if self._last is not None and stamp is not None and self._last[0] == stamp:
            return False
        while (known := self._list()) is not None:
            # What a list names goes when there is a newer one.
            with contextlib.suppress(FileNotFoundError):
                changed = self._take(known)
                self._last = stamp, known
                return changed
        return False

    def _take(self, known: dict[str, str]) -> bool:
        note, changed = self._note(), False
        local = dict(self._local())
        for name, digest in known.items():
            if name in local and note.get(name) == [digest, *_mark(local[name])]:
                continue
            path = self._folder / name
            with self._files.open(PREFIX + digest) as copy, replacing(path) as temporary:
                with temporary.open("wb") as file:
                    shutil.copyfileobj(copy, file)
                if _digest(temporary) != digest:
                    raise StorageError(5, "the copy is damaged", f"{self._files}/{PREFIX}{digest}")
            note[name] = [digest, *_mark(path)]
            changed = True
        for name in local.keys() - known.keys():
            local[name].unlink(missing_ok=True)
            changed = True
        if changed:
            write_json(self._folder / _NOTE, {name: note[name] for name in known})
        return changed

    def _list(self) -> dict[str, str] | None:
        """Read the list; None if nothing was ever copied."""
        try:
            with self._files.open(_LIST) as file:
                found = json.load(file)
        except FileNotFoundError:
            return None
        except ValueError:
            return None
        return {
            str(name): str(digest) for name, digest in dict(found).items() if self._is_ours(name)
        }

    def _is_ours(self, name: str) -> bool:
        # A list of somebody else must not write elsewhere on this machine.
        return name.startswith(f"{self._below}/") and ".." not in name.split("/")

    def _note(self) -> dict[str, list[Any]]:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._folder / _NOTE).read_text())
            return found if isinstance(found, dict) else {}
        return {}

    def _local(self) -> Iterator[tuple[str, Path]]:
        for parent, _, names in os.walk(self._folder / self._below):
            for name in sorted(names):
                if not name.startswith(TEMPORARY_PREFIX):
                    path = Path(parent, name)
                    yield path.relative_to(self._folder).as_posix(), path


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mark(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ino]
