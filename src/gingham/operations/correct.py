"""Examples of an attribute put right: one by one, beside what else it was taught."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gingham.attributes.registry import Attributes
from gingham.errors import InputError
from gingham.operations.teach import TableColumns, teach
from gingham.options import ReadOptions
from gingham.results import TeachResult
from gingham.store.examples import Taught
from gingham.store.features import ImageId
from gingham.store.truth import Truth

Corrections = Mapping[str | bytes, str | Sequence[str] | None]
"""Image -> what is right: a value, of kind `multi` several; None: it is no example any more."""


def correct(
    truth: Truth,
    attributes: Attributes,
    attribute: str,
    corrections: Corrections,
    kind: str | None,
    options: ReadOptions,
) -> TeachResult:
    """Add examples to an attribute and take examples out of it; see `Catalogue.correct`."""
    if attribute in attributes.built_in:
        raise InputError(
            f"attribute {attribute!r} is built in and takes no corrections: teach an attribute of "
            "another name, or teach this one from many examples to answer in its place"
        )
    before = attributes.taught().get(attribute)
    known = {example.id: example for example in before.examples} if before else {}
    out = set()
    for image, value in corrections.items():
        if value is None:
            image_id = truth.find(image)
            image_id = image_id if image_id in known else _as_id(image)
            if image_id not in known:
                raise InputError(f"{image!r} is no example of {attribute!r}: nothing was changed")
            out.add(image_id)
    given = {image: value for image, value in corrections.items() if value is not None}
    if before is not None and not given and len(out) == len(known):
        raise InputError(
            f"without these, {attribute!r} has no example left: forget the attribute instead"
        )
    result = teach(
        truth,
        attributes,
        attribute,
        given,
        TableColumns(),
        kind=kind,
        layers=before.layers if before else "auto",
        views=True,
        options=options,
        without=out,
    )
    after = attributes.taught()[result.attribute]
    truth.confirmed.append(result.attribute, _confirmed(truth, given, before, after))
    return result


def _confirmed(
    truth: Truth, given: Corrections, before: Taught | None, after: Taught
) -> list[ImageId]:
    """List the images that were taught the same before."""
    if before is None:
        return []
    said = {example.id: example.values for example in before.examples}
    ids = {truth.find(image) for image in given}
    return [
        example.id
        for example in after.examples
        if example.id in ids and said.get(example.id) == example.values
    ]


def _as_id(image: str | bytes) -> ImageId | None:
    try:
        return bytes.fromhex(image) if isinstance(image, str) else None
    except ValueError:
        return None
