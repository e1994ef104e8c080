"""One URL to one file: retries, limits of time and size, and what the server said of it last."""

from __future__ import annotations

import sqlite3
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse, Retry, Timeout
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    TimeoutError,
)

import gingham
from gingham.decoding.signatures import HEAD, check_head
from gingham.downloads.addresses import Allowed, CheckedConnection, is_public, pool_manager
from gingham.errors import ImageError
from gingham.store.files import replace_file

_BLOCK = 1 << 16
_AGAIN = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class DownloadLimits:
    """What a download may take.

    Attributes
    ----------
    bytes : of one file.
    timeout : seconds without an answer or a byte.
    seconds : in which the head of an answer, and then the whole file must have come.
    retries : of a file, after pauses that get longer, or that the server asks for, up to a minute.
    per_host : connections to one server at a time.
    """

    bytes: int = 64 << 20
    timeout: float = 20.0
    seconds: float = 300.0
    retries: int = 3
    per_host: int = 2


def is_url(text: str) -> bool:
    """Say whether a cell of a table holds a URL that may be fetched."""
    return text.strip().lower().startswith(("http://", "https://"))


class Fetcher:
    """Fetches files, also from several threads; of each server a few at a time.

    Parameters
    ----------
    notes : a file in which it is kept what servers said of a file (ETag, Last-Modified).
    limits : of each file.
    allowed : which addresses may be connected to.
    """

    def __init__(self, notes: Path, limits: DownloadLimits, allowed: Allowed = is_public) -> None:
        self._limits = limits
        agent = f"gingham/{gingham.__version__} (image download)"
        self._pool = pool_manager(
            allowed,
            limits.seconds,
            headers={"User-Agent": agent, "Accept": "image/*", "Accept-Encoding": "identity"},
            timeout=Timeout(connect=limits.timeout, read=limits.timeout),
            maxsize=limits.per_host,
        )
        self._hosts: dict[str, threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(limits.per_host)
        )
        self._lock = threading.Lock()
        self._notes = sqlite3.connect(notes, check_same_thread=False)
        with self._notes:
            self._notes.execute(
                "CREATE TABLE IF NOT EXISTS seen (url TEXT PRIMARY KEY, etag TEXT, modified TEXT)"
            )

    def close(self) -> None:
        """Let go of connections and notes."""
        self._pool.clear()
        self._notes.close()

    def fetch(self, url: str, file: Path) -> bool:
        """Fetch a URL to a file; False if the file is there and the server has no newer one.

        Raises
        ------
        ImageError
            If it cannot be fetched, breaks a limit, or is no image.
        """
        parts = _checked(url)
        headers = self._known(url) if file.exists() else {}
        with self._lock:
            host = self._hosts[parts.netloc.lower()]
        retries = Retry(
            self._limits.retries,
            redirect=5,
            status_forcelist=_AGAIN,
            backoff_factor=0.5,
            backoff_max=30,
            retry_after_max=60,
        )
        with host:
            while True:
                try:
                    return self._fetch(url, file, headers, retries)
                except ImageError:
                    raise
                except MaxRetryError as error:
                    raise ImageError(f"cannot be fetched: {_reason(error)}") from None
                except HTTPError as error:
                    # It broke off in the middle, which urllib3 leaves to whoever reads.
                    try:
                        retries = retries.increment("GET", url, error=error)
                    except (MaxRetryError, HTTPError):
                        raise ImageError(f"cannot be fetched: {_reason(error)}") from None
                    retries.sleep()
                except (OSError, ValueError) as error:
                    raise ImageError(f"cannot be fetched: {error}") from None

    def _fetch(self, url: str, file: Path, headers: dict[str, str], retries: Retry) -> bool:
        response = self._pool.request(
            "GET",
            url,
            headers={**self._pool.headers, **headers},
            retries=retries,
            preload_content=False,
            decode_content=False,
        )
        try:
            if response.status == 304 and headers:
                return False
            if response.status != 200:
                raise ImageError(f"the server answers {response.status}: check the URL")
            replace_file(file, lambda path: self._write(response, path))
            said = (url, response.headers.get("ETag"), response.headers.get("Last-Modified"))
            with self._lock, self._notes:
                self._notes.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", said)
            return True
        finally:
            # What is left of a refused answer is not read; its connection is not used again.
            response.close()
            response.release_conn()

    def _write(self, response: BaseHTTPResponse, path: Path) -> None:
        most = self._limits.bytes
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > most:
            raise ImageError(f"it has {length} bytes, more than {most}: raise --max-megabytes")
        head, size = b"", 0
        with path.open("wb") as file, cast(CheckedConnection, response.connection).ended():
            while block := response.read1(_BLOCK):
                size += len(block)
                if size > most:
                    raise ImageError(f"it has more than {most} bytes: raise --max-megabytes")
                head = self._begun(head, block, file)
        if size < HEAD:
            check_head(head)

    @staticmethod
    def _begun(head: bytes, block: bytes, file: BinaryIO) -> bytes:
        """Write a block; what is no image is refused once its first bytes are there."""
        file.write(block)
        if len(head) < HEAD <= len(head) + len(block):
            check_head((head + block)[:HEAD])
        return head if len(head) >= HEAD else (head + block)[:HEAD]

    def _known(self, url: str) -> dict[str, str]:
        with self._lock:
            found = self._notes.execute("SELECT etag, modified FROM seen WHERE url = ?", (url,))
            etag, modified = found.fetchone() or (None, None)
        said = {"If-None-Match": etag, "If-Modified-Since": modified}
        return {name: value for name, value in said.items() if value}


def _checked(url: str) -> Any:
    try:
        parts = urlsplit(url)
        usable = parts.scheme.lower() in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or not url.isprintable():
        raise ImageError("not a URL that is fetched: give http or https, without a password in it")
    return parts


def _reason(error: HTTPError) -> str:
    inner = getattr(error, "reason", None) or error
    if isinstance(inner, NameResolutionError):
        return "no server of this name is found: check the URL"
    # For urllib3 a refused connection is one that took too long, too.
    if isinstance(inner, TimeoutError) and not isinstance(inner, NewConnectionError):
        return "the server does not answer in time"
    broken = next((one for one in inner.args if isinstance(one, OSError) and one.strerror), None)
    if broken is not None:
        return f"the connection broke: {broken.strerror}"
    return str(inner).rpartition(": ")[2] or type(inner).__name__
