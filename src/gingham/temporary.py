"""Temporary folders, each held by the process that uses it; what killed ones left is cleared."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

from gingham.store.files import refusals

_PREFIX = "gingham-"
_LOCK = "gingham.lock"
"""Held while the folder is in use; the system frees it when its holder dies."""
_YOUNG = 10.0
"""Seconds after which a lock whose file has been made is held, or never will be."""


class TemporaryFolder:
    """A folder that goes with this object, or at the end of the process.

    The folders of this user that no living process holds are deleted first.

    Attributes
    ----------
    path : of the folder.

    Raises
    ------
    StorageError
        If there is no room for it.
    """

    def __init__(self) -> None:
        parent = Path(tempfile.gettempdir())
        _clear(parent)
        with refusals(parent):
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = FileLock(self.path / _LOCK, thread_local=False)
        try:
            lock.acquire()
        except (OSError, NotImplementedError):
            # A file system without locks, or one that is full: a folder without one is not cleared.
            (self.path / _LOCK).unlink(missing_ok=True)
        self.delete = weakref.finalize(self, _delete, self.path, lock)


def _delete(folder: Path, lock: FileLock) -> None:
    # The lock's file goes last: while it lies there, whoever finds the folder can clear it.
    with contextlib.suppress(OSError):
        for inside in folder.iterdir():
            if inside.name != _LOCK:
                shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
    lock.release()
    shutil.rmtree(folder, ignore_errors=True)


def _clear(parent: Path) -> None:
    """Delete the folders of this user below `parent` whose lock is free."""
    user = os.geteuid() if hasattr(os, "geteuid") else 0
    for folder in parent.glob(_PREFIX + "*"):
        with contextlib.suppress(OSError, NotImplementedError, Timeout):
            # No link and nobody else's: who else can write there could lead elsewhere.
            status, made = folder.lstat(), (folder / _LOCK).lstat().st_mtime
            if (
                stat.S_ISDIR(status.st_mode)
                and status.st_uid == user
                and made < time.time() - _YOUNG
            ):
                lock = FileLock(folder / _LOCK, thread_local=False)
                lock.acquire(blocking=False)
                _delete(folder, lock)
