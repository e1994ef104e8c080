"""A backbone that computes with integers of eight bits, calibrated on some images.

Post-training quantisation by NNCF, https://github.com/openvinotoolkit/nncf: symmetric, of weights a
channel and of activations a tensor, with its fast correction of biases. The convolutions compute
so; what is pooled of them, and the colours of `pixels`, are float32 as ever.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.openvino import (
    OpenVinoRuntime,
    Shape,
    import_openvino,
    picture_shape,
)
from gingham.backbones.table import INT8, FeatureConfig
from gingham.errors import BackboneError, require_extra
from gingham.temporary import TemporaryFolder

GIVEN, MADE = "network.xml", "quantised.xml"
IMAGES = "images.npz"


@dataclass(frozen=True)
class QuantisedNetwork:
    """A network as OpenVINO writes it: what it computes, as XML, and its weights."""

    graph: bytes
    weights: bytes

    @property
    def digest(self) -> str:
        """Its SHA-256, in hexadecimal."""
        parts = (hashlib.sha256(part).digest() for part in (self.graph, self.weights))
        return hashlib.sha256(b"".join(parts)).hexdigest()


class QuantisedRuntime(OpenVinoRuntime):
    """A quantised network; it needs neither its first weights nor what quantised it.

    Parameters
    ----------
    config : of the network before, or of this one.
    network : that was made of it.

    Raises
    ------
    BackboneError
        If it is another than the one of `config`.
    """

    def __init__(self, config: FeatureConfig, network: QuantisedNetwork) -> None:
        if config.quantised not in ("", network.digest):
            raise BackboneError("the quantised network is damaged, or another: restore its file")
        self.config = replace(config, precision=INT8, quantised=network.digest)
        self.network = network
        self._network = self._read
        self._unpooled = {}

    def _read(self, shape: Shape | None) -> Any:
        core = import_openvino().Core()
        model = core.read_model(self.network.graph, self.network.weights)
        model.reshape(picture_shape(self.config.preprocess, shape))
        return model


def quantise(runtime: OpenVinoRuntime, images: Sequence[NDArray[np.uint8]]) -> QuantisedRuntime:
    """Quantise a network, in a process of its own.

    Parameters
    ----------
    images : as the network reads them; the ranges of its activations are those of these.

    Raises
    ------
    BackboneError
        If it cannot be quantised.
    MissingExtraError
        If NNCF is not installed.
    """
    require_extra("int8", "nncf", purpose="precision int8")
    folder = TemporaryFolder()
    try:
        ov = import_openvino()
        ov.save_model(runtime._network(None), folder.path / GIVEN, compress_to_fp16=False)
        np.savez(folder.path / IMAGES, *images)
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "gingham.backbones.quantising", folder.path],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
            raise BackboneError(
                f"backbone {runtime.config.backbone!r} cannot be quantised ({why}): leave "
                "--precision out"
            )
        made = folder.path / MADE
        network = QuantisedNetwork(made.read_bytes(), made.with_suffix(".bin").read_bytes())
    finally:
        folder.delete()
    return QuantisedRuntime(runtime.config, network)


def quantise_files(folder: Path) -> None:
    """Quantise the network of a folder by its images."""
    # NNCF would report what it does, and import torch where it is installed.
    for name in ("openvino_telemetry", "torch"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
    import nncf

    ov = import_openvino()
    with np.load(folder / IMAGES) as images:
        given = [images[name][None] for name in images.files]
    made = nncf.quantize(
        ov.Core().read_model(folder / GIVEN),
        nncf.Dataset(given),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(given),
    )
    ov.save_model(made, folder / MADE, compress_to_fp16=False)
