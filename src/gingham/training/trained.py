"""A trained model in a folder: written whole, checked when opened, answering without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.preprocess import Preprocess
from gingham.backbones.table import FeatureConfig, Layer
from gingham.errors import CatalogueError
from gingham.extract import PLAIN, View, extract, identify
from gingham.images import ImageSource
from gingham.options import ReadOptions
from gingham.store.files import read_json, write_json
from gingham.training.calibration import Calibration
from gingham.training.config import TrainConfig
from gingham.training.exporting import ExportedRuntime
from gingham.training.metrics import Answers
from gingham.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    from torch import nn

    from gingham.training.attribute import TrainedAttribute

FORMAT = 1
OUTPUT = "logits"

WEIGHTS = "model.safetensors"
GRAPH = "model.xml"
VOCABULARY = "vocabulary.json"
THRESHOLDS = "thresholds.json"
METRICS = "metrics.json"
CONFIG = "config.json"
LEARNED = "learned.json"
FILES = (WEIGHTS, GRAPH, "model.bin", VOCABULARY, THRESHOLDS, METRICS)
"""What every model's folder holds next to its config, which lists the SHA-256 of each file."""


@dataclass(frozen=True)
class TorchModel:
    """What it takes to explain a model.

    Attributes
    ----------
    network : maps (N, 3, S, S) float RGB from 0 to 255 to (N, V) logits; in evaluation mode.
    last_convolution : its module whose activations Grad-CAM weighs.
    preprocess : how an image becomes its input: `gingham.images.resize` with these values. The
        network normalises by itself.
    views : the parts of its input that the network reads, in order; it answers with the mean.
    vocabulary : what each output means.
    """

    network: nn.Module
    last_convolution: nn.Module
    preprocess: Preprocess
    views: tuple[View, ...]
    vocabulary: Vocabulary


