"""Only one process at a time opens a catalogue; the others are told which one does."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from filelock import FileLock, Timeout

from gingham.errors import CatalogueBusyError, StorageError


class CatalogueLock:
    """An exclusive lock on a catalogue's folder; the system frees it when its holder dies.

    Raises
    ------
    CatalogueBusyError
        If another process, or another object of this one, holds it; with the process id.
    StorageError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._holder = folder / "lock.pid"
        self._lock = FileLock(folder / "lock", thread_local=False)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            process, _, address = self._read_holder().partition(" ")
            raise CatalogueBusyError(
                f"catalogue {folder} is served at {address}: use that address instead of the path"
                if address
                else f"catalogue {folder} is in use by process {process}: wait until it has "
                "finished, or stop it"
            ) from None
        except OSError as error:
            raise StorageError.of(error, folder) from error
        self.announce()

    def announce(self, address: str = "") -> None:
        """Tell other processes which one holds the lock.

        Parameters
        ----------
        address : where this process serves the catalogue, if it does.
        """
        with contextlib.suppress(OSError):  # only a message needs it; the disk may be full
            self._holder.write_text(f"{os.getpid()} {address}".rstrip())

    def _read_holder(self) -> str:
        try:
            return self._holder.read_text() or "unknown"
        except OSError:
            return "unknown"

    def release(self) -> None:
        """Release the lock."""
        with contextlib.suppress(OSError):
            self._holder.unlink(missing_ok=True)
        self._lock.release()


def lease(folder: Path) -> CatalogueLock | StorageError:
    """Lock a catalogue, or give the reason why its folder can only be read.

    Raises
    ------
    CatalogueBusyError
        See `CatalogueLock`.
    """
    try:
        lock = CatalogueLock(folder)
        if os.access(folder, os.W_OK):
            return lock
        # The lock's file may still be one's own.
        lock.release()
        return StorageError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(folder))
    except StorageError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return error
        raise
