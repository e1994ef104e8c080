"""What a network is trained to make small; unknown labels count for nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional

from gingham.errors import ShapeError
from gingham.training.vocabulary import Vocabulary

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def finetag_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Pairwise ranking loss: every label of an image is to score above every other.

    For scores f and the labels Y of one image,
    ``log(1 + sum over v not in Y, u in Y of exp(f_v - f_u))``; the mean over images.

    Parameters
    ----------
    logits : (N, V) float tensor, any size: the double sum is a product, so that its logarithm is
        ``softplus(logsumexp(f_v) + logsumexp(-f_u))`` and nothing overflows.
    targets : (N, V) float tensor of 1 (in Y), 0 (not in Y) and NaN (unknown: left out of both).

    Returns
    -------
    A scalar; 0 where no image has both a label that holds and one that does not.

    Raises
    ------
    ShapeError
        If the shapes differ or are not (N, V).

    References
    ----------
    Zakizadeh et al., *FineTag*, arXiv:1806.07124; Li, Song, Luo, *Improving Pairwise Ranking for
    Multi-label Image Classification* (2017), eq. 5. They sum over images; the mean is ours.
    """
    _check(logits, targets)
    has, lacks = targets == 1, targets == 0
    # Rows without a pair are cut first: logsumexp over nothing has no gradient.
    rows = has.any(1) & lacks.any(1)
    if not rows.any():
        return logits.sum() * 0
    f, has, lacks = logits[rows], has[rows], lacks[rows]
    above = f.masked_fill(~lacks, -torch.inf).logsumexp(1)
    below = (-f).masked_fill(~has, -torch.inf).logsumexp(1)
    return functional.softplus(above + below).mean()


def ranking_loss(
    logits: torch.Tensor, targets: torch.Tensor, *, rank_images: float = 1.0
) -> torch.Tensor:
    """Rank the labels of each image, and the images of the batch for each label: a scalar.

    `finetag_loss`, plus `rank_images` times the same of the transposed matrices: an image that has
    a label is to score higher in it than one that has not. W_MAP measures that, and the paper's
    loss does not see it: a number added to all scores of one image changes nothing there. Arguments
    and errors are those of `finetag_loss`; with `rank_images` 0 the loss is the paper's.
    """
    loss = finetag_loss(logits, targets)
    if rank_images:
        loss = loss + rank_images * finetag_loss(logits.T, targets.T)
    return loss


def attribute_loss(
    logits: torch.Tensor, targets: torch.Tensor, groups: tuple[tuple[str, int, int], ...]
) -> torch.Tensor:
    """Mean over attributes of softmax cross-entropy (`single`) or of the sigmoid's (`multi`).

    Parameters
    ----------
    logits : (N, V) float tensor.
    targets : (N, V) float tensor of 1, 0 and NaN; of a `single` attribute one 1, or all NaN.
    groups : (kind, first output, end) of each attribute; see `Vocabulary.groups`.

    Returns
    -------
    A scalar: of each attribute the mean over what is known of it; an attribute of which nothing
    is known is left out, and 0 is returned if all are.

    Raises
    ------
    ShapeError
        If the shapes differ or are not (N, V).
    """
    _check(logits, targets)
    losses = []
    for kind, first, end in groups:
        f, y = logits[:, first:end], targets[:, first:end]
        if kind == "single":
            known = (y == 1).any(1)
            if known.any():
                losses.append(functional.cross_entropy(f[known], y[known].argmax(1)))
        else:
            known = ~y.isnan()
            if known.any():
                losses.append(functional.binary_cross_entropy_with_logits(f[known], y[known]))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def loss_for(head: str, vocabulary: Vocabulary, rank_images: float) -> Loss:
    """Choose the loss that belongs to a head; see `FitConfig` for `rank_images`."""
    if head == "multi":
        return partial(attribute_loss, groups=vocabulary.groups)
    return partial(ranking_loss, rank_images=rank_images)


def _check(logits: torch.Tensor, targets: torch.Tensor) -> None:
    if logits.ndim != 2 or targets.shape != logits.shape:
        raise ShapeError("targets", expected=f"(N, V) = {tuple(logits.shape)}", got=targets.shape)
