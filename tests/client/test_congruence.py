"""The same calls on a catalogue here and on a served one come to the same."""

from __future__ import annotations

import csv
import inspect
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

import gingham
from conftest import draw
from gingham import Catalogue, InputError, RemoteCatalogue
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue
from gingham.service.app import create_app
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, listening, make

Shop = Catalogue | RemoteCatalogue
Both = tuple[Catalogue, RemoteCatalogue]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("congruence")


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[Both]:
    """A catalogue of which one picture has two files, here and served."""
    with make(folder) as made:
        copy = folder / "photos" / "später ü.jpg"
        shutil.copy(folder / "photos" / "red0.jpg", copy)
        made.index([copy])
    shutil.copytree(folder / "shop", folder / "served" / "shop")
    runtime = MappingRuntime()
    with (
        Catalogue.open(folder / "shop", runtime=runtime) as here,
        ServedCatalogue.open(folder / "served" / "shop", runtime=runtime) as shop,
        listening(create_app(shop)) as address,
        gingham.connect(address) as there,
    ):
        yield here, there


def same(both: Both, call: Callable[[Any], Any]) -> Any:
    """Make a call on both; what comes of it, or is raised, must be the same."""
    found = []
    for shop in both:
        try:
            found.append(call(shop))
        except gingham.GinghamError as error:
            found.append((type(error), str(error)))
    assert plain(found[0]) == pytest.approx(plain(found[1]), abs=1e-5)
    return found[0]


def plain(found: Any) -> Any:
    """Give a result as one flat mapping, in which numbers may be compared roughly.

    Examples that are not in the catalogue are named by a server without their folders.
    """
    flat: dict[str, Any] = {}

    def add(place: str, value: Any) -> None:
        if is_dataclass(value) and not isinstance(value, type):
            flat[f"{place}:"] = type(value).__name__
            for field in fields(value):
                add(f"{place}.{field.name}", getattr(value, field.name))
        elif isinstance(value, dict):
            flat[f"{place}:"] = str(list(value))
            for name, one in value.items():
                add(f"{place}.{name}", one)
        elif isinstance(value, list | tuple):
            flat[f"{place}:"] = f"{type(value).__name__} of {len(value)}"
            for number, one in enumerate(value):
                add(f"{place}.{number}", one)
        elif isinstance(value, str) and "/examples/" in value:
            flat[place] = Path(value).name
        elif isinstance(value, np.ndarray):
            flat[place] = str(value.shape)
        else:
            flat[place] = value

    add("", found)
    return flat


def search(given: Any, shop: Any) -> Any:
    return shop.search(given, n=7, with_self=True)


def ids(shop: Shop) -> list[str]:
    return sorted(shop.images())


def test_what_there_is(both: Both) -> None:
    same(both, len)
    images = same(both, lambda shop: shop.images())
    assert max(map(len, images.values())) == 2
    here, there = (shop.info() for shop in both)
    assert replace(here, catalogue="", bytes=0, index=None) == replace(there, catalogue="", bytes=0)
    assert (here.index, there.index) == ("embedded", None)
    assert here.attributes["colour"].tagged == 18
    assert there.bytes > 1000
    assert there.catalogue == both[1].url


def test_facets(both: Both) -> None:
    assert same(both, lambda shop: shop.facets()).images == 18
    assert same(both, lambda shop: shop.facets(["colour=red", "colour=blue"])).images == 12
    assert same(both, lambda shop: shop.facets(["colour!=red"])).images == 12
    said = same(both, lambda shop: shop.facets(["color=red"]))
    assert said[0] is InputError


def test_search_by_files_bytes_open_files_and_ids(both: Both, folder: Path, tmp_path: Path) -> None:
    fresh = draw(tmp_path / "neu ä|1.jpg", "red", 77)
    known = folder / "photos" / "blue1.jpg"
    some = ids(both[0])[0]
    given: list[Any] = [fresh, known, fresh.read_bytes(), some, [fresh, some]]
    for one in given:
        assert len(same(both, partial(search, one))) == 7
    with fresh.open("rb") as file:
        again = both[1].search(file, n=7, with_self=True)
    assert again == both[1].search(fresh, n=7, with_self=True)
    assert any(hit.copies for hit in both[1].search(fresh, n=18, with_self=True))


