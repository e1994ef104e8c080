"""The value of every image, now and as an attribute was taught at an earlier change."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import draw
from gingham.service.served import ServedCatalogue
from serving import check_problem, fresh_http, fresh_shop

ADDRESS = "/v1/attributes/colour/values"


shop = fresh_shop
http = fresh_http


def values(http: TestClient, **asked: Any) -> dict[str, str]:
    """Read the answer: id -> value."""
    body = http.get(ADDRESS, params=asked).content
    assert body[:4] == b"GVAL"
    (length,) = struct.unpack("<I", body[4:8])
    head = json.loads(body[8 : 8 + length])
    count = head["count"]
    assert (head["attribute"], head["at"]) == ("colour", asked.get("at"))
    assert len(body) == 8 + length + 36 * count
    codes = np.frombuffer(body, "<i4", count, 8 + length)
    ids = [body[-32 * count :][i * 32 : i * 32 + 32].hex() for i in range(count)]
    names = dict(enumerate(head["values"])) | {-1: "unknown", -2: ""}
    return {one: names[int(code)] for one, code in zip(ids, codes, strict=True)}


def tags(shop: ServedCatalogue) -> dict[str, Any]:
    ids = list(shop.images())
    found = (shown.attributes.get("colour", "") for shown in shop.tags_of(ids))
    return dict(zip(ids, found, strict=True))


def latest(http: TestClient) -> int:
    found: int = http.get("/v1/attributes/colour").json()["changed"]
    return found


def rename(http: TestClient, shop: ServedCatalogue, **names: str) -> None:
    """Teach the attribute anew, with other names for some of the colours."""
    examples = {}
    for one, files in shop.images().items():
        colour = Path(files[0]).stem[:-1]
        examples[one] = names.get(colour, colour)
    answer = http.put("/v1/attributes/colour", json={"examples": examples})
    assert answer.status_code == 200, answer.text


def test_before_a_change_and_after_it_are_what_was_applied_then(
    http: TestClient, shop: ServedCatalogue
) -> None:
    first, before = latest(http), tags(shop)
    assert values(http) == values(http, at=first) == before
    rename(http, shop, red="scarlet")
    second, after = latest(http), tags(shop)
    assert second > first
    assert after != before
    rename(http, shop, blue="navy")
    assert values(http, at=first) == values(http, at=second - 1) == before
    assert values(http, at=second) == after
    assert values(http) == values(http, at=latest(http)) == tags(shop)
    assert "navy" in values(http).values()
    assert http.get("/v1/attributes").json()["attributes"]["colour"]["changed"] == latest(http)
    again = http.get(ADDRESS, params={"at": second})
    same = {"if-none-match": again.headers["etag"]}
    assert http.get(ADDRESS, params={"at": second}, headers=same).status_code == 304


def test_the_images_are_those_of_now_and_nothing_is_written(
    http: TestClient, shop: ServedCatalogue, tmp_path: Path
) -> None:
    first = latest(http)
    rename(http, shop, red="scarlet")
    history, tagged = http.get("/v1/history").json(), tags(shop)
    new = draw(tmp_path / "new.jpg", "green", 500)
    shop.index([new])
    (gone, *_) = shop.images()
    there = values(http, at=first)
    assert there.keys() == shop.images().keys()
    http.delete(f"/v1/images/{gone}")
    assert gone not in values(http, at=first)
    assert tags(shop) == {one: value for one, value in tagged.items() if one != gone} | {
        one: "" for one in there if one not in tagged
    }
    found = http.get("/v1/history").json()["changes"]
    assert found[2:] == history["changes"]


def test_undone_it_is_as_it_was(http: TestClient, shop: ServedCatalogue) -> None:
    before = values(http)
    rename(http, shop, red="scarlet")
    number = latest(http)
    assert http.post(f"/v1/history/{number}/undo").status_code == 200
    assert latest(http) == number + 1
    assert values(http, at=number + 1) == values(http) == before
    assert "scarlet" in values(http, at=number).values()


def test_when_nothing_was_taught_no_image_has_a_value(
    http: TestClient, shop: ServedCatalogue
) -> None:
    assert set(values(http, at=0).values()) == {""}
    assert set(values(http, at=latest(http) - 1).values()) == {""}
    ids = list(shop.images())[:2]
    examples = dict(zip(ids, ("a", "b"), strict=True))
    http.put("/v1/attributes/colour", json={"examples": examples, "apply": False})
    assert set(values(http).values()) == {""}, "it is not applied"
    assert set(values(http, at=latest(http)).values()) == {"a", "b"}


def test_what_is_not_there_is_said(http: TestClient, shop: ServedCatalogue) -> None:
    check_problem(http.get(ADDRESS, params={"at": 99}), 422, "there is no change 99")
    check_problem(http.get(ADDRESS, params={"at": -1}), 422)
    for asked in ({}, {"at": 2}):
        check_problem(http.get("/v1/attributes/color/values", params=asked), 404, "colour")
