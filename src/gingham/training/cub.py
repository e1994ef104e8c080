"""The format of CUB-200-2011: 312 attributes in groups, each said with a certainty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gingham.errors import InputError
from gingham.names import did_you_mean
from gingham.training.config import DataConfig
from gingham.training.samples import PARTS, Samples, split_rows
from gingham.training.vocabulary import ModelAttribute, Vocabulary

CERTAIN = 3
"""Certainties: 1 not visible, 2 guessing, 3 probably, 4 definitely; below 3 is unknown."""


def read_cub(
    folder: Path, config: DataConfig, *, seed: int = 0, vocabulary: Vocabulary | None = None
) -> Samples:
    """Read a folder in the format of CUB-200-2011, as unpacked.

    It holds `images.txt`, `train_test_split.txt` and `images/`; `attributes.txt` is in
    `attributes/`, in the folder, or beside it, as in the published archive;
    `attributes/image_attribute_labels.txt` says image, attribute, present, certainty and time. A
    name `has_bill_shape::dagger` is value `dagger` of attribute `has_bill_shape`, of kind `multi`.
    `config.attributes` chooses among these groups; the published test images are `test`, and the
    share `config.validation` of the others is held out.

    Raises
    ------
    InputError
        If a file is missing, a line cannot be read, or the vocabulary is not the one given.
    """
    names = dict(_lines(folder / "images.txt"))
    ids = sorted(names)
    row = {number: i for i, number in enumerate(ids)}
    spelled = dict(_lines(_attributes_file(folder)))
    for number, name in spelled.items():
        if "::" not in name:
            raise InputError(f"attribute {number} of {folder}: expected GROUP::VALUE, got {name!r}")
    order = sorted(spelled)
    pairs = [tuple(spelled[number].split("::", 1)) for number in order]
    groups: dict[str, list[str]] = {}
    for group, value in pairs:
        groups.setdefault(group, []).append(value)
    for name in config.attributes:
        if name not in groups:
            raise InputError(
                f"{folder} has no attribute {name!r}; it has {', '.join(groups)}"
                + did_you_mean(name, groups)
            )
    wanted = config.attributes or tuple(groups)
    found = Vocabulary(tuple(ModelAttribute(name, "multi", tuple(groups[name])) for name in wanted))
    if vocabulary is not None and vocabulary != found:
        found = Vocabulary(
            tuple(ModelAttribute(n, "multi", tuple(groups[n])) for n in groups if n in wanted)
        )
        if vocabulary != found:
            raise InputError(f"{folder} has other attributes than the model was trained on")
    column = {label: i for i, label in enumerate(found.labels)}
    place = {n: column[p] for n, p in zip(order, pairs, strict=True) if p in column}
    targets = np.full((len(ids), len(found)), np.nan, np.float32)
    labels = folder / "attributes" / "image_attribute_labels.txt"
    for number, rest in _lines(labels):
        # A few lines of the published file carry a number too many; what counts comes first.
        said = rest.split()
        if len(said) < 3 or said[1] not in ("0", "1") or not said[0].isdigit():
            raise InputError(f"{labels}: expected image attribute 0|1 certainty, got {rest!r}")
        if number not in row or int(said[0]) not in spelled:
            raise InputError(f"{labels}: there is no image {number} with attribute {said[0]}")
        if int(said[0]) in place and int(said[2]) >= CERTAIN:
            targets[row[number], place[int(said[0])]] = float(said[1])
    training = dict(_lines(folder / "train_test_split.txt"))
    if training.keys() != names.keys():
        raise InputError(f"{folder / 'train_test_split.txt'} lists other images than images.txt")
    alone = np.arange(len(ids))
    part = np.full(len(ids), PARTS.index("test"))
    train = np.array([i for i, number in enumerate(ids) if training[number].strip() == "1"])
    species = [(names[ids[i]].split("/")[0],) for i in train]
    if not len(train):
        raise InputError(f"{folder / 'train_test_split.txt'} has no training image")
    shares = DataConfig(validation=config.validation, test=0.0)
    part[train] = split_rows([species], alone[train], shares, seed)
    images = tuple(str(folder / "images" / names[number]) for number in ids)
    return Samples(found, images, targets, alone, part, np.ones(len(ids), np.int64), {})


def _attributes_file(folder: Path) -> Path:
    places = [
        folder / "attributes" / "attributes.txt",
        folder / "attributes.txt",
        folder.parent / "attributes.txt",
    ]
    for place in places:
        if place.is_file():
            return place
    raise InputError(f"{folder} holds no attributes.txt: expected {places[0]}")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Give the number that a line starts with, and the rest."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    for line in text.splitlines():
        if line.strip():
            number, _, rest = line.strip().partition(" ")
            if not number.isdigit():
                raise InputError(f"{path}: a line must start with a number, got {line!r}")
            yield int(number), rest.strip()
