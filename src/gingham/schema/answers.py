"""Answers as a schema wants them: at the deepest level that is sure, and only where they apply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import replace

from gingham.results import Prediction
from gingham.schema.schema import Schema, SchemaAttribute

SURE = 0.5
"""The least probability of an answer, where no other is asked for."""


def settle(
    schema: Schema, predictions: Mapping[str, Prediction], sure: float | None = None
) -> dict[str, Prediction]:
    """Give predictions at the deepest level that is sure, without those that do not apply.

    Parameters
    ----------
    schema : attributes that it lacks stay as they are.
    predictions : attribute -> what it predicts, without a cut-off.
    sure : how sure an answer must be; of a value in a hierarchy its own probability and that of all
        below it count. None: `SURE` there, and elsewhere anything.
    """
    raised = {
        name: _raised(schema.attributes.get(name, SchemaAttribute()), one, sure)
        for name, one in predictions.items()
    }
    said = {
        name: [] if one.value is None else [one.value] if isinstance(one.value, str) else one.value
        for name, one in raised.items()
    }
    out = inapplicable(schema, said)
    return {name: one for name, one in raised.items() if name not in out}


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


def _raised(attribute: SchemaAttribute, one: Prediction, sure: float | None) -> Prediction:
    # What is unlike all examples is none of the values, so none above them either.
    if one.value is None:
        return one
    value: str | list[str] | None = one.value
    confidence = one.confidence or 0.0
    if attribute.is_hierarchy and isinstance(one.value, str):
        value, confidence = deepest(attribute, one.values, SURE if sure is None else sure)
    elif sure is not None and confidence < sure:
        value = None
    if value is None:
        return replace(one, value=None, confidence=None, best_guess=one.value)
    return replace(one, value=value, confidence=confidence)


def deepest(
    attribute: SchemaAttribute, probabilities: Mapping[str, float], sure: float
) -> tuple[str | None, float]:
    """Give the value with the most above it whose probability, with all below it, is sure.

    Of several the likeliest counts; None: not even a highest one is sure.
    """
    sums: dict[str, float] = defaultdict(float)
    depth: dict[str, int] = {}
    for value, probability in probabilities.items():
        for one in attribute.above(value):
            sums[one] += probability
            depth.setdefault(one, sum(1 for _ in attribute.above(one)))
    there = [value for value in sums if sums[value] >= sure]
    best = max(there, key=lambda value: (depth[value], sums[value]), default=None)
    return best, 0.0 if best is None else min(sums[best], 1.0)
