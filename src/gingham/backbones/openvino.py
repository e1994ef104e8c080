"""A backbone run by OpenVINO on the CPU, in float32.

The default network is built from its weights when it is needed. Every other is converted from
torch once and kept in a cache folder; from then on it needs neither torch nor timm.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.builders import (
    build_network,
    feature_config,
    read_as,
    refuse_reading,
    sample_shape,
)
from gingham.backbones.preprocess import OWN_READING, Preprocess, Reading
from gingham.backbones.runtime import Features, Inputs, Key, Streamed, check_layers, cpu_count
from gingham.backbones.table import (
    BACKBONES,
    BFLOAT16,
    DEFAULT_BACKBONE,
    DEFAULT_POOLING,
    DESCRIPTORS,
    FLOAT32,
    INT8,
    FeatureConfig,
    check_descriptors,
    get_backbone,
    split_pooling,
)
from gingham.errors import BackboneError, StorageError, require_extra
from gingham.images import input_shape, input_shapes
from gingham.store.files import make_folder, reserve
from gingham.temporary import TemporaryFolder

logger = logging.getLogger(__name__)

BUILD = 3
"""Bump when what is kept of a converted network changes; older conversions are ignored."""

CONFIG = "config.json"
"""What a converted network is, beside its graph."""

COMMON = ((1, 1), (4, 3), (3, 4), (3, 2), (2, 3))
"""Aspects of photos: whole images of the shapes nearest to them have a graph each, which takes 70
MB and 0.3 s to compile; all others share one, which takes 1.6 times as long for an image."""

_HINTS = {FLOAT32: "f32", BFLOAT16: "bf16", INT8: "f32"}
"""What OpenVINO calls a precision. Some CPUs would pick bfloat16 by themselves; those that have no
instructions for it compute in float32."""

_COMPILING = threading.RLock()
"""OpenVINO sets the C locale while it compiles; of two at once the later would leave it set."""


def cache_folder() -> Path:
    """Where converted networks are kept: `$GINGHAM_CACHE`, or `gingham` in the user's cache."""
    if folder := os.environ.get("GINGHAM_CACHE"):
        return Path(folder)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "gingham"


def _usable_cache() -> Path | None:
    """Make the cache folder; None where that is refused, or the user has no home."""
    try:
        folder = cache_folder()
        make_folder(folder / "compiled")
    except (StorageError, RuntimeError) as error:
        why = str(error).rstrip(".")
        logger.info("%s; networks are not kept: set GINGHAM_CACHE to a folder of yours", why)
        return None
    return folder


