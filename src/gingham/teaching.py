"""The taught attributes of a catalogue: fitted from the examples, kept beside them, rebuildable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.attributes import AttributeClassifier, MultiAttributeClassifier
from gingham.backbones import FeatureConfig
from gingham.errors import CatalogueError, InputError
from gingham.examples import Example, ExampleLog, Taught
from gingham.extract import View
from gingham.features import FeatureStore, ImageId
from gingham.results import Contradiction, Evidence, Prediction
from gingham.storage import read_json, replace_file, write_json

UNKNOWN = "unknown"
KINDS = ("single", "multi")

_PREDICTIONS = pa.schema(
    [
        pa.field("id", pa.binary(32), nullable=False),
        # Empty: unknown. Of kind `single` one value at most.
        pa.field("values", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
    ]
)


def view_id(image_id: ImageId, view: View) -> ImageId:
    """The id under which the features of a view of an image are kept."""
    return hashlib.sha256(image_id + repr((view.box, view.mirror)).encode()).digest()


def join(
    features: Mapping[str, NDArray[np.floating]], layers: Sequence[str]
) -> NDArray[np.float32]:
    """Join layers side by side: (N, sum of 2C) float32."""
    return np.concatenate([features[layer] for layer in layers], axis=1, dtype=np.float32)


def blocks(config: FeatureConfig, layers: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Say which columns of `join` are which layer: (layer, first column, end column)."""
    widths = {layer.name: 2 * layer.channels for layer in config.layers}
    ends = np.cumsum([widths[layer] for layer in layers])
    return tuple(
        (layer, int(end) - widths[layer], int(end)) for layer, end in zip(layers, ends, strict=True)
    )


def check_attribute_name(name: str) -> str:
    """Return a usable attribute name.

    Raises
    ------
    InputError
        If it is empty, or would not be read back from `--where NAME=VALUE`.
    """
    if not name.strip() or name != name.strip() or any(c in name for c in "=!\n\r\0"):
        raise InputError(
            f"attribute name {name!r} cannot be used: give a word, without = or ! in it"
        )
    return name


@dataclass(frozen=True)
class TaughtAttribute:
    """An attribute ready to predict.

    Attributes
    ----------
    name, kind : as taught.
    stamp : differs whenever the examples, the layers asked for or the features' making differ.
    classifier : fitted on the features of `layers`.
    examples : the file of each row that the classifier was fitted on.
    """

    name: str
    kind: str
    stamp: str
    classifier: AttributeClassifier | MultiAttributeClassifier
    example_images: tuple[str, ...]
    example_values: tuple[tuple[str, ...], ...]
    count: int

    @property
    def layers(self) -> tuple[str, ...]:
        """The hidden layers it reads."""
        return tuple(self.classifier.layers_)

    @property
    def values(self) -> tuple[str, ...]:
        """The values it tells apart."""
        return tuple(str(value) for value in self.classifier.classes_)
