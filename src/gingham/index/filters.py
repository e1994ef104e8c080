"""Filters on tags: conditions, and how a user writes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from gingham.errors import InputError
from gingham.names import UNKNOWN, composed, did_you_mean

__all__ = ["EVERYWHERE", "UNKNOWN", "Condition", "Where", "parse_where"]


@dataclass(frozen=True)
class Condition:
    """One filter: the image has this value of the attribute, or (negated) has not."""

    attribute: str
    value: str
    negated: bool = False


@dataclass(frozen=True)
class Where:
    """A filter on tags.

    Values asked of one attribute are alternatives; attributes, and all negated conditions, must
    hold together. An image without a tag for an attribute satisfies no ``=`` and every ``!=``.
    ``unknown`` is a value like any other. An empty `Where` is satisfied by every image.
    """

    conditions: tuple[Condition, ...] = ()


EVERYWHERE = Where()


def parse_where(texts: Sequence[str], known: Mapping[str, Collection[str]]) -> Where:
    """Read filters such as ``colour=red`` and ``colour!=red``.

    Parameters
    ----------
    texts : what the user wrote.
    known : attribute -> its values (facets will do); ``unknown`` is always allowed. Where the
        names of two attributes fit a text, the longer one counts. Names and values that are not
        there are found in their other Unicode form.

    Raises
    ------
    InputError
        If a text is no filter, or the attribute or the value is not there.
    """
    conditions = []
    for text in texts:
        attribute, rest = _attribute_of(text, known)
        given, values = rest.partition("=")[2], known[attribute]
        alike = [value for value in values if composed(value) == composed(given)]
        value = alike[0] if len(alike) == 1 else given
        if value != UNKNOWN and value not in values:
            raise InputError(
                f"no image has {attribute} {value!r}; there are {_quoted(values)}"
                f"{did_you_mean(value, values)}"
            )
        conditions.append(Condition(attribute, value, rest.startswith("!")))
    return Where(tuple(conditions))


def _attribute_of(text: str, known: Collection[str]) -> tuple[str, str]:
    """Split a filter into an attribute and what follows its name."""
    for form in (text, composed(text)):
        for attribute in sorted(known, key=len, reverse=True):
            rest = form.removeprefix(attribute)
            if form.startswith(attribute) and rest.startswith(("=", "!=")):
                return attribute, rest
    if "=" not in text:
        raise InputError(
            "a filter is written ATTRIBUTE=VALUE or ATTRIBUTE!=VALUE, as in colour=red; "
            f"got {text!r}"
        )
    name = text.partition("=")[0].removesuffix("!")
    raise InputError(
        f"unknown attribute {name!r}; known: {_quoted(known)}{did_you_mean(name, known)}"
    )


def _quoted(names: Collection[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return (", ".join(map(repr, shown[:20])) or "none") + more
