"""Answers of a server, made into the results that a `Catalogue` gives."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gingham.explaining.explanation import Explanation
from gingham.labels import Labels
from gingham.results import (
    Contradiction,
    Evidence,
    Facets,
    Failure,
    Hit,
    ImagePredictions,
    Prediction,
    TeachResult,
    Verdict,
)
from gingham.upkeep_results import AttributeInfo

Answer = Mapping[str, Any]


def hit_of(said: Answer) -> Hit:
    """Make a result of a search."""
    return Hit(
        image=said["image"],
        id=said["id"],
        score=said["score"],
        looks=said["looks"],
        attributes=said["attributes"],
        copies=tuple(said["copies"]),
    )


def prediction_of(said: Answer) -> Prediction:
    """Make what an attribute predicts."""
    return Prediction(
        value=said["value"],
        confidence=said["confidence"],
        values=said["values"],
        evidence=tuple(
            Evidence(one["image"], one["value"], one["distance"]) for one in said["evidence"]
        ),
        best_guess=said["best_guess"],
    )


def predictions_of(name: str, said: Answer) -> ImagePredictions:
    """Make all predictions of an image, by the name that its caller gave it."""
    found = said.get("predictions", {})
    return ImagePredictions(
        name, {attribute: prediction_of(one) for attribute, one in found.items()}, said.get("error")
    )


def explanation_of(said: Answer) -> Explanation:
    """Make an explanation, with its map."""
    heat = said["heat"]
    values = np.frombuffer(base64.b64decode(heat["values"]), "<f4").astype(np.float32)
    left, top, right, bottom = said["box"]
    return Explanation(
        attribute=said["attribute"],
        value=said["value"],
        confidence=said["confidence"],
        prediction=prediction_of(said["prediction"]),
        method=said["method"],
        score=said["score"],
        layers=said["layers"],
        heat=values.reshape(heat["rows"], heat["columns"]),
        box=(left, top, right, bottom),
        example=said["example"],
    )


def facets_of(said: Answer) -> Facets:
    """Make the numbers of images per value."""
    return Facets(said["images"], said["attributes"])


def attribute_of(said: Answer) -> AttributeInfo:
    """Make the description of an attribute."""
    return AttributeInfo(
        kind=said["kind"],
        values=tuple(said["values"]),
        examples=said["examples"],
        layers=tuple(said["layers"]),
        tagged=said["tagged"],
        model=said["model"],
        built_in=said["built_in"],
        verdict=said["verdict"] and Verdict.from_dict(said["verdict"]),
    )


def taught_of(
    said: Answer, labels: Labels, failures: Sequence[Failure], seconds: float
) -> TeachResult:
    """Make what was learned.

    Parameters
    ----------
    labels : what was read here.
    failures : of images that were sent.
    seconds : that it took.
    """
    return TeachResult(
        attribute=said["attribute"],
        kind=said["kind"],
        values=tuple(said["values"]),
        examples=said["examples"],
        layers=tuple(said["layers"]),
        accuracy=said["accuracy"],
        macro_f1=said["macro_f1"],
        folds=said["folds"],
        unlabelled=labels.unlabelled,
        failures=(*labels.failures, *failures),
        contradictions=tuple(Contradiction(**one) for one in said["contradictions"]),
        variants=(),
        merged=False,
        seconds=seconds,
        bad_rows=labels.bad_rows,
        verdict=said["verdict"] and Verdict.from_dict(said["verdict"]),
        **labels.listed,
    )
