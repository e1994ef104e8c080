"""Requests to a Qdrant server, sent again while that may help, and what its refusals mean."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse
from qdrant_client.qdrant_remote import QdrantRemote
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_random_exponential,
)

from gingham.errors import ServerError
from gingham.index.address import IndexAddress
from gingham.index.qdrant.options import PORT, read_options, split_path
from gingham.index.remote import PATIENCE, ForbiddenError

T = TypeVar("T")

KEY = "QDRANT_API_KEY"
"""The variable of the environment that gives the key."""

_PASSING = (429, 500, 502, 503, 504)  # refusals that asking again may change
_BACKOFF = wait_random_exponential(multiplier=0.1, max=2)


class MissingError(Exception):
    """There is no such collection, or no such point."""


class RefusedRequestError(ServerError):
    """The server does not do this, as it also says of what it has done before."""


class QdrantConnection:
    """A client of one server.

    Whatever is sent may be sent twice, since an answer may get lost: it must not matter.

    Parameters
    ----------
    address : of the server.
    patience : see `PATIENCE`.
    transport : sends the requests, in place of sockets.

    Attributes
    ----------
    name : of the collection.
    options : of the address.
    """

    def __init__(
        self,
        address: IndexAddress,
        patience: float = PATIENCE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._address = address
        self._patience = patience
        self.options = read_options(address.options)
        parts = urlsplit(address.client)
        path, self.name = split_path(parts)
        key = parse_qs(parts.query).get("api_key", [os.environ.get(KEY)])[0] or None
        host = parts.netloc if parts.port else f"{parts.netloc}:{PORT}"
        sent: Any = {} if transport is None else {"transport": transport}
        if not parts.scheme.endswith("s"):
            sent["verify"] = False  # or certificates that nobody needs are read each time
        if key is not None:
            # As `api_key` the client would warn that it travels in clear: the docs say that.
            sent["headers"] = {"api-key": key}
        self._client = QdrantRemote(
            url=f"{parts.scheme.partition('+')[2]}://{host}{path}",
            timeout=self.options.timeout,
            check_compatibility=False,
            **sent,
        )

    @property
    def shown(self) -> str:
        """The address, without the key."""
        return self._address.shown

    def ask(self, call: Callable[[QdrantRemote], T], *, patience: float | None = None) -> T:
        """Do what sends one request; again if the server cannot answer now.

        Raises
        ------
        MissingError
            If what is asked for is not there.
        ServerError, ForbiddenError
            If the server cannot be reached or refuses; if whoever asks may not do this.
        """
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_passes),
                stop=stop_after_delay(self._patience if patience is None else patience),
                wait=_wait,
                reraise=True,
            ):
                with attempt:
                    return call(self._client)
        except UnexpectedResponse as error:
            raise self._refused(error) from None
        except ResourceExhaustedResponse as error:
            raise ServerError(self._unreachable(f"too many requests: {error}")) from None
        except ResponseHandlingException as error:
            raise self._unanswered(error.source) from None
        raise AssertionError("Retrying ends with a result or an error")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _refused(self, error: UnexpectedResponse) -> Exception:
        said = _said(error)
        if error.status_code == 404:
            return MissingError(said)
        where = f"the index at {self.shown}"
        if error.status_code in (401, 403):
            return ForbiddenError(
                f"{where} is refused ({said}): {self._address.how}, with the right to write where "
                "the index is changed; it is not kept"
            )
        if error.status_code in _PASSING:
            return ServerError(self._unreachable(said))
        return RefusedRequestError(
            f"{where} refused a request ({said}): run gingham rebuild CATALOGUE"
        )

    def _unanswered(self, source: Exception) -> ServerError:
        if isinstance(source, httpx.TransportError):
            return ServerError(self._unreachable(str(source) or type(source).__name__))
        return ServerError(
            f"what answers at {self.shown} is not a Qdrant server, or of a version that this "
            "client does not know: check the address"
        )

    def _unreachable(self, said: str) -> str:
        return (
            f"the index at {self.shown} cannot be reached ({said.strip()}): check the address, and "
            "that it runs"
        )


def _passes(error: BaseException) -> bool:
    if isinstance(error, UnexpectedResponse):
        return error.status_code in _PASSING
    if isinstance(error, ResponseHandlingException):
        return isinstance(error.source, httpx.TransportError)
    return isinstance(error, ResourceExhaustedResponse)


def _wait(state: RetryCallState) -> float:
    """Wait as long as the server asks for, else a little longer each time."""
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, ResourceExhaustedResponse):
        return float(error.retry_after_s)
    return float(_BACKOFF(state))


def _said(error: UnexpectedResponse) -> str:
    """Give the server's own words, in one line."""
    try:
        words = json.loads(error.content)["status"]["error"]
    except (ValueError, KeyError, TypeError):
        words = f"{error.status_code} {error.reason_phrase}"
    return " ".join(str(words).split())[:300]
