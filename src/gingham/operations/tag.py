"""Attributes applied to the whole catalogue, as a stream."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from gingham.attributes.attribute import Attribute, Features
from gingham.attributes.discriminant import blas_threads
from gingham.attributes.predictions import TagTable
from gingham.attributes.registry import Attributes
from gingham.attributes.settled_tags import Settling
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.index.filters import UNKNOWN
from gingham.options import ReadOptions
from gingham.results import Failure, TagResult
from gingham.store import ids as many
from gingham.store.features import ImageId
from gingham.store.ids import Ids
from gingham.store.truth import Truth

BATCH = 512
"""Images that are answered together."""

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
    limits = {one.name: attributes.limits(one, cutoff) for one in chosen}
    ids = truth.locations.ids()
    counts = {one.name: Counter(dict.fromkeys((*one.values, UNKNOWN), 0)) for one in chosen}
    failures: list[Failure] = []
    total, done = len(groups) * len(ids), 0
    for group in groups:
        before = {one.name: attributes.tags(one.name) or TagTable.joined(()) for one in group}
        # Where an attribute of the group has no tag, all answer again: the image is read once.
        tagged = np.ones(len(ids), bool)
        for tags in before.values():
            tagged &= tags.of_these(ids)
        known = np.sort(ids[tagged])
        kept = {name: tags.only(many.find(known, tags.ids) >= 0) for name, tags in before.items()}
        done += int(tagged.sum())
        for name, tags in kept.items():
            counts[name].update(tags.counts(UNKNOWN, limits[name]))
        if tagged.all() and all(
            (len(kept[name].ids), tags.limits) == (len(tags.ids), limits[name])
            for name, tags in before.items()
        ):
            # Written again, they would have to be taken into the search index again.
            options.progress("tag", done, total)
            continue
        with blas_threads(1), contextlib.ExitStack() as written:
            writers = {
                one.name: written.enter_context(attributes.writing_tags(one, limits[one.name]))
                for one in group
            }
            for name in writers if len(known) else ():
                for tags in attributes.read_tags(name):
                    writers[name].put(tags.only(many.find(known, tags.ids) >= 0))
            for batch in _answers(truth, attributes, group, ids[~tagged], failures, options):
                for name, tags in batch.items():
                    writers[name].put(tags)
                    counts[name].update(tags.counts(UNKNOWN, limits[name]))
                done += len(batch[group[0].name].ids)
                options.progress("tag", done, total)
    # What does not apply is known once all have answered, and so is what is above which values.
    settling = Settling(attributes)
    for name in counts:
        if name in attributes.schema.attributes and attributes.tagged(name) is not None:
            counts[name] = Counter(dict.fromkeys((*attributes.answers(name), UNKNOWN), 0))
            counts[name].update(settling.of(name).counts())
    images = len(ids) - len({failure.image for failure in failures})
    return TagResult(
        {name: dict(found) for name, found in counts.items()},
        images,
        time.perf_counter() - started,
        tuple(failures),
    )


def _answers(
    truth: Truth,
    attributes: Attributes,
    group: Sequence[Attribute],
    ids: Ids,
    failures: list[Failure],
    options: ReadOptions,
) -> Iterator[dict[str, TagTable]]:
    """Give the tags of images, attribute -> tags, a batch at a time."""
    ways = {one.name: attributes.hierarchy(one.name, one.values) for one in group}

    def answer(batch: Ids, features: Features) -> dict[str, TagTable]:
        return {
            one.name: TagTable.of(batch, one.tags(features).down(ways[one.name])) for one in group
        }

    def answer_shard(batch: Ids, features: Features) -> list[dict[str, TagTable]]:
        parts = [slice(start, start + BATCH) for start in range(0, len(batch), BATCH)]
        return [answer(batch[x], {name: f[x] for name, f in features.items()}) for x in parts]

    if group[0].reader is None:
        # Many small products of matrices: two threads do twice as much as one.
        for batches in truth.features.worked(answer_shard, group[0].layers, ids):
            yield from batches
        return
    for batch, features in _read_again(truth, group[0], ids, failures, options):
        yield answer(many.from_list(batch), features)


def _read_again(
    truth: Truth, first: Attribute, ids: Ids, failures: list[Failure], options: ReadOptions
) -> Iterator[Batch]:
    assert first.reader is not None  # or the features would do
    images = [truth.stored(image_id) for image_id in many.to_list(ids)]
    read = first.reader.features_of(images, first.layers, options.quiet)
    before, found = len(failures), False
    batch, rows = [], []
    for image, (_, row, reason) in zip(images, read, strict=True):
        if row is None:
            failures.append(Failure(image.files[0], reason or "cannot be read"))
        else:
            batch.append(image.id)
            rows.append(row)
        if len(batch) == BATCH:
            yield batch, _stacked(rows)
            batch, rows, found = [], [], True
    if batch:
        yield batch, _stacked(rows)
    elif images and len(images) == len(truth.locations.images) and not found:
        why = [f": {one.image}: {one.reason}" for one in failures[before:][:1]]
        raise InputError(f"no image of the catalogue can be read{''.join(why)}")


def _stacked(rows: Sequence[Features]) -> Features:
    return {layer: np.concatenate([row[layer] for row in rows]) for layer in rows[0]}
