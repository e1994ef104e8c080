"""Which results a search shows: without itself, near-copies, and others of a product."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import InputError
from gingham.parts import parse_crop
from gingham.results import Hit
from gingham.store import ids as many
from gingham.store.files import LocalFiles
from gingham.store.products import Groups, ProductLog
from helpers import run


@pytest.fixture
def shop(tmp_path: Path, runtime: FakeRuntime) -> Iterator[Catalogue]:
    """Three products a colour, each with two pictures in a folder of its own; red0/0 is stray."""
    rows = []
    for colour in COLOURS:
        for i in range(3):
            for j in range(2):
                path = draw(tmp_path / f"photos/{colour}{i}/{j}.jpg", colour, 10 * i + j)
                rows.append([path, f"{colour}-{i}" if (colour, i, j) != ("red", 0, 0) else ""])
    with (tmp_path / "products.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "product"], *rows])
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as catalogue:
        catalogue.index([tmp_path / "products.csv"])
        yield catalogue


def names(hits: Sequence[Hit]) -> list[str]:
    return ["/".join(Path(hit.image).parts[-2:]) for hit in hits]


def ids(hits: Sequence[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def test_the_query_itself_is_left_out_however_it_is_given(shop: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "photos/red1/0.jpg"
    copy = tmp_path / "elsewhere.jpg"
    copy.write_bytes(path.read_bytes())
    everything = shop.search(path, n=99, with_self=True)
    assert names(everything)[0] == "red1/0.jpg"
    assert len(everything) == 18
    for image in (path, str(path), path.read_bytes(), everything[0].id, copy):
        assert ids(shop.search(image, n=99)) == ids(everything[1:])
        assert ids(shop.search(image, n=3)) == ids(everything[1:4])
    two = shop.search([path, everything[1].id], n=99)
    assert {hit.id for hit in everything[:2]}.isdisjoint(hit.id for hit in two)
    assert len(two) == 16
    path.unlink()
    assert ids(shop.search(path, n=99)) == ids(everything[1:])


def test_one_result_of_each_product_the_best(shop: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "photos/green1/0.jpg"
    everything = shop.search(path, n=99)
    hits = shop.search(path, n=99, by="product")
    expected, seen = [], {"green-1"}
    for hit in everything:
        if hit.product is None or hit.product not in seen:
            expected.append(hit)
            seen.add(hit.product)  # type: ignore[arg-type]
    assert ids(hits) == ids(expected)
    assert [hit.product for hit in hits].count(None) == 1  # it stands for itself
    assert len(hits) == 9
    folders = shop.search(path, n=99, by="folder")
    assert len(folders) == len({Path(hit.image).parent for hit in folders}) == 8
    assert "green1" not in {Path(hit.image).parent.name for hit in folders}
    assert ids(shop.search(path, n=99, by="product", with_self=True)[1:]) == ids(hits)


def test_products_are_named_by_a_column_and_changed_by_indexing_again(
    shop: Catalogue, tmp_path: Path
) -> None:
    assert shop.info().products == 9
    table = tmp_path / "other.csv"
    image = tmp_path / "photos/blue0/0.jpg"
    table.write_text(f"image,sku\n{image},new\n")
    shop.index([table], product_column="sku")
    (hit,) = shop.search(image, n=1, with_self=True)
    assert hit.product == "new"
    assert shop.info().products == 10
    with pytest.raises(InputError, match="has no column 'style'"):
        shop.index([table], product_column="style")
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as again:
        assert again.search(image, n=1, with_self=True)[0].product == "new"


def test_filters_alone_list_what_passes(shop: Catalogue, tmp_path: Path) -> None:
    shop.teach("tint", {tmp_path / f"photos/{c}{i}/0.jpg": c for c in COLOURS for i in range(3)})
    shop.tag(["tint"])
    hits = shop.search(where=["tint=red"], n=99)
    assert len(hits) == shop.facets(["tint=red"]).images > 1
    assert [hit.id for hit in hits] == sorted(hit.id for hit in hits)
    assert {(hit.score, tuple(hit.looks)) for hit in hits} == {(0.0, ())}
    by = shop.search(where=["tint=red"], n=99, by="folder")
    assert len(by) == len({Path(hit.image).parent for hit in hits})
    with pytest.raises(InputError, match="at least one image, a colour or a filter"):
        shop.search()
    with pytest.raises(InputError, match="go with an image"):
        shop.search(where=["tint=red"], min_score=0.5)


def test_a_part_of_an_image_is_searched_with(shop: Catalogue, tmp_path: Path) -> None:
    halves = [np.asarray(Image.open(tmp_path / f"photos/{c}0/0.jpg")) for c in ("red", "blue")]
    path = tmp_path / "both.png"
    Image.fromarray(np.concatenate(halves, axis=1)).save(path)
    for box, name in ((0, 0, 0.5, 1), "red0/0.jpg"), ((0.5, 0, 1, 1), "blue0/0.jpg"):
        assert names(shop.search(path, crop=box, n=1)) == [name]
    known = tmp_path / "photos/red0/0.jpg"
    everything = shop.search(known, n=99)
    assert ids(shop.search(known, n=99, crop=(0, 0, 1, 1))) == ids(everything)
    assert "red0/0.jpg" not in names(shop.search(known, n=99, crop=(0, 0, 0.5, 0.5)))
    for images in ([], [known, known]):
        with pytest.raises(InputError, match="crop is a box of one image"):
            shop.search(images, crop=(0, 0, 1, 1), colours={"red": 1})
    with pytest.raises(InputError, match="one of each product or folder"):
        shop.search(known, by="colour")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["", "0,0,1", "0,0,0,1", "a,0,1,1", "0.5,0,0.6,1", "-0.1,0,1,1", "0,nan,1,1"]
)
def test_what_is_no_crop_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="X,Y,WIDTH,HEIGHT in fractions"):
        parse_crop(text)


def test_a_crop_is_a_corner_and_a_size() -> None:
    assert parse_crop("0.1,0.2,0.5,0.5") == pytest.approx((0.1, 0.2, 0.6, 0.7))
    assert parse_crop("0.7, 0.9, 0.3, 0.1") == (0.7, 0.9, 1, 1)


def test_near_copies_are_left_out(shop: Catalogue, tmp_path: Path) -> None:
    path = tmp_path / "photos/blue1/0.jpg"
    picture = Image.open(path)
    picture.save(tmp_path / "photos/again.png")
    shop.index([tmp_path / "photos/again.png"])
    near = shop.search(path, n=99)
    assert Path(near[0].image).name == "again.png"
    hits = shop.search(path, n=99, distinct=True)
    assert "again.png" not in {Path(hit.image).name for hit in hits}
    assert 0 < len(hits) < len(near)
    assert ids(shop.search(path, n=99, distinct=True, with_self=True)[1:]) == ids(hits)


def test_on_the_command_line(shop: Catalogue, tmp_path: Path) -> None:
    shop.close()
    image = tmp_path / "photos/red1/0.jpg"

    def search(*options: str) -> list[dict[str, object]]:
        done = run("search", tmp_path / "real", *options, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert run("index", tmp_path / "real", tmp_path / "products.csv").returncode == 0
    everything = search(str(image), "-n", "99", "--with-self")
    assert len(everything) == 18
    by_id = search(str(everything[0]["id"]), "-n", "99")
    assert [hit["id"] for hit in by_id] == [hit["id"] for hit in everything[1:]]
    assert len(search(str(image), "-n", "99", "--by", "product")) == 9
    assert len(search(str(image), "-n", "99", "--by", "folder")) == 8
    assert len(search(str(image), "-n", "99", "--distinct")) < 17
    least = float(everything[4]["score"])  # type: ignore[arg-type]
    assert len(search(str(image), "-n", "99", "--min-score", str(least))) == 4
    assert len(search(str(image), "--crop", "0,0,0.5,0.5")) == 10
    done = run("search", tmp_path / "real", image, "--by", "colour")
    assert done.returncode == 2
    assert "give product, or folder" in done.stderr


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "ü"])), max_size=20))
def test_the_last_product_of_an_image_counts(events: list[tuple[int, str]]) -> None:
    keys = [bytes([i]) * 32 for i, _ in events]
    known = dict(zip(keys, (name for _, name in events), strict=True))
    groups = Groups.of(many.from_list(keys), (name for _, name in events))
    assert {key: groups.name(key) for key in many.to_list(groups.ids)} == known
    for key, name in known.items():
        code = groups.group(key)
        assert code is not None
        members = set(many.to_list(groups.members(code)))
        assert members == {one for one, other in known.items() if other == name}
    assert groups.name(b"x" * 32) is None


def test_products_are_on_disk_and_other_processes_see_them(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    one, other = ProductLog(files), ProductLog(files)
    a, b = b"a" * 32, b"b" * 32
    one.append({a: "shoe", b: "hat"})
    one.append({a: "shoe"})  # nothing new
    assert one.version == 1
    assert other.refresh()
    one.append({a: "boot"})
    assert other.refresh()
    assert [log.groups().name(a) for log in (one, other, ProductLog(files))] == ["boot"] * 3
    assert one.groups() is one.groups()
    assert one.verify() == []
