"""Who may ask: keys become callers, and hosts are held against those that are served."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from starlette.requests import cookie_parser

from gingham.errors import InputError
from gingham.service.caller import LOCAL, Caller
from gingham.service.keys import Key, KeyRing
from gingham.service.limits import DEFAULT_LIMITS, Limits
from gingham.service.logins import Logins, Tries
from gingham.service.problems import (
    FOREIGN,
    MISDIRECTED,
    UNKNOWN_CALLER,
    ProblemError,
)

if TYPE_CHECKING:
    from gingham.service.oidc.login import Oidc

COOKIE = "gingham"
SAFE = ("GET", "HEAD", "OPTIONS")

_CHALLENGE = 'Bearer realm="gingham"'


def is_loopback(host: str) -> bool:
    """Tell whether only this machine is reached by a host name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Identity:
    """Who sent a request.

    Attributes
    ----------
    caller : None if it is not known.
    tried : whether a key was given.
    by_cookie : whether a browser says so by itself, whatever page makes it ask.
    refusal : why a token was refused.
    """

    caller: Caller | None
    tried: bool = False
    by_cookie: bool = False
    refusal: ProblemError | None = None

    def check(self) -> Caller:
        """Return who it is.

        Raises
        ------
        ProblemError
            If it is not known.
        """
        if self.caller is not None:
            return self.caller
        if self.refusal is not None:
            raise self.refusal
        if self.tried:
            raise unknown_key()
        raise ProblemError(
            UNKNOWN_CALLER,
            "send a key, as in Authorization: Bearer KEY",
            headers={"WWW-Authenticate": _CHALLENGE},
        )


def unknown_key() -> ProblemError:
    """Make the problem of a key that is none, without repeating it."""
    return unknown_token("the key is unknown or was removed: ask whoever runs this server for one")


def unknown_token(detail: str) -> ProblemError:
    """Make the problem of something given in place of a key that lets nobody in."""
    challenge = f'{_CHALLENGE}, error="invalid_token"'
    return ProblemError(UNKNOWN_CALLER, detail, headers={"WWW-Authenticate": challenge})


class Access:
    """Decides who a caller is, and for which hosts the server answers.

    Parameters
    ----------
    keys : of those who may ask.
    host : where the server listens.
    allowed_hosts : names that it answers for besides this machine's own.
    limits : of sessions and of tries to begin one.
    oidc : the issuer whose logins and tokens are accepted besides keys.

    Attributes
    ----------
    logins : the sessions of browsers.
    tries : those to begin a session that have failed.

    Raises
    ------
    InputError
        If others could reach the server, and there are no keys that would keep them out.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        host: str = "127.0.0.1",
        allowed_hosts: Collection[str] = (),
        limits: Limits = DEFAULT_LIMITS,
        oidc: Oidc | None = None,
    ) -> None:
        self._keys = keys
        self.oidc = oidc
        self.logins = Logins(limits.session_seconds, issued_seconds=limits.issued_seconds)
        self.tries = Tries(limits.logins)
        names = {_hostname(name) for name in allowed_hosts}
        if "" in names:
            raise InputError(
                "an allowed host cannot be read: give its name alone, as in shop.example.org"
            )
        self._open = is_loopback(host) and not names
        self._names = None if not names and not is_loopback(host) else names
        if not self._open and not keys.needed and oidc is None:
            raise InputError(
                f"host {next(iter(allowed_hosts), host)!r} could be reached by others, and there "
                "are no keys that would keep them out: add one with gingham keys add, or serve on "
                "127.0.0.1"
            )

    @property
    def needs_key(self) -> bool:
        """Whether only those with a key, or whom an issuer knows, may ask."""
        self._keys.current()
        return self._keys.needed or not self._open or self.oidc is not None

    async def prepare(self, headers: Mapping[str, str]) -> None:
        """Ask the issuer for the key of a token, if it is not there, before `identify`."""
        if self.oidc is not None and (token := _token(headers)) is not None:
            await self.oidc.tokens.prepare(token)

    def identify(self, headers: Mapping[str, str]) -> Identity:
        """Tell who sends a request.

        Parameters
        ----------
        headers : names in lower case.
        """
        if not self.needs_key:
            return Identity(LOCAL)
        if "authorization" in headers:
            if self.oidc is not None and (token := _token(headers)) is not None:
                try:
                    return Identity(self.oidc.tokens.caller(token), tried=True)
                except ProblemError as refusal:
                    return Identity(None, tried=True, refusal=refusal)
            key = self.key(_bearer(headers) or "")
            return Identity(None if key is None else key.caller, tried=True)
        if (secret := cookie_parser(headers.get("cookie", "")).get(COOKIE, "")) == "":
            return Identity(None)
        holder = self.logins.find(secret)
        if isinstance(holder, Key):
            # As it is now: its role may have changed, or it may be gone.
            same = (key for key in self._keys.current() if key.sha256 == holder.sha256)
            holder = next((key.caller for key in same), None)
        return Identity(holder, by_cookie=True)

    def key(self, secret: str) -> Key | None:
        """Give the key that a secret is; None if it is none."""
        return self._keys.find(secret)

    def check_origin(self, method: str, headers: Mapping[str, str], identity: Identity) -> None:
        """Refuse what another site's page sends through a browser.

        Raises
        ------
        ProblemError
            If the server does not answer for the host, or a change comes from another origin; one
            by cookie must say that it comes from ours.
        """
        host = headers.get("host", "")
        if self._names is not None and not self._answers_for(_split(f"//{host}").hostname or ""):
            known = " or ".join(sorted(self._names) or ["localhost", "127.0.0.1"])
            raise ProblemError(MISDIRECTED, f"host {host!a}: ask for {known}, with the port")
        origin = headers.get("origin")
        foreign = origin is not None and _split(origin).netloc != host
        site = headers.get("sec-fetch-site")
        unsure = identity.by_cookie and origin is None and site != "same-origin"
        if method not in SAFE and (foreign or unsure or site == "cross-site"):
            raise ProblemError(
                FOREIGN,
                f"a page of {origin or 'another site'!a} may not send this: ask from the "
                "server's own origin, or from a program with a key",
            )

    def _answers_for(self, name: str) -> bool:
        names = self._names or ()
        # A page that another site's name was made to point to bears that name, not an address:
        # probes and collectors ask by address.
        return is_loopback(name) or name.rstrip(".") in names or (bool(names) and _is_address(name))


def _bearer(headers: Mapping[str, str]) -> str | None:
    """Give what a header says in place of a key or token."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def _token(headers: Mapping[str, str]) -> str | None:
    """Give a token in the form of a JWT; a key has no dots."""
    secret = _bearer(headers)
    return secret if secret is not None and secret.count(".") == 2 else None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _hostname(name: str) -> str:
    """Give a host's name as it is compared, or nothing if it is not a name alone."""
    found = _split(f"//{name}").hostname or ""
    return found.rstrip(".") if found == name.lower().strip("[]") else ""


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")
