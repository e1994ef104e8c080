"""Explanations: why a picture got a value, where in it, and by which examples.

`Catalogue.explain` gives them; `ExplanationPage` writes them as pictures and a page.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gingham.explaining.explanation import Explanation as Explanation
    from gingham.explaining.explanation import ImageExplanations as ImageExplanations
    from gingham.explaining.overlay import draw_overlay as draw_overlay
    from gingham.explaining.page import ExplanationPage as ExplanationPage

_HOMES = {
    "Explanation": "explanation",
    "ImageExplanations": "explanation",
    "draw_overlay": "overlay",
    "ExplanationPage": "page",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gingham.explaining' has no attribute {name!r}")
    return getattr(import_module(f"gingham.explaining.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
