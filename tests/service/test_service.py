"""The application itself: health, headers, problem documents, limits, and what is refused."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import FakeRuntime
from gingham.errors import BackboneError
from gingham.service.access import Access, is_loopback
from gingham.service.app import create_app
from gingham.service.guard import HEADERS, Body, Guard
from gingham.service.keys import KeyFile, KeyRing
from gingham.service.limits import DEFAULT_LIMITS, Limits
from gingham.service.metrics import ServiceMetrics
from gingham.service.problems import ProblemError
from gingham.service.served import ServedCatalogue
from serving import check_problem, shared_http, shared_shop

shop = shared_shop()
http = shared_http


def test_health_and_metrics(http: TestClient) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}
    http.get("/nowhere")
    text = http.get("/metrics").text
    assert "gingham_catalogue_images 18.0" in text
    assert 'gingham_requests_total{method="GET",route="/healthz",status="200"}' in text
    # What callers invent does not make new counters.
    assert 'gingham_requests_total{method="other",route="other",status="404"}' in text
    assert "nowhere" not in text


def test_every_answer_bears_the_headers(http: TestClient) -> None:
    for path in ("/healthz", "/nowhere", "/openapi.json"):
        response = http.get(path)
        assert {name: response.headers[name] for name in HEADERS} == HEADERS
        assert "server" not in response.headers


def test_errors_of_routing_are_problem_documents(http: TestClient) -> None:
    check_problem(http.get("/v1/nowhere"), 404, "/openapi.json")
    response = http.delete("/healthz")
    check_problem(response, 405, "use GET")
    assert response.headers["allow"] == "GET"


def test_the_document_names_every_route_and_no_outside_address(http: TestClient) -> None:
    document = http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/healthz", "/readyz", "/metrics"} <= set(document["paths"])
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for operations in document["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]


@pytest.mark.parametrize(
    "host", ["shop.example", "shop.example:8000", "127.0.0.1.nip.io", "", "[", "a b"]
)
def test_a_host_that_is_not_loopback_is_refused(http: TestClient, host: str) -> None:
    check_problem(http.get("/healthz", headers={"host": host}), 421, "127.0.0.1")


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.8.8", "::1", "[::1]", "LOCALHOST"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "localhost.example", "a b"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://shop.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_what_another_site_sends_is_refused(http: TestClient, headers: dict[str, str]) -> None:
    check_problem(http.post("/v1/search", headers=headers), 403)


def test_a_body_that_announces_too_much_is_refused_before_it_is_read(http: TestClient) -> None:
    most = DEFAULT_LIMITS.json_bytes
    for length in (str(most + 1), "9" * 30):
        response = http.post("/v1/search", content=b"", headers={"content-length": length})
        check_problem(response, 413, f"{most:,} bytes")
        assert response.headers["connection"] == "close"
    response = http.post("/v1/search", content=b"", headers={"content-length": "-1"})
    check_problem(response, 400, "Content-Length")


def receive_all(messages: list[dict[str, Any]], limits: Limits) -> list[Any]:
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        for message in waiting:
            return message
        await asyncio.sleep(60)
        raise AssertionError

    async def read() -> list[Any]:
        body = Body(receive, {}, limits)
        return [(await body.receive())["body"] for _ in range(3)]

    return asyncio.run(read())


def test_a_body_of_unknown_length_is_cut_off_at_the_limit() -> None:
    limits = Limits(json_bytes=10)
    messages = [{"type": "http.request", "body": b"12345", "more_body": True} for _ in range(3)]
    with pytest.raises(ProblemError, match="at most 10 bytes"):
        receive_all(messages, limits)


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    limits = Limits(receive_seconds=0.05)
    with pytest.raises(ProblemError, match=r"within 0\.05 seconds") as refused:
        receive_all([{"type": "http.request", "body": b"1", "more_body": True}], limits)
    assert refused.value.kind.status == 408


def guarded(app: Any, limits: Limits, count: int) -> list[list[dict[str, Any]]]:
    """Send some requests at once through a guard."""
    scope = {"type": "http", "method": "GET", "path": "/v1/x", "headers": [(b"host", b"localhost")]}

    async def send_all() -> list[list[dict[str, Any]]]:
        nobody = Access(KeyRing(KeyFile(Path("there-is-none.json"))))
        guard = Guard(app, limits, ServiceMetrics(lambda: 0), nobody)
        sent: list[list[dict[str, Any]]] = [[] for _ in range(count)]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def one(to: list[dict[str, Any]]) -> None:
            async def send(message: Any) -> None:
                to.append(message)

            await guard(dict(scope), receive, send)

        await asyncio.gather(*map(one, sent))
        return sent

    return asyncio.run(send_all())


def test_more_requests_than_may_wait_are_told_when_to_come_back() -> None:
    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sent = guarded(slow, Limits(waiting=3), 8)
    assert [messages[0]["status"] for messages in sent] == [200] * 3 + [503] * 5
    assert (b"retry-after", b"1") in sent[-1][0]["headers"]


def test_an_unexpected_error_shows_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("/secret/place")

    ((start, body),) = guarded(broken, DEFAULT_LIMITS, 1)
    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert "/secret/place" in caplog.text


def test_it_is_not_ready_while_the_network_is_loaded(tmp_path: Path) -> None:
    go_on = threading.Event()

    class Slow(ServedCatalogue):
        def warm_up(self) -> None:
            assert go_on.wait(10)
            super().warm_up()

    with (
        Slow.create(tmp_path / "shop", runtime=FakeRuntime()) as shop,
        TestClient(create_app(shop), base_url="http://localhost") as http,
    ):
        response = http.get("/readyz")
        check_problem(response, 503, "loaded")
        assert response.headers["retry-after"] == "5"
        assert http.get("/healthz").status_code == 200
        go_on.set()
        until = time.monotonic() + 10
        while http.get("/readyz").status_code != 200:
            assert time.monotonic() < until


def test_a_network_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    class Broken(ServedCatalogue):
        def warm_up(self) -> None:
            raise BackboneError("no weights")

    with (
        Broken.create(tmp_path / "shop", runtime=FakeRuntime()) as shop,
        TestClient(create_app(shop), base_url="http://localhost") as http,
    ):
        until = time.monotonic() + 10
        while "no weights" not in http.get("/readyz").text:
            assert time.monotonic() < until