def test_search_with_everything(both: Both, tmp_path: Path) -> None:
    fresh, other = (draw(tmp_path / f"{n}.jpg", "green", 70 + n) for n in range(2))
    hits = same(
        both,
        lambda shop: shop.search(
            fresh,
            looks={"colour": 1, "attribute:colour": 0.5},
            where=["colour!=red"],
            unlike=[other],
            n=1500,
            min_score=-5.0,
            with_self=True,
        ),
    )
    assert len(hits) == 12
    some = ids(both[0])[:2]
    same(
        both,
        lambda shop: shop.search(some[0], unlike=[some[1]], looks={"texture": 1}, with_self=True),
    )
    same(both, lambda shop: shop.search(where=["colour=red"], n=3))
    same(both, lambda shop: shop.search(some[0], distinct=True, n=9))
    same(both, lambda shop: shop.search(fresh, crop=(0, 0, 0.5, 1), n=4))
    everything = same(both, lambda shop: shop.search(some[0], n=99))
    assert some[0] not in {hit.id for hit in everything}
    assert same(both, lambda shop: shop.search(some[0], by="folder", n=9)) != everything


def test_search_by_words(both: Both) -> None:
    some = ids(both[0])[0]
    calls: tuple[Callable[[Any], Any], ...] = (
        lambda shop: shop.search(text="red shirts", n=4),
        lambda shop: shop.search(some, text="not green velvet", n=20),
    )
    for call in calls:
        hits = same(both, call)
        assert {hit.attributes["colour"] for hit in hits} <= {"red", "blue"}
        here, there = (call(shop).understood for shop in both)
        assert here == there
        assert here.meant
    assert same(both, lambda shop: shop.search(text="velvet"))[0] is InputError
    assert same(both, lambda shop: shop.search(text=" "))[0] is InputError


@pytest.mark.parametrize(
    "call",
    [
        lambda shop: shop.search("missing.jpg", with_self=True),
        lambda shop: shop.search([]),
        lambda shop: shop.search(ids(shop)[0], by="colour"),
        lambda shop: shop.search(ids(shop)[:2], crop=(0, 0, 1, 1)),
        lambda shop: shop.search(b"no image", with_self=True),
        lambda shop: shop.search(ids(shop)[0], looks={"color": 1}, with_self=True),
        lambda shop: shop.search(ids(shop)[0], where=["colour=pink"], with_self=True),
        lambda shop: shop.search(ids(shop)[0], where=["colour"], with_self=True),
        lambda shop: list(shop.predict(["missing.jpg", ids(shop)[0]])),
        lambda shop: list(shop.predict([b"no image"])),
        lambda shop: shop.export("tags.txt"),
        lambda shop: shop.export("no/such/folder/tags.csv"),
    ],
)
def test_what_is_wrong(both: Both, call: Callable[[Any], Any]) -> None:
    same(both, call)


def test_a_damaged_picture_is_named_as_it_was_given(both: Both, tmp_path: Path) -> None:
    path = draw(tmp_path / "halb.jpg", "red", 1)
    path.write_bytes(path.read_bytes()[:500])
    said = same(both, lambda shop: shop.search(path, with_self=True))
    assert str(path) in said[1]
    (found,) = same(both, lambda shop: list(shop.predict([path])))
    assert found.image == str(path)
    assert found.error


