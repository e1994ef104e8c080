"""What runs a backbone: the protocols, and the choice among those that do."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.preprocess import OWN_READING, Reading
from gingham.backbones.table import DEFAULT_POOLING, FLOAT32, FeatureConfig
from gingham.errors import BackboneError, InputError, require_extra
from gingham.names import did_you_mean

Key = TypeVar("Key")
Features = dict[str, NDArray[np.float32]]
Inputs = Iterable[tuple[Key, NDArray[np.uint8] | None]]
"""Keys and (height, width, 3) uint8 images, or None, which passes through."""
Streamed = Iterator[tuple[Key, Features | None]]


class Runtime(Protocol):
    """Maps images, read as its configuration says, to features."""

    @property
    def config(self) -> FeatureConfig:
        """All layers the network has, and all that decides a feature's value."""

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """Map (key, image or None) to (key, layer -> (2C,) float32 or None), in order.

        An image is (height, width, 3) uint8, as `Preprocess.apply` gives it. A descriptor counts
        as a layer; `layers` None means all of both. At most a bounded number of images is held at
        any time; an image's features do not depend on its neighbours in the stream. `None` passes
        through.
        """


@runtime_checkable
class MapRuntime(Runtime, Protocol):
    """A runtime that also gives the activations before they are pooled."""

    def maps(self, image: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """Map one image to layer -> (C, H, W) float32, whose pooling is its features.

        Raises
        ------
        InputError
            If there is no such layer.
        """


class LazyRuntime:
    """A backbone that is loaded when the first image must be read, and not at all without one."""

    def __init__(self, config: FeatureConfig, load: Callable[[], Runtime]) -> None:
        self.config = config
        self._load = load

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """See `Runtime.stream`."""
        remaining = iter(images)
        for item in remaining:
            if item[1] is not None:
                yield from self._load().stream(chain([item], remaining), layers)
                return
            yield item[0], None


def load_runtime(
    backbone: str,
    weights: str | Path | None = None,
    *,
    device: str = "auto",
    pooling: str = DEFAULT_POOLING,
    descriptors: Sequence[str] = (),
    reading: Reading = OWN_READING,
    precision: str = FLOAT32,
) -> Runtime:
    """Load a backbone ready to run: OpenVINO on the CPU, torch on CUDA.

    Parameters
    ----------
    backbone, weights, pooling, descriptors, reading : see
        `gingham.backbones.builders.build_network`.
    device : `cpu`, `cuda`, or `auto`: CUDA if the machine has an NVIDIA device and torch is
        installed and can use it, else the CPU.
    precision : `float32`, or `bfloat16`, which runs on the CPU only: one with instructions for it
        reads nearly twice as many images, any other computes in float32.

    Raises
    ------
    BackboneError
        If the backbone or its weights cannot be had, or there is no CUDA device where one is
        asked for.
    InputError
        If `device` is none of the three, or CUDA for another precision than float32.
    MissingExtraError
        If torch is needed (for CUDA, or to convert a backbone other than the default) and not
        installed.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be auto, cpu or cuda, got {device!r}")
    if precision != FLOAT32:
        if device == "cuda":
            raise InputError(f"precision {precision} runs on the CPU: use --device cpu")
        device = "cpu"
    if device == "cuda":
        require_extra("torch", "torch", "timm", purpose="device cuda")
    if device != "cpu" and cuda_is_there(sure=device == "cuda"):
        from gingham.backbones.torch import TorchRuntime

        return TorchRuntime(
            backbone,
            weights,
            device="cuda",
            pooling=pooling,
            descriptors=descriptors,
            reading=reading,
        )
    if device == "cuda":
        raise BackboneError("device cuda: torch finds no CUDA device here; use --device cpu")
    from gingham.backbones.openvino import OpenVinoRuntime

    return OpenVinoRuntime(
        backbone,
        weights,
        pooling=pooling,
        descriptors=descriptors,
        reading=reading,
        precision=precision,
    )


def cuda_is_there(*, sure: bool) -> bool:
    """Say whether there is a CUDA device that torch can use; `sure`: it is asked in any case."""
    # Looking for the driver first keeps a machine without one from importing torch.
    if not sure:
        if not Path("/proc/driver/nvidia/version").exists():
            return False
        try:
            require_extra("torch", "torch", "timm")
        except ImportError:
            return False
    import torch

    return torch.cuda.is_available()


def check_layers(config: FeatureConfig, layers: Sequence[str] | None) -> tuple[str, ...]:
    """Return the requested features, in the order in which a runtime gives them; None means all.

    Raises
    ------
    InputError
        If one is unknown.
    """
    names = tuple(config.widths)
    if layers is None:
        return names
    if unknown := [layer for layer in layers if layer not in names]:
        raise InputError(
            f"backbone {config.backbone!r} has no layer {unknown[0]!r}; it has {', '.join(names)}"
            + did_you_mean(unknown[0], names)
        )
    return tuple(layer for layer in names if layer in layers)


QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""In a container (cgroup v2): the time it may compute in each period, or `max`; and the period."""


_most: int | None = None


def limit_cpus(most: int) -> None:
    """Let this process use no more cores than so many, as one of several workers of a machine."""
    global _most
    _most = most


def cpu_count() -> int:
    """The number of cores this process may use: its affinity, its container's quota, its share."""
    cores = _allowed()
    return cores if _most is None else min(cores, _most)


def _allowed() -> int:
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        time, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):  # there is no quota
        return cores
    return min(cores, max(1, math.ceil(time / period)))
