"""The look `text`: images read by a model of images and words, and words for a search."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.image_text import TEXT
from gingham.backbones.runtime import Features, LazyRuntime
from gingham.errors import (
    BackboneError,
    CatalogueError,
    ImageError,
    InputError,
    MissingExtraError,
    ServerError,
)
from gingham.extract import PLAIN, VIEWS, extract, identify
from gingham.images import ImageId, ImageSource
from gingham.names import NOT_APPLICABLE, UNKNOWN
from gingham.operations.ingest import ReadImages, ToRead, read_here
from gingham.options import ReadOptions
from gingham.results import Facets, Failure
from gingham.schema.schema import Schema
from gingham.schema.words import Understood, understand
from gingham.store import ids as many
from gingham.store.features import FeatureStore
from gingham.store.text_look import TextModel
from gingham.store.truth import Truth
from gingham.upkeep_results import TextLookResult

logger = logging.getLogger(__name__)

_REFUSALS = (BackboneError, CatalogueError, InputError, MissingExtraError, ServerError)
ReadTexts = Callable[[TextModel, FeatureStore], ReadImages]
"""Gives what reads images with a model, and keeps their vectors, elsewhere than in this process."""


@dataclass(frozen=True)
class Wanted:
    """What a search asks for besides images.

    Attributes
    ----------
    where, colours : filters and colours, with those that words became.
    words : for the look `text`; None where there are none for it.
    understood : what the words were taken for; None without words.
    """

    where: Sequence[str]
    colours: Mapping[str, float] | None
    words: str | None = None
    understood: Understood | None = None


def in_words(
    text: str,
    where: Sequence[str],
    colours: Mapping[str, float] | None,
    facets: Facets,
    schema: Schema,
    *,
    ranked: bool,
    pictured: bool,
) -> Wanted:
    """Let words become filters and colours, and all of them what the look `text` ranks by.

    Parameters
    ----------
    where, colours : what is asked for without words; such a colour has its own weight.
    facets : of all images.
    ranked : whether the look `text` counts.
    pictured : whether there are images to search with.

    Raises
    ------
    InputError
        If no word is understood, and there is nothing else to search by.
    """
    if not text.strip():
        raise InputError("text is empty: give words to search by, or leave it out")
    nothing = (UNKNOWN, NOT_APPLICABLE)
    values = {x: [y for y in one if y not in nothing] for x, one in facets.attributes.items()}
    found = understand(text, values, schema, ranked=ranked)
    if not (found.where or found.colours or ranked or pictured or colours or where):
        named = f"values of {', '.join(values)}, " if values else ""
        raise InputError(
            f"no word of {text!r} is understood: use {named}names of colours, or set other "
            "words for values with gingham schema"
        )
    return Wanted(
        [*where, *found.where],
        {**found.colours, **(colours or {})} if found.colours else colours,
        text if ranked else None,
        found,
    )


def read_texts(
    truth: Truth, options: ReadOptions, reading: ReadTexts | None = None
) -> TextLookResult:
    """Read the images of a catalogue that its look `text` lacks; see `Catalogue.text_look`.

    Parameters
    ----------
    reading : None: in this process.
    """
    started = time.perf_counter()
    current, store = truth.text.current, truth.text.features
    if current is None or store is None:
        raise InputError(
            "this catalogue has no look text: name its model, as in gingham text-look CATALOGUE "
            "--model ViT-B-32 --weights FILE"
        )
    ids = truth.locations.ids()
    images = [truth.stored(one) for one in many.to_list(ids[~store.has(ids)])]

    def keep(new: dict[ImageId, dict[str, Features]]) -> None:
        store.append(list(new), [views[PLAIN] for views in new.values()])

    failures = []
    asked = ToRead(
        images,
        keep,
        missing=lambda image_id: () if image_id in store else VIEWS,
        options=options,
        step="text",
    )
    if reading is None or not images:
        read: ReadImages = partial(read_here, LazyRuntime(current.config, truth.text.model))
    else:
        read = reading(current, store)
    with closing(read(asked)) as results:
        for image, item in zip(images, results, strict=True):
            if item.reason is not None:
                failures.append(Failure(image.files[0], item.reason))
    return TextLookResult(
        model=current.name.model,
        weights=current.name.weights,
        read=len(images) - len(failures),
        unchanged=len(ids) - len(images),
        failures=tuple(failures),
        seconds=time.perf_counter() - started,
    )


def follow_texts(truth: Truth, options: ReadOptions, reading: ReadTexts | None = None) -> None:
    """Read for the look `text`, where there is one, what it lacks; say why if that fails.

    Parameters
    ----------
    reading : see `read_texts`.
    """
    if truth.text.current is None:
        return
    try:
        read_texts(truth, options, reading)
    except _REFUSALS as error:
        logger.warning("%s; the new images are not in the look text: run gingham text-look", error)


def text_features(
    truth: Truth, image: ImageSource, options: ReadOptions
) -> dict[str, NDArray[np.floating]]:
    """Read one image that is not in the catalogue: `text` -> (1, D).

    Raises
    ------
    ImageError
        If it cannot be read.
    """
    items = identify([image], workers=0)
    (found,) = extract(items, truth.text.model(), options=options, workers=0)
    if not found.features:
        raise ImageError(f"{found.image}: {found.reason}")
    return {TEXT: found.features[PLAIN][TEXT][None]}
