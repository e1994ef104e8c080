"""All images as points: the format, what lies together, and when it is drawn again."""

from __future__ import annotations

import json
import multiprocessing
import os
import struct
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import draw
from gingham.operations import map as drawing
from gingham.operations.layout import among, principal, projected
from gingham.operations.map import ImageMap, LookVectors
from gingham.options import Progress, silent
from gingham.service import arranging, asked, maps
from gingham.service.problems import ProblemError
from gingham.service.served import ServedCatalogue
from serving import check_problem, client, make, shared_http, shared_shop, wait

needs_umap = pytest.mark.skipif(
    find_spec("umap") is None, reason="umap-learn comes with the extra `study`"
)

shop = shared_shop()
http = shared_http


def read(data: bytes) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any], list[str]]:
    assert data[:4] == b"GMAP"
    (length,) = struct.unpack("<I", data[4:8])
    assert length % 4 == 0
    head = json.loads(data[8 : 8 + length])
    count, start = head["count"], 8 + length
    assert len(data) == start + count * (8 + 4 + 32)
    points = np.frombuffer(data, "<f4", 2 * count, start).reshape(count, 2)
    codes = np.frombuffer(data, "<i4", count, start + 8 * count)
    digits = data[start + 12 * count :].hex()
    return head, points, codes, [digits[i : i + 64] for i in range(0, len(digits), 64)]


@pytest.mark.parametrize(
    ("look", "method"), [("colour", "pca"), ("texture", "pca"), ("attribute:colour", "lda")]
)
def test_every_image_has_a_place_and_a_value(
    http: TestClient, shop: ServedCatalogue, look: str, method: str
) -> None:
    answer = http.get("/v1/map", params={"look": look, "colour_by": "colour"})
    assert answer.headers["content-type"] == "application/octet-stream"
    head, points, codes, ids = read(answer.content)
    assert head["values"] == ["blue", "green", "red"]
    assert (head["look"], head["colour_by"], head["method"]) == (look, "colour", method)
    assert sorted(ids) == sorted(shop.images())
    assert np.abs(points).max() <= 1
    assert points.std() > 0.1
    tags = {image.hex(): values for image, values, *_ in shop._attributes.predictions("colour")}
    for image, code in zip(ids, codes.tolist(), strict=True):
        assert ([head["values"][code]] if code >= 0 else []) == tags[image]


def test_what_was_taught_alike_lies_together(http: TestClient) -> None:
    answer = http.get("/v1/map", params={"look": "attribute:colour", "colour_by": "colour"})
    _, points, codes, _ = read(answer.content)
    middles = np.array([points[codes == code].mean(axis=0) for code in range(3)])
    nearest = np.linalg.norm(points[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == codes).mean() > 0.9


def test_a_map_is_drawn_again_when_images_come(tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        first = http.get("/v1/map?look=colour&colour_by=colour")
        tag = {"If-None-Match": first.headers["ETag"]}
        assert http.get("/v1/map?look=colour&colour_by=colour", headers=tag).status_code == 304
        shop.index([draw(tmp_path / "late.jpg", "red", 900)])
        again = http.get("/v1/map?look=colour&colour_by=colour", headers=tag)
        head, _, codes, ids = read(again.content)
        assert head["count"] == 7
        late = {Path(files[0]).stem: image for image, files in shop.images().items()}["late"]
        assert codes[ids.index(late)] == -2
        uncoloured, _, codes, _ = read(http.get("/v1/map?look=colour").content)
        assert uncoloured["values"] == []
        assert set(codes.tolist()) == {-2}


def test_a_map_is_kept_and_new_images_find_their_place_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path) as shop, client(shop) as http:
        _, points, _, ids = read(http.get("/v1/map?look=colour").content)
        runtime = shop._loaded
    drawn: list[str] = []
    monkeypatch.setattr(maps, "draw_map", lambda vectors, progress: drawn.append(vectors.look))
    with ServedCatalogue.open(tmp_path / "shop", runtime=runtime) as shop, client(shop) as http:
        places = dict(zip(ids, points.tolist(), strict=True))
        _, points, _, again = read(http.get("/v1/map?look=colour").content)
        assert dict(zip(again, points.tolist(), strict=True)) == places
        shop.index([draw(tmp_path / "late.jpg", "red", 900)])
        gone = ids[3]
        shop.remove_image(gone)
        _, points, _, again = read(http.get("/v1/map?look=colour").content)
        (late,) = set(again) - set(ids)
        now = dict(zip(again, points.tolist(), strict=True))
        place = now.pop(late)
        del places[gone]
        assert now == places
        nearest = min(now, key=lambda one: np.hypot(*np.subtract(now[one], place)))
        assert "red" in Path(shop.images()[nearest][0]).name
    assert drawn == []


def test_of_many_images_those_with_the_first_ids_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "MOST", 5)
    with make(tmp_path, each=3) as shop, client(shop) as http:
        head, points, _, ids = read(http.get("/v1/map?look=colour").content)
        assert (head["count"], head["total"]) == (5, 9)
        assert ids == sorted(shop.images())[:5]
        places = dict(zip(ids, points.tolist(), strict=True))
        shop.index([draw(tmp_path / f"{seed}.jpg", "red", seed) for seed in range(900, 904)])
        head, points, _, ids = read(http.get("/v1/map?look=colour").content)
        assert (head["count"], head["total"]) == (5, 13)
        assert ids == sorted(shop.images())[:5]
        stayed = places.keys() & set(ids)
        now = dict(zip(ids, points.tolist(), strict=True))
        assert {one: now[one] for one in stayed} == {one: places[one] for one in stayed}


