"""One runtime for many threads: the images that wait in all of them are run together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import (
    Features,
    Inputs,
    Key,
    MapRuntime,
    Runtime,
    Streamed,
    check_layers,
)

BATCH = 32
"""Images that are run together at most, and that one thread lets wait at most."""

_Asked = tuple[Future[Features], NDArray[np.uint8]]


class SharedRuntime:
    """Gathers the images of all threads for one runtime.

    A concurrent runtime takes each image at once. Of any other there is no thread of its own: a
    thread that needs an answer, while no batch is running, runs what waits, its own images and
    those of others; the others find theirs answered. Every image is run through all layers, so that
    there is one graph, whatever the threads ask for.

    Parameters
    ----------
    runtime : does the work; unless its attribute `concurrent` is true, it is asked by one thread at
        a time.
    watch : called with the number of images of each batch; a concurrent runtime has batches of 1.
    """

    def __init__(
        self, runtime: Runtime, watch: Callable[[int], None] = lambda images: None
    ) -> None:
        self._runtime = runtime
        self._watch = watch
        self._waiting: deque[_Asked] = deque()
        self._running = threading.Lock()
        self._concurrent = getattr(runtime, "concurrent", False)
        if isinstance(runtime, MapRuntime):
            self.maps = runtime.maps
        self.config = runtime.config

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """See `Runtime.stream`."""
        wanted = check_layers(self.config, layers)
        if self._concurrent:
            for key, features in self._runtime.stream(images):
                if features is not None:
                    self._watch(1)
                    features = {layer: features[layer] for layer in wanted}
                yield key, features
            return
        pending: deque[tuple[Key, Future[Features] | None]] = deque()
        try:
            for key, image in images:
                answer: Future[Features] | None = None
                if image is not None:
                    answer = Future()
                    self._waiting.append((answer, image))
                pending.append((key, answer))
                while len(pending) >= BATCH or (pending and pending[0][1] is None):
                    yield self._finish(*pending.popleft(), wanted)
            while pending:
                yield self._finish(*pending.popleft(), wanted)
        finally:
            for _, answer in pending:
                if answer is not None:
                    answer.cancel()

    def _finish(
        self, key: Key, answer: Future[Features] | None, wanted: Sequence[str]
    ) -> tuple[Key, Features | None]:
        if answer is None:
            return key, None
        while not answer.done():
            with self._running:
                if not answer.done():
                    self._run()
        features = answer.result()
        return key, {layer: features[layer] for layer in wanted}

    def _run(self) -> None:
        """Run one batch: what waits, and what comes while it is run; an error is given to all."""
        batch = list(self._next(BATCH))

        def growing() -> Iterator[_Asked]:
            for asked in batch:
                yield asked
                batch.extend(self._next(BATCH - len(batch)))

        try:
            for answer, features in self._runtime.stream(growing()):
                assert features is not None  # an image goes in for each answer
                answer.set_result(features)
        except BaseException as error:
            for answer, _ in batch:
                if not answer.done():
                    answer.set_exception(error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._watch(len(batch))

    def _next(self, most: int) -> Iterator[_Asked]:
        """Take what waits; nobody waits any more for an answer that was cancelled."""
        while self._waiting and most > 0:
            answer, image = self._waiting.popleft()
            if answer.set_running_or_notify_cancel():
                yield answer, image
                most -= 1
