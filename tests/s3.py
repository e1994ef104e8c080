"""A server of S3 on this machine, and a proxy before it that does what goes wrong on the way."""

from __future__ import annotations

import atexit
import contextlib
import http.client
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path

import pytest

from gingham.store.object_files import ObjectFiles

_SERVER = """
import logging, sys, threading
logging.getLogger("werkzeug").disabled = True
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer
def in_turn(method, lock=threading.Lock()):
    def taken(*given, **more):
        with lock:
            return method(*given, **more)
    return taken
# It asks whether a key is there and then puts it; S3 does both at once.
S3Response.put_object = in_turn(S3Response.put_object)
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run the server in a process of its own; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "MOTO_CALL_RESET_API": "false"},
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def new_bucket(server: str) -> str:
    """Make a bucket and name it."""
    name = f"test-{secrets.token_hex(6)}"
    request = urllib.request.Request(f"{server}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        return name


def environment(server: str) -> dict[str, str]:
    """Give what a process must know to use a server."""
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_ENDPOINT_URL": server,
        "AWS_REGION": "us-east-1",
    }


Rule = Callable[[str, str], str]
"""Of a method and a path, what happens: see `Proxy`."""


class Proxy:
    """Passes requests on to a server, or does with one what `rule` says.

    `""`: passes it on. `503 CODE`, or another number: answers so. `torn`: lets go of the line in
    the middle of the body. `lost`: passes it on, and lets go of the line before the answer.
    `short`: gives half of the answer's body.
    """

    def __init__(self, server: str) -> None:
        self.rule: Rule = lambda method, path: ""
        self.seen: list[str] = []
        self.delay = 0.0
        self._to = server.removeprefix("http://")
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args: object) -> None:
                pass

            def _pass(self) -> None:
                proxy._pass(self)

            do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass  # noqa: N815

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _pass(self, one: BaseHTTPRequestHandler) -> None:
        action = self.rule(one.command, one.path)
        self.seen.append(f"{one.command} {one.path} {action}".strip())
        length = int(one.headers.get("Content-Length", 0))
        if action == "torn":
            one.rfile.read(length // 2)
            self._hang_up(one)
            return
        chunked = one.headers.get("Transfer-Encoding", "") == "chunked"
        body = b"".join(_chunks(one.rfile)) if chunked else one.rfile.read(length)
        time.sleep(self.delay)
        if action[:1].isdigit():
            status, _, code = action.partition(" ")
            said = f"<Error><Code>{code}</Code><Message>said</Message></Error>".encode()
            self._answer(one, int(status), [], said)
            return
        line = http.client.HTTPConnection(self._to, timeout=30)
        ours = ("connection", "transfer-encoding", "content-length", "expect")
        headers = {k: v for k, v in one.headers.items() if k.lower() not in ours}
        line.request(one.command, one.path, body, headers)
        answer = line.getresponse()
        content = answer.read()  # of HEAD nothing
        line.close()
        if action == "lost":
            self._hang_up(one)
            return
        self._answer(one, answer.status, answer.getheaders(), content, short=action == "short")

    def _answer(
        self,
        one: BaseHTTPRequestHandler,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        *,
        short: bool = False,
    ) -> None:
        one.send_response(status)
        kept = {k.lower(): v for k, v in headers}
        length = kept.pop("content-length", "0") if one.command == "HEAD" else str(len(content))
        for name in ("connection", "server", "date", "content-length", "transfer-encoding"):
            kept.pop(name, None)
        for name, value in kept.items():
            one.send_header(name, value)
        one.send_header("Content-Length", length)
        one.end_headers()
        with contextlib.suppress(OSError):  # whoever asked may have what it wants
            one.wfile.write(content[: len(content) // 2 if short else None])
        if short:
            self._hang_up(one)

    def _hang_up(self, one: BaseHTTPRequestHandler) -> None:
        one.close_connection = True
        with contextlib.suppress(OSError):
            one.wfile.flush()
            one.connection.shutdown(socket.SHUT_RDWR)


@lru_cache(maxsize=1)
def shared() -> str:
    """Give the address of a server that runs until the tests end."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(serving())


@lru_cache(maxsize=1)
def shared_bucket() -> str:
    """Name a bucket of the shared server."""
    return new_bucket(shared())


def files_at(address: str, server: str | None = None, *, retrying: float = 20.0) -> ObjectFiles:
    """Give files in a bucket of a server; None: the shared one."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(server or shared()).items():
            patch.setenv(name, value)
        return ObjectFiles(address, retrying=retrying)


def new_files() -> ObjectFiles:
    """Give an empty place in the shared bucket."""
    return files_at(f"s3://{shared_bucket()}/{secrets.token_hex(8)}/shop")


def _chunks(file: BufferedIOBase) -> Iterator[bytes]:
    while size := int(file.readline().split(b";")[0], 16):
        yield file.read(size)
        file.readline()
    while file.readline().strip():
        pass


_COUNTING = """
import sys
sys.path.insert(0, sys.argv[2])
from s3 import Proxy
proxy = Proxy(sys.argv[1])
print(proxy.address, flush=True)
for line in sys.stdin:
    print(len(proxy.seen), flush=True)
"""


@contextlib.contextmanager
def counting(server: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """Run a `Proxy` in a process of its own; gives its address, and what counts its requests."""
    process = subprocess.Popen(
        [sys.executable, "-c", _COUNTING, server, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    given, said = process.stdin, process.stdout
    assert given is not None
    assert said is not None

    def count() -> int:
        given.write("\n")
        given.flush()
        return int(said.readline())

    try:
        yield said.readline().strip(), count
    finally:
        process.kill()
        process.communicate()
