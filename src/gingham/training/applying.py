"""A trained model used where a taught attribute is: on images, and on a whole catalogue.

A catalogue keeps pooled features only, and a model reads maps at a size of its own: so its images
are read again, from their files, through the exported graph.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gingham.catalogue import Catalogue
from gingham.errors import InputError
from gingham.index.tags import UNKNOWN
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import Failure, ImagePredictions, TagResult
from gingham.training.trained import TrainedModel
from gingham.training.vocabulary import NO, YES, ModelAttribute


@dataclass(frozen=True)
class ModelTagResult(TagResult):
    """`TagResult`, and the images whose file could not be read: they carry no tag of the model."""

    model: str
    failures: tuple[Failure, ...]


def predict_images(
    model: TrainedModel,
    images: Sequence[str],
    *,
    attributes: Sequence[str] | None = None,
    options: ReadOptions = DEFAULTS,
) -> Iterator[ImagePredictions]:
    """Answer for image files, in order.

    Raises
    ------
    InputError
        If the model has no attribute of a name asked for.
    """
    model.vocabulary.chosen(attributes)
    found = model.logits(images, options=options)
    for done, (image, logits, reason) in enumerate(found, 1):
        if logits is None:
            yield ImagePredictions(image, error=reason)
        else:
            yield ImagePredictions(image, model.predictions(logits[None], attributes)[0])
        options.progress("predict", done, len(images))


def resolve_images(shop: Catalogue, images: Iterable[str]) -> list[str]:
    """Take files as they are, and of ids in the catalogue the first file."""
    known = shop.images()
    return [known[image][0] if image in known else image for image in images]


def tag_catalogue(
    shop: Catalogue,
    model: TrainedModel,
    *,
    attributes: Sequence[str] | None = None,
    options: ReadOptions = DEFAULTS,
) -> ModelTagResult:
    """Tag every image of a catalogue with a model's answers.

    Raises
    ------
    InputError
        If the model has no attribute of a name asked for, or no image can be read.
    """
    started = time.perf_counter()
    chosen = model.vocabulary.chosen(attributes)
    images = shop.images()
    ids, rows, failures = [], [], []
    found = model.logits((files[0] for files in images.values()), options=options)
    for done, (image_id, (image, logits, reason)) in enumerate(zip(images, found, strict=True), 1):
        if logits is None:
            failures.append(Failure(image, str(reason)))
        else:
            ids.append(image_id)
            rows.append(logits)
        options.progress("tag", done, len(images))
    if not rows:
        first = f": {failures[0].image}: {failures[0].reason}" if failures else ""
        raise InputError(f"no image of catalogue {shop.folder} can be read{first}")
    answers = model.answers(np.stack(rows))
    counts = {}
    for attribute in chosen:
        columns = model.vocabulary.columns[attribute.name]
        said = [_said(attribute, given) for given in answers.given[:, columns]]
        sure = answers.certainty(attribute.kind, columns).mean(1).tolist()
        values = possible(attribute)
        shop.put_tags(
            attribute.name,
            dict(zip(ids, zip(said, sure, strict=True), strict=True)),
            kind="multi" if attribute.kind == "multi" else "single",
            values=values,
            model=model.fingerprint,
        )
        counts[attribute.name] = dict.fromkeys((*values, UNKNOWN), 0)
        for given in said:
            for value in given or [UNKNOWN]:
                counts[attribute.name][value] += 1
    return ModelTagResult(
        counts,
        len(rows),
        time.perf_counter() - started,
        model.fingerprint,
        tuple(failures),
    )


def possible(attribute: ModelAttribute) -> tuple[str, ...]:
    """All values that an attribute's answers may hold."""
    return (YES, NO) if attribute.kind == "binary" else attribute.values


def _said(attribute: ModelAttribute, given: np.ndarray) -> list[str]:
    if attribute.kind == "binary":
        return [YES if given[0] else NO]
    return [value for value, there in zip(attribute.values, given, strict=True) if there]
