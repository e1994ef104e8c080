"""Images with what is known of them, and their split into training, validation and test."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from gingham.errors import ImageError, InputError, require_extra
from gingham.images import read_file
from gingham.results import BadRow
from gingham.training.config import DataConfig
from gingham.training.vocabulary import Vocabulary

PARTS = ("train", "validation", "test")

Rows = NDArray[np.int64]
Cell = tuple[str, ...] | None
"""The values of one cell; None: unknown."""


@dataclass(frozen=True)
class Samples:
    """The images that a network learns from or is judged on.

    Attributes
    ----------
    vocabulary : what its columns mean.
    images : N paths.
    targets : (N, V) float32: 1 it has the value, 0 it has not, NaN unknown.
    groups : (N,) int; images that share one stay on one side of every split.
    part : (N,) int, an index into `PARTS`.
    repeat : (N,) int >= 1, how often a training image is seen in an epoch.
    dropped : attribute -> value -> rows, of what stands in the table and is not learned: too few
        training images, or not in the vocabulary.
    without_image : rows that name no image.
    bad_rows : rows that were left out.
    """

    vocabulary: Vocabulary
    images: tuple[str, ...]
    targets: NDArray[np.float32]
    groups: NDArray[np.int64]
    part: NDArray[np.int64]
    repeat: NDArray[np.int64]
    dropped: Mapping[str, Mapping[str, int]]
    without_image: int = 0
    bad_rows: tuple[BadRow, ...] = ()

    def rows(self, part: str) -> Rows:
        """The rows of `train`, `validation` or `test`."""
        return np.flatnonzero(self.part == PARTS.index(part))

    def only(self, rows: Rows) -> Samples:
        """Keep some rows."""
        return replace(
            self,
            images=tuple(self.images[row] for row in rows),
            targets=self.targets[rows],
            groups=self.groups[rows],
            part=self.part[rows],
            repeat=self.repeat[rows],
        )

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that differ whenever a sample does."""
        digest = hashlib.sha256(repr((self.vocabulary, self.images)).encode(errors="replace"))
        for array in (self.targets, self.groups, self.part, self.repeat):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def image_ids(images: Iterable[str]) -> list[str | None]:
    """The SHA-256 of each image's bytes, as a catalogue's ids; None for one that cannot be read."""
    found: list[str | None] = []
    for image in images:
        try:
            found.append(hashlib.sha256(read_file(image)).hexdigest())
        except ImageError:
            found.append(None)
    return found


def split_rows(
    columns: Sequence[Sequence[Cell]], groups: Rows, config: DataConfig, seed: int
) -> NDArray[np.int64]:
    """Split N rows into (N,) indices into `PARTS`; groups stay whole.

    Rows are stratified by the rarest value that each one has, so that rare values reach every part.
    """
    strata = _strata(columns, len(groups))
    part = np.full(len(groups), PARTS.index("train"))
    left = np.arange(len(groups))
    share = 1.0
    for name, wanted in (("test", config.test), ("validation", config.validation)):
        if not wanted:
            continue
        folds = max(2, round(share / wanted))
        taken = left[_fold(strata[left], groups[left], folds, seed)]
        part[taken] = PARTS.index(name)
        left = np.setdiff1d(left, taken)
        share -= wanted
    return part


def _fold(strata: Rows, groups: Rows, folds: int, seed: int) -> Rows:
    require_extra("train", "sklearn")
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    grouped = len(np.unique(groups)) < len(groups)
    if folds > len(np.unique(groups)):
        raise InputError(f"{len(np.unique(groups))} groups of images cannot be split {folds} ways")
    # The grouped splitter takes minutes where a hundred thousand images are groups of their own.
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    splitter = kind(folds, shuffle=True, random_state=seed)
    together = groups if grouped else None
    # Strata of fewer rows than folds are not in every part, whatever is done: they are one stratum,
    # with so many of the next larger ones that it has enough.
    there, counts = np.unique(strata, return_counts=True)
    order = np.argsort(counts, kind="stable")
    if few := int((counts < folds).sum()):
        few = max(few, int(np.searchsorted(counts[order].cumsum(), folds)) + 1)
        strata = np.where(np.isin(strata, there[order[:few]]), there[order[0]], strata)
    return np.asarray(next(splitter.split(strata, strata, together))[1])


def _strata(columns: Sequence[Sequence[Cell]], count: int) -> Rows:
    rows = [
        [(number, value) for number, column in enumerate(columns) for value in column[row] or ()]
        for row in range(count)
    ]
    counts = Counter(chain.from_iterable(rows))
    codes = {key: code for code, key in enumerate(sorted(counts), 1)}
    rarest = (min(said, key=lambda key: (counts[key], key), default=None) for said in rows)
    strata = np.array([codes[key] if key else 0 for key in rarest], np.int64)
    # Strata too small to be split are one stratum: the splitter would refuse them.
    small = np.flatnonzero(np.bincount(strata) < 20)
    strata[np.isin(strata, small)] = 0
    return strata
