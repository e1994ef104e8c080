"""One attribute as it was taught: fitted on its examples, saved, and asked."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes import AttributeClassifier, Votes
from gingham.backbones import FeatureConfig
from gingham.errors import CatalogueError
from gingham.examples import Example, Taught
from gingham.extract import View
from gingham.features import ImageId
from gingham.multi import MultiAttributeClassifier, MultiVotes
from gingham.results import Contradiction, Evidence, Prediction
from gingham.storage import replace_file
from gingham.stores import Stores

VERSION = 1
"""Counts changes of the recipe: an attribute fitted by another version is fitted anew."""

_MIDDLE = (0.1, 0.1, 0.9, 0.9)
_VIEWS = (
    View("mirror", mirror=True),
    View("middle", _MIDDLE),
    View("middle, mirrored", _MIDDLE, mirror=True),
)
_CORNERS = (
    View("upper left", (0.0, 0.0, 0.8, 0.8)),
    View("upper right, mirrored", (0.2, 0.0, 1.0, 0.8), mirror=True),
    View("lower left", (0.0, 0.2, 0.8, 1.0)),
    View("lower right", (0.2, 0.2, 1.0, 1.0)),
)


def views_for(examples: int, values: int) -> tuple[View, ...]:
    """Say how the pictures of examples are read, besides as they are.

    The fewer examples a value has, the more its views help, and the less they cost:
    docs/benchmarks.md says how much. Beyond 40 a value they only take time.
    """
    if examples <= 7 * values:
        return _VIEWS + _CORNERS
    return _VIEWS if examples <= 40 * values else ()


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


@dataclass(frozen=True)
class TaughtAttribute:
    """An attribute ready to predict.

    Attributes
    ----------
    name, kind : as taught.
    stamp : differs whenever the examples, the layers asked for or the features' making differ.
    all_layers : the columns that the classifier expects, in order.
    classifier : fitted.
    rows : the example behind each row that the classifier was fitted on: (file, its values).
    count : images it was taught with.
    """

    name: str
    kind: str
    stamp: str
    all_layers: tuple[str, ...]
    classifier: AttributeClassifier | MultiAttributeClassifier
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    count: int

    @property
    def layers(self) -> tuple[str, ...]:
        """The hidden layers it reads."""
        return tuple(self.classifier.layers_)

    @property
    def values(self) -> tuple[str, ...]:
        """The values it tells apart."""
        return tuple(str(value) for value in self.classifier.classes_)

    def project(self, features: Mapping[str, NDArray[np.floating]]) -> NDArray[np.float32]:
        """Map layer -> (N, 2C) to the look `attribute:NAME`: (N, d) float32 unit rows."""
        return self.classifier.transform(self._columns(features)).astype(np.float32, copy=False)

    def tags(
        self, features: Mapping[str, NDArray[np.floating]]
    ) -> tuple[list[list[str]], NDArray[np.float64]]:
        """Answer for N images: the values of each (none: unknown), and the (N,) confidences."""
        votes = self.classifier.vote(self._columns(features), k_evidence=1)
        return [answer or [] for answer in self._answers(votes)], votes.confidence

    def _answers(self, votes: Votes | MultiVotes) -> list[list[str] | None]:
        """List the values of each image; None where it is unknown."""
        names = self.values
        if isinstance(votes, Votes):
            return [[names[v]] if v >= 0 else None for v in votes.value]
        return [
            None if unknown else [names[v] for v in np.flatnonzero(present)]
            for present, unknown in zip(votes.present, votes.unknown, strict=True)
        ]

    def predict(
        self, features: Mapping[str, NDArray[np.floating]], *, evidence: int = 5
    ) -> list[Prediction]:
        """Answer for N images, with probabilities and the nearest examples."""
        votes = self.classifier.vote(self._columns(features), k_evidence=evidence)
        multi = self.kind == "multi"
        predictions = []
        for row, answer in enumerate(self._answers(votes)):
            shown = []
            for example, distance in zip(votes.evidence[row], votes.distance[row], strict=True):
                image, said = self.rows[example]
                shown.append(Evidence(image, list(said) if multi else said[0], float(distance)))
            order = np.argsort(-votes.probabilities[row], kind="stable")
            predictions.append(
                Prediction(
                    answer if multi or answer is None else answer[0],
                    float(votes.confidence[row]),
                    {self.values[v]: float(votes.probabilities[row, v]) for v in order},
                    tuple(shown),
                )
            )
        return predictions

    def contradictions(self) -> tuple[Contradiction, ...]:
        """Pairs of examples to look at, from the last fit; empty after loading."""
        found = []
        for item in getattr(self.classifier, "contradictions_", ()):
            against = item.against[0] if item.against else item.row
            found.append(
                Contradiction(
                    self.rows[item.row][0],
                    str(item.value),
                    self.rows[against][0],
                    str(item.other),
                    item.reason,
                )
            )
        return tuple(found)

    def save(self, path: Path) -> None:
        """Write everything but the contradictions to one `.npz` file without pickles."""
        head = {
            "name": self.name,
            "kind": self.kind,
            "stamp": self.stamp,
            "all_layers": self.all_layers,
            "rows": [(image, values) for image, values in self.rows],
            "count": self.count,
            "classifier": self.classifier.to_dict(),
        }
        arrays = self.classifier.to_arrays()
        text = np.frombuffer(json.dumps(head).encode(), np.uint8)
        replace_file(path, lambda p: _savez(p, {"head": text, **arrays}))

    @classmethod
    def load(cls, path: Path) -> TaughtAttribute:
        """Read what `save` wrote.

        Raises
        ------
        CatalogueError
            If it is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
            head = json.loads(arrays.pop("head").tobytes())
            kind = head["kind"]
            make = MultiAttributeClassifier if kind == "multi" else AttributeClassifier
            return cls(
                head["name"],
                kind,
                head["stamp"],
                tuple(head["all_layers"]),
                make.from_arrays(arrays, head["classifier"]),
                tuple((image, tuple(values)) for image, values in head["rows"]),
                head["count"],
            )
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise CatalogueError(f"{path} is damaged ({error})") from None

    def _columns(self, features: Mapping[str, NDArray[np.floating]]) -> NDArray[np.float32]:
        """Join all layers; those that the classifier does not read may be missing."""
        count = len(next(iter(features.values())))
        blocks = self.classifier.blocks
        assert blocks is not None
        joined = np.zeros((count, blocks[-1][2]), np.float32)
        for layer, first, end in blocks:
            if layer in features:
                joined[:, first:end] = features[layer]
        return joined


