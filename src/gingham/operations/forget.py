"""Attributes, or single values of them, taken back."""

from __future__ import annotations

from gingham.attributes.registry import Attributes
from gingham.errors import InputError
from gingham.names import did_you_mean
from gingham.store.truth import Truth


def forget(truth: Truth, attributes: Attributes, name: str, value: str | None) -> None:
    """Forget an attribute, or one value of it; see `Catalogue.forget`."""
    attributes.check([name])
    if name in attributes.built_in:
        if value is not None:
            raise InputError(
                f"attribute {name!r} is built in: its values cannot be forgotten one by one; "
                "forget the whole attribute to delete its tags"
            )
        attributes.forget(name)
        return
    if name in attributes.attached:
        if value is not None:
            raise InputError(
                f"attribute {name!r} is answered by a trained model: its values cannot be "
                "forgotten one by one; forget the whole attribute"
            )
        truth.attached.detach(name)
        if name not in attributes.taught():
            attributes.forget(name)
        return
    if value is not None:
        values = attributes.taught()[name].values
        if value not in values:
            raise InputError(
                f"attribute {name!r} has no value {value!r}; it has {', '.join(values)}"
                + did_you_mean(value, values)
            )
        if len(values) <= 2:
            raise InputError(
                f"attribute {name!r} needs two values: forget the whole attribute, or teach "
                "another value first"
            )
    truth.log.forget(name, value)
    if value is None:
        attributes.forget(name)
