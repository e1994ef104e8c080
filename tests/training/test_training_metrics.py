from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gingham.errors import ShapeError
from gingham.training.calibration import Calibration, best_threshold, calibrate
from gingham.training.metrics import (
    Answers,
    average_precision,
    measure,
    ranking_precision,
    weighted_mean_precision,
)
from gingham.training.vocabulary import ModelAttribute, Vocabulary

VOCABULARY = Vocabulary(
    (
        ModelAttribute("colour", "single", ("blue", "green", "red")),
        ModelAttribute("worn", "multi", ("hat", "scarf")),
        ModelAttribute("dotted", "binary", ("yes",)),
    )
)
LABEL = st.sampled_from([0.0, 1.0, math.nan])
SCORE = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([-1e4, 1e4]))
TABLE = st.integers(1, 8).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(SCORE, min_size=6, max_size=6), min_size=n, max_size=n),
        st.lists(st.lists(LABEL, min_size=6, max_size=6), min_size=n, max_size=n),
    )
)
UNKNOWN = [[math.nan] * 6]


def straight_precision(scores: list[float], truth: list[float]) -> float | None:
    """At each score from the top: what share of those at or above it holds, for each that does."""
    known = [(s, t) for s, t in zip(scores, truth, strict=True) if not math.isnan(t)]
    held = [s for s, t in known if t == 1]
    if not held:
        return None
    found = [
        sum(t for s, t in known if s >= level) / sum(1 for s, _ in known if s >= level)
        for level in held
    ]
    return sum(found) / len(found)


@settings(deadline=None)
@given(TABLE)
@example(([[1e4] * 6], [[0.0] * 6]))
@example(([[1e4] * 6], [[1.0] * 6]))
@example(([[1e4] * 6], UNKNOWN))
def test_precisions_equal_plain_loops(table: tuple[list[list[float]], list[list[float]]]) -> None:
    scores, targets = np.array(table[0]), np.array(table[1])
    by_label = [straight_precision(list(scores[:, v]), list(targets[:, v])) for v in range(6)]
    for v in range(6):
        found = average_precision(scores[:, v], targets[:, v])
        assert found == (None if by_label[v] is None else pytest.approx(by_label[v]))
    held = [(p, sum(targets[:, v] == 1)) for v, p in enumerate(by_label) if p is not None]
    weighted = weighted_mean_precision(scores, targets)
    if held:
        expected = sum(p * n for p, n in held) / sum(n for _, n in held)
        assert weighted == pytest.approx(expected)
    else:
        assert weighted is None
    by_image = [straight_precision(*pair) for pair in zip(*table, strict=True)]
    ranked = [one for one in by_image if one is not None]
    found = ranking_precision(scores, targets)
    assert found == (pytest.approx(sum(ranked) / len(ranked)) if ranked else None)


@settings(deadline=None)
@given(TABLE)
@example(([[0.0] * 6], UNKNOWN))
def test_counts_equal_plain_loops(table: tuple[list[list[float]], list[list[float]]]) -> None:
    scores, targets = np.array(table[0]), np.array(table[1])
    for row in targets:  # a single-valued attribute has one value, or is unknown
        held = np.flatnonzero(row[:3] == 1)
        row[:3] = np.eye(3)[held[0]] if len(held) else np.nan
    given_ = scores > 0
    given_[:, :3] &= np.cumsum(given_[:, :3], axis=1) == 1
    sure = np.full(scores.shape, 0.7)
    metrics = measure(VOCABULARY, Answers(scores, given_, sure), targets)
    f1s = []
    for v, value in enumerate(metrics.values):
        hits = said = there = known = 0
        for row in range(len(scores)):
            if not math.isnan(targets[row, v]):
                known += 1
                hits += bool(given_[row, v]) and targets[row, v] == 1
                said += bool(given_[row, v])
                there += targets[row, v] == 1
        assert (value.images, value.known) == (there, known)
        assert value.precision == (hits / said if said else None)
        assert value.recall == (hits / there if there else None)
        if there:
            f1s.append(2 * hits / (said + there))
    assert metrics.overall.macro_f1 == (pytest.approx(np.mean(f1s)) if f1s else None)
    for attribute, one in zip(VOCABULARY.attributes, metrics.attributes, strict=True):
        columns = VOCABULARY.columns[attribute.name]
        right = wrong = 0
        for row in range(len(scores)):
            y, g = targets[row, columns], given_[row, columns]
            if not np.isnan(y).all():
                good = all(math.isnan(a) or bool(b) == (a == 1) for a, b in zip(y, g, strict=True))
                right, wrong = right + good, wrong + (not good)
        assert one.images == right + wrong
        assert one.accuracy == (right / (right + wrong) if right + wrong else None)
        if one.confusion is not None:
            assert np.sum(one.confusion) == one.images
            if attribute.kind == "binary":
                assert one.confusion[0][0] + one.confusion[1][1] == right


