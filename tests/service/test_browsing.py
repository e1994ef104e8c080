"""The catalogue and its images are listed, filtered and ordered over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

import gingham
from conftest import draw
from gingham.errors import CatalogueBusyError
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, check_problem, client, make, shared_http, shared_shop

shop = shared_shop()
http = shared_http


def listed(http: TestClient, **asked: Any) -> tuple[int, list[dict[str, Any]]]:
    answer = http.get("/v1/images", params=asked).json()
    assert answer["offset"] == asked.get("offset", 0)
    return answer["total"], answer["images"]


def test_the_catalogue_says_what_a_client_needs_first(
    http: TestClient, shop: ServedCatalogue
) -> None:
    found = http.get("/v1/catalogue").json()
    attributes = http.get("/v1/attributes").json()["attributes"]
    assert found == {
        "name": "shop",
        "images": 18,
        "files": 18,
        "products": 0,
        "bytes": shop.info().bytes,
        "backbone": shop.config.backbone,
        "view": "square",
        "resolution": shop.config.preprocess.size,
        "precision": "float32",
        "fingerprint": shop.config.fingerprint,
        "layers": {layer.name: layer.channels for layer in shop.config.layers},
        "version": gingham.__version__,
        "looks": list(shop.info().looks),
        "text": None,
        "attributes": attributes,
        "read_only": False,
        "role": "admin",
        "caller": "local",
    }
    assert found["looks"][-1] == "attribute:colour"
    assert attributes["colour"]["tagged"] == shop.info().attributes["colour"].tagged == 18


def test_a_read_only_server_says_so(shop: ServedCatalogue) -> None:
    with client(shop, read_only=True) as http:
        assert http.get("/v1/catalogue").json()["read_only"] is True


def test_images_come_in_the_order_they_were_added(http: TestClient, shop: ServedCatalogue) -> None:
    total, images = listed(http)
    assert total == 18
    assert [one["id"] for one in images] == list(shop.images())
    first = http.get(f"/v1/images/{images[0]['id']}").json()
    assert first == images[0] | {"copies": []}


@pytest.mark.parametrize("offset", [0, 1, 7, 17, 18, 10**9])
def test_any_part_is_the_same_part_of_the_whole(http: TestClient, offset: int) -> None:
    _, whole = listed(http)
    total, part = listed(http, offset=offset, n=5)
    assert total == 18
    assert part == whole[offset : offset + 5]


def test_filters_choose_what_the_library_chooses(http: TestClient, shop: ServedCatalogue) -> None:
    total, images = listed(http, where=["colour=red", "colour=blue"])
    assert total == len(images) == shop.facets(["colour=red", "colour=blue"]).images
    assert {one["attributes"]["colour"] for one in images} == {"red", "blue"}
    order = [one["id"] for one in listed(http)[1]]
    assert [one["id"] for one in images] == [
        one for one in order if one in {image["id"] for image in images}
    ]


def test_the_least_sure_come_first(http: TestClient) -> None:
    _, images = listed(http, order="confidence", attribute="colour")
    sure = [one["confidence"]["colour"] for one in images]
    assert len(sure) == 18
    assert sure == sorted(sure)


def test_what_is_added_and_tagged_later_is_listed(tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        assert listed(http)[0] == 6
        shop.index([draw(tmp_path / "late.jpg", "red", 900)])
        (late,) = [one for one, files in shop.images().items() if "late" in files[0]]
        total, images = listed(http)
        assert total == 7
        assert images[-1] == {
            "id": late,
            "image": shop.images()[late][0],
            "copies": [],
            "attributes": {},
            "confidence": {},
            "best_guess": {},
        }
        # Without a tag nothing is known of it, so it comes last.
        assert listed(http, order="confidence", attribute="colour")[1][-1]["id"] == late
        assert http.get("/v1/attributes/colour").json()["tagged"] == 6
        shop.tag()
        assert http.get("/v1/attributes/colour").json()["tagged"] == 7
        assert listed(http, where="colour=red")[1][-1]["id"] == late
        shop.remove([late])
        assert listed(http)[0] == 6


def test_what_cannot_be_listed_is_refused(http: TestClient, shop: ServedCatalogue) -> None:
    check_problem(http.get("/v1/images?order=confidence"), 422, "attribute=NAME")
    check_problem(http.get("/v1/images?attribute=colour"), 422, "order=confidence")
    unknown = {"order": "confidence", "attribute": "color"}
    check_problem(http.get("/v1/images", params=unknown), 422, "did you mean 'colour'")
    check_problem(http.get("/v1/images?where=colour=mauve"), 422, "mauve")
    check_problem(http.get("/v1/images?n=501"), 422, "500")


def test_an_empty_catalogue_has_no_images(tmp_path: Path) -> None:
    with (
        ServedCatalogue.create(tmp_path / "empty", runtime=MappingRuntime()) as shop,
        client(shop) as http,
    ):
        assert http.get("/v1/images").json() == {"total": 0, "offset": 0, "images": []}
        assert http.get("/v1/catalogue").json()["images"] == 0


def test_a_server_that_only_reads_shows_what_another_process_changes(tmp_path: Path) -> None:
    runtime = MappingRuntime()
    with make(tmp_path, runtime=runtime, each=2) as writer:
        writer.hold()
        with (
            ServedCatalogue.open(tmp_path / "shop", runtime=runtime) as shop,
            client(shop, read_only=True) as http,
        ):
            assert http.get("/v1/images").json()["total"] == 6
            writer.index([draw(tmp_path / "late.jpg", "red", 900)])
            assert http.get("/v1/images").json()["total"] == 7
            assert http.get("/v1/facets").json()["images"] == 7
            writer.remove([tmp_path / "late.jpg"])
            assert http.get("/v1/images").json()["total"] == 6
            assert not shop.writable
        with pytest.raises(CatalogueBusyError, match="this process"):
            ServedCatalogue.open(tmp_path / "shop", runtime=runtime).hold()
