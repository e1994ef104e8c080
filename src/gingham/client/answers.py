"""Answers of a server, made into the results that a `Catalogue` gives."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gingham.explaining.explanation import Explanation
from gingham.labels import Labels
from gingham.results import Failure, ImagePredictions, Prediction, TeachResult

Answer = Mapping[str, Any]


def predictions_of(name: str, said: Answer) -> ImagePredictions:
    """Make all predictions of an image, by the name that its caller gave it."""
    found = said.get("predictions", {})
    return ImagePredictions(
        name, {x: Prediction.from_dict(one) for x, one in found.items()}, said.get("error")
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
        prediction=Prediction.from_dict(said["prediction"]),
        method=said["method"],
        score=said["score"],
        layers=said["layers"],
        heat=values.reshape(heat["rows"], heat["columns"]),
        box=(left, top, right, bottom),
        example=said["example"],
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
    return TeachResult.from_dict(
        {
            **said,
            "unlabelled": labels.unlabelled,
            "failures": (*labels.failures, *failures),
            "variants": (),
            "merged": False,
            "seconds": seconds,
            "bad_rows": labels.bad_rows,
            **labels.listed,
        }
    )
