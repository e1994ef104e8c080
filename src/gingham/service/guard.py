"""What every request passes first: who may ask, how much, how long; and what every answer bears."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

from gingham.service.access import Access
from gingham.service.caller import CALLER, NOBODY
from gingham.service.limits import Limits
from gingham.service.metrics import ServiceMetrics
from gingham.service.problems import (
    MALFORMED,
    SLOW,
    TOO_LARGE,
    ProblemError,
    as_problem,
    busy,
)
from gingham.service.roles import IDENTITY

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""Of every answer that does not set them itself."""
_SENT = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

API = "/v1/"


class Guard:
    """Stands before the application; whatever happens behind it becomes a problem document.

    A page of another site must not be able to use the server through somebody's browser: requests
    for a host that is not the server's (a name that was made to point here) and changes that
    another site sends are refused.

    Parameters
    ----------
    app : the application.
    limits : what is accepted.
    metrics : counts requests.
    access : says who may ask.
    log : gets a line of JSON for each request, without what was asked.
    """

    def __init__(
        self,
        app: App,
        limits: Limits,
        metrics: ServiceMetrics,
        access: Access,
        log: TextIO | None = None,
    ) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._access = access
        self._log = log
        self._accepted = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = sent = 0
        asked = scope["method"]
        if asked == "HEAD":  # answered as GET, without the body
            scope = {**scope, "method": "GET"}

        async def answer(message: Message) -> None:
            nonlocal status, sent
            if asked == "HEAD" and message["type"] == "http.response.body":
                message["body"] = b""
            sent += len(message.get("body", b""))
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(one for one in _SENT if one[0] not in there),
                ]
            await send(message)

        try:
            await self._admit(scope, receive, answer)
        except Exception as error:
            problem = as_problem(error)
            if status:  # the answer has begun: it can only be cut off
                raise
            await problem.response()(scope, receive, answer)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = asked if route != "other" else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            took = time.perf_counter() - started
            self._metrics.seconds.labels(method, route).observe(took)
            if self._log is not None:
                # The route, not the address: what is asked for stays with whoever asks.
                identity = scope.get(IDENTITY)
                said = {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "caller": identity and identity.caller and identity.caller.name,
                    "method": method,
                    "route": route,
                    "status": status,
                    "ms": round(1e3 * took, 1),
                    "bytes": sent,
                }
                with contextlib.suppress(OSError):  # nobody reads it any more
                    print(json.dumps(said), file=self._log, flush=True)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        await self._access.prepare(headers)
        identity = scope[IDENTITY] = self._access.identify(headers)
        self._access.check_origin(scope["method"], headers, identity)
        CALLER.set(identity.caller or NOBODY)
        body = Body(receive, headers, self._limits)
        if not scope["path"].startswith(API):
            await self._app(scope, body.receive, send)
            return
        if self._accepted >= self._limits.waiting:
            self._metrics.refused.inc()
            raise busy(
                f"{self._accepted} requests are waiting already: ask again after the time that "
                "Retry-After gives"
            )
        self._accepted += 1
        self._metrics.accepted.set(self._accepted)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._accepted -= 1
            self._metrics.accepted.set(self._accepted)


class Body:
    """The body of one request as it arrives, held against the limits.

    Parameters
    ----------
    receive : gives the messages.
    headers : of the request, names in lower case.
    limits : of size and time.

    Raises
    ------
    ProblemError
        If the announced length is no number, or too much.
    """

    def __init__(self, receive: Receive, headers: MutableMapping[str, str], limits: Limits) -> None:
        self._receive = receive
        self._limits = limits
        images = headers.get("content-type", "").startswith("multipart/")
        self._left = self._most = limits.upload_bytes if images else limits.json_bytes
        self._complete = False
        self._until = time.monotonic() + limits.receive_seconds
        announced = headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            raise ProblemError(MALFORMED, "Content-Length is no number: leave it out")
        if len(announced) > 18 or int(announced) > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        """Give the next message, in time and within the limit.

        Raises
        ------
        ProblemError
            If the body is too large, or too slow.
        """
        if self._complete:
            return await self._receive()
        try:
            # Not `wait_for`, which may swallow that the waiting task was cancelled.
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise ProblemError(
                SLOW,
                f"it must arrive within {self._limits.receive_seconds:g} seconds: send less at "
                "once",
                headers={"Connection": "close"},
            ) from None
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large()
        self._complete = not message.get("more_body", False)
        return message

    def _too_large(self) -> ProblemError:
        return ProblemError(
            TOO_LARGE,
            f"at most {self._most:,} bytes are read: send smaller images, or fewer at once",
            headers={"Connection": "close"},
        )
