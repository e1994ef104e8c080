"""The tags of single images, with their confidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

    def find(self, images: Sequence[ImageId]) -> list[tuple[tuple[str, ...], float] | None]:
        """Give the values (none: unknown) and the confidence of images; None without a tag."""
        if not len(self.ids):
            return [None] * len(images)
        keys = np.array(images, "S32")
        places = np.minimum(np.searchsorted(self.ids, keys), len(self.ids) - 1)
        # Bytes of numpy lose the zeros at their end, on both sides alike.
        there = self.ids[places] == keys
        return [
            (self.values[code], confidence) if known else None
            for known, code, confidence in zip(
                there.tolist(),
                self.codes[places].tolist(),
                self.confidences[places].tolist(),
                strict=True,
            )
        ]


@dataclass
class TagReader:
    """Looks tags up; an attribute's are read again once they have changed.

    Threads that share one must take turns.
    """

    attributes: Attributes
    _columns: dict[str, tuple[str, Column]] = field(default_factory=dict)

    def of(
        self, images: Sequence[ImageId]
    ) -> list[tuple[dict[str, str | list[str]], dict[str, float]]]:
        """Give, for each image, attribute -> value, values or `unknown`, and -> confidence."""
        given: list[tuple[dict[str, str | list[str]], dict[str, float]]] = [
            ({}, {}) for _ in images
        ]
        for name in self.attributes.answering():
            column = self.column(name)
            if column is None:
                continue
            multi = self.attributes.kind(name) == "multi"
            for (shown, confidences), found in zip(given, column.find(images), strict=True):
                if found is not None:
                    values, confidences[name] = found
                    some = list(values) or ["unknown"]
                    shown[name] = some if multi else some[0]
        return given

    def column(self, name: str) -> Column | None:
        """Give all tags of an attribute; None if there are none of it as it is now."""
        stamp = self.attributes.tagged(name)
        if stamp is None:
            self._columns.pop(name, None)
            return None
        if name not in self._columns or self._columns[name][0] != stamp:
            self._columns[name] = (stamp, Column.of(self.attributes.predictions(name)))
        return self._columns[name][1]
