"""Where a catalogue lies: its truth, its lock, and the local folder of what is derived."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from gingham.backbones.openvino import cache_folder
from gingham.errors import CatalogueBusyError, InputError, StorageError
from gingham.object_storage import endpoint, is_object_address
from gingham.store.files import TEMPORARY_PREFIX, Files, LocalFiles, make_folder
from gingham.store.header import Header, check_catalogue
from gingham.store.lease import CatalogueLock, Lock
from gingham.store.network import NAME as NETWORK
from gingham.store.object_files import ObjectFiles
from gingham.store.object_lease import ObjectLease, mark_of, state

_TAKING_IN = "taking-in"
_PATIENCE = 60.0


def files_at(place: str | os.PathLike[str]) -> Files:
    """Give the files of a catalogue by its folder, or by its address in object storage.

    Raises
    ------
    InputError
        If the address names no bucket, or nothing in it.
    MissingExtraError
        If it is in object storage and the extra `storage` is not installed.
    """
    if is_object_address(place):
        return ObjectFiles(str(place))
    if re.match(r"(s3|gs|az):/", os.fspath(place)):
        raise InputError(f"{place} is a path: give the address of a bucket as text, as in s3://...")
    return LocalFiles(place)


def is_taken(files: Files) -> bool:
    """Say whether there is something else where a catalogue is to be made."""
    if not isinstance(files, LocalFiles):
        return any(name != NETWORK for name in files.list())
    path = Path(str(files))
    # A killed `create` leaves something, too.
    left = (TEMPORARY_PREFIX, "lock", NETWORK)
    return path.exists() and (
        not path.is_dir() or any(not one.name.startswith(left) for one in path.iterdir())
    )


def derived_folder(files: Files, header: Header) -> Path:
    """Give the folder of what is derived: the catalogue's own or, of one elsewhere, in the cache.

    Raises
    ------
    StorageError
        If it cannot be made.
    """
    if not isinstance(files, ObjectFiles):
        return Path(str(files))
    address = str(files)
    said = f"{endpoint()} {address} {header.made}"
    name = re.sub(r"[^\w.-]+", "-", address)[-60:]
    folder = (
        cache_folder() / "catalogues" / f"{name}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"
    )
    make_folder(folder)
    files.state = state(files)
    return folder


def folder_of(place: str | os.PathLike[str]) -> Path:
    """Do as `derived_folder`, of a catalogue that is there.

    Raises
    ------
    CatalogueError
        If it is not, or is damaged.
    """
    files = files_at(place)
    check_catalogue(files)
    return derived_folder(files, Header.read(files))


class ObjectLock:
    """The lock of a catalogue in object storage: its lease, and the folder of what is derived.

    Parameters
    ----------
    files : of the catalogue.
    folder : of what is derived.
    wait : seconds to wait for another holder.
    """

    def __init__(self, files: ObjectFiles, folder: Path, wait: float) -> None:
        self._here = CatalogueLock(folder, wait)
        self._taking_in = FileLock(folder / _TAKING_IN, thread_local=False)
        try:
            try:
                self._taking_in.acquire(timeout=max(wait, _PATIENCE))
            except Timeout:
                raise CatalogueBusyError(
                    f"another process on this machine is taking in what is new of catalogue "
                    f"{files}: wait until it has finished"
                ) from None
            self._lease = ObjectLease(files, wait, mark_of(folder))
        except BaseException:
            self._taking_in.release()
            self._here.release()
            raise
        self.abandoned = self._lease.abandoned

    def announce(self, address: str = "") -> None:
        """See `gingham.store.lease.Lock`."""
        self._lease.announce(address)

    def release(self) -> None:
        """See `gingham.store.lease.Lock`."""
        self._lease.release()
        self._taking_in.release()
        self._here.release()


def take_lock(files: Files, folder: Path, wait: float) -> Lock:
    """Take the lock of a catalogue; see `gingham.store.lease.CatalogueLock`."""
    if isinstance(files, ObjectFiles):
        return ObjectLock(files, folder, wait)
    return CatalogueLock(folder, wait)


@contextlib.contextmanager
def taking_in(folder: Path) -> Iterator[bool]:
    """Lock the folder of what is derived, to take in what is new; gives False if another does."""
    lock = FileLock(folder / _TAKING_IN, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise StorageError.of(error, folder) from error
    try:
        yield True
    finally:
        lock.release()
