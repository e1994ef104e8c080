"""An issuer of OpenID Connect: where it is asked, and the keys that sign its tokens."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import urllib3
from authlib.oidc.discovery import get_well_known_url
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from gingham.errors import InputError
from gingham.service.access import is_loopback
from gingham.service.problems import ISSUER, ProblemError, busy

logger = logging.getLogger(__name__)

_KEPT = 3600.0
"""Seconds after which the keys are asked for again."""
_AGAIN = 30.0
"""Seconds between two questions, whatever keys tokens name."""
_AFTER_FAILURE = 5.0
"""Seconds after a question that was not answered."""
_SECONDS = 5.0
"""How long an answer is waited for."""
_MOST = 1 << 20
"""Bytes of an answer."""

PublicKey: TypeAlias = RSAKey | ECKey | OKPKey
_KINDS: Mapping[str, type[PublicKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class IssuerError(Exception):
    """The issuer cannot be asked, or its answer cannot be used."""


class Issuer:
    """What an issuer says of itself, asked for when it is first needed, and kept.

    Only the address of its discovery document is given; all others are those that it names. No
    redirect is followed, and no proxy of the environment is used.

    Parameters
    ----------
    url : as tokens name it; https, or http on this machine.
    clock : gives seconds.

    Attributes
    ----------
    metadata : the discovery document; empty before it has been read.

    Raises
    ------
    InputError
        If the address cannot be used.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = check_address("issuer", url)
        self.metadata: Mapping[str, Any] = {}
        self._clock = clock
        self._pool = urllib3.PoolManager(maxsize=2)
        self._keys: list[PublicKey] = []
        self._fetched = self._next = float("-inf")
        self._trouble: str | None = None
        self._fetching: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """Its host, for people."""
        return urlsplit(self.url).hostname or self.url

    def key(self, kid: str | None) -> PublicKey | None:
        """Give the key of an id among those kept; without an id the only one."""
        if kid is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.kid == kid), None)

    async def ready(self) -> None:
        """Read the discovery document, if it has not been.

        Raises
        ------
        ProblemError
            If the issuer cannot be asked.
        """
        await self._look(needed=not self.metadata)
        if not self.metadata:
            raise self.away()

    async def know(self, kid: str | None) -> None:
        """Ask for the keys if one is not known or they are old, and not too often."""
        await self._look(needed=self.key(kid) is None)

    async def _look(self, *, needed: bool) -> None:
        """Ask once for all who need it; who does not need it now does not wait."""
        now = self._clock()
        old = now - self._fetched > _KEPT
        idle = self._fetching is None or self._fetching.done()
        if idle and (needed or old) and now >= self._next:
            self._fetching = asyncio.create_task(asyncio.to_thread(self._fetch))
        if needed and self._fetching is not None:
            await asyncio.shield(self._fetching)

    def _fetch(self) -> None:
        try:
            metadata = self._metadata()
            keys = usable_keys(self.ask("GET", metadata["jwks_uri"]))
        except IssuerError as error:
            logger.error("the issuer %s cannot be used: %s", self.url, error)
            self._trouble, self._next = str(error), self._clock() + _AFTER_FAILURE
            return
        self.metadata, self._keys, self._trouble = metadata, keys, None
        self._fetched = self._clock()
        self._next = self._fetched + _AGAIN

    def _metadata(self) -> dict[str, Any]:
        found = self.ask("GET", get_well_known_url(self.url, external=True))
        if found.get("issuer") != self.url:
            raise IssuerError(
                f"its discovery document is that of {found.get('issuer')!a}: give that to "
                "--oidc-issuer if it is meant"
            )
        for name in ENDPOINTS:
            try:
                check_address(name, found.get(name))
            except InputError as error:
                raise IssuerError(str(error)) from None
        return found

    def ask(
        self, method: str, url: str, *, body: str | None = None, headers: Mapping[str, str] = {}
    ) -> dict[str, Any]:
        """Send a request; return the object that answers it.

        Raises
        ------
        IssuerError
            If there is no such answer.
        RefusedError
            If the issuer refuses what was sent.
        """
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={"Accept": "application/json", **headers},
                timeout=urllib3.Timeout(total=_SECONDS),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            try:
                data = response.read(_MOST + 1)
            finally:
                response.close()
        except urllib3.exceptions.HTTPError as error:
            raise IssuerError(f"{type(error).__name__} of {url}") from None
        if 400 <= response.status < 500 and method == "POST":
            raise RefusedError(f"{url} answers {response.status}")
        if response.status != 200 or len(data) > _MOST:
            raise IssuerError(f"{url} answers {response.status}, {len(data)} bytes")
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise IssuerError(f"{url} answers what is no JSON object")
        return found

    @property
    def in_trouble(self) -> bool:
        """Whether the last question was not answered."""
        return self._trouble is not None

    def away(self) -> ProblemError:
        """Make the problem of an issuer that cannot be asked."""
        return busy(
            f"the issuer {self.name} cannot be asked, and the server's log says why: try again "
            "later, or use a key of this server",
            after=int(_AFTER_FAILURE),
            kind=ISSUER,
        )


class RefusedError(Exception):
    """The issuer refuses what was sent."""


def usable_keys(said: Mapping[str, Any]) -> list[PublicKey]:
    """Read the public keys of a key set that may sign; others are left out.

    Raises
    ------
    IssuerError
        If there is none.
    """
    found: list[PublicKey] = []
    for one in said["keys"] if isinstance(said.get("keys"), list) else []:
        kind = _KINDS.get(str(one.get("kty"))) if isinstance(one, dict) else None
        if kind is None or one.get("use", "sig") != "sig":
            continue
        with contextlib.suppress(JoseError, ValueError, TypeError, KeyError):
            found.append(kind.import_key(one))
    if not found:
        raise IssuerError("it publishes no key that could sign a token")
    return found


def check_address(what: str, url: object) -> str:
    """Return an address that may be asked: https, or http on this machine.

    Raises
    ------
    InputError
        If it is another.
    """
    try:
        found = urlsplit(url if isinstance(url, str) else "")
        usable = found.scheme == "https" or (
            found.scheme == "http" and is_loopback(found.hostname or "")
        )
        usable = usable and bool(found.hostname) and found.port != 0
    except ValueError:
        usable = False
    if not (usable and isinstance(url, str) and url.isascii() and url.isprintable()) or any(
        sign in url for sign in "@# \\"
    ):
        raise InputError(
            f"the {what} {url!r} cannot be used: give an address such as "
            "https://login.example.org/shop; http is for this machine alone"
        )
    return url
