"""Trained models attached to a catalogue: their attributes become attributes of it."""

from __future__ import annotations

from collections.abc import Sequence

from gingham.attributes.attribute import Attribute
from gingham.attributes.registry import Attributes
from gingham.errors import InputError
from gingham.names import check_attribute, check_value, did_you_mean
from gingham.results import AttachResult
from gingham.store.attached import Attached


def attach(
    registry: Attributes, model: str, attributes: Sequence[Attribute], names: Sequence[str] | None
) -> AttachResult:
    """Register attributes of a model, those named or all, unless they are already.

    See `Catalogue.attach`.

    Raises
    ------
    InputError
        If the model has no attribute of a name, or a name is not valid; then nothing is attached.
    """
    known = {one.name: one for one in attributes}
    for name in names or ():
        if name not in known:
            raise InputError(
                f"the model has no attribute {name!r}; it has {', '.join(sorted(known))}"
                + did_you_mean(name, known)
            )
    attributes = [known[name] for name in dict.fromkeys(names or known)]
    for one in attributes:
        check_attribute(one.name, registry.answering())
        for value in one.values:
            check_value(one.name, value, one.kind)
    wanted = [Attached(one.name, one.kind, one.values, model, one.stamp) for one in attributes]
    registry.attach([one for one in wanted if registry.attached.get(one.name) != one])
    return AttachResult(
        model,
        attributes[0].stamp,
        {one.name: list(one.values) for one in attributes},
        tuple(one.name for one in attributes if one.name in registry.taught()),
    )
