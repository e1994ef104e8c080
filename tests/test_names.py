"""Names of attributes and values, and what they become."""

from __future__ import annotations

import csv
import itertools
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import FakeRuntime
from gingham.catalogue import Catalogue
from gingham.errors import InputError
from gingham.names import check_attribute, did_you_mean, folder_name, one_line, same, shortened
from gingham.store.header import FORMAT

CYRILLIC = "Основной цвет изделия по каталогу производителя"
odd = ("..", ".", "../..", "a/b", "con", "LPT1", "nul.txt", "Colour", "colour", "é", "e\u0301")
names = st.text(max_size=70) | st.sampled_from([*odd, CYRILLIC])


@settings(max_examples=2000, deadline=None)
@given(names, names)
def test_every_name_has_a_folder_of_its_own(first: str, second: str) -> None:
    folders = [folder_name(name.encode(errors="replace").decode()) for name in (first, second)]
    for folder in folders:
        assert folder.isascii()
        assert 0 < len(folder) <= 64
        assert folder == folder.lower()
        assert not set(folder) & set('/\\:*?"<>|\0\n')
        assert folder.strip(". ") == folder
        assert folder.split(".")[0] not in ("con", "prn", "aux", "nul")
    alike = first.encode(errors="replace") == second.encode(errors="replace")
    assert (folders[0] == folders[1]) == alike


@settings(max_examples=2000)
@given(st.text(), names)
def test_a_name_is_used_or_refused(name: str, other: str) -> None:
    try:
        used = check_attribute(name, [other])
    except InputError as error:
        message = str(error)
        used = None
    if used is None:
        assert message.startswith(f"attribute name {shortened(name)} cannot be used: ")
        return
    assert used == unicodedata.normalize("NFC", name)
    assert used.isprintable()
    assert len(used.encode()) <= 255
    assert used == other or same(used) != same(other)


REFUSED = ("", " ", "a ", "..", ".", "a=b", "a!", "a\nb", "\x1b[2K", "id", "Image", "IMAGE")


@pytest.mark.parametrize(
    "name", [*REFUSED, "x_confidence", "\udcff", "\u202ename", "a" * 256, "цвет" * 40]
)
def test_names_that_cannot_be_used(name: str) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        check_attribute(name)


def test_a_name_that_differs_in_case_or_form_is_refused() -> None:
    assert check_attribute("e\u0301", ["\u00e9"]) == "\u00e9"
    with pytest.raises(InputError, match=r"differs from 'colour' only in case.*write 'colour'"):
        check_attribute("Colour", ["colour"])


@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in line)
    if text.isprintable():
        assert line == text


