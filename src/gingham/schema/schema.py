"""The schema file: attributes and values, as people call them, and how they hang together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from gingham.errors import InputError
from gingham.names import NOT_APPLICABLE, UNKNOWN
from gingham.settings import SettingsFile, Texts, settings, toml


@settings
class SchemaValue:
    """A value.

    Attributes
    ----------
    description : for people.
    parent : the value that it is a kind of, as a spaniel is a dog.
    synonyms : other words for it.
    translations : language -> words for it.
    """

    description: str = ""
    parent: str | None = None
    synonyms: Texts = ()
    translations: dict[str, Texts] = field(default_factory=dict)


@settings
class SchemaAttribute:
    """An attribute.

    Attributes
    ----------
    description, synonyms, translations : see `SchemaValue`.
    when : attribute -> values; this one applies only to what has one of them, or a value below it.
    values : value -> what is said of it; also values that are never taught, above those that are.
    """

    description: str = ""
    synonyms: Texts = ()
    translations: dict[str, Texts] = field(default_factory=dict)
    when: dict[str, Texts] = field(default_factory=dict)
    values: dict[str, SchemaValue] = field(default_factory=dict)

    def above(self, value: str) -> Iterator[str]:
        """Give a value, the value above it, and so on."""
        here: str | None = value
        while here is not None:
            yield here
            here = self.values[here].parent if here in self.values else None

    @cached_property
    def parents(self) -> dict[str, str]:
        """Value -> the one above it; empty if none is above another."""
        return {name: one.parent for name, one in self.values.items() if one.parent is not None}

    @cached_property
    def digest(self) -> str:
        """Name what decides its answers: the hierarchy, and when it applies; empty: nothing."""
        if not (self.parents or self.when):
            return ""
        said = json.dumps([self.parents, self.when])
        return hashlib.sha256(said.encode()).hexdigest()[:16]


@settings
class Schema(SettingsFile):
    """A schema file; see docs/schema.md.

    Raises
    ------
    InputError
        If values are above each other in a circle, attributes depend on each other in a circle, or
        something is named that the schema lacks.
    """

    attributes: dict[str, SchemaAttribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, attribute in self.attributes.items():
            for value in (UNKNOWN, NOT_APPLICABLE):
                if value in attribute.values:
                    raise InputError(
                        f"attribute {name!r}: {value!r} is what is answered where there is no "
                        "value: leave it out"
                    )
            parents = {x: one.parent for x, one in attribute.values.items()}
            _check(parents.values(), attribute.values, f"attribute {name!r}: parent")
            _no_circle({x: [y] if y else [] for x, y in parents.items()}, f"values of {name!r}")
            _check(attribute.when, self.attributes, f"attribute {name!r}: when")
        _no_circle({x: list(one.when) for x, one in self.attributes.items()}, "attributes (when)")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, without what says nothing; `from_dict` is the inverse."""
        return {"attributes": _said(super().to_dict()["attributes"])}

    def to_toml(self) -> str:
        """Write a table for each attribute and value; `read` gives the same schema back."""
        lines: list[str] = []

        def table(place: tuple[str, ...], said: Mapping[str, Any]) -> None:
            keys = ".".join(map(toml, place))
            lines.append(f"{'' if not lines else chr(10)}[attributes.{keys}]")
            lines.extend(f"{key} = {toml(one)}" for key, one in said.items() if key != "values")
            for value, about in said.get("values", {}).items():
                table((*place, "values", value), about)

        for name, said in self.to_dict()["attributes"].items():
            table((name,), said)
        return "\n".join(lines) + "\n"

    def moved(self, former: Schema, name: str) -> list[str]:
        """Say which values of an attribute are below another value than in a former schema."""
        now, before = (
            one.attributes.get(name, SchemaAttribute()).parents for one in (self, former)
        )
        return [
            f"{value} is below {now.get(value, 'none')}, was below {before.get(value, 'none')}"
            for value in sorted(now.keys() | before.keys())
            if now.get(value) != before.get(value)
        ]

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The attributes, each after those that it depends on."""
        done: dict[str, None] = {}

        def add(name: str) -> None:
            for other in self.attributes[name].when:
                add(other)
            done[name] = None

        for name in self.attributes:
            add(name)
        return tuple(done)


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the fields of attributes and values that are as they are when nothing is said."""
    said = {}
    for name, about in values.items():
        kept = {key: one for key, one in about.items() if one}
        if "values" in kept:
            kept["values"] = _said(kept["values"])
        said[name] = kept
    return said


def _check(names: object, known: Mapping[str, object], where: str) -> None:
    for name in names:  # type: ignore[attr-defined]
        if name is not None and name not in known:
            raise InputError(f"{where} {name!r} is not in the schema: add it, or correct it")


def _no_circle(edges: Mapping[str, list[str]], what: str) -> None:
    left = dict(edges)
    while left:
        free = [name for name, needed in left.items() if not left.keys() & set(needed)]
        if not free:
            raise InputError(f"{what} go round in a circle: {', '.join(map(repr, left))}")
        for name in free:
            del left[name]
