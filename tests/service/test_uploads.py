"""Images are added over HTTP; the catalogue keeps their bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import draw
from gingham.options import ReadOptions
from gingham.service.limits import Limits
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, check_problem, client, make


def send(http: TestClient, *files: tuple[str, bytes]) -> Any:
    return http.post("/v1/images", files=[("image", file) for file in files])


def id_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_uploads_are_added_and_found_again(tmp_path: Path) -> None:
    first = draw(tmp_path / "a.jpg", "red", 501).read_bytes()
    second = draw(tmp_path / "b.jpg", "blue", 502).read_bytes()
    with make(tmp_path, each=2) as shop:
        old, (file, *_) = next(iter(shop.images().items()))
        with client(shop) as http:
            answer = send(
                http,
                ("a.jpg", first),
                ("b.jpg", second),
                ("again.jpg", first),
                ("old.jpg", Path(file).read_bytes()),
                ("notes.txt", b"no picture"),
                ("cut.jpg", first[:300]),
                ("empty.jpg", b""),
            )
            assert answer.status_code == 200
            found = answer.json()
            assert found["added"] == [
                {"id": id_of(first), "image": "a.jpg"},
                {"id": id_of(second), "image": "b.jpg"},
            ]
            assert found["unchanged"] == [
                {"id": id_of(first), "image": "again.jpg"},
                {"id": old, "image": "old.jpg"},
            ]
            reasons = {one["image"]: one["reason"] for one in found["failed"]}
            assert reasons.keys() == {"notes.txt", "cut.jpg", "empty.jpg"}
            assert "not an image" in reasons["notes.txt"]
            assert "empty" in reasons["empty.jpg"]
            assert found["images"] == 8
            kept = sorted(path.name for path in (shop.folder / "uploads").iterdir())
            assert kept == sorted([f"{id_of(first)}.jpg", f"{id_of(second)}.jpg"])
            assert http.get(f"/v1/images/{id_of(first)}/thumbnail").status_code == 200
            hits = http.post("/v1/search", json={"id": id_of(first), "n": 1, "with_self": True})
            hits = hits.json()["hits"]
            assert hits[0]["id"] == id_of(first)
    # Catalogue and uploads are one folder: they move together.
    moved = (tmp_path / "shop").rename(tmp_path / "moved")
    with ServedCatalogue.open(moved, runtime=MappingRuntime()) as shop:
        assert shop.stored(id_of(second)).read() == second
        assert shop.missing() == []
        assert shop.verify() == []


def test_an_image_whose_file_has_gone_is_kept_from_now_on(tmp_path: Path) -> None:
    with make(tmp_path, each=2) as shop, client(shop) as http:
        image, (file, *_) = next(iter(shop.images().items()))
        data = Path(file).read_bytes()
        Path(file).unlink()
        answer = send(http, ("back.jpg", data)).json()
        assert answer["unchanged"] == [{"id": image, "image": "back.jpg"}]
        assert answer["images"] == 6
        assert shop.stored(image).read() == data


def test_an_upload_that_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    class EndedError(Exception):
        pass

    def end(step: str, done: int, total: int) -> None:
        raise EndedError

    new = [draw(tmp_path / f"{n}.jpg", "red", 600 + n).read_bytes() for n in range(3)]
    with make(tmp_path, each=2) as shop:
        with pytest.raises(EndedError):
            shop.upload([("x.jpg", one) for one in new], options=ReadOptions(progress=end))
        kept = {path.stem for path in (shop.folder / "uploads").iterdir()}
        assert kept == {one for one in shop.images() if one in map(id_of, new)}
        assert len(kept) < 3


def test_what_is_no_upload_is_refused(tmp_path: Path) -> None:
    data = draw(tmp_path / "a.jpg", "red", 501).read_bytes()
    with make(tmp_path, each=2) as shop:
        with client(shop, limits=Limits(images=2)) as http:
            check_problem(http.post("/v1/images", json={"image": "a"}), 415, "multipart")
            check_problem(http.post("/v1/images", files={"picture": data}), 422, "picture")
            check_problem(
                http.post("/v1/images", files={"image": data}, data={"n": "1"}), 422, "n: Extra"
            )
            check_problem(send(http, *[("a.jpg", data)] * 3), 422, "at most 2")
        with client(shop, read_only=True) as http:
            check_problem(send(http, ("a.jpg", data)), 403, "read-only")
        assert len(shop) == 6
