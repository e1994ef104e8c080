"""Routes that show what there is: the catalogue, and its images without a picture to compare."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

import gingham
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.extract import absolute
from gingham.service import schemas
from gingham.service.answers import as_json, attributes_of
from gingham.service.attribute_schemas import AttributeAnswer
from gingham.service.caller import CALLER
from gingham.service.openapi import problems
from gingham.service.problems import BUSY, CONFLICT, INVALID
from gingham.service.roles import guarded_router
from gingham.service.schemas import ImagesAnswer, example
from gingham.service.searching import Filters
from gingham.service.state import service_of
from gingham.service.work import Task

Offset = Annotated[int, Query(ge=0, le=10**9, description="How many to pass over.")]
PageSize = Annotated[int, Query(ge=1, le=500, description="How many.")]
OneName = Annotated[schemas.Name | None, Query()]


class TextLookAnswer(BaseModel):
    """The look of words."""

    model: str = Field(description="The model of images and words.")
    images: int = Field(description="That were read for it.")


class CatalogueAnswer(BaseModel):
    """What a client needs to know first."""

    model_config = example(
        name="shop",
        images=30,
        files=31,
        bytes=4_200_000,
        products=12,
        backbone="efficientnet_lite0",
        view="square",
        resolution=224,
        precision="float32",
        fingerprint="0f8fad5bd9cb469f",
        layers={"stem": 32, "stage5": 112},
        version="0.1.0",
        looks=["colour", "texture", "semantic", "attribute:category"],
        text={"model": "ViT-B-32, laion2b_s34b_b79k", "images": 30},
        attributes={
            "category": {
                "kind": "single",
                "values": ["dress", "shirt"],
                "examples": 40,
                "layers": ["stage5"],
                "tagged": 30,
                "model": None,
                "changed": 2,
            }
        },
        read_only=False,
        role="admin",
        caller="local",
    )

    name: str = Field(description="The name of its folder.")
    images: int
    files: int = Field(description="Their files: an image may have several.")
    bytes: int = Field(description="Of the catalogue's own files on disk.")
    products: int = Field(description="That tables named when they were indexed.")
    backbone: str
    view: Literal["square", "whole"] = Field(description="What is read of each image.")
    resolution: int = Field(
        description="Side of the square that is read, or of one with as many pixels."
    )
    precision: Literal["float32", "bfloat16", "int8"] = Field(
        description="How exactly the network computes."
    )
    fingerprint: str = Field(description="Names everything that decides a feature's value.")
    layers: dict[str, int] = Field(description="Hidden layer: its number of channels.")
    version: str = Field(description="Of gingham.")
    looks: list[str] = Field(
        description="The built-in ones first, then `attribute:NAME` of each attribute taught."
    )
    text: TextLookAnswer | None = Field(description="The look `text`; null if there is none.")
    attributes: dict[str, AttributeAnswer]
    read_only: bool = Field(description="Whether the server refuses every change.")
    role: Literal["reader", "editor", "admin"] = Field(description="What the caller may do.")
    caller: str = Field(description="The name of whoever asks.")


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1")
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
        info = shop.info()
        return {
            "name": os.path.basename(absolute(shop.address)),  # noqa: PTH119
            "images": info.images,
            "files": info.files,
            "bytes": info.bytes,
            "products": info.products,
            "backbone": info.backbone,
            "view": info.view,
            "resolution": info.resolution,
            "precision": info.precision,
            "fingerprint": info.fingerprint,
            "layers": info.layers,
            "version": gingham.__version__,
            "looks": list(info.looks),
            "text": None if info.text is None else info.text.to_dict(),
            "attributes": attributes_of(shop, info.attributes),
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
    min_confidence: schemas.LeastConfidence = None,
    at_precision: schemas.AtPrecision = None,
) -> Response:
    """List images in the order they were added, or the least sure of an attribute first.

    Any offset is answered equally fast. Images without a tag of the attribute come last.
    """
    service = service_of(request)
    if (order == "confidence") != (attribute is not None):
        raise InputError("order=confidence and attribute=NAME go together: give both or neither")

    def read(task: Task) -> dict[str, Any]:
        cutoff = Cutoff.asked(min_confidence, at_precision)
        total, found = service.catalogue.browse(where, attribute, offset, n, cutoff)
        return {"total": total, "offset": offset, "images": [vars(one) for one in found]}

    return as_json(await service.work.ask(request, read))
