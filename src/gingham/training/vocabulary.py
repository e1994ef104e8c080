"""What a network is trained to say: attributes, their values, and which output is which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.names import did_you_mean

KINDS = ("single", "multi", "binary")
YES, NO = "yes", "no"


@dataclass(frozen=True)
class ModelAttribute:
    """One attribute and its outputs.

    Attributes
    ----------
    name : as in the table. kind : `single`, one value per image; `multi`, any number; `binary`,
    `yes` or `no`. values : one for each output; for kind `binary` the one output is `yes`.
    """

    name: str
    kind: str
    values: tuple[str, ...]

    @property
    def answers(self) -> tuple[str, ...]:
        """Every value that an answer may hold."""
        return (YES, NO) if self.kind == "binary" else self.values

    def answered(self, given: NDArray[np.bool_]) -> list[str]:
        """Read which of its outputs are given, a (V,) array, as values."""
        if self.kind == "binary":
            return [YES if given[0] else NO]
        return [value for value, there in zip(self.values, given, strict=True) if there]


@dataclass(frozen=True)
class Vocabulary:
    """The outputs of a network: attribute after attribute, value after value."""

    attributes: tuple[ModelAttribute, ...]

    @cached_property
    def columns(self) -> dict[str, slice]:
        """Which outputs belong to which attribute."""
        found, start = {}, 0
        for attribute in self.attributes:
            found[attribute.name] = slice(start, start + len(attribute.values))
            start += len(attribute.values)
        return found

    @cached_property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """The (attribute, value) of each output."""
        return tuple((a.name, value) for a in self.attributes for value in a.values)

    @cached_property
    def groups(self) -> tuple[tuple[str, int, int], ...]:
        """The (kind, first output, end) of each attribute: what the losses read."""
        ends = [(one.start, one.stop) for one in self.columns.values()]
        return tuple((a.kind, *end) for a, end in zip(self.attributes, ends, strict=True))

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, names: Sequence[str] | None) -> tuple[ModelAttribute, ...]:
        """Return the attributes asked for, or all.

        Raises
        ------
        InputError
            If one is not there.
        """
        known = {a.name: a for a in self.attributes}
        for name in names or ():
            if name not in known:
                raise InputError(
                    f"the model has no attribute {name!r}; it has {', '.join(sorted(known))}"
                    + did_you_mean(name, known)
                )
        return tuple(known[name] for name in dict.fromkeys(names)) if names else self.attributes

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """Read back what `to_dict` wrote."""
        rows = values["attributes"]
        return cls(tuple(ModelAttribute(x["name"], x["kind"], tuple(x["values"])) for x in rows))
