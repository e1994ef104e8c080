from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import COLOURS, FakeRuntime, draw
from explain import draw_halves, occlude, point, teach
from gingham.attributes.attribute import Features
from gingham.attributes.influence import (
    Direction,
    add_up,
    position_influence,
    value_direction,
)
from gingham.attributes.space import Space
from gingham.backbones.descriptors import foreground_weights
from gingham.backbones.openvino import OpenVinoRuntime
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.torch import TorchRuntime
from gingham.catalogue import Catalogue
from gingham.errors import ImageError, InputError, MissingExtraError, ShapeError, StorageError
from gingham.explaining import Explanation, ExplanationPage, ImageExplanations, draw_overlay
from gingham.explaining.overlay import SPEAKS_AGAINST, SPEAKS_FOR, colour, strength
from gingham.extract import VIEWS, View
from gingham.images import WHOLE, ImageSource, load_image, open_image, read_source, resize
from gingham.options import ReadOptions
from gingham.results import Evidence, Prediction
from gingham.training.attribute import TrainedAttribute
from gingham.training.gradcam import grad_cam
from gingham.training.trained import OUTPUT
from gingham.training.vocabulary import ModelAttribute
from helpers import run, weights_of


def random_space(rng: np.random.Generator, channels: dict[str, int]) -> Space:
    ends = np.cumsum([2 * c for c in channels.values()]).tolist()
    blocks = tuple(
        (name, end - 2 * c, end) for (name, c), end in zip(channels.items(), ends, strict=True)
    )
    means = tuple(rng.normal(size=2 * c) * 0.1 for c in channels.values())
    return Space(blocks, means, rng.uniform(0.5, 2, len(channels)), rooted=("early_foreground",))


def plain_score(
    space: Space,
    maps: dict[str, np.ndarray],
    direction: Direction,
    weights: dict[str, np.ndarray],
) -> float:
    """Pool with weighted positions, channel by channel, and score: written out slowly."""
    score, at = direction.offset, 0
    for (layer, first, end), mean, scale in zip(
        space.blocks, space.means, space.scales, strict=True
    ):
        plain = layer.removesuffix("_foreground")
        share = weights[plain].ravel() / weights[plain].size
        if plain != layer:
            share = share * foreground_weights(maps[plain][None]).ravel()
            share /= share.sum()
        means, deviations = [], []
        for channel in maps[plain]:
            average = float((share * channel.ravel()).sum())
            means.append(average)
            # Where weights do not add up to 1, the derivative needs the plain formula.
            deviations.append(float((share * (channel.ravel() - average) ** 2).sum()) ** 0.5)
        pooled = np.array(means + deviations)
        if layer in space.rooted:
            pooled = np.array([np.sign(x) * abs(x) ** 0.5 for x in pooled])
        unit = pooled / np.sqrt((pooled**2).sum())
        point = (unit - mean) * scale
        score += float(point @ direction.weights[at : at + end - first])
        at += end - first
    return score


