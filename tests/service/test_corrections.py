"""Examples are added, corrected and taken out over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import draw
from gingham.service.limits import Limits
from gingham.service.served import ServedCatalogue
from serving import check_problem, client, fresh_http, fresh_shop

ADDRESS = "/v1/attributes/shade/examples"


shop = fresh_shop
http = fresh_http


def by_colour(shop: ServedCatalogue, colour: str) -> list[str]:
    return [one for one, files in shop.images().items() if Path(files[0]).stem[:-1] == colour]


def send(http: TestClient, examples: dict[str, Any], **more: Any) -> Any:
    return http.post(ADDRESS, json={"examples": examples, **more})


def taught(shop: ServedCatalogue) -> dict[str, dict[str, bool]]:
    return {one.id.hex(): one.values for one in shop._attributes.taught()["shade"].examples}


def test_examples_are_added_to_what_was_taught(http: TestClient, shop: ServedCatalogue) -> None:
    red, blue, green = (by_colour(shop, colour) for colour in ("red", "blue", "green"))
    first = send(http, {red[0]: "warm", red[1]: "warm", blue[0]: "cold", blue[1]: "cold"})
    assert first.status_code == 200, first.text
    assert first.json()["examples"] == 4
    assert sum(first.json()["tags"].values()) == 9
    second = send(http, {green[0]: "fresh", blue[0]: "warm"}, apply=False).json()
    assert second["examples"] == 5
    assert second["values"] == ["cold", "fresh", "warm"]
    assert second["tags"] is None
    assert taught(shop)[blue[0]] == {"warm": True}


def test_null_takes_an_example_out(http: TestClient, shop: ServedCatalogue) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    send(http, {red[0]: "warm", red[1]: "warm", blue[0]: "cold", blue[1]: "cold"})
    answer = send(http, {red[1]: None, red[2]: "warm"}).json()
    assert answer["examples"] == 4
    assert red[1] not in taught(shop)
    check_problem(send(http, {red[1]: None}), 422, "is no example")


def test_what_cannot_be_taught_says_what_is_missing_and_stores_nothing(
    http: TestClient, shop: ServedCatalogue
) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    check_problem(send(http, {red[0]: "warm"}), 422, "at least two values")
    assert not shop.has_attribute("shade")
    send(http, {red[0]: "warm", blue[0]: "cold"})
    before = taught(shop)
    check_problem(send(http, {blue[0]: None}), 422, "at least two values", "warm")
    check_problem(send(http, {blue[0]: None, red[0]: None}), 422, "forget the attribute")
    check_problem(send(http, {"0" * 64: "warm"}), 422, "not in the catalogue")
    check_problem(send(http, {red[1]: "warm"}, kind="multi"), 422, "is of kind single")
    assert taught(shop) == before


def test_uploads_of_one_value_are_examples(
    http: TestClient, shop: ServedCatalogue, tmp_path: Path
) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    send(http, {red[0]: "warm", blue[0]: "cold"})
    new = [draw(tmp_path / f"new{n}.jpg", "red", 700 + n).read_bytes() for n in range(2)]
    files = [("image", ("x.jpg", one)) for one in new]
    answer = http.post(ADDRESS, files=files, data={"value": "warm", "apply": "false"})
    assert answer.json()["examples"] == 4
    assert answer.json()["tags"] is None
    assert len(shop) == 9
    check_problem(http.post(ADDRESS, files=files), 422, "value")
    check_problem(http.post(ADDRESS, data={"value": "warm"}), 415)
    with client(shop, limits=Limits(images=1)) as strict:
        check_problem(strict.post(ADDRESS, files=files, data={"value": "warm"}), 422, "2 images")


def test_several_values_are_examples_of_kind_multi(http: TestClient, shop: ServedCatalogue) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    answer = send(
        http,
        {red[0]: ["warm", "loud"], red[1]: ["warm"], blue[0]: ["calm"], blue[1]: ["calm", "loud"]},
        kind="multi",
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["values"] == ["calm", "loud", "warm"]
    send(http, {red[0]: ["!loud"]})
    assert taught(shop)[red[0]] == {"warm": True, "loud": False}


def test_confusions_count_what_is_taken_for_what(http: TestClient, shop: ServedCatalogue) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    said = dict.fromkeys(red, "warm") | dict.fromkeys(blue[:2], "cold") | {blue[2]: "warm"}
    answer = send(http, said).json()
    found = answer["verdict"]["confusions"]
    assert found
    assert {"warm", "cold"} >= {one["value"] for one in found}
    for one in found:
        assert one["value"] != one["predicted"]
        assert one["count"] >= 1


def test_the_same_again_confirms_an_example(http: TestClient, shop: ServedCatalogue) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    send(http, {red[0]: "warm", red[1]: "warm", blue[0]: "cold"})
    assert not shop._truth.confirmed.of("shade")
    send(http, {red[0]: "warm", red[1]: "cold"})
    assert {one.hex() for one in shop._truth.confirmed.of("shade")} == {red[0]}
    assert shop.verify() == []


def test_a_read_only_server_takes_no_examples(shop: ServedCatalogue) -> None:
    with client(shop, read_only=True) as http:
        check_problem(send(http, {"0" * 64: "warm"}), 403, "read-only")


@pytest.mark.parametrize("name", ["shade/review", "shade/examples", "shade/ä b", "100%2F"])
def test_names_may_hold_what_ends_the_address_of_a_route(
    http: TestClient, shop: ServedCatalogue, name: str
) -> None:
    red, blue = by_colour(shop, "red"), by_colour(shop, "blue")
    examples = {red[0]: "warm", red[1]: "warm", blue[0]: "cold", blue[1]: "cold"}
    address = f"/v1/attributes/{quote(name, safe='')}"
    put = http.put(address, json={"examples": examples})
    assert put.status_code == 201, put.text
    assert put.headers["location"] == address
    assert http.get(address).json()["values"] == ["cold", "warm"]
    assert http.get(f"{address}/review").json()["total"] > 0
    added = http.post(f"{address}/examples", json={"examples": {red[2]: "warm"}})
    assert added.json()["attribute"] == name
    assert added.json()["examples"] == 5
    check_problem(http.get("/v1/attributes/shade/review"), 404, "no attribute 'shade'")
    check_problem(
        http.post("/v1/attributes/shade/examples", json={"examples": {red[0]: None}}), 422
    )
    assert http.delete(address).status_code == 204
    assert "colour" in shop._attributes.answering()
    assert name not in shop._attributes.answering()
