"""Requests to one server: the key, time limits, retries, and errors in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

import gingham
from gingham.client.address import check_address
from gingham.errors import CatalogueError, GinghamError, ImageError, InputError, ServerError

READ_SECONDS = 70.0
CHANGE_SECONDS = 610.0
"""How long answers are waited for: somewhat longer than a server works on them."""

_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE = 10
"""Seconds before a refused request is sent again, at most, whatever the server asks for."""
_REFUSALS = 3
"""So many times a busy server is asked again."""

_PROBLEM = "urn:gingham:problem:"
_FAMILIES: Mapping[str, type[GinghamError]] = {
    "body-too-large": InputError,
    "conflict": CatalogueError,
    "invalid-request": InputError,
    "malformed-body": InputError,
    "not-found": InputError,
    "unreadable-image": ImageError,
}
"""Kind of problem -> the error that it was on the server; all others are about the server."""

Query = Sequence[tuple[str, str]]
Part = tuple[str, str | tuple[str, bytes, str]]
"""A field of a form: its name, and a text, or the name, bytes and media type of a file."""


@dataclass(frozen=True)
class Payload:
    """What a request sends: JSON or, if there are files, a form."""

    json: Any = None
    form: Sequence[Part] = ()


class Connection:
    """Sends requests to one server, from any number of threads.

    No redirect is followed, and no proxy of the environment is used: the key goes to the server
    that was named, and nowhere else.

    Parameters
    ----------
    url : http(s)://host[:port][/prefix].
    key : sent with every request; None where none is needed.
    timeout : seconds to wait for an answer; None: somewhat longer than a server works on one.

    Raises
    ------
    InputError
        If the address, the key or the timeout cannot be used.
    """

    def __init__(self, url: str, key: str | None, timeout: float | None) -> None:
        self.url = check_address(url)
        if timeout is not None and not 0 < timeout < float("inf"):
            raise InputError(f"timeout must be a number of seconds above 0, got {timeout}")
        self._timeout = timeout
        self._headers = {"User-Agent": f"gingham/{gingham.__version__}"}
        if key is not None:
            if not key.strip() or not key.isascii() or not key.isprintable():
                raise InputError("the key cannot be used: give it as `gingham keys add` printed it")
            self._headers["Authorization"] = f"Bearer {key.strip()}"
        self._keyed = key is not None
        self._pool = urllib3.PoolManager(maxsize=4)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._pool.clear()

    def ask(
        self,
        method: str,
        route: str,
        query: Query = (),
        body: Payload | None = None,
        *,
        changes: bool = False,
        repeatable: bool = True,
    ) -> Any:
        """Send a request; return the answer, plain values.

        Parameters
        ----------
        route : from `/` on, its parts quoted.
        changes : it changes the catalogue, which may take longer.
        repeatable : sent twice it does no more than once, so it is sent again to a busy server.

        Raises
        ------
        GinghamError
            See `_check`.
        """
        data = self.fetch(method, route, query, body, changes=changes, repeatable=repeatable)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise self.stranger("something that is no JSON") from None

    def fetch(
        self,
        method: str,
        route: str,
        query: Query = (),
        body: Payload | None = None,
        *,
        changes: bool = False,
        repeatable: bool = True,
    ) -> bytes:
        """Do as `ask`, and return the bytes of the answer."""
        seconds = self._timeout or (CHANGE_SECONDS if changes else READ_SECONDS)
        headers, content = dict(self._headers), None
        if body is not None and body.form:
            parts = [
                (name, value.encode(errors="replace") if isinstance(value, str) else value)
                for name, value in body.form
            ]
            content, headers["Content-Type"] = urllib3.encode_multipart_formdata(parts)
        elif body is not None:
            content, headers["Content-Type"] = json.dumps(body.json).encode(), "application/json"
        address = f"{self.url}{route}"
        if query:
            address += "?" + _encoded(query)
        try:
            response = self._pool.request(
                method,
                address,
                body=content,
                headers=headers,
                timeout=urllib3.Timeout(connect=min(seconds, _CONNECT_SECONDS), read=seconds),
                retries=_retries(repeatable, changes),
                redirect=False,
            )
        except HTTPError as error:
            raise self._failed(error, seconds) from None
        self._check(response)
        return response.data

    def _check(self, response: urllib3.BaseHTTPResponse) -> None:
        """Raise what an answer says is wrong.

        Raises
        ------
        InputError, ImageError, CatalogueError
            As the method of a `Catalogue` would have on the server.
        ServerError
            If the server refuses whoever asks, cannot answer now, or is no server of gingham.
        """
        if response.status < 300:
            return
        if response.status < 400:
            raise ServerError(
                f"{self.url} sends on to {response.headers.get('Location', 'elsewhere')!a}, which "
                "is not followed: give the address where the catalogue is served itself"
            )
        try:
            problem = json.loads(response.data)
            kind = problem["type"].removeprefix(_PROBLEM)
            detail = str(problem["detail"])
        except (ValueError, TypeError, KeyError, AttributeError):
            raise self.stranger(f"{response.status} {response.reason or ''}".strip()) from None
        if kind == "unknown-caller":
            raise ServerError(
                f"{self.url} does not know the key: ask whoever runs it for one"
                if self._keyed
                else f"{self.url} needs a key: give it with --key or key=, or in GINGHAM_KEY"
            )
        if (family := _FAMILIES.get(kind)) is not None:
            raise family(detail)
        raise ServerError(f"{self.url}: {detail}")

    def stranger(self, said: str) -> ServerError:
        """Make the error of an answer that no server of this version gives."""
        return ServerError(
            f"{self.url} answers {said}, which is not an answer of gingham serve: check the address"
        )

    def _failed(self, error: HTTPError, seconds: float) -> ServerError:
        cause = error.reason if isinstance(error, MaxRetryError) else error
        if isinstance(cause, ReadTimeoutError):
            what = f"has not answered within {seconds:g} seconds: ask for less, or again later"
        elif isinstance(cause, ConnectTimeoutError):
            what = "cannot be reached (no answer): check the address and the network"
        elif isinstance(cause, NewConnectionError):
            what = "cannot be reached: check the address, and that gingham serve runs there"
        elif isinstance(cause, SSLError):
            what = f"cannot be trusted ({cause.args[0]}): check the address and its certificate"
        else:
            what = "broke the connection off: check that it still runs, then try again"
        return ServerError(f"{self.url} {what}")


def quoted(name: str) -> str:
    """Write a name as one part of a route."""
    return quote(name, safe="", errors="surrogateescape")


def _retries(repeatable: bool, changes: bool) -> urllib3.Retry:
    # A connection that never came about has sent nothing, so that is tried again in any case. An
    # answer that breaks off is asked for again only where nothing is changed.
    return urllib3.Retry(
        total=None,
        connect=1,
        read=0 if changes else 1,
        status=_REFUSALS if repeatable else 0,
        other=0,
        redirect=0,
        allowed_methods=None,
        status_forcelist=[503] if repeatable else [],
        respect_retry_after_header=repeatable,
        backoff_factor=0.2,
        raise_on_status=False,
        retry_after_max=_LONGEST_PAUSE,
    )


def _encoded(query: Query) -> str:
    return urlencode(query, quote_via=quote, safe="", errors="surrogateescape")