# influence


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_influence_is_the_derivative_by_a_position_s_weight(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = {"early": (3, 4, 5), "late": (4, 2, 2)}
    blocks = {"early_foreground": 3, "early": 3, "late": 4}
    space = random_space(rng, blocks)
    maps = {name: rng.normal(1, 1, shape) for name, shape in shapes.items()}
    directions = [Direction(rng.normal(size=space.width), float(rng.normal())) for _ in range(2)]
    scores, influences = position_influence(space, maps, directions)
    even = {name: np.ones(shape[1:]) for name, shape in shapes.items()}
    for number, direction in enumerate(directions):
        assert scores[number] == pytest.approx(plain_score(space, maps, direction, even))
        for name, shape in shapes.items():
            size = shape[1] * shape[2]
            for row, column in np.ndindex(*shape[1:]):
                sides = []
                for step in (1e-4, -1e-4):
                    # Weights with mean 1: what one position gains, all lose evenly.
                    weights = {k: v.copy() for k, v in even.items()}
                    weights[name] -= step / size
                    weights[name][row, column] += step
                    sides.append(plain_score(space, maps, direction, weights))
                slope = (sides[0] - sides[1]) / 2e-4 * size
                found = sum(
                    one[number, row, column]
                    for layer, one in influences.items()
                    if layer.removesuffix("_foreground") == name
                )
                assert found == pytest.approx(slope, rel=1e-5, abs=1e-6)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_influences_add_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    maps = {"a": rng.normal(size=(3, 8, 8)), "b": rng.normal(3, 2, (5, 4, 4))}
    # A channel that is the same everywhere has no slope in its deviation.
    maps["a"][1] = 2.5
    space = random_space(rng, {"a": 3, "b": 5})
    direction = Direction(rng.normal(size=space.width), 0.5)
    (score,), influences = position_influence(space, maps, [direction])
    for found in influences.values():
        assert np.isfinite(found).all()
        assert abs(found.sum()) < 1e-9 * found.size
    total = add_up(influences)
    assert total.shape == (1, 8, 8)
    assert abs(total.mean()) < 1e-6

    # Weighing any region of both layers by 1 + e: the region's influences, up to e squared.
    region = {"a": rng.random((8, 8)) < 0.4, "b": rng.random((4, 4)) < 0.4}
    linear = sum(influences[name][0][region[name]].sum() / region[name].size for name in maps)

    def missed(e: float) -> float:
        weights = {name: 1 + e * (mask - mask.mean()) for name, mask in region.items()}
        return float(plain_score(space, maps, direction, weights) - score - e * linear)

    for e in (1e-2, 1e-3):
        assert abs(missed(e)) < 20 * e**2


def test_a_uniform_map_and_a_dead_one_have_no_influence() -> None:
    space = random_space(np.random.default_rng(0), {"a": 2})
    for level in (0.0, 3.0):
        maps = {"a": np.full((2, 3, 3), level, np.float32)}
        _, influences = position_influence(space, maps, [Direction(np.ones(4), 0.0)])
        np.testing.assert_allclose(influences["a"], 0, atol=1e-12)


def test_a_map_of_other_channels_is_refused() -> None:
    space = random_space(np.random.default_rng(0), {"a": 2})
    with pytest.raises(ShapeError, match=r"the map of a must have shape \(2, H, W\), got"):
        position_influence(space, {"a": np.zeros((3, 2, 2))}, [Direction(np.ones(4), 0.0)])


def test_adding_up_keeps_the_mean_on_the_usual_grids() -> None:
    rng = np.random.default_rng(3)
    maps = {str(side): rng.normal(size=(2, side, side)) for side in (112, 56, 28, 14, 7, 1)}
    total = add_up(maps)
    assert total.shape == (2, 112, 112)
    expected = sum(one.mean(axis=(1, 2)) for one in maps.values())
    np.testing.assert_allclose(total.mean(axis=(1, 2)), expected, atol=1e-6)


# maps


def test_pooled_maps_are_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path / "cache"))
    weights = weights_of("test_resnet", tmp_path / "w.safetensors")
    rng = np.random.default_rng(1)
    runtimes = (
        OpenVinoRuntime("test_resnet", weights),
        TorchRuntime("test_resnet", weights, device="cpu"),
    )
    side = runtimes[0].config.preprocess.size
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    image = np.asarray(small.resize((side, side)))
    layers = [layer.name for layer in runtimes[0].config.layers]
    for runtime in runtimes:
        ((_, features),) = runtime.stream([(0, image)])
        assert features is not None
        assert list(runtime.maps(image, layers[::-1])) == layers
        assert list(runtime.maps(image, layers[1:2])) == layers[1:2]
        for layer, maps in runtime.maps(image, layers).items():
            assert maps.dtype == np.float32
            flat = maps.reshape(len(maps), -1).astype(np.float64)
            pooled = np.concatenate([flat.mean(1), flat.std(1)])
            np.testing.assert_allclose(pooled, features[layer], rtol=1e-3, atol=1e-4 * pooled.max())
        with pytest.raises(InputError, match="has no layer 'taste'"):
            runtime.maps(image, ["taste"])


# explaining a catalogue


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Catalogue]]:
    """Garments on the default backbone, colour and pattern taught, ten examples per value."""
    folder = tmp_path_factory.mktemp("explain")
    with teach(folder, 132, 1) as shop:
        yield folder, shop


def test_images_are_explained_alike_however_they_are_given(drawn: tuple[Path, Catalogue]) -> None:
    folder, shop = drawn
    data = (folder / "photos" / "0003.jpg").read_bytes()
    (expected,) = shop.explain([folder / "photos" / "0003.jpg"])
    for given_image in (data, io.BytesIO(data)):
        (found,) = shop.explain([given_image])
        assert found.image == hashlib.sha256(data).hexdigest()
        assert found.error is None
        assert found.to_dict()["explanations"] == expected.to_dict()["explanations"]


