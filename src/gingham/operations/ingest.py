"""One `index` run: new images into the feature store, every file into the log of locations."""

from __future__ import annotations

import time
from contextlib import closing

from gingham.extract import PLAIN, VIEWS, Extracted, View, absolute, extract
from gingham.options import ReadOptions
from gingham.results import Failure, IndexResult
from gingham.sources import Walk
from gingham.store.features import ImageId
from gingham.store.truth import Truth

SHARD_IMAGES = 512
SHARD_FILES = 8192
SHARD_SECONDS = 30.0


def ingest(
    truth: Truth,
    walk: Walk,
    options: ReadOptions,
) -> IndexResult:
    """Read the images of a walk that are not stored yet; see `Catalogue.index`.

    Parameters
    ----------
    truth : what is written to, every few hundred images.
    """
    started = time.perf_counter()
    failed = [Failure(image, reason) for image, reason in walk.failures]
    added = unchanged = 0
    reasons: dict[ImageId, str] = {}
    claimed: set[ImageId] = set()
    live = set(truth.locations.images)
    new: list[Extracted] = []
    events: list[tuple[str, ImageId | None]] = []

    def views(image_id: ImageId) -> tuple[View, ...]:
        if image_id in truth.features or image_id in claimed:
            return ()
        claimed.add(image_id)
        return VIEWS

    def commit() -> None:
        # Features first: a file whose image has none must never be in the log.
        truth.features.append(
            [item.id for item in new if item.id], [item.features[PLAIN] for item in new]
        )
        truth.locations.append(events)
        new.clear()
        events.clear()

    committed = time.monotonic()
    results = extract(walk.images, truth.runtime, views=views, options=options)
    with closing(results) as items:
        try:
            for done, item in enumerate(items, 1):
                reason = item.reason
                if item.id is not None:
                    # A copy of a file that failed before in this run fails like it.
                    reason = reasons.setdefault(item.id, reason) if reason else reasons.get(item.id)
                if reason is not None or item.id is None:
                    failed.append(Failure(item.image, reason or "cannot be read"))
                else:
                    if item.features:
                        new.append(item)
                    if item.id in live:
                        unchanged += 1
                    else:
                        live.add(item.id)
                        added += 1
                    name = absolute(item.image)
                    if truth.locations.files.get(name) != item.id:
                        events.append((name, item.id))
                options.progress("index", done, len(walk.images))
                late = time.monotonic() - committed > SHARD_SECONDS
                if len(new) >= SHARD_IMAGES or len(events) >= SHARD_FILES or (events and late):
                    commit()
                    committed = time.monotonic()
        finally:
            # Ctrl-C, too, keeps what was read.
            commit()
    seconds = time.perf_counter() - started
    return IndexResult(
        added=added,
        unchanged=unchanged,
        failed=len(failed),
        failures=tuple(failed),
        ignored=tuple(walk.ignored),
        images=len(truth.locations.images),
        seconds=seconds,
        images_per_second=len(walk.images) / seconds,
    )
