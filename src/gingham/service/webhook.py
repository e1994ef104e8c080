"""Tells an address of the operator when attributes changed or images were tagged, signed."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import json
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import gingham
from gingham.errors import GinghamError, InputError
from gingham.store.changes import ChangeEntry
from gingham.store.files import refusals

logger = logging.getLogger(__name__)

SIGNATURE = "X-Gingham-Signature"
Event = dict[str, str | int | None]
"""What is posted, before it gets its id and its time."""

_SECONDS = 10.0
_LEAST = 16
_MOST = 1000


@dataclass(frozen=True)
class Seen:
    """What a catalogue looks like at a moment.

    Attributes
    ----------
    changes : all in its history, oldest first.
    tags : attribute -> what names the state of its tags; None: it is not tagged as it is now.
    """

    changes: Sequence[ChangeEntry]
    tags: Mapping[str, str | None]


class Webhook:
    """Posts what has changed, from a thread of its own: no request waits for it.

    It looks at the history and at the tags every now and then. An address that does not answer is
    tried again, each time after a longer pause; then the event is given up, which is logged.

    Parameters
    ----------
    url : where to post, http or https.
    secret : signs the body; at least 16 characters.
    every : seconds between two looks.
    pauses : seconds after each try that failed; after the last the event is given up.

    Raises
    ------
    InputError
        If the address cannot be used, or the secret is too short.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        every: float = 1.0,
        pauses: Sequence[float] = (1, 5, 30, 120, 600),
    ) -> None:
        self._url = _check_url(url)
        if len(secret) < _LEAST:
            raise InputError(
                f"the secret of the webhook has {len(secret)} characters: give at least {_LEAST}, "
                "as openssl rand -hex 32 prints"
            )
        self._secret = secret.encode()
        self._every = every
        self._pauses = tuple(pauses)
        self._waiting: deque[bytes] = deque()
        self._failed = 0
        self._next_try = 0.0
        self._seen = Seen((), {})
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def read(cls, url: str, secret_file: Path) -> Webhook:
        """Make one whose secret is the text of a file, without spaces around it.

        Raises
        ------
        InputError
            See `Webhook`.
        StorageError
            If the file cannot be read.
        """
        with refusals(secret_file):
            secret = secret_file.read_text(encoding="utf-8", errors="replace")
        return cls(url, secret.strip())

    def start(self, look: Callable[[], Seen]) -> None:
        """Begin to look; what there is now is told to nobody."""
        self._seen = look()
        self._thread = threading.Thread(target=self._run, args=(look,), name="webhook")
        self._thread.start()

    def close(self) -> None:
        """Look once more, and try once more to tell what waits."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, look: Callable[[], Seen]) -> None:
        while not self._stopping.wait(self._every):
            self._look(look)
            self._deliver()
        self._look(look)
        self._next_try = 0.0
        self._deliver()

    def _look(self, look: Callable[[], Seen]) -> None:
        try:
            found = look()
        except GinghamError as error:
            logger.error("the webhook cannot look at the attributes: %s", error)
            return
        for event in events_of(self._seen, found):
            if len(self._waiting) == _MOST:
                logger.error("webhook: more than %d events wait, the oldest is given up", _MOST)
                self._give_up()
            self._waiting.append(_body(event))
        self._seen = found

    def _deliver(self) -> None:
        while self._waiting and time.monotonic() >= self._next_try:
            reason = _post(self._url, self._waiting[0], sign(self._secret, self._waiting[0]))
            if reason is None:
                self._give_up()
            elif self._failed == len(self._pauses):
                tries = self._failed + 1
                logger.error("webhook: an event is given up, tried %d times: %s", tries, reason)
                self._give_up()
            else:
                self._next_try = time.monotonic() + self._pauses[self._failed]
                self._failed += 1

    def _give_up(self) -> None:
        """Let go of the oldest event."""
        self._waiting.popleft()
        self._failed, self._next_try = 0, 0.0


def events_of(before: Seen, now: Seen) -> list[Event]:
    """Name what has happened between two moments: each change of an attribute, then new tags."""
    found: list[Event] = []
    for one in now.changes[len(before.changes) :]:
        if one.attribute is None:
            continue
        gone = one.verb == "forget" or (one.verb == "undo" and one.attribute not in now.tags)
        event = "attribute-forgotten" if gone else "attribute-changed"
        found.append(
            {"event": event, "attribute": one.attribute, "number": one.number, "by": one.by}
        )
    for name, tags in sorted(now.tags.items()):
        if tags not in (None, before.tags.get(name)):
            found.append({"event": "images-tagged", "attribute": name})
    return found


def sign(secret: bytes, body: bytes) -> str:
    """Give the signature of a body."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def _body(event: Event) -> bytes:
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return json.dumps({"id": uuid.uuid4().hex, "time": now} | event).encode()


def _check_url(url: str) -> str:
    try:
        found = urlsplit(url)
        usable = found.scheme in ("http", "https") and found.hostname and found.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in found.netloc or not url.isascii() or not url.isprintable():
        raise InputError(
            "the address of the webhook cannot be used: give one such as "
            "https://shop.example.org/hook, without a user or a password in it"
        )
    return url


def _post(url: str, body: bytes, signature: str) -> str | None:
    """Post once, without following redirects; say why it failed, None if it did not."""
    found = urlsplit(url)
    kind = http.client.HTTPSConnection if found.scheme == "https" else http.client.HTTPConnection
    connection = kind(found.hostname or "", found.port, timeout=_SECONDS)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"gingham/{gingham.__version__}",
        SIGNATURE: signature,
    }
    target = (found.path or "/") + (f"?{found.query}" if found.query else "")
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        connection.close()
    return None if 200 <= status < 300 else f"it answered {status}"
