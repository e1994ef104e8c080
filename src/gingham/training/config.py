"""What `train.toml` says; every key has a default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gingham.names import UNKNOWN_WORDS
from gingham.settings import Seed, SettingsFile, Texts, settings

Rate = Annotated[float, Field(gt=0.0, le=10.0)]
Side = Annotated[float, Field(ge=0.1, le=1.0)]
"""A fraction of the side of what is read of an image."""


@settings
class DataConfig:
    """Which columns of the table are learned, and how rows without a split are divided.

    Attributes
    ----------
    attributes : the columns to learn; by default all but `image`, `group`, `split` and `repeat`.
    kinds : column -> kind, where the cells do not show it: `multi` if any cell holds several values
        or a list, `binary` if all are yes or no (true or false, 1 or 0), otherwise `single`.
    yes : column -> which of its two values means yes, where they are not among these.
    unknown_words : cells that mean unknown, in upper or lower case, in addition to empty ones.
    min_count : a value with fewer training images is not learned; its labels count as unknown.
    validation, test : shares of the rows, where the table has no column `split`; together at most
        three quarters.
    """

    attributes: Texts = ()
    kinds: Mapping[str, Literal["single", "multi", "binary"]] = Field(default_factory=dict)
    yes: Mapping[str, str] = Field(default_factory=dict)
    unknown_words: Texts = UNKNOWN_WORDS
    min_count: int = Field(default=10, ge=1)
    validation: float = Field(default=0.15, ge=0.01, le=0.5)
    test: float = Field(default=0.15, ge=0.0, le=0.5)

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.validation + self.test > 0.75:
            raise ValueError(
                "validation and test must leave at least a quarter for training, got "
                f"{self.validation!r} and {self.test!r}"
            )
        return self


@settings
class ModelConfig:
    """The network.

    Attributes
    ----------
    head : see `gingham.training.heads`.
    backbone : see `gingham.backbones.table.get_backbone`; by default EfficientNet-B0, or
        EfficientNet-Lite0 where its weights cannot be downloaded.
    weights : a file, as for `gingham.backbones.builders.build_network`.
    layers : the hidden layers that the head reads; by default those of `heads.default_layers`.
    size : side of the input in pixels; 0: the backbone's own.
    crop : side of the square that is read, as a fraction of the image's shorter side; 0: the whole
        image, stretched; -1: the backbone's own.
    reduced : channels of the reduced map in FineTag's bilinear pooling.
    dropout : share of the head's inputs dropped at random during training.
    both_sides : predict the mean over the image and its mirror image; doubles the work.
    middle : predict the mean over the image and its enlarged centre, a square of this fraction of
        the side; doubles the work; 0: the image alone.
    """

    head: Literal["multi", "finetag", "rank"] = "multi"
    backbone: str = "auto"
    weights: str = ""
    layers: Texts = ()
    size: int = Field(default=0, ge=0, le=2048)
    crop: float = -1.0
    reduced: int = Field(default=20, ge=1, le=4096)
    dropout: float = Field(default=0.0, ge=0.0, le=0.95)
    both_sides: bool = False
    middle: float = Field(default=0.0, ge=0.0, le=0.99)

    @model_validator(mode="after")
    def _check_crop(self) -> Self:
        if not (self.crop in (-1.0, 0.0) or 0.05 <= self.crop <= 1.0):
            raise ValueError(
                "crop must be from 0.05 to 1, 0 (the whole image, stretched) or -1 (the "
                f"backbone's own), got {self.crop!r}"
            )
        return self


@settings
class FitConfig:
    """How the network learns.

    Attributes
    ----------
    epochs : at most this many on the frozen backbone, from its stored maps.
    patience : stop after this many epochs without a better validation score.
    batch_size, learning_rate, weight_decay : of AdamW; a batch has at least two images.
    mirror : also learn from the mirror images.
    views : number of additional random crops of each image to learn from while the backbone is
        frozen; -1: the head's own choice, see `heads.default_views`.
    views_crop : smallest side of these crops, as a fraction of what is read of the image.
    rank_images : weight of the loss that ranks the images of a batch for each label, added to the
        one that ranks the labels of each image (heads `finetag` and `rank`); 0: the paper's loss.
    unfreeze_epochs : further epochs in which the whole network learns, from the images.
    unfreeze_learning_rate : of the backbone in these epochs; the head's is ten times that.
    unfreeze_crop : in these epochs each image is read through a random crop of at least this side.
    precision : `auto` is 16-mixed on a GPU and 32-true elsewhere; or a precision of Lightning.
    seed : of the split, the initial weights and the order of images.
    """

    epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=6, ge=1)
    batch_size: int = Field(default=32, ge=2)
    learning_rate: Rate = 2e-3
    weight_decay: float = Field(default=0.01, ge=0.0, le=10.0)
    mirror: bool = True
    views: int = Field(default=-1, ge=-1, le=100)
    views_crop: Side = 0.7
    rank_images: float = Field(default=1.0, ge=0.0, le=1000.0)
    unfreeze_epochs: int = Field(default=0, ge=0)
    unfreeze_learning_rate: Rate = 1e-4
    unfreeze_crop: Side = 0.8
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    seed: Seed = 0


@settings
class TrainConfig(SettingsFile):
    """All of `train.toml`: the tables `[data]`, `[model]` and `[training]`."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    training: FitConfig = FitConfig()
