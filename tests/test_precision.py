"""Catalogues whose network computes less exactly: with integers of eight bits, in bfloat16."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import COLOURS, draw
from gingham.backbones import quantised
from gingham.backbones.quantised import QuantisedNetwork, QuantisedRuntime
from gingham.catalogue import Catalogue
from gingham.errors import BackboneError, CatalogueError, InputError, MissingExtraError
from gingham.images import ImageSource
from gingham.operations import reader
from gingham.options import DEFAULTS
from gingham.store.network import NAME
from helpers import run

pytest.importorskip("nncf", reason="nncf is not installed: pip install 'gingham[int8]'")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for colour in COLOURS:
        for seed in range(18):
            draw(folder / colour / f"{seed}.png", colour, seed)
    return folder


@pytest.fixture(scope="module")
def shop(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalogue]:
    folder = tmp_path_factory.mktemp("int8") / "shop"
    files = sorted(photos.rglob("*.png"))
    with Catalogue.create(folder, precision="int8", calibration=files) as shop:
        shop.index([photos])
        shop.teach("colour", photos)
        yield shop


def test_it_reads_teaches_and_finds_as_any_catalogue_does(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    new = {colour: draw(tmp_path / f"{colour}.png", colour, 99) for colour in COLOURS}
    assert [x.predictions["colour"].value for x in shop.predict(new.values())] == list(new)
    one = photos / "red" / "3.png"
    assert shop.search(one.read_bytes(), n=1, with_self=True)[0].image == str(one)
    assert shop.info().precision == "int8"
    assert shop.verify() == []


def test_its_features_are_near_those_of_float32(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    with Catalogue.create(tmp_path / "exact") as exact:
        exact.index([photos / "red"])
        assert exact.config.fingerprint != shop.config.fingerprint
        assert exact.info().precision == "float32"
        ids = [bytes.fromhex(one) for one in exact.images()]
        two = exact._truth.features.get(ids), shop._truth.features.get(ids)
    for layer, rows in two[0].items():
        a, b = (x.astype(np.float32) for x in (rows, two[1][layer]))
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        # The colours that the network sees are not computed with integers.
        assert cosine.min() > (0.9999 if layer.startswith("pixels") else 0.7), layer
    assert not np.array_equal(two[0]["head"], two[1]["head"])


def test_its_maps_are_those_that_were_pooled(shop: Catalogue, photos: Path) -> None:
    image = shop.config.preprocess.apply(Image.open(photos / "blue" / "1.png").convert("RGB"))
    runtime = shop._load()
    assert isinstance(runtime, QuantisedRuntime)
    ((_, features),) = runtime.stream([(0, image)], ["stage3"])
    assert features is not None
    maps = runtime.maps(image, ["stage3"])["stage3"]
    np.testing.assert_allclose(features["stage3"][: len(maps)], maps.mean((1, 2)), atol=1e-4)


def test_another_process_reads_alike_without_nncf_and_without_weights(
    shop: Catalogue, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop.folder, copy)
    monkeypatch.setitem(sys.modules, "nncf", None)
    new = draw(tmp_path / "new.png", "green", 77)
    read = []
    for one in (Catalogue.open(copy, precision="int8"), shop):
        ((_, features, _),) = one._truth.features_of([new], ("head",), DEFAULTS)
        assert features is not None
        read.append(features["head"])
    np.testing.assert_array_equal(read[0], read[1])


def test_two_precisions_do_not_mix(shop: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="made with precision int8, not float32: leave"):
        Catalogue.open(shop.folder, precision="float32")
    with pytest.raises(
        InputError, match="precision must be float32, bfloat16 or int8, got 'int4'; did you"
    ):
        Catalogue.create(tmp_path / "new", precision="int4")
    for precision in ("bfloat16", "int8"):
        with pytest.raises(InputError, match=f"precision {precision} runs on the CPU"):
            Catalogue.create(tmp_path / "new", precision=precision, device="cuda")
    assert not (tmp_path / "new").exists()


def test_too_few_images_to_calibrate_on_are_refused(photos: Path, tmp_path: Path) -> None:
    few: list[ImageSource] = [
        *sorted(photos.rglob("*.png"))[: reader.LEAST - 1],
        b"no image",
        tmp_path / "absent.png",
    ]
    with pytest.raises(InputError, match=r"at least 50 images that can be read, got 49: give more"):
        Catalogue.create(tmp_path / "new", precision="int8", calibration=few)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("damage", ["absent", "cut", "another"])
def test_without_its_network_no_new_image_is_read(
    shop: Catalogue, photos: Path, tmp_path: Path, damage: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop.folder, copy)
    file = copy / NAME
    if damage == "absent":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    else:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("network.xml", b"<net/>")
            archive.writestr("network.bin", b"")
    with Catalogue.open(copy) as broken:
        assert len(broken.search(photos / "red" / "1.png")) == 10
        with pytest.raises((CatalogueError, BackboneError), match=r"restore|network\.zip"):
            broken.index(images=[draw(tmp_path / "new.png", "red", 555)])


def test_what_a_killed_create_left_is_no_obstacle(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / NAME).write_bytes(b"half")
    with Catalogue.create(tmp_path / "shop") as plain:
        assert plain.info().precision == "float32"


def test_whole_pictures_are_read_so_too(photos: Path, tmp_path: Path) -> None:
    tall = [tmp_path / f"{i}.png" for i in range(52)]
    rng = np.random.default_rng(0)
    for i, path in enumerate(tall):
        shape = (90, 30 + 20 * (i % 3), 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
    with Catalogue.create(
        tmp_path / "shop", view="whole", resolution=160, precision="int8", calibration=tall
    ) as shop:
        assert shop.index(images=tall[:3]).added == 3


def test_a_missing_nncf_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "gingham.errors.find_spec", lambda name: None if name == "nncf" else found(name)
    )
    with pytest.raises(MissingExtraError, match=r"gingham\[int8\]"):
        Catalogue.create(
            tmp_path / "new", precision="int8", calibration=sorted(photos.rglob("*.png"))
        )


def test_what_quantising_says_is_passed_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, "IMAGES", "elsewhere.npz")
    with pytest.raises(BackboneError, match=r"cannot be quantised \(.*images\.npz.*leave"):
        Catalogue.create(
            tmp_path / "new", precision="int8", calibration=sorted(photos.rglob("*.png"))
        )


def test_the_command_line_calibrates_on_what_it_indexes(photos: Path, tmp_path: Path) -> None:
    shop = str(tmp_path / "shop")
    done = run("index", shop, str(photos), "--precision", "int8", "--json")
    assert json.loads(done.stdout)["added"] == 54
    assert "precision int8" in run("info", shop).stdout


def test_bfloat16_is_a_precision_of_its_own(photos: Path, tmp_path: Path) -> None:
    files = sorted(photos.rglob("*.png"))[:6]
    features = []
    for precision in ("float32", "bfloat16"):
        with Catalogue.create(tmp_path / precision, precision=precision) as made:
            made.index(images=files)
            assert made.info().precision == precision
            features.append(made._truth.features.get(sorted(map(bytes.fromhex, made.images()))))
    with Catalogue.open(tmp_path / "bfloat16") as again:
        assert again.index(images=[draw(tmp_path / "new.png", "red", 321)]).added == 1
        with pytest.raises(CatalogueError, match="made with precision bfloat16, not int8"):
            Catalogue.open(tmp_path / "bfloat16", precision="int8")
        with Catalogue.open(tmp_path / "float32") as exact:
            assert exact.config.fingerprint != again.config.fingerprint
    for layer, rows in features[0].items():
        a, b = (x.astype(np.float32) for x in (rows, features[1][layer]))
        cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        assert cosine.min() > 0.995, layer


def test_another_network_has_another_digest() -> None:
    one, other = QuantisedNetwork(b"a", b"bc"), QuantisedNetwork(b"ab", b"c")
    assert one.digest != other.digest
    assert one.digest == QuantisedNetwork(b"a", b"bc").digest
