"""Networks trained where labels are plentiful: attributes together, FineTag, and what comes of it.

    from gingham.training import TrainConfig, TrainedModel, train
    train("labels.csv", "model", TrainConfig.read("train.toml"))
    TrainedModel.load("model")

References
----------
Raha, *Image Attribute Extraction*, Rakuten (2021): many attributes in one network. Zakizadeh et
al., *FineTag*, arXiv:1806.07124: bilinear pooling and the ranking loss.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gingham.training.config import TrainConfig as TrainConfig
    from gingham.training.data import read_samples as read_samples
    from gingham.training.run import train as train
    from gingham.training.trained import TrainedModel as TrainedModel

_HOMES = {
    "TrainConfig": "config",
    "TrainedModel": "trained",
    "read_samples": "data",
    "train": "run",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gingham.training' has no attribute {name!r}")
    return getattr(import_module(f"gingham.training.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
