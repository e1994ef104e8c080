"""Routes of attributes: what there is, taught anew, forgotten."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from gingham.review_results import ReviewOrder
from gingham.service import schemas
from gingham.service.answers import as_json, attributes_of, taught_of
from gingham.service.attribute_schemas import (
    AttributeAnswer,
    AttributesAnswer,
    CutoffAnswer,
    ExamplesAnswer,
    ReviewAnswer,
    TeachAnswer,
    Teaching,
)
from gingham.service.browsing import Offset, PageSize
from gingham.service.corrections import corrections_of, examples_body
from gingham.service.given import read_json
from gingham.service.map import MEDIA_TYPE, as_kept, coded, framed
from gingham.service.named_route import NamedRoute
from gingham.service.openapi import changes, problems
from gingham.service.problems import (
    BUSY,
    CONFLICT,
    FORBIDDEN,
    INVALID,
    MEDIA,
    NOT_FOUND,
    UNREADABLE,
)
from gingham.service.roles import guarded_router
from gingham.service.state import service_of
from gingham.service.work import Task

At = Annotated[
    int | None, Query(ge=0, le=2**53, description="A change of the history; 0: before the first.")
]
Name = Annotated[str, Path(min_length=1, max_length=1300, examples=["colour"])]


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1/attributes", tags=["attributes"], route_class=NamedRoute)
    made.add_api_route(
        "", attributes, operation_id="attributes", summary="All attributes.",
        response_model=AttributesAnswer, responses=problems(BUSY, CONFLICT),
    )  # fmt: skip
    made.add_api_route(
        "/{name:path}/examples", list_examples, operation_id="examples",
        summary="The images that an attribute was taught with.",
        response_model=ExamplesAnswer, responses=problems(BUSY, CONFLICT, INVALID, NOT_FOUND),
    )  # fmt: skip
    made.add_api_route(
        "/{name:path}/examples", add_examples, methods=["POST"], operation_id="addExamples",
        summary="Add examples to an attribute, correct them, take them out.",
        response_model=TeachAnswer,
        responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA, UNREADABLE),
        openapi_extra=examples_body(),
    )  # fmt: skip
    content = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    made.add_api_route(
        "/{name:path}/values", values, operation_id="values",
        summary="The value of every image, now or at an earlier time.", response_class=Response,
        responses={
            200: {"content": content},
            304: {"description": "It is as it was."},
            **problems(BUSY, CONFLICT, INVALID, NOT_FOUND),
        },
    )  # fmt: skip
    made.add_api_route(
        "/{name:path}/cutoff", cutoff, operation_id="cutoff",
        summary="How sure the answers must be, and how much is answered then.",
        response_model=CutoffAnswer, responses=problems(BUSY, CONFLICT, INVALID, NOT_FOUND),
    )  # fmt: skip
    made.add_api_route(
        "/{name:path}/review", review, operation_id="review",
        summary="The images that somebody should look at.",
        response_model=ReviewAnswer, responses=problems(BUSY, CONFLICT, INVALID, NOT_FOUND),
    )  # fmt: skip
    made.add_api_route(
        "/{name:path}", attribute, operation_id="attribute", summary="One attribute.",
        response_model=AttributeAnswer, responses=problems(BUSY, CONFLICT, INVALID, NOT_FOUND),
    )  # fmt: skip
    new: dict[int | str, dict[str, Any]] = {
        201: {"model": TeachAnswer, "description": "It is new."}
    }
    body = {"application/json": {"schema": Teaching.model_json_schema()}}
    made.add_api_route(
        "/{name:path}", put, methods=["PUT"], operation_id="teach",
        summary="Teach an attribute, in place of all that it was taught before.",
        response_model=TeachAnswer,
        responses=new | changes(BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA, UNREADABLE),
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )  # fmt: skip
    made.add_api_route(
        "/{name:path}", delete, methods=["DELETE"], operation_id="forget", status_code=204,
        summary="Forget an attribute, or one value of it.", response_class=Response,
        responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, NOT_FOUND),
    )  # fmt: skip
    return made


async def attributes(request: Request) -> Response:
    """Describe all attributes: their kind, values, examples, and how many images are tagged."""
    service = service_of(request)
    shop = service.catalogue
    found = await service.work.ask(
        request, lambda task: attributes_of(shop, shop.attribute_infos())
    )
    return as_json({"attributes": found})


async def attribute(request: Request, name: Name) -> Response:
    """Describe one attribute."""
    service = service_of(request)

    def read(task: Task) -> dict[str, Any]:
        service.catalogue.check_attribute(name)
        infos = service.catalogue.attribute_infos()
        return attributes_of(service.catalogue, {name: infos[name]})[name]

    return as_json(await service.work.ask(request, read))


async def list_examples(
    request: Request, name: Name, offset: Offset = 0, n: PageSize = 100
) -> Response:
    """List the examples of an attribute; of one that only a model answers there are none."""
    service = service_of(request)

    def read(task: Task) -> dict[str, Any]:
        found = service.catalogue.taught_with(name)
        return {
            "total": len(found),
            "examples": [
                {"id": one.id.hex(), "values": one.values} for one in found[offset : offset + n]
            ],
        }

    return as_json(await service.work.ask(request, read))


async def values(request: Request, name: Name, at: At = None) -> Response:
    """Give the value of every image that is in the catalogue, as the attribute is applied now.

    With `at`, as what it had been taught when that change of the history was the latest would tag
    them: two numbers compare the attribute before and after a change on the same images. Nothing
    is changed by that.

    Little-endian: `GVAL`, uint32 L, L bytes of JSON (`count`, `attribute`, `at`, `values`), padded
    by spaces to a multiple of 4; int32 of each image, its place in `values`, -1 for unknown, -2
    without a tag; 32 bytes of each, its id.
    """
    service = service_of(request)

    def read(task: Task) -> bytes:
        catalogue = service.catalogue
        ids, column = catalogue.image_order(), catalogue.values_at(name, at, task)
        shown, codes = coded(ids, column)
        head = {"count": len(ids), "attribute": name, "at": at, "values": shown}
        return framed(b"GVAL", head, codes.astype("<i4").tobytes(), ids.tobytes())

    return as_kept(request, await service.work.ask(request, read))


async def review(
    request: Request,
    name: Name,
    order: ReviewOrder = "useful",
    value: Annotated[schemas.Name | None, Query(description="Only images of this value.")] = None,
    n: PageSize = 50,
    offset: Offset = 0,
) -> Response:
    """List what to confirm or correct, with the reason.

    `useful`: what would teach most, as images typical of much that is unsure, none like another,
    and now and then an example that the others contradict; `uncertain`: tags that are least sure;
    `suspicious`: examples that the others contradict, then
    tags that few of the images most like them share; `random`: any. Examples and what was confirmed
    are not asked again, unless they are contradicted.
    """
    service = service_of(request)

    def read(task: Task) -> dict[str, Any]:
        catalogue = service.catalogue
        catalogue.check_attribute(name)
        found = catalogue.review(name, order=order, value=value, n=n, offset=offset).to_dict()
        for one in found["items"]:
            one["image"] = catalogue.evidence_image(one["image"])[0]
        return found

    return as_json(await service.work.ask(request, read))


async def cutoff(
    request: Request,
    name: Name,
    min_confidence: schemas.LeastConfidence = None,
    at_precision: schemas.AtPrecision = None,
) -> Response:
    """Say from which confidence on each value is answered, and what held-out examples got then."""
    service = service_of(request)

    def read(task: Task) -> dict[str, Any]:
        one = service.catalogue.check_attribute(name)
        return service.catalogue.cutoff(
            one, min_confidence=min_confidence, at_precision=at_precision
        ).to_dict()

    return as_json(await service.work.ask(request, read))


async def put(request: Request, name: Name) -> Response:
    """Teach an attribute by examples, images of the catalogue; the same again changes nothing.

    If it cannot be taught, nothing is changed. Then it is applied to every image of the catalogue,
    unless `apply` is false; without that no image has a tag of it.
    """
    service = service_of(request)
    service.check_writable()
    teaching = await read_json(request, Teaching)

    def teach(task: Task) -> tuple[bool, dict[str, Any]]:
        catalogue = service.catalogue
        there = catalogue.has_attribute(name)
        result = catalogue.teach_anew(
            name,
            teaching.examples,
            kind=teaching.kind,
            layers=teaching.layers,
            views=teaching.views,
            allowed_loss=teaching.allowed_loss,
            options=task.options,
        )
        said = taught_of(catalogue, result)
        tags = catalogue.tag([name], options=task.options) if teaching.apply else None
        return there, said | {"tags": tags and tags.attributes[name]}

    there, said = await service.work.change(request, teach)
    answer = as_json(said, 200 if there else 201)
    answer.headers["Location"] = f"/v1/attributes/{quote(said['attribute'], safe='')}"
    return answer


async def add_examples(request: Request, name: Name) -> Response:
    """Add images of the catalogue by id, or uploads of one value, beside what was taught before.

    The value `null` takes an example out; the value that an example has confirms it. If what is
    left cannot be taught, nothing is changed. Then the attribute is applied to every image, unless
    `apply` is false: its tags stay out of use until it is.
    """
    service = service_of(request)
    service.check_writable()
    async with corrections_of(request, service.limits) as given:

        def teach(task: Task) -> dict[str, Any]:
            catalogue = service.catalogue
            result = catalogue.correct_known(
                name, given.corrections(), kind=given.kind, options=task.options
            )
            said = taught_of(catalogue, result)
            tags = catalogue.tag([name], options=task.options) if given.apply else None
            return said | {"tags": tags and tags.attributes[name]}

        return as_json(await service.work.change(request, teach))


async def delete(
    request: Request,
    name: Name,
    value: Annotated[
        schemas.Name | None, Query(description="Forget only this value of it.")
    ] = None,
) -> Response:
    """Forget an attribute with its examples, tags and look; an attached one is detached."""
    service = service_of(request)
    service.check_writable()

    def forget(task: Task) -> None:
        service.catalogue.forget(service.catalogue.check_attribute(name), value)

    await service.work.change(request, forget)
    return Response(status_code=204)
