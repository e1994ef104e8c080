"""Which matches of a search are shown: not the query itself, one of each product, no near-copies.

The rule is greedy, best first: a match is shown unless it is in the group of one that was shown
before, or a near-copy of one. So what is shown is the same however many are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.index.index import Index, Match, Query
from gingham.index.looks import LookSpace
from gingham.store import ids as many
from gingham.store.features import ImageId
from gingham.store.ids import Ids
from gingham.store.locations import has_path
from gingham.store.products import Groups
from gingham.store.truth import Truth

By = Literal["product", "folder"]
"""What images belong to: the product that a table named when they were indexed, or a folder."""

NEAR = 0.94
"""Images whose mean similarity in the built-in looks is as high are near-copies."""

_MOST = 4096  # matches that are looked at together


@dataclass(frozen=True)
class Narrowed:
    """What of the matches is shown.

    Attributes
    ----------
    own : the images of the catalogue that are searched with; they are left out, and what belongs
        to them as `by` and `distinct` say.
    distinct : leave out near-copies.
    by : one image of each.

    Raises
    ------
    InputError
        If `by` is something else.
    """

    own: Sequence[ImageId] = ()
    distinct: bool = False
    by: By | None = None

    def __post_init__(self) -> None:
        if self.by not in (None, "product", "folder"):
            raise InputError(
                f"results are given one of each product or folder, got by={self.by!r}: give "
                "product, or folder"
            )


ALL = Narrowed()
"""Everything is shown."""


def choose(
    index: Index,
    query: Query,
    choice: Narrowed,
    space: LookSpace,
    groups: Callable[[By], Groups],
) -> list[Match]:
    """Answer a query with what the choice leaves, best first.

    Parameters
    ----------
    groups : gives the groups of images.
    """
    own = [key.hex() for key in choice.own]
    if not choice.distinct and choice.by is None:
        return index.query(replace(query, without=own))
    grouped = None if choice.by is None else groups(choice.by)
    out = _array(own)
    taken: set[int] = set()
    if grouped is not None:
        for key in choice.own:
            out = _with_group(out, grouped, key, taken)
    near = _Near(index, space, own) if choice.distinct else None
    chosen: list[Match] = []
    asked = min(max(2 * query.n, 32), _MOST)
    while True:
        found = index.query(replace(query, n=asked, without=out))
        vectors = None if near is None else near.vectors([match.id for match in found])
        for i, match in enumerate(found):
            key = bytes.fromhex(match.id)
            code = None if grouped is None else grouped.group(key)
            if code in taken:
                continue
            if near is not None and vectors is not None and not near.takes(vectors[i]):
                continue
            if grouped is not None:
                out = _with_group(out, grouped, key, taken)
            chosen.append(match)
            if len(chosen) == query.n:
                return chosen
        if len(found) < asked:
            return chosen
        out = np.concatenate([out, _array([match.id for match in found])])
        asked = min(4 * asked, _MOST)


def folder_groups(truth: Truth) -> Groups:
    """Put images into the groups of the folders of their first files."""
    pairs = [(key, files[0]) for key, files in truth.locations.image_files()]
    with_path = [(key, os.path.dirname(name)) for key, name in pairs if has_path(name)]  # noqa: PTH120
    return Groups.of(
        many.from_list(key for key, _ in with_path), (folder for _, folder in with_path)
    )


class _Near:
    """Tells near-copies by the vectors of the built-in looks: what was shown, and what comes."""

    def __init__(self, index: Index, space: LookSpace, own: Sequence[str]) -> None:
        self._index = index
        self._scales = {name: space.scale(name) for name in space.names}
        self._least = NEAR - np.mean([1 - scale for scale in self._scales.values()])
        self._shown = self.vectors(own)
        self._count = len(own)

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Join the looks of N images so that products are mean similarities, up to a constant."""
        found = self._index.vectors(ids, list(self._scales))
        parts = [
            found[name] / np.float32(np.sqrt(scale * len(self._scales)))
            for name, scale in self._scales.items()
        ]
        return np.concatenate(parts, axis=1)

    def takes(self, vector: NDArray[np.float32]) -> bool:
        """Say whether an image is no near-copy of one that is shown; then it is shown, too."""
        if (self._shown[: self._count] @ vector >= self._least).any():
            return False
        if self._count == len(self._shown):
            room = np.zeros((max(32, self._count), len(vector)), np.float32)
            self._shown = np.concatenate([self._shown, room])
        self._shown[self._count] = vector
        self._count += 1
        return True


def _with_group(out: Ids, grouped: Groups, key: ImageId, taken: set[int]) -> Ids:
    code = grouped.group(key)
    if code is None:
        return out
    taken.add(code)
    return np.concatenate([out, grouped.members(code)])


def _array(ids: Sequence[str]) -> Ids:
    return many.from_list(map(bytes.fromhex, ids))
