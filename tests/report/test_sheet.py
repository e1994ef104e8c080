from __future__ import annotations

import base64
import io
import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import FakeRuntime
from gingham import Catalogue
from gingham.errors import InputError, StorageError
from gingham.report.sheet import Section, Tile, write_contact_sheet


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag was closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def red(tmp_path: Path) -> str:
    path = tmp_path / "red.png"
    Image.new("RGB", (900, 600), (200, 30, 40)).save(path)
    return str(path)


def write(folder: Path, *tiles: Tile, title: str = "A sheet") -> Page:
    path = folder / "sheet.html"
    sections = [Section("Taught with these", "Two of each.", tiles)]
    write_contact_sheet(path, title=title, summary=[("images", "2")], sections=sections)
    return Page(path)


def test_every_picture_is_inside_the_page_small_and_described(tmp_path: Path, red: str) -> None:
    tiles = [Tile(red, f"number {n}", ["red 0.97"], "good") for n in range(3)]
    page = write(tmp_path, *tiles)
    assert page.open == []
    assert [image["alt"] for image in page.all("img")] == ["number 0", "number 1", "number 2"]
    assert page.words.count("red 0.97") == page.words.count("right") == 3
    for image in page.all("img"):
        kind, data = (image["src"] or "").split(",")
        assert kind == "data:image/jpeg;base64"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert picture.size == (240, 160)
            pixel = np.asarray(picture)[80, 120].astype(int)
        assert np.abs(pixel - (200, 30, 40)).max() < 6


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path, red: str) -> None:
    write(tmp_path, Tile(red, "a"))
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|<script|<link|@import", text)
    assert "default-src 'none'" in text


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "\" onload=\"alert('1')",
        "$title ${summary} $$ {0} %s",
        "&lt; & < > \" '",
        "caf\xe9 \N{CHERRY BLOSSOM}",
    ],
)
def test_text_is_shown_as_it_is(tmp_path: Path, red: str, hostile: str) -> None:
    plain = write(tmp_path, Tile(red, "plain", ["line"], "bad"))
    page = write(tmp_path, Tile(red, hostile, [hostile], "bad"), title=hostile)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(a) for _, a in page.tags] == [sorted(a) for _, a in plain.tags]
    assert page.words.count(hostile) == 4  # <title>, <h1>, the tile's name and line
    assert page.all("img")[0]["alt"] == hostile


@pytest.mark.parametrize("content", [b"", b"not an image", None], ids=["empty", "text", "missing"])
def test_an_unreadable_picture_leaves_a_tile_that_says_so(
    tmp_path: Path, red: str, content: bytes | None
) -> None:
    broken = tmp_path / "broken.jpg"
    if content is not None:
        broken.write_bytes(content)
    page = write(tmp_path, Tile(red, "fine"), Tile(str(broken), "broken"))
    assert len(page.all("img")) == 1
    assert len(page.all("li")) == 2
    assert "cannot be read" in page.words


def test_a_name_that_is_not_utf8(tmp_path: Path, red: str) -> None:
    name = os.fsdecode(b"caf\xe9\x00\x1b.png")
    page = write(tmp_path, Tile(str(tmp_path / name), name), Tile(red, name))
    assert page.words.count("caf\ufffd\ufffd\ufffd.png") == 2


def test_an_empty_section_says_so(tmp_path: Path) -> None:
    assert "Nothing to show here." in write(tmp_path).words


