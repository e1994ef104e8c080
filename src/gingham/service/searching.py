"""Routes that ask by images: search, predict, facets."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field, ValidationError

from gingham.cutoff import Cutoff
from gingham.errors import ImageError, InputError
from gingham.operations.choosing import Narrowed
from gingham.parts import Part
from gingham.results import Facets
from gingham.service import schemas
from gingham.service.answers import as_json, hits_of, predictions_of
from gingham.service.given import Asked, Given, asked, request_body
from gingham.service.openapi import changes, problems
from gingham.service.problems import BUSY, CONFLICT, INVALID, MEDIA, UNREADABLE
from gingham.service.roles import guarded_router
from gingham.service.schemas import (
    FacetsAnswer,
    PredictAnswer,
    PredictQuery,
    SearchAnswer,
    SearchQuery,
    listed,
)
from gingham.service.state import Service, service_of
from gingham.service.work import Task

Filters = Annotated[
    list[schemas.Name],
    Query(max_length=64, description="As in `colour=red`, `colour!=red`; repeat for more."),
]


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1", tags=["search"])
    wrong = changes(BUSY, CONFLICT, INVALID, MEDIA, UNREADABLE)
    made.add_api_route(
        "/search", search, methods=["POST"], operation_id="search",
        summary="Find the images that look most like some, and least like others.",
        response_model=SearchAnswer, responses=wrong,
        openapi_extra=request_body(SearchQuery, unlike=True),
    )  # fmt: skip
    made.add_api_route(
        "/predict", predict, methods=["POST"], operation_id="predict",
        summary="Predict the attributes of images.",
        response_model=PredictAnswer, responses=wrong, openapi_extra=request_body(PredictQuery),
    )  # fmt: skip
    made.add_api_route(
        "/facets", facets, operation_id="facets", summary="Count the images of each value.",
        response_model=FacetsAnswer, responses=problems(BUSY, CONFLICT, INVALID),
    )  # fmt: skip
    return made


class Place(BaseModel):
    """What a cursor holds: a search, and how many of its results were given."""

    query: SearchQuery
    offset: Annotated[int, Field(ge=1)]

    @staticmethod
    def write(query: SearchQuery, offset: int, images: list[str], unlike: list[str]) -> str:
        """Write it as a text that is safe in addresses, with the ids of what was uploaded."""
        kept = query.model_dump(exclude_defaults=True) | {"id": images, "unlike": unlike}
        text = json.dumps([offset, kept], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()

    @classmethod
    def read(cls, cursor: str) -> Place:
        """Read what `write` wrote.

        Raises
        ------
        InputError
            If it is anything else.
        """
        try:
            offset, query = json.loads(base64.b64decode(cursor, b"-_", validate=True))
            return cls.model_validate({"query": query, "offset": offset})
        except (ValueError, TypeError, RecursionError, ValidationError):
            raise InputError("this cursor is none: give it as it came, or search again") from None


async def search(request: Request) -> Response:
    """Search with uploads (`multipart/form-data`, field `image`) or ids (JSON).

    In a form, `crop`, `looks`, `colours`, `n`, `min_score`, `with_self` and `distinct` are written
    as JSON. A page's
    `cursor` gives the next page; where one uploaded image is remembered no longer, that is refused
    with 422.
    """
    service = service_of(request)
    async with asked(request, SearchQuery, service.limits) as given:
        return as_json(await service.work.ask(request, lambda task: _search(service, given, task)))


def _search(service: Service, given: Asked[SearchQuery], task: Task) -> dict[str, Any]:
    catalogue, query, offset = service.catalogue, given.query, 0
    if query.cursor is not None:
        if query.model_fields_set != {"cursor"} or given.images or given.unlike:
            raise InputError("a cursor says everything: leave the other fields out")
        place = Place.read(query.cursor)
        query, offset = place.query, place.offset
        given = Asked(query, listed(query.id), listed(query.unlike))
    wanted, text = catalogue.asked_for(
        query.text, query.looks, query.colours, query.where, pictured=bool(given.images)
    )
    like, unlike = (
        _examples(service, side, crop, task, text=text)
        for side, crop in ((given.images, query.crop), (given.unlike, None))
    )
    task.check()
    until = offset + query.n
    cutoff = Cutoff.asked(query.min_confidence, query.at_precision)
    known = [bytes.fromhex(name) for name, _ in like if catalogue.has_image(name)]
    own = () if query.with_self else known
    found = catalogue.search_examples(
        [example for _, example in like],
        [example for _, example in unlike],
        looks=query.looks,
        wanted=wanted,
        n=until + 1,
        min_score=query.min_score,
        cutoff=cutoff,
        choice=Narrowed(own, query.distinct, query.by),
    )
    images, others = ([name for name, _ in side] for side in (like, unlike))
    cursor = None
    if len(found) > until and until < service.limits.deepest:
        cursor = Place.write(query, until, images, others)
    return {
        "images": images,
        "unlike": others,
        "hits": hits_of(catalogue, found[offset:until], cutoff),
        "cursor": cursor,
        "understood": None if wanted.understood is None else wanted.understood.to_dict(),
    }


def _examples(
    service: Service,
    images: Sequence[Given],
    crop: Sequence[float] | None,
    task: Task,
    *,
    text: bool,
) -> list[tuple[str, Any]]:
    found = []
    for image in images:
        task.check()
        found.append(service.catalogue.example(image, crop, task.options, text=text))
    return found


async def predict(request: Request) -> Response:
    """Predict with uploads (`multipart/form-data`, field `image`) or ids (JSON).

    Where some of several images cannot be read, they have an `error`; where none can, the answer
    is 422. In a form, `crop` is written as JSON.
    """
    service = service_of(request)
    async with asked(request, PredictQuery, service.limits) as given:
        return as_json(await service.work.ask(request, lambda task: _predict(service, given, task)))


def _predict(service: Service, given: Asked[PredictQuery], task: Task) -> dict[str, Any]:
    catalogue, query = service.catalogue, given.query
    if not given.images:
        raise InputError("no image: send the field image, or an id")
    results = []
    for image in given.images:
        task.check()
        if isinstance(image, str) and not catalogue.has_image(image):
            raise InputError(f"no image {image}: it is not in the catalogue; send its bytes")
        name = image if isinstance(image, str) else image.id
        source: Given | Part = image
        if query.crop is not None:
            left, top, right, bottom = query.crop
            whole = catalogue.stored(image) if isinstance(image, str) else image
            source = Part(whole, (left, top, right, bottom), task.options.max_pixels)
        (found,) = catalogue.predict(
            [source],
            attributes=query.attributes,
            min_confidence=query.min_confidence,
            at_precision=query.at_precision,
            options=task.options,
        )
        results.append((name, found))
    reasons = [found.error for _, found in results if not found.predictions and found.error]
    if len(reasons) == len(results):
        raise ImageError(reasons[0])
    return {"results": [predictions_of(catalogue, name, found) for name, found in results]}


async def facets(
    request: Request,
    where: Filters = [],  # noqa: B006
    min_confidence: schemas.LeastConfidence = None,
    at_precision: schemas.AtPrecision = None,
) -> Response:
    """Count the images of each value among those that match the filters."""
    service = service_of(request)

    def count(task: Task) -> Facets:
        return service.catalogue.facets(
            where, min_confidence=min_confidence, at_precision=at_precision
        )

    found = await service.work.ask(request, count)
    return as_json(found.to_dict())
