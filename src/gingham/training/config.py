"""What `train.toml` says: frozen, checked once, every key with a default."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args, get_origin, get_type_hints

from gingham.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True)
class DataConfig:
    """Which columns of the table are learned, and how rows without a split are split.

    Attributes
    ----------
    attributes : the columns to learn; by default all but `image`, `group`, `split` and `repeat`.
    kinds : column -> kind, where it is not what the cells look like: `multi` if any holds several
        values or a list, `binary` if all are yes or no (true or false, 1 or 0), else `single`.
    yes : column -> the one of its two values that means yes, where they are others than these.
    min_count : a value with fewer training images is not learned: unknown where it stands.
    validation, test : shares of the rows, where the table has no column `split`; at most three
        quarters together.
    """

    attributes: tuple[str, ...] = ()
    kinds: Mapping[str, Literal["single", "multi", "binary"]] = field(default_factory=dict)
    yes: Mapping[str, str] = field(default_factory=dict)
    min_count: int = 10
    validation: float = 0.15
    test: float = 0.15


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes
    ----------
    head : see `gingham.training.heads`.
    backbone : see `gingham.backbones.table.get_backbone`; by default EfficientNet-B0, or where its
        weights cannot be had EfficientNet-Lite0.
    weights : a file, as for `gingham.backbones.builders.build_network`.
    layers : the hidden layers that the head reads; by default those of `heads.default_layers`.
    size : side of the input in pixels; 0: the backbone's own.
    crop : the side of the square that is read, as a fraction of the image's shorter side; 0 takes
        the whole image, stretched; -1: the backbone's own.
    reduced : channels of the reduced copy that FineTag multiplies with.
    dropout : share of the head's inputs left out at random while learning.
    both_sides : answer with the mean over the image and its mirror image; twice the work.
    middle : answer with the mean over the image and its middle, of this side, enlarged; twice the
        work; 0: the image alone.
    """

    head: Literal["multi", "finetag", "rank"] = "multi"
    backbone: str = "auto"
    weights: str = ""
    layers: tuple[str, ...] = ()
    size: int = 0
    crop: float = -1.0
    reduced: int = 20
    dropout: float = 0.0
    both_sides: bool = False
    middle: float = 0.0


@dataclass(frozen=True)
class FitConfig:
    """How the network learns.

    Attributes
    ----------
    epochs : at most this many on the frozen backbone, from its stored maps.
    patience : stop when the validation score has not risen for so many epochs.
    batch_size, learning_rate, weight_decay : of AdamW; a batch is two images or more.
    mirror : learn from the mirror images, too.
    views : on the frozen backbone learn from so many further views of each image, too, read through
        random boxes; -1: the head's own choice, see `heads.default_views`.
    views_crop : these boxes' least side, as a fraction of what is read of the image.
    rank_images : weight of the loss that ranks the images of a batch for each label, added to that
        which ranks the labels of each image (heads `finetag` and `rank`); 0: the paper's loss.
    unfreeze_epochs : then so many with the whole network learning, from the images.
    unfreeze_learning_rate : of the backbone, then; the head goes on with ten times that.
    unfreeze_crop : then each image is read through a random box of at least this side.
    precision : `auto` is 16-mixed on a GPU and 32-true elsewhere; else a name that Lightning knows.
    seed : decides the split, the first weights, and the order.
    """

    epochs: int = 20
    patience: int = 6
    batch_size: int = 32
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    mirror: bool = True
    views: int = -1
    views_crop: float = 0.7
    rank_images: float = 1.0
    unfreeze_epochs: int = 0
    unfreeze_learning_rate: float = 1e-4
    unfreeze_crop: float = 0.8
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    seed: int = 0