def test_options_limit_pixels(both: Both, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.jpg", "red", 1)
    options = gingham.ReadOptions(max_pixels=100)
    said = same(both, lambda shop: shop.search(path, options=options, with_self=True))
    assert "24" in said[1]


def test_predict_keeps_the_order_of_more_images_than_one_request_takes(
    both: Both, tmp_path: Path
) -> None:
    fresh = [draw(tmp_path / f"{n}.jpg", ("red", "green")[n % 2], 50 + n) for n in range(20)]
    known = ids(both[0])
    given = [one for pair in zip(fresh, known, strict=False) for one in pair]
    given.insert(3, tmp_path / "missing.jpg")
    steps: list[tuple[str, int, int]] = []
    options = gingham.ReadOptions(progress=lambda *step: steps.append(step))
    list(both[1].predict(given, options=options))
    assert steps[-1] == ("predict", len(given), len(given))
    found = same(both, lambda shop: list(shop.predict(given)))
    assert [one.image for one in found] == [str(one) for one in given]


def test_predict_refuses_at_once(both: Both, tmp_path: Path) -> None:
    path = draw(tmp_path / "a.jpg", "red", 1)
    for shop in both:
        with pytest.raises(InputError, match="texture"):
            shop.predict([path], attributes=["texture"])
    (unknown,) = both[1].predict(["0" * 64])
    assert unknown.error is not None
    assert "id" in unknown.error
    with pytest.raises(InputError, match="folder"):
        both[1].predict([path], model=both[0].taught)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_export(both: Both, tmp_path: Path, suffix: str) -> None:
    tables = []
    for shop in both:
        file = tmp_path / f"tags.{suffix}"
        assert shop.export(file) == 19
        tables.append(file.read_bytes())
    if suffix == "parquet":
        import pyarrow.parquet as pq

        rows = [pq.read_table(tmp_path / "tags.parquet").num_rows]
        assert rows == [19]
        return
    here, there = (
        sorted(csv.DictReader(table.decode().splitlines()), key=lambda row: row["image"])
        for table in tables
    )
    assert here == there
    assert here[0].keys() == {*("image", "id", "colour", "colour_confidence", "colour_best_guess")}


@pytest.mark.parametrize("cut", [{"min_confidence": 0.97}, {"at_precision": 0.9}])
def test_a_cut_off(both: Both, tmp_path: Path, cut: dict[str, Any]) -> None:
    some = ids(both[0])[:3]
    found = same(both, lambda shop: shop.facets(["colour!=red"], **cut))
    assert sum(found.attributes["colour"].values()) == found.images
    same(
        both,
        lambda shop: shop.search(some[0], n=9, where=["colour!=unknown"], **cut, with_self=True),
    )
    same(both, lambda shop: list(shop.predict(some, **cut)))
    same(both, lambda shop: shop.cutoff("colour", **cut))
    assert both[0].export(tmp_path / "0.csv", **cut) == 19
    assert both[1].export(tmp_path / "1.csv", **cut) == 19
    here, there = (sorted((tmp_path / f"{i}.csv").read_text().splitlines()) for i in (0, 1))
    assert here == there
    same(both, lambda shop: shop.tag(["colour"], **cut).attributes)
    same(both, lambda shop: shop.facets())
    same(both, lambda shop: shop.tag().attributes)
    same(both, lambda shop: shop.facets(**dict.fromkeys(cut, 2.0)))


def test_explain(both: Both, folder: Path, tmp_path: Path) -> None:
    known = folder / "photos" / "später ü.jpg"
    some = ids(both[0])[2]
    found = same(both, lambda shop: list(shop.explain([known, some, "missing.jpg"])))
    assert [one.image for one in found] == [str(known), some, "missing.jpg"]
    assert found[0].explanations
    assert found[2].error
    same(both, lambda shop: list(shop.explain([some], attributes=["colour"], values=["red"])))
    (here,), (there,) = (list(shop.explain([known])) for shop in both)
    assert there.picture is not None
    assert (there.picture == here.picture).all()
    assert (there.explanations[0].heat == here.explanations[0].heat).all()
    (foreign,) = both[1].explain([draw(tmp_path / "a.jpg", "red", 1)])
    assert foreign.error is not None
    assert "index it first" in foreign.error


def test_review_and_history(both: Both) -> None:
    same(both, lambda shop: shop.review("colour", n=5, offset=2))
    same(both, lambda shop: shop.review("colour", order="suspicious", value="red"))
    assert same(both, lambda shop: shop.history(n=2, before=4))
    for shop in both:
        with pytest.raises(InputError, match="colour"):
            shop.review("color")


def test_every_method_is_there_or_says_where_to_run_it(both: Both, tmp_path: Path) -> None:
    """Also with the same parameters in the same order."""
    public = [name for name in dir(Catalogue) if not name.startswith("_")]
    assert set(public) <= set(dir(RemoteCatalogue))
    for name in public:
        here, there = getattr(Catalogue, name), getattr(RemoteCatalogue, name)
        if name not in ("create", "open", "schema", "taught"):
            assert list(inspect.signature(here).parameters) == list(
                inspect.signature(there).parameters
            ), name
    refused: list[tuple[Callable[[RemoteCatalogue], Any], str]] = [
        (lambda shop: shop.attach("model"), "attach model where the catalogue's folder is"),
        (lambda shop: shop.compact(), "compact works on a catalogue's folder"),
        (lambda shop: shop.missing(), "missing works on a catalogue's folder"),
        (lambda shop: shop.prune(), "prune works on a catalogue's folder"),
        (lambda shop: shop.rebuild(), "rebuild works on a catalogue's folder"),
        (lambda shop: shop.relocate("a", "b"), "relocate works on a catalogue's folder"),
        (lambda shop: shop.text_look(), "text_look works on a catalogue's folder"),
        (lambda shop: shop.verify(), "verify works on a catalogue's folder"),
        (lambda shop: shop.taught, "use a model where the catalogue's folder is"),
        (lambda shop: shop.open("shop"), r"use gingham\.connect"),
        (lambda shop: shop.create("shop"), r"use gingham\.Catalogue\.create"),
    ]
    for call, said in refused:
        with pytest.raises(InputError, match=said):
            call(both[1])


def test_examples(both: Both) -> None:
    here, there = (shop.examples() for shop in both)
    assert here == there
    assert len(here["colour"]) == 18


def test_sheet(both: Both, tmp_path: Path) -> None:
    pages = []
    for number in range(2):
        file = tmp_path / f"{number}.html"
        assert both[number].sheet(file, "colour", where=["colour!=red"], n=3) == 6
        pages.append(shown(file))
    assert pages[0] == pages[1]
    assert any("blue: 6 images" in line for line in pages[0])
    assert "data:image/jpeg" in file.read_text(encoding="utf-8")


def shown(file: Path) -> list[str]:
    """Give the text of a page, line by line, without its pictures."""
    text = re.sub(r"data:image/jpeg;base64,[^\"']+", "", file.read_text(encoding="utf-8"))
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    "call",
    [
        lambda shop: shop.sheet("no/such/folder/a.html", "colour"),
        lambda shop: shop.sheet("a.txt", "colour"),
        lambda shop: shop.sheet("a.html", "colour", n=0),
        lambda shop: shop.sheet("a.html", "color"),
        lambda shop: shop.sheet("a.html", "colour", where=["colour=pink"]),
    ],
)
def test_a_sheet_that_cannot_be_made(both: Both, call: Callable[[Any], Any]) -> None:
    assert same(both, call)[0] is InputError


def test_a_schema(both: Both, tmp_path: Path) -> None:
    values = {"warm": SchemaValue(), "red": SchemaValue(parent="warm", synonyms=("crimson",))}
    schema = Schema({"colour": SchemaAttribute(values=values)})
    try:
        assert same(both, lambda shop: shop.set_schema(schema)) == {
            "colour": ["red is below warm, was below none"]
        }
        assert same(both, lambda shop: shop.schema.to_dict()) == schema.to_dict()
        same(both, lambda shop: shop.tag(["colour"]).attributes)
        facets = same(both, lambda shop: shop.facets().attributes)
        assert facets["colour"]["warm"] == facets["colour"]["red"] == 6
        same(both, lambda shop: shop.search(where=["colour=Crimson"], n=9))
        assert shop_sheet(both[0], tmp_path) == shop_sheet(both[1], tmp_path) > 0
    finally:
        for shop in both:
            shop.set_schema(Schema())
            shop.tag(["colour"])


def shop_sheet(shop: Shop, folder: Path) -> int:
    return shop.sheet(folder / "sheet.html", "colour", n=3)
