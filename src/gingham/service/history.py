"""Routes of the history: what was changed, and undoing it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from gingham.service.answers import as_json
from gingham.service.caller import CALLER
from gingham.service.openapi import changes, problems
from gingham.service.problems import (
    BUSY,
    CONFLICT,
    FORBIDDEN,
    INVALID,
    NOT_FOUND,
    ProblemError,
)
from gingham.service.roles import check_role, guarded_router
from gingham.service.schemas import example
from gingham.service.state import service_of
from gingham.service.work import Task

Number = Annotated[int, Path(ge=1, le=2**53, examples=[12])]
Before = Annotated[
    int | None, Query(ge=1, le=2**53, description="Only changes with a smaller number.")
]
Most = Annotated[int, Query(ge=1, le=500, description="How many.")]


class ChangeAnswer(BaseModel):
    """A change of the catalogue."""

    model_config = example(
        number=12,
        made="2026-11-29T12:00:00+00:00",
        by="local",
        verb="examples",
        attribute="colour",
        summary="corrected colour: 2 examples added or changed",
        images=2,
        undoable=True,
        undone_by=None,
    )

    number: int
    made: str = Field(description="When (ISO 8601, UTC).")
    by: str = Field(description="Who made it: the name of a key, or of a user of the server.")
    verb: str
    attribute: str | None
    summary: str = Field(description="What was done, in plain words.")
    images: int = Field(description="How many images it is about.")
    undoable: bool = Field(description="Whether it can be undone now.")
    undone_by: int | None = Field(description="The number of the change that undid it.")


class HistoryAnswer(BaseModel):
    """Changes, newest first."""

    changes: list[ChangeAnswer]


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1/history", tags=["history"])
    made.add_api_route(
        "", history, operation_id="history", summary="What was changed, newest first.",
        response_model=HistoryAnswer, responses=problems(BUSY, CONFLICT, INVALID),
    )  # fmt: skip
    made.add_api_route(
        "/{number}/undo", undo, methods=["POST"], operation_id="undo", summary="Undo a change.",
        response_model=ChangeAnswer,
        responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, NOT_FOUND),
    )  # fmt: skip
    return made


async def history(request: Request, before: Before = None, n: Most = 50) -> Response:
    """List images added and removed, examples taught, corrected and forgotten, models attached."""
    service = service_of(request)
    found = await service.work.ask(
        request, lambda task: service.catalogue.history(before=before, n=n)
    )
    return as_json({"changes": [one.to_dict() for one in found]})


async def undo(request: Request, number: Number) -> Response:
    """Undo a change, which is a change itself; the answer is the new one.

    The examples of the attribute are what they were before, and it is applied again if it was; or
    the images that were removed are there again. What an attribute was taught is undone from the
    latest change on. The role `editor` may undo only what the same caller did.
    """
    service = service_of(request)
    service.check_writable()

    def put_back(task: Task) -> dict[str, Any]:
        catalogue = service.catalogue
        found = [one for one in catalogue.history(before=number + 1, n=1) if one.number == number]
        if not found:
            raise ProblemError(NOT_FOUND, f"there is no change {number}: /v1/history lists them")
        if found[0].by != CALLER.get().name:
            check_role("admin")
        name = found[0].attribute
        tagged = name is not None and catalogue.is_tagged(name)
        done = catalogue.undo(number)
        if tagged and name is not None and catalogue.has_attribute(name):
            catalogue.tag([name], options=task.options)
        return done.to_dict()

    return as_json(await service.work.change(request, put_back))