def test_a_kept_map_that_is_damaged_is_drawn_again(tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        first = http.get("/v1/map?look=colour").content
        runtime = shop._loaded
    (tmp_path / "shop" / "maps" / "colour.npz").write_bytes(b"PK broken")
    with ServedCatalogue.open(tmp_path / "shop", runtime=runtime) as shop, client(shop) as http:
        assert http.get("/v1/map?look=colour").content == first


def test_a_projection_is_made_again_when_the_catalogue_has_grown_by_much(tmp_path: Path) -> None:
    with make(tmp_path, each=1) as shop:
        assert shop._maps.draw("colour", silent).layout.fitted == 3
        for seed in range(900, 903):
            shop.index([draw(tmp_path / f"{seed}.jpg", "red", seed)])
            fitted = shop._maps.draw("colour", silent).layout.fitted
        assert fitted == 5


@needs_umap
def test_a_job_arranges_a_map_by_neighbours(tmp_path: Path) -> None:
    with make(tmp_path, each=8) as shop, client(shop) as http:
        head, *_ = read(http.get("/v1/map?look=colour").content)
        assert (head["method"], head["better"]) == ("pca", True)
        asked = http.post("/v1/jobs", json={"kind": "map", "look": "colour"})
        assert asked.status_code == 202
        found = wait(http, asked.json()["id"])
        assert found["result"] == {"look": "colour", "method": "umap", "images": 24}
        head, points, codes, ids = read(http.get("/v1/map?look=colour&colour_by=colour").content)
        assert (head["method"], head["better"]) == ("umap", False)
        assert len(np.unique(points, axis=0)) == 24
        # New ones are placed among their neighbours, and the old ones stay.
        shop.index([draw(tmp_path / "late.jpg", "red", 900)])
        _, more, _, again = read(http.get("/v1/map?look=colour").content)
        late = again.index((set(again) - set(ids)).pop())
        assert np.delete(more, late, axis=0).tolist() == points.tolist()
        middles = [points[codes == code].mean(axis=0) for code in range(3)]
        nearest = np.linalg.norm(middles - more[late], axis=1).argmin()
        assert head["values"][nearest] == "red"


@needs_umap
def test_a_map_job_is_cancelled_while_it_arranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arranging, "_arrange", _never)
    with make(tmp_path, each=8) as shop, client(shop) as http:
        number = http.post("/v1/jobs", json={"kind": "map", "look": "colour"}).json()["id"]
        while wait(http, number, "running")["step"] != "arrange":
            time.sleep(0.01)
        http.delete(f"/v1/jobs/{number}")
        assert wait(http, number)["state"] == "cancelled"
        assert multiprocessing.active_children() == []
        assert read(http.get("/v1/map?look=colour").content)[0]["method"] == "pca"


