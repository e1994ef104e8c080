"""The gate of settings: what a TOML file or an option group may say, and how a refusal reads.

A group is a frozen dataclass under `@settings`, its limits given with `pydantic.Field`; a file is
a group of groups that also inherits `SettingsFile`. Whatever is built, from Python or from a file,
is checked by pydantic, strictly: `1` is not `true`, and `1.0` is not a whole number.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar, dataclass_transform, get_args, get_origin

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass, is_pydantic_dataclass
from pydantic.fields import FieldInfo

from gingham.errors import InputError

T = TypeVar("T")
Texts = Annotated[tuple[str, ...], Strict(False)]
"""Texts: any list or tuple of them is taken, and kept as a tuple."""
Seed = Annotated[int, Field(ge=0, lt=2**32)]

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(Field, dataclasses.field))
def settings(cls: type[T]) -> type[T]:
    """Make a class a frozen group of settings that refuses what its annotations do not allow.

    The class raises `InputError` when it is built from a wrong value; the message names each field,
    what was expected and what came.
    """
    made: Any = dataclass(frozen=True, config=_STRICT)(cls)
    build = made.__init__

    def __init__(self: Any, *args: Any, **values: Any) -> None:  # noqa: N807
        try:
            build(self, *args, **values)
        except ValidationError as error:
            raise InputError("; ".join(_refusals(made, error))) from None

    __init__.__wrapped__ = build  # type: ignore[attr-defined]  # its signature
    made.__init__ = __init__
    return made  # type: ignore[no-any-return]


class SettingsFile:
    """What every settings file can do; a base of classes under `@settings`."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "the settings") -> Self:
        """Check plain values; `to_dict` is the inverse.

        Raises
        ------
        InputError
            If a key is unknown, or a value has the wrong type or is out of range; the message names
            `where`, each key, what was expected and what came.
        """
        # From JSON, where pydantic's strict rules take a list for a tuple, a table for a group.
        text = json.dumps(values, default=str)
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            raise InputError(f"{where}: " + "; ".join(_refusals(cls, error))) from None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file; a key that it does not have keeps its default.

        Raises
        ------
        InputError
            If the file is missing or is not TOML, or `from_dict` refuses what it says.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"config {path} does not exist: check the path", path=path) from None
        except (OSError, ValueError) as error:
            raise InputError(f"config {path} cannot be read: {error}", path=path) from None
        return cls.from_dict(values, where=f"config {path}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    def to_toml(self) -> str:
        """Write every key with its value; `read` gives the same settings back."""
        values = self.to_dict()
        tables = {key: value for key, value in values.items() if isinstance(value, dict)}
        lines = [f"{key} = {toml(value)}" for key, value in values.items() if key not in tables]
        for name, table in tables.items():
            lines += ["", f"[{name}]", *(f"{key} = {toml(value)}" for key, value in table.items())]
        return "\n".join(lines).lstrip("\n") + "\n"


def toml(value: object) -> str:
    """Write a value, or a key, as TOML."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml(key)} = {toml(one)}" for key, one in value.items()) + "}"
    # JSON writes texts, numbers and booleans as TOML does, except for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_EXPECTED = {
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "tuple_type": "a list",
    "mapping_type": "a table",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "literal_error": "{expected}",
}
"""What was expected, for pydantic's kinds of error."""

_LIMITS = {"gt": "more than", "ge": "at least", "lt": "less than", "le": "at most"}


def _refusals(group: Any, error: ValidationError) -> Iterator[str]:
    """Say in one sentence each what pydantic refused."""
    for one in error.errors(include_url=False):
        kind, place, context = one["type"], one["loc"], one.get("ctx", {})
        name = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
        if kind == "unexpected_keyword_argument":
            yield _unknown(group, [str(part) for part in place])
        elif kind == "value_error":
            yield f"{name}: {context['error']}" if name else str(context["error"])
        elif kind.startswith(("greater_", "less_")) or kind == "finite_number":
            limits = _limits(_section(group, place).__pydantic_fields__.get(place[-1]))
            yield f"{name} must be {limits or 'a finite number'}, got {one['input']!r}"
        elif kind in _EXPECTED:
            yield f"{name} must be {_EXPECTED[kind].format(**context)}, got {one['input']!r}"
        else:
            yield f"{name}: {one['msg']}, got {one['input']!r}"


def _section(group: Any, place: Sequence[Any]) -> Any:
    """Find the group that holds the key at a place."""
    parts = iter(place[:-1])
    for part in parts:
        field = group.__pydantic_fields__.get(part)
        inner: Any = None if field is None else field.annotation
        if get_origin(inner) is dict:  # a table of groups by name
            next(parts, None)
            inner = get_args(inner)[1]
        if not isinstance(inner, type) or not is_pydantic_dataclass(inner):
            break
        group = inner
    return group


def _limits(field: FieldInfo | None) -> str:
    """Say what numbers a field takes: `at least 1 and at most 9`."""
    found = [
        f"{words} {getattr(limit, name)}"
        for limit in (field.metadata if field else ())
        for name, words in _LIMITS.items()
        if hasattr(limit, name)
    ]
    return " and ".join(found)


def _unknown(group: Any, place: Sequence[str]) -> str:
    """Name an unknown key, the nearest known one, and all that there are."""
    known = list(_section(group, place).__pydantic_fields__)
    near = [".".join((*place[:-1], one)) for one in get_close_matches(place[-1], known, 1)]
    # Else a known key in the wrong section.
    near = near or [name for name in _names(group) if name.split(".")[-1] == place[-1]]
    hint = f", did you mean {near[0]!r}?" if near else ""
    return f"unknown key {'.'.join(place)!r}{hint} (known keys: {', '.join(known)})"


def _names(group: Any) -> Iterator[str]:
    """Name every key of a group as `section.key`."""
    for key, field in group.__pydantic_fields__.items():
        yield key
        if is_pydantic_dataclass(field.annotation):
            yield from (f"{key}.{name}" for name in _names(field.annotation))
