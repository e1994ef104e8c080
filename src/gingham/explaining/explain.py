"""Images explained one after another: what each attribute answers, why, and where in the image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from gingham.attributes.attribute import Attribute
from gingham.attributes.registry import Attributes
from gingham.backbones.runtime import Runtime
from gingham.errors import ImageError
from gingham.explaining.explanation import Explanation, ImageExplanations
from gingham.explaining.picture import (
    EVIDENCE,
    CataloguePicture,
    box_read,
    check_values,
    chosen_values,
    without_itself,
)
from gingham.operations.predict import Answerable, predict, read_for
from gingham.options import ReadOptions
from gingham.results import Evidence, Hit
from gingham.store.truth import Truth

UNTAGGED = "no tag"


class Search(Protocol):
    """Finds the images of the catalogue that are most similar to one."""

    def __call__(self, images: str | bytes, *, n: int) -> Sequence[Hit]:
        """Give at most `n`."""


def explain(
    attributes: Sequence[Attribute],
    truth: Truth,
    registry: Attributes,
    runtime: Callable[[], Runtime],
    search: Search,
    images: Sequence[str | bytes],
    values: Sequence[str],
    options: ReadOptions,
) -> Iterator[ImageExplanations]:
    """Explain images one after another; see `Catalogue.explain`.

    Beside the answer of an attribute without examples stand the nearest examples of the taught
    attribute of the same name; without one, the most similar images of the catalogue and their
    tags.

    Parameters
    ----------
    attributes : that are explained.
    truth, registry : of the catalogue.
    runtime : gives its backbone.
    search : see `Search`.
    images, values, options : as for `Catalogue.explain`.
    """
    check_values({one.name: one.values for one in attributes}, values)
    # Not a generator itself: what is refused is refused before anything is written.
    for one in attributes:
        one.check_explainable(runtime())
    return _explain_all(attributes, truth, registry, runtime, search, images, values, options)


def _explain_all(
    attributes: Sequence[Attribute],
    truth: Truth,
    registry: Attributes,
    runtime: Callable[[], Runtime],
    search: Search,
    images: Sequence[str | bytes],
    values: Sequence[str],
    options: ReadOptions,
) -> Iterator[ImageExplanations]:
    mapped = {layer for one in attributes for layer in one.mapped_layers()}
    layers = tuple(layer for layer in truth.layers if layer in mapped)
    lacking = [one.name for one in attributes if one.needs == "pixels"]
    answers = read_for(attributes, truth, images, options)
    for done, (image, read) in enumerate(zip(images, answers, strict=True), 1):
        try:
            if read.reason is not None:
                raise ImageError(read.reason)
            picture = CataloguePicture(image, truth, runtime, layers, options)
            shown = _evidence(truth, registry, search, image, lacking, options)
            explanations = tuple(
                explanation
                for one in attributes
                for explanation in _explain(
                    one, truth, registry, image, read, picture, shown, values
                )
            )
            how = (attributes[0].reader or truth).preprocess
            yield ImageExplanations(read.image, explanations, np.asarray(picture.image(how.size)))
        except ImageError as error:
            yield ImageExplanations(read.image, error=str(error))
        options.progress("explain", done, len(images))


def _explain(
    attribute: Attribute,
    truth: Truth,
    registry: Attributes,
    image: str | bytes,
    read: Answerable,
    picture: CataloguePicture,
    shown: Mapping[str, tuple[Evidence, ...]],
    values: Sequence[str],
) -> Iterator[Explanation]:
    features = read.features[attribute.name]
    (prediction,) = attribute.answer(features, evidence=EVIDENCE + 1)
    example = False
    if attribute.name in shown:
        prediction = replace(prediction, evidence=shown[attribute.name])
    else:
        taught = registry.taught()[attribute.name]
        prediction, example = without_itself(truth, prediction, taught, image)
    how = (attribute.reader or truth).preprocess
    box = box_read(picture.image(how.size), how.crop)
    for found in attribute.explain(picture, features, chosen_values(prediction, values)):
        yield Explanation(
            attribute.name,
            found.value,
            prediction.values[found.value],
            prediction,
            attribute.method,
            found.score,
            found.layers,
            found.heat,
            box,
            example,
        )


def _evidence(
    truth: Truth,
    registry: Attributes,
    search: Search,
    image: str | bytes,
    names: Sequence[str],
    options: ReadOptions,
) -> dict[str, tuple[Evidence, ...]]:
    """Find what to show beside the answers of attributes without examples."""
    shown: dict[str, tuple[Evidence, ...]] = {}
    taught = [registry.taught_attribute(name) for name in names if name in registry.taught()]
    if taught:
        (answer,) = predict(taught, truth, [image], options.quiet, evidence=EVIDENCE + 1)
        for name, prediction in answer.predictions.items():
            others, _ = without_itself(truth, prediction, registry.taught()[name], image)
            shown[name] = others.evidence
    rest = [name for name in names if name not in shown]
    hits: Sequence[Hit] = ()
    if rest and truth.locations.images:
        own = truth.find(image)
        found = search(image, n=EVIDENCE + 1)
        hits = [hit for hit in found if own is None or hit.id != own.hex()][:EVIDENCE]
    for name in rest:
        shown[name] = tuple(
            Evidence(
                hit.image,
                hit.attributes.get(name, UNTAGGED),
                1 - sum(hit.looks.values()) / max(len(hit.looks), 1),
            )
            for hit in hits
        )
    return shown
