"""Hierarchies: the way down, and the deepest value that is sure, against plain references."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.attributes.attribute import TagBatch
from gingham.attributes.cutoffs import EVERY, Floors
from gingham.attributes.predictions import TagTable
from gingham.results import Prediction
from gingham.schema.hierarchy import Hierarchy, as_tree
from gingham.store.ids import from_list

TREES = st.lists(st.integers(-1, 6), min_size=1, max_size=8).map(
    lambda parents: {f"v{n}": f"v{p}" for n, p in enumerate(parents) if 0 <= p < n}
)
WEIGHTS = st.lists(st.integers(0, 16), min_size=8, max_size=8)
SURE = st.sampled_from([0.0, 0.2, 0.4, 0.5, 0.55, 0.7, 0.9, 1.0])


def is_below(parents: dict[str, str], value: str, other: str) -> bool:
    return value == other or (value in parents and is_below(parents, parents[value], other))


def way(parents: dict[str, str], chances: dict[str, float]) -> list[tuple[str, float]]:
    """Go down by plain recursion: each value on the way, with its probability."""
    names = {*chances, *parents, *parents.values()}

    def chance(value: str) -> float:
        return sum(p for one, p in chances.items() if is_below(parents, one, value))

    def there(value: str) -> bool:
        return any(is_below(parents, one, value) for one in chances)

    def down(value: str) -> list[tuple[str, float]]:
        below = [one for one in names if parents.get(one) == value and there(one)]
        best = max(below, key=chance, default=None)
        if best is None or chance(best) < chances.get(value, 0.0):
            return [(value, chance(value))]
        return [(value, chance(value)), *down(best)]

    tops = [one for one in names if one not in parents and there(one)]
    return down(max(tops, key=chance))


@settings(deadline=None)
@given(TREES, WEIGHTS, st.integers(1, 8), SURE)
def test_the_deepest_sure_value_on_the_likeliest_way(
    parents: dict[str, str], weights: list[int], taught: int, sure: float
) -> None:
    # Ties go by order, which the plain reference does not know: no two weights are alike.
    drawn = [weight + place / 64 for place, weight in enumerate(weights)]
    values = tuple(f"v{n}" for n in range(8 - taught, 8))
    own = drawn[8 - taught :]
    chances = dict(zip(values, (x / sum(own) for x in own), strict=True))
    expected = way(parents, chances)
    hierarchy = Hierarchy(values, parents)
    ends, ways = hierarchy.ways(np.array([list(chances.values())]))
    names = list(hierarchy.above(hierarchy.names[ends[0]]))
    assert names == [name for name, _ in reversed(expected)]
    assert ways[0] == pytest.approx([chance for _, chance in reversed(expected)])
    # What one image is told is what the table of tags says of it, one by one and in numbers.
    limits = Floors(others=sure, parents=hierarchy.steps, over=sure)
    best = max(chances, key=chances.__getitem__)
    answer = limits.cut(Prediction(best, chances[best], chances, ()))
    enough = [(name, chance) for name, chance in expected if chance >= sure - 1e-9]
    edge = any(abs(chance - sure) < 1e-6 for _, chance in expected)
    if not edge:
        assert answer.value == (enough[-1][0] if enough else None)
        if enough:
            assert answer.confidence == pytest.approx(enough[-1][1])
            assert answer.best_guess is None
    batch = TagBatch(
        [[best]], np.array([chances[best]]), [[]], None, np.array([[*chances.values()]])
    )
    table = TagTable.of(from_list([bytes(32)]), batch.down(hierarchy))
    ((_, said, confidence, guess),) = table.rows(limits)
    if not edge:
        assert said == ([answer.value] if answer.value else [])
        assert bool(guess) == (not said)
    sets, codes, guesses, confidences = table.numbered(limits)
    assert (list(sets[codes[0]]), list(sets[guesses[0]])) == (said, list(guess))
    assert confidences[0] == np.float32(confidence)


@settings(deadline=None)
@given(TREES, st.lists(WEIGHTS, min_size=1, max_size=5), st.sampled_from([0.51, 0.6, 0.8]))
def test_of_half_or_more_it_is_the_deepest_of_all(
    parents: dict[str, str], rows: list[list[int]], sure: float
) -> None:
    values = tuple(f"v{n}" for n in range(8))
    weights = np.array(rows, float) + 0.01
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    hierarchy = Hierarchy(values, parents)
    sums = hierarchy.sums(probabilities)
    ends, ways = hierarchy.ways(probabilities)
    for row, chances in enumerate(sums):
        depth = {name: len(list(hierarchy.above(name))) for name in hierarchy.names}
        enough = {x for x, chance in zip(hierarchy.names, chances, strict=True) if chance >= sure}
        on_it = list(hierarchy.above(hierarchy.names[ends[row]]))
        found = [x for x, chance in zip(on_it, ways[row], strict=True) if chance >= sure]
        assert (found[0] if found else None) == max(enough, key=depth.__getitem__, default=None)


@settings(deadline=None)
@given(TREES, st.lists(st.lists(st.integers(0, 9), min_size=8, max_size=8), max_size=6), SURE)
def test_tables_of_many_say_of_each_what_they_say_of_it_alone(
    parents: dict[str, str], rows: list[list[int]], sure: float
) -> None:
    values = tuple(f"v{n}" for n in range(8))
    weights = np.array(rows, float).reshape(-1, 8) + 0.25
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    hierarchy = Hierarchy(values, parents)
    best = [[values[place]] for place in probabilities.argmax(axis=1)]
    far = [row % 3 == 2 for row in range(len(rows))]
    batch = TagBatch(
        [[] if out else value for value, out in zip(best, far, strict=True)],
        probabilities.max(axis=1, initial=0),
        [value if out else [] for value, out in zip(best, far, strict=True)],
        None,
        probabilities,
    )
    ids = from_list(bytes([37 * row % 251]) * 32 for row in range(1, len(rows) + 1))
    table = TagTable.of(ids, batch.down(hierarchy))
    in_order, order = table.in_numbers().sorted(), np.argsort(ids)
    assert in_order.ids.tolist() == sorted(ids.tolist())
    assert in_order.known.tolist() == [not far[row] for row in order]
    doubts = [1 - row[-1] + row[-2] for row in np.sort(probabilities, axis=1)]
    assert in_order.doubts == pytest.approx(np.array(doubts)[order], abs=1e-6)
    for limits in (EVERY, Floors({"v0": 0.9}, sure, hierarchy.steps, sure)):
        sets, codes, guesses, confidences = table.numbered(limits)
        expected = list(table.rows(limits))
        assert [(sets[a], sets[b]) for a, b in zip(codes, guesses, strict=True)] == [
            (tuple(said), tuple(guess)) for _, said, _, guess in expected
        ]
        assert confidences.tolist() == [np.float32(sure_) for _, _, sure_, _ in expected]
        same = in_order.numbered(limits)
        assert same.sets == sets
        assert same.codes.tolist() == codes[order].tolist()
        assert same.guesses.tolist() == guesses[order].tolist()
        assert same.confidences.tolist() == confidences[order].tolist()
        # What is unlike all examples is none of the values, so none above them either.
        assert all(not expected[row][1] for row, out in enumerate(far) if out)


def test_limits_come_back_from_their_text() -> None:
    limits = Floors({"a": 0.5}, 0.4, {"a": "b"}, 0.7)
    assert Floors.from_json(limits.to_json()) == limits


def test_a_tree_is_written_below_its_top() -> None:
    counts = {"clothing": 9, "dress": 3, "top": 6, "lamp": 7, "unknown": 20, "tee": 1}
    parents = {"dress": "clothing", "top": "clothing", "tee": "top", "clothing": "goods"}
    assert list(as_tree(counts, parents)) == [
        *((0, "unknown"), (0, "clothing"), (1, "top"), (2, "tee"), (1, "dress"), (0, "lamp")),
    ]
