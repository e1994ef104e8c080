"""A catalogue as tables and arrays, for notebooks and other libraries."""

from __future__ import annotations

import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.names import did_you_mean
from gingham.store import ids as many
from gingham.store.truth import Truth


@dataclass(frozen=True)
class FeatureTable:
    """The stored features of images.

    Attributes
    ----------
    ids : (N,) of the images, in hexadecimal.
    images : (N,) a file of each.
    blocks : (layer, first column, end column), as `gingham.AttributeClassifier` takes them.
    X : (N, D) float16: of each layer the channel means, then the standard deviations.
    """

    ids: list[str]
    images: list[str]
    blocks: tuple[tuple[str, int, int], ...]
    X: NDArray[np.float16]

    def __repr__(self) -> str:
        layers = ", ".join(name for name, _, _ in self.blocks)
        return f"FeatureTable({len(self.ids):,} images, {self.X.shape[1]:,} numbers: {layers})"


def feature_table(
    truth: Truth, layers: Sequence[str] | None, images: Sequence[str] | None
) -> FeatureTable:
    """Read the features of a catalogue; see `Catalogue.features`."""
    widths = truth.config.widths
    names = truth.layers if layers is None else tuple(layers)
    for name in names:
        if name not in widths:
            known = ", ".join(widths)
            raise InputError(f"unknown layer {name!r}; known: {known}{did_you_mean(name, widths)}")
    if not names:
        raise InputError("no layer is named: give one or more, or None for all")
    if images is None:
        ids = many.to_list(truth.locations.ids())
    else:
        ids = []
        for image in images:
            if (found := truth.image_id(image)) is None:
                raise InputError(f"no image of the catalogue has the id {image!r}")
            ids.append(found)
    ends = list(accumulate((widths[name] for name in names), initial=0))
    return FeatureTable(
        [key.hex() for key in ids],
        [truth.locations.images[key][0] for key in ids],
        tuple((name, start, end) for name, (start, end) in zip(names, pairwise(ends), strict=True)),
        truth.features.joined(ids, names),
    )


class Frames(ABC):
    """The methods of catalogues, here and served, that give their tags as a table."""

    @abstractmethod
    def export(
        self,
        file: str | os.PathLike[str],
        *,
        form: str | None = None,
        join: str | os.PathLike[str] | None = None,
        join_key: str = "image",
        relative: bool = False,
        answered: bool = False,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> int:
        """Write the table to a file."""

    def to_arrow(
        self, *, min_confidence: float | None = None, at_precision: float | None = None
    ) -> pa.Table:
        """Give all files with their tags and confidences, as `export` writes them."""
        with tempfile.TemporaryDirectory(prefix="gingham-") as folder:
            file = Path(folder, "tags.parquet")
            self.export(file, min_confidence=min_confidence, at_precision=at_precision)
            return pq.read_table(file)

    def to_pandas(
        self, *, min_confidence: float | None = None, at_precision: float | None = None
    ) -> Any:
        """Give the table of `to_arrow` as a pandas DataFrame.

        Raises
        ------
        InputError
            If pandas is not installed.
        """
        if find_spec("pandas") is None:
            raise InputError("to_pandas needs pandas; run: pip install pandas")
        return self.to_arrow(min_confidence=min_confidence, at_precision=at_precision).to_pandas()
