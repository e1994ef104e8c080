"""`Files` in object storage: S3, and what else `obstore` knows."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from gingham.errors import StorageError
from gingham.object_storage import check_address, open_store, refusals
from gingham.store.files import check_name

if TYPE_CHECKING:
    from obstore.store import ObjectStore

WHOLE = 1 << 20
"""Bytes of an object up to which it is read at once."""

_LEAST, _MOST = 1 << 16, 1 << 23
MARK = "gingham_put"
"""Says in an object's metadata which request wrote it; Azure wants an identifier."""
_MOMENT = 0.2  # seconds for which what has just been asked is not asked again


class ObjectFiles:
    """Files below an address in object storage, as in `s3://bucket/shop`.

    An object cannot be renamed or appended to, nor need it be: it appears whole, and the storage
    itself refuses to write one that is there (`If-None-Match`). A request for which the storage is
    too busy is sent again, later and later; see `gingham.object_storage.open_store`.

    Parameters
    ----------
    address : of the folder; nothing is sent yet.
    retrying : seconds in which a request is sent again.

    Attributes
    ----------
    store : what the requests are sent with.
    state : says what `stamp` gives; None where that cannot be told.
    """

    def __init__(self, address: str, *, retrying: float = 60.0) -> None:
        self._address = check_address(address)
        self.store: ObjectStore = open_store(self._address, retrying=retrying)
        self._check: Callable[[], object] | None = None
        self.state: Callable[[], object | None] = lambda: None
        self._stamped: tuple[float, object | None] | None = None

    def __str__(self) -> str:
        return self._address

    def guard(self, check: Callable[[], object] | None) -> None:
        """Have something called before anything is written or deleted; what it raises prevents it.

        What `stamp` gave is not given again.
        """
        self._check = check
        self.look_again()

    def look_again(self) -> None:
        """Let `stamp` ask the storage the next time, also a moment after it did."""
        self._stamped = None

    def list(self, prefix: str = "") -> Sequence[str]:
        """See `Files.list`."""
        folder = prefix.rpartition("/")[0]
        import obstore

        with refusals(f"{self}/{prefix}"):
            pages = obstore.list(self.store, folder or None)
            names = [one["path"] for page in pages for one in page]
        return sorted(name for name in names if name.startswith(prefix))

    def stamp(self, folder: str) -> object | None:
        """See `Files.stamp`; all folders have one stamp."""
        now = time.monotonic()
        if self._stamped is None or now - self._stamped[0] > _MOMENT:
            self._stamped = now, self.state()
        return self._stamped[1]

    def open(self, name: str) -> BinaryIO:
        """See `Files.open`; of a large file only what is asked for is read, and what is near it."""
        return cast(BinaryIO, self.reading(name))

    def reading(self, name: str) -> ObjectReader:
        """Do as `open`."""
        import obstore

        with refusals(f"{self}/{check_name(name)}"):
            got = obstore.get(self.store, name)
        return ObjectReader(self.store, name, f"{self}/{name}", got)

    def size(self, name: str) -> int:
        """See `Files.size`."""
        import obstore

        with refusals(f"{self}/{check_name(name)}"):
            return int(obstore.head(self.store, name)["size"])

    def put(
        self, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        """See `Files.put`; the file is in memory until it is sent."""
        check_name(name)
        buffer = _Buffer()
        write(buffer)
        if self._check is not None:
            self._check()
        self.put_bytes(name, buffer.getvalue(), "create" if if_absent else "overwrite")

    def put_bytes(self, name: str, content: bytes, mode: Any) -> Any:
        """Write a file, without asking what `guard` was given.

        Parameters
        ----------
        mode : `create`, `overwrite`, or the version that is to be replaced.

        Returns
        -------
        The version that was written.

        Raises
        ------
        FileExistsError
            If there is one already, or another version.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mark = secrets.token_hex(16)
        with refusals(f"{self}/{name}"):
            try:
                meta = obstore.put(
                    self.store,
                    name,
                    content,
                    mode=mode,
                    attributes={MARK: mark},
                    use_multipart=False,
                )
                return version_of(meta)
            except (AlreadyExistsError, PreconditionError):
                pass
        # It may be this very one: it was written, the answer was lost, it was sent again.
        with contextlib.suppress(FileNotFoundError), refusals(f"{self}/{name}"):
            got = obstore.get(self.store, name)
            if got.attributes.get(MARK) == mark:
                return version_of(got.meta)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), f"{self}/{name}")

    def delete(self, name: str) -> None:
        """See `Files.delete`."""
        import obstore

        check_name(name)
        if self._check is not None:
            self._check()
        with contextlib.suppress(FileNotFoundError), refusals(f"{self}/{name}"):
            obstore.delete(self.store, name)

    def sweep(self) -> None:
        """See `Files.sweep`; an upload that was cut off leaves nothing that could be seen."""


def version_of(meta: Any) -> Any:
    """Give what tells one version of an object from another."""
    return {key: meta[key] for key in ("e_tag", "version") if meta.get(key) is not None}


class _Buffer(io.BytesIO):
    """Keeps its content when it is closed: whoever writes may close the file."""

    def close(self) -> None:
        pass


class ObjectReader(io.RawIOBase):
    """One version of an object, of which ranges are read.

    Small steps forward read ahead, ever further.

    Attributes
    ----------
    version : of the object, as `ObjectFiles.put_bytes` takes it.
    modified : when the object was written, by the storage's clock.
    """

    def __init__(self, store: ObjectStore, name: str, address: str, got: Any) -> None:
        super().__init__()
        self._store, self._name, self._address = store, name, address
        self._size: int = got.meta["size"]
        self._tag: str | None = got.meta.get("e_tag")
        self.version = version_of(got.meta)
        self.modified: datetime = got.meta["last_modified"]
        # Of a small object the answer is on its way already, and is the same whatever happens.
        self._answer = got if self._size <= WHOLE else None
        self._at = 0
        self._start, self._held = 0, b""
        self._ahead = _LEAST

    def readable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), self._address)
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, fewer only at the end."""
        left = max(self._size - self._at, 0)
        size = left if size is None or size < 0 else min(size, left)
        if not size:
            return b""
        if not self._start <= self._at or self._at + size > self._start + len(self._held):
            self._fetch(size)
        begin = self._at - self._start
        self._at += size
        return self._held[begin : begin + size]

    def readall(self) -> bytes:
        """See `io.RawIOBase`."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _fetch(self, size: int) -> None:
        """Hold at least so many bytes from here on."""
        if self._answer is not None:
            answer, self._answer = self._answer, None
            with refusals(self._address):
                self._start, self._held = 0, bytes(answer.bytes())
            self._check(self._size)
            return
        end = self._start + len(self._held)
        near = self._start <= self._at <= end + _LEAST
        self._ahead = min(2 * self._ahead, _MOST) if near and self._held else _LEAST
        start = self._at
        stop = min(max(start + size, start + self._ahead), self._size)
        self._start, self._held = start, self._range(start, stop)
        self._check(stop - start)

    def _range(self, start: int, stop: int) -> bytes:
        import obstore
        from obstore.exceptions import PreconditionError

        options: Any = {"range": (start, stop)}
        if self._tag is not None:
            options["if_match"] = self._tag
        try:
            with refusals(self._address):
                return bytes(obstore.get(self._store, self._name, options=options).bytes())
        except PreconditionError:
            raise StorageError(
                errno.ESTALE, "it was replaced while it was read", self._address
            ) from None

    def _check(self, expected: int) -> None:
        if len(self._held) != expected:
            said = f"{len(self._held)} of {expected} bytes came"
            self._held = b""
            raise StorageError(errno.EHOSTUNREACH, said, self._address)
