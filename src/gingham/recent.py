"""What was made a short while ago, kept for the next request: the latest up to a size."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Keeps the values used last; threads may call all methods together.

    Parameters
    ----------
    most : the sizes of all values together, at most.
    size : of a value; one that is larger than `most` is not kept.
    """

    def __init__(self, most: int, size: Callable[[V], int]) -> None:
        self._most = most
        self._size = size
        self._kept: OrderedDict[K, V] = OrderedDict()
        self._total = 0
        self._changing = threading.Lock()

    def get(self, key: K) -> V | None:
        """Give what is kept; None if nothing is."""
        with self._changing:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: K, value: V) -> None:
        """Keep a value in place of what was kept; let go of what was not used for longest."""
        with self._changing:
            if (before := self._kept.pop(key, None)) is not None:
                self._total -= self._size(before)
            self._kept[key] = value
            self._total += self._size(value)
            while self._total > self._most:
                self._total -= self._size(self._kept.popitem(last=False)[1])
