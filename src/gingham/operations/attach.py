"""Trained models attached to a catalogue: their attributes become attributes of it."""

from __future__ import annotations

from collections.abc import Sequence

from gingham.attributes.attribute import Attribute
from gingham.attributes.registry import Attributes
from gingham.errors import InputError
from gingham.operations.teach import check_attribute_name
from gingham.results import AttachResult
from gingham.store.attached import Attached


def attach(registry: Attributes, model: str, attributes: Sequence[Attribute]) -> AttachResult:
    """Register the attributes of a model, unless they are already; see `Catalogue.attach`.

    Raises
    ------
    InputError
        If a name is not valid; then nothing is attached.
    """
    if not attributes:
        raise InputError(f"model {model} has no attributes")
    for one in attributes:
        check_attribute_name(one.name)
    wanted = [Attached(one.name, one.kind, one.values, model, one.stamp) for one in attributes]
    registry.attach([one for one in wanted if registry.attached.get(one.name) != one])
    return AttachResult(
        model,
        attributes[0].stamp,
        {one.name: list(one.values) for one in attributes},
        tuple(one.name for one in attributes if one.name in registry.taught()),
    )
