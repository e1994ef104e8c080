"""Who may ask what: every route has a role, and keys, hosts and roles are held against it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from gingham.errors import InputError
from gingham.service.access import Access, Identity
from gingham.service.app import create_app
from gingham.service.caller import CALLER, Caller
from gingham.service.guard import API
from gingham.service.keys import KeyFile, KeyRing
from gingham.service.roles import NEEDED, authorize, operations
from gingham.service.served import ServedCatalogue
from serving import check_problem, client, make


class Shop:
    """A catalogue with a key of each role, served."""

    def __init__(self, catalogue: ServedCatalogue, http: TestClient, keys: KeyFile) -> None:
        self.catalogue, self.http, self.keys = catalogue, http, keys
        self.secrets = {role: keys.add(f"a-{role}", role) for role in ("reader", "editor", "admin")}

    def ask(self, role: str | None, method: str, path: str, **more: Any) -> Any:
        headers = more.pop("headers", {})
        if role is not None:
            headers = {"authorization": f"Bearer {self.secrets[role]}"} | headers
        return self.http.request(method, path, headers=headers, **more)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("access")
    keys = KeyFile(folder / "keys.json")
    access = Access(KeyRing(keys, every=0))
    with make(folder) as catalogue, client(catalogue, access=access) as http:
        yield Shop(catalogue, http, keys)


def routes_of(shop: Shop) -> list[APIRoute]:
    app: Any = shop.http.app
    return list(operations(app))


def methods_of(route: APIRoute) -> set[str]:
    return set(route.methods or ())


def test_every_route_needs_a_role_or_says_that_it_needs_none(shop: Shop) -> None:
    assert {route.operation_id for route in routes_of(shop)} == set(NEEDED)
    assert {name for name, role in NEEDED.items() if role is None} == OPEN
    for route in routes_of(shop):
        assert authorize in {one.call for one in route.dependant.dependencies}
    # What is not a function of ours passes no check of roles, so it may serve nothing of the API.
    app: Any = shop.http.app
    for route in app.routes:
        assert isinstance(route, APIRoute) or not getattr(route, "path", "").startswith(API)


OPEN = {"healthz", "readyz", "metrics", "session", "logIn", "logOut"}
OPEN |= {"beginLogin", "finishLogin"}  # here there is no issuer
READS_BY_POST = {"search", "predict"}


def test_whatever_changes_something_needs_more_than_a_reader(shop: Shop) -> None:
    for route in routes_of(shop):
        name = route.operation_id or ""
        if name in OPEN | READS_BY_POST:
            continue
        if methods_of(route) != {"GET"}:
            assert NEEDED[name] != "reader", name


def test_nothing_of_the_catalogue_is_shown_without_a_key(shop: Shop) -> None:
    for route in routes_of(shop):
        path = route.path.replace("{id}", "0" * 64).replace("{name:path}", "colour")
        for method in methods_of(route):
            response = shop.http.request(method, path)
            if route.operation_id in OPEN:
                assert response.status_code in (200, 204, 404, 415)
            else:
                check_problem(response, 401, "Authorization: Bearer KEY")
                assert response.headers["www-authenticate"] == 'Bearer realm="gingham"'


def test_a_role_that_is_too_low_is_refused_before_anything_is_read(shop: Shop) -> None:
    levels = ["reader", "editor", "admin"]
    for route in routes_of(shop):
        needed = NEEDED[route.operation_id or ""]
        if needed is None:
            continue
        path = route.path.replace("{id}", "0" * 64).replace("{name:path}", "nothing")
        (method,) = methods_of(route)
        for role in levels:
            response = shop.ask(role, method, path)
            if levels.index(role) < levels.index(needed):
                check_problem(response, 403, f"needs the role {needed}", f"a-{role}")
            else:
                assert response.status_code not in (401, 403), (route.path, role)


@pytest.mark.parametrize(
    "given",
    ["Bearer ", "Bearer wrong", "Bearer gingham_wrong", "Basic YTpi", "wrong", "Bearer \xe9 x"],
)
def test_what_is_no_key_is_refused_and_not_repeated(
    shop: Shop, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = shop.http.get("/v1/facets", headers=[(b"authorization", given.encode("latin-1"))])
    check_problem(response, 401, "unknown or was removed")
    assert "wrong" not in response.text
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert "wrong" not in caplog.text
    assert shop.http.get("/healthz", headers={"authorization": "x"}).status_code == 200


def test_a_key_that_is_removed_is_refused_at_once_and_its_role_followed(shop: Shop) -> None:
    secret = shop.keys.add("guest", "reader")
    headers = {"authorization": f"bearer {secret}"}
    assert shop.http.get("/v1/facets", headers=headers).status_code == 200
    shop.keys.remove("guest")
    check_problem(shop.http.get("/v1/facets", headers=headers), 401)


def test_the_work_knows_its_caller(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    facets = shop.catalogue.facets

    def watched(where: Any, **cutoff: Any) -> Any:
        seen.append(CALLER.get())
        return facets(where, **cutoff)

    monkeypatch.setattr(shop.catalogue, "facets", watched)
    for role in ("reader", "admin"):
        assert shop.ask(role, "GET", "/v1/facets").status_code == 200
    assert seen == [Caller("a-reader", "reader"), Caller("a-admin", "admin")]


def test_the_access_log_names_caller_and_route_and_nothing_that_was_asked(
    shop: Shop, tmp_path: Path
) -> None:
    secret = shop.secrets["reader"]
    written = io.StringIO()
    access = Access(KeyRing(shop.keys, every=0))
    with client(shop.catalogue, access=access, access_log=written) as http:
        written.truncate(0)
        written.seek(0)
        headers = {"authorization": f"Bearer {secret}"}
        answer = http.get("/v1/facets?where=colour%3Dred", headers=headers)
        http.get("/v1/facets?where=colour%3Dred", headers={"authorization": "Bearer gingham_wrong"})
        http.get("/v1/private/place")
    text = written.getvalue()
    for hidden in (secret, "wrong", "red", "private"):
        assert hidden not in text
    first, second, third = map(json.loads, text.splitlines())
    assert datetime.fromisoformat(first["time"]).tzinfo is not None
    assert first["ms"] > 0
    del first["time"], first["ms"]
    assert first == {
        "caller": "a-reader",
        "method": "GET",
        "route": "/v1/facets",
        "status": 200,
        "bytes": len(answer.content),
    }
    assert (second["caller"], second["route"], second["status"]) == (None, "/v1/facets", 401)
    assert (third["method"], third["route"], third["status"]) == ("other", "other", 404)


def test_the_document_says_which_role_is_needed(shop: Shop) -> None:
    document = shop.http.get("/openapi.json").json()
    for operations_ in document["paths"].values():
        for operation in operations_.values():
            role = NEEDED[operation["operationId"]]
            if role is not None:
                assert "401" in operation["responses"]
                assert f"Role: {role}." in operation["description"]
            if role in ("editor", "admin"):
                assert "The role does not" in operation["responses"]["403"]["description"]


def test_without_keys_only_this_machine_asks_and_the_first_key_ends_that(tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    access = Access(KeyRing(keys, every=0))
    caller = access.identify({}).caller
    assert caller == Caller("local", "admin")
    keys.add("ann", "reader")
    assert access.needs_key
    assert access.identify({}).caller is None
    keys.remove("ann")
    assert access.identify({}).caller is None


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("0.0.0.0", []), ("::", []), ("shop.example", []), ("127.0.0.1", ["shop.example"])],
)
def test_what_others_could_reach_needs_a_key(tmp_path: Path, host: str, allowed: list[str]) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    with pytest.raises(InputError, match="gingham keys add"):
        Access(KeyRing(keys, every=0), host=host, allowed_hosts=allowed)
    keys.add("ann", "reader")
    access = Access(KeyRing(keys, every=0), host=host, allowed_hosts=allowed)
    keys.remove("ann")
    assert access.needs_key


@pytest.mark.parametrize("name", ["", "https://shop.example", "shop.example:80", "a@b", "a/b", "["])
def test_an_allowed_host_is_a_name_alone(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="its name alone"):
        Access(KeyRing(KeyFile(tmp_path / "keys.json")), allowed_hosts=[name])


@pytest.mark.parametrize(
    ("host", "allowed", "answered", "refused"),
    [
        ("127.0.0.1", [], ["localhost:8000", "127.0.0.1"], ["shop.example", "10.0.0.1", ""]),
        ("0.0.0.0", [], ["shop.example", "10.0.0.1:80", "localhost"], []),
        (
            "0.0.0.0",
            ["Shop.example."],
            ["shop.example:443", "SHOP.EXAMPLE", "127.0.0.1", "10.0.0.1:8000", "[fd00::1]"],
            ["evil.example", "shop.example.evil.example", "", "["],
        ),
    ],
)
def test_hosts(
    tmp_path: Path, host: str, allowed: list[str], answered: list[str], refused: list[str]
) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    keys.add("ann", "reader")
    access = Access(KeyRing(keys, every=0), host=host, allowed_hosts=allowed)
    for name in answered:
        access.check_origin("POST", {"host": name, "origin": f"https://{name}"}, Identity(None))
    for name in refused:
        with pytest.raises(Exception, match="ask for") as error:
            access.check_origin("GET", {"host": name}, Identity(None))
        assert error.value.kind.status == 421  # type: ignore[attr-defined]


def test_an_application_serves_the_keys_of_its_catalogue(tmp_path: Path) -> None:
    with make(tmp_path) as catalogue:
        secret = KeyFile(catalogue.folder / "keys.json").add("ann", "reader")
        with TestClient(create_app(catalogue), base_url="http://localhost") as http:
            check_problem(http.get("/v1/attributes"), 401)
            there = http.get("/v1/attributes", headers={"authorization": f"Bearer {secret}"})
            assert there.status_code == 200
