"""Attributes applied: to single images as they come, and to the whole catalogue as a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.discriminant import blas_threads
from gingham.attributes.registry import Attributes
from gingham.attributes.taught import TaughtAttribute
from gingham.images import ImageSource
from gingham.index.tags import UNKNOWN
from gingham.options import ReadOptions
from gingham.results import ImagePredictions, TagResult
from gingham.store.features import ImageId
from gingham.store.truth import Truth


def predict(
    truth: Truth,
    attributes: Attributes,
    paths: Sequence[ImageSource],
    names: Sequence[str],
    options: ReadOptions,
    *,
    evidence: int = 5,
) -> Iterator[ImagePredictions]:
    """Predict images one after another, with so many examples; see `Catalogue.predict`."""
    taught = [attributes.get(name) for name in names]
    used = {layer for attribute in taught for layer in attribute.layers}
    # Without any attribute an image is still read, to say whether it can be.
    layers = tuple(x for x in truth.layers if x in used) or truth.layers[:1]
    for done, (image, features, reason) in enumerate(truth.features_of(paths, layers, options), 1):
        if features is None:
            yield ImagePredictions(image, error=reason)
        else:
            predictions = {a.name: a.predict(features, evidence=evidence)[0] for a in taught}
            yield ImagePredictions(image, predictions)
        options.progress("predict", done, len(paths))


def tag(
    truth: Truth,
    attributes: Attributes,
    names: Sequence[str],
    options: ReadOptions,
) -> TagResult:
    """Tag every image with the named attributes; see `Catalogue.tag`."""
    started = time.perf_counter()
    counts: dict[str, dict[str, int]] = {}
    for number, name in enumerate(names):
        attribute = attributes.get(name)
        count = dict.fromkeys((*attribute.values, UNKNOWN), 0)
        counts[name] = count
        with blas_threads(1):
            attributes.write_predictions(
                attribute, _answers(truth, attribute, count, number, len(names), options)
            )
    return TagResult(counts, len(truth.locations.images), time.perf_counter() - started)


def _answers(
    truth: Truth,
    attribute: TaughtAttribute,
    count: dict[str, int],
    number: int,
    total: int,
    options: ReadOptions,
) -> Iterator[tuple[list[ImageId], list[list[str]], NDArray[np.floating]]]:
    done = number * len(truth.locations.images)
    for ids, features in truth.features.batches(attribute.layers):
        live = [row for row, image_id in enumerate(ids) if image_id in truth.locations.images]
        if not live:
            continue
        if len(live) < len(ids):
            features = {layer: block[live] for layer, block in features.items()}
        values, confidence = attribute.tags(features)
        for answer in values:
            for value in answer or [UNKNOWN]:
                count[value] += 1
        done += len(live)
        options.progress("tag", done, total * len(truth.locations.images))
        yield [ids[row] for row in live], values, confidence
