"""The route of the map: all images as points, in a form that a page reads at once."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from numpy.typing import NDArray

from gingham.attributes.tags import Column
from gingham.operations.map import ImageMap
from gingham.service import schemas
from gingham.service.arranging import can_be_better
from gingham.service.openapi import problems
from gingham.service.problems import BUSY, CONFLICT, INVALID
from gingham.service.roles import guarded_router
from gingham.service.state import service_of
from gingham.service.work import Task

MEDIA_TYPE = "application/octet-stream"
MAGIC = b"GMAP"
UNKNOWN_VALUE, NOT_TAGGED = -1, -2

Look = Annotated[schemas.Name, Query(description="A look, or `attribute:NAME`.")]
Colours = Annotated[
    schemas.Name | None, Query(description="An attribute, whose value each point gets.")
]


def router() -> APIRouter:
    """Make the route."""
    made = guarded_router(prefix="/v1/map", tags=["map"])
    content = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
    made.add_api_route(
        "", draw, operation_id="map", summary="All images as points in the plane.",
        response_class=Response,
        responses={
            200: {"content": content},
            304: {"description": "It is as it was."},
            **problems(BUSY, CONFLICT, INVALID),
        },
    )  # fmt: skip
    return made


async def draw(request: Request, look: Look, colour_by: Colours = None) -> Response:
    """Give each image a place: what looks alike lies together. Of many, 100,000 are drawn.

    Little-endian: `GMAP`, uint32 L, L bytes of JSON (`count` of points, `total` of images,
    `look`, `colour_by`, `values`, `method`, `better`: whether a job of the kind `map` would
    arrange it better), padded by spaces to a multiple of 4; float32 x and y of each point, -1 to
    1; int32 of each, its place in `values`, -1 for unknown, -2 without a tag; 32 bytes of each,
    its id.
    """
    service = service_of(request)

    def make(task: Task) -> bytes:
        found, column = service.catalogue.map(look, colour_by, task.options.progress)
        return pack(found, colour_by, column)

    return as_kept(request, await service.work.ask(request, make))


def as_kept(request: Request, made: bytes) -> Response:
    """Answer with bytes that a browser keeps and asks for again, or say that it has them."""
    headers = {
        "ETag": f'"{hashlib.sha256(made).hexdigest()[:32]}"',
        "Cache-Control": "private, no-cache",
    }
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(made, media_type=MEDIA_TYPE, headers=headers)


def pack(drawn: ImageMap, colour_by: str | None, column: Column | None) -> bytes:
    """Write a map as `draw` says.

    Parameters
    ----------
    colour_by, column : an attribute and its tags; None: no point has a tag.
    """
    values, codes = coded(drawn.ids, column)
    head = {
        "count": len(drawn.ids),
        "total": drawn.total,
        "look": drawn.look,
        "colour_by": colour_by,
        "values": values,
        "method": drawn.method,
        "better": can_be_better(drawn),
    }
    points = drawn.points.astype("<f4").tobytes()
    return framed(MAGIC, head, points, codes.astype("<i4").tobytes(), drawn.ids.tobytes())


def framed(magic: bytes, head: Mapping[str, Any], *arrays: bytes) -> bytes:
    """Write arrays after a head of JSON, which is padded to a multiple of 4 bytes."""
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 4)
    return b"".join((magic, struct.pack("<I", len(text)), text, *arrays))


def coded(ids: NDArray[np.bytes_], column: Column | None) -> tuple[list[str], NDArray[np.int32]]:
    """Give the values that tags have, several joined by `+`, and the place of each id's own."""
    codes = np.full(len(ids), NOT_TAGGED, np.int32)
    if column is None:
        return [], codes
    known = [(code, "+".join(one)) for code, one in enumerate(column.values) if one]
    known.sort(key=lambda pair: pair[1])
    places = np.full(len(column.values), UNKNOWN_VALUE, np.int32)
    for place, (code, _) in enumerate(known):
        places[code] = place
    rows = column.rows(ids)
    codes[rows >= 0] = places[column.codes[rows[rows >= 0]]]
    return [value for _, value in known], codes
