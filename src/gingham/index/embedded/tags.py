"""Tags of images by row number, and facets: columns of small integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gingham.index.checks import check_values
from gingham.index.filters import Where
from gingham.index.index import TagValue


class Tags:
    """One column of codes an attribute; a code stands for a set of values, 0 for none.

    Kind multi needs nothing more: a set of values that occurs is a code of its own.
    """

    def __init__(self) -> None:
        self._length = 0
        self._codes: dict[str, NDArray[np.int32]] = {}
        self._sets: dict[str, dict[tuple[str, ...], int]] = {}
        self._listed: dict[str, list[tuple[str, ...]]] = {}  # the same by code, once asked for

    @classmethod
    def load(
        cls,
        length: int,
        attributes: Mapping[str, Sequence[Sequence[str]]],
        codes: Sequence[NDArray[np.int32]],
    ) -> Self:
        """Take up what `dump` gave."""
        tags = cls()
        tags._length = length
        for (attribute, sets), column in zip(attributes.items(), codes, strict=True):
            tags._sets[attribute] = {tuple(values): i for i, values in enumerate(sets)}
            tags._codes[attribute] = column
            if column.shape != (length,) or column.max(initial=0) >= len(sets):
                raise ValueError(f"the tags of {attribute!r} do not fit the table of images")
        return tags

    def dump(self) -> tuple[dict[str, list[tuple[str, ...]]], list[NDArray[np.int32]]]:
        """Give attribute -> sets of values by code, and the columns in the same order."""
        return {name: list(sets) for name, sets in self._sets.items()}, list(self._codes.values())

    def grow(self, length: int) -> None:
        """Make room for rows up to `length`, without tags."""
        for attribute, column in self._codes.items():
            added = np.zeros(length - self._length, np.int32)
            self._codes[attribute] = np.concatenate([column, added])
        self._length = length

    def put(
        self,
        attribute: str,
        rows: NDArray[np.int64],
        values: Sequence[TagValue],
        which: NDArray[np.integer],
    ) -> None:
        """Set which of some values each of the rows has; no value at all clears.

        Raises
        ------
        InputError
            If the attribute or a value is empty or not valid text.
        """
        sets = dict(self._sets.get(attribute, {(): 0}))
        codes = np.zeros(len(values), np.int32)
        for i, members in enumerate(check_values(attribute, values)):
            codes[i] = sets.setdefault(members, len(sets))
        self._sets[attribute] = sets
        self._listed.pop(attribute, None)
        column = self._codes.setdefault(attribute, np.zeros(self._length, np.int32))
        column[rows] = codes[which]

    def clear(self, attribute: str) -> None:
        """Forget an attribute."""
        self._codes.pop(attribute, None)
        self._sets.pop(attribute, None)
        self._listed.pop(attribute, None)

    def erase(self, rows: NDArray[np.int64]) -> None:
        """Clear all tags of some rows."""
        for column in self._codes.values():
            column[rows] = 0

    def of(self, row: int) -> dict[str, tuple[str, ...]]:
        """Give the tags of one row."""
        found = {}
        for name, codes in self._codes.items():
            if name not in self._listed:
                self._listed[name] = list(self._sets[name])
            if values := self._listed[name][codes[row]]:
                found[name] = values
        return found

    def mask(self, where: Where) -> NDArray[np.bool_]:
        """Say of each row whether it satisfies `where`."""
        wanted: dict[str, set[str]] = {}
        refused: dict[str, set[str]] = {}
        for condition in where.conditions:
            side = refused if condition.negated else wanted
            side.setdefault(condition.attribute, set()).add(condition.value)
        mask = np.ones(self._length, bool)
        for attribute, values in wanted.items():
            mask &= self._any(attribute, values)
        for attribute, values in refused.items():
            mask &= ~self._any(attribute, values)
        return mask

    def facets(self, mask: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
        """Count the rows of `mask` that have each value; an attribute without any is left out."""
        facets = {}
        for attribute in sorted(self._codes):
            sets = self._sets[attribute]
            counts = np.bincount(self._codes[attribute][mask], minlength=len(sets)).tolist()
            total: Counter[str] = Counter()
            for members, code in sets.items():
                for member in members:
                    total[member] += counts[code]
            ordered = sorted((-count, value) for value, count in total.items() if count)
            if ordered:
                facets[attribute] = {value: -count for count, value in ordered}
        return facets

    def _any(self, attribute: str, values: set[str]) -> NDArray[np.bool_]:
        if attribute not in self._codes:
            return np.zeros(self._length, bool)
        matches = np.array([not values.isdisjoint(members) for members in self._sets[attribute]])
        return matches[self._codes[attribute]]
