"""Images explained one after another: what each attribute answers, why, and where in the image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gingham.attributes.attribute import Attribute
from gingham.attributes.registry import Attributes
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.runtime import MapRuntime, Runtime
from gingham.errors import ImageError, InputError
from gingham.explaining.explanation import Explanation, ImageExplanations
from gingham.images import frame, open_image, read_source
from gingham.names import did_you_mean
from gingham.operations.predict import Answerable, predict, read_for
from gingham.options import ReadOptions
from gingham.results import Evidence, Hit, Prediction
from gingham.store.truth import Truth

EVIDENCE = 5
"""Examples shown beside an explanation."""

UNTAGGED = "no tag"


class Search(Protocol):
    """Finds the images of the catalogue that are most similar to one."""

    def __call__(self, images: str | bytes, *, n: int) -> Sequence[Hit]:
        """Give at most `n`."""


@dataclass
class CataloguePicture:
    """An image to explain, read and run through the backbone once for all attributes.

    Attributes
    ----------
    source : a file, its bytes, or the id of an image of the catalogue.
    layers : the hidden layers whose maps any attribute asks for.
    """

    source: str | bytes
    truth: Truth
    runtime: Callable[[], Runtime]
    layers: tuple[str, ...]
    options: ReadOptions
    _read: dict[int, Image.Image] = field(default_factory=dict)

    def image(self, size: int) -> Image.Image:
        """Read the image; a JPEG may be decoded smaller, as for a network's input of this side.

        Raises
        ------
        ImageError
            If it cannot be read, or the file of an id is gone or now holds another picture.
        """
        if size not in self._read:
            image_id = self.truth.image_id(self.source)
            stored = None if image_id is None else self.truth.stored(image_id)
            try:
                data = stored.read() if stored else read_source(self.source)
                self._read[size] = open_image(data, max_pixels=self.options.max_pixels, draft=size)
            except ImageError as error:
                raise ImageError(f"{stored.files[0]}: {error}" if stored else str(error)) from None
        return self._read[size]

    def input(self, preprocess: Preprocess) -> NDArray[np.uint8]:
        """See `Picture.input`."""
        return preprocess.apply(self.image(preprocess.size))

    def maps(self, layers: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        """See `Picture.maps`."""
        return {layer: self._maps[layer] for layer in layers}

    @cached_property
    def _maps(self) -> Mapping[str, NDArray[np.float32]]:
        runtime = self.runtime()
        assert isinstance(runtime, MapRuntime)  # checked before the first image was read
        return runtime.maps(self.input(self.truth.preprocess), self.layers)


@dataclass(frozen=True)
class Explainer:
    """Explains images by the attributes of a catalogue; see `Catalogue.explain`.

    Beside the answer of an attribute without examples stand the nearest examples of the taught
    attribute of the same name, or, if there is none, the most similar images of the catalogue and
    their tags.
    """

    attributes: Sequence[Attribute]
    truth: Truth
    registry: Attributes
    runtime: Callable[[], Runtime]
    search: Search
    options: ReadOptions

    def check(self, values: Sequence[str]) -> None:
        """Refuse what cannot be explained, before anything is read or written.

        Raises
        ------
        InputError
            If no attribute has one of the values, or the runtime gives no maps.
        MissingExtraError
            If a library is not installed.
        """
        for value in values:
            if not any(value in one.values for one in self.attributes):
                there = "; ".join(f"{x.name}: {', '.join(x.values)}" for x in self.attributes)
                near = did_you_mean(value, {name for x in self.attributes for name in x.values})
                raise InputError(f"unknown value {value!r}; known: {there}{near}")
        for one in self.attributes:
            one.check_explainable(self.runtime())

    def explain(
        self, images: Sequence[str | bytes], values: Sequence[str]
    ) -> Iterator[ImageExplanations]:
        """Explain images one after another, in order."""
        mapped = {layer for one in self.attributes for layer in one.mapped_layers()}
        layers = tuple(layer for layer in self.truth.layers if layer in mapped)
        answers = read_for(self.attributes, self.truth, images, self.options)
        for done, (image, read) in enumerate(zip(images, answers, strict=True), 1):
            try:
                if read.reason is not None:
                    raise ImageError(read.reason)
                picture = CataloguePicture(image, self.truth, self.runtime, layers, self.options)
                shown = self._evidence(image)
                explanations = tuple(
                    explanation
                    for one in self.attributes
                    for explanation in self._explain(one, read, picture, shown, values)
                )
                how = (self.attributes[0].reader or self.truth).preprocess
                pixels = np.asarray(picture.image(how.size))
                yield ImageExplanations(read.image, explanations, pixels)
            except ImageError as error:
                yield ImageExplanations(read.image, error=str(error))
            self.options.progress("explain", done, len(images))

    def _explain(
        self,
        attribute: Attribute,
        read: Answerable,
        picture: CataloguePicture,
        shown: Mapping[str, tuple[Evidence, ...]],
        values: Sequence[str],
    ) -> Iterator[Explanation]:
        """Explain the values asked for that the attribute has, or else the likeliest."""
        features = read.features[attribute.name]
        (prediction,) = attribute.answer(features, evidence=EVIDENCE + 1)
        example = False
        if attribute.name in shown:
            prediction = replace(prediction, evidence=shown[attribute.name])
        else:
            prediction, example = self._without_itself(prediction, attribute.name, picture.source)
        how = (attribute.reader or self.truth).preprocess
        size = picture.image(how.size).size
        left, top, right, bottom = (
            edge / side for edge, side in zip(frame(*size, how.crop), size * 2, strict=True)
        )
        asked = [value for value in dict.fromkeys(values) if value in prediction.values]
        chosen = asked or [next(iter(prediction.values))]
        for found in attribute.explain(picture, features, chosen):
            yield Explanation(
                attribute.name,
                found.value,
                prediction.values[found.value],
                prediction,
                attribute.method,
                found.score,
                found.layers,
                found.heat,
                (left, top, right, bottom),
                example,
            )

    def _without_itself(
        self, prediction: Prediction, name: str, image: str | bytes
    ) -> tuple[Prediction, bool]:
        """Take an image out of its own evidence; say whether the attribute was taught with it."""
        image_id = self.truth.image_id(image) or hashlib.sha256(read_source(image)).digest()
        taught = self.registry.taught().get(name)
        examples = taught.examples if taught else []
        ids = {example.image: example.id for example in examples}
        own = {name for name, example in ids.items() if example == image_id}
        evidence = [
            replace(one, image=self.truth.living(one.image, ids.get(one.image)))
            for one in prediction.evidence
            if one.image not in own
        ]
        return replace(prediction, evidence=tuple(evidence[:EVIDENCE])), bool(own)

    def _evidence(self, image: str | bytes) -> dict[str, tuple[Evidence, ...]]:
        """Find what to show beside the answers of attributes without examples."""
        shown: dict[str, tuple[Evidence, ...]] = {}
        names = [one.name for one in self.attributes if one.needs == "pixels"]
        known = self.registry.taught()
        if taught := [self.registry.taught_attribute(name) for name in names if name in known]:
            (answer,) = predict(
                taught, self.truth, [image], self.options.quiet, evidence=EVIDENCE + 1
            )
            for name, prediction in answer.predictions.items():
                shown[name] = self._without_itself(prediction, name, image)[0].evidence
        rest = [name for name in names if name not in shown]
        hits: Sequence[Hit] = ()
        if rest and self.truth.locations.images:
            hits = self.search(image, n=EVIDENCE)
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
