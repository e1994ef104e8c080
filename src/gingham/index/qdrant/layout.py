"""Which collection, vectors and keys hold what; see `gingham.index.layout`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gingham.index.layout import KeptLayout, KeptLook


@dataclass(kw_only=True)
class LookVector(KeptLook):
    """A look, as a named vector of every point."""

    vector: str


@dataclass
class PointLayout(KeptLayout[LookVector]):
    """Where an index is.

    Attributes
    ----------
    looks : look -> its vector.
    tags : attribute -> the key of the payload that lists its values.
    collection : of the points; empty for an index of no looks.
    """

    collection: str = ""

    look_type: ClassVar[type[LookVector]] = LookVector


@dataclass(frozen=True)
class IndexVersion:
    """What one version of an index is: what is where, and which points are part of it."""

    layout: PointLayout
    version: int
