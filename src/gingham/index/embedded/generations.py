"""Generations of an index: folders that are never changed again, the newest of which counts.

A new one is made beside the others, as a copy of the newest that is brought up to date, and gets
its name by one rename. Whoever reads one works on a copy too, in a folder of its own: large files
are links, so it holds a lock on what they point to until it is done, and only what nobody holds is
deleted. The system frees such a lock when its holder dies.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gingham.errors import StorageError
from gingham.index.embedded.rows import RowTable
from gingham.store.files import TEMPORARY_PREFIX, fsync, make_folder, refusals

_NAME = re.compile(r"\d{8}-[0-9a-f]{8}")
_HELD = "held"  # file of a generation: whoever reads it has a shared lock on it
_WRITTEN_ONCE = (".rows", ".f32", ".npz", ".usearch")
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Held:
    """A generation that is not deleted until `release`.

    Attributes
    ----------
    name : of the generation.
    """

    def __init__(self, name: str, descriptor: int) -> None:
        self.name = name
        self._descriptor = descriptor

    def release(self) -> None:
        """Let it be deleted."""
        os.close(self._descriptor)


class Generations:
    """The generations in a folder, which need not be there.

    Parameters
    ----------
    folder : nothing else may lie in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> str | None:
        """Name the newest generation; None if there is none."""
        return next(iter(self._names()), None)

    def state(self) -> dict[str, Any]:
        """Give the state of the newest generation; empty if there is none, or it is damaged."""
        name = self.newest()
        return {} if name is None else RowTable.state_of(self._folder / name / "table.npz")

    def copy_newest(self, copy: Path) -> Held | None:
        """Copy the newest generation, and hold it; large files become links to it.

        Parameters
        ----------
        copy : a folder that is not there.

        Returns
        -------
        The generation; None if there is none, and then no copy.

        Raises
        ------
        StorageError
            If it cannot be read, or the copy not be written.
        """
        while True:
            names = self._names()
            for name in names:
                held = self._hold(name)
                if held is None:
                    continue
                try:
                    _copy(self._folder / name, copy, lambda old, new: new.symlink_to(old.resolve()))
                except BaseException:
                    held.release()
                    raise
                return held
            # It was deleted because there is a newer one.
            if self._names() == names:
                return None

    @contextlib.contextmanager
    def making(self, *, anew: bool = False) -> Iterator[Path]:
        """Give a folder with a copy of the newest generation, to be changed; then it is the newest.

        Nothing is changed if an error comes between. The caller must hold the catalogue's lease.

        Parameters
        ----------
        anew : give a folder that is not there instead.

        Raises
        ------
        StorageError
            If there is no room, or the folder cannot be written to.
        """
        make_folder(self._folder)
        self._clear(kept=self._names())
        newest = self.newest()
        made = self._folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
        try:
            if newest is not None and not anew:
                _copy(self._folder / newest, made, _link)
            yield made
            number = int(newest.partition("-")[0]) + 1 if newest else 0
            with refusals(made):
                (made / "lock").unlink(missing_ok=True)
                (made / _HELD).touch()
                for folder, _, files in os.walk(made):
                    for path in (*(Path(folder, name) for name in files), Path(folder)):
                        fsync(path)
                made.replace(self._folder / f"{number:08d}-{secrets.token_hex(4)}")
                fsync(self._folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
        self._clear(kept=self._names()[:1])

    def delete(self) -> None:
        """Delete all generations but those that are read; the caller must hold the lease."""
        if self._folder.is_dir():
            self._clear(kept=[])

    def _names(self) -> list[str]:
        """Name all generations, the newest first."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise StorageError.of(error, self._folder) from error
        return sorted(filter(_NAME.fullmatch, names), reverse=True)

    def _hold(self, name: str) -> Held | None:
        """Hold a generation; None if it is being deleted, or has been."""
        path = self._folder / name / _HELD
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError.of(error, path) from error
        if _lock(descriptor, fcntl.LOCK_SH) is not False:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(descriptor)):
                    return Held(name, descriptor)
        os.close(descriptor)
        return None

    def _clear(self, kept: list[str]) -> None:
        """Delete what nobody reads but some generations, and what killed writers left."""
        for path in sorted(self._folder.iterdir()):
            if path.name in kept:
                continue
            if _NAME.fullmatch(path.name) is None:
                _delete(path)
                continue
            with contextlib.suppress(OSError), (path / _HELD).open("r+b") as file:
                if _lock(file.fileno(), fcntl.LOCK_EX):
                    # Away at once, not file by file.
                    gone = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
                    path.replace(gone)
                    _delete(gone)


def _lock(descriptor: int, kind: int) -> bool | None:
    """Lock an open file, or say that another has (False), or that the system cannot (None)."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else False
    return True


def _copy(folder: Path, copy: Path, link: Callable[[Path, Path], object]) -> None:
    """Copy a generation; what is written once and then only read, nearly all of it, is linked."""
    try:
        copy.mkdir()
        # Folders come before what they hold.
        for source in sorted(folder.rglob("*")):
            target = copy / source.relative_to(folder)
            if source.is_dir():
                target.mkdir()
            elif source.suffix in _WRITTEN_ONCE:
                link(source, target)
            elif source.name not in (_HELD, "lock"):
                shutil.copyfile(source, target)
    except OSError as error:
        shutil.rmtree(copy, ignore_errors=True)
        raise StorageError.of(error, error.filename or copy) from error


def _link(old: Path, new: Path) -> None:
    try:
        os.link(old, new)
    except OSError:  # FAT and some network folders have no links
        shutil.copyfile(old, new)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
