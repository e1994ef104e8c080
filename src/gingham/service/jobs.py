"""Routes of jobs: long work that is asked for, watched and cancelled."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from gingham.service.answers import as_json
from gingham.service.caller import CALLER
from gingham.service.given import JSON, read_json
from gingham.service.job_kinds import IndexJob, JobAsked, MapJob, TagJob
from gingham.service.openapi import changes, problems
from gingham.service.problems import (
    BUSY,
    CONFLICT,
    FORBIDDEN,
    INVALID,
    MEDIA,
    MISSING,
    NOT_FOUND,
    ProblemError,
)
from gingham.service.roles import check_role, guarded_router
from gingham.service.schemas import example
from gingham.service.state import Service, service_of
from gingham.store.jobs import ENDED, Job

Number = Annotated[int, Path(ge=1, le=2**53, examples=[17])]

LISTED = 100
WATCHED = 0.2
"""Seconds between two looks at a job that is watched."""
SILENT = 10.0
"""Seconds after which a silent connection is shown to live."""


class JobAnswer(BaseModel):
    """A long piece of work, and how far it is."""

    model_config = example(
        id=17,
        kind="tag",
        state="running",
        step="tag",
        done=512,
        total=30_000,
        by="local",
        made="2026-11-29T12:00:00.000+00:00",
        ended=None,
        result=None,
        error=None,
        interruptions=0,
    )

    id: int
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled", "interrupted"] = Field(
        description="`interrupted`: the server stopped while it ran; it goes on by itself."
    )
    step: str = Field(description="What it is doing; empty before it begins.")
    done: int
    total: int = Field(description="0: not known.")
    by: str = Field(description="Who asked for it.")
    made: str = Field(description="When it was asked for (ISO 8601, UTC).")
    ended: str | None
    result: dict[str, Any] | None = Field(description="What came of it.")
    error: str | None = Field(description="Why it failed.")
    interruptions: int = Field(description="How often the server stopped while it ran.")


class JobsAnswer(BaseModel):
    """The newest jobs, newest first."""

    jobs: list[JobAnswer]


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1/jobs", tags=["jobs"])
    kinds = [kind.model_json_schema() for kind in (TagJob, IndexJob, MapJob)]
    body = {JSON: {"schema": {"oneOf": kinds, "examples": [{"kind": "tag"}]}}}
    made.add_api_route(
        "", ask, methods=["POST"], operation_id="askJob", status_code=202,
        summary="Ask for a long piece of work.", response_model=JobAnswer,
        responses=changes(BUSY, CONFLICT, FORBIDDEN, INVALID, MEDIA, MISSING),
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )  # fmt: skip
    made.add_api_route(
        "", jobs, operation_id="jobs", summary="The newest hundred jobs, newest first.",
        response_model=JobsAnswer, responses=problems(BUSY),
    )  # fmt: skip
    made.add_api_route(
        "/{number}", job, operation_id="job", summary="How far a job is.",
        response_model=JobAnswer, responses=problems(BUSY, INVALID, NOT_FOUND),
    )  # fmt: skip
    made.add_api_route(
        "/{number}", cancel, methods=["DELETE"], operation_id="cancelJob",
        summary="End a job at its next step.", response_model=JobAnswer,
        responses=changes(BUSY, FORBIDDEN, INVALID, NOT_FOUND),
    )  # fmt: skip
    event = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
    stream = {"text/event-stream": {"schema": event}}
    made.add_api_route(
        "/{number}/events", events, operation_id="jobEvents",
        summary="A job each time it gets on, as server-sent events.", response_class=Response,
        responses={200: {"content": stream}, **problems(BUSY, INVALID, NOT_FOUND)},
    )  # fmt: skip
    return made


def job_of(one: Job) -> dict[str, Any]:
    """Give a job as an answer."""
    said = {name: getattr(one, name) for name in ("id", "kind", "state", "step", "done", "total")}
    return said | {
        "by": one.by,
        "made": _time(one.made),
        "ended": one.ended and _time(one.ended),
        "result": one.result,
        "error": one.error,
        "interruptions": one.interruptions,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _find(service: Service, number: int) -> Job:
    found = service.jobs.table.get(number)
    if found is None:
        raise ProblemError(NOT_FOUND, f"there is no job {number}: /v1/jobs lists them")
    return found


async def ask(request: Request) -> Response:
    """Let a job wait for its turn.

    `tag` applies attributes, `index` adds images of the server, `map` draws a map by neighbours.
    Jobs are done one after the other, and go on after a restart of the server.
    """
    service = service_of(request)
    service.check_writable()
    asked = await read_json(request, JobAsked)
    if asked.root.kind == "index":
        check_role("admin")

    def add(task: object) -> Job:
        asked.root.check(service.catalogue)
        return service.jobs.add(asked, CALLER.get().name)

    made = await service.work.ask(request, add)
    answer = as_json(job_of(made), 202)
    answer.headers["Location"] = f"/v1/jobs/{made.id}"
    return answer


async def jobs(request: Request) -> Response:
    """List the jobs that were asked for last."""
    service = service_of(request)
    found = await service.work.ask(request, lambda task: service.jobs.table.latest(LISTED))
    return as_json({"jobs": [job_of(one) for one in found]})


async def job(request: Request, number: Number) -> Response:
    """Say how far a job is, and what came of it."""
    service = service_of(request)
    return as_json(job_of(await service.work.ask(request, lambda task: _find(service, number))))


async def cancel(request: Request, number: Number) -> Response:
    """Cancel a job: what it has done so far stays. One that has ended stays as it is."""
    service = service_of(request)
    service.check_writable()

    def end(task: object) -> Job:
        service.jobs.cancel(_find(service, number).id)
        return _find(service, number)

    return as_json(job_of(await service.work.ask(request, end)))


async def events(request: Request, number: Number) -> Response:
    """Give the job at once, and again whenever it has got on, until it has ended.

    The stream ends before that when the time of an answer is up; browsers then ask again.
    """
    service = service_of(request)
    first = await service.work.ask(request, lambda task: _find(service, number))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _watch(service, first), media_type="text/event-stream", headers=headers
    )


async def _watch(service: Service, job: Job) -> AsyncIterator[str]:
    until = time.monotonic() + service.limits.seconds
    shown, spoken = None, time.monotonic()
    while True:
        if job != shown:
            yield f"data: {json.dumps(job_of(job))}\n\n"
            shown, spoken = job, time.monotonic()
        elif time.monotonic() - spoken > SILENT:
            yield ": waiting\n\n"
            spoken = time.monotonic()
        if job.state in ENDED or service.jobs.closing or time.monotonic() > until:
            return
        await asyncio.sleep(WATCHED)
        job = await asyncio.to_thread(_find, service, job.id)
