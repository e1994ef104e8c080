"""Files that survive `kill -9`: the port to where a catalogue's truth lies, and local helpers."""

from __future__ import annotations

import contextlib
import csv
import errno
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from gingham.errors import CatalogueError, InputError, StorageError

TEMPORARY_PREFIX = ".tmp-"
"""Of the last part of the names of unfinished files."""


_TICK = 3_000_000_000
"""Nanoseconds: no file system's clock is coarser than two seconds."""


class Files(Protocol):
    """Named files that are written whole or not at all.

    A name is relative, with its parts separated by `/`; no name is also a folder of another.
    `str()` of the object is its address, for messages. Errors are `OSError`s with an `errno`, of
    failed writes `StorageError`s; a name that would leave the root is an `InputError`. Threads may
    call all methods together.
    """

    def list(self, prefix: str = "") -> Sequence[str]:
        """Give the names that begin with `prefix`, sorted; unfinished files are not listed."""
        ...

    def stamp(self, folder: str) -> object | None:
        """Give what differs once a name directly below a folder has come or gone.

        None where that cannot be told: then whoever wants to know lists the names.
        """
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading; seeking is allowed.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        ...

    def size(self, name: str) -> int:
        """Give the bytes of a file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        ...

    def put(
        self, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        """Write a file; it is durable when this returns.

        Readers see the old content or the new, never a part. If `write` raises, nothing changes.

        Parameters
        ----------
        write : called once with a binary file to write to.
        if_absent : never replace a file; of several writers at once, one succeeds.

        Raises
        ------
        FileExistsError
            If `if_absent` and there is such a file.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a file; it need not exist."""
        ...

    def sweep(self) -> None:
        """Remove what killed writers left unfinished; the caller must hold the lease."""
        ...


class LocalFiles:
    """Files below a local folder, which is made when the first file is written."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)

    def __str__(self) -> str:
        return str(self._root)

    def list(self, prefix: str = "") -> Sequence[str]:
        """See `Files.list`."""
        return sorted(x for x in self._walk(prefix) if x.startswith(prefix) and _is_name(x))

    def stamp(self, folder: str) -> object | None:
        """See `Files.stamp`."""
        try:
            found = os.stat(os.path.join(self._root, folder))  # a path takes longer than the stat
        except FileNotFoundError:
            return "none"
        except OSError:
            return None
        # A folder that changes twice within a tick of its clock looks as if it had changed once.
        if time.time_ns() - found.st_mtime_ns < _TICK:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_dev

    def open(self, name: str) -> BinaryIO:
        """See `Files.open`."""
        return self._path(name).open("rb")

    def size(self, name: str) -> int:
        """See `Files.size`."""
        return self._path(name).stat().st_size

    def put(
        self, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        """See `Files.put`."""
        place = _link if if_absent else Path.replace
        with replacing(self._path(name), place) as temporary, temporary.open("wb") as file:
            write(file)

    def delete(self, name: str) -> None:
        """See `Files.delete`."""
        path = self._path(name)
        with refusals(path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                fsync(path.parent)

    def sweep(self) -> None:
        """See `Files.sweep`."""
        for name in self._walk(""):
            if name.rpartition("/")[2].startswith(TEMPORARY_PREFIX):
                (self._root / name).unlink(missing_ok=True)

    def _walk(self, prefix: str) -> Iterator[str]:
        """Give the names that begin with a prefix, and perhaps others beside them."""
        folder, _, start = prefix.rpartition("/")
        top = self._path(folder) if folder else self._root
        for parent, folders, names in os.walk(top, onerror=_refuse):
            if Path(parent) == top:
                folders[:] = [one for one in folders if one.startswith(start)]
            below = Path(parent).relative_to(self._root).as_posix()
            yield from names if below == "." else (f"{below}/{name}" for name in names)

    def _path(self, name: str) -> Path:
        return self._root / check_name(name)


def check_name(name: str) -> str:
    """Return a name of `Files` if it is one.

    Raises
    ------
    InputError
        If it is absolute, would leave the root, or is kept for unfinished files.
    """
    if not _is_name(name):
        raise InputError(f"file name {name!r}: expected a relative name such as features/1.parquet")
    return name


def _is_name(name: str) -> bool:
    parts = name.split("/")
    return (
        not any(part in ("", ".", "..") for part in parts)
        and not any(character in name for character in "\\:\0")
        and not parts[-1].startswith(TEMPORARY_PREFIX)
    )


@contextlib.contextmanager
def replacing(
    path: Path, place: Callable[[Path, Path], object] = Path.replace, *, mode: int = 0o666
) -> Iterator[Path]:
    """Give a temporary path beside a local file; fsync it and rename it once it is written.

    Whoever reads `path` sees the old content or the new, never a part, even after a power cut; an
    error in between leaves the old.

    Parameters
    ----------
    place : gives the finished file its name.
    mode : of the file from its first byte on, less what the umask takes away.

    Raises
    ------
    StorageError
        If the system refuses.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{path.suffix}")
    with refusals(path):
        make_folder(path.parent)
        temporary.touch(mode, exist_ok=False)
        try:
            kept = temporary.stat().st_mode
            yield temporary
            # Some libraries make the file again, readable by its owner alone; it may be shared.
            temporary.chmod(kept)
            fsync(temporary)
            place(temporary, path)
            fsync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def reserve(folder: Path, size: int) -> None:
    """Make sure that a folder has room for so many bytes, before something is mapped into memory.

    A process that writes to a mapped file for which there is no room is killed.

    Raises
    ------
    StorageError
        If there is less.
    """
    with refusals(folder):
        free = shutil.disk_usage(folder).free
        if free < size:
            said = f"{size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free"
            raise StorageError(errno.ENOSPC, said, os.fspath(folder))
        # A quota is not seen otherwise.
        with tempfile.TemporaryFile(dir=folder) as file:
            allocate(file, size)


def allocate(file: IO[bytes], size: int) -> None:
    """Give a file so many bytes on the disk; where the system cannot, only their number."""
    file.truncate(max(size, os.fstat(file.fileno()).st_size))
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(file.fileno(), 0, size)


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Say of a file or folder that the system refuses it, and what to do.

    Raises
    ------
    StorageError
        For every `OSError` but `FileExistsError`.
    """
    try:
        yield
    except (FileExistsError, StorageError):
        raise
    except OSError as error:
        raise StorageError.of(error, path) from error


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a local file under a temporary name; see `replacing`."""
    with replacing(path) as temporary:
        write(temporary)


def write_json(path: Path, value: Any) -> None:
    """Replace a local file by `value` as JSON."""
    replace_file(path, lambda p: p.write_text(json.dumps(value, indent=1) + "\n"))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Replace a local file by a CSV of rows, column -> cell; odd bytes of file names stay.

    Without rows it is the header alone.
    """

    def write(temporary: Path) -> None:
        with temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)

    replace_file(path, write)


def read_json(path: Path) -> Any:
    """Read a JSON file that `write_json` wrote.

    Raises
    ------
    CatalogueError
        If it is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise CatalogueError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{path} is damaged ({error})") from None


def _link(temporary: Path, path: Path) -> None:
    """Give a finished file its name, unless another has it."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # FAT and some network folders have no hard links.
        from filelock import FileLock

        with FileLock(path.with_name(f"{TEMPORARY_PREFIX}lock")):
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            temporary.replace(path)


def _refuse(error: OSError) -> None:
    # A folder that cannot be read is not an empty one.
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def make_folder(path: Path) -> None:
    """Make a folder, and those above it; it is durable when this returns.

    Raises
    ------
    StorageError
        If the system refuses.
    """
    if not path.is_dir():
        make_folder(path.parent)
        with refusals(path):
            try:
                path.mkdir(exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
            fsync(path.parent)


def fsync(path: Path) -> None:
    """Make a file, or the names in a folder, durable."""
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
