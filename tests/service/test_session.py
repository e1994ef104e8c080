"""Browsers log in with a key and get a cookie that no script reads and no other site can use."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from gingham.service.access import Access
from gingham.service.caller import Caller
from gingham.service.keys import KeyFile, KeyRing
from gingham.service.limits import Limits
from gingham.service.logins import Logins, Tries
from gingham.service.problems import ProblemError
from gingham.service.served import ServedCatalogue
from serving import BASE, check_problem, client, shared_shop

OURS = {"origin": BASE}
NOBODY = {"caller": None, "role": None, "needs_key": True, "login": None}


shop = shared_shop(each=2)


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


@pytest.fixture
def http(shop: ServedCatalogue, keys: KeyFile) -> Iterator[TestClient]:
    with client(shop, access=Access(KeyRing(keys, every=0), limits=Limits(logins=3))) as one:
        yield one


def log_in(http: TestClient, secret: str, **headers: str) -> Any:
    return http.post("/v1/session", json={"key": secret}, headers=OURS | headers)


def test_a_key_becomes_a_session_that_does_what_its_role_may(
    http: TestClient, keys: KeyFile
) -> None:
    secret = keys.add("ann", "editor")
    assert http.get("/v1/session").json() == NOBODY
    check_problem(http.get("/v1/facets"), 401)
    answer = log_in(http, secret)
    assert answer.json() == NOBODY | {"caller": "ann", "role": "editor"}
    cookie = answer.headers["set-cookie"].split("; ")
    assert cookie[0].startswith("gingham=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie)
    assert "Secure" not in cookie
    assert secret not in answer.headers["set-cookie"]
    assert http.get("/v1/session").json()["caller"] == "ann"
    assert http.get("/v1/facets").status_code == 200
    check_problem(http.delete("/v1/attributes/colour", headers=OURS), 403, "needs the role admin")
    assert http.delete("/v1/session", headers=OURS).status_code == 204
    assert http.get("/v1/session").json() == NOBODY


def test_over_tls_the_cookie_is_secure_also_behind_a_proxy(http: TestClient, keys: KeyFile) -> None:
    answer = log_in(http, keys.add("ann", "reader"), origin="https://127.0.0.1:8000")
    assert "Secure" in answer.headers["set-cookie"].split("; ")


def test_a_session_that_was_ended_is_not_found_again(http: TestClient, keys: KeyFile) -> None:
    log_in(http, keys.add("ann", "reader"))
    cookie = {"cookie": f"gingham={http.cookies['gingham']}"}
    http.delete("/v1/session", headers=OURS)
    assert "gingham" not in http.cookies
    check_problem(http.get("/v1/facets", headers=cookie), 401)


def test_the_session_of_a_removed_key_ends_and_one_of_the_same_name_is_another(
    http: TestClient, keys: KeyFile
) -> None:
    log_in(http, keys.add("ann", "admin"))
    keys.remove("ann")
    assert http.get("/v1/session").json() == NOBODY
    keys.add("ann", "admin")
    assert http.get("/v1/session").json() == NOBODY


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_change_by_cookie_comes_from_our_own_pages(
    http: TestClient, keys: KeyFile, headers: dict[str, str]
) -> None:
    log_in(http, keys.add("ann", "admin"))
    path = "/v1/attributes/nothing"
    check_problem(http.delete(path, headers=headers), 403, "may not send this")
    for own in (OURS, {"sec-fetch-site": "same-origin"}):
        check_problem(http.delete(path, headers=own), 404)


def test_a_key_given_besides_a_cookie_is_what_counts(http: TestClient, keys: KeyFile) -> None:
    log_in(http, keys.add("ann", "admin"))
    headers = {"authorization": f"Bearer {keys.add('bob', 'reader')}"}
    assert http.get("/v1/session", headers=headers).json()["caller"] == "bob"
    check_problem(http.get("/v1/facets", headers={"authorization": "Bearer x"}), 401)


@pytest.mark.parametrize(
    "body", [{}, {"key": 17}, {"kee": "gingham_abc"}, {"key": "gingham_x" * 999}]
)
def test_what_may_hold_a_key_is_not_repeated(http: TestClient, keys: KeyFile, body: Any) -> None:
    keys.add("ann", "admin")
    problem = check_problem(http.post("/v1/session", json=body, headers=OURS), 422, '{"key": ')
    for value in body.values():
        assert str(value) not in json.dumps(problem)


def test_failed_logins_are_refused_after_some_and_name_no_key(
    http: TestClient, keys: KeyFile, caplog: pytest.LogCaptureFixture
) -> None:
    secret = keys.add("ann", "admin")
    for _ in range(3):
        answer = log_in(http, "gingham_guess")
        check_problem(answer, 401, "unknown or was removed")
        assert "www-authenticate" in answer.headers
    answer = log_in(http, secret)
    check_problem(answer, 429, "3 logins have failed")
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "guess" not in caplog.text
    # Who has a key is not kept out by those who guess.
    assert http.get("/v1/facets", headers={"authorization": f"Bearer {secret}"}).status_code == 200


def test_another_site_cannot_log_a_browser_in(http: TestClient, keys: KeyFile) -> None:
    answer = log_in(http, keys.add("ann", "admin"), origin="https://evil.example")
    check_problem(answer, 403, "may not send this")
    assert "set-cookie" not in answer.headers


def test_without_keys_there_is_nothing_to_log_in_to(http: TestClient) -> None:
    local = {"caller": "local", "role": "admin", "needs_key": False, "login": None}
    assert http.get("/v1/session").json() == local
    answer = log_in(http, "anything")
    assert answer.json() == local
    assert "set-cookie" not in answer.headers


def test_a_session_ends_when_its_time_is_up_and_not_before() -> None:
    now = 0.0
    logins = Logins(10, lambda: now)
    ann = Caller("ann", "reader")
    secret = logins.begin(ann)
    assert logins.begin(ann) != secret
    now = 9.9
    assert logins.find(secret) == ann
    assert logins.find(secret + "x") is None
    now = 10.0
    assert logins.find(secret) is None


def test_the_oldest_sessions_make_room() -> None:
    logins = Logins(10)
    first = logins.begin(Caller("first", "reader"))
    secrets = [logins.begin(Caller(str(n), "reader")) for n in range(10_000)]
    assert logins.find(first) is None
    assert all(logins.find(secret) is not None for secret in secrets)


def test_tries_are_counted_by_address_and_forgotten_after_a_minute() -> None:
    now = 0.0
    tries = Tries(2, lambda: now)
    tries.fail("a")
    tries.check("a")
    now = 50.0
    tries.fail("a")
    with pytest.raises(ProblemError) as refused:
        tries.check("a")
    assert refused.value.headers["Retry-After"] == "11"
    tries.check("b")
    now = 60.0
    tries.check("a")
    tries.fail("a")
    with pytest.raises(ProblemError):
        tries.check("a")
