"""Points of a collection: how images are named and versions told apart, and filters of them.

An image has at most two points, one in each slot: that of the committed version, and that of the
version that is being made. `born` and `died` say from which version on a point is part of the index
and from which on it is not; a point without `died` is part of all later ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from qdrant_client import models

from gingham.index.checks import to_array
from gingham.index.filters import Where
from gingham.index.index import Floats, Keys
from gingham.index.qdrant.layout import IndexVersion
from gingham.store.ids import Ids, from_list, to_list

IMAGE, BORN, DIED = "image", "born", "died"

MOST_IDS = 5_000
"""Points that one request names."""
_NUMBERS = 400_000  # that one request sends: some megabytes

T = TypeVar("T")


def point_id(image: str, slot: int) -> str:
    """Name the point of an image: a UUID of the first 127 bits of its SHA-256, and the slot."""
    last = f"{int(image[31], 16) & 14 | slot:x}"
    return f"{image[:8]}-{image[8:12]}-{image[12:16]}-{image[16:20]}-{image[20:31]}{last}"


def both(images: Iterable[str]) -> list[str]:
    """Name the points that images may have."""
    return [point_id(image, slot) for image in images for slot in (0, 1)]


def to_texts(ids: Keys) -> list[str]:
    """Write ids as text; what is no id becomes one that no image has."""
    return [one.ljust(32, b"\0").hex() for one in to_list(to_array(ids))]


def to_ids(images: Iterable[str]) -> Ids:
    """Put ids into a sorted array."""
    return np.sort(from_list(map(bytes.fromhex, images)))


def chunks(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Give parts of a sequence."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def rows_at_once(width: int) -> int:
    """Say how many points with so many numbers each one request sends."""
    return max(1, min(1_000, _NUMBERS // max(1, width)))


def to_lists(rows: Floats) -> list[list[float]]:
    """Give vectors with so many digits as float32 has, for requests a third as long."""
    largest = float(np.abs(rows).max(initial=0))
    digits = 8 - int(np.floor(np.log10(largest))) if largest > 0 else 0
    lists: list[list[float]] = np.round(rows.astype(np.float64), min(digits, 40)).tolist()
    return lists


def older(key: str, version: int) -> models.FieldCondition:
    """Ask for what was born or died by a version."""
    return models.FieldCondition(key=key, range=models.Range(lte=version))


def newer(key: str, version: int) -> models.Filter:
    """Ask for what was born or died after a version."""
    return models.Filter(must=[models.FieldCondition(key=key, range=models.Range(gt=version))])


def has_ids(points: Sequence[str]) -> models.HasIdCondition:
    """Ask for points by name."""
    return models.HasIdCondition(has_id=list(points))


def passing(
    view: IndexVersion, where: Where, without: Keys = (), also: Sequence[models.Condition] = ()
) -> models.Filter | None:
    """Ask for the points of a version that satisfy a filter; None if there can be none."""
    must: list[Any] = [older(BORN, view.version), *also]
    must_not: list[Any] = [older(DIED, view.version)]
    grouped: dict[tuple[str, bool], list[str]] = {}
    for one in where.conditions:
        grouped.setdefault((one.attribute, one.negated), []).append(one.value)
    for (attribute, negated), values in grouped.items():
        key = view.layout.tags.get(attribute)
        if key is not None:
            has = models.FieldCondition(key=key, match=models.MatchAny(any=values))
            (must_not if negated else must).append(has)
        elif not negated:
            return None
    if len(without):
        must_not.append(has_ids(both(to_texts(without))))
    return models.Filter(must=must, must_not=must_not)


def is_part(payload: models.Payload | None, version: int) -> bool:
    """Say whether a point is part of a version."""
    held = payload or {}
    return bool(held.get(BORN, version + 1) <= version < held.get(DIED, version + 1))
