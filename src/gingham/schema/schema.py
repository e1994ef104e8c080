"""The schema file: attributes and values, as people call them, and how they hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property

from gingham.errors import InputError
from gingham.settings import SettingsFile, Texts, settings


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

    @property
    def is_hierarchy(self) -> bool:
        """Whether some value is above another."""
        return any(one.parent is not None for one in self.values.values())


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
            parents = {x: one.parent for x, one in attribute.values.items()}
            _check(parents.values(), attribute.values, f"attribute {name!r}: parent")
            _no_circle({x: [y] if y else [] for x, y in parents.items()}, f"values of {name!r}")
            _check(attribute.when, self.attributes, f"attribute {name!r}: when")
        _no_circle({x: list(one.when) for x, one in self.attributes.items()}, "attributes (when)")

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
