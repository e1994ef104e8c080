"""Search, predict, images and attributes over HTTP give what the library gives."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from PIL import Image
from starlette.testclient import TestClient

from conftest import draw
from gingham.attributes.attribute import TagBatch
from gingham.attributes.predictions import TagTable
from gingham.attributes.tags import Column
from gingham.recent import Recent
from gingham.service.limits import Limits
from gingham.service.served import ServedCatalogue
from gingham.store.ids import from_list
from serving import check_problem, client, make, shared_http


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("routes")


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[ServedCatalogue]:
    with make(folder) as made:
        yield made


http = shared_http


@pytest.fixture(scope="module")
def upload(folder: Path) -> bytes:
    """A picture that is not in the catalogue."""
    return draw(folder / "new.jpg", "red", 77).read_bytes()


def id_of(shop: ServedCatalogue, name: str) -> str:
    (found,) = [key for key, files in shop.images().items() if Path(files[0]).stem == name]
    return found


def without_confidence(hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in hit.items() if k not in ("confidence", "best_guess")} for hit in hits]


def test_an_upload_finds_what_the_library_finds(
    http: TestClient, shop: ServedCatalogue, upload: bytes
) -> None:
    form = {"n": "4", "looks": '{"colour": 1, "texture": 0.25}', "where": ["colour=red"]}
    answer = http.post("/v1/search", files={"image": ("a.jpg", upload)}, data=form).json()
    expected = shop.search(
        upload, looks={"colour": 1, "texture": 0.25}, where=["colour=red"], n=4, with_self=True
    )
    assert without_confidence(answer["hits"]) == json.loads(
        json.dumps([hit.to_dict() for hit in expected])
    )
    tags = {image.hex(): c for image, _, c, _ in shop._attributes.predictions("colour")}
    assert [hit["confidence"]["colour"] for hit in answer["hits"]] == [
        tags[hit["id"]] for hit in answer["hits"]
    ]


def test_an_upload_is_remembered_by_its_id(http: TestClient, upload: bytes) -> None:
    first = http.post("/v1/search", files={"image": ("a.jpg", upload)}).json()
    (image,) = first["images"]
    again = http.post("/v1/search", json={"id": image, "looks": {"texture": 1.0}})
    with_bytes = http.post(
        "/v1/search", files={"image": ("a.jpg", upload)}, data={"looks": '{"texture": 1.0}'}
    )
    assert again.json()["hits"] == with_bytes.json()["hits"]
    check_problem(http.post("/v1/search", json={"id": "0" * 64}), 422, "send its bytes")
    cropped = http.post("/v1/search", json={"id": image, "crop": [0, 0, 0.5, 0.5]})
    check_problem(cropped, 422, "with this crop")


def test_the_pages_of_a_search_are_one_long_search(http: TestClient, upload: bytes) -> None:
    whole = http.post("/v1/search", files={"image": ("a.jpg", upload)}, data={"n": "18"}).json()
    assert whole["cursor"] is None
    page = http.post("/v1/search", files={"image": ("a.jpg", upload)}, data={"n": "5"}).json()
    hits = page["hits"]
    while page["cursor"]:
        page = http.post("/v1/search", json={"cursor": page["cursor"]}).json()
        hits += page["hits"]
    assert [hit["id"] for hit in hits] == [hit["id"] for hit in whole["hits"]]
    # How many are asked for decides how they are compared, to the last digit.
    assert [hit["score"] for hit in hits] == pytest.approx([hit["score"] for hit in whole["hits"]])
    assert len(hits) == 18


@pytest.mark.parametrize(
    "more", [{"distinct": True}, {"where": ["colour=red"]}, {"with_self": True}]
)
def test_the_pages_of_a_narrowed_search_are_one_long_search(
    http: TestClient, shop: ServedCatalogue, more: dict[str, object]
) -> None:
    asked = {"id": id_of(shop, "red0"), **more}
    whole = http.post("/v1/search", json=asked | {"n": 18}).json()
    page = http.post("/v1/search", json=asked | {"n": 2}).json()
    hits = page["hits"]
    while page["cursor"]:
        page = http.post("/v1/search", json={"cursor": page["cursor"]}).json()
        hits += page["hits"]
    assert [hit["id"] for hit in hits] == [hit["id"] for hit in whole["hits"]]
    assert (id_of(shop, "red0") in {hit["id"] for hit in hits}) == ("with_self" in more)
    if "distinct" not in more:
        assert len(hits) == (18 if "with_self" in more else 5)


def test_filters_alone_are_a_search(http: TestClient, shop: ServedCatalogue) -> None:
    first = http.post("/v1/search", json={"where": ["colour=red"], "n": 4}).json()
    rest = http.post("/v1/search", json={"cursor": first["cursor"]}).json()
    assert rest["cursor"] is None
    hits = [*first["hits"], *rest["hits"]]
    assert {hit["attributes"]["colour"] for hit in hits} == {"red"}
    assert len(hits) == shop.facets(["colour=red"]).images
    check_problem(http.post("/v1/search", json={"by": "colour", "where": ["colour=red"]}), 422)
    uploaded = {"image": ("a.jpg", Path(hits[0]["image"]).read_bytes())}
    by = {"by": "folder", "distinct": "true", "n": "18"}
    assert http.post("/v1/search", files=uploaded, data=by).json()["hits"] == []
    route = f"/v1/images/{hits[0]['id']}/neighbours"
    assert http.get(route, params={"by": "folder"}).json()["hits"] == []
    assert len(http.get(route, params={"n": 5}).json()["hits"]) == 5


def test_a_search_is_followed_only_so_far(shop: ServedCatalogue) -> None:
    with client(shop, limits=Limits(deepest=8)) as http:
        page = http.post("/v1/search", json={"id": id_of(shop, "red0"), "n": 4}).json()
        page = http.post("/v1/search", json={"cursor": page["cursor"]}).json()
        assert len(page["hits"]) == 4
        assert page["cursor"] is None


@pytest.mark.parametrize("cursor", ["x", "AAAA", "W10=", "WzAse31d", "WzEseyJuIjowfV0=", "\u00e9"])
def test_what_is_no_cursor_is_refused(http: TestClient, cursor: str) -> None:
    check_problem(http.post("/v1/search", json={"cursor": cursor}), 422, "cursor")


def test_a_cursor_stands_alone(http: TestClient, shop: ServedCatalogue) -> None:
    page = http.post("/v1/search", json={"id": id_of(shop, "red0"), "n": 2}).json()
    both = http.post("/v1/search", json={"cursor": page["cursor"], "n": 2})
    check_problem(both, 422, "leave the other fields out")


def test_a_crop_is_of_the_upright_picture(
    http: TestClient, shop: ServedCatalogue, folder: Path
) -> None:
    halves = [np.asarray(Image.open(folder / f"photos/{c}0.jpg")) for c in ("red", "blue")]
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down: the right half is shown on the left
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(halves, axis=1)[::-1, ::-1]).save(buffer, "PNG", exif=exif)
    for crop, name in ("[0,0,0.5,1]", "red"), ("[0.5,0,1,1]", "blue"):
        answer = http.post(
            "/v1/search", files={"image": ("a", buffer.getvalue())}, data={"crop": crop, "n": "1"}
        ).json()
        assert Path(answer["hits"][0]["image"]).stem == f"{name}0"
    asked = {"id": id_of(shop, "red0"), "crop": [0, 0, 1, 1]}
    answer = http.post("/v1/search", json=asked | {"with_self": True}).json()
    assert answer["hits"][0]["id"] == id_of(shop, "red0")
    without = http.post("/v1/search", json=asked | {"n": 18}).json()
    assert id_of(shop, "red0") not in {hit["id"] for hit in without["hits"]}
    part = http.post("/v1/search", json={"id": id_of(shop, "red0"), "crop": [0, 0, 0.5, 0.5]})
    assert part.json()["hits"][0]["attributes"] == {"colour": "red"}


def test_not_like_this(http: TestClient, shop: ServedCatalogue, upload: bytes) -> None:
    like, unlike = id_of(shop, "green0"), id_of(shop, "green1")
    answer = http.post("/v1/search", json={"id": [like], "unlike": unlike, "n": 18}).json()
    expected = shop.search(like, unlike=[unlike], n=18)
    assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in expected]
    answer = http.post(
        "/v1/search", files=[("image", ("a", upload)), ("unlike", ("b", upload))]
    ).json()
    assert answer["images"] == answer["unlike"]
    assert answer["hits"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "no image"),
        ({"id": "abc"}, "id"),
        ({"id": "/etc/passwd"}, "id"),
        ({"id": "0" * 64, "size": 3}, "size"),
        ({"n": 0}, "n: "),
        ({"n": "3"}, "n: "),
        ({"looks": {"color": 1}, "id": "RED"}, "did you mean 'colour'"),
        ({"where": ["colour=rad"], "id": "RED"}, "there are 'blue', 'green', 'red'"),
        ({"crop": [0, 0, 0, 1], "id": "RED"}, "crop"),
        ({"crop": [0, 0, 2, 1], "id": "RED"}, "crop.2"),
        ({"crop": [0, 0, 1, 1], "id": ["RED", "RED"]}, "one image"),
        ({"id": ["RED"] * 17}, "at most 16"),
    ],
)
def test_what_a_search_may_not_say(
    http: TestClient, shop: ServedCatalogue, body: dict[str, Any], words: str
) -> None:
    text = json.dumps(body).replace("RED", id_of(shop, "red0"))
    response = http.post("/v1/search", content=text, headers={"content-type": "application/json"})
    check_problem(response, 422, words)


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"min_score": NaN}', "application/json", 400),
        (b'{"n": 1e999}', "application/json", 422),
        (b'{"id": "\\ud800"}', "application/json", 422),
        (b"x", "text/plain", 415),
        (b"x", "", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=y", 400),
        (b"--y\r\n\r\nx\r\n--y--", "multipart/form-data; boundary=y", 400),
    ],
)
def test_bodies_that_are_none(http: TestClient, content: bytes, kind: str, status: int) -> None:
    for route in ("/v1/search", "/v1/predict"):
        response = http.post(route, content=content, headers={"content-type": kind})
        check_problem(response, status)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"image": "a path"}, "send it as a file"),
        ({"n": "three"}, "no JSON"),
        ({"n": ["1", "2"]}, "given twice"),
        ({"crop": "NaN"}, "no JSON"),
        ({"unknown": "1"}, "unknown"),
    ],
)
def test_forms_that_say_what_they_may_not(
    http: TestClient, upload: bytes, data: dict[str, Any], words: str
) -> None:
    response = http.post("/v1/search", files={"image": ("a", upload)}, data=data)
    check_problem(response, 422, words)


def bomb() -> bytes:
    """A PNG whose header announces 30,000 x 30,000 pixels."""
    buffer = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"<svg/>", b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_uploads_that_are_no_images(http: TestClient, data: bytes) -> None:
    for route in ("/v1/search", "/v1/predict"):
        check_problem(http.post(route, files={"image": ("a.jpg", data)}), 422)


def test_a_bomb_is_not_decoded(http: TestClient) -> None:
    data = bomb()
    for route, form in (
        ("/v1/search", {}),
        ("/v1/predict", {}),
        ("/v1/search", {"crop": "[0,0,1,0.5]"}),
    ):
        response = http.post(route, files={"image": ("a.png", data)}, data=form)
        check_problem(response, 422, "30000x30000 pixels")
        assert response.json()["detail"].endswith(
            "over the limit of 50 megapixels: make it smaller"
        )


def test_damaged_uploads_are_answered(http: TestClient, upload: bytes) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        data = bytearray(upload)
        for place in rng.integers(0, len(data), rng.integers(1, 20)):
            data[place] = rng.integers(256)
        cut = int(rng.integers(1, len(data) + 1))
        crop = {"crop": "[0.1,0.1,0.6,0.6]"} if rng.random() < 0.5 else {}
        response = http.post("/v1/search", files={"image": ("a", bytes(data[:cut]))}, data=crop)
        assert response.status_code in (200, 422), response.text


def test_predictions_are_those_of_the_library(
    http: TestClient, shop: ServedCatalogue, upload: bytes
) -> None:
    known = id_of(shop, "blue0")
    answer = http.post("/v1/predict", files={"image": ("a", upload)}, data={"id": known}).json()[
        "results"
    ]
    for one, (name, source) in zip(answer, (("blue", known), ("red", upload)), strict=True):
        (expected,) = shop.predict([str(source) if source == known else upload])
        said = one["predictions"]["colour"]
        assert said["value"] == name == expected.predictions["colour"].value
        assert said["values"] == expected.predictions["colour"].values
        # Examples outside the catalogue are named without their folders.
        assert all("/" not in evidence["image"] for evidence in said["evidence"])
    assert answer[0]["image"] == known
    check_problem(http.post("/v1/predict", json={"id": "0" * 64}), 422, "send its bytes")
    check_problem(http.post("/v1/predict", json={"id": known, "attributes": ["color"]}), 422)


def test_of_several_images_those_that_cannot_be_read_say_so(
    http: TestClient, upload: bytes
) -> None:
    files = [("image", ("a", b"no image")), ("image", ("b", upload))]
    first, second = http.post("/v1/predict", files=files).json()["results"]
    assert "not an image" in first["error"]
    assert "error" not in second


def test_an_image_and_its_neighbours(http: TestClient, shop: ServedCatalogue) -> None:
    image = id_of(shop, "green2")
    answer = http.get(f"/v1/images/{image}").json()
    assert Path(answer["image"]).name == "green2.jpg"
    assert answer["attributes"] == {"colour": "green"}
    assert 0 < answer["confidence"]["colour"] <= 1
    found = http.get(
        f"/v1/images/{image}/neighbours", params={"n": 3, "look": ["colour=1", "texture=0.5"]}
    ).json()["hits"]
    expected = shop.search(image, looks={"colour": 1, "texture": 0.5}, n=4, with_self=True)
    assert [hit["id"] for hit in found] == [hit.id for hit in expected if hit.id != image]
    assert len(http.get(f"/v1/images/{image}/neighbours?n=18").json()["hits"]) == 17
    check_problem(http.get(f"/v1/images/{image}/neighbours?look=colour"), 422, "LOOK=WEIGHT")


@pytest.mark.parametrize("rest", ["", "/thumbnail", "/neighbours", "/explain"])
def test_an_image_that_is_not_there(http: TestClient, rest: str) -> None:
    check_problem(http.get(f"/v1/images/{'0' * 64}{rest}"), 404, "search gives ids")
    check_problem(http.get(f"/v1/images/x{rest}"), 422, "id")


def test_thumbnails_are_small_and_kept_for_good(http: TestClient, shop: ServedCatalogue) -> None:
    address = f"/v1/images/{id_of(shop, 'red1')}/thumbnail?size=16"
    response = http.get(address)
    assert response.headers["content-type"] == "image/jpeg"
    assert "immutable" in response.headers["cache-control"]
    assert max(Image.open(io.BytesIO(response.content)).size) == 16
    again = http.get(address, headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    check_problem(http.get(f"{address}9999"), 422, "size")


def test_an_explanation_has_its_overlay(http: TestClient, shop: ServedCatalogue) -> None:
    image = id_of(shop, "red1")
    (why,) = http.get(f"/v1/images/{image}/explain").json()["explanations"]
    assert (why["attribute"], why["value"]) == ("colour", "red")
    assert why["overlay"].startswith("data:image/jpeg;base64,")
    (why,) = http.get(f"/v1/images/{image}/explain?value=blue").json()["explanations"]
    assert why["value"] == "blue"
    check_problem(http.get(f"/v1/images/{image}/explain?value=pink"), 422, "pink")


def test_facets(http: TestClient) -> None:
    assert http.get("/v1/facets?where=colour=red&where=colour=blue").json() == {
        "images": 12,
        "attributes": {"colour": {"blue": 6, "red": 6}},
    }


def test_a_parameter_that_is_not_read_is_refused(http: TestClient) -> None:
    for address in ("/v1/facets?wher=colour%3Dred", "/v1/images?limit=3", "/v1/attributes?x=1"):
        problem = check_problem(http.get(address), 422, "unknown parameter")
        assert problem["type"].endswith("invalid-request")
    # Nothing is forgotten by a misspelt filter.
    problem = check_problem(http.delete("/v1/attributes/colour?vale=red"), 422)
    assert problem["detail"] == "unknown parameter 'vale'; known: value; did you mean 'value'?"
    assert http.get("/v1/attributes/colour").status_code == 200


def test_an_attribute_is_taught_replaced_and_forgotten(tmp_path: Path) -> None:
    with make(tmp_path) as shop, client(shop) as http:
        ids = {files[0]: key for key, files in shop.images().items()}
        # What is stored is taught even where the file has gone.
        Path(next(iter(ids))).unlink()
        stripes = {
            key: "striped" if int(Path(name).stem[-1]) % 2 else "plain" for name, key in ids.items()
        }
        body = {"examples": stripes, "views": False}
        response = http.put("/v1/attributes/pattern%2Ffine", json=body)
        assert response.status_code == 201, response.text
        assert response.headers["location"] == "/v1/attributes/pattern%2Ffine"
        answer = response.json()
        assert answer["values"] == ["plain", "striped"]
        assert sum(answer["tags"].values()) == 18
        there = http.get("/v1/attributes/pattern%2Ffine").json()
        assert (there["examples"], there["tagged"]) == (18, 18)
        again = http.put("/v1/attributes/pattern%2Ffine", json=body)
        assert again.status_code == 200
        assert again.json()["tags"] == answer["tags"]
        fewer = {"examples": dict(list(stripes.items())[:8]), "apply": False}
        assert http.put("/v1/attributes/pattern%2Ffine", json=fewer).json()["examples"] == 8
        there = http.get("/v1/attributes").json()["attributes"]["pattern/fine"]
        assert (there["examples"], there["tagged"]) == (8, 0)
        wrong = {"examples": {**fewer["examples"], "0" * 64: "plain"}}  # type: ignore[dict-item]
        check_problem(http.put("/v1/attributes/pattern%2Ffine", json=wrong), 422, "nothing was")
        assert http.get("/v1/attributes/pattern%2Ffine").json()["examples"] == 8
        assert http.delete("/v1/attributes/pattern%2Ffine").status_code == 204
        check_problem(http.get("/v1/attributes/pattern%2Ffine"), 404)
        check_problem(http.delete("/v1/attributes/colur"), 404, "did you mean 'colour'")
        assert http.delete("/v1/attributes/colour?value=red").status_code == 204
        check_problem(http.delete("/v1/attributes/colour?value=blue"), 422, "two values")
    with ServedCatalogue.open(tmp_path / "shop", runtime=shop._shared) as opened:
        assert set(opened.attribute_infos()) == {"colour"}


def test_an_image_is_removed_and_its_file_stays(tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        image = id_of(shop, "red0")
        assert http.get(f"/v1/images/{image}/thumbnail").status_code == 200
        assert http.delete(f"/v1/images/{image}").status_code == 204
        for rest in ("", "/thumbnail", "/neighbours"):
            check_problem(http.get(f"/v1/images/{image}{rest}"), 404)
        check_problem(http.delete(f"/v1/images/{image}"), 404)
        other = id_of(shop, "red1")
        hits = http.post("/v1/search", json={"id": other, "n": 9}).json()["hits"]
        assert len(hits) == len(shop) - 1 == 4
        assert not {image, other} & {hit["id"] for hit in hits}
    assert (tmp_path / "photos" / "red0.jpg").exists()


def test_a_server_that_is_read_only_changes_nothing(shop: ServedCatalogue) -> None:
    with client(shop, read_only=True) as http:
        body = {"examples": dict.fromkeys(list(shop.images())[:2], "x")}
        check_problem(http.put("/v1/attributes/new", json=body), 403, "--read-only")
        check_problem(http.delete("/v1/attributes/colour"), 403)
        check_problem(http.delete(f"/v1/images/{id_of(shop, 'red0')}"), 403)
        assert list(http.get("/v1/attributes").json()["attributes"]) == ["colour"]


def test_a_picture_whose_file_has_gone(tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        image = id_of(shop, "red0")
        shutil.rmtree(tmp_path / "photos")
        check_problem(http.get(f"/v1/images/{image}/thumbnail"), 422, "no such file")
        check_problem(http.get(f"/v1/images/{image}/explain"), 422, "no such file")
        assert http.get(f"/v1/images/{image}/neighbours").status_code == 200


def test_an_empty_catalogue(tmp_path: Path, upload: bytes) -> None:
    from conftest import FakeRuntime

    with (
        ServedCatalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop,
        client(shop) as http,
    ):
        assert http.post("/v1/search", files={"image": ("a", upload)}).json()["hits"] == []
        predicted = http.post("/v1/predict", files={"image": ("a", upload)})
        check_problem(predicted, 422, "no attribute is taught yet")
        assert http.get("/v1/facets").json() == {"images": 0, "attributes": {}}
        assert http.get("/v1/attributes").json() == {"attributes": {}}


def test_recent_keeps_what_was_used_last() -> None:
    kept: Recent[str, bytes] = Recent(10, len)
    kept.put("a", b"1234")
    kept.put("b", b"1234")
    assert kept.get("a") == b"1234"
    kept.put("c", b"12")
    kept.put("a", b"12345")
    assert [kept.get(name) for name in "abc"] == [b"12345", None, b"12"]
    kept.put("large", b"12345678901")
    assert [kept.get(name) for name in ("a", "c", "large")] == [None, None, None]


def test_tags_are_found_by_id() -> None:
    rng = np.random.default_rng(1)
    rows = [
        (
            rng.bytes(30) + bytes([0, k % 3]),
            ["red", "blue"][: k % 3],
            k / 100,
            ["red"][k % 3 :],
        )
        for k in range(50)
    ]
    tags = TagBatch([v for _, v, *_ in rows], np.arange(50) / 100, [g for *_, g in rows])
    column = Column.of(TagTable.of(from_list(image for image, *_ in rows), tags))
    given = [image for image, *_ in rows]
    for (_, values, confidence, guess), found in zip(rows, column.find(given), strict=True):
        assert found is not None
        assert found[0] == tuple(values)
        assert found[1] == pytest.approx(confidence)
        assert found[2] == tuple(guess)
    missing = [bytes(32), given[7], b"\xff" * 32]
    assert [found is not None for found in column.find(missing)] == [False, True, False]
    assert column.find([]) == []
    assert Column.of(TagTable.joined([])).find([bytes(32)]) == [None]


def test_an_upload_for_which_the_disk_has_no_room_is_a_problem(
    http: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(SpooledTemporaryFile[bytes]):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", Full)
    answer = http.post("/v1/search", files={"image": ("a.jpg", bytes(100))})
    check_problem(answer, 507, "its log says which")


@pytest.mark.parametrize("address", ["/healthz", "/readyz", "/metrics", "/v1/catalogue", "/"])
def test_head_answers_as_get_without_the_body(http: TestClient, address: str) -> None:
    whole, head = http.get(address), http.head(address)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
