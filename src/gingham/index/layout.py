"""What is where in a server that holds an index: a text beside the index's state, kept with it.

Looks and tags are kept under names that are never used twice. What changes all of a look or of an
attribute's tags makes a new one, and whoever searches meanwhile reads the one that was committed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

from gingham.index.index import Metric


@dataclass(kw_only=True)
class KeptLook:
    """A look, as it is kept."""

    metric: Metric
    width: int
    builtin: bool


L = TypeVar("L", bound=KeptLook)


@dataclass
class KeptLayout(Generic[L]):
    """What is where.

    Attributes
    ----------
    looks : look -> how it is kept.
    tags : attribute -> the name under which its tags are kept.
    """

    looks: dict[str, L] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    look_type: ClassVar[type[Any]] = KeptLook

    @classmethod
    def read(cls, text: str) -> Self:
        """Take what `write` gave."""
        values = json.loads(text)
        looks = {name: cls.look_type(**look) for name, look in values.pop("looks").items()}
        return cls(looks=looks, **values)

    def write(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    def copy(self) -> Self:
        """Copy it, to be changed."""
        return self.read(self.write())

    @property
    def widths(self) -> dict[str, int]:
        """Every look -> length of its vectors."""
        return {name: look.width for name, look in self.looks.items()}

    @property
    def builtin(self) -> dict[str, int]:
        """Built-in look -> length of its vectors."""
        return {name: look.width for name, look in self.looks.items() if look.builtin}

    @property
    def metrics(self) -> dict[str, Metric]:
        """Every look -> how it compares."""
        return {name: look.metric for name, look in self.looks.items()}
