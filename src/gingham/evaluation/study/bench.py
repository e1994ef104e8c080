"""One attribute seen through one backbone: its experiments, as JSON for the ledger."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gingham.errors import InputError
from gingham.evaluation.study.accuracy import Accuracy, knn_accuracy, make_folds, taught_accuracy
from gingham.evaluation.study.checks import Rows
from gingham.evaluation.study.clustering import cluster_agreement, fitting_parameters
from gingham.evaluation.study.examples import StudyAttribute
from gingham.evaluation.study.reading import POOLINGS, StudyFeatures
from gingham.evaluation.study.reduction import reduced_accuracy, umap_map
from gingham.evaluation.study.retrieval import look_vectors, value_agreement
from gingham.index.looks import LookSpace, builtin_looks
from gingham.settings import Seed, settings
from gingham.store.features import ImageId

MAP_POINTS = 2000
"""A map of more images shows this many, drawn at random."""

PAPER, GROUPED = "as the paper", "groups kept together"


@settings
class Setting:
    """Options of a study.

    Attributes
    ----------
    folds, seed : of the cross-validation; the seed is also that of UMAP and of the drawn queries.
    neighbours : k of the nearest neighbours.
    level : significance level of the tests whether a layer is worse than the best.
    margin : how much accuracy a cheaper layer may lose against the best and still be chosen.
    looks : the weights of colour and texture in a search by both.
    max_images : of an attribute with more, so many are studied; 0: all. Time and memory of the
        maps and clusters grow faster than the images.
    """

    folds: int = Field(default=5, ge=2)
    neighbours: int = Field(default=5, ge=1)
    seed: Seed = 0
    level: float = Field(default=0.05, gt=0.0, lt=1.0)
    margin: float = Field(default=0.03, ge=0.0)
    looks: Mapping[str, float] = Field(default={"colour": 1.0, "texture": 1.0})
    max_images: int = Field(default=5_000, ge=0)

    @property
    def searches(self) -> dict[str, dict[str, float]]:
        """The searches compared: by each look alone, and by all of them."""
        alone = {name: {name: 1.0} for name in ("colour", "texture")}
        return alone | {"both": dict(self.looks)}


class Bench:
    """One attribute, one backbone.

    Parameters
    ----------
    attribute : the examples.
    features : of the backbone.
    images : the id of each image of the study.
    setting : folds, seed and the like.
    """

    def __init__(
        self,
        attribute: StudyAttribute,
        features: StudyFeatures,
        images: Sequence[ImageId],
        setting: Setting,
    ) -> None:
        self.attribute = attribute
        self.features = features
        self.ids = [images[row] for row in attribute.rows]
        self.setting = setting
        self.y = np.array(attribute.values)
        self.values, self.labels = np.unique(self.y, return_inverse=True)

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Everything that decides the results of all experiments here."""
        data = [[i.hex() for i in self.ids], self.attribute.values, self.attribute.groups]
        return {
            "data": hashlib.sha256(json.dumps(data).encode()).hexdigest(),
            "features": self.features.fingerprint,
            "folds": self.setting.folds,
            "neighbours": self.setting.neighbours,
            "seed": self.setting.seed,
        }

    @property
    def protocol(self) -> str:
        """The protocol that decides."""
        return deciding_protocol(self.attribute.groups is not None)

    @cached_property
    def protocols(self) -> dict[str, list[Rows]]:
        """Name -> folds."""
        setting = self.setting
        made = {PAPER: make_folds(self.y, folds=setting.folds, seed=setting.seed)}
        if self.attribute.groups is not None:
            made[GROUPED] = make_folds(
                self.y, self.attribute.groups, folds=setting.folds, seed=setting.seed
            )
        return made

    def means(self, layer: str) -> NDArray[np.float32]:
        """Channel means of one layer: (N, C)."""
        return self.features.layer(self.ids, layer, "mean")

    def accuracy(self, layer: str) -> dict[str, Any]:
        """Pooling -> protocol -> accuracy of one layer."""
        blocks = {pooling: self.features.layer(self.ids, layer, pooling) for pooling in POOLINGS}
        return {
            pooling: {
                protocol: _plain(knn_accuracy(X, self.y, folds, neighbours=self.setting.neighbours))
                for protocol, folds in self.protocols.items()
            }
            for pooling, X in blocks.items()
        }

    def taught(self) -> dict[str, Any]:
        """Protocol -> accuracy of gingham's own recipe on all layers."""
        pooled = self.features.pooled(self.ids)
        X = np.concatenate(list(pooled.values()), axis=1)
        ends = np.cumsum([block.shape[1] for block in pooled.values()])
        blocks = [
            (layer, int(end) - block.shape[1], int(end))
            for (layer, block), end in zip(pooled.items(), ends, strict=True)
        ]
        made = {}
        for protocol, folds in self.protocols.items():
            groups = self.attribute.groups if protocol == GROUPED else None
            result = taught_accuracy(X, self.y, folds, blocks=blocks, groups=groups)
            assert result.probabilities is not None
            made[protocol] = _plain(result) | {
                "probabilities": np.round(result.probabilities, 4).tolist()
            }
        return made

    def clustering(self, layer: str) -> dict[str, Any]:
        """HDBSCAN on one layer, with the paper's parameters if the set is large enough."""
        return asdict(
            cluster_agreement(self.means(layer), self.y, parameters=fitting_parameters(self.y))
        )

    def map(self, layer: str) -> dict[str, Any]:
        """Lay one layer out in two dimensions: examples, x and y from 0 to 1."""
        rows = np.arange(len(self.y))
        if len(rows) > MAP_POINTS:
            rng = np.random.default_rng(self.setting.seed)
            rows = np.sort(rng.choice(rows, MAP_POINTS, replace=False))
        points = umap_map(self.means(layer)[rows], seed=self.setting.seed).astype(np.float64)
        low, high = points.min(axis=0), points.max(axis=0)
        points = (points - low) / np.maximum(high - low, 1e-12)
        x, y = np.round(points, 3).T.tolist()
        return {"rows": rows.tolist(), "x": x, "y": y}

    def reduction(self, layer: str, method: str, dimensions: Sequence[int]) -> list[dict[str, Any]]:
        """A part of Table 2 for one layer."""
        results = reduced_accuracy(
            self.means(layer),
            self.y,
            self.protocols[self.protocol],
            groups=self.attribute.groups,
            dimensions=dimensions,
            methods=[method],
            neighbours=self.setting.neighbours,
            seed=self.setting.seed,
        )
        return [
            {"method": r.method, "dimensions": r.dimensions, "folds": r.accuracy.folds.tolist()}
            for r in results
        ]

    def retrieval(self) -> dict[str, Any] | None:
        """Search -> agreement of values over all queries; None where no query can succeed."""
        space = look_space(self.features)
        pooled = self.features.pooled(self.ids)
        made = {}
        for name, weights in self.setting.searches.items():
            queries, gallery = look_vectors(space, pooled, weights)
            try:
                made[name] = asdict(
                    value_agreement(queries, gallery, self.y, groups=self.attribute.groups)
                )
            except InputError:
                return None
        return made


def deciding_protocol(grouped: bool) -> str:
    """Name the protocol that decides: with groups, the one that keeps them together."""
    return GROUPED if grouped else PAPER


def look_space(features: StudyFeatures) -> LookSpace:
    """The built-in looks of a backbone."""
    return LookSpace(
        builtin_looks(
            [(x.name, x.channels) for x in features.config.hidden], features.config.foreground
        )
    )


def _plain(result: Accuracy) -> dict[str, Any]:
    return {"folds": result.folds.tolist(), "predicted": result.predicted.tolist()}
