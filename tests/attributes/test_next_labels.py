"""Which images are labelled next."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gingham.attributes.next_labels import CLOSENESS, rank_next


def unit(angles: list[float]) -> np.ndarray:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_of_a_crowd_one_comes_first_and_the_others_last() -> None:
    # Ten doubtful images that are one another's copies, three that stand alone, a sure one.
    looks = unit([0.0] * 10 + [1.2, 2.4, 3.6] + [4.8])
    doubt = np.array([0.8] * 10 + [0.9, 0.7, 0.6] + [0.01])
    order = rank_next(doubt, looks).tolist()
    assert order[0] == 0
    assert order[1:4] == [10, 11, 12]
    assert order[4] == 13
    assert sorted(order) == list(range(14))


@given(
    st.lists(st.tuples(st.integers(0, 100), st.floats(0, 6.2)), max_size=12),
)
def test_it_equals_a_plain_loop(images: list[tuple[int, float]]) -> None:
    doubt = np.array([d / 100 for d, _ in images])
    looks = unit([angle for _, angle in images])
    alike = np.clip(looks @ looks.T, 0, 1) ** CLOSENESS
    worth = {i: doubt[i] * sum(alike[i] * doubt) for i in range(len(images))}
    wanted = []
    while worth:
        best = max(worth.values())
        chosen = min(i for i, one in worth.items() if one >= best - 1e-12)
        wanted.append(chosen)
        del worth[chosen]
        worth = {i: one * (1 - alike[chosen][i]) for i, one in worth.items()}
    found = rank_next(doubt, looks)
    assert sorted(found.tolist()) == list(range(len(images)))
    assert found[:1].tolist() == wanted[:1] or np.isclose(
        *[doubt[i[0]] * (alike[i[0]] @ doubt) for i in (found, wanted)]
    )
