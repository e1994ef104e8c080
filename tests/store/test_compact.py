"""`compact` at any moment: killed, beside readers, and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from conftest import FakeRuntime
from gingham.store import ids as many
from gingham.store.compacting import Compacted
from gingham.store.features import FeatureStore
from gingham.store.files import Files
from gingham.store.shards import Shards
from memory_files import MemoryFiles

CONFIG = FakeRuntime().config
Plain = dict[bytes, NDArray[np.float16]]


class KilledError(Exception):
    """The process ends here."""


class Killed(MemoryFiles):
    """Ends before or after one of the changes."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1_000_000

    def _change(self, change: Callable[[], None]) -> None:
        if self.left == 0:
            raise KilledError
        self.left -= 1
        change()

    def put(
        self, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        put = super().put
        self._change(lambda: put(name, write, if_absent=if_absent))

    def delete(self, name: str) -> None:
        delete = super().delete
        self._change(lambda: delete(name))


def image(number: int) -> bytes:
    return bytes([number]) * 32


def append(store: FeatureStore, images: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [{x: rng.normal(size=w) for x, w in CONFIG.widths.items()} for _ in images]
    store.append([image(number) for number in images], rows)


def content(store: FeatureStore) -> Plain:
    walked: Plain = {}
    for ids, blocks in store.batches(["stem"]):
        assert not walked.keys() & set(ids)
        walked |= dict(zip(ids, blocks["stem"], strict=True))
    got = store.get(list(walked), ["stem"])["stem"]
    assert all(np.array_equal(a, b) for a, b in zip(walked.values(), got, strict=True))
    return walked


def same(one: Plain, other: Plain) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gingham.store.compacting.SHARD_ROWS", 4)


writes = st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=5), min_size=1, max_size=7)


def written(files: Files, batches: list[set[int]], names: list[int]) -> None:
    """Write as processes that do not know of each other: an image may be in several shards."""
    with pytest.MonkeyPatch.context() as patch:
        for number, images in enumerate(batches):
            patch.setattr(Shards, "_new_stem", lambda self, stem=f"0{names[number]}": stem)
            append(FeatureStore(files, CONFIG), sorted(images), number)


@settings(max_examples=60, deadline=None)
@given(writes, st.sets(st.integers(0, 11)), st.permutations(range(7)))
def test_killed_at_any_moment_it_can_go_on_and_readers_see_everything(
    batches: list[set[int]], wanted: set[int], names: list[int]
) -> None:
    keep = many.from_list(image(number) for number in sorted(wanted))
    plain: Plain = {}
    moment = 0
    while True:
        files = Killed()
        written(files, batches, names)
        before = content(FeatureStore(files, CONFIG))
        plain = {k: v for k, v in before.items() if k in many.to_list(keep)}
        # In the middle of a walk, and before its first look.
        walking, asked = FeatureStore(files, CONFIG), FeatureStore(files, CONFIG)
        walk = walking.batches(["stem"])
        walked = [next(walk)]
        assert len(asked) == len(before)
        files.left = moment
        try:
            FeatureStore(files, CONFIG).compact(keep)
            ended = True
        except KilledError:
            ended = False
        there = content(FeatureStore(files, CONFIG))
        assert same({k: v for k, v in there.items() if k in plain}, plain)
        assert there.keys() <= before.keys()
        walked += walk
        found = {i: row for ids, b in walked for i, row in zip(ids, b["stem"], strict=True)}
        assert sum(len(ids) for ids, _ in walked) == len(found)
        assert same({k: v for k, v in found.items() if k in plain}, plain)
        got = asked.get(list(plain), ["stem"])["stem"]
        assert all(np.array_equal(a, b) for a, b in zip(got, plain.values(), strict=True))
        files.left = 1_000_000
        FeatureStore(files, CONFIG).compact(keep)
        assert same(content(FeatureStore(files, CONFIG)), plain)
        assert FeatureStore(files, CONFIG).verify() == []
        if ended:
            break
        moment += 1


def test_many_small_shards_become_few_and_whole_ones_stay() -> None:
    files = MemoryFiles()
    store = FeatureStore(files, CONFIG)
    for number in range(10):
        append(store, [number], number)
    everything = many.from_list(image(number) for number in range(20))
    before = content(store)
    assert store.compact(everything) == Compacted(10, 3, 0)
    assert same(content(store), before)
    whole = store._shards.names()
    assert store.compact(everything) == Compacted(3, 3, 0)
    assert store._shards.names() == whole
    append(store, [10], 10)
    assert store.compact(everything) == Compacted(4, 4, 0)
    append(store, [11], 11)
    assert store.compact(everything) == Compacted(5, 4, 0)
    assert set(whole) < set(store._shards.names())
    # What is not wanted is in no file any more.
    rest = many.from_list(image(number) for number in range(20) if number != 2)
    assert store.compact(rest).dropped == 1
    assert image(2) not in store
    assert image(2) not in FeatureStore(files, CONFIG)
    assert not any(image(2) in files.open(name).read() for name in files.list())
    assert store.compact(many.from_list([])) == Compacted(4, 0, 11)
    assert len(store) == 0


def test_a_listing_that_misses_what_changed_meanwhile_is_taken_again() -> None:
    files = MemoryFiles()
    store = FeatureStore(files, CONFIG)
    for number in range(6):
        append(store, [number], number)
    names = list(files.list("features/"))
    everything = many.from_list(image(number) for number in range(6))

    class Racing(MemoryFiles):
        """Its first list was begun before the new shard was there, and ended after the deletion."""

        def __init__(self) -> None:
            super().__init__()
            self._content = files._content
            self.listings: Iterator[list[str]] = iter([names[:2]])

        def list(self, prefix: str = "") -> list[str]:
            return next(self.listings, None) or list(super().list(prefix))

    before = content(store)
    store.compact(everything)
    assert same(content(FeatureStore(Racing(), CONFIG)), before)
