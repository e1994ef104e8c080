"""Ties everything together: index, teach, tag, predict, search, facets over one folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gingham.backbones import DEFAULT_BACKBONE, FeatureConfig
from gingham.errors import CatalogueError, InputError
from gingham.examples import ExampleLog
from gingham.extract import PLAIN, VIEWS, Extracted, View, absolute, extract
from gingham.features import FeatureStore, ImageId
from gingham.images import MAX_PIXELS
from gingham.locations import Locations
from gingham.lock import CatalogueLock
from gingham.results import (
    AttributeInfo,
    Facets,
    Failure,
    Hit,
    ImagePredictions,
    IndexResult,
    Info,
    TagResult,
    TeachResult,
)
from gingham.runtime import Runtime, load_runtime
from gingham.searching import Searcher
from gingham.sources import find_images
from gingham.storage import read_json, write_json
from gingham.teaching import Attributes

FORMAT = 1
SHARD_IMAGES = 512
SHARD_SECONDS = 30.0

Progress = Callable[[int, int], None]
"""Called with the number of images done and of all."""


def _silent(done: int, total: int) -> None:
    pass


class Catalogue:
    """A folder with everything about one collection of images.

    Make one with `create`, open it with `open`, and close it (it is a context manager): while
    it is open no other process can open it. Features, files and examples are append-only and
    survive a crash; attributes and the index are derived from them.

    Examples
    --------
    >>> import gingham
    >>> with gingham.Catalogue.create("shop") as shop:  # doctest: +SKIP
    ...     shop.index(["photos"])
    ...     shop.teach("colour", "examples")
    ...     shop.tag()
    ...     hits = shop.search("photos/1.jpg", looks={"colour": 1}, where=["colour=red"])
    """

    def __init__(self, folder: Path, lock: CatalogueLock, runtime: Runtime | None) -> None:
        self.folder = folder
        self._lock = lock
        self._runtime = runtime
        state = read_json(folder / "catalogue.json")
        if state.get("format") != FORMAT:
            raise CatalogueError(
                f"catalogue {folder} has format {state.get('format')}, this gingham reads "
                f"format {FORMAT}: install the gingham that made it"
            )
        self.config = FeatureConfig.from_dict(state["config"])
        self._weights: str | None = state["weights"]
        self._device: str = "auto"
        if runtime is not None:
            self._check_runtime(runtime)
        self._features = FeatureStore(folder / "features", self.config)
        self._views = FeatureStore(folder / "views", self.config)
        self._locations = Locations(folder / "locations")
        self._log = ExampleLog(folder / "examples")
        self._attributes = Attributes(folder / "attributes", self.config, self._log, self._features, self._views)
        self._searcher = Searcher(folder / "index", self.config, self._features, self._locations, self._attributes)
        for store in (self._features, self._views, self._locations, self._log):
            store.sweep()

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        backbone: str = DEFAULT_BACKBONE,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        runtime: Runtime | None = None,
    ) -> Self:
        """Make an empty catalogue.

        Parameters
        ----------
        folder : must not exist, or be empty.
        backbone, weights, device : see `gingham.runtime.load_runtime`.
        runtime : used instead of loading one; for other ways to compute features.

        Raises
        ------
        CatalogueError
            If there is something in the folder.
        BackboneError
            If the backbone cannot be loaded.
        """
        path = Path(folder)
        if (path / "catalogue.json").exists():
            raise CatalogueError(f"{path} is a catalogue already: open it, or choose another folder")
        if path.exists() and (not path.is_dir() or any(p.name != "lock" for p in path.iterdir())):
            raise CatalogueError(f"{path} exists and is no catalogue: choose another folder")
        weights = None if weights is None else absolute(weights)
        runtime = runtime or load_runtime(backbone, weights, device=device)
        path.mkdir(parents=True, exist_ok=True)
        write_json(
            path / "catalogue.json",
            {"format": FORMAT, "config": runtime.config.to_dict(), "weights": weights},
        )
        return cls.open(path, runtime=runtime)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        backbone: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        runtime: Runtime | None = None,
    ) -> Self:
        """Open a catalogue, alone.

        Parameters
        ----------
        folder : of the catalogue.
        backbone : if given, must be the one the catalogue was made with.
        weights : where its weights are now, if they moved; else the place known from `create`.
        device, runtime : as for `create`.

        Raises
        ------
        CatalogueError
            If it is not there, damaged, or was made with another backbone or settings.
        CatalogueBusyError
            If another process holds it.
        """
        path = Path(folder)
        if not (path / "catalogue.json").exists():
            raise CatalogueError(
                f"{path} is not a catalogue: make one with gingham index {path} SOURCE"
            )
        lock = CatalogueLock(path)
        try:
            self = cls(path, lock, runtime)
            if backbone is not None and backbone != self.config.backbone:
                raise CatalogueError(
                    f"catalogue {path} was made with backbone {self.config.backbone}, not "
                    f"{backbone}: leave --backbone out, or index into a new catalogue"
                )
            self._device = device
            if weights is not None:
                self._weights = absolute(weights)
                # Other weights make other features: refused now, not after a long walk.
                self._load()
        except BaseException:
            lock.release()
            raise
        return self

    def close(self) -> None:
        """Close the index and let other processes in."""
        self._searcher.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._locations.images)

    def _load(self) -> Runtime:
        if self._runtime is None:
            runtime = load_runtime(self.config.backbone, self._weights, device=self._device)
            self._check_runtime(runtime)
            self._runtime = runtime
        return self._runtime

    def _check_runtime(self, runtime: Runtime) -> None:
        if runtime.config != self.config:
            raise CatalogueError(
                f"catalogue {self.folder} was made with other settings of {self.config.backbone} "
                f"(fingerprint {self.config.fingerprint}, now {runtime.config.fingerprint}): give "
                "the weights it was made with, or index into a new catalogue"
            )

    def index(
        self,
        sources: Iterable[str | os.PathLike[str]],
        *,
        max_pixels: int = MAX_PIXELS,
        progress: Progress = _silent,
    ) -> IndexResult:
        """Add images: read each through the backbone once and keep its features.

        An image is known by the SHA-256 of its bytes: only new ones are read, and a moved or
        renamed file is merely noted. What is read is on disk every few hundred images, so an
        interrupted run goes on where it was.

        Parameters
        ----------
        sources : folders (all files below), image files, or tables with a column `image`.
        max_pixels : an image with more pixels is recorded as failed.
        progress : called as images are done.

        Raises
        ------
        InputError
            If a source does not exist or holds no file.
        """
        walk = find_images(sources, exclude=self.folder)
        return self._index(walk.images, walk.failures, walk.ignored, max_pixels, progress)

    def _index(
        self,
        images: Sequence[str],
        failures: Sequence[tuple[str, str]],
        ignored: Sequence[str],
        max_pixels: int,
        progress: Progress,
    ) -> IndexResult:
        started = time.perf_counter()
        failed = [Failure(image, reason) for image, reason in failures]
        added = unchanged = 0
        reasons: dict[ImageId, str] = {}
        claimed: set[ImageId] = set()
        new: list[Extracted] = []
        events: list[tuple[str, ImageId | None]] = []
        live = set(self._locations.images)

        def views(image_id: ImageId) -> tuple[View, ...]:
            if image_id in self._features or image_id in claimed:
                return ()
            claimed.add(image_id)
            return VIEWS

        def commit() -> None:
            # Features first: a file whose image has none must never be in the log.
            self._features.append(
                [item.id for item in new if item.id], [item.features[PLAIN] for item in new]
            )
            self._locations.append(events)
            new.clear()
            events.clear()

        committed = time.monotonic()
        with closing(extract(images, self._load(), views=views, max_pixels=max_pixels)) as items:
            try:
                for done, item in enumerate(items, 1):
                    reason = item.reason
                    if item.id is not None:
                        if reason is not None:
                            reasons[item.id] = reason
                        reason = reasons.get(item.id)
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
                        if self._locations.files.get(name) != item.id:
                            events.append((name, item.id))
                    progress(done, len(images))
                    if len(new) >= SHARD_IMAGES or (
                        events and time.monotonic() - committed > SHARD_SECONDS
                    ):
                        commit()
                        committed = time.monotonic()
            finally:
                # Ctrl-C, too, keeps what was read.
                commit()
        self._searcher.sync()
        seconds = time.perf_counter() - started
        return IndexResult(
            added=added,
            unchanged=unchanged,
            failed=len(failed),
            failures=tuple(failed),
            ignored=tuple(ignored),
            images=len(self),
            seconds=seconds,
            images_per_second=len(images) / seconds,
        )
