from __future__ import annotations

import colorsys
import copy
import json
from pathlib import Path

import numpy as np
import pytest

from helpers import weights_of

pytest.importorskip("torch")

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models.vgg import VGG

from gingham.backbones.builders import build_network
from gingham.backbones.descriptors import rgb_histogram, significant_activations
from gingham.backbones.preprocess import Reading
from gingham.backbones.table import BACKBONES, FeatureConfig, get_backbone
from gingham.backbones.tensors import read_tensors
from gingham.errors import BackboneError, InputError

SMALL = "test_resnet"


def colours_apart(images: np.ndarray) -> np.ndarray:
    """Tell apart the colours of (N, H, W, 3) images: a square of 4 x 4 pixels after another."""
    tiles = images.reshape(len(images), images.shape[1] // 4, 4, -1, 4, 3).mean((2, 4)) / 255

    def shares(at: float, levels: int) -> list[float]:
        return [max(0.0, 1 - abs(at - level)) for level in range(levels)]

    def one(red: float, green: float, blue: float) -> list[float]:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        hues = shares(12 * hue, 13)
        hues[0] += hues.pop()
        chromas, values = shares(3 * saturation * value, 4), shares(4 * value, 5)
        return [a * b for a in chromas[1:] for b in hues] + [a * b for a in values for b in chromas]

    return np.array([[[one(*tile) for tile in row] for row in rows] for rows in tiles]).transpose(
        0, 3, 1, 2
    )


def over_foreground(maps: np.ndarray) -> np.ndarray:
    """Weigh every position by its distance from the border's mean: plain loops."""
    rows = []
    for image in maps:
        _, high, wide = image.shape
        places = [(k, m) for k in range(high) for m in range(wide)]
        at_border = [
            (k, m)
            for k, m in places
            if min(k, high - 1 - k) < max(1, high // 14)
            or min(m, wide - 1 - m) < max(1, wide // 14)
        ]
        outside = np.mean([image[:, k, m] for k, m in at_border], axis=0)
        weights = np.array([np.linalg.norm(image[:, k, m] - outside) for k, m in places])
        values = np.array([image[:, k, m] for k, m in places])
        mean = np.average(values, axis=0, weights=weights)
        deviation = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weights))
        rows.append(np.concatenate([mean, deviation]))
    return np.array(rows)


@pytest.mark.parametrize("view", ["square", "whole"])
def test_features_equal_plain_hooks_and_numpy(view: str, tmp_path: Path) -> None:
    path = weights_of(SMALL, tmp_path / "w.safetensors")
    network, config = build_network(
        SMALL, path, descriptors=("rgb", "conv", "fc"), reading=Reading(view)
    )
    sides = (160, 160) if view == "square" else (192, 128)
    images = torch.randint(0, 256, (2, *sides, 3), dtype=torch.uint8)
    model = timm.create_model(SMALL)
    model.load_state_dict(load_file(path))
    model.eval()
    row = get_backbone(SMALL)
    assert config.preprocess == Reading(view).changed(row.preprocess)
    assert config.preprocess.keep_aspect == (view == "whole")
    maps: dict[str, torch.Tensor] = {}
    for layer, node in row.layers:
        model.get_submodule(node).register_forward_hook(
            lambda _m, _i, out, layer=layer: maps.__setitem__(layer, out.detach().clone())
        )
    mean, std = (torch.tensor(v) for v in (row.preprocess.mean, row.preprocess.std))
    with torch.inference_mode():
        model(((images.float() - mean) / std).permute(0, 3, 1, 2))
        pooled = network(images)
    assert [x.name for x in config.hidden] == list(maps)
    blocks = [block.numpy() for block in maps.values()]
    maps = {"pixels": torch.from_numpy(colours_apart(images.numpy())), **maps}
    assert [x.name for x in config.layers] == list(maps)
    assert config.foreground == ("pixels", "stage1", "stage2")
    for layer, values in zip(config.foreground, pooled, strict=False):
        expected_values = over_foreground(maps[layer].numpy())
        np.testing.assert_allclose(values, expected_values, rtol=1e-4, atol=1e-5)
    pooled = pooled[len(config.foreground) :]
    for shape, values in zip(config.layers, pooled, strict=False):
        flat = maps[shape.name].flatten(2).numpy()
        assert flat.shape[1] == shape.channels
        expected = torch.from_numpy(flat.mean(2)), torch.from_numpy(flat.std(2))
        torch.testing.assert_close(values, torch.cat(expected, 1).float(), rtol=1e-4, atol=1e-5)
    named = [(x.name, x.threshold, x.bins) for x in config.descriptors]
    assert named == [("fc", None, 0), ("conv", 0.5, 0), ("rgb", None, 16)]
    fc, conv, rgb = pooled[len(maps) :]
    assert [config.widths[x.name] for x in config.descriptors] == [
        x.shape[1] for x in (fc, conv, rgb)
    ]
    np.testing.assert_allclose(fc, blocks[-1].mean((2, 3)), rtol=1e-4, atol=1e-5)
    expected_conv = significant_activations(blocks)
    assert expected_conv.any()
    np.testing.assert_allclose(conv, expected_conv, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(rgb, [rgb_histogram(image) for image in images.numpy()], rtol=1e-5)
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    # A catalogue of before there was `rgb` keeps its fingerprint: nothing is said of bins.
    assert [set(x) for x in config.to_dict()["descriptors"]] == [
        {"name", "layers", "threshold"},
        {"name", "layers", "threshold"},
        {"name", "layers", "threshold", "bins"},
    ]
    # One of before there were whole pictures keeps it, too.
    assert ("keep_aspect" in config.to_dict()["preprocess"]) == (view == "whole")
    _, plain = build_network(SMALL, path)
    assert plain.weights == config.weights
    assert plain.fingerprint != config.fingerprint


def test_the_network_is_cut_after_the_deepest_layer_asked_for(tmp_path: Path) -> None:
    path = weights_of("resnet18", tmp_path / "w.safetensors")
    whole, _ = build_network("resnet18", path)
    cut, config = build_network("resnet18", path, layers=["stage2"])
    assert [x.name for x in config.layers] == ["stage2"]
    assert not any(name.startswith("extractor.layer3") for name in cut.state_dict())
    assert any(name.startswith("extractor.layer3") for name in whole.state_dict())


def test_a_file_that_ends_early_cuts_the_network_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = weights_of("resnet18", tmp_path / "w.safetensors", drop="layer4")
    _, config = build_network("resnet18", path)
    assert [x.name for x in config.hidden] == ["stage1", "stage2", "stage3", "stage4"]
    assert config.layers[-1].channels == 256
    assert caplog.messages == [
        "the weights of resnet18 contain no tensors of stage5: the network ends after stage4"
    ]


def test_a_file_with_holes_is_refused_by_the_name_of_a_tensor(tmp_path: Path) -> None:
    path = weights_of("resnet18", tmp_path / "w.safetensors", drop="layer4.0.conv1")
    with pytest.raises(BackboneError, match=r"layer4\.0\.conv1\.weight"):
        build_network("resnet18", path)


@pytest.fixture
def small_vgg16(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Make timm build a VGG16 of few channels; return its seeded weights."""
    torch.manual_seed(0)
    blocks = (2, 2, 3, 3, 3)
    widths = [width for count in blocks for width in (*[4] * count, "M")]
    small = VGG(widths, num_classes=2, mlp_ratio=8 / 4096)
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained: copy.deepcopy(small))
    return small.state_dict()


def test_torchvisions_vgg16_is_read_whole(
    small_vgg16: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_file(small_vgg16, tmp_path / "timm.safetensors")
    names = {"pre_logits.fc1": "classifier.0", "pre_logits.fc2": "classifier.3"}
    names["head.fc"] = "classifier.6"
    theirs = {
        f"{names.get(key.rpartition('.')[0], key.rpartition('.')[0])}.{key.rpartition('.')[2]}": (
            value.flatten(1) if key.startswith("pre_logits") and value.ndim == 4 else value
        )
        for key, value in small_vgg16.items()
    }
    assert theirs["classifier.0.weight"].shape == (8, 4 * 7 * 7)
    torch.save(theirs, tmp_path / "torchvision.pth")
    with pytest.raises(BackboneError, match="cannot read view whole, resolution 224"):
        build_network("vgg16", tmp_path / "torchvision.pth", reading=Reading("whole"))
    _, config = build_network("vgg16", tmp_path / "torchvision.pth", descriptors=("fc", "conv"))
    assert config.widths["fc"] == 8 + 4096
    _, same = build_network("vgg16", tmp_path / "timm.safetensors", descriptors=("fc", "conv"))
    assert same == config
    assert caplog.messages == []


def test_a_vgg16_without_its_last_layers(
    small_vgg16: dict[str, torch.Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "w.safetensors"
    save_file({k: v for k, v in small_vgg16.items() if k != "pre_logits.fc2.bias"}, path)
    with pytest.raises(BackboneError, match=r"layer 'fc2' needs \(such as pre_logits\.fc2\.bias\)"):
        build_network("vgg16", path, descriptors=["fc"])
    save_file({**small_vgg16, "features.0.weight": torch.zeros(4, 3, 5, 5)}, path)
    with pytest.raises(
        BackboneError, match=r"do not fit: features\.0\.weight .*, got \(4, 3, 5, 5\)"
    ):
        build_network("vgg16", path)
    save_file({k: v for k, v in small_vgg16.items() if k.startswith("features")}, path)
    _, config = build_network("vgg16", path, descriptors=["fc"])
    assert config.widths["fc"] == 4
    assert caplog.messages == [
        "the weights of vgg16 contain no tensors of fc1, fc2: the network ends after stage5"
    ]


@pytest.mark.parametrize(
    ("name", "stem", "last"),
    [("vgg11", "features.1", "features.20"), ("vgg16_bn", "features.2", "features.43")],
)
def test_other_vggs_have_the_layers_of_vgg16(name: str, stem: str, last: str) -> None:
    with torch.device("meta"):
        row = get_backbone(name)
    table = BACKBONES["vgg16"]
    assert (row.blocks, row.fc, row.threshold) == (table.blocks, table.fc, table.threshold)
    assert [layer for layer, _ in row.layers] == [layer for layer, _ in table.layers]
    nodes = dict(row.layers)
    assert (nodes["stem"], nodes["stage5"]) == (stem, last)


def test_a_network_whose_layers_cannot_be_reached_is_refused(tmp_path: Path) -> None:
    save_file({}, tmp_path / "none.safetensors")
    with pytest.raises(BackboneError, match=r"'hrnet_w18_small': not all .*node: 'stem'"):
        build_network("hrnet_w18_small", tmp_path / "none.safetensors")


def test_weights_are_part_of_the_fingerprint(tmp_path: Path) -> None:
    path = weights_of(SMALL, tmp_path / "a.safetensors")
    _, config = build_network(SMALL, path)
    assert FeatureConfig.from_dict(config.to_dict()) == config
    state = load_file(path)
    first = next(key for key in state if key.endswith("weight"))
    state[first] = state[first] + 1e-3
    save_file(state, tmp_path / "b.safetensors")
    _, other = build_network(SMALL, tmp_path / "b.safetensors")
    assert other.fingerprint != config.fingerprint


def test_checkpoints_in_the_pth_format_and_never_code(tmp_path: Path) -> None:
    state = load_file(weights_of(SMALL, tmp_path / "a.safetensors"))
    torch.save({"state_dict": state}, tmp_path / "a.pth")
    assert read_tensors(tmp_path / "a.pth").keys() == state.keys()
    torch.save({"run": Path("anything but tensors")}, tmp_path / "evil.pth")
    with pytest.raises(BackboneError, match=r"evil\.pth"):
        read_tensors(tmp_path / "evil.pth")


@pytest.mark.parametrize("name", ["vgg16", "efficientnet_b0"])
def test_rows_of_the_table_name_real_modules(name: str, tmp_path: Path) -> None:
    path = weights_of(BACKBONES[name].architecture, tmp_path / "w.safetensors")
    _, config = build_network(name, path, descriptors=("fc", "conv"))
    widths = {"vgg16": (8192, 1472), "efficientnet_b0": (1280, 512)}[name]
    assert (config.widths["fc"], config.widths["conv"]) == widths
    # Joined, VGG16 gives the paper's 9664 numbers.
    assert name != "vgg16" or config.widths["fc"] + config.widths["conv"] == 9664
    channels = [x.channels for x in config.hidden]
    assert (
        channels
        == {
            "vgg16": [64, 64, 128, 256, 512, 512, 4096, 4096],
            "efficientnet_b0": [32, 16, 24, 40, 80, 112, 192, 320, 1280],
        }[name]
    )


def test_what_cannot_be_had_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        BackboneError, match="unknown backbone 'nonsense': give one of efficientnet_lite0"
    ):
        build_network("nonsense")
    with pytest.raises(BackboneError, match="no such file"):
        build_network("resnet50", tmp_path / "nowhere.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"junk")
    with pytest.raises(BackboneError, match=r"bad\.safetensors: not a readable"):
        build_network("resnet50", tmp_path / "bad.safetensors")
    with pytest.raises(InputError, match="unknown descriptor 'pool': give some of fc, conv"):
        build_network("resnet50", descriptors=["pool"])
    with pytest.raises(BackboneError, match="needs --weights"):
        build_network("resnet50_keras")
    with pytest.raises(InputError, match="no layer 'neck'; it has pixels, stem, stage1"):
        build_network("efficientnet_lite0", layers=["neck"])
    with pytest.raises(InputError, match="give at least one hidden layer"):
        build_network("efficientnet_lite0", layers=["pixels"])
    with pytest.raises(BackboneError, match="convolutional"):
        build_network("test_vit", weights_of("test_vit", tmp_path / "vit.safetensors"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match="give --weights"):
        build_network("resnet50")
