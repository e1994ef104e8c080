"""The sample of a catalogue's images that tells what is ordinary in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import FakeRuntime
from gingham.attributes import background
from gingham.attributes.background import Background
from gingham.catalogue import Catalogue


@pytest.fixture
def shop(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    monkeypatch.setattr(background, "LEAST", 4)
    monkeypatch.setattr(background, "IMAGES", 6)
    shop = Catalogue.create(tmp_path / "shop", runtime=FakeRuntime())
    shop.index([photos])
    return shop


def test_it_is_drawn_once_and_again_when_the_catalogue_has_doubled(
    shop: Catalogue, tmp_path: Path
) -> None:
    path = tmp_path / "sample.npz"
    sample = Background(path, shop._truth)
    first = sample.features()
    assert first is not None
    ids = sorted(shop._truth.locations.images)[:6]
    found = shop._truth.features.get(ids, shop._truth.layers)
    np.testing.assert_array_equal(
        first, np.concatenate([found[layer] for layer in shop._truth.layers], axis=1)
    )
    with np.load(path) as file:
        kept = dict(file)
    marked = kept | {"features": kept["features"] + 1}
    np.savez(path, **marked)
    np.testing.assert_array_equal(sample.features(), marked["features"])
    np.savez(path, **marked | {"count": kept["count"] // 2})
    np.testing.assert_array_equal(sample.features(), first)
    np.savez(path, **marked | {"fingerprint": np.array("another")})
    np.testing.assert_array_equal(sample.features(), first)
    path.write_bytes(b"damaged")
    np.testing.assert_array_equal(sample.features(), first)
    sample.forget()
    assert not path.exists()


def test_too_few_images_are_no_background(
    shop: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LEAST", 10_000)
    assert Background(tmp_path / "sample.npz", shop._truth).features() is None
    assert not (tmp_path / "sample.npz").exists()


def test_where_it_cannot_be_kept_it_serves_all_the_same(
    shop: Catalogue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert Background(tmp_path / "file" / "sample.npz", shop._truth).features() is not None
    assert "is not kept" in caplog.text
