"""The page in Chromium: somebody logs in with an issuer, and is back where they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from driving import Tab, expect, serious, served
from gingham.service.access import Access
from gingham.service.keys import KeyFile, KeyRing
from gingham.service.oidc.login import Oidc
from issuing import SECRET, SHOP, FakeIssuer
from serving import listening, make


@pytest.fixture(scope="module")
def issuer() -> Iterator[FakeIssuer]:
    made = FakeIssuer()
    with listening(made.app) as address:
        made.url = address
        made.reset()
        yield made


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, issuer: FakeIssuer) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("login")
    oidc = Oidc(issuer.url, SHOP, SECRET)
    access = Access(KeyRing(KeyFile(folder / "keys.json"), every=0), oidc=oidc)
    with make(folder, each=2) as shop, served(shop, access=access) as one:
        yield one


def test_a_login_leads_there_and_back_and_ends(
    browser: Any, address: str, issuer: FakeIssuer, tmp_path: Path
) -> None:
    tab = Tab(browser, address)
    page = tab.open("/review?attribute=colour")
    button = page.get_by_role("link", name="Log in with 127.0.0.1")
    assert page.get_by_label("Key").is_visible()
    assert serious(page) == []
    button.click()
    page.get_by_text("ann~").wait_for()
    assert page.url == f"{address}/review?attribute=colour"
    page.wait_for_load_state("networkidle")  # no picture is asked for any more
    page.get_by_role("button", name="leave").click()
    button.wait_for()
    page.get_by_role("link", name="Log in with 127.0.0.1").click()
    page.get_by_text("ann~").wait_for()
    tab.close()


def test_what_the_issuer_refuses_is_said_as_a_page(
    browser: Any, address: str, issuer: FakeIssuer
) -> None:
    issuer.user["roles"] = []
    tab = Tab(browser, address)
    tab.page.goto(f"{address}/v1/session/oidc")
    expect(tab.page.get_by_role("heading")).to_have_text("The role does not allow it")
    tab.page.get_by_text("No role here is given to ann~").wait_for()
    assert serious(tab.page) == []
    tab.page.get_by_role("link", name="Back to the page").click()
    tab.page.get_by_role("link", name="Log in with").wait_for()
    # A browser logs each answer of 4xx.
    tab.trouble = [one for one in tab.trouble if "403" not in one]
    tab.close()