def fit(stores: Stores, name: str, taught: Taught) -> TaughtAttribute:
    """Fit an attribute on its examples' features, and on their views where there are any."""
    rows = [example for example in taught.examples for _ in _said(example, taught.kind)]
    labels = [value for example in taught.examples for value in _said(example, taught.kind)]
    views = [
        (number, view_id(example.id, view))
        for number, example in enumerate(rows)
        for view in views_for(len(rows), len(taught.values))
        if view_id(example.id, view) in stores.views
    ]
    X = join(stores.features.get([example.id for example in rows]), stores.layers)
    if views:
        X = np.concatenate([X, join(stores.views.get([key for _, key in views]), stores.layers)])
    numbers = [*range(len(rows)), *(number for number, _ in views)]
    groups = [rows[number].group for number in numbers]
    is_view = np.arange(len(numbers)) >= len(rows)
    chosen = taught.layers if isinstance(taught.layers, str) else list(taught.layers)
    make = MultiAttributeClassifier if taught.kind == "multi" else AttributeClassifier
    classifier = make(blocks=blocks(stores.config, stores.layers), layers=chosen)
    y: NDArray[Any]
    if isinstance(classifier, MultiAttributeClassifier):
        values = taught.values
        table = [[_said_of(rows[number], value) for value in values] for number in numbers]
        classifier.fit(X, np.array(table, float), classes=values, groups=groups, views=is_view)
    else:
        y = np.array([labels[number] for number in numbers], dtype=np.str_)
        classifier.fit(X, y, groups=groups, views=is_view)
    return TaughtAttribute(
        name,
        taught.kind,
        stamp_of(stores.config, taught),
        stores.layers,
        classifier,
        tuple(
            (example.image, tuple(v for v, there in example.values.items() if there))
            if taught.kind == "multi"
            else (example.image, (label,))
            for example, label in zip(rows, labels, strict=True)
        ),
        len(taught.examples),
    )


def stamp_of(config: FeatureConfig, taught: Taught) -> str:
    """Name a state of an attribute: all that decides how it is fitted."""
    said = [
        (example.id.hex(), sorted(example.values.items()), example.group)
        for example in taught.examples
    ]
    state = json.dumps([VERSION, config.fingerprint, taught.kind, taught.layers, said])
    return hashlib.sha256(state.encode()).hexdigest()[:16]


def _said(example: Example, kind: str) -> list[str]:
    """List what one example teaches, a row each: of kind `single` each value is a row."""
    return [""] if kind == "multi" else [v for v, present in example.values.items() if present]


def _said_of(example: Example, value: str) -> float:
    return float(example.values[value]) if value in example.values else np.nan


def _savez(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
