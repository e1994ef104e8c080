"""Files that were moved on disk are known by their new paths."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gingham.errors import InputError
from gingham.extract import absolute
from gingham.store.features import ImageId
from gingham.store.locations import is_missing
from gingham.store.truth import Truth
from gingham.upkeep_results import RelocateResult


def relocate(
    truth: Truth, old: str | os.PathLike[str], new: str | os.PathLike[str]
) -> RelocateResult:
    """Follow moved files; see `Catalogue.relocate`."""
    before, after = absolute(old), absolute(new)
    if not os.path.lexists(after):
        raise InputError(
            f"{after} does not exist: give the folder where the files are now", path=after
        )
    known = dict(truth.locations.file_ids())
    events: list[tuple[str, ImageId | None]] = []
    found, missing, kept = 0, [], []
    for name, target in _below(known, before, after):
        there = not is_missing(target)
        found += there
        if known.get(target, known[name]) != known[name] or not (there or is_missing(name)):
            kept.append(name)
            continue
        if not there:
            missing.append(target)
        events += [(name, None), (target, known[name])]
    if not (events or kept):
        raise InputError(f"no file of the catalogue lies below {before}: nothing was changed")
    if not found:
        first = next(_below(known, before, after))[1]
        raise InputError(
            f"none of the {len(missing) + len(kept)} files below {before} is below {after} (the "
            f"first would be {first}): nothing was changed"
        )
    truth.locations.append(events)
    return RelocateResult(len(events) // 2, tuple(missing), tuple(kept))


def _below(names: dict[str, ImageId], before: str, after: str) -> Iterator[tuple[str, str]]:
    """Give (name, name after the move) of what is, or lies below, a path."""
    for name in names:
        if name == before:
            yield name, after
        elif name.startswith(folder := os.path.join(before, "")):
            yield name, os.path.join(after, name.removeprefix(folder))
        elif name.startswith(f"{before}#"):  # an image inside a table: TABLE.parquet#COLUMN/ROW
            yield name, after + name.removeprefix(before)
