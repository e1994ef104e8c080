"""The built-in attribute `colours`: shares, names, and its place beside taught attributes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from colourful import SIDE, ColourfulRuntime, pixels
from conftest import FakeRuntime
from gingham import Catalogue, InputError
from gingham.attributes.colours import NAMES, Colours, naming
from gingham.attributes.palette import LAYERS, STEPS, UNSEEN, memberships, palette, toward, unmix
from gingham.backbones.pooling import palette as palette_in_torch
from gingham.backbones.table import PALETTE_CHANNELS
from gingham.colours import NAMED, TERMS, rgb_of

GREYS = ("black", "white", "grey")
Picture = NDArray[np.uint8]


def read(*pictures: Picture) -> dict[str, NDArray[np.float16]]:
    """Give the stored features of pictures."""
    rows = [pixels(picture) for picture in pictures]
    return {name: np.stack([row[name] for row in rows]).astype(np.float16) for name in rows[0]}


def plain(colour: str, ground: str | None = None) -> Picture:
    """Draw a picture of one colour, or a thing of one colour in the middle of another."""
    picture = np.empty((SIDE, SIDE, 3), np.uint8)
    picture[:] = np.round(255 * rgb_of(ground or colour))
    picture[16:48, 16:48] = np.round(255 * rgb_of(colour))
    return picture


pictures = hnp.arrays(np.uint8, (4, 4, 3)).map(
    lambda small: np.repeat(np.repeat(small, SIDE // 4, axis=0), SIDE // 4, axis=1)
)


@settings(max_examples=25, deadline=None)
@given(pictures)
def test_shares_add_up_and_are_those_of_the_mirror_image(picture: Picture) -> None:
    shares, mirrored = Colours().shares(read(picture, picture[:, ::-1].copy()))
    terms, finer = np.split(shares, [len(TERMS)])
    assert (shares >= 0).all()
    assert terms.sum() == pytest.approx(1, abs=1e-4)
    assert finer.sum() <= 1 + 1e-4
    for name, share in zip(NAMES[len(TERMS) :], finer, strict=True):
        assert share <= terms[TERMS.index(NAMED[name].term)] + 1e-5
    assert mirrored == pytest.approx(shares, abs=2e-3)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.uint8, (4, 4)))
def test_a_picture_in_greys_has_no_other_colour(small: NDArray[np.uint8]) -> None:
    grey = np.repeat(np.repeat(small, SIDE // 4, axis=0), SIDE // 4, axis=1)
    (answer,) = Colours().answer(read(np.repeat(grey[:, :, None], 3, axis=2)))
    assert isinstance(answer.value, list)
    assert {NAMED[name].term for name in answer.value} <= set(GREYS)


@pytest.mark.parametrize("term", TERMS)
def test_a_plain_picture_is_called_by_its_colour(term: str) -> None:
    (answer,) = Colours().answer(read(plain(term)))
    assert isinstance(answer.value, list)
    assert answer.value[0] == term == next(iter(answer.values))
    assert answer.values[term] > 0.6
    assert answer.evidence == ()


@pytest.mark.parametrize("name", [name for name in NAMED if name not in TERMS])
def test_a_finer_name_comes_after_its_term(name: str) -> None:
    (answer,) = Colours().answer(read(plain(name)))
    assert isinstance(answer.value, list)
    assert answer.value[0] == NAMED[name].term


@pytest.mark.parametrize("term", [term for term in TERMS if term != "white"])
def test_the_ground_behind_a_thing_counts_little(term: str) -> None:
    (answer,) = Colours().answer(read(plain(term, "white")))
    assert isinstance(answer.value, list)
    assert answer.value[0] == term


def test_memberships_are_what_the_network_sees_of_plain_pictures() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (60, 3)) / 255
    maps = palette_in_torch(
        torch.tensor(255 * colours, dtype=torch.float32)[:, None, None].expand(-1, 4, 4, -1)
    )
    assert memberships(colours) == pytest.approx(maps[:, :, 0, 0].numpy(), abs=1e-5)


def test_every_colour_of_the_palette_has_one_term() -> None:
    called = naming()
    assert called.shape == (len(palette().lab), len(NAMES))
    assert (called[:, : len(TERMS)].sum(axis=1) == 1).all()
    assert called.any(axis=0).all()


def slow_unmix(seen: NDArray[np.floating[Any]]) -> list[float]:
    """The definition, a number at a time: the shares of one image's colours."""
    known = [row.tolist() for row in palette().memberships.astype(np.float64)]
    bins = range(len(seen))
    shares = [float(sum(row[c] for c in bins if seen[c] <= 0) < UNSEEN) for row in known]
    for _ in range(STEPS):
        expected = [max(sum(s * row[c] for s, row in zip(shares, known)), 1e-6) for c in bins]  # noqa: B905
        for j, row in enumerate(known):
            shares[j] *= sum(row[c] * seen[c] / expected[c] for c in bins) / sum(row)
        whole = sum(shares)
        shares = [share / whole for share in shares]
    return shares


