"""What every result can do: tell itself in short, become JSON, be shown in notebooks."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, Self

HTML: dict[type, Callable[[Any], str]] = {}
"""How notebooks show results of a type: `gingham.report.notebook` fills it."""


class _Brief(reprlib.Repr):
    """Shortens long values, so that a result is read at a glance; `to_dict` has everything."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 60, 160
        self.maxtuple = self.maxlist = self.maxdict = 8

    def repr_float(self, value: float, level: int) -> str:
        return f"{value:.4g}"


_BRIEF = _Brief()


@dataclass(frozen=True)
class Result:
    """Base of the results."""

    def __init_subclass__(cls, **options: Any) -> None:
        # `dataclass` makes no other where a class has its own.
        cls.__repr__ = Result.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        """Say what is there; empty fields are left out, long ones shortened."""
        said = ((one.name, getattr(self, one.name)) for one in fields(self) if one.repr)
        brief = (f"{name}={_BRIEF.repr(value)}" for name, value in said if value not in ((), {}))
        return f"{type(self).__name__}({', '.join(brief)})"

    def _repr_html_(self) -> str | None:
        return HTML[type(self)](self) if type(self) in HTML else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Self:
        """Rebuild what `to_dict` gave, from JSON; what has no field here is left out.

        Raises
        ------
        ValueError
            If something is missing or of another type.
        """
        from pydantic import ValidationError

        kind: type = cls
        try:
            made: Self = _reader(kind).validate_python(said)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (cls.__name__, *first["loc"])))
            raise ValueError(f"{where}: {first['msg']}") from None
        return made


@cache
def _reader(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)
