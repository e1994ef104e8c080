"""What goes wrong between a client and a server is one sentence with the address."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import gingham
from gingham.client.address import check_address, is_address
from gingham.errors import CatalogueError, ImageError, InputError, ServerError

Answer = tuple[int, dict[str, str], bytes]
DESCRIBED = json.dumps({"images": 3, "fingerprint": "f"}).encode()


class Stub:
    """A server that answers what it is told to, and remembers what it was asked."""

    def __init__(self, answer: Callable[[int], Answer]) -> None:
        self.asked: list[tuple[str, str | None]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                stub.asked.append((self.path, self.headers.get("Authorization")))
                status, headers, body = answer(len(stub.asked))
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def stub(answer: Callable[[int], Answer]) -> Iterator[Stub]:
    made = Stub(answer)
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        thread.join()
        made.server.server_close()


def problem(kind: str, status: int, detail: str, **headers: str) -> Answer:
    said = {"type": f"urn:gingham:problem:{kind}", "detail": detail}
    return status, headers, json.dumps(said).encode()


def refused(answer: Answer, *, key: str | None = None) -> Exception:
    with stub(lambda count: answer) as server, pytest.raises(gingham.GinghamError) as caught:
        gingham.connect(server.url, key=key)
    if isinstance(caught.value, ServerError):
        assert server.url in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("invalid-request", InputError),
        ("not-found", InputError),
        ("unreadable-image", ImageError),
        ("conflict", CatalogueError),
        ("role-too-low", ServerError),
        ("read-only", ServerError),
        ("no-storage", ServerError),
    ],
)
def test_problems_become_the_errors_that_they_were(kind: str, family: type[Exception]) -> None:
    error = refused(problem(kind, 422, "this is wrong"))
    assert type(error) is family
    assert "this is wrong" in str(error)


def test_a_key_that_is_missing_or_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = problem("unknown-caller", 401, "send a key")
    monkeypatch.delenv("GINGHAM_KEY", raising=False)
    assert "GINGHAM_KEY" in str(refused(answer))
    assert "does not know the key" in str(refused(answer, key="abc"))
    with pytest.raises(InputError, match="key cannot be used"):
        gingham.connect("http://127.0.0.1:9", key="a\nX-Other: b")


def test_the_key_is_sent_and_never_to_where_a_redirect_leads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GINGHAM_KEY", "secret")
    with stub(lambda count: (200, {}, DESCRIBED)) as other:
        moved = (307, {"Location": other.url + "/v1/catalogue"}, b"")
        with (
            stub(lambda count: moved) as server,
            pytest.raises(ServerError, match="not followed"),
        ):
            gingham.connect(server.url)
        assert server.asked == [("/v1/catalogue", "Bearer secret")]
        assert other.asked == []
        with gingham.connect(other.url + "/shop/", key="mine") as shop:
            assert len(shop) == 3
        assert set(other.asked) == {("/shop/v1/catalogue", "Bearer mine")}


def test_a_busy_server_is_asked_again_a_bounded_number_of_times() -> None:
    busy = problem("busy", 503, "too much", **{"Retry-After": "0"})
    with stub(lambda count: busy if count < 3 else (200, {}, DESCRIBED)) as server:
        gingham.connect(server.url).close()
        assert len(server.asked) == 3
    with stub(lambda count: busy) as server:
        with pytest.raises(ServerError, match="too much"):
            gingham.connect(server.url)
        assert len(server.asked) == 4


def test_what_would_be_done_twice_is_not_repeated() -> None:
    busy = problem("busy", 503, "too much", **{"Retry-After": "0"})
    with stub(lambda count: (200, {}, DESCRIBED) if count == 1 else busy) as server:
        with gingham.connect(server.url) as shop, pytest.raises(ServerError, match="too much"):
            shop.undo(1)
        assert len(server.asked) == 2


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1]", b'{"images": 3}'])
def test_another_server_is_told_from_gingham(body: bytes) -> None:
    assert "check the address" in str(refused((200, {}, body)))
    assert "check the address" in str(refused((404, {}, body)))


def test_nobody_there_and_no_answer() -> None:
    with stub(lambda count: (200, {}, DESCRIBED)) as server:
        gone = server.url
    with pytest.raises(ServerError, match=f"{gone} cannot be reached"):
        gingham.connect(gone)
    done = threading.Event()

    def wait(count: int) -> Answer:
        done.wait(20)
        return 200, {}, DESCRIBED

    with stub(wait) as server:
        try:
            with pytest.raises(ServerError, match=r"has not answered within 0\.2 seconds"):
                gingham.connect(server.url, timeout=0.2)
        finally:
            done.set()


@pytest.mark.parametrize(
    "url",
    ["shop", "ftp://host", "http://", "http://user:word@host", "http://host:port", "http://h/?a=1",
     "http://h/a b"],
)  # fmt: skip
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(InputError) as caught:
        check_address(url)
    assert "word" not in str(caught.value)


def test_addresses_are_told_from_folders() -> None:
    assert is_address("http://127.0.0.1:8000")
    assert is_address("HTTPS://shop.example.org/prefix")
    assert is_address(Path("http://127.0.0.1:8000"))
    assert not is_address("http")
    assert not is_address("shops/http:/")


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_must_be_a_time(timeout: float) -> None:
    with pytest.raises(InputError, match="timeout"):
        gingham.connect("http://127.0.0.1:9", timeout=timeout)