def test_the_score_is_what_the_examples_vote_by(drawn: tuple[Path, Catalogue]) -> None:
    folder, shop = drawn
    (result,) = shop.explain([folder / "photos" / "0003.jpg"], values=list(COLOURS))
    attribute = shop._attributes.taught_attribute("colour")
    ((_, features, _),) = shop._truth.features_of(
        [str(folder / "photos" / "0003.jpg")], attribute.layers, ReadOptions()
    )
    assert features is not None
    coordinates, _ = attribute.voter.projection.apply(features)
    voter = attribute.voter
    for explanation in result.explanations[:3]:
        means = [voter.example_looks[voter.example_labels == v].mean(0) for v in range(11)]  # type: ignore[union-attr]
        own = attribute.values.index(explanation.value)
        apart = means[own] - np.mean([m for v, m in enumerate(means) if v != own], axis=0)
        by_hand = float(coordinates[0] @ apart) / float(np.linalg.norm(apart))
        # Stored features are float16.
        assert explanation.score == pytest.approx(by_hand, rel=5e-3, abs=5e-3)
        assert explanation.attribute == "colour"
        assert sum(explanation.layers.values()) == pytest.approx(1)
        assert abs(explanation.heat.mean()) < 1e-4 * np.abs(explanation.heat).max()
    assert [e.value for e in result.explanations[:3]] == list(COLOURS)