def _never(answer: object, rows: object) -> None:
    time.sleep(60)


def test_an_arranging_process_that_dies_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arranging, "_arrange", _die)
    with pytest.raises(ProblemError, match="could not be arranged"):
        arranging.in_own_process(np.ones((20, 4), np.float32), silent)


def _die(answer: object, rows: object) -> None:
    os._exit(9)


def test_what_cannot_be_arranged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        asked = {"kind": "map", "look": "color"}
        check_problem(http.post("/v1/jobs", json=asked), 422, "did you mean 'colour'")
        assert read(http.get("/v1/map?look=colour").content)[0]["better"] is False
        asked = {"kind": "map", "look": "colour"}
        if find_spec("umap") is not None:
            check_problem(http.post("/v1/jobs", json=asked), 422, "needs 16 images or more")
        monkeypatch.setattr("gingham.errors.find_spec", lambda name: None)
        check_problem(http.post("/v1/jobs", json=asked), 501, "gingham[study]")


@given(
    arrays(np.float32, (12, 3), elements=st.floats(-9, 9, width=16)),
    arrays(np.float32, (12, 2), elements=st.floats(-1, 1, width=16)),
)
def test_a_point_lies_within_those_of_its_neighbours(
    anchors: NDArray[np.float32], places: NDArray[np.float32]
) -> None:
    points = among(anchors + np.float32(0.1), anchors, places)
    assert (points >= places.min(axis=0) - 1e-5).all()
    assert (points <= places.max(axis=0) + 1e-5).all()


def test_what_was_arranged_stays_where_it_was_put() -> None:
    rng = np.random.default_rng(0)
    anchors, places = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    points = among(anchors.astype("f4"), anchors.astype("f4"), places.astype("f4"))
    assert points == pytest.approx(places, abs=1e-3)


def test_what_cannot_be_drawn_is_refused(http: TestClient) -> None:
    check_problem(http.get("/v1/map"), 422, "look")
    check_problem(http.get("/v1/map?look=color"), 422, "did you mean 'colour'")
    check_problem(http.get("/v1/map?look=attribute:shape"), 422, "unknown look")
    check_problem(http.get("/v1/map?look=colour&colour_by=shape"), 422, "shape")


def test_principal_directions_are_those_of_the_svd() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32) * [5, 3, 1, 1, 1]
    mean, directions = principal(rows.astype(np.float32), 2)
    _, _, expected = np.linalg.svd(rows - mean, full_matrices=False)
    assert np.abs((directions * expected[:2].T).sum(axis=0)) == pytest.approx([1, 1], abs=1e-4)


def test_points_that_are_all_one_are_in_the_middle() -> None:
    rows = np.ones((3, 4), np.float32)
    assert projected("pca", 3, rows).place(rows).tolist() == [[0, 0]] * 3


def test_tags_and_maps_of_many_images_are_there_before_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    draw_map, ending = drawing.draw_map, threading.Event()

    def watched(vectors: LookVectors, progress: Progress) -> ImageMap:
        drawn.append(vectors.look)
        return draw_map(vectors, progress)

    monkeypatch.setattr(maps, "draw_map", watched)
    with make(tmp_path, each=3) as shop:
        shop.warm_further(ending)
        assert drawn == []
        monkeypatch.setattr(asked, "MANY", 9)
        ending.set()
        shop.warm_further(ending)
        assert drawn == []
        ending.clear()
        shop.warm_further(ending)
        assert drawn == list(shop._searcher.space.names)
        for look in shop._searcher.space.names:
            assert len(shop._maps.draw(look, silent).ids) == 9
        assert len(drawn) == len(shop._searcher.space.names)
