"""One process at a time changes a catalogue; others that want to are told which one does."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from gingham.errors import CatalogueBusyError, InputError, StorageError

LONGEST_WAIT = 1e6
"""Seconds that one may wait at most: some days."""


class Lock(Protocol):
    """What one process at a time has of a catalogue.

    Attributes
    ----------
    abandoned : whether the last holder ended without releasing it.
    """

    abandoned: bool

    def announce(self, address: str = "") -> None:
        """Tell other processes where this one serves the catalogue, if it does."""
        ...

    def release(self) -> None:
        """Let others have it."""
        ...


class CatalogueLock:
    """An exclusive lock on a catalogue's folder; the system frees it when its holder dies.

    Parameters
    ----------
    folder : of the catalogue.
    wait : seconds to wait for another holder.

    Attributes
    ----------
    abandoned : whether the last holder ended without releasing it.

    Raises
    ------
    CatalogueBusyError
        If another process, or another object of this one, holds it; with who, where and since when.
    StorageError
        If the folder cannot be written to.
    """

    def __init__(self, folder: Path, wait: float = 0.0) -> None:
        self._folder = folder
        self._holder = folder / "lock.pid"
        self._lock = FileLock(folder / "lock", thread_local=False)
        try:
            self._lock.acquire(timeout=wait)
        except Timeout:
            raise CatalogueBusyError(self._in_use()) from None
        except OSError as error:
            raise StorageError.of(error, folder) from error
        # The lock's file may still be one's own.
        if not os.access(folder, os.W_OK):
            self._lock.release()
            raise StorageError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(folder))
        self.abandoned = self._holder.exists()
        self.announce()

    def announce(self, address: str = "") -> None:
        """Tell other processes which one holds the lock.

        Parameters
        ----------
        address : where this process serves the catalogue, if it does.
        """
        with contextlib.suppress(OSError):  # only a message needs it; the disk may be full
            self._holder.write_text(json.dumps(this_process(address)))

    def release(self) -> None:
        """Release the lock."""
        with contextlib.suppress(OSError):
            self._holder.unlink(missing_ok=True)
        self._lock.release()

    def _in_use(self) -> str:
        """Say who holds the lock."""
        one = self._read_holder()
        process, here = one.get("process"), one.get("host") == socket.gethostname()
        if not process or (here and not is_alive(process)):
            # The lock has just been taken, and who took it has not been written yet.
            one = one | {"process": None}
        return in_use(str(self._folder), one)

    def _read_holder(self) -> dict[str, Any]:
        try:
            read = json.loads(self._holder.read_text())
        except (OSError, ValueError):
            return {}
        # An earlier version writes the number of the process alone.
        return read if isinstance(read, dict) else {"process": read}


def this_process(address: str) -> dict[str, Any]:
    """Give what is noted of a process that has a catalogue; see `Lock.announce`."""
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": time.time(),
        "address": address,
    }


def in_use(place: str, one: Mapping[str, Any]) -> str:
    """Say who has a catalogue, in a sentence.

    Parameters
    ----------
    one : what `this_process` noted; without `process` if it is not known.
    """
    address, process, host = (one.get(key) for key in ("address", "process", "host"))
    if address:
        return f"catalogue {place} is served at {address}: use that address instead of the path"
    if not process:
        who = "another process"
    elif host == socket.gethostname() and process == os.getpid():
        who = f"this process ({process} on {host}), by another object or thread of it,"
    else:
        who = f"process {process} on {host}" if host else f"process {process}"
    since = one.get("since")
    when = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(since)) if since else ""
    return f"catalogue {place} is in use by {who}{when}: wait until it has finished, or stop it"


def is_alive(process: int) -> bool:
    """Say whether there is a process of this number here."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


class Lease:
    """The right to change a catalogue, which one process at a time has while it does so.

    Threads of one process share it: the first that wants it takes the lock, the last releases it.

    Parameters
    ----------
    lock : takes the lock, waiting for so many seconds.
    wait : seconds to wait for another process.
    begin : called whenever the lock was taken, before anything is changed; with whether its last
        holder ended without releasing it.

    Raises
    ------
    InputError
        If `wait` is no number of seconds.
    """

    def __init__(
        self, lock: Callable[[float], Lock], wait: float, begin: Callable[[bool], object]
    ) -> None:
        if not 0 <= wait <= LONGEST_WAIT:
            raise InputError(f"wait must be a number of seconds from 0 to 1,000,000, got {wait}")
        self._take_lock = lock
        self._wait = wait
        self._begin = begin
        self._taking = threading.RLock()
        self._holders = 0
        self._lock: Lock | None = None

    @property
    def held(self) -> bool:
        """Whether this object has it."""
        return self._lock is not None

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Have it meanwhile; see `take`."""
        self.take()
        try:
            yield
        finally:
            self.release()

    def take(self) -> None:
        """Have it until `release` is called as often.

        Raises
        ------
        CatalogueBusyError
            If another has it, after waiting.
        StorageError
            If the folder can only be read.
        """
        with self._taking:
            if self._lock is None:
                lock = self._take_lock(self._wait)
                try:
                    self._begin(lock.abandoned)
                except BaseException:
                    lock.release()
                    raise
                self._lock = lock
            self._holders += 1

    def release(self) -> None:
        """Give it back; see `take`."""
        with self._taking:
            self._holders -= 1
            if not self._holders and self._lock is not None:
                lock, self._lock = self._lock, None
                lock.release()

    def announce(self, address: str) -> None:
        """Tell other processes where this one, which has it, serves the catalogue."""
        if self._lock is not None:
            self._lock.announce(address)
