from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import FakeRuntime, Key
from gingham.backbones.runtime import MapRuntime
from gingham.backbones.shared import BATCH, SharedRuntime
from gingham.errors import BackboneError


def squares(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return list(rng.integers(0, 256, (count, 16, 16, 3), dtype=np.uint8))


def test_the_answers_are_those_of_the_runtime_alone_in_order() -> None:
    given = [(i, None if i % 5 == 0 else square) for i, square in enumerate(squares(3 * BATCH))]
    alone = list(FakeRuntime().stream(given, ["stage1"]))
    for (key, row), (other, expected) in zip(
        SharedRuntime(FakeRuntime()).stream(given, ["stage1"]), alone, strict=True
    ):
        assert key == other
        assert (row is None) == (expected is None)
        if row is not None and expected is not None:
            assert row.keys() == expected.keys() == {"stage1"}
            np.testing.assert_array_equal(row["stage1"], expected["stage1"])


class OneAtATime(FakeRuntime):
    """Waits in its first batch until it is told to go on; refuses to run twice at once."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.busy = threading.Lock()

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        assert self.busy.acquire(blocking=False)
        try:
            self.begun.set()
            assert self.go_on.wait(10)
            yield from super().stream(images, layers)
        finally:
            self.busy.release()


def test_what_comes_while_a_batch_is_run_joins_it() -> None:
    runtime = OneAtATime()
    sizes: list[int] = []
    shared = SharedRuntime(runtime, sizes.append)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(lambda: list(shared.stream([(0, squares(1)[0])])))
        assert runtime.begun.wait(10)
        asking = [
            pool.submit(lambda s=s: list(shared.stream([(s, squares(1, s)[0])])))  # type: ignore[misc]
            for s in range(1, 9)
        ]
        while len(shared._waiting) < 8:
            assert not any(one.done() for one in asking)
        runtime.go_on.set()
        results = [one.result(10) for one in (first, *asking)]
    assert sizes == [9]
    for seed, ((key, row),) in enumerate(results):
        assert key == seed
        ((_, expected),) = FakeRuntime().stream([(0, squares(1, seed)[0])])
        assert row is not None
        assert expected is not None
        np.testing.assert_array_equal(row["head"], expected["head"])


def test_an_image_that_nobody_waits_for_any_more_is_not_run() -> None:
    runtime = FakeRuntime()
    shared = SharedRuntime(runtime)
    first, *rest = squares(BATCH)
    next(shared.stream([("first", first), *((str(i), one) for i, one in enumerate(rest))]))
    assert runtime.images_read == BATCH
    stream: Any = shared.stream((str(i), one) for i, one in enumerate(squares(3 * BATCH)))
    next(stream)
    stream.close()
    read = runtime.images_read
    list(shared.stream([("next", first)]))
    assert runtime.images_read == read + 1


class Meeting(FakeRuntime):
    """Answers when two threads ask at once."""

    concurrent = True

    def __init__(self) -> None:
        super().__init__()
        self.both = threading.Barrier(2)

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        self.both.wait(10)
        yield from super().stream(images, layers)


def test_threads_ask_a_concurrent_runtime_at_once() -> None:
    sizes: list[int] = []
    shared = SharedRuntime(Meeting(), sizes.append)
    given = [(0, squares(1)[0]), (1, None)]
    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(lambda: list(shared.stream(given, ["stage1"]))) for _ in range(2)]
        results = [one.result(10) for one in asking]
    assert sizes == [1, 1]
    expected = list(FakeRuntime().stream(given, ["stage1"]))
    for (key, row), (other, nothing) in results:
        assert (key, other, nothing) == (0, 1, None)
        assert row is not None
        assert row.keys() == {"stage1"}
        np.testing.assert_array_equal(row["stage1"], expected[0][1]["stage1"])  # type: ignore[index]


class Broken(FakeRuntime):
    broken = True

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        if self.broken:
            raise BackboneError("the network is gone")
        yield from super().stream(images, layers)


def test_an_error_reaches_every_thread_and_the_next_batch_runs() -> None:
    runtime = Broken()
    shared = SharedRuntime(runtime)
    with pytest.raises(BackboneError, match="gone"):
        list(shared.stream([(0, squares(1)[0])]))
    runtime.broken = False
    assert len(list(shared.stream([(0, squares(1)[0])]))) == 1


def test_it_gives_maps_where_the_runtime_does() -> None:
    class Mapping(FakeRuntime):
        def maps(
            self, image: NDArray[np.uint8], layers: Sequence[str]
        ) -> dict[str, NDArray[np.float32]]:
            return {}

    assert isinstance(SharedRuntime(Mapping()), MapRuntime)
    assert not isinstance(SharedRuntime(FakeRuntime()), MapRuntime)
