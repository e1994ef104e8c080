"""The reading pipeline on a cluster: the same as in one process, for whoever stores its results."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from gingham.cluster.connection import connected
from gingham.cluster.crew import RayWorkers
from gingham.cluster.dispatch import Batch, Workers, dispatch
from gingham.cluster.worker import ClusterWorker, WorkerPlan
from gingham.errors import ImageError, InputError
from gingham.extract import Extracted, Recognise, absolute, unrecognised
from gingham.images import ImageSource, in_memory
from gingham.operations.ingest import ReadImages, ToRead
from gingham.store.features import FeatureStore
from gingham.store.ids import Ids

BATCH = 512
_LEAST = 8
_SECONDS = 10.0
_KNOWN = 8192


def read_on_cluster(address: str, plan: WorkerPlan, features: FeatureStore) -> ReadImages:
    """Give what reads images as `gingham.extract.read_into` does, on a cluster.

    Workers write the features; what is given out has none. Images come in order. What they have
    written counts as soon as it is there, so a run that dies repeats at most what each worker had
    in hand.

    Parameters
    ----------
    address : from `gingham.cluster.connection.find_cluster`.
    plan : what workers do.
    features : of the catalogue; what workers wrote is taken in.
    """

    def read(asked: ToRead) -> Generator[Extracted, None, None]:
        def hand_over() -> None:
            features.refresh()
            asked.keep({})

        kept = time.monotonic()
        results = read_by(
            ClusterWorker, address, plan, features.ids(), asked.images, asked.recognise
        )
        try:
            with closing(results):
                for count, one in enumerate(results, 1):
                    yield one
                    asked.progress(count)
                    if time.monotonic() - kept > _SECONDS:
                        hand_over()
                        kept = time.monotonic()
        finally:
            hand_over()

    return read


def read_by(
    worker: type[Any],
    address: str,
    plan: object,
    known: Ids,
    images: Sequence[ImageSource],
    recognise: Recognise = unrecognised,
) -> Generator[Extracted, None, None]:
    """Have workers read images, and give what came of each, in order. Close the generator.

    Parameters
    ----------
    worker, plan, known : see `gingham.cluster.crew.RayWorkers`.
    address : see `read_on_cluster`.
    recognise : see `gingham.extract.identify`.
    """
    with connected(address, shared=known.nbytes):
        workers = RayWorkers(worker, plan, known)
        try:
            batches = _batches(images, recognise, _size(len(images), workers))
            with closing(dispatch(workers, batches)) as done:
                for batch in done:
                    for one in batch.results:
                        assert one is not None  # a batch that is given out is complete
                        _check_seen(one)
                        yield one
        finally:
            workers.close()


def _size(total: int, workers: Workers) -> int:
    """Give how many images are read together: few enough that all workers have something to do."""
    return min(max(total // (4 * max(workers.count, 1)), _LEAST), BATCH)


def _batches(images: Sequence[ImageSource], recognise: Recognise, size: int) -> Iterator[Batch]:
    """Put images together, and with them those that need not be read."""
    given: list[ImageSource] = []
    known: dict[int, Extracted] = {}
    for image in images:
        if (image_id := recognise(image)) is not None:
            assert isinstance(image, str)  # only objects in storage are recognised
            known[len(given)] = Extracted(image, absolute(image), image_id, {})
            given.append(image)
        else:
            try:
                given.append(in_memory(image))  # open files cannot be sent
            except ImageError as error:
                name = f"<{type(image).__name__}>"
                known[len(given)] = Extracted(name, name, None, {}, str(error))
                given.append(b"")
        if len(given) - len(known) >= size or len(known) >= _KNOWN:
            yield Batch(given, known)
            given, known = [], {}
    if given:
        yield Batch(given, known)


def _check_seen(one: Extracted) -> None:
    """Refuse to record as missing what is here and not where the workers are.

    Raises
    ------
    InputError
        If a file is.
    """
    if (
        one.reason is not None
        and one.reason.startswith("no such file")
        and os.path.lexists(one.name)
    ):
        raise InputError(
            f"{one.name} is on this machine, and not where the workers of the cluster look for it: "
            "give a folder that all machines share, or object storage"
        )
