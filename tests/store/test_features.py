from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FakeRuntime
from gingham.errors import CatalogueError
from gingham.store.features import FeatureStore

CONFIG = FakeRuntime().config


def rows(count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        {x.name: rng.normal(size=2 * x.channels).astype(np.float32) for x in CONFIG.layers}
        for _ in range(count)
    ]


def ids(count: int, start: int = 0) -> list[bytes]:
    return [bytes([i]) * 32 for i in range(start, start + count)]


def test_round_trip_over_shards(tmp_path: Path) -> None:
    written = rows(7)
    store = FeatureStore(tmp_path, CONFIG)
    store.append(ids(3), written[:3])
    store.append(ids(4, 3), written[3:])
    store.append([], [])
    for reader in (store, FeatureStore(tmp_path, CONFIG)):
        assert len(reader) == 7
        order = [5, 0, 3, 3]
        got = reader.get([ids(7)[i] for i in order], ["head", "stem"])
        assert list(got) == ["head", "stem"]
        for layer, block in got.items():
            expected = np.stack([written[i][layer] for i in order]).astype(np.float16)
            assert np.array_equal(block, expected)
        streamed = [(i, b["stage1"]) for batch, b in reader.batches(["stage1"]) for i in batch]
        assert [i for i, _ in streamed] == ids(7)
    assert store.verify() == []
    with pytest.raises(KeyError):
        store.get([b"x" * 32])


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 5), max_size=5), data=st.data())
def test_get_equals_a_plain_scan(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], data: st.DataObject
) -> None:
    store = FeatureStore(tmp_path_factory.mktemp("f"), CONFIG)
    plain: dict[bytes, np.ndarray] = {}
    for size in sizes:
        fresh, new = ids(size, len(plain)), rows(size, len(plain))
        store.append(fresh, new)
        plain |= {i: row["stem"].astype(np.float16) for i, row in zip(fresh, new, strict=True)}
    asked = data.draw(st.lists(st.sampled_from(sorted(plain)))) if plain else []
    got = store.get(asked, ["stem"])["stem"]
    assert got.shape == (len(asked), 6)
    assert all(np.array_equal(row, plain[i]) for row, i in zip(got, asked, strict=True))


def test_other_settings_are_refused(tmp_path: Path) -> None:
    FeatureStore(tmp_path, CONFIG).append(ids(1), rows(1))
    with pytest.raises(CatalogueError, match="other settings"):
        len(FeatureStore(tmp_path, FakeRuntime("others").config))


def test_verify_finds_features_that_are_no_numbers(tmp_path: Path) -> None:
    bad = rows(2)
    bad[1]["head"][0] = np.inf
    store = FeatureStore(tmp_path, CONFIG)
    store.append(ids(2), bad)
    assert store.verify() == [f"features of {ids(2)[1].hex()} are not finite"]