def test_the_old_sheet_stays_until_the_new_one_is_whole(
    tmp_path: Path, red: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, Tile(red, "old"))
    before = (tmp_path / "sheet.html").read_bytes()

    def cut_off(descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", cut_off)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path, Tile(red, "new"))
    assert (tmp_path / "sheet.html").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["red.png", "sheet.html"]


def test_refusals_name_what_came(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'purple'"):
        Tile("a.jpg", "a", tone="purple")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got 0"):
        write_contact_sheet(tmp_path / "x", title="", summary=[], sections=[], thumbnail=0)


@pytest.fixture
def shop(tmp_path: Path, photos: Path) -> Iterator[Catalogue]:
    """Thirty-six images, fifteen of them taught and one of these wrongly; tagged."""
    for copy in range(3):
        again = shutil.copy(photos / "red0.jpg", photos / f"red0-{copy}.jpg")
        with Path(again).open("ab") as file:
            file.write(bytes([copy]))  # other bytes, the same picture
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        shop.index([photos])
        taught = {
            str(photos / f"{colour}{i}.jpg"): colour
            for colour in ("red", "green", "blue")
            for i in range(5)
        }
        taught |= {str(photos / f"red0-{copy}.jpg"): "red" for copy in range(2)}
        shop.teach("colour", taught | {str(photos / "red0-2.jpg"): "blue"})
        shop.tag()
        yield shop


def sheet(shop: Catalogue, **options: Any) -> tuple[Page, int]:
    path = shop.folder.parent / "sheet.html"
    shown = shop.sheet(path, "colour", **options)
    return Page(path), shown


def headings(page: Page) -> list[str]:
    return [word for word in page.words if re.fullmatch(r"[\w ]+: \d+ images?", word)]


def test_the_images_of_a_catalogue_are_grouped_by_value(shop: Catalogue) -> None:
    page, shown = sheet(shop, n=100)
    counts = shop.facets().attributes["colour"]
    assert shown == len(shop) == 39
    groups = {h.split(":")[0]: int(h.split()[-2]) for h in headings(page)}
    assert groups.pop("Not as taught") == 1
    assert groups == counts
    wrong = page.words.index("wrong")
    assert page.words[wrong : wrong + 4] == [
        "wrong",
        "red0-2.jpg",
        "tagged as red",
        "taught as blue",
    ]
    assert page.words.count("right") == 17
    assert "17 of 18" in page.words
    confidences = [float(w.split()[1]) for w in page.words if w.startswith("confidence")]
    assert len(confidences) == 39 + 1 - counts.get("unknown", 0)


def test_unknown_is_the_last_group_and_has_no_number(shop: Catalogue, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for seed in range(3):
        noise = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / f"noise{seed}.png")
    shop.index(images=sorted(tmp_path.glob("noise*.png")))
    assert "indexed after the last gingham tag" in sheet(shop)[0].words
    shop.tag()
    page, _ = sheet(shop)
    count = shop.facets().attributes["colour"]["unknown"]
    assert headings(page)[-1] == f"unknown: {count} images"
    last = page.words[max(i for i, w in enumerate(page.words) if w.startswith("unknown: ")) :]
    assert last.count("unknown") == count
    assert not [word for word in last if "confidence" in word]


def test_filters_and_the_number_per_value(shop: Catalogue) -> None:
    page, shown = sheet(shop, where=["colour=green"], n=4)
    green = shop.facets().attributes["colour"]["green"]
    assert shown == 4
    assert set(headings(page)) == {f"green: {green} images"}
    assert "4 shown, from most to least confident" in page.words
    assert "without images: blue, red" in page.words
    scores = [float(w.split()[1]) for w in page.words if w.startswith("confidence")]
    assert scores == sorted(scores, reverse=True)
    assert sheet(shop, n=1)[1] <= 5


def test_a_file_that_has_moved_is_shown(shop: Catalogue, photos: Path) -> None:
    (photos / "green9.jpg").rename(photos / "moved.jpg")
    shop.index([photos])
    page, _ = sheet(shop, n=100)
    assert "cannot be read" not in page.words


def test_several_values_are_all_said(shop: Catalogue, photos: Path, tmp_path: Path) -> None:
    taught = {
        str(photos / f"{colour}{i}.jpg"): [colour, *(["striped"] if i % 2 else ["!striped"])]
        for colour in ("red", "green")
        for i in range(8)
    }
    shop.teach("look", taught, kind="multi")
    shop.tag(["look"])
    shop.sheet(tmp_path / "look.html", "look", n=100)
    words = Page(tmp_path / "look.html").words
    both = {w for w in words if w.startswith("tagged as") and "striped" in w}
    assert both & {"tagged as red+striped", "tagged as green+striped"}
    assert "any number per image" in words


def test_what_a_sheet_refuses(shop: Catalogue, tmp_path: Path) -> None:
    taught = [files[0] for files in shop.images().values()]
    shop.teach("red", {k: "yes" if "red" in k else "no" for k in taught})
    for arguments, options, message in (
        (("a.html", "size"), {}, "unknown attribute 'size'; known: colour, red"),
        (("a.html", "red"), {}, "'red' is not tagged yet: run gingham tag first"),
        (("a.txt", "colour"), {}, "ends in .html"),
        (("none/a.html", "colour"), {}, "no folder"),
        (("a.html", "colour"), {"n": 0}, "at least 1, got 0"),
        (("a.html", "colour"), {"where": ["colour=mauve"]}, "'mauve'"),
        (("a.html", "colour"), {"where": ["colour=red", "colour!=red"]}, "no image matches"),
    ):
        file, attribute = arguments
        with pytest.raises(InputError, match=message):
            shop.sheet(tmp_path / file, attribute, **options)
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(StorageError, match=r"taken\.html cannot be used \(Is a directory\)"):
        shop.sheet(tmp_path / "taken.html", "colour")
    assert not (tmp_path / "a.html").exists()