def test_of_kind_multi_the_score_is_the_log_odds(drawn: tuple[Path, Catalogue]) -> None:
    folder, shop = drawn
    photos = folder / "photos"
    rows = [
        line.split(",")
        for line in (photos / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    ]
    shop.teach("look", {photos / r[0]: [r[2], r[3]] for r in rows[:88]}, kind="multi", views=False)
    try:
        (result,) = shop.explain(
            [photos / "0001.jpg"], attributes=["look"], values=["striped", "plain"]
        )
        for explanation in result.explanations:
            odds = np.log(explanation.confidence / (1 - explanation.confidence))
            assert explanation.score == pytest.approx(odds, rel=1e-2, abs=2e-2)
        assert [e.value for e in result.explanations] == ["striped", "plain"]
        (best,) = shop.explain([photos / "0001.jpg"], attributes=["look"])
        (one,) = best.explanations
        assert one.confidence == max(one.prediction.values.values())
    finally:
        shop.forget("look")


def test_neighbours_do_not_matter(drawn: tuple[Path, Catalogue], tmp_path: Path) -> None:
    folder, shop = drawn
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    new = draw(tmp_path / "new.jpg", "red", 5)
    photos = [folder / "photos" / f"000{i}.jpg" for i in range(3)]
    mixed: list[Path] = [photos[0], bad, new, photos[1], photos[0], tmp_path / "gone", photos[2]]
    together = list(shop.explain(mixed))
    assert [r.image for r in together] == [str(path) for path in mixed]
    for path, result in zip(mixed, together, strict=True):
        (alone,) = shop.explain([path])
        assert alone == result
        (predicted,) = shop.predict([path])
        assert predicted.error == result.error
        for one, other in zip(result.explanations, alone.explanations, strict=True):
            np.testing.assert_array_equal(one.heat, other.heat)
            said = predicted.predictions[one.attribute]
            # Of an example, all but itself are shown.
            said = replace(said, evidence=one.prediction.evidence) if one.example else said
            assert one.prediction == said
        # Asked for alone, an attribute's map is what it is among others.
        (colour_only,) = shop.explain([path], attributes=["colour"])
        for one in colour_only.explanations:
            np.testing.assert_allclose(one.heat, result.explanations[0].heat, atol=1e-5)
    assert "not an image" in (together[1].error or "")
    assert "no such file" in (together[5].error or "")


def test_the_heat_lies_where_the_value_is(drawn: tuple[Path, Catalogue], tmp_path: Path) -> None:
    _, shop = drawn
    for hits in point(shop, draw_halves(tmp_path, 24, 5)):
        assert hits.maps == 24
        # By chance each would be a half.
        assert hits.hotter > 0.9, hits
        assert hits.hottest > 0.8, hits
        assert hits.heat > 0.8, hits


def test_hiding_the_hottest_fifth_costs_confidence(
    drawn: tuple[Path, Catalogue], tmp_path: Path
) -> None:
    _, shop = drawn
    for whole, hottest, elsewhere, coldest, count in occlude(shop, tmp_path, 16, 3).values():
        assert count >= 12
        assert hottest < elsewhere - 0.05
        assert hottest < coldest - 0.05
        assert coldest > whole - 0.1


def test_an_example_is_no_evidence_of_itself(tmp_path: Path, examples: Path, photos: Path) -> None:
    with Catalogue.create(tmp_path / "shop") as shop:
        shop.teach("colour", examples)
        copy = shutil.copy(examples / "red" / "100.jpg", tmp_path / "copy.jpg")
        taught, new = shop.explain([copy, next(photos.iterdir())])
        assert (taught.explanations[0].example, new.explanations[0].example) == (True, False)
        (predicted,) = shop.predict([copy])
        nearest, *others = predicted.predictions["colour"].evidence
        assert nearest.image == str(examples / "red" / "100.jpg")
        assert nearest.distance == pytest.approx(0, abs=1e-6)
        shown = taught.explanations[0].prediction.evidence
        assert shown[:4] == tuple(others)
        assert len(shown) == 5
        assert taught.to_dict()["explanations"][0]["example"] is True
        page = ExplanationPage(tmp_path / "out")
        page.add(taught)
        text = page.close().read_text(encoding="utf-8")
        assert "this picture was used for teaching" in text
        assert "<span>0.00</span>" not in text


def test_unknown_stays_unknown_and_the_best_value_is_explained(
    drawn: tuple[Path, Catalogue], tmp_path: Path
) -> None:
    _, shop = drawn
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (result,) = shop.explain([tmp_path / "noise.png"], attributes=["pattern"])
    (one,) = result.explanations
    assert one.prediction.value is None
    assert one.confidence == max(one.prediction.values.values())
    page = ExplanationPage(tmp_path / "out")
    page.add(result)
    assert "the prediction is unknown" in page.close().read_text(encoding="utf-8")


def test_ids_and_files_that_changed_or_left(tmp_path: Path) -> None:
    for seed, name in enumerate(COLOURS):
        for i in range(3):
            draw(tmp_path / "photos" / f"{name}{i}.jpg", name, 10 * seed + i)
    photo = tmp_path / "photos" / "red0.jpg"
    with Catalogue.create(tmp_path / "shop") as shop:
        shop.index([tmp_path / "photos"])
        shop.teach("colour", {p: p.stem[:-1] for p in (tmp_path / "photos").iterdir()}, views=False)
        key = next(hit.id for hit in shop.search(photo, n=1, with_self=True))
        (by_id,), (by_file,) = shop.explain([key]), shop.explain([photo])
        np.testing.assert_array_equal(by_id.explanations[0].heat, by_file.explanations[0].heat)
        draw(photo, "blue", 99)
        (changed,) = shop.explain([key])
        assert changed.error == f"{photo}: has changed since it was indexed: index it again"
        photo.unlink()
        (gone,) = shop.explain([key])
        assert gone.error == f"{photo}: no such file: check the path"


def test_a_runtime_without_maps_is_refused(
    tmp_path: Path, examples: Path, runtime: FakeRuntime
) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        with pytest.raises(InputError, match="no attribute is taught yet"):
            shop.explain([examples / "red" / "100.jpg"])
        shop.teach("colour", examples)
        with pytest.raises(InputError, match="'fake' gives features but no maps"):
            shop.explain([examples / "red" / "100.jpg"])


def test_a_value_that_there_is_not(drawn: tuple[Path, Catalogue]) -> None:
    _, shop = drawn
    voter = shop._attributes.taught_attribute("colour").voter
    with pytest.raises(InputError, match="unknown value 'mauve'; known: black, blue"):
        value_direction(voter, "mauve")


# Grad-CAM


def small_network() -> tuple[Any, Any]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 6, 3, padding=1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        convolution,
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )
    network[1].register_buffer("running_mean", torch.full((8,), 0.3))
    return network, convolution


