"""What the tests of the service share: a served catalogue and a client of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import COLOURS, FakeRuntime, draw

pytest.importorskip("fastapi", reason="the extra service is not installed")
pytest.importorskip("httpx2", reason="starlette's test client needs httpx2")

import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from gingham.service.access import Access
from gingham.service.app import create_app
from gingham.service.limits import DEFAULT_LIMITS, Limits
from gingham.service.serve import address_of, listen
from gingham.service.served import ServedCatalogue
from gingham.service.webhook import Webhook

BASE = "http://127.0.0.1:8000"


class MappingRuntime(FakeRuntime):
    """The fake backbone, with maps whose mean and spread are not its features."""

    def maps(
        self, image: NDArray[np.uint8], layers: Sequence[str]
    ) -> dict[str, NDArray[np.float32]]:
        channels = {layer.name: layer.channels for layer in self.config.layers}
        x = image.astype(np.float32) / 255
        plane = x[:8, :8].mean(axis=2)
        return {
            layer: np.stack([plane * (c + 1) for c in range(channels[layer.removesuffix(":fg")])])
            for layer in layers
        }


def pictures(folder: Path, each: int = 6) -> Path:
    """Draw some pictures of each colour, half of them striped."""
    for colour in COLOURS:
        for seed in range(each):
            draw(folder / f"{colour}{seed}.jpg", colour, seed, striped=seed % 2 == 1)
    return folder


def examples(folder: Path) -> Path:
    """Draw a folder of examples of each colour."""
    for colour in COLOURS:
        for seed in range(100, 106):
            draw(folder / colour / f"{seed}.jpg", colour, seed, striped=seed % 2 == 1)
    return folder


def make(
    folder: Path, *, runtime: FakeRuntime | None = None, each: int = 6, place: str = ""
) -> ServedCatalogue:
    """Make a catalogue of `3 * each` pictures with the attribute colour, tagged."""
    shop = ServedCatalogue.create(place or folder / "shop", runtime=runtime or MappingRuntime())
    shop.index([pictures(folder / "photos", each)])
    shop.teach("colour", examples(folder / "examples"))
    shop.tag()
    return shop


@contextlib.contextmanager
def client(
    shop: ServedCatalogue,
    *,
    access: Access | None = None,
    read_only: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    webhook: Webhook | None = None,
    access_log: TextIO | None = None,
) -> Iterator[TestClient]:
    """Serve a catalogue to a client; it is ready when the client is given."""
    app = create_app(
        shop,
        access=access,
        read_only=read_only,
        limits=limits,
        webhook=webhook,
        access_log=access_log,
    )
    with TestClient(app, base_url=BASE) as one:
        until = time.monotonic() + 30
        while one.get("/readyz").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.01)
        yield one


@contextlib.contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve an application from a thread, on a port of its own; give its address."""
    with listen("127.0.0.1", 0) as opened:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]})
        thread.start()
        try:
            until = time.monotonic() + 30
            while not server.started:
                assert time.monotonic() < until
                time.sleep(0.01)
            yield address_of(opened)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def wait(http: TestClient, number: int, *states: str) -> dict[str, Any]:
    """Wait until a job has one of some states, or has ended."""
    until = time.monotonic() + 300
    while True:
        found: dict[str, Any] = http.get(f"/v1/jobs/{number}").json()
        if found["state"] in (states or ("done", "failed", "cancelled")):
            return found
        assert time.monotonic() < until, found
        time.sleep(0.01)


def check_problem(response: Any, status: int, *words: str) -> dict[str, Any]:
    """Check that a response is a problem document which says these words."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == status
    assert found["type"].startswith("urn:gingham:problem:")
    assert found["title"]
    for word in words:
        assert word in found["detail"], found
    return found


def shared_shop(each: int = 6) -> Any:
    """Make the fixture `shop` of a module: one catalogue for all its tests."""

    @pytest.fixture(scope="module")
    def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCatalogue]:
        with make(tmp_path_factory.mktemp("shop"), each=each) as made:
            yield made

    return shop


@pytest.fixture(scope="module")
def shared_http(shop: ServedCatalogue) -> Iterator[TestClient]:
    """One client for all tests of a module."""
    with client(shop) as one:
        yield one


@pytest.fixture
def fresh_shop(tmp_path: Path) -> Iterator[ServedCatalogue]:
    """A catalogue that a test may change."""
    with make(tmp_path, each=3) as made:
        yield made


@pytest.fixture
def fresh_http(shop: ServedCatalogue) -> Iterator[TestClient]:
    """A client for one test."""
    with client(shop) as one:
        yield one
