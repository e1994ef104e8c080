"""Answers as a schema wants them: only where they apply."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from gingham.results import Prediction
from gingham.schema.schema import Schema


def applied(schema: Schema, predictions: Mapping[str, Prediction]) -> dict[str, Prediction]:
    """Give predictions of one image, those of attributes that do not apply as such."""
    said = {
        name: [] if one.value is None else [one.value] if isinstance(one.value, str) else one.value
        for name, one in predictions.items()
    }
    out = inapplicable(schema, said)
    return {
        name: replace(one, value=None, confidence=None, best_guess=None, applies=False)
        if name in out
        else one
        for name, one in predictions.items()
    }


def inapplicable(schema: Schema, said: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Name the attributes that do not apply to what has these values.

    What is not known excludes nothing; what does not apply excludes whatever depends on it.
    """
    out: set[str] = set()
    for name in schema.order:
        for other, wanted in schema.attributes[name].when.items():
            above = schema.attributes[other].above
            there = {one for value in said.get(other, ()) for one in above(value)}
            if other in out or (there and not there & set(wanted)):
                out.add(name)
    return frozenset(out)


def needed(schema: Schema, names: Iterable[str]) -> list[str]:
    """Name some attributes, and those that decide whether they apply."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += schema.attributes[name].when if name in schema.attributes else ()
    return list(found)