def test_grad_cam_against_the_formula_written_out() -> None:
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam comes with the extra `train`")
    import torch

    network, convolution = small_network()
    network.requires_grad_(False)  # frozen, as loaded models are
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    outputs = [0, 1, 2, 3, 1]
    found = grad_cam(network, [convolution], images, outputs)
    assert found.shape == (5, 16, 16)
    for image, output, heat in zip(images, outputs, found, strict=True):
        x = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
        maps = network[:4](x).detach().requires_grad_()
        network[5:](torch.relu(maps))[0, output].backward()
        assert maps.grad is not None
        weights = maps.grad[0].mean((1, 2))
        plain = np.zeros(maps.shape[2:])
        for channel in range(6):
            plain += float(weights[channel]) * maps[0, channel].detach().numpy()
        plain = np.maximum(plain, 0)
        if plain.max() == 0:
            assert (heat == 0).all()
            continue
        plain = (plain - plain.min()) / (plain.max() - plain.min())
        enlarged = torch.nn.functional.interpolate(
            torch.from_numpy(plain)[None, None], size=(16, 16), mode="bilinear"
        )[0, 0].numpy()
        np.testing.assert_allclose(heat, enlarged / enlarged.max(), atol=2e-3)
    assert all(one.grad is None for one in network.parameters())

    # Batches of one, of two, and mixed with others: an image's map stays what it is.
    for size in (1, 2):
        again = grad_cam(network, [convolution], images, outputs, batch_size=size)
        np.testing.assert_allclose(again, found, atol=1e-5)
    # What speaks against an output is what speaks for its negative.
    (against,) = grad_cam(network, [convolution], images[:1], [0], signs=[-1])
    assert against.max() == pytest.approx(1, abs=1e-3)
    assert np.corrcoef(against.ravel(), found[0].ravel())[0, 1] < 0
    order = [3, 0, 4]
    some = grad_cam(network, [convolution], images[order], [outputs[i] for i in order])
    np.testing.assert_allclose(some, found[order], atol=1e-5)
    with pytest.raises(ShapeError, match=r"outputs must have shape \(5,\), got \(2,\)"):
        grad_cam(network, [convolution], images, [0, 1])
    with pytest.raises(ShapeError, match=r"images must have shape \(N, S, S, 3\)"):
        grad_cam(network, [convolution], images[..., :2], outputs)


def test_without_grad_cam_the_command_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    network, convolution = small_network()
    with pytest.raises(MissingExtraError, match=r"pip install 'gingham\[train\]'"):
        grad_cam(network, [convolution], np.zeros((1, 8, 8, 3), np.uint8), [0])


