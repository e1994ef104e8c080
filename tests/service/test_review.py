"""What somebody should look at next is listed, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from gingham.attributes.attribute_fitting import fit
from gingham.attributes.taught import TaughtAttribute
from gingham.operations.review import NEIGHBOURS, STRANGE, _agreement
from gingham.service.served import ServedCatalogue
from serving import check_problem, make, shared_http

ADDRESS = "/v1/attributes/shade"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCatalogue]:
    """Reds and greens are warm, blues cold, but for one of each."""
    with make(tmp_path_factory.mktemp("review"), each=10) as made:
        said = {
            one: "cold" if Path(files[0]).stem.startswith("blue") else "warm"
            for one, files in made.images().items()
            if int(Path(files[0]).stem[-1]) < 7
        }
        said[image(made, "red0")], said[image(made, "blue0")] = "cold", "warm"
        made.teach("shade", said)
        made.tag()
        yield made


http = shared_http


def image(shop: ServedCatalogue, name: str) -> str:
    (found,) = [one for one, files in shop.images().items() if Path(files[0]).stem == name]
    return found


def review(http: TestClient, order: str, **more: Any) -> tuple[int, list[dict[str, Any]]]:
    answer = http.get(f"{ADDRESS}/review", params={"order": order, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["total"], answer.json()["items"]


def test_the_least_sure_tags_come_first(http: TestClient, shop: ServedCatalogue) -> None:
    total, items = review(http, "uncertain")
    assert total == len(items) == 9
    sure = [one["confidence"] for one in items]
    assert sure == pytest.approx(sorted(sure), abs=1e-6)
    taught = shop.examples()["shade"]
    for one in items:
        assert one["id"] not in taught
        assert not one["example"]
        between = any(0.1 < share < 0.9 for share in one["values"].values())
        assert one["reason"].startswith("unsure: " if between else "sure: ")
        assert set(one["values"]) == {"warm", "cold"}
        (found,) = shop.predict([one["id"]], attributes=["shade"])
        assert one["values"] == pytest.approx(found.predictions["shade"].values)


def test_any_part_of_a_value_is_given(http: TestClient) -> None:
    _, whole = review(http, "random", value="cold")
    total, part = review(http, "random", value="cold", n=1, offset=1)
    assert total == len(whole) >= 2
    ((one, expected),) = zip(part, whole[1:2], strict=True)
    for key, value in expected.items():
        assert one[key] == pytest.approx(value)
    assert {one["value"] for one in whole} == {"cold"}


def test_the_useful_ones_are_all_and_every_tenth_is_a_contradicted_example(
    http: TestClient, shop: ServedCatalogue
) -> None:
    total, items = review(http, "useful")
    _, unsure = review(http, "uncertain")
    doubted = [place for place, one in enumerate(items) if one["example"]]
    assert doubted == [9, 10]
    assert total == len(items) == len(unsure) + 2
    assert {one["id"] for one in items if not one["example"]} == {one["id"] for one in unsure}
    assert http.get(f"{ADDRESS}/review").json()["items"] == items


def test_what_was_kept_of_an_answer_is_what_it_answers(shop: ServedCatalogue) -> None:
    """The order of the useful ones and the contradictions, against reading and fitting again."""
    attribute = shop._attributes.taught_attribute("shade")
    ids = [bytes.fromhex(one) for one in shop.images()]
    doubts, looks = shop._reviewer._doubts(attribute, ids)
    features = shop._truth.features.get(ids, attribute.layers)
    for doubt, answer in zip(doubts, attribute.answer(features), strict=True):
        first, second = answer.values.values()
        unknown = STRANGE if answer.value is None else 1
        assert doubt == pytest.approx((1 - first + second) * unknown, abs=1e-6)
    assert looks == pytest.approx(attribute.project(features), abs=1e-6)
    taught = shop._attributes.taught()["shade"]
    again = fit(shop._truth, "shade", taught, shop._attributes.background)
    assert attribute.contradictions == again.contradictions != ()
    path = shop._attributes._path("shade") / "attribute.npz"
    assert TaughtAttribute.load(path).contradictions == again.contradictions


def test_what_was_not_kept_is_asked_again(
    http: TestClient, shop: ServedCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, suspicious = review(http, "useful"), review(http, "suspicious")
    shop._reviewer._kept.clear()
    before = shop._attributes.taught_attribute("shade")
    earlier = replace(before, contradictions=None)
    monkeypatch.setattr(shop._attributes, "taught_attribute", lambda name: earlier)
    tags, limits = shop._attributes.held_to("shade", None)
    unknown = replace(tags, doubts=np.full(len(tags.ids), np.nan, np.float32))
    monkeypatch.setattr(shop._attributes, "held_to", lambda *a, **b: (unknown, limits))
    assert review(http, "useful") == kept
    assert review(http, "suspicious") == suspicious
    shop._reviewer._kept.clear()


def test_contradictory_examples_come_until_they_are_confirmed(
    http: TestClient, shop: ServedCatalogue
) -> None:
    doubted = {image(shop, "red0"): "cold", image(shop, "blue0"): "warm"}
    _, items = review(http, "suspicious")
    first = {one["id"]: one for one in items if one["example"]}
    assert {key: one["value"] for key, one in first.items()} == doubted
    assert "the other examples say warm" in first[image(shop, "red0")]["reason"]
    confirmed = {image(shop, "red0"): "cold"}
    http.post(f"{ADDRESS}/examples", json={"examples": confirmed, "apply": False})
    # The tags are those of before: what comes next is still known.
    _, items = review(http, "suspicious")
    assert [one["id"] for one in items if one["example"]] == [image(shop, "blue0")]


def test_what_cannot_be_reviewed_is_refused(http: TestClient, shop: ServedCatalogue) -> None:
    check_problem(http.get("/v1/attributes/shape/review"), 404, "shape")
    check_problem(http.get(f"{ADDRESS}/review?order=best"), 422, "order")
    check_problem(http.get(f"{ADDRESS}/review?value=hot"), 422, "hot")
    red, blue = image(shop, "red0"), image(shop, "blue0")
    examples = {red: "a", blue: "b"}
    http.post("/v1/attributes/new/examples", json={"examples": examples, "apply": False})
    check_problem(http.get("/v1/attributes/new/review"), 422, "not tagged yet")


@settings(deadline=None, max_examples=20)
@given(st.integers(NEIGHBOURS + 1, 600), st.integers(0, 9))
def test_agreement_is_the_share_of_the_nearest(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    codes = rng.integers(0, 3, count).astype(np.int32)
    found = _agreement(vectors, codes)
    for row in range(0, count, 37):
        order = np.argsort(-(vectors @ vectors[row]), kind="stable")
        nearest = [other for other in order if other != row][:NEIGHBOURS]
        assert found[row] == pytest.approx((codes[nearest] == codes[row]).mean())