def test_unknown_answers_are_wrong_and_left_out_of_calibration() -> None:
    targets = np.array([[1, 0, 0, np.nan, np.nan, np.nan]] * 4)
    given_ = np.zeros((4, 6), bool)
    given_[:3, 0] = True
    answers = Answers(given_ * 1.0, given_, np.full((4, 6), 0.8))
    colour = measure(VOCABULARY, answers, targets).attributes[0]
    assert (colour.accuracy, colour.answered) == (0.75, 0.75)
    assert colour.calibration_error == pytest.approx(0.2)
    assert colour.confusion == ((3, 0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0))


def test_shapes_that_do_not_fit_are_named() -> None:
    answers = Answers(np.zeros((2, 6)), np.zeros((2, 6), bool), np.zeros((2, 6)))
    with pytest.raises(ShapeError, match=r"\(2, 6\)"):
        measure(VOCABULARY, answers, np.zeros((2, 5)))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.3, 0.5, 0.7]), st.booleans()), min_size=1),
)
def test_best_threshold_has_the_best_f1(rows: list[tuple[float, bool]]) -> None:
    p, truth = np.array([a for a, _ in rows]), np.array([b for _, b in rows])

    def f1(threshold: float) -> float:
        said = p >= threshold
        return float(2 * (said & truth).sum() / max(said.sum() + truth.sum(), 1))

    if truth.any() and not truth.all():
        best = max(f1(t) for t in (0.0, 0.2, 0.4, 0.6, 0.8))
        assert f1(best_threshold(p, truth)) == pytest.approx(best)
    else:
        assert best_threshold(p, truth) == 0.5


def test_calibration_mends_confidence_and_survives_saving() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=600)
    targets = np.full((600, 6), np.nan)
    targets[:, :3] = np.eye(3)[truth]
    targets[:, 3:5] = rng.random((600, 2)) < 0.3
    logits = np.zeros((600, 6))
    # Ten times too sure of itself, and half of the answers noise.
    logits[:, :3] = 10 * (np.eye(3)[truth] + rng.normal(0, 0.8, (600, 3)))
    logits[:, 3:5] = 20 * (targets[:, 3:5] + rng.normal(0, 0.8, (600, 2))) + 7
    calibration = calibrate(VOCABULARY, logits[:300], targets[:300])
    plain = Calibration(VOCABULARY, np.ones(6), np.zeros(6), np.full(6, 0.5))
    before, after = (
        measure(VOCABULARY, one.answers(logits[300:]), targets[300:])
        for one in (plain, calibration)
    )
    for raw, mended in zip(before.attributes[:2], after.attributes[:2], strict=True):
        assert (raw.calibration_error or 0) > 0.15
        assert (mended.calibration_error or 1) < 0.08
    scores = [one.attributes[1].summary.macro_f1 or 0 for one in (before, after)]
    assert scores[1] > scores[0]
    again = Calibration.from_dict(VOCABULARY, calibration.to_dict())
    np.testing.assert_array_equal(again.probabilities(logits), calibration.probabilities(logits))


def test_a_common_value_is_answered_where_the_network_is_unsure() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(3, size=600, p=[0.8, 0.1, 0.1])
    targets = np.full((600, 6), np.nan)
    targets[:, :3] = np.eye(3)[truth]
    logits = np.zeros((600, 6))
    # The mean of each output over the images is 0, and tells nothing of how common a value is.
    logits[:, :3] = 1.5 * np.eye(3)[truth] + rng.normal(0, 0.8, (600, 3))
    logits -= logits.mean(0)
    calibration = calibrate(VOCABULARY, logits[:300], targets[:300])
    plain = Calibration(VOCABULARY, np.ones(6), np.zeros(6), np.zeros(6))
    before, after = (
        measure(VOCABULARY, one.answers(logits[300:]), targets[300:]).attributes[0]
        for one in (plain, calibration)
    )
    assert (before.accuracy or 0) < 0.7
    assert (after.accuracy or 0) > (before.accuracy or 0) + 0.1
    # Not at the price of the rare ones.
    assert (after.summary.macro_f1 or 0) > (before.summary.macro_f1 or 0)


def test_calibration_of_nothing_known_is_harmless() -> None:
    logits = np.array([[1e4, -1e4, 0, 1e4, -1e4, 0]] * 3)
    calibration = calibrate(VOCABULARY, logits, np.full((3, 6), np.nan))
    answers = calibration.answers(logits)
    assert np.isfinite(answers.scores).all()
    assert answers.given[:, [0, 3]].all()


def test_hopeless_answers_become_unknown() -> None:
    rng = np.random.default_rng(1)
    targets = np.full((200, 6), np.nan)
    logits = np.zeros((200, 6))
    # Where the network is unsure it takes the first two for each other, and is always wrong.
    side = np.arange(100) % 2
    targets[:100, :3] = np.eye(3)[side]
    logits[np.arange(100), 1 - side] = rng.uniform(0, 0.1, 100)
    targets[100:, :3] = np.eye(3)[2]
    logits[100:, 2] = rng.uniform(3, 4, 100)
    answers = calibrate(VOCABULARY, logits, targets).answers(logits)
    assert not answers.given[:100, :3].any()
    assert answers.given[100:, 2].all()