@dataclass(frozen=True)
class TrainedModel:
    """A model opened with `load`.

    Attributes
    ----------
    folder : of the model.
    fingerprint : sixteen hexadecimal digits that differ whenever a file of it does.
    config : what it was trained with; `config.model.backbone` is the one that was taken.
    features : what made the maps that the head reads; its `preprocess` is how images are read.
    vocabulary, calibration : what the outputs mean, and how they are read.
    metrics : what `gingham train` measured; see `docs/training.md`.
    """

    folder: Path
    fingerprint: str
    config: TrainConfig
    features: FeatureConfig
    vocabulary: Vocabulary
    calibration: Calibration
    metrics: dict[str, Any]

    @classmethod
    def load(cls, folder: str | Path) -> TrainedModel:
        """Open a model's folder; every file is read and checked.

        Raises
        ------
        CatalogueError
            If it is not a model, or a file is missing or not the one that was written; the message
            names it.
        """
        path = Path(folder)
        if not (path / CONFIG).is_file():
            raise CatalogueError(
                f"{path} is not a trained model (no {CONFIG} in it): create one with gingham train",
                path=path,
            )
        said = read_json(path / CONFIG)
        if isinstance(said, dict) and said.get("format") != FORMAT:
            raise CatalogueError(
                f"model {path} has format {said.get('format')}, but this version of gingham reads "
                f"{FORMAT}: install the version that made it"
            )
        files = said.get("files") if isinstance(said, dict) else None
        if not isinstance(files, dict):
            raise CatalogueError(
                f"{path / CONFIG} is damaged (it lists no files): restore it, or train the model "
                "again"
            )
        # The models of earlier versions do not say what they learned from.
        for name in (*FILES, *({LEARNED} & files.keys())):
            file = path / name
            if not file.is_file():
                raise CatalogueError(f"model {path} lacks {name}: restore it, or train it again")
            if file_digest(file) != files.get(name):
                raise CatalogueError(
                    f"{file} is not the file that was trained (its SHA-256 differs): restore it, "
                    "or train the model again"
                )
        if said.get("fingerprint") != fingerprint_of(said):
            raise CatalogueError(
                f"{path / CONFIG} does not fit its fingerprint {said.get('fingerprint')}: it was "
                "changed after training; restore it, or train the model again"
            )
        try:
            vocabulary = Vocabulary.from_dict(read_json(path / VOCABULARY))
            return cls(
                path,
                said["fingerprint"],
                TrainConfig.from_dict(said["config"]),
                FeatureConfig.from_dict(said["features"]),
                vocabulary,
                Calibration.from_dict(vocabulary, read_json(path / THRESHOLDS)),
                read_json(path / METRICS),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise CatalogueError(f"model {path} is damaged ({error})") from None

    def learned(self) -> frozenset[str] | None:
        """The ids (SHA-256 of the bytes) of the images it was trained, chosen and calibrated on.

        None for a model of an earlier version, which does not say.
        """
        if not (self.folder / LEARNED).is_file():
            return None
        return frozenset(read_json(self.folder / LEARNED)["images"])

    @property
    def ranks(self) -> bool:
        """Whether the raw outputs are scores to rank by, rather than probabilities."""
        return self.config.model.head != "multi"

    @property
    def preprocess(self) -> Preprocess:
        """How an image becomes its input."""
        return self.features.preprocess

    def features_of(
        self, images: Iterable[ImageSource], layers: tuple[str, ...], options: ReadOptions
    ) -> Iterator[tuple[str, dict[str, NDArray[np.float32]] | None, str | None]]:
        """Read image files through the exported graph, in order; its one layer is the logits.

        Yields
        ------
        (image, `OUTPUT` -> (1, V) logits, None), or (image, None, reason) if it cannot be read.
        """
        for item in extract(identify(images), self._runtime, layers=layers, options=options):
            if item.features:
                yield item.image, {k: v[None] for k, v in item.features[PLAIN].items()}, None
            else:
                yield item.image, None, item.reason

    def attributes(self, names: Sequence[str] | None = None) -> list[TrainedAttribute]:
        """Give the attributes asked for, or all, as a catalogue asks them.

        Raises
        ------
        InputError
            If the model has no attribute of a name.
        """
        from gingham.training.attribute import TrainedAttribute

        return [TrainedAttribute(self, one) for one in self.vocabulary.chosen(names)]

    @cached_property
    def _runtime(self) -> ExportedRuntime:
        """The exported graph, to be run as a backbone of one layer, the logits."""
        config = FeatureConfig(
            self.config.model.backbone,
            self.fingerprint,
            self.features.preprocess,
            (Layer(OUTPUT, len(self.vocabulary)),),
        )
        return ExportedRuntime(self.folder / GRAPH, config)

    def answers(self, logits: NDArray[np.floating]) -> Answers:
        """Decide for (N, V) logits, with the scores that the head is measured by."""
        return self.calibration.answers(logits, ranked=logits if self.ranks else None)

    @cached_property
    def torch_model(self) -> TorchModel:
        """Build the network in torch, from the stored weights alone.

        Raises
        ------
        CatalogueError
            If the weights do not fit the network.
        """
        from safetensors.torch import load_file

        from gingham.training.networks import Planar, last_convolution, rebuild

        weights = load_file(self.folder / WEIGHTS)
        try:
            network = rebuild(self.config.model, self.features, len(self.vocabulary), weights)
        except RuntimeError as error:
            raise CatalogueError(f"{self.folder / WEIGHTS} does not fit: {error}") from None
        return TorchModel(
            Planar(network).eval(),
            last_convolution(network),
            self.features.preprocess,
            network.views(self.features.preprocess.size),
            self.vocabulary,
        )


def write_config(folder: Path, config: TrainConfig, features: FeatureConfig) -> None:
    """Seal a folder whose other files are there: their SHA-256, and the fingerprint of all."""
    said: dict[str, Any] = {
        "format": FORMAT,
        "config": config.to_dict(),
        "features": features.to_dict(),
        "files": {name: file_digest(folder / name) for name in (*FILES, LEARNED)},
    }
    # As JSON gives it back: the fingerprint is compared with what is read.
    said = json.loads(json.dumps(said))
    write_json(folder / CONFIG, said | {"fingerprint": fingerprint_of(said)})


def fingerprint_of(said: dict[str, Any]) -> str:
    """Sixteen hexadecimal digits of a config without its own fingerprint."""
    rest = {key: value for key, value in said.items() if key != "fingerprint"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
