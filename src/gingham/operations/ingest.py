"""One `index` run: new images into the feature store, every file into the log of locations."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

from gingham.backbones.runtime import Features, Runtime
from gingham.extract import PLAIN, VIEWS, Extracted, Recognise, Views, read_into, unrecognised
from gingham.images import ImageId, ImageSource
from gingham.object_storage import ListedObject
from gingham.options import ReadOptions
from gingham.results import Failure, IndexResult
from gingham.sources import Walk
from gingham.store import ids as many
from gingham.store.truth import Truth

STEP = "index"
_MARKS = 8192
"""Objects that an interrupted run may have to read again, though not to compute."""


@dataclass(frozen=True)
class ToRead:
    """What is to be read; see `gingham.extract.read_into`.

    Attributes
    ----------
    images : to be given out, in order.
    keep, missing, options, recognise, step : as there.
    """

    images: Sequence[ImageSource]
    keep: Callable[[dict[ImageId, dict[str, Features]]], None]
    missing: Views
    options: ReadOptions
    recognise: Recognise = unrecognised
    step: str = STEP

    def progress(self, done: int) -> None:
        """Tell how many images were read."""
        self.options.progress(self.step, done, len(self.images))


ReadImages = Callable[[ToRead], Generator[Extracted, None, None]]
"""Reads what a store lacks of images, as `gingham.extract.read_into` does."""


def ingest(
    truth: Truth,
    walk: Walk,
    images: Sequence[ImageSource],
    options: ReadOptions,
    reading: ReadImages | None = None,
) -> IndexResult:
    """Read the images of a walk, and further ones, that are not stored yet; see `Catalogue.index`.

    Parameters
    ----------
    truth : what is written to, every few hundred images.
    reading : how images are read; None: in this process.
    """
    started = time.perf_counter()
    images = [*walk.images, *images]
    failed = list(walk.failures)
    unused_profiles = []
    added = unchanged = 0
    before, seen = truth.locations.images, set[ImageId]()
    events: list[tuple[str, ImageId | None]] = []
    products: dict[ImageId, str] = {}
    marks: list[bytes] = []
    listed = any(isinstance(image, ListedObject) for image in images)
    known = truth.objects.read() if listed else many.from_list([])

    def recognise(image: ImageSource) -> ImageId | None:
        if isinstance(image, ListedObject) and many.find_one(known, image.mark) >= 0:
            found = truth.locations.files.get(image)
            return found if found in truth.features else None
        return None

    def note() -> None:
        truth.objects.add(marks)
        marks.clear()

    def keep(new: dict[ImageId, dict[str, Features]]) -> None:
        # Features first: a file whose image has none must never be in the log.
        truth.features.append(list(new), [views[PLAIN] for views in new.values()])
        truth.locations.append(events)
        events.clear()
        if len(marks) >= _MARKS:
            note()

    asked = ToRead(
        images,
        keep,
        missing=lambda image_id: () if image_id in truth.features else VIEWS,
        options=options,
        recognise=recognise if listed else unrecognised,
    )
    results = (reading or partial(read_here, truth.runtime))(asked)
    with ExitStack() as stack:
        # Last of all, so that each has its location.
        stack.callback(note)
        for item in stack.enter_context(closing(results)):
            if item.reason is not None or item.id is None:
                failed.append(Failure(item.image, item.reason or "cannot be read"))
                continue
            if item.note is not None:
                unused_profiles.append(item.image)
            is_new = item.id not in seen and item.id not in before
            added += is_new
            unchanged += not is_new
            seen.add(item.id)
            if isinstance(item.image, ListedObject):
                mark = item.image.mark
                if many.find_one(known, mark) < 0:
                    marks.append(mark)
            if item.image in walk.products:
                products[item.id] = walk.products[item.image]
            if truth.locations.files.get(item.name) != item.id:
                events.append((item.name, item.id))
    truth.products.append(products)
    seconds = time.perf_counter() - started
    return IndexResult(
        added=added,
        unchanged=unchanged,
        failed=len(failed),
        failures=tuple(failed),
        **walk.listed,
        unused_profiles=tuple(unused_profiles),
        images=len(truth.locations.images),
        seconds=seconds,
        images_per_second=len(images) / seconds,
        bad_rows=tuple(walk.bad_rows),
    )


def read_here(runtime: Runtime, asked: ToRead) -> Generator[Extracted, None, None]:
    """Read images in this process."""
    return read_into(
        asked.keep,
        asked.images,
        runtime,
        missing=asked.missing,
        options=asked.options,
        step=asked.step,
        total=len(asked.images),
        recognise=asked.recognise,
    )
