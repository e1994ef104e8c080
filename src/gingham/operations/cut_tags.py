"""Tags of an index that are held to a cut-off: further ones, beside those as they were applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from gingham.cutoff import Cutoff

T = TypeVar("T")

_MARK = "\x1fcut"
"""In no name of an attribute: it is not printable."""


def cut_mark(cutoff: Cutoff) -> str:
    """Name a cut-off."""
    return f"{cutoff.min_confidence} {cutoff.at_precision}"


def cut_name(attribute: str, mark: str) -> str:
    """Name the tags of an attribute that are held to a cut-off."""
    return f"{attribute}{_MARK} {mark}"


def own_tags(tags: Mapping[str, T], cutoff: Cutoff | None) -> dict[str, T]:
    """Keep, by attribute, the tags that are held to a cut-off; None: those as they were applied."""
    end = "" if cutoff is None else cut_name("", cut_mark(cutoff))
    return {
        name.removesuffix(end): found
        for name, found in tags.items()
        if (name.endswith(end) if end else _MARK not in name)
    }
