"""Images given as paths, bytes and open files: the same answers everywhere, and JSON results."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import ImageError
from gingham.images import ImageSource

FORMS: dict[str, Any] = {
    "path": lambda path: path,
    "text": str,
    "bytes": Path.read_bytes,
    "open file": lambda path: io.BytesIO(path.read_bytes()),
}


@pytest.fixture
def shop(tmp_path: Path, photos: Path, runtime: FakeRuntime) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as catalogue:
        catalogue.index([photos])
        examples = {photos / f"{c}{i}.jpg": c for c in COLOURS for i in range(5)}
        catalogue.teach("colour", examples)
        yield catalogue


def dumped(result: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    return said


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("known", [True, False])
def test_every_form_gets_the_same_answers(
    shop: Catalogue, photos: Path, tmp_path: Path, form: str, known: bool
) -> None:
    path = photos / "red2.jpg" if known else draw(tmp_path / "new.jpg", "red", 901)
    name = str(path)
    if form in ("bytes", "open file"):
        name = hashlib.sha256(path.read_bytes()).hexdigest()

    def given() -> ImageSource:
        source: ImageSource = FORMS[form](path)
        return source

    assert [dumped(hit) for hit in shop.search(given(), with_self=True)] == [
        dumped(hit) for hit in shop.search(str(path), with_self=True)
    ]
    assert shop.search([given(), path], unlike=[given()], with_self=True) == shop.search(
        [path, path], unlike=[path], with_self=True
    )
    (said,) = map(dumped, shop.predict([given()]))
    (expected,) = map(dumped, shop.predict([path]))
    assert said == expected | {"image": name}


def test_images_without_a_path_are_indexed_taught_searched_and_removed(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    data = {c: [draw(tmp_path / "x.jpg", c, i).read_bytes() for i in range(4)] for c in COLOURS}
    images = [one for some in data.values() for one in some]
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        result = shop.index(images=[*images, io.BytesIO(images[0]), b"", b"no image"])
        assert (result.added, result.unchanged, result.failed) == (len(images), 1, 2)
        names = [hashlib.sha256(one).hexdigest() for one in images]
        assert [f.image for f in result.failures] == [
            "<bytes>",
            hashlib.sha256(b"no image").hexdigest(),
        ]
        dumped(result)
        taught = shop.teach("colour", {one: c for c, some in data.items() for one in some})
        assert (taught.examples, taught.failures) == (len(images), ())
        shop.tag()
        hit = shop.search(images[0], n=1, with_self=True)[0]
        assert (hit.image, hit.id) == (names[0], names[0])
        assert shop.search(names[0], n=1, with_self=True) == [hit]
        dumped(hit)
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.verify() == []
        (found,) = shop.predict([names[3]])
        assert dumped(found)["image"] == names[3]
        assert all(e.image in names for e in found.predictions["colour"].evidence)
        assert shop.export(tmp_path / "all.csv") == len(images)
        assert shop.remove([names[0]]) == 1
        assert len(shop) == len(images) - 1


def test_bytes_that_are_no_image_are_refused_without_being_printed(shop: Catalogue) -> None:
    data = b"\x00\x01" * 2500
    with pytest.raises(ImageError) as error:
        shop.search(data, with_self=True)
    assert str(error.value).startswith(hashlib.sha256(data).hexdigest() + ": not an image")
    assert len(str(error.value)) < 300
    with pytest.raises(ImageError, match="it is empty: give the bytes"):
        shop.search(io.BytesIO(), with_self=True)
    (said,) = map(dumped, shop.predict([data]))
    assert "not an image" in said["error"]
