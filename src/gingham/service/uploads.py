"""The route that adds images."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from gingham.errors import InputError
from gingham.service.answers import as_json
from gingham.service.given import FORM, Upload, read_form
from gingham.service.openapi import changes
from gingham.service.problems import BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA
from gingham.service.roles import guarded_router
from gingham.service.schemas import ID, Failure, Id, example
from gingham.service.state import service_of
from gingham.service.work import Task

_FORM_BODY = {
    "required": True,
    "content": {
        FORM: {
            "schema": {
                "type": "object",
                "properties": {
                    "image": {
                        "type": "array",
                        "items": {"type": "string", "format": "binary"},
                        "description": "Image files, with their names.",
                    }
                },
                "required": ["image"],
                "additionalProperties": False,
            }
        }
    },
}


class NoFields(BaseModel):
    """A form that has nothing but files."""

    model_config = ConfigDict(extra="forbid")


class UploadedImage(BaseModel):
    """An image that was uploaded."""

    id: Id
    image: str = Field(description="What its sender calls it.")


class UploadAnswer(BaseModel):
    """What became of uploads."""

    model_config = example(
        added=[{"id": ID, "image": "0001.jpg"}],
        unchanged=[],
        failed=[{"image": "notes.txt", "reason": "not an image in a known format"}],
        images=31,
    )

    added: list[UploadedImage] = Field(description="New in the catalogue.")
    unchanged: list[UploadedImage] = Field(description="In the catalogue already.")
    failed: list[Failure]
    images: int = Field(description="How many the catalogue has now.")


def router() -> APIRouter:
    """Make the route."""
    made = guarded_router(prefix="/v1/images", tags=["images"])
    made.add_api_route(
        "", add, methods=["POST"], operation_id="add", summary="Add images to the catalogue.",
        response_model=UploadAnswer,
        responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA),
        openapi_extra={"requestBody": _FORM_BODY},
    )  # fmt: skip
    return made


async def add(request: Request) -> Response:
    """Add uploads, `multipart/form-data` with the field `image`; the catalogue keeps their bytes.

    Whatever the answer says is there is on disk. An image that cannot be read does not keep the
    others out. New images have no tags until attributes are applied to them.
    """
    service = service_of(request)
    service.check_writable()
    async with read_form(request, NoFields) as given:
        images = given.images
        if not images:
            raise InputError("no image: send the field image")
        if len(images) > service.limits.images:
            raise InputError(f"{len(images)} images: give at most {service.limits.images} at once")

        def keep(task: Task) -> dict[str, Any]:
            named = [(one.name or one.id, one.data) for one in images if isinstance(one, Upload)]
            result = service.catalogue.upload(named, options=task.options).to_dict()
            return {("failed" if k == "failures" else k): v for k, v in result.items()}

        return as_json(await service.work.change(request, keep))
