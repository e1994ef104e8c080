"""What is put on a backbone: plain outputs, FineTag's bilinear pooling, or the ranking baseline."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from gingham.backbones.table import PIXELS, Backbone
from gingham.errors import BackboneError

WIDE = 4096

_LAST_STAGES = ("stage5", "stage6", "stage7")
_FINETAG_LAYERS = {
    "efficientnet_lite0": _LAST_STAGES,
    "efficientnet_b0": _LAST_STAGES,
    "vgg16": ("stage5",),
}
_LAST_MAPS = {"vgg16": "stage5"}


class MultiHead(nn.Module):
    """One linear layer over the pooled layers, each input standardised, each layer as loud.

    A layer with many channels would otherwise drown those with few, such as the early ones, which
    see colours: what a layer adds is divided by the root of its width, like the layers that an
    attribute is taught by.

    Parameters
    ----------
    widths : D_b of each layer, as it comes pooled, (N, D_b).
    outputs : V.
    dropout : see `ModelConfig`.
    """

    pooled = True

    def __init__(self, widths: Sequence[int], outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        width = sum(widths)
        self.norm = nn.BatchNorm1d(width, affine=False)
        # A mean square of 1, as without it, but shared evenly among the layers.
        shares = [torch.full((w,), (width / len(widths) / w) ** 0.5) for w in widths]
        self.register_buffer("loudness", torch.cat(shares))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, outputs)

    def forward(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map (N, D_b) of each layer to (N, V) logits."""
        joined = self.norm(torch.cat(list(layers), 1)) * self.loudness
        return cast(torch.Tensor, self.output(self.dropout(joined)))


class FineTagHead(nn.Module):
    """Bilinear pooling of each map with its own reduced copy, then one linear layer.

    Of a map X (C channels) and its copy Z, reduced to D channels by a 1x1 convolution, the outer
    products are summed over the positions (C x D), their signed square root is taken, and they
    are scaled to length 1. Several maps are joined side by side.

    Parameters
    ----------
    channels : C of each map.
    outputs : V.
    reduced : D.
    dropout : see `ModelConfig`.

    References
    ----------
    Zakizadeh et al., *FineTag*, arXiv:1806.07124, section 3: one map, D = 20. Ours: reading
    several maps, and standardising channels first (without parameters of its own), since the maps
    of EfficientNet are not rectified and differ in scale.
    """

    pooled = False

    def __init__(
        self, channels: Sequence[int], outputs: int, *, reduced: int = 20, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm = nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in channels)
        self.reduce = nn.ModuleList(nn.Conv2d(c, reduced, 1) for c in channels)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(sum(channels) * reduced, outputs)

    def forward(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map (N, C, H, W) of each layer to (N, V) logits."""
        vectors = []
        for x, norm, reduce in zip(layers, self.norm, self.reduce, strict=True):
            x = norm(x)
            products = torch.bmm(x.flatten(2), reduce(x).flatten(2).transpose(1, 2))
            products = products.flatten(1) / (x.shape[2] * x.shape[3])
            # The square root's slope at 0 has no bound; the small term gives it one.
            rooted = products.sign() * (products.abs() + 1e-8).sqrt()
            vectors.append(functional.normalize(rooted))
        return cast(torch.Tensor, self.output(self.dropout(torch.cat(vectors, 1))))


class RankHead(nn.Module):
    """Two layers of 4096 and one linear layer: the baseline that FineTag is compared with.

    Parameters
    ----------
    inputs : numbers per image. VGG16 gives its flattened map (512 x 7 x 7 = 25,088), as its own
        classifier reads it; of other backbones the pooled layers are read (2C), as theirs do.
    outputs : V.
    flatten : whether maps come in, to be flattened, instead of pooled layers.
    dropout : see `ModelConfig`.
    """

    def __init__(
        self, inputs: int, outputs: int, *, flatten: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.pooled = not flatten
        self.norm = nn.Identity() if flatten else nn.BatchNorm1d(inputs, affine=False)
        self.wide = nn.Sequential(
            nn.Linear(inputs, WIDE),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(WIDE, WIDE),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.output = nn.Linear(WIDE, outputs)

    def forward(self, layers: Sequence[torch.Tensor]) -> torch.Tensor:
        """Map the layers to (N, V) logits."""
        x = self.norm(torch.cat([layer.flatten(1) for layer in layers], 1))
        return cast(torch.Tensor, self.output(self.wide(x)))


Head = MultiHead | FineTagHead | RankHead


def default_layers(head: str, backbone: Backbone) -> tuple[str, ...]:
    """Name the hidden layers that a head reads if nothing is said.

    `multi` reads all, and the colours (`pixels`), pooled; `rank` the last map, as a backbone's own
    classifier; `finetag` too, but of an EfficientNet three maps before its widening last layer (see
    docs/training.md).
    """
    names = tuple(name for name, _ in backbone.layers)
    if head == "multi":
        return (PIXELS, *names)
    if head == "finetag" and backbone.name in _FINETAG_LAYERS:
        return _FINETAG_LAYERS[backbone.name]
    return (_LAST_MAPS.get(backbone.name, names[-1]),)


def default_views(head: str) -> int:
    """Say from how many further views of each image a head learns if nothing is said."""
    return 0 if head == "multi" else 2


def reads_pooled(head: str, backbone: Backbone) -> bool:
    """Say whether a head reads pooled layers, rather than maps."""
    return head == "multi" or (head == "rank" and not _flattens(backbone))


def build_head(
    head: str,
    backbone: Backbone,
    shapes: Sequence[tuple[int, ...]],
    outputs: int,
    *,
    reduced: int = 20,
    dropout: float = 0.0,
) -> Head:
    """Make a head (`multi`, `finetag` or `rank`) for V outputs, with new weights.

    `shapes` are those of one image's layers as the head reads them: (C, H, W), or (D,) pooled.

    Raises
    ------
    BackboneError
        If `finetag` is to read a layer that is not a map.
    """
    if head == "multi":
        return MultiHead([shape[0] for shape in shapes], outputs, dropout=dropout)
    if head == "rank":
        inputs = sum(map(prod, shapes))
        return RankHead(inputs, outputs, flatten=_flattens(backbone), dropout=dropout)
    for shape in shapes:
        if len(shape) != 3:
            raise BackboneError(f"head finetag reads maps (C, H, W), a layer gives {shape}")
    return FineTagHead([s[0] for s in shapes], outputs, reduced=reduced, dropout=dropout)


def parameters(module: nn.Module) -> int:
    """Count what is learned."""
    return sum(one.numel() for one in module.parameters())


def _flattens(backbone: Backbone) -> bool:
    return backbone.architecture.startswith("vgg")
