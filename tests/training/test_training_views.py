"""How often an image is read: the views that a head learns from, and those it is asked about."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from conftest import FakeRuntime
from gingham.images import load_image, resize
from gingham.options import ReadOptions
from gingham.training.config import FitConfig
from gingham.training.epoch_loop import EpochSampler
from gingham.training.feature_maps import store_feature_maps, views_of
from gingham.training.networks import Network


class Pixels(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.double()


class Weighed(nn.Module):
    """Two sums of the pixels, squared so that views do not cancel, weighted by position."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weights = torch.from_numpy(np.random.default_rng(0).normal(size=(size, size, 3, 2)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nhwc,hwcv->nv", images, self.weights) ** 2


def enlarged(image: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Bilinear enlargement, position by position."""
    side = len(image)
    result = np.zeros((size, size, 3))
    for i in range(size):
        for j in range(size):
            y, x = (min(max((k + 0.5) * side / size - 0.5, 0), side - 1) for k in (i, j))
            top, left = int(y), int(x)
            below, right = min(top + 1, side - 1), min(left + 1, side - 1)
            upper = image[top, left] * (1 - (x - left)) + image[top, right] * (x - left)
            lower = image[below, left] * (1 - (x - left)) + image[below, right] * (x - left)
            result[i, j] = upper * (1 - (y - top)) + lower * (y - top)
    return result


@pytest.mark.parametrize("both_sides", [False, True])
@pytest.mark.parametrize("middle", [0.0, 0.5])
def test_a_network_answers_with_the_mean_over_its_views(both_sides: bool, middle: float) -> None:
    size = 8
    head = Weighed(size)
    network = Network(
        cast(Any, Pixels()), cast(Any, head), both_sides=both_sides, middle=middle
    ).eval()
    images = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), np.uint8)
    got = network(torch.from_numpy(images)).numpy()
    for image, row in zip(images.astype(float), got, strict=True):
        views = [image] + ([enlarged(image[2:6, 2:6], size)] if middle else [])
        views += [view[:, ::-1] for view in views] if both_sides else []
        sums = [
            [(view * head.weights[..., v].numpy()).sum() ** 2 for v in (0, 1)] for view in views
        ]
        np.testing.assert_allclose(row, np.mean(sums, axis=0), rtol=1e-5)
    # While it learns it sees the one view it is shown.
    plain = head(torch.from_numpy(images).double())
    np.testing.assert_allclose(network.train()(torch.from_numpy(images)), plain)


def test_views_are_boxes_that_the_image_decides() -> None:
    ids = [hashlib.sha256(bytes([i])).digest() for i in range(40)]
    found = [views_of(one, mirror=True, further=3, crop=0.6) for one in ids]
    assert found == [views_of(one, mirror=True, further=3, crop=0.6) for one in ids]
    for views in found:
        assert [view.name for view in views] == ["plain", "mirror", "box 0", "box 1", "box 2"]
        assert [view.mirror for view in views] == [False, True, False, True, False]
        assert views[0].box == views[1].box == (0, 0, 1, 1)
        for view in views[2:]:
            left, top, right, bottom = view.box
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            assert 0.6 <= right - left == pytest.approx(bottom - top)
    boxes = {view.box for views in found for view in views[2:]}
    assert len(boxes) == 120
    assert min(box[2] - box[0] for box in boxes) < 0.7
    assert max(box[2] - box[0] for box in boxes) > 0.9
    plain = views_of(ids[0], mirror=False, further=2, crop=0.6)
    assert [view.mirror for view in plain] == [False] * 3


def test_the_store_holds_every_view(tmp_path: Path, photos: Path) -> None:
    images = [str(path) for path in sorted(photos.iterdir())[:4]]
    runtime = FakeRuntime()
    shapes = [(runtime.config.widths[layer.name],) for layer in runtime.config.layers]
    views = partial(views_of, mirror=True, further=2, crop=FitConfig().views_crop)
    store = store_feature_maps(
        tmp_path / "maps",
        images,
        runtime,
        shapes,
        views=views,
        stamp="x",
        options=ReadOptions(10**6),
    )
    assert store.views == 4
    how = runtime.config.preprocess
    for row, image in enumerate(images):
        picture = Image.fromarray(load_image(image))
        for number, view in enumerate(views(hashlib.sha256(Path(image).read_bytes()).digest())):
            square = resize(
                picture,
                how.size,
                interpolation=how.interpolation,
                crop=how.crop,
                box=view.box,
                mirror=view.mirror,
            )
            ((_, expected),) = runtime.stream([(0, square)])
            assert expected is not None
            for layer, array in zip(store.shapes, store.read([row], [number]), strict=True):
                np.testing.assert_allclose(array[0], expected[layer], rtol=2e-3, atol=1e-3)


def test_repeats_of_an_epoch_are_different_views() -> None:
    rows, repeat = np.array([7, 2, 5, 9]), np.array([1, 4, 2, 3])
    for epoch in range(5):
        sampler = EpochSampler(rows, repeat, seed=3)
        sampler.set_epoch(epoch)
        found = list(sampler)
        assert len(found) == 10
        for row, often in zip(rows, repeat, strict=True):
            numbers = [number for one, number in found if one == row]
            assert np.diff(numbers).tolist() == [1] * (often - 1)
            assert len({number % often for number in numbers}) == often
