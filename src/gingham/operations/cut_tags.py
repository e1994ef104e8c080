"""Tags of an index that are held to a cut-off: further ones, beside those as they were applied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

_MARK = "\x1fcut"
"""No name of an attribute ends so: it is not printable."""


def cut_name(attribute: str) -> str:
    """Name the tags of an attribute that are held to a cut-off."""
    return attribute + _MARK


def own_tags(tags: Mapping[str, T], cut: bool) -> dict[str, T]:
    """Keep, by attribute, the tags that are held to a cut-off, or those that are not."""
    return {
        name.removesuffix(_MARK): found
        for name, found in tags.items()
        if name.endswith(_MARK) == cut
    }
