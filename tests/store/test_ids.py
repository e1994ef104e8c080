"""Many ids in arrays."""

from __future__ import annotations

import numpy as np
import pytest

from gingham.store.ids import are_in, find, find_one, from_list, order, take, to_list


@pytest.mark.parametrize("count", [0, 5, 10_001])
def test_ids_are_found_in_whatever_order_they_are_asked_for(count: int) -> None:
    rng = np.random.default_rng(0)
    # Many end in zeros, which an array does not keep apart from none.
    ids = sorted({rng.bytes(2) + bytes(rng.integers(0, 30)) + rng.bytes(30) for _ in range(3000)})
    ids = sorted({one[:32].ljust(32, b"\0") for one in ids})
    known = from_list(ids[::2])
    asked = [ids[row] for row in rng.integers(0, len(ids), count)]
    places = {one: place for place, one in enumerate(ids[::2])}
    expected = [places.get(one, -1) for one in asked]
    for some in (from_list(asked), np.sort(from_list(asked))):
        got = find(known, some).tolist()
        assert got == [places.get(one, -1) for one in to_list(some)]
    assert find(known, from_list(asked)).tolist() == expected
    assert [find_one(known, one) for one in asked] == expected
    shuffled = known[rng.permutation(len(known))]
    assert are_in(shuffled, from_list(asked)).tolist() == [place >= 0 for place in expected]
    assert find(known[:0], from_list(asked)).tolist() == [-1] * count


@pytest.mark.parametrize("alike", [0, 12])
def test_many_ids_are_sorted_and_found_as_bytes_are_compared(alike: int) -> None:
    """By their first 8 bytes where these differ, else by all of them."""
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 256, (40_000, 32), np.uint8)
    rows[:, :alike] = rng.integers(0, 3, (40_000, 1), np.uint8)
    ids = rows.reshape(-1).view("S32")
    ids = np.concatenate([ids, ids[:100]]) if alike else ids
    expected = np.argsort(ids, kind="stable")
    np.testing.assert_array_equal(order(ids), expected)
    np.testing.assert_array_equal(take(ids, expected), ids[expected])
    known = np.unique(ids)
    for some in (known[::2], known, ids[1:]):
        places = {one: place for place, one in enumerate(known[::3].tolist())}
        assert find(known[::3], some).tolist() == [places.get(one, -1) for one in some.tolist()]
    np.testing.assert_array_equal(find(known, known), np.arange(len(known)))