def test_did_you_mean() -> None:
    assert did_you_mean("color", ["colour", "pattern"]) == "; did you mean 'colour'?"
    assert did_you_mean("COLOUR", ["colour", "pattern"]) == "; did you mean 'colour'?"
    assert did_you_mean("sleeve", ["colour", "pattern"]) == ""


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
        if not path.name.startswith("lock")
    }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A catalogue of six pictures in a folder beside other things."""
    from conftest import COLOURS, draw

    folder = tmp_path_factory.mktemp("names")
    for colour in COLOURS:
        for seed in range(2):
            draw(folder / "photos" / f"{colour}{seed}.jpg", colour, seed)
    shop = Catalogue.create(folder / "shop", runtime=FakeRuntime())
    shop.index([folder / "photos"])
    return shop


def labels(shop: Catalogue) -> dict[str, str]:
    photos = sorted((shop.folder.parent / "photos").iterdir())
    return {str(photo): photo.name[:3] for photo in photos}


@settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(chosen=st.lists(names, min_size=10, max_size=10))
def test_teach_tag_export_forget_touch_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, shop: Catalogue, chosen: list[str]
) -> None:
    """Two thousand names, ten at a time."""
    folder = tmp_path_factory.mktemp("few")
    shutil.copytree(shop.folder, folder / "shop", ignore=shutil.ignore_patterns("lock*"))
    with Catalogue.open(folder / "shop", runtime=FakeRuntime()) as few:
        teach_tag_export_forget(few, labels(shop), [*chosen, "sleeve length"])
    shutil.rmtree(folder)


def teach_tag_export_forget(shop: Catalogue, given: dict[str, str], chosen: list[str]) -> None:
    before = tree(shop.folder.parent)
    taught: list[str] = []
    for name in chosen:
        log = tree(shop.folder / "examples")
        try:
            shop.teach(name, given, views=False, layers="stem")
        except InputError:
            assert tree(shop.folder / "examples") == log
        else:
            taught.append(unicodedata.normalize("NFC", name))
    assert "sleeve length" in taught
    taught = sorted(set(taught))
    if taught:
        shop.tag()
        for suffix in ("csv", "parquet"):
            shop.export(shop.folder.parent / f"out.{suffix}")
        with (shop.folder.parent / "out.csv").open(newline="", encoding="utf-8") as file:
            row = next(csv.DictReader(file))
        columns = [(name, f"{name}_confidence", f"{name}_best_guess") for name in taught]
        assert list(row) == ["image", "id", *itertools.chain.from_iterable(columns)]
        assert pq.read_schema(shop.folder.parent / "out.parquet").names == list(row)
        assert shop.facets([f"{taught[0]}!=unknown"]).attributes.keys() >= {taught[0]}
        look = f"attribute:{taught[0]}"
        assert look in shop.search(next(iter(given)), looks={look: 1}, with_self=True)[0].looks
        for name in taught:
            shop.forget(name)
        for suffix in ("csv", "parquet"):
            (shop.folder.parent / f"out.{suffix}").unlink()
    after = tree(shop.folder.parent)
    # the logs of what was said and by whom, and what is derived
    kept = ("shop/examples", "shop/changes", "shop/index")
    for state in (before, after):
        for path in [path for path in state if path.startswith(kept) or path == "shop/attributes"]:
            del state[path]
    assert after == before


def test_what_an_export_holds_can_be_taught_again(tmp_path: Path, shop: Catalogue) -> None:
    odd = 'M&M\'s, a "b"'
    given = {
        image: [value, odd] if value == "red" else [value] for image, value in labels(shop).items()
    }
    shop.teach("has", given, kind="multi")
    shop.tag("has")
    expected = shop.facets().attributes["has"]
    for suffix in ("csv", "parquet"):
        table = tmp_path / f"out.{suffix}"
        shop.export(table)
        with pytest.raises(InputError, match=r"'has_confidence'.*predictions.*--trust-predictions"):
            shop.teach("again", table, value_column="has", kind="multi")
        with Catalogue.create(tmp_path / suffix, runtime=FakeRuntime()) as other:
            other.teach("has", table, kind="multi", trust_predictions=True)
            assert set(other._attributes.values("has")) == set(expected) - {"unknown"}
    shop.forget("has")


def test_a_value_with_the_separator_is_refused(tmp_path: Path, shop: Catalogue) -> None:
    table = tmp_path / "m.parquet"
    cells = {"image": list(labels(shop)), "has": [["S|M"], ["L"]] * 3}
    pq.write_table(pa.table(cells), table)
    before = tree(shop.folder)
    with pytest.raises(InputError, match=r"value 'S\|M' of attribute 'has' cannot be used"):
        shop.teach("has", table, kind="multi")
    assert tree(shop.folder) == before
    shop.teach("size", {image: "S|M" if i % 2 else "L" for i, image in enumerate(labels(shop))})
    shop.forget("size")


def test_a_folder_of_an_earlier_version_is_taken_over(tmp_path: Path, shop: Catalogue) -> None:
    shop.teach("Sleeve Length", labels(shop))
    shop.tag("Sleeve Length")
    tags = shop.facets().attributes["Sleeve Length"]
    folder = shop.folder / "attributes"
    (folder / folder_name("Sleeve Length")).rename(folder / "Sleeve Length")
    shop.close()
    header = shop.folder / "catalogue.json"
    header.write_text(header.read_text().replace(f'"format": {FORMAT}', '"format": 3'))
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as again:
        assert again.facets().attributes["Sleeve Length"] == tags
        again.forget("Sleeve Length")
        assert not list(folder.glob("*leeve*/*"))


@pytest.mark.parametrize(
    "name", [b"\x1b]0;owned\x07\x1b[2Kbad.jpg", b"two\nlines.jpg", b"\xff.jpg"]
)
def test_no_file_name_acts_on_a_terminal(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"no image")
    run = [sys.executable, "-m", "gingham", "index", str(tmp_path / "shop"), str(path)]
    done = subprocess.run(run, capture_output=True)
    assert done.returncode == 1
    (line,) = [x for x in done.stderr.decode().splitlines() if x.startswith("failed: ")]
    assert line.isprintable()
    assert "not an image" in line


@pytest.mark.parametrize("kind", ["single", "multi"])
def test_values_that_look_like_one_are_said_and_merged(
    tmp_path: Path, shop: Catalogue, kind: str
) -> None:
    images = list(labels(shop))
    given = ["red", "red", "RED", "blue", "Blue", "e\u0301toile"]
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as other:
        first = other.teach("hue", dict(zip(images[:5], given[:5], strict=True)), kind=kind)
        assert not first.merged
        said = [(one.value, one.count, one.like, one.like_count) for one in first.variants]
        assert [type(one.count) for one in first.variants] == [int, int]
        assert said == [("RED", 1, "red", 2), ("blue", 1, "Blue", 1)]
        assert set(first.values) == {"red", "RED", "blue", "Blue"}
        last = {images[5]: given[5], images[4]: "blue"}
        second = other.teach("hue", last, kind=kind, merge_variants=True)
        assert second.merged
        assert set(second.values) in ({"red", "blue", given[5]}, {"red", "Blue", given[5]})
        assert second.examples == 6
        values = set(second.values)
        third = other.teach("hue", {images[0]: "red"}, kind=kind)
        assert third.variants == ()
        assert set(third.values) == values
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as again:
        assert set(again._attributes.values("hue")) == values
        taught = again._attributes.taught()["hue"].examples
        assert sorted(len(one.values) for one in taught) == [1] * 6
