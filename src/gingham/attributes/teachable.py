"""Examples as Python has them, pairs and DataFrames, as a mapping of image to value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from gingham.errors import InputError
from gingham.images import ImageSource, in_memory
from gingham.labels import Teachable
from gingham.names import did_you_mean

Pairs = Sequence[tuple[ImageSource, str | Sequence[str]]]
"""(image, value or several values)."""


@runtime_checkable
class DataFrame(Protocol):
    """A table in memory, of pandas or polars."""

    @property
    def columns(self) -> Iterable[str]:
        """Names of the columns."""

    def __getitem__(self, name: str) -> Iterable[Any]:
        """Give a column."""


def as_mapping(
    examples: Pairs | DataFrame, image_column: str, value_column: str, group_column: str | None
) -> Teachable:
    """Make a mapping of pairs, or of two columns of a DataFrame.

    An image that comes several times has all its values; a missing value is unknown.

    Raises
    ------
    InputError
        If a column is missing, groups are named, something is no pair, or an image has two values
        that are not given as a list.
    """
    if isinstance(examples, DataFrame):
        if group_column is not None:
            raise InputError("groups go with a table on disk: write the DataFrame to a file first")
        there = list(examples.columns)
        for name in (image_column, value_column):
            if name not in there:
                raise InputError(
                    f"the DataFrame has no column {name!r}; it has {', '.join(map(str, there))}"
                    f"{did_you_mean(name, list(map(str, there)))}"
                )
        pairs: Iterable[Any] = zip(examples[image_column], examples[value_column], strict=True)
    else:
        pairs = examples
    found: dict[Any, str | Sequence[str]] = {}
    for number, pair in enumerate(pairs):
        if isinstance(pair, (str, bytes)) or not _is_pair(pair):
            raise InputError(f"example {number} is no pair of image and value: got {pair!r:.80}")
        image, value = in_memory(pair[0]), _value(pair[1])
        if image in found and found[image] != value:
            raise InputError(
                f"example {number}: {str(image)[:80]} has the values {found[image]!r} and "
                f"{value!r}: give one, or a list for kind multi"
            )
        found[image] = value
    return found


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2


def _value(value: Any) -> str | list[str]:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return [str(one) for one in value]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
