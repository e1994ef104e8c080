"""The built-in colours over HTTP and by the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import gingham
from colourful import ColourfulRuntime
from gingham.service.app import create_app
from gingham.service.served import ServedCatalogue
from serving import check_problem, client, listening, make


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCatalogue]:
    with make(tmp_path_factory.mktemp("colours"), runtime=ColourfulRuntime()) as made:
        yield made


@pytest.fixture(scope="module")
def http(shop: ServedCatalogue) -> Iterator[TestClient]:
    with client(shop) as one:
        yield one


def test_search_by_colours_alone_and_page_by_page(http: TestClient) -> None:
    said = http.post("/v1/search", json={"colours": {"#e50000": 2}, "n": 4}).json()
    assert all(Path(hit["image"]).name.startswith("red") for hit in said["hits"])
    assert said["hits"][0]["score"] == pytest.approx(2 * said["hits"][0]["looks"]["colours"])
    following = http.post("/v1/search", json={"cursor": said["cursor"]}).json()
    assert len(following["hits"]) == 4
    assert following["hits"][0]["score"] <= said["hits"][-1]["score"]


def test_search_by_an_upload_and_colours(http: TestClient, shop: ServedCatalogue) -> None:
    blue = next(Path(shop.folder).parent.joinpath("photos").glob("blue*"))
    form = {"looks": '{"texture": 0.1}', "colours": '{"green": 3}', "n": "3"}
    said = http.post("/v1/search", data=form, files={"image": blue.read_bytes()}).json()
    assert all(Path(hit["image"]).name.startswith("green") for hit in said["hits"])
    assert {"texture", "colours"} <= set(said["hits"][0]["looks"])


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({}, "no image: send the field image, or an id, text, colours or filters"),
        ({"colours": {}}, "no image: send the field image, or an id, text, colours or filters"),
        ({"colours": {"nevy": 1}}, "did you mean 'navy'?"),
        ({"colours": {"red": -1}}, "must be from 0 to 1,000,000"),
        ({"colours": {"red": 1}, "looks": {"colour": 1}}, "go with an image"),
    ],
)
def test_what_is_no_search_by_colour_is_a_problem(
    http: TestClient, query: dict[str, object], says: str
) -> None:
    check_problem(http.post("/v1/search", json=query), 422, says)


def test_the_attribute_is_there_and_is_not_corrected(http: TestClient) -> None:
    said = http.get("/v1/attributes").json()["attributes"]
    assert said["colours"]["built_in"]
    assert not said["colour"]["built_in"]
    (image, *_) = http.get("/v1/images").json()["images"]
    asked = {"id": image["id"], "attributes": ["colours"]}
    (found,) = http.post("/v1/predict", json=asked).json()["results"]
    named = found["predictions"]["colours"]
    assert named["value"][0] == next(iter(named["values"]))
    assert named["evidence"] == []
    answer = http.post("/v1/attributes/colours/examples", json={"examples": {image["id"]: "red"}})
    check_problem(answer, 422, "built in and takes no corrections")


def test_the_client_asks_the_same(shop: ServedCatalogue) -> None:
    with listening(create_app(shop)) as address, gingham.connect(address) as there:
        asked = {"red": 1.0, "#0343df": 2.0}
        here = shop.search(colours=asked, n=5)
        assert [hit.id for hit in there.search(colours=asked, n=5)] == [hit.id for hit in here]
        assert there.info().attributes["colours"] == shop.info().attributes["colours"]
        with pytest.raises(gingham.InputError, match="at least one image, a colour or a filter"):
            there.search()
