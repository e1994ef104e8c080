from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.numpy import save_file

from gingham.backbones import lite0
from gingham.backbones.builders import build_network
from gingham.backbones.openvino import OpenVinoRuntime
from gingham.backbones.preprocess import Reading
from gingham.backbones.table import BACKBONES, DEFAULT_BACKBONE
from gingham.backbones.torch import TorchRuntime
from gingham.backbones.weights import load_weights
from gingham.errors import BackboneError
from helpers import smooth_pictures, smooth_shapes

LAYERS = tuple(layer for layer, _ in BACKBONES[DEFAULT_BACKBONE].layers)


def own_weights() -> dict[str, np.ndarray]:
    return load_weights(BACKBONES[DEFAULT_BACKBONE], lite0.tensor_shapes(), None)


@pytest.mark.torch
def test_its_tensors_are_those_of_timm_in_the_same_order() -> None:
    model = timm.create_model("tf_efficientnet_lite0")
    theirs = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert list(lite0.tensor_shapes().items()) == list(theirs.items())
    assert tuple(lite0.layer_channels()) == LAYERS


@pytest.mark.torch
@pytest.mark.parametrize("view", ["square", "whole"])
@pytest.mark.parametrize("pooling", ["mean+std", "gem+max+mean"])
def test_every_feature_and_map_is_that_of_timms_network_in_torch(pooling: str, view: str) -> None:
    asked: dict[str, Any] = {
        "pooling": pooling,
        "descriptors": ("fc", "conv", "rgb"),
        "reading": Reading(view),
    }
    ours = OpenVinoRuntime(DEFAULT_BACKBONE, **asked)
    theirs = TorchRuntime(DEFAULT_BACKBONE, device="cpu", **asked)
    assert ours.config == theirs.config
    assert ours.config.fingerprint == theirs.config.fingerprint
    shapes = [(224, 224)] * 2
    if view == "whole":
        shapes = [(192, 256), (416, 128), (192, 256), (224, 224)]
    pictures = smooth_shapes(shapes)
    both = zip(ours.stream(enumerate(pictures)), theirs.stream(enumerate(pictures)), strict=True)
    for (_, got), (_, expected) in both:
        assert got is not None
        assert expected is not None
        assert list(got) == list(expected) == list(ours.config.widths)
        for name, values in expected.items():
            assert_alike(got[name], values, name)
    layers = [layer.name for layer in ours.config.layers]
    for name, maps in theirs.maps(pictures[0], layers).items():
        assert maps.shape[1] * shapes[0][0] == maps.shape[2] * shapes[0][1]
        assert_alike(ours.maps(pictures[0], [name])[name], maps, name)


def assert_alike(got: np.ndarray, expected: np.ndarray, name: str) -> None:
    assert got.shape == expected.shape
    a, b = got.ravel(), expected.ravel()
    assert a @ b >= 0.9999 * np.linalg.norm(a) * np.linalg.norm(b) > 0, name
    np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4 * np.abs(b).max(), err_msg=name)


def test_catalogues_of_earlier_versions_stay_valid() -> None:
    """Fingerprints that the version which converted timm's network stored."""
    weights = "91faee5e9540b3ae10e5f2f340c1dad2f97dfb07f4dacef221a5ca0be18aba30"
    for descriptors, fingerprint in (
        ((), "821fe3d6316b5828"),
        (("fc", "conv", "rgb"), "e1bfe95f5e5e0907"),
        (("rgb",), "6b838f397ea6a44e"),
    ):
        config = OpenVinoRuntime(DEFAULT_BACKBONE, descriptors=descriptors).config
        assert (config.weights, config.fingerprint) == (weights, fingerprint)
    config = OpenVinoRuntime(DEFAULT_BACKBONE, pooling="gem+max+mean").config
    assert config.fingerprint == "3f0233b1c3bef222"


@pytest.mark.torch
def test_a_file_of_weights_is_taken_as_torch_takes_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = own_weights()
    first = "conv_stem.weight"
    save_file(state | {first: state[first] * 1.5}, tmp_path / "other.safetensors")
    torch.save({k: torch.tensor(v) for k, v in state.items()}, tmp_path / "same.pth")
    own = OpenVinoRuntime(DEFAULT_BACKBONE).config
    assert OpenVinoRuntime(DEFAULT_BACKBONE, tmp_path / "same.pth").config == own
    other = OpenVinoRuntime(DEFAULT_BACKBONE, tmp_path / "other.safetensors").config
    assert other.weights != own.weights
    assert other == build_network(DEFAULT_BACKBONE, tmp_path / "other.safetensors")[1]
    late = ("blocks.6", "conv_head", "bn2.", "classifier")
    early = {k: v for k, v in state.items() if not k.startswith(late)}
    save_file(early, tmp_path / "early.safetensors")
    cut = OpenVinoRuntime(DEFAULT_BACKBONE, tmp_path / "early.safetensors")
    assert [layer.name for layer in cut.config.hidden] == list(LAYERS[:-2])
    assert caplog.messages == [
        "the weights of efficientnet_lite0 contain no tensors of stage7, head: "
        "the network ends after stage6"
    ]
    assert cut.config == build_network(DEFAULT_BACKBONE, tmp_path / "early.safetensors")[1]
    (picture,) = smooth_pictures(224, 1)
    ((_, whole),) = OpenVinoRuntime(DEFAULT_BACKBONE).stream([(0, picture)])
    ((_, part),) = cut.stream([(0, picture)])
    assert whole is not None
    assert part is not None
    np.testing.assert_allclose(part["stage6"], whole["stage6"], rtol=1e-4, atol=1e-4)


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    state = own_weights()
    save_file({k: v for k, v in state.items() if "4.1.bn2" not in k}, tmp_path / "a.safetensors")
    with pytest.raises(BackboneError, match=r"lack 4 tensors .* \(such as blocks\.4\.1\.bn2\.bias"):
        OpenVinoRuntime(DEFAULT_BACKBONE, tmp_path / "a.safetensors")
    bad = state | {"bn2.bias": state["bn2.bias"][:7].copy()}
    save_file(bad, tmp_path / "b.safetensors")
    with pytest.raises(BackboneError, match=r"bn2\.bias must have shape \(1280,\), got \(7,\)"):
        OpenVinoRuntime(DEFAULT_BACKBONE, tmp_path / "b.safetensors")
