"""The tags of single images, with their confidence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes
from gingham.store.features import ImageId


@dataclass(frozen=True)
class Column:
    """The tags of one attribute, some forty bytes an image.

    Attributes
    ----------
    ids : (N,) of 32 bytes each, sorted.
    codes : (N,) int32, the place of an image's values in `values`.
    confidences : (N,) float32.
    """

    ids: NDArray[np.bytes_]
    codes: NDArray[np.int32]
    confidences: NDArray[np.float32]
    values: list[tuple[str, ...]]

    @classmethod
    def of(cls, rows: Iterable[tuple[ImageId, list[str], float]]) -> Column:
        """Keep (id, values, confidence)."""
        places: dict[tuple[str, ...], int] = {}
        ids, codes, confidences = bytearray(), [], []
        for image_id, values, confidence in rows:
            ids += image_id
            codes.append(places.setdefault(tuple(values), len(places)))
            confidences.append(confidence)
        keys = np.frombuffer(bytes(ids), "S32")
        order = np.argsort(keys)
        return cls(
            keys[order],
            np.array(codes, np.int32)[order],
            np.array(confidences, np.float32)[order],
            list(places),
        )

    def find(self, image_id: ImageId) -> tuple[tuple[str, ...], float] | None:
        """Give the values (none: unknown) and the confidence; None without a tag."""
        place = int(np.searchsorted(self.ids, np.array([image_id], "S32")[0]))
        # Bytes of numpy lose the zeros at their end, on both sides alike.
        if place == len(self.ids) or self.ids[place] != np.array([image_id], "S32")[0]:
            return None
        return self.values[self.codes[place]], float(self.confidences[place])


@dataclass
class TagReader:
    """Looks tags up; an attribute's are read again once they have changed.

    Threads that share one must take turns.
    """

    attributes: Attributes
    _columns: dict[str, tuple[str, Column]] = field(default_factory=dict)

    def of(self, image_id: ImageId) -> tuple[dict[str, str | list[str]], dict[str, float]]:
        """Give attribute -> value, list of values or `unknown`, and attribute -> confidence."""
        shown: dict[str, str | list[str]] = {}
        confidence: dict[str, float] = {}
        for name in self.attributes.answering():
            column = self.column(name)
            if column is None or (found := column.find(image_id)) is None:
                continue
            values, confidence[name] = found
            multi = self.attributes.kind(name) == "multi"
            some = list(values) or ["unknown"]
            shown[name] = some if multi else some[0]
        return shown, confidence

    def column(self, name: str) -> Column | None:
        """Give all tags of an attribute; None if there are none of it as it is now."""
        stamp = self.attributes.tagged(name)
        if stamp is None:
            self._columns.pop(name, None)
            return None
        if name not in self._columns or self._columns[name][0] != stamp:
            self._columns[name] = (stamp, Column.of(self.attributes.predictions(name)))
        return self._columns[name][1]
