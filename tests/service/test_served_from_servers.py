"""The service over a catalogue whose index is in a server: `gingham serve --index`."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from conftest import draw
from gingham.service.served import ServedCatalogue
from index_servers import IndexServer
from serving import MappingRuntime, client, make


def test_it_searches_by_id_by_upload_and_with_filters_and_counts(
    tmp_path: Path, index_server: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in index_server.environment.items():
        monkeypatch.setenv(name, value)
    with make(tmp_path) as shop:
        shop.rebuild(index=index_server.plain)
    with (
        ServedCatalogue.open(
            tmp_path / "shop", runtime=MappingRuntime(), index=index_server.url
        ) as served,
        client(served) as one,
    ):
        assert one.get("/v1/facets").json()["attributes"] == {
            "colour": {"blue": 6, "green": 6, "red": 6}
        }
        image = next(
            image for image, files in served.images().items() if files[0].endswith("red3.jpg")
        )
        asked = {"id": [image], "where": ["colour=red"], "looks": {"colour": 1, "texture": 0.5}}
        found = one.post("/v1/search", json=asked).json()["hits"]
        assert len(found) == 5
        assert all(hit["attributes"]["colour"] == "red" for hit in found)
        assert set(found[0]["looks"]) >= {"colour", "texture"}
        new = draw(tmp_path / "new.jpg", "red", 99).read_bytes()
        sent = {"image": ("red.jpg", new, "image/jpeg")}
        by_upload = one.post("/v1/search", files=sent, data={"n": "6"}).json()["hits"]
        assert len(by_upload) == 6
        added = one.post("/v1/images", files=[("image", ("red.jpg", new, "image/jpeg"))])
        assert added.status_code in (200, 201), added.text
        assert one.get("/v1/facets").json()["images"] == 19
        index_server.kill()
        index_server.start()
        assert one.post("/v1/search", json=asked).status_code == 200


def test_one_that_may_only_read_searches(
    tmp_path: Path, index_server: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in index_server.environment.items():
        monkeypatch.setenv(name, value)
    with make(tmp_path) as shop:
        shop.rebuild(index=index_server.plain)
        image = min(shop.images())
    place = index_server.reader()
    with (
        ServedCatalogue.open(tmp_path / "shop", runtime=MappingRuntime(), index=place) as served,
        client(served, read_only=True) as one,
    ):
        asked = {"id": [image], "where": ["colour!=red"]}
        assert one.post("/v1/search", json=asked).status_code == 200
        assert one.get("/v1/facets", params={"where": "colour=red"}).json()["images"] == 6
