"""The lease of a catalogue in object storage: an object that is replaced only on a condition.

Whoever has it renews it while it lives; one that is not renewed for `SECONDS` may be taken by
another, who counts the number in it up. What counts is the storage's own clock, and every change
asks first whether the lease is still one's own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from gingham.errors import CatalogueBusyError, LeaseLostError, StorageError
from gingham.store.lease import in_use, this_process
from gingham.store.object_files import ObjectFiles

logger = logging.getLogger(__name__)

NAME = "lease"
SECONDS = 30.0
"""For how long a lease counts after it was renewed."""

_CLOCK = "lease-clock"
_SKEW = 3.0  # what the clocks of one storage may differ by, and its times are rounded by


class ObjectLease:
    """An exclusive right to change what lies in `ObjectFiles`; see `gingham.store.lease.Lock`.

    From its making to its release nothing is written through the files unless it is still held.

    Parameters
    ----------
    files : of the catalogue.
    wait : seconds to wait for another holder.
    mark : names what only one living process at a time can have; a holder with the same mark has
        ended. Empty: nothing is.
    seconds : for how long it counts after it was renewed.

    Attributes
    ----------
    number : grows whenever another takes it.
    abandoned : whether the last holder ended without releasing it.

    Raises
    ------
    CatalogueBusyError
        If another process has it; with who, where and since when.
    StorageError
        If the storage refuses.
    """

    def __init__(
        self, files: ObjectFiles, wait: float = 0.0, mark: str = "", seconds: float = SECONDS
    ) -> None:
        self._files = files
        self._mark = mark
        self._seconds = seconds
        self._owner = secrets.token_hex(16)
        self._turn = threading.RLock()
        self._lost = False
        self._said = this_process("")
        self.number = 0
        self.abandoned = False
        until = time.monotonic() + wait
        while (found := self._take()) is not None:
            left = until - time.monotonic()
            if left <= 0:
                raise CatalogueBusyError(self._in_use(found))
            time.sleep(min(left, 1.0))
        self._ended = threading.Event()
        threading.Thread(target=self._keep, daemon=True, name="gingham-lease").start()
        files.guard(self.check)

    def _take(self) -> dict[str, Any] | None:
        """Take it; give who has it, if that is another."""
        found, version, renewed = read(self._files)
        if found is not None and not found.get("free"):
            own = bool(self._mark) and found.get("mark") == self._mark
            if not own and not self._is_over(found, renewed):
                return found
        self.abandoned = found is not None and not found.get("free")
        self.number = 1 + (found or {}).get("number", 0)
        self._started = time.monotonic()
        try:
            mode = "create" if version is None else version
            self._version = self._files.put_bytes(NAME, self._content(), mode)
        except FileExistsError:
            return read(self._files)[0] or {}
        return None

    def _is_over(self, found: dict[str, Any], renewed: datetime | None) -> bool:
        if renewed is None:
            return True
        self._files.put_bytes(_CLOCK, b"", "overwrite")
        with self._files.reading(_CLOCK) as file:
            now = file.modified
        return (now - renewed).total_seconds() > float(found.get("seconds", SECONDS)) + _SKEW

    def _content(self, *, free: bool = False) -> bytes:
        one = self._said | {
            "number": self.number,
            "owner": self._owner,
            "mark": self._mark,
            "seconds": self._seconds,
            "free": free,
            "renewed": time.time(),
            # No two are the same, so that the storage tells one from the other.
            "random": secrets.token_hex(8),
        }
        return json.dumps(one).encode()

    def _in_use(self, found: dict[str, Any]) -> str:
        said = in_use(str(self._files), found)
        if found.get("address"):
            return said
        seconds = float(found.get("seconds", SECONDS))
        return f"{said}; if it was killed, the catalogue is free {seconds:.0f} seconds later"

    def check(self) -> None:
        """Make sure that this is still held; every change does so first.

        Raises
        ------
        LeaseLostError
            If another has it.
        StorageError
            If that cannot be found out.
        """
        with self._turn:
            if not self._lost and time.monotonic() - self._started > self._seconds / 2:
                self._renew()
            if not self._lost:
                found, version, _ = read(self._files)
                self._lost = version != self._version and not self._is_own(found)
            if self._lost:
                found = read(self._files)[0] or {}
                who = f"process {found.get('process')} on {found.get('host')}"
                raise LeaseLostError(
                    f"catalogue {self._files}: this process did not renew its lease in time, and "
                    f"{who} has changed it since: what was written before is kept, run the "
                    "command again"
                )

    def _is_own(self, found: dict[str, Any] | None) -> bool:
        return found is not None and found.get("owner") == self._owner

    def _renew(self) -> None:
        """Count from now on; notes if another has it."""
        started = time.monotonic()
        try:
            self._version = self._files.put_bytes(NAME, self._content(), self._version)
        except FileExistsError:
            self._lost = True
        else:
            self._started = started

    def _keep(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            with self._turn:
                if self._ended.is_set() or self._lost:
                    return
                try:
                    self._renew()
                except StorageError as error:
                    logger.warning("%s; the lease of the catalogue is not renewed", error)

    def announce(self, address: str = "") -> None:
        """Tell other processes where this one serves the catalogue, if it does."""
        with self._turn, contextlib.suppress(StorageError):
            self._said = this_process(address)
            self._renew()

    def release(self) -> None:
        """Let others have it; if that cannot be said, it ends by itself."""
        with self._turn:
            self._ended.set()
            self._files.guard(None)
            if not self._lost:
                with contextlib.suppress(StorageError, FileExistsError):
                    self._files.put_bytes(NAME, self._content(free=True), self._version)


def read(files: ObjectFiles) -> tuple[dict[str, Any] | None, Any | None, datetime | None]:
    """Give what a lease says, its version, and when that was written; None if there is none.

    Raises
    ------
    StorageError
        If the storage refuses.
    """
    try:
        with files.reading(NAME) as file:
            version, when = file.version, file.modified
            found = json.loads(file.read())
    except FileNotFoundError:
        return None, None, None
    except ValueError:  # an object of somebody else
        found = {}
    return found if isinstance(found, dict) else {}, version, when


def state(files: ObjectFiles) -> Callable[[], object | None]:
    """Give what says whether anything may have been changed: the number of a lease that is free.

    While it is not free, that cannot be told.
    """

    def found() -> object | None:
        one = read(files)[0]
        return one["number"] if one and one.get("free") else None

    return found


def mark_of(folder: Path) -> str:
    """Name a folder so that no other has its name, also not a copy of it or one elsewhere.

    Whoever has the lock of such a folder is the only living process with its mark.
    """
    path = folder / "mark"
    try:
        if not path.exists():
            path.write_text(secrets.token_hex(16))
        found = path.stat()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        said = (path.read_text(), found.st_dev, found.st_ino, os.uname().nodename, boot)
    except (OSError, AttributeError):
        return ""
    return ":".join(map(str, said))
