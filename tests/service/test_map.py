"""All images as points: the format, what lies together, and when it is drawn again."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import draw
from gingham.operations.map import principal, spread
from gingham.service.served import ServedCatalogue
from serving import check_problem, client, make


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedCatalogue]:
    with make(tmp_path_factory.mktemp("map")) as made:
        yield made


@pytest.fixture(scope="module")
def http(shop: ServedCatalogue) -> Iterator[TestClient]:
    with client(shop) as one:
        yield one


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
    tags = {image.hex(): values for image, values, _ in shop._attributes.predictions("colour")}
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


def test_what_cannot_be_drawn_is_refused(http: TestClient) -> None:
    check_problem(http.get("/v1/map"), 422, "look")
    check_problem(http.get("/v1/map?look=color"), 422, "did you mean 'colour'")
    check_problem(http.get("/v1/map?look=attribute:shape"), 422, "unknown look")
    check_problem(http.get("/v1/map?look=colour&colour_by=shape"), 422, "shape")


def test_principal_directions_are_those_of_the_svd() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32) * [5, 3, 1, 1, 1]
    mean, directions = principal(rows.astype(np.float32))
    _, _, expected = np.linalg.svd(rows - mean, full_matrices=False)
    assert np.abs((directions * expected[:2].T).sum(axis=0)) == pytest.approx([1, 1], abs=1e-4)


def test_points_that_are_all_one_are_in_the_middle() -> None:
    assert spread(np.ones((3, 2), np.float32)).tolist() == [[0, 0]] * 3
