"""Attributes asked about single images, as they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from gingham.attributes.attribute import Attribute, Features, Read
from gingham.attributes.cutoffs import limits_of
from gingham.attributes.registry import Attributes
from gingham.cutoff import Cutoff
from gingham.errors import ImageError
from gingham.images import ImageSource, in_memory
from gingham.options import ReadOptions
from gingham.results import ImagePredictions, Prediction
from gingham.schema.answers import applied, needed
from gingham.schema.schema import Schema
from gingham.store.truth import Truth


@dataclass(frozen=True)
class Answerable:
    """What was read of one image.

    Attributes
    ----------
    image : its name: the path, or the id where it has none.
    features : attribute -> what it answers from; without those for which it cannot be read.
    reason : why it cannot be read for some attribute, or for all; None if it can.
    """

    image: str
    features: dict[str, Features]
    reason: str | None


@dataclass(frozen=True)
class Unreadable:
    """An open file that could not be read: every reader gets the same reason."""

    reason: str

    def read(self) -> bytes:
        """Raise `ImageError`."""
        raise ImageError(self.reason)


def _twice(image: ImageSource) -> ImageSource:
    try:
        return in_memory(image)
    except ImageError as error:
        return Unreadable(str(error))


def read_for(
    attributes: Sequence[Attribute],
    truth: Truth,
    images: Sequence[ImageSource],
    options: ReadOptions,
) -> Iterator[Answerable]:
    """Read images for attributes, in order: once for all those that share a reader.

    Without any attribute an image is still read, to say whether it can be.
    """
    readers = {id(one.reader): one.reader for one in attributes} or {id(None): None}
    if len(readers) > 1:
        images = [_twice(image) for image in images]
    passes: list[tuple[list[Attribute], Iterator[Read]]] = []
    for key, reader in readers.items():
        members = [one for one in attributes if id(one.reader) == key]
        used = {layer for one in members for layer in one.layers}
        if reader is None:
            layers = tuple(layer for layer in truth.layers if layer in used) or truth.layers[:1]
            passes.append((members, truth.features_of(images, layers, options.quiet)))
        else:
            sources = [truth.source_of(image) for image in images]
            passes.append((members, reader.features_of(sources, tuple(used), options.quiet)))
    for image in images:
        known = truth.image_id(image)
        features: dict[str, Features] = {}
        reasons = []
        for members, found in passes:
            name, read, reason = next(found)
            if read is not None:
                features |= {one.name: read for one in members}
            elif reason not in reasons:
                reasons.append(reason or "cannot be read")
        why = "; ".join(reasons) or None
        if known is not None:
            name = known.hex()
            why = why and f"{truth.stored(known).files[0]}: {why}"
        yield Answerable(name, features, why)


def predict(
    attributes: Sequence[Attribute],
    truth: Truth,
    images: Sequence[ImageSource],
    options: ReadOptions,
    *,
    evidence: int = 5,
    registry: Attributes | None = None,
    follow: bool = False,
    cutoff: Cutoff | None = None,
) -> Iterator[ImagePredictions]:
    """Predict images one after another, with so many examples; see `Catalogue.predict`.

    Examples are named by the file that they were taught from; given the registry of the attributes,
    by another file of the same image if that one is missing. With `follow` the schema of the
    catalogue settles the answers.
    """
    known = registry.taught() if registry else {}
    asked, schema = [one.name for one in attributes], Schema()
    limits = {one.name: limits_of(one, cutoff) for one in attributes}
    if follow and registry:
        schema, there = registry.schema, registry.answering()
        deciding = [x for x in needed(schema, asked) if x in there and x not in asked]
        attributes = [*attributes, *map(registry.get, deciding)]
        limits = {one.name: registry.limits(one, cutoff) for one in attributes}
    ids = {
        attribute.name: {example.image: example.id for example in known[attribute.name].examples}
        for attribute in attributes
        if attribute.name in known
    }

    @cache
    def living(name: str, file: str) -> str:
        return truth.living(file, ids[name].get(file))

    def answer(attribute: Attribute, features: Features) -> Prediction:
        found = limits[attribute.name].cut(attribute.answer(features, evidence=evidence)[0])
        if attribute.name not in ids:
            return found
        shown = (replace(one, image=living(attribute.name, one.image)) for one in found.evidence)
        return replace(found, evidence=tuple(shown))

    for done, one in enumerate(read_for(attributes, truth, images, options), 1):
        predictions = {
            attribute.name: answer(attribute, one.features[attribute.name])
            for attribute in attributes
            if attribute.name in one.features
        }
        settled = applied(schema, predictions)
        said = {name: found for name, found in settled.items() if name in asked}
        yield ImagePredictions(one.image, said, one.reason)
        options.progress("predict", done, len(images))
