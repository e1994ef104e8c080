"""Catalogues that read the whole of every image, in a shape that keeps its aspect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import COLOURS
from gingham.backbones.openvino import OpenVinoRuntime
from gingham.backbones.preprocess import Reading
from gingham.backbones.table import DEFAULT_BACKBONE
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError, InputError
from gingham.explaining import ExplanationPage, draw_overlay

RESOLUTION = 160


def draw_tall(path: Path, ends: str, seed: int = 0) -> Path:
    """Draw a tall picture, grey but for its ends."""
    pixels = np.full((120, 40, 3), 128.0)
    pixels[:35] = pixels[-35:] = COLOURS[ends]
    noise = np.random.default_rng([seed, sorted(COLOURS).index(ends)]).normal(0, 9, pixels.shape)
    # The middle is the same in all.
    noise[35:-35] = np.random.default_rng(0).normal(0, 9, (50, 40, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(path.with_suffix(".png"))
    return path.with_suffix(".png")


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tall")
    for colour in COLOURS:
        for seed in range(6):
            draw_tall(folder / "photos" / colour / str(seed), colour, seed)
    return folder


@pytest.fixture(scope="module")
def shop(tall: Path) -> Iterator[Catalogue]:
    path = tall / "whole"
    with Catalogue.create(path, view="whole", resolution=RESOLUTION) as shop:
        shop.index([tall / "photos"])
        shop.teach("ends", tall / "photos")
        yield shop


def test_what_the_middle_does_not_show_is_seen(tall: Path, shop: Catalogue, tmp_path: Path) -> None:
    new = {colour: draw_tall(tmp_path / colour, colour, 9) for colour in COLOURS}
    answers = [one.predictions["ends"].value for one in shop.predict(new.values())]
    assert answers == list(new)
    files = [tall / "photos" / colour / "0.png" for colour in COLOURS]
    with Catalogue.create(tmp_path / "square", resolution=RESOLUTION) as square:
        square.index(images=files)
        seen = square._truth.features.get([bytes.fromhex(one) for one in square.images()])
        assert all((rows == rows[0]).all() for rows in seen.values())


def test_an_upload_is_read_as_the_catalogue_is(tall: Path, shop: Catalogue) -> None:
    file = tall / "photos" / "red" / "3.png"
    by_bytes, by_file = shop.predict([file.read_bytes(), file])
    assert by_bytes.predictions == by_file.predictions
    assert shop.search(file.read_bytes(), n=1, with_self=True)[0].image == str(file)


def test_two_ways_of_reading_do_not_mix(tall: Path, shop: Catalogue, tmp_path: Path) -> None:
    folder = shop.folder
    said = "made with view whole, resolution 160, not view"
    with pytest.raises(CatalogueError, match=f"{said} square: leave --view"):
        Catalogue.open(folder, view="square")
    with pytest.raises(CatalogueError, match=f"{said} whole, resolution 192"):
        Catalogue.open(folder, resolution=192)
    with Catalogue.open(folder, view="whole", resolution=RESOLUTION) as again:
        assert len(again) == 18
        info = again.info()
        assert (info.view, info.resolution) == ("whole", RESOLUTION)
    for other in (Reading(), Reading("whole"), Reading("square", RESOLUTION)):
        runtime = OpenVinoRuntime(DEFAULT_BACKBONE, reading=other)
        assert runtime.config.fingerprint != shop.config.fingerprint
        with pytest.raises(CatalogueError, match="was made with other settings"):
            Catalogue.open(folder, runtime=runtime)
    with pytest.raises(InputError, match="must be square or whole, got 'hole'"):
        Catalogue.create(tmp_path / "new", view="hole")
    with pytest.raises(InputError, match="resolution must be a multiple of 32"):
        Catalogue.create(tmp_path / "new", resolution=100)
    assert not (tmp_path / "new").exists()


def test_a_catalogue_of_before_there_was_a_choice_reads_as_it_did(tmp_path: Path) -> None:
    file = draw_tall(tmp_path / "one", "red")
    with Catalogue.create(tmp_path / "shop") as shop:
        shop.index(images=[file])
    said = json.loads((tmp_path / "shop" / "catalogue.json").read_text())
    assert set(said["config"]["preprocess"]) == {
        *("size", "crop", "interpolation", "mean", "std", "bgr")
    }
    with Catalogue.open(tmp_path / "shop") as again:
        assert (again.info().view, again.info().resolution) == ("square", 224)
        assert again.config.fingerprint == "821fe3d6316b5828"
        assert again.index(images=[draw_tall(tmp_path / "two", "blue")]).added == 1


def test_all_of_the_picture_is_explained(tall: Path, shop: Catalogue) -> None:
    file = tall / "photos" / "green" / "1.png"
    (result,) = shop.explain([file], attributes=["ends", "colours"])
    assert {one.attribute for one in result.explanations} == {"ends", "colours"}
    for explanation in result.explanations:
        assert explanation.box == (0, 0, 1, 1)
        high, wide = explanation.heat.shape
        assert high == 3 * wide
    assert result.picture is not None
    (ends,) = (one for one in result.explanations if one.attribute == "ends")
    upper, middle, lower = np.array_split(ends.heat, 3)
    assert middle.mean() < min(upper.mean(), lower.mean())
    overlay = np.asarray(draw_overlay(result.picture, ends).convert("L"), np.int32)
    shown = np.abs(np.diff(overlay[:35].mean(axis=1)))
    assert shown.max() < 25  # no stripes of a hatching


@pytest.mark.parametrize("view", ["whole", "square"])
def test_a_page_speaks_of_hatched_places_where_there_are_some(
    tall: Path, tmp_path: Path, view: str
) -> None:
    with Catalogue.create(tmp_path / "shop", view=view, resolution=RESOLUTION) as one:
        page = ExplanationPage(tmp_path / "page")
        for result in one.explain([tall / "photos" / "red" / "0.png"], attributes=["colours"]):
            page.add(result)
    said = page.close().read_text(encoding="utf-8")
    assert ("Hatched places were not read" in said) == (view == "square")