def import_openvino() -> Any:
    """Import OpenVINO with its telemetry shut off: it would report the import itself.

    OpenVINO uses a stub where the package `openvino_telemetry` is not installed, as it appears
    here.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


Shape = tuple[int, int]
"""The (height, width) of what a network reads; None where a graph takes all that there are."""


def picture_shape(preprocess: Preprocess, shape: Shape | None = None) -> Any:
    """Give the `openvino.PartialShape` of one picture that a graph takes."""
    ov = import_openvino()
    if not preprocess.keep_aspect:
        shape = preprocess.size, preprocess.size
    if shape is not None:
        return ov.PartialShape([1, *shape, 3])
    wide, high = (
        ov.Dimension(min(sides), max(sides))
        for sides in zip(*input_shapes(preprocess.size), strict=True)
    )
    return ov.PartialShape([1, high, wide, 3])


class OpenVinoRuntime:
    """A backbone compiled for the CPU, in float32 or as its configuration says.

    Each core runs one stream of single images: as fast as batches here, and an image's features
    cannot depend on the batch it came in.
    """

    concurrent = True
    """Threads may ask at once: all share the streams."""

    def __init__(
        self,
        backbone: str,
        weights: str | Path | None = None,
        *,
        pooling: str = DEFAULT_POOLING,
        descriptors: Sequence[str] = (),
        reading: Reading = OWN_READING,
        precision: str = FLOAT32,
    ) -> None:
        split_pooling(pooling)
        kept = check_descriptors(descriptors)
        made_by = _default if backbone == DEFAULT_BACKBONE else _converted
        self._network, config = made_by(backbone, weights, reading)
        made = tuple(one for one in config.descriptors if one.name in kept)
        self.config = replace(config, pooling=pooling, descriptors=made, precision=precision)
        self._unpooled: dict[tuple[str, ...], Any] = {}

    @property
    def _exactly(self) -> dict[str, str]:
        return {"INFERENCE_PRECISION_HINT": _HINTS[self.config.precision]}

    @cached_property
    def _compiled(self) -> dict[tuple[tuple[str, ...], Shape | None], Any]:
        return {}

    @cached_property
    def _idle(self) -> dict[tuple[tuple[str, ...], Shape | None], list[Any]]:
        """Requests that no stream waits for."""
        return {}

    @cached_property
    def _core(self) -> Any:
        core = import_openvino().Core()
        if folder := _usable_cache():
            core.set_property({"CACHE_DIR": str(folder / "compiled")})
        return core

    @cached_property
    def _common(self) -> set[Shape]:
        """The shapes of images that have graphs of their own."""
        if not self.config.preprocess.keep_aspect:
            return set()
        shapes = (input_shape(*aspect, self.config.preprocess.size) for aspect in COMMON)
        return {(high, wide) for wide, high in shapes}

    def _graph(self, shape: Shape | None = None) -> Any:
        from gingham.backbones.graph import FeatureGraph

        return FeatureGraph(self._network(shape), self.config)

    def _features(self, names: tuple[str, ...], shape: Shape | None) -> Any:
        """Make the `openvino.Model` of some features."""
        return self._graph(shape).features(names)

    def _compile(self, names: tuple[str, ...], shape: Shape | None = None) -> Any:
        with _COMPILING:
            if (names, shape) not in self._compiled:
                count = str(cpu_count())
                hints = {"NUM_STREAMS": count, "INFERENCE_NUM_THREADS": count}
                self._compiled[names, shape] = self._core.compile_model(
                    self._features(names, shape),
                    "CPU",
                    self._exactly | {"PERFORMANCE_HINT": "THROUGHPUT"} | hints,
                )
            return self._compiled[names, shape]

    def maps(self, image: NDArray[np.uint8], layers: Sequence[str]) -> Features:
        """See `MapRuntime.maps`; the same graph, before it pools."""
        wanted = check_layers(self.config, layers)
        with _COMPILING:
            if wanted not in self._unpooled:
                self._unpooled[wanted] = self._core.compile_model(
                    self._graph().maps(wanted),
                    "CPU",
                    self._exactly | {"PERFORMANCE_HINT": "LATENCY"},
                )
        # A request of its own: threads may ask at once.
        given = self._unpooled[wanted].create_infer_request().infer({0: image[None]})
        return {layer: given[i][0].copy() for i, layer in enumerate(wanted)}

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """See `Runtime.stream`."""
        wanted = check_layers(self.config, layers)
        # Those that pass through stand in the same queue, to keep the order.
        running: deque[tuple[Key, Shape | None, Any]] = deque()
        most, asked = 2 * cpu_count(), 0

        def finish() -> tuple[Key, Features | None]:
            nonlocal asked
            key, shape, request = running.popleft()
            if request is None:
                return key, None
            request.wait()
            features = {
                layer: request.get_output_tensor(i).data[0].copy() for i, layer in enumerate(wanted)
            }
            asked -= 1
            self._idle[wanted, shape].append(request)
            return key, features

        for key, image in images:
            if image is None:
                running.append((key, None, None))
            else:
                while asked >= most:
                    yield finish()
                high, wide, _ = image.shape
                shape = (high, wide) if (high, wide) in self._common else None
                try:
                    request = self._idle.setdefault((wanted, shape), []).pop()
                except IndexError:
                    request = self._compile(wanted, shape).create_infer_request()
                request.start_async({0: image[None]}, share_inputs=False)
                running.append((key, shape, request))
                asked += 1
            while running and running[0][2] is None:
                yield finish()
        while running:
            yield finish()


Built = tuple[Callable[[Shape | None], Any], FeatureConfig]
"""What makes the `openvino.Model` of the hidden layers; their configuration, all descriptors."""


def _default(backbone: str, weights: str | Path | None, reading: Reading) -> Built:
    """Take the default network's weights; it is built of OpenVINO's operations."""
    from gingham.backbones import lite0
    from gingham.backbones.weights import Weights, fit_weights, load_weights

    row = read_as(get_backbone(backbone), reading)
    expected = lite0.tensor_shapes()

    def read() -> Weights:
        return fit_weights(
            row,
            load_weights(row, expected, weights),
            expected,
            lite0.needed_tensors,
            [layer for layer, _ in row.layers],
            cut=True,
        )

    read_once = read()
    channels = lite0.layer_channels()
    config = feature_config(
        row,
        read_once.digest,
        {layer: channels[layer] for layer in read_once.layers},
        descriptors=DESCRIPTORS,
    )
    # The first graph takes the weights along; few processes need a second.
    held = [read_once]
    del read_once

    def build(shape: Shape | None) -> Any:
        try:
            fitted = held.pop()
        except IndexError:
            fitted = read()
        return lite0.build_lite0(fitted.tensors, fitted.layers, row.preprocess, shape)

    return build, config


def _converted(backbone: str, weights: str | Path | None, reading: Reading) -> Built:
    """Find the converted network in the cache, or convert it now."""
    cache = _usable_cache() or _unkept().path
    own = cache / _cache_key(backbone, weights, OWN_READING)
    folder = cache / _cache_key(backbone, weights, reading)
    if (own / CONFIG).exists() and Reading.of(_read_config(own).preprocess) == reading:
        folder = own
    if not (folder / CONFIG).exists():
        _convert(backbone, weights, reading, folder)
    config = _read_config(folder)

    def read(shape: Shape | None) -> Any:
        model = import_openvino().Core().read_model(folder / "model.xml")
        try:
            model.reshape(picture_shape(config.preprocess, shape))
        except RuntimeError as error:
            raise refuse_reading(get_backbone(backbone), error) from None
        return model

    return read, config


def _read_config(folder: Path) -> FeatureConfig:
    try:
        return FeatureConfig.from_dict(json.loads((folder / CONFIG).read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        raise BackboneError(f"the converted network in {folder} is damaged: delete it") from None


@cache
def _unkept() -> TemporaryFolder:
    """Make a cache that goes when the process ends."""
    return TemporaryFolder()


def _cache_key(backbone: str, weights: str | Path | None, reading: Reading) -> str:
    source = "own"
    if weights is not None:
        path = Path(weights)
        if not path.is_file():
            raise BackboneError(f"weights {path}: no such file")
        with path.open("rb") as file:
            source = hashlib.file_digest(file, "sha256").hexdigest()
    # A row of the table that changes must not find the graph of the old one.
    parts = [BACKBONES.get(backbone, backbone), source, FeatureConfig.version, BUILD]
    row = repr((*parts, reading) if reading != OWN_READING else (*parts,))
    return f"{backbone}-{hashlib.sha256(row.encode()).hexdigest()[:16]}"


def _convert(backbone: str, weights: str | Path | None, reading: Reading, folder: Path) -> None:
    require_extra("torch", "torch", "timm", purpose=f"backbone {backbone!r}")
    row = read_as(get_backbone(backbone), reading)
    logger.info("converting %s for OpenVINO (once, for half a minute or so)", backbone)
    from gingham.backbones.pooling import HiddenMaps

    network, config = build_network(backbone, weights, reading=reading)
    channels = {layer.name: layer.channels for layer in config.hidden}
    config = feature_config(row, config.weights, channels, descriptors=DESCRIPTORS)
    # OpenVINO does not say when there is no room.
    reserve(folder.parent, sum(4 * tensor.numel() for tensor in network.state_dict().values()))
    # Written beside its place and renamed: another process sees all of it or nothing.
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".converting-"))
    try:
        shape = sample_shape(config.preprocess)
        save_graph(HiddenMaps(network), shape, temporary / "model.xml")
        (temporary / CONFIG).write_text(json.dumps(config.to_dict(), indent=1))
        try:
            temporary.rename(folder)
        except OSError:
            # Another process was first, or an older attempt was cut off before its config.
            if not (folder / CONFIG).exists():
                shutil.rmtree(folder, ignore_errors=True)
                temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_graph(module: Any, shape: tuple[int, int], file: Path) -> None:
    """Convert a torch module that maps (1, *shape, 3) uint8; write FILE.xml and FILE.bin."""
    ov = import_openvino()
    import torch

    file.parent.mkdir(parents=True, exist_ok=True)
    example = torch.zeros(1, *shape, 3, dtype=torch.uint8)
    # Given a module, OpenVINO would trace it, which torch warns of.
    with torch.no_grad():
        graph = ov.convert_model(torch.export.export(module, (example,)))
    graph.reshape([1, *shape, 3])
    ov.save_model(graph, file, compress_to_fp16=False)
