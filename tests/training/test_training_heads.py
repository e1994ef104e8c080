from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from gingham.backbones.table import BACKBONES, PIXELS, get_backbone
from gingham.errors import BackboneError
from gingham.training.heads import (
    FineTagHead,
    MultiHead,
    build_head,
    default_layers,
    parameters,
    reads_pooled,
)


def test_finetag_has_a_fortieth_of_the_parameters_of_rank_on_vgg16() -> None:
    """Outside the convolutions, with the 312 outputs of CUB: arXiv:1806.07124, table 3."""
    vgg = BACKBONES["vgg16"]
    with torch.device("meta"):
        finetag, rank = (build_head(h, vgg, [(512, 7, 7)], 312) for h in ("finetag", "rank"))
    assert parameters(rank) == (25088 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 312
    assert parameters(finetag) == (512 + 1) * 20 + (512 * 20 + 1) * 312
    assert round(parameters(rank) / 1e6, 1) == 120.8
    assert round(parameters(finetag) / 1e6, 1) == 3.2
    assert 37 < parameters(rank) / parameters(finetag) < 41
    assert default_layers("finetag", vgg) == default_layers("rank", vgg) == ("stage5",)
    assert not reads_pooled("rank", vgg)


def test_bilinear_pooling_is_the_sum_of_outer_products() -> None:
    torch.manual_seed(0)
    head = FineTagHead([3, 5], 4, reduced=2).eval()
    maps = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 2, 3)]
    norms: list[Any] = list(head.norm)
    reduces: list[Any] = list(head.reduce)
    for norm, x in zip(norms, maps, strict=True):
        norm.running_mean.copy_(x.mean((0, 2, 3)))
        norm.running_var.copy_(x.var((0, 2, 3)))
    got = head(maps).detach().numpy()
    for image in range(2):
        vectors = []
        for x, norm, reduce in zip(maps, norms, reduces, strict=True):
            scaled = (x[image] - norm.running_mean[:, None, None]) / torch.sqrt(
                norm.running_var[:, None, None] + norm.eps
            )
            total = np.zeros((x.shape[1], 2))
            for i in range(x.shape[2]):
                for j in range(x.shape[3]):
                    position = scaled[:, i, j].numpy()
                    weight = reduce.weight[:, :, 0, 0].detach().numpy()
                    reduced = weight @ position + reduce.bias.detach().numpy()
                    total += np.outer(position, reduced)
            total /= x.shape[2] * x.shape[3]
            rooted = np.sign(total) * np.sqrt(np.abs(total))
            vectors.append((rooted / np.linalg.norm(rooted)).ravel())
        joined = np.concatenate(vectors)
        expected = head.output.weight.detach().numpy() @ joined + head.output.bias.detach().numpy()
        np.testing.assert_allclose(got[image], expected, atol=1e-5)


def test_the_layers_of_the_multi_head_are_as_loud_however_wide() -> None:
    torch.manual_seed(0)
    head = MultiHead([4, 100], 3)
    layers = [torch.randn(64, 4) * 5 + 1, torch.randn(64, 100) / 9]
    for _ in range(200):  # until the running statistics are those of the batch
        head(layers)
    got = head.eval()(layers).detach().numpy()
    weight, bias = (x.detach().numpy() for x in (head.output.weight, head.output.bias))
    standard = [(x - x.mean(0)).numpy() / x.std(0).numpy() for x in layers]
    # The mean square over all inputs stays 1; that of each layer's sum is the same.
    loud = [x * np.sqrt(104 / 2 / x.shape[1]) for x in standard]
    assert (loud[0] ** 2).sum() == pytest.approx((loud[1] ** 2).sum(), rel=0.01)
    np.testing.assert_allclose(got, np.concatenate(loud, 1) @ weight.T + bias, atol=0.02)


@pytest.mark.parametrize("head", ["multi", "finetag", "rank"])
@pytest.mark.parametrize("name", ["efficientnet_lite0", "vgg16", "resnet50"])
def test_every_head_goes_on_every_backbone(head: str, name: str) -> None:
    backbone = get_backbone(name)
    layers = default_layers(head, backbone)
    assert set(layers) <= {PIXELS, *(layer for layer, _ in backbone.layers)}
    pooled = reads_pooled(head, backbone)
    shapes = [(12,) if pooled else (6, 7, 7) for _ in layers]
    with torch.device("meta"):
        made = build_head(head, backbone, shapes, 9, reduced=4)
        assert made([torch.zeros(2, *shape) for shape in shapes]).shape == (2, 9)


def test_finetag_refuses_what_is_no_map() -> None:
    with pytest.raises(BackboneError, match=r"maps \(C, H, W\), a layer gives \(12,\)"):
        build_head("finetag", BACKBONES["resnet50"], [(12,)], 3)
