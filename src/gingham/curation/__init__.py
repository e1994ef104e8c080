"""Curation: from a messy table of images and labels to a clean one, with all that was done to it.

    from gingham.curation import CurationConfig, curate
    curate("products.csv", "curated", CurationConfig(seed=1))

The stages, in order, a module each: `invalid`, `duplicates`, `pictures`, `values`, `unknown`,
`label_errors`, `split`, `balance`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gingham.curation.config import CurationConfig as CurationConfig
    from gingham.curation.run import CurationResult as CurationResult
    from gingham.curation.run import curate as curate

_HOMES = {"CurationConfig": "config", "CurationResult": "run", "curate": "run"}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gingham.curation' has no attribute {name!r}")
    return getattr(import_module(f"gingham.curation.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