@dataclass(frozen=True)
class TrainConfig:
    """All of `train.toml`: the tables `[data]`, `[model]` and `[training]`."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: FitConfig = field(default_factory=FitConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "the configuration") -> Self:
        """Check and take plain values.

        Raises
        ------
        InputError
            If a key is unknown or a value is not of its kind; the message names both.
        """
        config = _take(cls, values, where, "")
        _check_ranges(config, where)
        return config

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file.

        Raises
        ------
        InputError
            If it is missing or no TOML, or `from_dict` refuses it.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"config {path} does not exist: check the path") from None
        except (OSError, ValueError) as error:
            raise InputError(f"config {path} cannot be read: {error}") from None
        return cls.from_dict(values, where=f"config {path}")


def _take(kind: type[T], values: Mapping[str, Any], where: str, prefix: str) -> T:
    hints = get_type_hints(kind)
    known = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    taken = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise InputError(f"{where}: there is no key {name!r}; there are {', '.join(known)}")
        hint = hints[key]
        if is_dataclass(hint):
            if not isinstance(value, Mapping):
                raise InputError(f"{where}: {name} must be a table, got {value!r}")
            taken[key] = _take(hint, value, where, f"{name}.")  # type: ignore[arg-type]
        else:
            taken[key] = _value(hint, value, where, name)
    return kind(**taken)


def _value(hint: Any, value: Any, where: str, name: str) -> Any:
    """Check one value against its annotation; lists become tuples, integers floats."""
    origin, inner = get_origin(hint), get_args(hint)
    expected = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    if origin is Literal:
        if value in inner:
            return value
        wanted = " or ".join(map(repr, inner))
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            return tuple(
                _value(inner[0], one, where, f"{name}[{i}]") for i, one in enumerate(value)
            )
        wanted = "a list"
    elif isinstance(value, Mapping) and origin is not None:
        return {key: _value(inner[1], one, where, f"{name}.{key}") for key, one in value.items()}
    elif origin is not None:
        wanted = "a table"
    else:
        if hint is float and type(value) is int:
            return float(value)
        if type(value) is hint:
            return value
        wanted = expected[hint]
    raise InputError(f"{where}: {name} must be {wanted}, got {value!r}")


def _check_ranges(config: TrainConfig, where: str) -> None:
    data, model, fit = config.data, config.model, config.training
    limits: list[tuple[str, float, float, float]] = [
        ("data.min_count", data.min_count, 1, float("inf")),
        ("data.validation", data.validation, 0.01, 0.5),
        ("data.test", data.test, 0.0, 0.5),
        ("model.size", model.size, 0, 2048),
        ("model.reduced", model.reduced, 1, 4096),
        ("model.dropout", model.dropout, 0.0, 0.95),
        ("model.middle", model.middle, 0.0, 0.99),
        ("training.epochs", fit.epochs, 1, float("inf")),
        ("training.patience", fit.patience, 1, float("inf")),
        ("training.batch_size", fit.batch_size, 2, float("inf")),
        ("training.learning_rate", fit.learning_rate, 1e-9, 10.0),
        ("training.weight_decay", fit.weight_decay, 0.0, 10.0),
        ("training.views", fit.views, -1, 100),
        ("training.views_crop", fit.views_crop, 0.1, 1.0),
        ("training.rank_images", fit.rank_images, 0.0, 1000.0),
        ("training.unfreeze_epochs", fit.unfreeze_epochs, 0, float("inf")),
        ("training.unfreeze_learning_rate", fit.unfreeze_learning_rate, 1e-9, 10.0),
        ("training.unfreeze_crop", fit.unfreeze_crop, 0.1, 1.0),
        ("training.seed", fit.seed, 0, 2**32 - 1),
    ]
    for name, value, low, high in limits:
        if not low <= value <= high:
            raise InputError(
                f"{where}: {name} must be from {low:.10g} to {high:.10g}, got {value!r}"
            )
    if data.validation + data.test > 0.75:
        raise InputError(
            f"{where}: data.validation and data.test must leave a quarter for training, got "
            f"{data.validation!r} and {data.test!r}"
        )
    if not (model.crop in (-1.0, 0.0) or 0.05 <= model.crop <= 1.0):
        raise InputError(
            f"{where}: model.crop must be from 0.05 to 1, 0 (all, stretched) or -1 (the "
            f"backbone's own), got {model.crop!r}"
        )
