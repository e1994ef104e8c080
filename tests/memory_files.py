"""Other places for the truth: memory, and one that fails on purpose."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable, Sequence
from typing import BinaryIO

from gingham.errors import StorageError
from gingham.store.files import Files, check_name


class MemoryFiles:
    """`Files` in memory."""

    def __init__(self) -> None:
        self._content: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return "memory"

    def list(self, prefix: str = "") -> Sequence[str]:
        return sorted(name for name in self._content if name.startswith(prefix))

    def stamp(self, folder: str) -> object | None:
        return None

    def open(self, name: str) -> BinaryIO:
        try:
            return io.BytesIO(self._content[check_name(name)])
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None

    def size(self, name: str) -> int:
        with self.open(name) as file:
            return file.seek(0, os.SEEK_END)

    def put(
        self, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        check_name(name)
        file = Kept()
        write(file)
        with self._lock:
            if if_absent and name in self._content:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
            self._content[name] = file.content()

    def delete(self, name: str) -> None:
        self._content.pop(check_name(name), None)

    def sweep(self) -> None:
        pass


class Kept(io.BytesIO):
    """Keeps its content when it is closed: whoever writes may close the file."""

    def close(self) -> None:
        self._all = self.getvalue()
        super().close()

    def content(self) -> bytes:
        return self._all if self.closed else self.getvalue()


class InjectedError(StorageError):
    """What `FailingFiles` raises."""

    def __init__(self) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC), "memory")


class FailingFiles:
    """Other `Files`, of which one write fails.

    Parameters
    ----------
    files : the others.
    at : which write fails, counted from 0.
    how : `before` it starts, in its `middle`, at its `end`, or `after` it was done.
    """

    def __init__(self, files: Files, at: int, how: str) -> None:
        self._files = files
        self._at = at
        self._how = how
        self.writes = 0

    def __str__(self) -> str:
        return str(self._files)

    def list(self, prefix: str = "") -> Sequence[str]:
        return self._files.list(prefix)

    def stamp(self, folder: str) -> object | None:
        return self._files.stamp(folder)

    def open(self, name: str) -> BinaryIO:
        return self._files.open(name)

    def size(self, name: str) -> int:
        return self._files.size(name)

    def put(
        self, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        failing = self.writes == self._at
        self.writes += 1
        if failing and self._how == "before":
            raise InjectedError

        def cut(file: BinaryIO) -> None:
            buffer = Kept()
            write(buffer)
            content = buffer.content()
            if self._how == "middle":
                content = content[: len(content) // 2]
            file.write(content)
            if self._how != "after":
                raise InjectedError

        self._files.put(name, cut if failing else write, if_absent=if_absent)
        if failing:
            raise InjectedError

    def delete(self, name: str) -> None:
        self._files.delete(name)

    def sweep(self) -> None:
        self._files.sweep()
