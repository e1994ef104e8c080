"""The vote of the nearest examples beside plain formulas."""

from dataclasses import replace

import numpy as np
import pytest

from gingham.attributes.logit_sum import LogitSum
from gingham.attributes.neighbour_vote import (
    HEARD,
    HeldOut,
    VoteRule,
    fit_vote_rule,
    log_shares,
    nearest,
)


def test_nearest_are_the_largest_best_first() -> None:
    similarity = np.random.default_rng(0).normal(size=(5, 12))
    columns, values = nearest(similarity, 4)
    np.testing.assert_array_equal(columns, np.argsort(-similarity, axis=1)[:, :4])
    np.testing.assert_array_equal(values, np.take_along_axis(similarity, columns, axis=1))
    assert nearest(similarity, 99)[0].shape == (5, 12)


def test_shares_and_probabilities_sum_to_one_and_follow_the_nearest() -> None:
    labels, similarity = np.array([[0, 0, 2]]), np.array([[0.9, 0.8, 0.1]])
    share = np.exp(log_shares(labels, similarity, 3, 0.1))
    weight = np.exp((np.array([0.9, 0.8, 0.1]) - 1) / 0.1)
    raw = np.array([weight[0] + weight[1], 0, weight[2]]) + np.exp(-20)
    np.testing.assert_allclose(share[0], raw / raw.sum())
    often = np.array([0.2, 0.5, 0.3])
    joined = LogitSum(np.array([0.5, 2.0]), np.zeros(3), 0.02, often)
    rule = VoteRule(0.1, joined, np.ones(3))
    nothing = [np.zeros((1, 3))]
    found = rule.probabilities(labels, similarity, nothing)
    assert found.sum() == pytest.approx(1)
    assert found[0].argmax() == 0
    # A value without a vote has its part of the lapse, and more where more is expected of it.
    assert found[0, 1] == pytest.approx(0.02 * 0.5, rel=0.05)
    twice = replace(rule, shift=np.array([1, 2, 1])).probabilities(labels, similarity, nothing)
    np.testing.assert_allclose(twice[0] / twice[0, 0], found[0] / found[0, 0] * np.array([1, 2, 1]))
    # What the regression says is added to the logs of the shares.
    heard = rule.probabilities(labels, similarity, [np.array([[0.0, 0.0, 3.0]])])
    told, said = ((one - 0.02 * often)[0] for one in (found, heard))
    assert said[2] / said[0] == pytest.approx(told[2] / told[0] * np.exp(2 * 3))


def test_wrong_labels_are_a_lapse_and_do_not_make_every_answer_unsure() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 0, 1], 200)
    voters = np.where(labels[:, None] == 1, np.arange(200, 205), np.arange(5))
    # All voters agree about one half; one of five does not about the other, and is right as often:
    # only beside what is unclear does a wrong label differ from a vote that says little.
    voters[400:, 0] = np.where(labels[400:] == 1, 0, 200)
    other = 400 + rng.permutation(400)[:80]
    labels[other] = 1 - labels[other]
    similarity = np.full((800, 5), 0.9)
    wrong = rng.permutation(800)[:80]
    labels[wrong] = 1 - labels[wrong]
    truth = labels.copy()
    labels[np.unique(voters)] = np.repeat([0, 1], 5)
    nothing = np.zeros((800, 2))
    rule = fit_vote_rule([HeldOut(np.arange(800), voters, similarity, [nothing])], truth, 2)
    found = rule.probabilities(np.array([[0, 0, 0, 0, 0]]), similarity[:1], [nothing[:1]])
    assert found[0, 0] == pytest.approx(0.9, abs=0.03)
    assert rule.joined.lapse >= 0.1


def test_without_anything_held_out_the_vote_rule_is_cautious() -> None:
    rule = fit_vote_rule([], np.array([0, 1]), 2)
    found = rule.probabilities(np.array([[0]]), np.array([[1.0]]), [np.zeros((1, 2))])
    assert 0.5 < found.max() <= 0.75


def test_a_further_regression_counts_as_far_as_held_out_examples_say() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    side = np.stack([labels == 0, labels == 1], axis=1) - 0.5
    voters = rng.integers(0, 400, (400, 5))
    useless, telling = rng.normal(size=(2, 400, 2))
    telling += side
    held = [HeldOut(np.arange(400), voters, np.full((400, 5), 0.5), [useless, telling, -telling])]
    weights = fit_vote_rule(held, labels, 2).joined.weights
    assert weights.shape == (4,)
    assert weights[2] >= HEARD
    assert weights[3] == 0
    # What says next to nothing is not heard at all.
    faint = replace(held[0], scores=[telling, 0.1 * useless])
    assert fit_vote_rule([faint], labels, 2).joined.weights[2] == 0
    without = replace(held[0], scores=[telling])
    assert fit_vote_rule([without], labels, 2).joined.weights.shape == (2,)