def test_grad_cam_of_many_views_adds_what_each_adds() -> None:
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam comes with the extra `train`")
    import cv2
    import torch
    from torch import nn

    single, convolution = small_network()
    middle = (0.25, 0.25, 0.75, 0.75)
    views = [View("", WHOLE), View("", middle), View("", mirror=True), View("", middle, True)]

    class ManyViews(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.single = single

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            enlarged = nn.functional.interpolate(x[:, :, 4:12, 4:12], (16, 16), mode="bilinear")
            seen = [x, enlarged, x.flip(3), enlarged.flip(3)]
            return cast(torch.Tensor, sum(self.single(one) for one in seen)) / 4

    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    (found,) = grad_cam(ManyViews(), [convolution], image[None], [1], views=views)
    expected = np.zeros((16, 16), np.float32)
    for view in views:
        planes = torch.from_numpy(image.transpose(2, 0, 1)[None].astype(np.float32))
        if view.box == middle:
            planes = nn.functional.interpolate(planes[:, :, 4:12, 4:12], (16, 16), mode="bilinear")
        planes = planes.flip(3) if view.mirror else planes
        maps = single.eval()[:4](planes).detach().requires_grad_()
        single[5:](torch.relu(maps))[0, 1].backward()
        assert maps.grad is not None
        weights = maps.grad.mean((2, 3), keepdim=True)
        heat = torch.relu((weights * maps).sum(1))[0].detach().numpy()
        heat = np.ascontiguousarray(heat[:, ::-1]) if view.mirror else heat
        if view.box == middle:
            expected[4:12, 4:12] += cv2.resize(heat, (8, 8))
        else:
            expected += cv2.resize(heat, (16, 16))
    expected = (expected - expected.min()) / (expected.max() - expected.min())
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # Not what the first view alone would say.
    (first,) = grad_cam(single, [convolution], image[None], [1])
    assert np.abs(found - first).max() > 0.05


class SmallVocabulary:
    all = (
        ModelAttribute("colour", "single", ("red", "green", "blue")),
        ModelAttribute("plain", "binary", ("yes",)),
    )
    columns: ClassVar[dict[str, slice]] = {"colour": slice(0, 3), "plain": slice(3, 4)}

    def chosen(self, names: Sequence[str] | None) -> list[ModelAttribute]:
        known = {one.name: one for one in self.all}
        if wrong := [name for name in names or () if name not in known]:
            raise InputError(f"the model has no attribute {wrong[0]!r}")
        return [known[name] for name in names or known]


class SmallModel:
    """A trained model of eight channels, as `TrainedAttribute` asks it."""

    fingerprint = "small"

    def __init__(self) -> None:
        self.network, self.last_convolution = small_network()
        self.preprocess = Preprocess(size=16)
        self.views = VIEWS
        self.vocabulary = SmallVocabulary()

    @property
    def torch_model(self) -> SmallModel:
        return self

    def attributes(self, names: Sequence[str] | None = None) -> list[SmallAttribute]:
        return [SmallAttribute(self, one) for one in self.vocabulary.chosen(names)]  # type: ignore[arg-type]

    def features_of(
        self, images: Sequence[ImageSource], layers: tuple[str, ...], options: ReadOptions
    ) -> Iterator[tuple[str, dict[str, np.ndarray] | None, str | None]]:
        import torch

        for image in images:
            try:
                picture = open_image(read_source(image), max_pixels=options.max_pixels, draft=16)
            except ImageError as error:
                yield str(image), None, str(error)
                continue
            square = resize(picture, 16, interpolation="bicubic", crop=0.875)
            planes = torch.tensor(square.transpose(2, 0, 1)[None], dtype=torch.float32)
            with torch.inference_mode():
                logits = self.network.eval()(planes).numpy()
            yield str(image), {OUTPUT: logits}, None


class SmallAttribute(TrainedAttribute):
    def answer(self, features: Features, *, evidence: int = 5) -> list[Prediction]:
        answers = []
        for row in features[OUTPUT].astype(np.float64):
            share = np.exp(row[:3] - row[:3].max()) / np.exp(row[:3] - row[:3].max()).sum()
            values = dict(zip(("red", "green", "blue"), share.tolist(), strict=True))
            if self.name == "plain":
                yes = float(1 / (1 + np.exp(-row[3])))
                values = {"yes": yes, "no": 1 - yes}
            ordered = dict(sorted(values.items(), key=lambda item: -item[1]))
            best = next(iter(ordered))
            answers.append(Prediction(best, ordered[best], ordered, ()))
        return answers


def test_a_trained_model_is_explained(
    tmp_path: Path, photos: Path, examples: Path, runtime: FakeRuntime
) -> None:
    pytest.importorskip("pytorch_grad_cam", reason="grad-cam comes with the extra `train`")
    model = SmallModel()
    images = sorted(photos.iterdir())[:3]
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([photos])
        shop.teach("colour", examples)
        results = list(shop.explain([*images, bad], model=model))
        assert [r.error is None for r in results] == [True] * 3 + [False]
        assert "not an image" in (results[3].error or "")
        for image, result in zip(images, results, strict=False):
            assert [e.attribute for e in result.explanations] == ["colour", "plain"]
            (alone,) = shop.explain([image], model=model)
            for one, other in zip(result.explanations, alone.explanations, strict=True):
                np.testing.assert_allclose(one.heat, other.heat, atol=1e-5)
            colours, plain = result.explanations
            assert (colours.method, colours.heat.shape) == ("grad-cam", (16, 16))
            # Taught, too: its nearest examples; not taught: the most similar, excluding itself.
            (taught,) = shop.predict([image])
            assert colours.prediction.evidence == taught.predictions["colour"].evidence
            assert len(plain.prediction.evidence) == 5
            assert {e.value for e in plain.prediction.evidence} == {"no tag"}
            assert str(image) not in {e.image for e in plain.prediction.evidence}
        (both,) = shop.explain([images[0]], model=model, attributes=["plain"], values=["yes", "no"])
        pair = both.explanations
        assert [e.value for e in pair] == ["yes", "no"]
        assert pair[0].score == -pair[1].score
        assert pair[0].confidence + pair[1].confidence == pytest.approx(1)
        with pytest.raises(InputError, match="unknown value 'mauve'"):
            shop.explain(images, model=model, values=["mauve"])
        with pytest.raises(InputError, match="no attribute 'size'"):
            shop.explain(images, model=model, attributes=["size"])
        page = ExplanationPage(tmp_path / "out")
        for result in results:
            page.add(result)
        text = page.close().read_text(encoding="utf-8")
        assert "Where the trained model found it (Grad-CAM)" in text
        assert "Nearest in the catalogue" in text


# pictures


def made(heat: np.ndarray, **changes: Any) -> Explanation:
    prediction = Prediction("red", 0.9, {"red": 0.9, "blue": 0.1}, ())
    fields = {
        "attribute": "colour",
        "value": "red",
        "confidence": 0.9,
        "prediction": prediction,
        "method": "projection",
        "score": 2.0,
        "layers": {"stem": 1.0},
        "heat": heat.astype(np.float32),
        "box": (0.25, 0.0, 0.75, 1.0),
    }
    return Explanation(**{**fields, **changes})


def test_the_map_is_laid_where_the_picture_was_read() -> None:
    heat = np.zeros((8, 8))
    heat[0, 7], heat[7, 0] = 3, -3
    explanation = made(np.repeat(np.repeat(heat, 4, 0), 4, 1))
    picture = np.full((100, 200, 3), 128, np.uint8)
    overlay = np.asarray(draw_overlay(picture, explanation), np.int32)
    assert overlay.shape == (100, 200, 3)
    red, blue = overlay[..., 0] - overlay[..., 2], overlay[..., 2] - overlay[..., 0]
    rows, columns = np.nonzero(red > 60)
    assert len(rows)
    assert columns.min() > 125
    assert columns.max() < 150
    assert rows.max() < 20
    rows, columns = np.nonzero(blue > 40)
    assert columns.min() >= 50
    assert columns.max() < 75
    assert rows.min() > 80
    assert (np.abs(red[:, :50]) <= 1).all()
    assert overlay[:, :50, 0].std() > overlay[40:60, 90:110, 0].std()  # hatched
    left, top = explanation.hottest
    assert 0.68 < left < 0.75
    assert top < 0.13


@pytest.mark.parametrize(
    ("answer", "answered"),
    [("red", True), ("dark red", False), (None, False), (["red", "blue"], True), ([], False)],
)
def test_whether_the_value_is_the_answer(answer: str | list[str] | None, answered: bool) -> None:
    prediction = Prediction(answer, 0.9, {"red": 0.9}, ())
    assert made(np.eye(2), prediction=prediction).answered is answered


def test_stronger_is_darker_on_both_sides_and_a_faint_map_stays_faint() -> None:
    for anchors in (SPEAKS_FOR, SPEAKS_AGAINST):
        light = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in anchors]
        assert light == sorted(light, reverse=True)
    warm, cool = colour(np.array([1.0, -1.0]))
    assert tuple(warm) == SPEAKS_FOR[-1]
    assert tuple(cool) == SPEAKS_AGAINST[-1]
    rng = np.random.default_rng(0)
    faint = made(rng.normal(size=(9, 9)) * 1e-3)
    assert np.abs(strength(faint)).max() < 0.02
    assert np.abs(strength(made(rng.normal(size=(9, 9)) * 10))).max() == 1
    blank = np.zeros((40, 40, 3), np.uint8)
    grey = np.asarray(draw_overlay(blank, made(np.zeros((4, 4)))), np.int32)
    assert (np.ptp(grey, axis=2) == 0).all()


