"""Routes that show what there is: the catalogue, and its images without a picture to compare."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

import gingham
from gingham.errors import InputError
from gingham.service import schemas
from gingham.service.answers import as_json, attribute_of
from gingham.service.caller import CALLER
from gingham.service.openapi import problems
from gingham.service.problems import BUSY, CONFLICT, INVALID
from gingham.service.schemas import CatalogueAnswer, ImagesAnswer
from gingham.service.searching import Filters
from gingham.service.state import service_of
from gingham.service.work import Task

Offset = Annotated[int, Query(ge=0, le=10**9, description="How many to pass over.")]
PageSize = Annotated[int, Query(ge=1, le=500, description="How many.")]
OneName = Annotated[schemas.Name | None, Query()]


def router() -> APIRouter:
    """Make the routes."""
    made = APIRouter(prefix="/v1")
    made.add_api_route(
        "/catalogue", catalogue, operation_id="catalogue", tags=["catalogue"],
        summary="What a client needs to know first.",
        response_model=CatalogueAnswer, responses=problems(BUSY, CONFLICT),
    )  # fmt: skip
    made.add_api_route(
        "/images", images, operation_id="images", tags=["images"],
        summary="The images that match filters.",
        response_model=ImagesAnswer, responses=problems(BUSY, CONFLICT, INVALID),
    )  # fmt: skip
    return made


async def catalogue(request: Request) -> Response:
    """Say what the catalogue is and holds, and what the caller may do with it."""
    service = service_of(request)

    def read(task: Task) -> dict[str, Any]:
        shop, caller = service.catalogue, CALLER.get()
        infos = shop.attribute_infos()
        return {
            "name": shop.folder.resolve().name,
            "images": len(shop),
            "backbone": shop.config.backbone,
            "version": gingham.__version__,
            "looks": list(shop.looks),
            "attributes": {name: attribute_of(one) for name, one in infos.items()},
            "read_only": service.read_only,
            "role": caller.role,
            "caller": caller.name,
        }

    return as_json(await service.work.ask(request, read))


async def images(
    request: Request,
    where: Filters = [],  # noqa: B006
    offset: Offset = 0,
    n: PageSize = 100,
    order: Literal["added", "confidence"] = "added",
    attribute: OneName = None,
) -> Response:
    """List images in the order they were added, or the least sure of an attribute first.

    Any offset is answered equally fast. Images without a tag of the attribute come last.
    """
    service = service_of(request)
    if (order == "confidence") != (attribute is not None):
        raise InputError("order=confidence and attribute=NAME go together: give both or neither")

    def read(task: Task) -> dict[str, Any]:
        total, found = service.catalogue.browse(where, attribute, offset, n)
        return {"total": total, "offset": offset, "images": [one.to_dict() for one in found]}

    return as_json(await service.work.ask(request, read))
