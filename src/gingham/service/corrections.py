"""What a request says of examples: ids with their values, or uploads of one value."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field

from gingham.errors import InputError
from gingham.operations import correct
from gingham.service.attribute_schemas import Kind
from gingham.service.given import FORM, JSON, Given, Upload, read_form, read_json, type_of
from gingham.service.limits import Limits
from gingham.service.schemas import ID, Id, Name, example


class Corrections(BaseModel):
    """Examples to add to an attribute, to correct, or to take out."""

    model_config = ConfigDict(extra="forbid", strict=True) | example(
        examples={ID: "red", ID[::-1]: None}
    )

    examples: Annotated[
        dict[Id, Name | Annotated[list[Name], Field(min_length=1, max_length=256)] | None],
        Field(
            min_length=1,
            description="Image of the catalogue: value; of kind `multi` a list of values, where "
            "`!value` means that it has it not; null: it is no example any more.",
        ),
    ]
    kind: Kind | None = Field(None, description="Of a new attribute: `single` by default.")
    apply: bool = Field(True, description="Then tag every image of the catalogue with it.")


class UploadedExamples(BaseModel):
    """What a form says besides the images that are to be examples."""

    model_config = ConfigDict(extra="forbid", strict=True)

    value: Annotated[
        list[Name],
        Field(min_length=1, max_length=256, description="Of all the images; of `multi` several."),
    ]
    kind: Kind | None = Field(None, description="Of a new attribute: `single` by default.")
    apply: bool = Field(True, description="Then tag every image of the catalogue with it.")


@dataclass(frozen=True)
class CorrectionsGiven:
    """Examples that a request adds, corrects or takes out.

    Attributes
    ----------
    said : id -> value, or None.
    uploads, value : images of one value; of kind `multi` of several.
    kind, apply : see `Corrections`.
    """

    kind: str | None
    apply: bool
    said: correct.Corrections
    uploads: Sequence[Given] = ()
    value: str | Sequence[str] = ()

    def corrections(self) -> correct.Corrections:
        """Give all of them, the bytes of uploads read."""
        return {
            **self.said,
            **{one.read(): self.value for one in self.uploads if isinstance(one, Upload)},
        }


@contextlib.asynccontextmanager
async def corrections_of(request: Request, limits: Limits) -> AsyncIterator[CorrectionsGiven]:
    """Read a request whose body is JSON, or a form with uploads, which last as long as this.

    Raises
    ------
    InputError
        If a form has no image, or too many.
    ProblemError
        If the body is neither, cannot be parsed, or says what it may not.
    """
    if type_of(request) == FORM:
        async with read_form(request, UploadedExamples) as form:
            count, query = len(form.images), form.query
            if not 1 <= count <= limits.images:
                raise InputError(f"{count} images: send 1 to {limits.images} as the field image")
            value = query.value if len(query.value) > 1 or query.kind == "multi" else query.value[0]
            yield CorrectionsGiven(query.kind, query.apply, {}, form.images, value)
        return
    given = await read_json(request, Corrections)
    said: correct.Corrections = {image: value for image, value in given.examples.items()}  # noqa: C416
    yield CorrectionsGiven(given.kind, given.apply, said)


def examples_body() -> dict[str, Any]:
    """Describe both forms of the body for the OpenAPI document."""
    fields = UploadedExamples.model_json_schema()["properties"]
    images = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {
        "type": "object",
        "properties": {"image": images | {"description": "Image files."}, **fields},
        "required": ["image", "value"],
        "additionalProperties": False,
    }
    json = Corrections.model_json_schema()
    content = {JSON: {"schema": json}, FORM: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}
