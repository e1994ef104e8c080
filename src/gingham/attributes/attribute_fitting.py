"""The features of an attribute's examples, and of views of them -> a taught attribute."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.background import Background
from gingham.attributes.discriminant import blas_threads
from gingham.attributes.multi_learner import MultiLearner
from gingham.attributes.single_learner import SingleLearner
from gingham.attributes.taught import TaughtAttribute, stamp_of
from gingham.attributes.unknown import ALLOWED_LOSS
from gingham.attributes.verdict import PRECISION, judge, judge_multi
from gingham.backbones.table import FeatureConfig
from gingham.errors import InputError
from gingham.extract import View
from gingham.results import Contradiction, Verdict
from gingham.store.examples import Example, Taught
from gingham.store.features import ImageId
from gingham.store.truth import Truth

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


ALL_VIEWS = _VIEWS + _CORNERS
"""Every further view that examples may have."""


def views_for(examples: int, values: int) -> tuple[View, ...]:
    """Say in which further views the pictures of examples are read.

    The fewer examples a value has, the more its views help, and the less they cost:
    docs/benchmarks.md says how much. Beyond 40 per value they only take time.
    """
    if examples <= 7 * values:
        return ALL_VIEWS
    return _VIEWS if examples <= 40 * values else ()


def view_id(image_id: ImageId, view: View) -> ImageId:
    """The id under which the features of a view of an image are kept."""
    return hashlib.sha256(image_id + repr((view.box, view.mirror)).encode()).digest()


def join(
    features: Mapping[str, NDArray[np.floating]], layers: Sequence[str]
) -> NDArray[np.floating]:
    """Join layers side by side: (N, sum of 2C)."""
    return np.concatenate([features[layer] for layer in layers], axis=1)


def blocks(config: FeatureConfig, layers: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """Say which columns of `join` are which layer: (layer, first column, end column)."""
    widths = config.widths
    ends = np.cumsum([widths[layer] for layer in layers])
    return tuple(
        (layer, int(end) - widths[layer], int(end)) for layer, end in zip(layers, ends, strict=True)
    )


@dataclass(frozen=True)
class Fitted:
    """What came of fitting an attribute.

    Attributes
    ----------
    attribute : ready to predict.
    learner : what made it, with what was measured on the examples.
    """

    attribute: TaughtAttribute
    learner: SingleLearner | MultiLearner

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Pairs of examples to look at."""
        return self.attribute.contradictions or ()


def fit(truth: Truth, name: str, taught: Taught, background: Background) -> Fitted:
    """Fit an attribute on its examples' features, and on their views where there are any."""
    rows = [example for example in taught.examples for _ in _said(example, taught.kind)]
    labels = [value for example in taught.examples for value in _said(example, taught.kind)]
    read = views_for(len(rows), len(taught.values))
    views = [
        (number, view_id(example.id, view))
        for number, example in enumerate(rows)
        for view in read
        if view_id(example.id, view) in truth.views
    ]
    lost = [example for example in rows if example.id not in truth.features]
    if lost:
        raise InputError(
            f"{len(lost)} examples of {name!r} have no features, the first is {lost[0].image}: "
            "gingham compact deletes those of removed images that are no examples; teach them again"
        )

    def features() -> NDArray[np.floating]:
        X = truth.features.joined([e.id for e in rows], truth.layers)
        if not views:
            return X
        return np.concatenate([X, truth.views.joined([key for _, key in views], truth.layers)])

    numbers = [*range(len(rows)), *(number for number, _ in views)]
    groups = [rows[number].group for number in numbers]
    is_view = np.arange(len(numbers)) >= len(rows)
    chosen = taught.layers if isinstance(taught.layers, str) else list(taught.layers)
    given: dict[str, Any] = {"blocks": blocks(truth.config, truth.layers), "layers": chosen}
    learner: SingleLearner | MultiLearner
    if taught.kind == "multi":
        learner = MultiLearner(**given)
    else:
        allowed = ALLOWED_LOSS if taught.allowed_loss is None else taught.allowed_loss
        learner = SingleLearner(**given, allowed_loss=allowed)
    # The learner orders the features, and lets go of them as they came: none are kept here.
    with blas_threads(1):
        if isinstance(learner, MultiLearner):
            values = taught.values
            table = [[_said_of(rows[number], value) for value in values] for number in numbers]
            said = np.array(table, float)
            learner.fit(features(), said, classes=values, groups=groups, views=is_view)
        else:
            y = np.array([labels[number] for number in numbers], dtype=np.str_)
            known = background.features()
            learner.fit(features(), y, groups=groups, views=is_view, background=known)
    attribute = TaughtAttribute(
        name,
        taught.kind,
        stamp_of(truth.config, taught),
        learner.voter_,
        tuple(
            (example.image, tuple(v for v, there in example.values.items() if there))
            if taught.kind == "multi"
            else (example.image, (label,))
            for example, label in zip(rows, labels, strict=True)
        ),
        len(taught.examples),
        _verdict(learner, rows, taught),
        learner.checked_,
    )
    doubted = _contradictions(attribute, learner)
    return Fitted(replace(attribute, contradictions=doubted), learner)


def _verdict(
    learner: SingleLearner | MultiLearner, rows: Sequence[Example], taught: Taught
) -> Verdict:
    held = [rows[row] for row in learner.held_out_rows_]
    # Where no others came later, all are the first.
    later = any(example.id not in taught.first for example in held)
    first = [i for i, example in enumerate(held) if later and example.id in taught.first]
    values, images = [str(value) for value in learner.classes_], [one.image for one in held]
    checked, probabilities = learner.checked_, learner.held_out_probabilities_
    answered = checked.met(checked.least(len(values), PRECISION))[0]
    if isinstance(learner, MultiLearner):
        return judge_multi(values, learner.held_out_truth_, probabilities, images, answered, first)
    return judge(values, learner.held_out_truth_, probabilities, images, answered, first)


def _contradictions(
    attribute: TaughtAttribute, learner: SingleLearner | MultiLearner
) -> tuple[Contradiction, ...]:
    found = []
    for item in learner.contradictions_:
        against = item.against[0] if item.against else item.row
        found.append(
            Contradiction(
                attribute.rows[item.row][0],
                str(item.value),
                attribute.rows[against][0],
                str(item.other),
                item.reason,
            )
        )
    return tuple(found)


def _said(example: Example, kind: str) -> list[str]:
    """List what one example teaches, a row each: of kind `single` each value is a row."""
    return [""] if kind == "multi" else [v for v, present in example.values.items() if present]


def _said_of(example: Example, value: str) -> float:
    return float(example.values[value]) if value in example.values else np.nan
