"""A process that serves a catalogue until it is told to stop."""

from __future__ import annotations

import signal
import socket
import sys
from types import FrameType

import uvicorn
from fastapi import FastAPI

from gingham.errors import InputError
from gingham.service.limits import Limits


def listen(host: str, port: int) -> socket.socket:
    """Open a socket for connections; see `gingham.service.access.Access` for who may ask.

    Parameters
    ----------
    host : a name or address of this machine; 0.0.0.0 or :: for all that it has.
    port : 0 for any that is free.

    Raises
    ------
    InputError
        If the host is not this machine's, or the port cannot be used.
    """
    address = "127.0.0.1" if host == "localhost" else host.strip("[]")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    both = address == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server(
            (address, port), family=family, backlog=256, dualstack_ipv6=both
        )
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"port {port} of {host} cannot be used ({reason}): give another with --port"
        ) from None


def address_of(listening: socket.socket) -> str:
    """Give the address to open in a browser or with curl."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: FastAPI, listening: socket.socket, limits: Limits) -> None:
    """Serve until SIGTERM or Ctrl-C; what was accepted by then is finished first.

    Parameters
    ----------
    app : see `gingham.service.app.create_app`.
    listening : see `listen`; it is closed.
    limits : the longest that a request may take is waited for.
    """
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=int(limits.change_seconds) + 1,
    )
    server = uvicorn.Server(config)
    # The loop waits for a thread that searches whenever it has sent or received something; by
    # default a thread keeps the interpreter for 5 ms.
    sys.setswitchinterval(0.0005)
    # uvicorn stops by these signals, and raises them once more when it has stopped.
    before = [(number, signal.signal(number, _stopped)) for number in _STOPS]
    try:
        with listening:
            server.run(sockets=[listening])
    finally:
        for number, handler in before:
            signal.signal(number, handler)


_STOPS = (signal.SIGTERM, signal.SIGINT)


def _stopped(number: int, frame: FrameType | None) -> None:
    """Do nothing: the server has stopped."""
