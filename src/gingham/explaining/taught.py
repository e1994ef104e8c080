"""Taught attributes explained: predictions, and the influence of each place on their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gingham.attributes.registry import Attributes
from gingham.attributes.taught import TaughtAttribute
from gingham.backbones.runtime import MapRuntime, Runtime
from gingham.backbones.table import FOREGROUND
from gingham.errors import ImageError, InputError
from gingham.explaining.explanation import PROJECTION, Explanation, ImageExplanations
from gingham.explaining.influence import add_up, position_influence, value_direction
from gingham.explaining.reading import (
    EVIDENCE,
    box_read,
    check_values,
    chosen_values,
    read_picture,
    without_itself,
)
from gingham.images import Box, resize
from gingham.operations.tag import predict
from gingham.options import ReadOptions
from gingham.results import Prediction
from gingham.store.truth import Truth


def explain_taught(
    truth: Truth,
    attributes: Attributes,
    runtime: Runtime,
    paths: Sequence[str | bytes],
    names: Sequence[str],
    values: Sequence[str],
    options: ReadOptions,
) -> Iterator[ImageExplanations]:
    """Explain images one after another; see `Catalogue.explain`."""
    if not isinstance(runtime, MapRuntime):
        raise InputError(
            f"the runtime of backbone {runtime.config.backbone!r} gives no maps, only features: "
            "so places in the image cannot be shown"
        )
    taught = [attributes.get(name) for name in names]
    check_values({attribute.name: attribute.values for attribute in taught}, values)
    # Not a generator itself: what is refused is refused before anything is written.
    return _explain_all(truth, attributes, runtime, paths, taught, values, options)


def _explain_all(
    truth: Truth,
    attributes: Attributes,
    runtime: MapRuntime,
    paths: Sequence[str | bytes],
    taught: Sequence[TaughtAttribute],
    values: Sequence[str],
    options: ReadOptions,
) -> Iterator[ImageExplanations]:
    names = [attribute.name for attribute in taught]
    # Those that only tell what is unknown have no say in a value's score.
    spaces = [attribute.voter.projection.space for attribute in taught]
    used = {layer.removesuffix(FOREGROUND) for space in spaces for layer, _, _ in space.blocks}
    layers = tuple(layer for layer in truth.layers if layer in used)
    how = truth.config.preprocess
    answers = predict(truth, attributes, paths, names, options.quiet, evidence=EVIDENCE + 1)
    for done, (image, answer) in enumerate(zip(paths, answers, strict=True), 1):
        try:
            if answer.error is not None:
                raise ImageError(answer.error)
            picture = read_picture(truth, image, how.size, options)
            square = resize(picture, how.size, interpolation=how.interpolation, crop=how.crop)
            maps = runtime.maps(square, layers)
            box = box_read(picture, how.crop)
            explanations = tuple(
                explanation
                for attribute in taught
                for explanation in _explain(
                    attribute,
                    *without_itself(
                        truth,
                        answer.predictions[attribute.name],
                        attributes.taught()[attribute.name],
                        image,
                    ),
                    values,
                    maps,
                    box,
                )
            )
            yield ImageExplanations(answer.image, explanations, np.asarray(picture))
        except ImageError as error:
            yield ImageExplanations(answer.image, error=str(error))
        options.progress("explain", done, len(paths))


def _explain(
    attribute: TaughtAttribute,
    prediction: Prediction,
    example: bool,
    values: Sequence[str],
    maps: dict[str, np.ndarray],
    box: Box,
) -> Iterator[Explanation]:
    chosen = chosen_values(prediction, values)
    scores, influences = position_influence(
        attribute.voter.projection.space,
        maps,
        [value_direction(attribute.voter, value) for value in chosen],
    )
    heats = add_up(influences)
    for number, value in enumerate(chosen):
        shares = {layer: float(np.abs(one[number]).mean()) for layer, one in influences.items()}
        whole = sum(shares.values()) or 1.0
        yield Explanation(
            attribute.name,
            value,
            prediction.values[value],
            prediction,
            PROJECTION,
            float(scores[number]),
            {layer: share / whole for layer, share in shares.items()},
            heats[number],
            box,
            example,
        )
