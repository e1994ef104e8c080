"""Attributes applied to the whole catalogue, as a stream."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import numpy as np

from gingham.attributes.attribute import Attribute, Features
from gingham.attributes.cutoffs import limits_of
from gingham.attributes.discriminant import blas_threads
from gingham.attributes.registry import Attributes
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.index.filters import UNKNOWN
from gingham.options import ReadOptions
from gingham.results import Failure, TagResult
from gingham.store.features import ImageId
from gingham.store.truth import Truth

BATCH = 512
"""Images whose files are read again that are answered together."""

Batch = tuple[list[ImageId], Features]


def tag(
    truth: Truth,
    attributes: Attributes,
    names: Sequence[str] | None,
    options: ReadOptions,
    cutoff: Cutoff | None = None,
) -> TagResult:
    """Tag every image with the named attributes, or all; see `Catalogue.tag`.

    Raises
    ------
    InputError
        If files must be read again and not one can be.
    """
    started = time.perf_counter()
    chosen = attributes.attributes(names)
    # What the catalogue keeps is read column by column; a model reads an image once for all.
    groups = [[one] for one in chosen if one.reader is None]
    readers = {id(one.reader): one.reader for one in chosen if one.reader is not None}
    groups += [[one for one in chosen if id(one.reader) == key] for key in readers]
    limits = {one.name: limits_of(one, cutoff) for one in chosen}
    counts = {one.name: dict.fromkeys((*one.values, UNKNOWN), 0) for one in chosen}
    failures: list[Failure] = []
    total, done = len(groups) * len(truth.locations.images), 0
    for group in groups:
        with blas_threads(1), contextlib.ExitStack() as written:
            puts = [
                (one, written.enter_context(attributes.writing_tags(one, limits[one.name])))
                for one in group
            ]
            for ids, features in _batches(truth, group, failures, options):
                for one, put in puts:
                    tags = one.tags(features)
                    put(ids, tags)
                    sure = zip(tags.values, tags.confidence.tolist(), strict=True)
                    for answer, confidence in sure:
                        kept = answer if limits[one.name].keep(answer, confidence) else []
                        for value in kept or [UNKNOWN]:
                            counts[one.name][value] += 1
                done += len(ids)
                options.progress("tag", done, total)
    images = len(truth.locations.images) - len({failure.image for failure in failures})
    return TagResult(counts, images, time.perf_counter() - started, tuple(failures))


def stored_features(truth: Truth, layers: Sequence[str]) -> Iterator[Batch]:
    """Give the ids and the features of the images that are in the catalogue, a batch at a time."""
    for ids, features in truth.features.batches(layers):
        live = [row for row, image_id in enumerate(ids) if image_id in truth.locations.images]
        if len(live) == len(ids):
            yield ids, features
        elif live:
            yield [ids[row] for row in live], {k: v[live] for k, v in features.items()}


def _batches(
    truth: Truth, group: Sequence[Attribute], failures: list[Failure], options: ReadOptions
) -> Iterator[Batch]:
    first = group[0]
    if first.reader is None:
        yield from stored_features(truth, first.layers)
        return
    images = [truth.stored(image_id) for image_id, _ in truth.locations.image_files()]
    read = first.reader.features_of(images, first.layers, options.quiet)
    before, found = len(failures), False
    ids, rows = [], []
    for image, (_, row, reason) in zip(images, read, strict=True):
        if row is None:
            failures.append(Failure(image.files[0], reason or "cannot be read"))
        else:
            ids.append(image.id)
            rows.append(row)
        if len(ids) == BATCH:
            yield ids, _stacked(rows)
            ids, rows, found = [], [], True
    if ids:
        yield ids, _stacked(rows)
    elif images and not found:
        why = [f": {one.image}: {one.reason}" for one in failures[before:][:1]]
        raise InputError(f"no image of the catalogue can be read{''.join(why)}")


def _stacked(rows: Sequence[Features]) -> Features:
    return {layer: np.concatenate([row[layer] for row in rows]) for layer in rows[0]}
