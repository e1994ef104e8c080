"""Batches among workers that die: all images get a result, in order, and only the guilty fail."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.cluster.dispatch import Batch, Done, Portion, dispatch
from gingham.extract import Extracted


def result(image: object) -> Extracted:
    return Extracted(str(image), str(image), bytes(32), {})


class Mortal:
    """Workers that die of some images, by chance, or raise; they end in any order."""

    def __init__(self, count: int, poison: set[str], chance: float, seed: int) -> None:
        self.count = count
        self.poison, self.chance = poison, chance
        self.rng = random.Random(seed)
        self.busy: list[Portion] = []
        self.read: list[str] = []
        self.deaths = 0
        self.error: Exception | None = None

    @property
    def free(self) -> int:
        return self.count - len(self.busy)

    def start(self, portion: Portion) -> None:
        assert self.free > 0
        self.busy.append(portion)

    def wait(self) -> list[Done]:
        if not self.busy:
            return []
        portion = self.busy.pop(self.rng.randrange(len(self.busy)))
        images = [str(image) for image in portion.images]
        if self.poison & set(images) or self.rng.random() < self.chance:
            self.deaths += 1
            return [Done(portion)]
        if self.error is not None:
            return [Done(portion, error=self.error)]
        self.read += images
        return [Done(portion, results=[result(image) for image in images])]


def batches(images: Iterable[str], size: int, known: set[str]) -> Iterator[Batch]:
    coming = iter(images)
    while group := list(islice(coming, size)):
        yield Batch(group, {i: result(x) for i, x in enumerate(group) if x in known})


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(0, 70),
    size=st.integers(1, 20),
    workers=st.integers(1, 5),
    poison=st.sets(st.integers(0, 69), max_size=3),
    known=st.sets(st.integers(0, 69), max_size=30),
    seed=st.integers(0, 1000),
)
def test_each_image_has_its_result_in_order_and_only_poison_fails(
    count: int, size: int, workers: int, poison: set[int], known: set[int], seed: int
) -> None:
    images = [str(i) for i in range(count)]
    crew = Mortal(workers, {str(i) for i in poison - known}, 0.0, seed)
    done = list(dispatch(crew, batches(images, size, {str(i) for i in known})))
    given = [one for batch in done for one in batch.results if one is not None]
    assert [one.image for one in given] == images
    failed = {one.image for one in given if one.reason}
    assert failed == {str(i) for i in poison - known if i < count}
    assert all("ended the worker process twice" in str(x.reason) for x in given if x.reason)
    assert sorted(crew.read) == sorted(set(images) - failed - {str(i) for i in known})
    # Of 20 images: twice all of them, three at a time once, twice the one.
    assert crew.deaths <= 5 * len(failed)


def test_a_worker_that_dies_by_chance_costs_nothing_but_time() -> None:
    crew = Mortal(3, set(), 0.15, 7)
    done = list(dispatch(crew, batches(map(str, range(200)), 16, set())))
    assert crew.deaths > 3
    assert [one and one.reason for batch in done for one in batch.results] == [None] * 200


def test_an_error_is_tried_three_times_and_then_raised() -> None:
    crew = Mortal(2, set(), 0.0, 0)
    crew.error = OSError("no space")
    with pytest.raises(OSError, match="no space"):
        list(dispatch(crew, batches("abc", 3, set())))


def test_no_more_is_taken_than_there_are_workers_for() -> None:
    taken = 0

    def endless() -> Iterator[Batch]:
        nonlocal taken
        while True:
            taken += 1
            yield Batch(["a"], {})

    done = dispatch(Mortal(2, set(), 0.0, 0), endless())
    for number in range(50):
        next(done)
        assert taken <= number + 1 + 4 * 2 + 4
