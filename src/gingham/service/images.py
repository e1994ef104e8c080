"""Routes of one image of the catalogue."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from numpy.typing import NDArray

from gingham.cutoff import Cutoff
from gingham.errors import ImageError
from gingham.index.sliders import parse_looks
from gingham.operations.choosing import By, Narrowed
from gingham.operations.text_look import Wanted
from gingham.service import schemas
from gingham.service.answers import as_json, hits_of, prediction_of
from gingham.service.openapi import changes, problems
from gingham.service.problems import (
    BUSY,
    CONFLICT,
    FORBIDDEN,
    INVALID,
    MISSING,
    NOT_FOUND,
    UNREADABLE,
)
from gingham.service.roles import guarded_router
from gingham.service.schemas import ExplainAnswer, Hits, ImageAnswer
from gingham.service.searching import Filters
from gingham.service.state import Service, service_of
from gingham.service.work import Task

ImageId = Annotated[str, Path(pattern="^[0-9a-f]{64}$", examples=[schemas.ID])]
Side = Annotated[int, Query(ge=16, le=1024, description="The longer side, in pixels, at most.")]
Number = Annotated[int, Query(ge=1, le=1000, description="How many.")]
Sliders = Annotated[
    list[schemas.Name],
    Query(max_length=64, description="LOOK=WEIGHT, as in `colour=1`; repeat for more."),
]
Names = Annotated[list[schemas.Name], Query(max_length=256)]

_FOREVER = "private, max-age=31536000, immutable"


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1/images/{id}", tags=["images"])
    wrong = problems(BUSY, CONFLICT, INVALID, NOT_FOUND, UNREADABLE)
    made.add_api_route(
        "", image, operation_id="image", summary="An image: its file and its tags.",
        response_model=ImageAnswer, responses=problems(BUSY, INVALID, NOT_FOUND),
    )  # fmt: skip
    made.add_api_route(
        "", remove, methods=["DELETE"], operation_id="remove", status_code=204,
        summary="Take an image out of the catalogue.", response_class=Response,
        responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, NOT_FOUND),
    )  # fmt: skip
    jpeg = {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}
    made.add_api_route(
        "/thumbnail", thumbnail, operation_id="thumbnail", summary="A small copy of an image.",
        response_class=Response,
        responses={200: {"content": jpeg}, 304: {"description": "It is as it was."}, **wrong},
    )  # fmt: skip
    made.add_api_route(
        "/neighbours", neighbours, operation_id="neighbours",
        summary="The images that look most like it, without itself.",
        response_model=Hits, responses=wrong,
    )  # fmt: skip
    made.add_api_route(
        "/explain", explain, operation_id="explain",
        summary="Why it has its values, and where in the picture.",
        response_model=ExplainAnswer, responses=wrong | problems(MISSING),
    )  # fmt: skip
    return made


async def image(
    request: Request,
    id: ImageId,
    min_confidence: schemas.LeastConfidence = None,
    at_precision: schemas.AtPrecision = None,
) -> Response:
    """Give the file of an image, copies of it, and its tags with their confidence."""
    service = service_of(request)
    cutoff = Cutoff.asked(min_confidence, at_precision)

    def read(task: Task) -> dict[str, Any]:
        first, copies = service.catalogue.file_of(id)
        (tags,) = service.catalogue.tags_of([id], cutoff)
        return {"id": id, "image": first, "copies": copies} | vars(tags)

    return as_json(await service.work.ask(request, read))


async def remove(request: Request, id: ImageId) -> Response:
    """Take an image out of the catalogue; its files stay where they are.

    Attributes that were taught with it keep it as an example.
    """
    service = service_of(request)
    service.check_writable()
    await service.work.change(request, lambda task: service.catalogue.remove_image(id))
    return Response(status_code=204)


async def thumbnail(request: Request, id: ImageId, size: Side = 256) -> Response:
    """Make a JPEG of an image. It never changes, and may be kept for good."""
    service = service_of(request)
    tag = f'"{id[:32]}-{size}"'
    headers = {"ETag": tag, "Cache-Control": _FOREVER}

    def make(task: Task) -> bytes | None:
        service.catalogue.check_image(id)
        if tag in request.headers.get("if-none-match", ""):
            return None
        return service.catalogue.thumbnail(id, size, task.options)

    made = await service.work.ask(request, make)
    if made is None:
        return Response(status_code=304, headers=headers)
    return Response(made, media_type="image/jpeg", headers=headers)


async def neighbours(
    request: Request,
    id: ImageId,
    n: Number = 10,
    look: Sliders = [],  # noqa: B006
    where: Filters = [],  # noqa: B006
    distinct: Annotated[bool, Query(description="Leave out near-copies.")] = False,
    by: Annotated[By | None, Query(description="One result for each.")] = None,
) -> Response:
    """Search with an image of the catalogue, and leave it out of the results."""
    service = service_of(request)

    def find(task: Task) -> dict[str, Any]:
        catalogue = service.catalogue
        own = [bytes.fromhex(catalogue.check_image(id))]
        found = catalogue.search_examples(
            own,
            [],
            looks=parse_looks(look) if look else None,
            wanted=Wanted(where, None),
            n=n,
            min_score=None,
            choice=Narrowed(own, distinct, by),
        )
        return {"hits": hits_of(catalogue, found)}

    return as_json(await service.work.ask(request, find))


async def explain(
    request: Request,
    id: ImageId,
    attribute: Names = [],  # noqa: B006
    value: Names = [],  # noqa: B006
    heat: Annotated[bool, Query(description="Also give the maps themselves.")] = False,
) -> Response:
    """Explain the likeliest value of each attribute, or the values asked for.

    `overlay` is the picture with what speaks for the value in warm colours, against it in cold.
    """
    service = service_of(request)
    said = await service.work.ask(
        request, lambda task: _explain(service, id, attribute, value, heat, task)
    )
    return as_json(said)


def _explain(
    service: Service, id: str, attributes: list[str], values: list[str], heat: bool, task: Task
) -> dict[str, Any]:
    from gingham.explaining.overlay import draw_overlay
    from gingham.report.kit import data_uri

    catalogue = service.catalogue
    (found,) = catalogue.explain(
        [catalogue.check_image(id)],
        attributes=attributes or None,
        values=values,
        options=task.options,
    )
    if found.error is not None:
        raise ImageError(found.error)
    picture = np.zeros((1, 1, 3), np.uint8) if found.picture is None else found.picture
    return {
        "image": id,
        "explanations": [
            why.to_dict()
            | {
                "prediction": prediction_of(catalogue, why.prediction.to_dict()),
                "overlay": data_uri(draw_overlay(picture, why), 640),
            }
            | ({"heat": _map_of(why.heat)} if heat else {})
            for why in found.explanations
        ],
    }


def _map_of(heat: NDArray[np.float32]) -> dict[str, Any]:
    rows, columns = heat.shape
    values = base64.b64encode(heat.astype("<f4").tobytes()).decode()
    return {"rows": rows, "columns": columns, "values": values}
