"""Taught attributes explained: predictions, and the influence of each place on their values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from gingham.attribute_store import Attributes
from gingham.errors import ImageError, InputError
from gingham.explaining.explanation import PROJECTION, Explanation, ImageExplanations
from gingham.explaining.influence import add_up, position_influence, value_direction
from gingham.extract import Progress
from gingham.images import Box, frame, open_image, read_file, resize
from gingham.results import Prediction
from gingham.runtime import MapRuntime, Runtime
from gingham.stores import Stores
from gingham.tagging import predict
from gingham.taught import TaughtAttribute


def explain_taught(
    stores: Stores,
    attributes: Attributes,
    runtime: Runtime,
    paths: Sequence[str],
    names: Sequence[str],
    values: Sequence[str],
    max_pixels: int,
    progress: Progress,
) -> Iterator[ImageExplanations]:
    """Explain images one after another; see `Catalogue.explain`."""
    if not isinstance(runtime, MapRuntime):
        raise InputError(
            f"the runtime of backbone {runtime.config.backbone!r} gives no maps, only features: "
            "nothing can be said of where"
        )
    taught = [attributes.get(name) for name in names]
    check_values({attribute.name: attribute.values for attribute in taught}, values)
    # Not a generator itself: what is refused is refused before anything is written.
    return _explain_all(stores, attributes, runtime, paths, taught, values, max_pixels, progress)


def _explain_all(
    stores: Stores,
    attributes: Attributes,
    runtime: MapRuntime,
    paths: Sequence[str],
    taught: Sequence[TaughtAttribute],
    values: Sequence[str],
    max_pixels: int,
    progress: Progress,
) -> Iterator[ImageExplanations]:
    names = [attribute.name for attribute in taught]
    used = {layer for attribute in taught for layer in attribute.layers}
    layers = tuple(layer for layer in stores.layers if layer in used)
    how = stores.config.preprocess
    answers = predict(stores, attributes, paths, names, max_pixels, lambda done, total: None)
    for done, answer in enumerate(answers, 1):
        try:
            if answer.error is not None:
                raise ImageError(answer.error)
            picture = read_picture(stores, answer.image, max_pixels)
            square = resize(picture, how.size, interpolation=how.interpolation, crop=how.crop)
            maps = runtime.maps(square, layers)
            box = box_read(picture, how.crop)
            explanations = tuple(
                explanation
                for attribute in taught
                for explanation in _explain(
                    attribute, answer.predictions[attribute.name], values, maps, box
                )
            )
            yield ImageExplanations(answer.image, explanations, np.asarray(picture))
        except ImageError as error:
            yield ImageExplanations(answer.image, error=str(error))
        progress(done, len(paths))


def _explain(
    attribute: TaughtAttribute,
    prediction: Prediction,
    values: Sequence[str],
    maps: dict[str, np.ndarray],
    box: Box,
) -> Iterator[Explanation]:
    chosen = chosen_values(prediction, values)
    scores, influences = position_influence(
        attribute.classifier.projection_.space,
        maps,
        [value_direction(attribute.classifier, value) for value in chosen],
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
        )


def check_values(known: dict[str, tuple[str, ...]], values: Sequence[str]) -> None:
    """Refuse a value that no attribute has.

    Parameters
    ----------
    known : attribute -> its values.
    values : asked for.

    Raises
    ------
    InputError
        If none of the attributes has one of them.
    """
    for value in values:
        if not any(value in those for those in known.values()):
            there = "; ".join(f"{name}: {', '.join(those)}" for name, those in known.items())
            raise InputError(f"there is no value {value!r}; there are {there}")


def chosen_values(prediction: Prediction, values: Sequence[str]) -> list[str]:
    """Say which values of an attribute to explain: those asked for that it has, else the best."""
    asked = [value for value in dict.fromkeys(values) if value in prediction.values]
    return asked or [next(iter(prediction.values))]


def read_picture(stores: Stores, image: str, max_pixels: int) -> Image.Image:
    """Read the picture of a file, or of an id of the catalogue.

    Raises
    ------
    ImageError
        If it cannot be read, or the file of an id is gone or holds another picture by now.
    """
    image_id = stores.image_id(image)
    if image_id is None:
        return open_image(read_file(image), max_pixels=max_pixels, draft=_size(stores))
    file = stores.locations.images[image_id][0]
    try:
        data = read_file(file)
        if hashlib.sha256(data).digest() != image_id:
            raise ImageError("has changed since it was indexed: index it again")
        return open_image(data, max_pixels=max_pixels, draft=_size(stores))
    except ImageError as error:
        raise ImageError(f"{file}: {error}") from None


def box_read(picture: Image.Image, crop: float | None) -> Box:
    """Say which part of a picture is read, in fractions of its sides."""
    wide, high = picture.size
    left, top, right, bottom = frame(wide, high, crop)
    return (left / wide, top / high, right / wide, bottom / high)


def _size(stores: Stores) -> int:
    return stores.config.preprocess.size
