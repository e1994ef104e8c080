"""An index where it can only be read, or cannot grow: searched as a copy in another folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from gingham.errors import StorageError
from gingham.index.embedded.building import LOCK
from gingham.index.embedded.graph import ROOM
from gingham.store.files import make_folder, reserve

_WRITTEN_ONCE = ("matrix.dat", "links.bin", "links_compressed.bin")


def check_room(folder: Path) -> None:
    """Check that an index in a folder can be opened and made.

    Raises
    ------
    StorageError
        If there is no room.
    """
    make_folder(folder)
    reserve(folder, ROOM)


def copy_index(folder: Path, copy: Path) -> None:
    """Copy an index, if there is one that is whole and stays so meanwhile.

    What is written once and then only read, nearly all of a large index, becomes links.

    Raises
    ------
    StorageError
        If it cannot be read, or the copy not be written.
    """
    before = _commit(folder)
    if before is None:
        return
    try:
        copy.mkdir()
        # Folders come before what they hold.
        for source in sorted(folder.rglob("*")):
            target = copy / source.relative_to(folder)
            if source.is_dir():
                target.mkdir()
            elif source.name in _WRITTEN_ONCE or source.suffix == ".f32":
                target.symlink_to(source.resolve())
            elif source.name not in ("lock", LOCK):
                shutil.copyfile(source, target)
    except OSError as error:
        if _commit(folder) == before:
            raise StorageError.of(error, error.filename or copy) from error
    if _commit(folder) != before:
        shutil.rmtree(copy)


def _commit(folder: Path) -> tuple[int, int] | None:
    """Tell one commit of an index from another; None while it is changed, or if there is none."""
    try:
        table = (folder / "table.npz").stat()
    except FileNotFoundError:
        return None
    return None if (folder / "changed").exists() else (table.st_ino, table.st_mtime_ns)
