"""Values above others: how sure each level is, and which way down is the likeliest.

One rule everywhere. The probability of a value is its own with those of all below it. From the
highest values one goes down to the likeliest of those below, and stops at a value that is likelier
by itself than any below it. What is answered is the deepest on this way that is sure; that of 0.5
or more there is no other that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

SURE = 0.5
"""The least probability of a value in a hierarchy, where no other is asked for."""


@dataclass(frozen=True)
class Hierarchy:
    """Some values, and those above them.

    Attributes
    ----------
    values : V values that have probabilities of their own.
    parents : value -> the one above it; without circles. Others than `values` and what is above
        them do no harm.
    """

    values: tuple[str, ...]
    parents: Mapping[str, str] = field(default_factory=dict)

    def above(self, value: str) -> Iterator[str]:
        """Give a value, the value above it, and so on."""
        here: str | None = value
        while here is not None:
            yield here
            here = self.parents.get(here)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The values, then those above them."""
        return tuple(
            dict.fromkeys((*self.values, *(x for v in self.values for x in self.above(v))))
        )

    @cached_property
    def steps(self) -> dict[str, str]:
        """Value -> the one above it, of `names` alone; empty if none is above another."""
        return {name: self.parents[name] for name in self.names if name in self.parents}

    @cached_property
    def _below(self) -> tuple[NDArray[np.intp], list[NDArray[np.intp]]]:
        """The highest of `names`, and what is right below each, as places."""
        places = {name: place for place, name in enumerate(self.names)}
        below: list[list[int]] = [[] for _ in self.names]
        for name, parent in self.steps.items():
            below[places[parent]].append(places[name])
        top = [place for name, place in places.items() if name not in self.steps]
        return np.array(top, np.intp), [np.array(some, np.intp) for some in below]

    def sums(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Add up, (N, V) to (N, M): of each of `names` its probability with those below it."""
        places = {name: place for place, name in enumerate(self.names)}
        sums = np.zeros((len(probabilities), len(self.names)))
        for value, column in zip(self.values, np.asarray(probabilities, np.float64).T, strict=True):
            for name in self.above(value):
                sums[:, places[name]] += column
        return np.minimum(sums, 1.0)

    def ways(
        self, probabilities: NDArray[np.floating]
    ) -> tuple[NDArray[np.intp], list[list[float]]]:
        """Go down the likeliest way for N images.

        Parameters
        ----------
        probabilities : (N, V), of the values.

        Returns
        -------
        Where each way ends, (N,) places in `names`; and how sure it is at the end, at the value
        above that, and so on to the highest.
        """
        sums, (top, below) = self.sums(probabilities), self._below
        own = np.zeros_like(sums)
        own[:, : len(self.values)] = probabilities
        ends = top[sums[:, top].argmax(axis=1)]
        passed = [sums[np.arange(len(sums)), ends]]
        going = np.arange(len(sums))
        while len(going):
            further = []
            for place in np.unique(ends[going]):
                rows, some = going[ends[going] == place], below[place]
                if len(some):
                    likeliest = some[sums[np.ix_(rows, some)].argmax(axis=1)]
                    down = sums[rows, likeliest] >= own[rows, place]
                    ends[rows[down]] = likeliest[down]
                    further.append(rows[down])
            going = np.concatenate(further) if further else going[:0]
            level = np.full(len(sums), np.nan)
            level[going] = sums[going, ends[going]]
            passed.append(level)
        ways = np.stack(passed[::-1], axis=1)
        return ends, [row[~np.isnan(row)].tolist() for row in ways]


def as_tree(counts: Mapping[str, int], parents: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    """Put values in order, each with its depth: below the one above it, the most frequent first."""
    below: dict[str | None, list[str]] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], value)):
        parent = parents.get(value)
        below.setdefault(parent if parent in counts else None, []).append(value)
    waiting = [(0, value) for value in reversed(below.get(None, []))]
    while waiting:
        depth, value = waiting.pop()
        yield depth, value
        waiting += [(depth + 1, one) for one in reversed(below.get(value, []))]
