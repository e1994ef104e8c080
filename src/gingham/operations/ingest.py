"""One `index` run: new images into the feature store, every file into the log of locations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from gingham.backbones.runtime import Features
from gingham.extract import PLAIN, VIEWS, read_into
from gingham.images import ImageId, ImageSource
from gingham.options import ReadOptions
from gingham.results import Failure, IndexResult
from gingham.sources import Walk
from gingham.store.truth import Truth


def ingest(
    truth: Truth, walk: Walk, images: Sequence[ImageSource], options: ReadOptions
) -> IndexResult:
    """Read the images of a walk, and further ones, that are not stored yet; see `Catalogue.index`.

    Parameters
    ----------
    truth : what is written to, every few hundred images.
    """
    started = time.perf_counter()
    images = [*walk.images, *images]
    failed = list(walk.failures)
    unused_profiles = []
    added = unchanged = 0
    before, seen = truth.locations.images, set[ImageId]()
    events: list[tuple[str, ImageId | None]] = []
    products: dict[ImageId, str] = {}

    def keep(new: dict[ImageId, dict[str, Features]]) -> None:
        # Features first: a file whose image has none must never be in the log.
        truth.features.append(list(new), [views[PLAIN] for views in new.values()])
        truth.locations.append(events)
        events.clear()

    results = read_into(
        keep,
        images,
        truth.runtime,
        missing=lambda image_id: () if image_id in truth.features else VIEWS,
        options=options,
        step="index",
        total=len(images),
    )
    with closing(results):
        for item in results:
            if item.reason is not None or item.id is None:
                failed.append(Failure(item.image, item.reason or "cannot be read"))
                continue
            if item.note is not None:
                unused_profiles.append(item.image)
            is_new = item.id not in seen and item.id not in before
            added += is_new
            unchanged += not is_new
            seen.add(item.id)
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