ODD = '<i>odd & "quoted"</i>'


def test_page_of_odd_names_and_lost_examples(tmp_path: Path) -> None:
    example = draw(tmp_path / "example.jpg", "red", 1)
    evidence = (Evidence(str(example), ODD, 0.25), Evidence(str(tmp_path / "gone"), "blue", 0.5))
    prediction = Prediction(None, 0.6, {ODD: 0.6, "blue": 0.4}, evidence)
    odd = made(np.eye(4), attribute=ODD, value=ODD, prediction=prediction)
    name = os.fsdecode(b"/somewhere/\xff<b>.jpg")
    page = ExplanationPage(tmp_path / "out")
    picture = np.zeros((40, 30, 3), np.uint8)
    none = made(np.zeros((4, 4)), value="blue", method="grad-cam")
    files = page.add(ImageExplanations(name, (odd, none), picture))
    assert page.add(ImageExplanations("cut.jpg", error="damaged <b>")) == []
    assert page.close() == tmp_path / "out" / "index.html"
    text = page.path.read_text(encoding="utf-8")
    assert ODD not in text
    assert "<b>.jpg" not in text
    assert "cut.jpg" in text
    assert "damaged &lt;b&gt;" in text
    assert "2 images, 1 of them cannot be explained" in text
    assert text.count("cannot be read</div>") == 1
    assert "the prediction is red" in text
    assert text.count("no place is evidence for or against it") == 1
    assert [file.name for file in files] == [
        "0001-b-i_odd_quoted_i-i_odd_quoted_i.png",
        "0001-b-colour-blue.png",
    ]
    for file in files:
        assert load_image(file).shape == (40, 30, 3)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file cannot be used \(Not a directory\)"):
        ExplanationPage(tmp_path / "file")


