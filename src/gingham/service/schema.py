"""Routes of the catalogue's schema: what attributes and values mean."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from gingham.schema.schema import Schema
from gingham.service.answers import as_json
from gingham.service.given import read_json
from gingham.service.openapi import changes, problems
from gingham.service.problems import BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA
from gingham.service.roles import guarded_router
from gingham.service.schemas import example
from gingham.service.state import service_of
from gingham.service.work import Task


class SchemaBody(BaseModel):
    """A schema as it is sent; what `attributes` may say is that of `Schema`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    attributes: dict[str, Any] = {}


class SchemaSet(BaseModel):
    """What is to be done after a schema was set."""

    model_config = example(untagged={"category": ["parka is below jacket, was below none"]})

    untagged: dict[str, list[str]] = Field(
        description="Attributes that were tagged by another hierarchy, and what changed in it: "
        "they have no tags until they are applied again."
    )


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1/schema", tags=["attributes"])
    made.add_api_route(
        "", schema, operation_id="schema", summary="What attributes and values mean.",
        response_model=Schema, responses=problems(BUSY, CONFLICT),
    )  # fmt: skip
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/Schema"}}}
    made.add_api_route(
        "", put, methods=["PUT"], operation_id="setSchema", summary="Set the schema.",
        response_model=SchemaSet, responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA),
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )  # fmt: skip
    return made


async def schema(request: Request) -> Response:
    """Give names in all languages, hierarchies, and which attribute applies when.

    Fields that say nothing are left out.
    """
    service = service_of(request)
    found = await service.work.ask(request, lambda task: service.catalogue.schema)
    return as_json(found.to_dict())


async def put(request: Request) -> Response:
    """Set the schema in place of the one that was set before; an empty one says nothing."""
    service = service_of(request)
    service.check_writable()
    given = await read_json(request, SchemaBody)

    def change(task: Task) -> dict[str, Any]:
        schema = Schema.from_dict({"attributes": given.attributes}, where="the schema")
        return {"untagged": service.catalogue.set_schema(schema)}

    return as_json(await service.work.change(request, change))
