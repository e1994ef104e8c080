"""The library's results as answers: plain JSON, and nothing that a caller should not see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from fastapi.responses import Response

from gingham.cutoff import Cutoff
from gingham.results import Hit, ImagePredictions, TeachResult, Verdict
from gingham.service.attribute_schemas import TeachAnswer
from gingham.service.served import ServedCatalogue
from gingham.upkeep_results import AttributeInfo


def as_json(value: Mapping[str, Any], status: int = 200) -> Response:
    """Make an answer of plain values, none of which is NaN."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:  # file names that are not UTF-8 survive if they are escaped
        text = json.dumps(value, allow_nan=False).encode()
    return Response(text, status, media_type="application/json")


def hits_of(
    catalogue: ServedCatalogue, hits: Sequence[Hit], cutoff: Cutoff | None = None
) -> list[dict[str, Any]]:
    """Give hits with the confidence of their tags, and the best guesses."""
    tags = catalogue.tags_of([hit.id for hit in hits], cutoff)
    # Nothing is copied: an answer is written as JSON at once.
    return [
        vars(hit) | {"confidence": one.confidence, "best_guess": one.best_guess}
        for hit, one in zip(hits, tags, strict=True)
    ]


def prediction_of(catalogue: ServedCatalogue, prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Give a prediction, its examples by file and id."""
    evidence = []
    for one in prediction["evidence"]:
        image, image_id = catalogue.evidence_image(one["image"])
        evidence.append({**one, "image": image, "id": image_id})
    return {**prediction, "evidence": evidence}


def predictions_of(
    catalogue: ServedCatalogue, image: str, found: ImagePredictions
) -> dict[str, Any]:
    """Give the predictions of an image by its id."""
    said: dict[str, Any] = {
        "image": image,
        "predictions": {
            name: prediction_of(catalogue, one.to_dict()) for name, one in found.predictions.items()
        },
    }
    return said if found.error is None else said | {"error": found.error}


def attributes_of(
    catalogue: ServedCatalogue, infos: Mapping[str, AttributeInfo]
) -> dict[str, dict[str, Any]]:
    """Give attributes, each with its latest change; of a model only the folder's name."""
    changed = catalogue.latest_changes()
    return {
        name: info.to_dict()
        | {
            "model": info.model and Path(info.model).name,
            "verdict": _verdict_of(catalogue, info.verdict),
            "changed": changed.get(name),
        }
        for name, info in infos.items()
    }


def taught_of(catalogue: ServedCatalogue, result: TeachResult) -> dict[str, Any]:
    """Give what was learned, without folders of files that are not in the catalogue."""
    said = {
        name: value for name, value in result.to_dict().items() if name in TeachAnswer.model_fields
    }
    for one in said["contradictions"]:
        for name in ("image", "against"):
            one[name] = catalogue.evidence_image(one[name])[0]
    return said | {"verdict": _verdict_of(catalogue, result.verdict)}


def _verdict_of(catalogue: ServedCatalogue, verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    said = verdict.to_dict()
    for one in said["confusions"]:
        one["images"] = [catalogue.evidence_image(image)[0] for image in one["images"]]
    return said
