"""Drives the page in Chromium: a catalogue served on loopback, and a tab that looks at it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

import uvicorn

from gingham.service.app import create_app
from gingham.service.libraries import missing
from gingham.service.serve import address_of, listen
from gingham.service.served import ServedCatalogue

if missing() is not None:
    pytest.skip("the page's libraries are not there: run make page", allow_module_level=True)

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
AXE = Path(__file__).resolve().parents[1] / "node_modules" / "axe-core" / "axe.min.js"


@contextlib.contextmanager
def served(shop: ServedCatalogue, **options: Any) -> Iterator[str]:
    """Serve a catalogue on loopback, in a thread; gives its address."""
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(create_app(shop, **options), log_level="error", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield address_of(listening)
        finally:
            server.should_exit = True
            thread.join()


class Tab:
    """A tab of the browser that fails where the page does."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}} | context)
        self.page = self.context.new_page()
        self.address = address
        self.trouble: list[str] = []
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, message: Any) -> None:
        # How fast the graphics are is not the page's.
        if message.type in ("error", "warning") and "GL Driver Message" not in message.text:
            self.trouble.append(f"{message.text} {message.location['url']}")

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path)
        self.page.wait_for_selector("main:not(:has(.loading))")
        return self.page

    def close(self) -> None:
        self.context.close()
        assert not self.trouble, self.trouble


def serious(page: Any) -> list[str]:
    """Give what axe-core finds serious."""
    # The policy of the page lets no script in that is not its own; the driver's way around it is.
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {[node['html'][:160] for node in one['nodes']][:4]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def tiles(page: Any) -> Any:
    return page.locator(".grid [data-index]:not(.waiting)")


@pytest.fixture(scope="module")
def shared_address(shop: ServedCatalogue) -> Iterator[str]:
    """Where the catalogue of a module is served."""
    with served(shop) as one:
        yield one


@pytest.fixture
def new_tab(browser: Any, address: str) -> Iterator[Tab]:
    """A tab of a test."""
    one = Tab(browser, address)
    yield one
    one.close()
