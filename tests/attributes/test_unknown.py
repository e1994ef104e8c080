"""When an image is too foreign to be answered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gingham.attributes.single_learner import SingleLearner
from gingham.attributes.unknown import (
    ALLOWED_LOSS,
    FAR,
    NEAREST,
    UnknownRule,
    distance_rule,
    join_scores,
    relative_rule,
)


def test_the_limit_loses_the_share_that_was_allowed() -> None:
    rng = np.random.default_rng(0)
    scores = np.stack([rng.exponential(size=300), np.zeros(300)])
    rule = relative_rule(scores, np.ones(300, bool), [])
    assert rule is not None
    fresh = np.stack([rng.exponential(size=100_000), np.zeros(100_000)])
    joined = join_scores(fresh, rule.centres, rule.spreads)
    for allowed in (0.005, 0.02, 0.05):
        lost = (joined > rule.limit(allowed)).mean()
        assert allowed / 2 < lost < allowed * 2
    assert rule.limit() == rule.limit(ALLOWED_LOSS)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.001, 0.1), st.floats(1.1, 10))
def test_who_allows_more_loss_never_finds_less_unknown(
    seed: int, allowed: float, times: float
) -> None:
    scores = np.random.default_rng(seed).normal(size=(3, 40))
    rule = relative_rule(scores, np.ones(40, bool), [])
    assert rule is not None
    assert rule.limit(allowed * times) <= rule.limit(allowed)


def test_scores_are_joined_as_in_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    scores, centres, spreads = rng.normal(size=(4, 7)), rng.normal(size=4), np.arange(1.0, 5)
    for i, found in enumerate(join_scores(scores, centres, spreads)):
        scaled = [(scores[s, i] - centres[s]) / spreads[s] for s in range(4)]
        assert found == pytest.approx(max(scaled[:3]) + NEAREST * scaled[3])


def test_wrong_answers_and_what_was_not_held_out_do_not_move_the_limit() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(2, 40))
    more = np.concatenate([scores, np.full((2, 1), np.nan), np.full((2, 1), 1e3)], axis=1)
    right = np.array([True] * 41 + [False])
    plain, judged = relative_rule(scores, np.ones(40, bool), []), relative_rule(more, right, [])
    assert plain is not None
    assert judged is not None
    assert judged.limit() == pytest.approx(plain.limit())
    assert relative_rule(scores[:, :9], np.ones(9, bool), []) is None


def test_without_a_background_the_limit_is_that_of_the_distance() -> None:
    logs = np.random.default_rng(0).normal(size=50)
    rule = distance_rule(logs, 3)
    nearest = np.array([0.0, 2.0])
    inside = np.exp(np.full(2, logs.mean() + 2.9 * logs.std()))
    assert (rule.novelty([], inside, nearest) < 1).all()
    assert (rule.novelty([], inside * np.exp(0.2 * logs.std()), nearest) > 1).all()
    assert distance_rule(logs[:2], 3).limit() == np.inf


def test_a_background_finds_another_value_of_the_same_kind() -> None:
    kinds = np.random.default_rng(7).normal(size=(20, 24))
    rng = np.random.default_rng(0)

    def draw(kind: NDArray[np.intp]) -> NDArray[np.float64]:
        drawn: NDArray[np.float64] = 4 + kinds[kind] + 0.4 * rng.normal(size=(len(kind), 24))
        return drawn

    y = np.repeat(np.arange(8), 12)
    X, background = draw(y), draw(np.arange(600) % 20)
    blocks = [("early", 0, 12), ("deep", 12, 24)]
    taught, other = draw(np.repeat(np.arange(8), 40)), draw(np.repeat(np.arange(8, 20), 40))
    plain = SingleLearner(blocks=blocks).fit(X, y).voter_
    voter = SingleLearner(blocks=blocks).fit(X, y, background=background).voter_
    assert (voter.vote(taught).value < 0).mean() < 0.03
    found = (voter.vote(other).value < 0).mean()
    assert found > 0.5
    assert found > 2 * (plain.vote(other).value < 0).mean()
    rule, same = voter.unknown, np.full(2, -1e3)
    one = [relative.whiten(X[:2]) for relative in rule.relatives]
    deviations = np.array([FAR - 0.1, FAR + 0.1])
    residual = np.exp(rule.centres[0] + deviations * rule.spreads[0])
    assert (rule.score(one, residual, same) < rule.limit()).all()
    assert (rule.novelty(one, residual, same) > 1).tolist() == [False, True]
    again = UnknownRule.from_arrays(voter.unknown.to_arrays())
    assert again.limit() == voter.unknown.limit()
    loose = SingleLearner(blocks=blocks, allowed_loss=0.1).fit(X, y, background=background).voter_
    assert (loose.vote(taught).novelty > voter.vote(taught).novelty).all()
    assert UnknownRule.from_arrays(loose.unknown.to_arrays()).limit() == rule.limit(0.1)
    few = SingleLearner(blocks=blocks).fit(X, y, background=background[:200]).voter_
    assert few.unknown.relatives == ()