def test_unmixing_is_as_defined() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    for picture in (plain("teal", "beige"), noise):
        features = read(picture)
        seen = features[LAYERS[0]][0, :PALETTE_CHANNELS].astype(np.float64)
        assert unmix(features)[0] == pytest.approx(slow_unmix(seen), abs=1e-4)


def test_a_row_depends_on_its_own_image_alone() -> None:
    features = read(*(plain(term, "white") for term in TERMS))
    alone = [unmix({k: v[i : i + 1] for k, v in features.items()})[0] for i in range(len(TERMS))]
    assert unmix(features) == pytest.approx(np.stack(alone), abs=1e-5)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalogue]:
    folder = tmp_path / "photos"
    folder.mkdir()
    for term in TERMS:
        Image.fromarray(plain(term)).save(folder / f"{term}.png")
    half = plain("red")
    half[:, SIDE // 2 :] = 255 * rgb_of("blue")
    Image.fromarray(half).save(folder / "red and blue.png")
    with Catalogue.create(tmp_path / "shop", runtime=ColourfulRuntime()) as made:
        made.index([folder])
        yield made


def names(hits: list[object]) -> list[str]:
    return [Path(hit.image).stem for hit in hits]  # type: ignore[attr-defined]


def test_it_is_an_attribute_of_every_catalogue(shop: Catalogue, tmp_path: Path) -> None:
    (found,) = shop.predict([tmp_path / "photos" / "red.png"], attributes=["colours"])
    assert found.predictions["colours"].value[0] == "red"  # type: ignore[index]
    info = shop.info().attributes["colours"]
    assert (info.kind, info.built_in, info.examples, info.tagged) == ("multi", True, 0, 0)
    counts = shop.tag().attributes["colours"]
    assert counts["red"] == counts["blue"] == 2
    assert counts["green"] == 1
    assert shop.info().attributes["colours"].tagged == len(TERMS) + 1
    assert shop.facets(["colours=red"]).images == 2
    hits = shop.search(tmp_path / "photos" / "red.png", where=["colours=red"], with_self=True)
    assert set(names(hits)) == {"red", "red and blue"}  # type: ignore[arg-type]
    shop.export(tmp_path / "tags.csv")
    with (tmp_path / "tags.csv").open() as file:
        rows = {Path(row["image"]).stem: row for row in csv.DictReader(file)}
    assert {"red", "blue"} <= set(rows["red and blue"]["colours"].split("|"))
    assert shop.sheet(tmp_path / "sheet.html", "colours") == len(TERMS) + 1


def test_what_is_taught_under_its_name_answers_in_its_place(
    shop: Catalogue, tmp_path: Path
) -> None:
    shop.tag(["colours"])
    photos = tmp_path / "photos"
    shop.teach("colours", {str(photos / "red.png"): "warm", str(photos / "blue.png"): "cold"})
    assert shop.info().attributes["colours"].kind == "single"
    assert not shop.info().attributes["colours"].built_in
    assert set(shop.tag().attributes["colours"]) == {"warm", "cold", "unknown"}
    shop.forget("colours")
    assert shop.info().attributes["colours"].built_in
    assert shop.info().attributes["colours"].tagged == 0
    assert "red" in shop.tag().attributes["colours"]


def test_a_taught_name_in_other_letters_hides_it(shop: Catalogue, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    with pytest.raises(InputError, match="only in case"):
        shop.teach("Colours", {str(photos / "red.png"): "warm", str(photos / "blue.png"): "cold"})


def test_forgetting_deletes_its_tags_and_corrections_are_refused(
    shop: Catalogue, tmp_path: Path
) -> None:
    shop.tag(["colours"])
    with pytest.raises(InputError, match="built in: its values cannot be forgotten one by one"):
        shop.forget("colours", "red")
    shop.forget("colours")
    assert shop.info().attributes["colours"].tagged == 0
    with pytest.raises(InputError, match="built in and takes no corrections"):
        shop.correct("colours", {str(tmp_path / "photos" / "red.png"): "blue"})


def test_it_is_explained_where_its_colour_is(shop: Catalogue, tmp_path: Path) -> None:
    (found,) = shop.explain([tmp_path / "photos" / "red and blue.png"], values=["blue"])
    (one,) = found.explanations
    assert (one.attribute, one.value, one.method) == ("colours", "blue", "seen")
    middle = one.heat.shape[1] // 2
    assert one.heat[:, :middle].sum() < 0.1 * one.heat[:, middle:].sum()
    assert one.hottest[0] > 0.5
    json.dumps(one.to_dict())


def test_search_by_colour(shop: Catalogue, tmp_path: Path) -> None:
    hits = shop.search(colours={"#e50000": 1}, n=3)
    assert names(hits)[:2] == ["red", "red and blue"]  # type: ignore[arg-type]
    assert hits[0].looks.keys() == {"colours"}
    assert 0.85 < hits[0].looks["colours"] < 1.05
    hits = shop.search(colours={"red": 1, "blue": 1}, n=3)
    assert names(hits)[0] == "red and blue"  # type: ignore[arg-type]
    assert hits[0].score == pytest.approx(2 * hits[0].looks["colours"])
    hits = shop.search(
        tmp_path / "photos" / "green.png",
        looks={"colour": 0.1},
        colours={"pink": 5},
        with_self=True,
    )
    assert names(hits)[0] == "pink"  # type: ignore[arg-type]
    assert {"colour", "colours"} <= set(hits[0].looks)
    assert len(shop.search(colours={"red": 1}, min_score=0.5, n=50)) < len(TERMS)
    shop.tag()
    assert names(shop.search(colours={"red": 1}, where=["colours=blue"]))[0] == "red and blue"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "at least one image, a colour or a filter"),
        ({"colours": {}}, "at least one image, a colour or a filter"),
        ({"colours": {"red": 0}}, "weight above 0"),
        ({"colours": {"nevy": 1}}, "did you mean 'navy'?"),
        ({"colours": {"red": 1}, "looks": {"colour": 1}}, "go with an image"),
        ({"colours": {"red": 1}, "unlike": ["photos"]}, "go with an image|cannot be read|photos"),
    ],
)
def test_a_search_that_says_too_little_or_too_much_is_refused(
    shop: Catalogue, asked: dict[str, object], says: str
) -> None:
    with pytest.raises(Exception, match=says):
        shop.search(**asked)  # type: ignore[arg-type]


def test_without_the_layer_there_are_no_colours(tmp_path: Path, photos: Path) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        shop.index([photos])
        assert "colours" not in shop.info().attributes
        with pytest.raises(InputError, match="does not store the colours"):
            shop.search(colours={"red": 1})


@given(st.lists(st.sampled_from(sorted(NAMED)), min_size=1, max_size=4, unique=True))
def test_the_same_colours_in_their_proportions_compare_as_one(chosen: list[str]) -> None:
    one = toward(dict.fromkeys(chosen, 1.0))
    assert toward(dict.fromkeys(chosen, 7.5)) == pytest.approx(one, abs=1e-6)
    assert (one >= 0).all()