def test_the_page_in_a_browser(browser: Any, drawn: tuple[Path, Catalogue], tmp_path: Path) -> None:
    folder, shop = drawn
    page = ExplanationPage(tmp_path / "out")
    for result in shop.explain(
        [*(folder / "photos" / f"000{i}.jpg" for i in range(2)), tmp_path / "gone.jpg"]
    ):
        page.add(result)
    page.close()
    for width, scheme in ((1300, "light"), (360, "dark")):
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.goto(page.path.as_uri())
        sizes = tab.evaluate("[...document.images].map((i) => i.naturalWidth)")
        # Two pictures, two maps each, five examples a map.
        assert len(sizes) == 2 + 2 * 2 * (1 + 5)
        assert min(sizes) > 0
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        dark = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(22, 22, 20)") == (scheme == "dark")
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


# the command


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("explain-cli")
    for name in COLOURS:
        for seed in range(4):
            draw(folder / "examples" / name / f"{seed}.jpg", name, seed)
    with Catalogue.create(folder / "shop") as made_shop:
        made_shop.teach("colour", folder / "examples", views=False)
        pair = {"red": "yes", "green": "no"}
        files = {folder / "examples" / name / "0.jpg": value for name, value in pair.items()}
        made_shop.teach("dark", files, views=False)
    return folder / "shop"


def test_the_command_writes_pictures_and_a_page(shop: Path, tmp_path: Path) -> None:
    image = draw(tmp_path / "new.jpg", "green", 77)
    out = tmp_path / "why" / "deep"
    done = run("explain", shop, image, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["image"] == str(image)
    assert [e["attribute"] for e in found["explanations"]] == ["colour", "dark"]
    one = found["explanations"][0]
    assert (one["value"], one["prediction"]["value"]) == ("green", "green")
    assert one["method"] == "projection"
    assert len(one["prediction"]["evidence"]) == 5
    assert load_image(one["overlay"]).shape == (24, 20, 3)
    assert (out / "index.html").read_text(encoding="utf-8").count("data:image/jpeg") == 1 + 2 * (
        1 + 5
    ) - 3

    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    listed = os.fsencode(f"{image}\n{bad}\n")
    chosen = ("--attribute", "colour", "--value", "red", "--out", out)
    done = run("explain", shop, "-", *chosen, stdin=listed)
    assert done.returncode == 1
    assert f"{image}: colour red (" in done.stdout
    assert "but the prediction is green" in done.stdout
    assert done.stdout.endswith(f"page: {out / 'index.html'}\n")
    assert f"failed: {bad}: not an image" in done.stderr
    done = run("explain", shop, bad, "--out", out, "--json")
    assert done.returncode == 1
    assert set(json.loads(done.stdout)) == {"image", "error"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attribute", "size"], "unknown attribute 'size'; known: colour, colours, dark"),
        (["--value", "mauve"], "unknown value 'mauve'; known: colour: blue, green, red; "),
        (["--attribute", "dark", "--value", "red"], "unknown value 'red'; known: dark: no"),
    ],
)
def test_refusals(shop: Path, tmp_path: Path, arguments: list[str], words: str) -> None:
    image = draw(tmp_path / "new.jpg", "green", 77)
    done = run("explain", shop, image, "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_explaining_imports_no_torch(shop: Path, tmp_path: Path) -> None:
    image = draw(tmp_path / "new.jpg", "blue", 78)
    code = f"""
import sys
sys.argv = ["gingham", "explain", {str(shop)!r}, {str(image)!r}, "--out", {str(tmp_path / "o")!r}]
from gingham.cli import main
try:
    main()
finally:
    loaded = [m for m in ("torch", "timm", "sklearn", "matplotlib", "cv2") if m in sys.modules]
    assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
