"""Who has logged in with a browser, and how often somebody may try to."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from gingham.service.caller import Caller
from gingham.service.keys import Key, digest
from gingham.service.problems import TOO_MANY, busy

_MOST = 10_000
"""Logins, and addresses that tried, that are remembered: the latest."""
_MINUTE = 60.0


@dataclass(frozen=True)
class Login:
    """Somebody who has logged in.

    Attributes
    ----------
    holder : of the session: a key, which must still be valid, or a caller whom others vouched for.
    until : when it ends, on the clock that `Logins` was given.
    """

    holder: Key | Caller
    until: float


class Logins:
    """The sessions of browsers, kept in memory: a restart ends them.

    Parameters
    ----------
    seconds : how long one lasts.
    clock : gives seconds.
    issued_seconds : how long one lasts whose holder an issuer vouches for, which may change its
        mind and tells nobody.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        issued_seconds: float | None = None,
    ) -> None:
        self._key_seconds, self._issued_seconds = seconds, issued_seconds or seconds
        self._clock = clock
        self._there: OrderedDict[str, Login] = OrderedDict()

    def begin(self, holder: Key | Caller) -> str:
        """Begin a session, and give the secret that is its cookie; only its SHA-256 is kept."""
        secret = secrets.token_urlsafe(32)
        self._there[digest(secret)] = Login(holder, self._clock() + self.seconds(holder))
        while len(self._there) > _MOST:
            self._there.popitem(last=False)
        return secret

    def seconds(self, holder: Key | Caller) -> float:
        """Say how long a session lasts."""
        return self._key_seconds if isinstance(holder, Key) else self._issued_seconds

    def find(self, secret: str) -> Key | Caller | None:
        """Give whose session it is; None if there is none, or it has ended."""
        login = self._there.get(digest(secret))
        if login is None or login.until <= self._clock():
            return None
        return login.holder

    def end(self, secret: str) -> None:
        """End a session; it need not be there."""
        self._there.pop(digest(secret), None)


class Tries:
    """Counts failed logins by address, and refuses more for a while.

    Parameters
    ----------
    most : within a minute.
    clock : gives seconds.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    def check(self, address: str) -> None:
        """Refuse an address that has failed too often.

        Raises
        ------
        ProblemError
            With the seconds to wait.
        """
        failed = self._failed.get(address, deque())
        if len(failed) == self._most and (wait := failed[0] + _MINUTE - self._clock()) > 0:
            raise busy(
                f"{self._most} logins have failed within a minute: wait, then check the key",
                after=int(wait) + 1,
                kind=TOO_MANY,
            )

    def fail(self, address: str) -> None:
        """Count one that has failed."""
        failed = self._failed.setdefault(address, deque(maxlen=self._most))
        failed.append(self._clock())
        self._failed.move_to_end(address)
        while len(self._failed) > _MOST:
            self._failed.popitem(last=False)
