from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gingham.errors import ShapeError
from gingham.training.losses import attribute_loss, finetag_loss, ranking_loss

GROUPS = (("single", 0, 3), ("multi", 3, 5), ("binary", 5, 6))
ROW = st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=6, max_size=6)
SCORES = st.lists(st.floats(-1e4, 1e4), min_size=6, max_size=6)
UNKNOWN = [math.nan] * 6


def straight_finetag(logits: list[list[float]], targets: list[list[float]]) -> float:
    """The formula as it stands, by loops; logs of sums of exponentials in 1,000-digit range."""
    losses = []
    for f, y in zip(logits, targets, strict=True):
        pairs = [
            f[v] - f[u] for v in range(len(f)) for u in range(len(f)) if y[v] == 0 and y[u] == 1
        ]
        if pairs:
            top = max(0.0, *pairs)
            total = math.exp(-top) + sum(math.exp(pair - top) for pair in pairs)
            losses.append(top + math.log(total))
    return sum(losses) / len(losses) if losses else 0.0


def straight_attributes(logits: list[list[float]], targets: list[list[float]]) -> float:
    means = []
    for kind, first, end in GROUPS:
        losses = []
        for f, y in zip(logits, targets, strict=True):
            if kind == "single":
                held = [i for i in range(first, end) if y[i] == 1]
                if held:
                    top = max(f[first:end])
                    total = math.log(sum(math.exp(v - top) for v in f[first:end])) + top
                    losses.append(total - f[held[0]])
                continue
            for i in range(first, end):
                if not math.isnan(y[i]):
                    signed = -f[i] if y[i] == 1 else f[i]
                    losses.append(max(signed, 0.0) + math.log1p(math.exp(-abs(signed))))
        if losses:
            means.append(sum(losses) / len(losses))
    return sum(means) / len(means) if means else 0.0


def gradient(loss: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, of)[0]


def tensor(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


@settings(deadline=None)
@given(st.lists(st.tuples(SCORES, ROW), min_size=1, max_size=4))
@example([([1e4, -1e4, 0, 0, 0, 0], [0, 1, math.nan, 0, 1, 0])])  # large logits
@example([([1, 2, 3, 4, 5, 6], [0.0] * 6)])  # no positive
@example([([1, 2, 3, 4, 5, 6], [1.0] * 6)])  # all positive
@example([([1, 2, 3, 4, 5, 6], UNKNOWN)])
@example([([1e4, 0, 0, 0, 0, 0], UNKNOWN), ([0, 1, 0, 0, 0, 0], [0, 1, 0, 0, 0, math.nan])])
def test_finetag_loss_is_the_double_sum(rows: list[tuple[list[float], list[float]]]) -> None:
    logits, targets = (list(column) for column in zip(*rows, strict=True))
    f = tensor(logits)
    loss = finetag_loss(f, torch.tensor(targets, dtype=torch.float64))
    assert float(loss.detach()) == pytest.approx(straight_finetag(logits, targets), rel=1e-9)
    slope = gradient(loss, f)
    assert torch.isfinite(slope).all()
    assert (slope[torch.tensor(targets).isnan()] == 0).all()


@settings(deadline=None)
@given(
    st.lists(st.tuples(SCORES, ROW), min_size=1, max_size=4), st.sampled_from([0.0, 0.5, 1.0, 2.0])
)
@example([([1e4, 0, 0, 0, 0, 0], [0.0] * 6), ([0, 1, 0, 0, 0, 0], [1.0] * 6)], 1.0)  # images only
@example([([1, 2, 3, 4, 5, 6], UNKNOWN), ([1, 2, 3, 4, 5, 6], [1.0] * 6)], 1.0)
@example([([1, 2, 3, 4, 5, 6], [0, 1, math.nan, 0, 1, 0])], 1.0)  # one image: nothing to rank
def test_ranking_loss_ranks_images_as_it_ranks_labels(
    rows: list[tuple[list[float], list[float]]], weight: float
) -> None:
    logits, targets = (list(column) for column in zip(*rows, strict=True))
    columns = [[list(column) for column in zip(*side, strict=True)] for side in (logits, targets)]
    expected = straight_finetag(logits, targets) + weight * straight_finetag(*columns)
    f = tensor(logits)
    y = torch.tensor(targets, dtype=torch.float64)
    loss = ranking_loss(f, y, rank_images=weight)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-9)
    slope = gradient(loss, f)
    assert torch.isfinite(slope).all()
    assert (slope[y.isnan()] == 0).all()
    if not weight:
        assert float(loss.detach()) == float(finetag_loss(f, y).detach())


@settings(deadline=None)
@given(st.lists(st.tuples(SCORES, ROW), min_size=1, max_size=4))
@example([([1e4, -1e4, 0, 1e4, -1e4, 1e4], [0, 1, 0, 0, 1, 0])])
@example([([1, 2, 3, 4, 5, 6], UNKNOWN)])
def test_attribute_loss_is_the_mean_over_what_is_known(
    rows: list[tuple[list[float], list[float]]],
) -> None:
    logits, targets = (list(column) for column in zip(*rows, strict=True))
    for y in targets:  # a single-valued attribute has one value, or is unknown
        held = [i for i in range(3) if y[i] == 1]
        y[:3] = [float(i == held[0]) if held else math.nan for i in range(3)]
    f = tensor(logits)
    loss = attribute_loss(f, torch.tensor(targets, dtype=torch.float64), GROUPS)
    assert float(loss.detach()) == pytest.approx(straight_attributes(logits, targets), rel=1e-9)
    assert torch.isfinite(gradient(loss, f)).all()


def test_the_single_precision_that_learns_is_stable_too() -> None:
    f = torch.tensor([[1e4, -1e4, 3.0]], requires_grad=True)
    loss = finetag_loss(f, torch.tensor([[0.0, 1.0, math.nan]]))
    assert float(loss.detach()) == pytest.approx(2e4)
    np.testing.assert_allclose(gradient(loss, f), [[1, -1, 0]])


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (6,)])
def test_shapes_that_do_not_fit_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        finetag_loss(torch.zeros(2, 3), torch.zeros(shape))
    with pytest.raises(ShapeError, match=r"\(2, 3\)"):
        attribute_loss(torch.zeros(2, 3), torch.zeros(shape), GROUPS)
