"""The login with an issuer: authorization code with PKCE, state and nonce."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from gingham.errors import InputError
from gingham.service.access import is_loopback, unknown_token
from gingham.service.caller import Caller
from gingham.service.keys import digest
from gingham.service.oidc import CALLBACK
from gingham.service.oidc.issuer import Issuer, IssuerError, RefusedError, check_address
from gingham.service.oidc.tokens import RoleRule, Tokens

SCOPE = "openid profile email"

_SECONDS = 600.0
"""How long somebody may take to log in."""
_MOST = 1000
"""Logins that have begun and not ended."""


@dataclass(frozen=True)
class BegunLogin:
    """A login that has begun.

    Attributes
    ----------
    browser : SHA-256 of the cookie of the browser that began it.
    nonce, verifier : what the ID token and the exchange of the code must match.
    callback : the address that the issuer sends back to.
    back : the address of the page to show then.
    until : when it is forgotten.
    """

    browser: str
    nonce: str
    verifier: str
    callback: str
    back: str
    until: float


class Oidc:
    """Logs people in with one issuer, and takes its tokens.

    Parameters
    ----------
    issuer : its address.
    client_id, secret : of this server, as registered there; None: a public client.
    audience : of access tokens; None: none is accepted.
    rule : says which roles tokens give.
    callback : the address of `CALLBACK` for browsers; None: as they ask, over https except on this
        machine.
    clock : gives seconds.

    Raises
    ------
    InputError
        If an address cannot be used, or there is no client id.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        secret: str | None = None,
        *,
        audience: str | None = None,
        rule: RoleRule | None = None,
        callback: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not client_id:
            raise InputError("the client id of the issuer is empty: give it to --oidc-client-id")
        self.issuer = Issuer(issuer, clock)
        self.tokens = Tokens(self.issuer, client_id, audience, rule or RoleRule())
        self._client, self._secret = client_id, secret
        self._callback = callback and check_address("callback", callback)
        self._clock = clock
        self._begun: OrderedDict[str, BegunLogin] = OrderedDict()

    async def begin(self, host: str, back: str) -> tuple[str, str]:
        """Begin a login.

        Parameters
        ----------
        host : that the browser asked, with the port.
        back : the address of the page to show after it.

        Returns
        -------
        The address to send the browser to, and the secret that is its cookie until it comes back.

        Raises
        ------
        ProblemError
            If the issuer cannot be asked.
        """
        await self.issuer.ready()
        state, nonce, browser, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        callback = self._callback or f"{_scheme(host)}://{host}{CALLBACK}"
        until = self._clock() + _SECONDS
        self._begun[state] = BegunLogin(digest(browser), nonce, verifier, callback, back, until)
        while len(self._begun) > _MOST:
            self._begun.popitem(last=False)
        address: str = prepare_grant_uri(
            self.issuer.metadata["authorization_endpoint"],
            self._client,
            "code",
            callback,
            SCOPE,
            state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return address, browser

    async def finish(self, state: str, code: str, browser: str) -> tuple[Caller, BegunLogin]:
        """End a login; it can be ended once.

        Parameters
        ----------
        state, code : that the issuer sent the browser back with.
        browser : its cookie.

        Raises
        ------
        ProblemError
            If it was not begun by this browser, the issuer cannot be asked, or says that it is
            nobody.
        """
        begun = self._begun.pop(state, None)
        if begun is None or begun.until <= self._clock():
            raise unknown_token("this login has ended or was never begun: log in again")
        if not hmac.compare_digest(begun.browser, digest(browser)):
            raise unknown_token("this login was begun by another browser: log in again")
        await self.issuer.ready()
        try:
            said = await asyncio.to_thread(self._exchange, code, begun)
        except IssuerError:
            raise self.issuer.away() from None
        except RefusedError:
            raise unknown_token(
                "the issuer does not know this login any more: log in again"
            ) from None
        token, access = said.get("id_token"), said.get("access_token")
        if not isinstance(token, str):
            raise unknown_token("the issuer does not say who has logged in: it sends no ID token")
        await self.tokens.prepare(token)
        access = access if isinstance(access, str) else None
        return self.tokens.log_in(token, begun.nonce, access), begun

    def _exchange(self, code: str, begun: BegunLogin) -> dict[str, Any]:
        metadata = self.issuer.metadata
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=begun.callback,
            code=code,
            code_verifier=begun.verifier,
        )
        allowed = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in allowed else "client_secret_post"
        auth = ClientAuth(self._client, self._secret, method if self._secret else "none")
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        url, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, body)
        return self.issuer.ask("POST", url, body=body, headers=headers)


def _scheme(host: str) -> str:
    name, _, port = host.rpartition(":")
    return "http" if is_loopback(name if port.isdigit() else host) else "https"
