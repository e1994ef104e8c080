"""The application: a catalogue's methods as HTTP routes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any, Literal, TextIO

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

import gingham
from gingham.errors import GinghamError
from gingham.service import (
    attributes,
    browsing,
    history,
    images,
    jobs,
    map,
    metrics,
    page,
    schema,
    searching,
    session,
    uploads,
)
from gingham.service.access import Access
from gingham.service.guard import Guard
from gingham.service.job_runner import JobRunner
from gingham.service.keys import FILE, KeyFile, KeyRing
from gingham.service.limits import DEFAULT_LIMITS, Limits
from gingham.service.oidc import routes as oidc_routes
from gingham.service.openapi import describe, problems
from gingham.service.problems import STARTING, as_problem, busy
from gingham.service.roles import guarded_router
from gingham.service.served import ServedCatalogue
from gingham.service.state import Service, service_of
from gingham.service.webhook import Webhook
from gingham.service.work import Work

logger = logging.getLogger(__name__)

# They are tried in this order: first what is asked most.
ROUTES = (
    searching,
    images,
    browsing,
    session,
    oidc_routes,
    uploads,
    attributes,
    jobs,
    history,
    map,
    schema,
)
"""Modules with routes."""


class Health(BaseModel):
    """Says that the server answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok", "ready"]


def create_app(
    catalogue: ServedCatalogue,
    *,
    access: Access | None = None,
    read_only: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    webhook: Webhook | None = None,
    access_log: TextIO | None = None,
) -> FastAPI:
    """Make the ASGI application that serves a catalogue.

    Parameters
    ----------
    catalogue : open; whoever opened it closes it, after the application has shut down.
    access : says who may ask; None: whoever has one of the catalogue's keys or, where there are
        none, everybody on this machine.
    read_only : refuse what would change the catalogue.
    limits : what a request may take.
    webhook : told of changes; it is started and closed here.
    access_log : gets a line of JSON for each request.
    """
    counted = metrics.ServiceMetrics(lambda: catalogue.count)
    work = Work(limits, counted, catalogue.catch_up)
    catalogue.watch_batch = counted.batches.observe
    access = access or Access(KeyRing(KeyFile(catalogue.folder / FILE)), limits=limits)
    runner = JobRunner(catalogue, limits.max_pixels)
    service = Service(catalogue, access, limits, work, counted, runner, read_only)

    @contextlib.asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        if not read_only:
            catalogue.hold()
        ending = threading.Event()
        warming = asyncio.create_task(_warm_up(service, ending))
        if webhook is not None:
            await asyncio.to_thread(webhook.start, catalogue.seen)
        if not read_only and catalogue.writable:
            runner.start(catalogue.folder / "jobs.sqlite")
        try:
            yield
        finally:
            ending.set()
            await asyncio.to_thread(runner.close)
            await warming
            await asyncio.to_thread(work.close)
            if webhook is not None:
                await asyncio.to_thread(webhook.close)

    app = FastAPI(
        title="gingham",
        summary="Visual attributes of images and search by looks.",
        version=gingham.__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=running,
        # Their pages fetch scripts from outside addresses.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.service = service
    for kind in (RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(Guard, limits=limits, metrics=counted, access=access, log=access_log)
    # Not by `include_router`, which asks each router again at every request.
    for router in (*(module.router() for module in ROUTES), _health()):
        app.router.routes.extend(router.routes)
    app.router.routes.extend(page.routes())
    describe(app)
    return app


async def _answer(request: Request, error: Exception) -> Response:
    return as_problem(error).response()


async def _warm_up(service: Service, ending: threading.Event) -> None:
    try:
        await asyncio.to_thread(service.catalogue.warm_up)
    except GinghamError as error:
        logger.error("the catalogue cannot be served: %s", error)
        service.not_ready = str(error)
    else:
        service.not_ready = None
        await asyncio.to_thread(service.catalogue.warm_further, ending)


def _health() -> APIRouter:
    router = guarded_router(tags=["health"])
    router.add_api_route(
        "/healthz", healthz, operation_id="healthz", summary="Does the server answer?",
        response_model=Health, responses=problems(),
    )  # fmt: skip
    router.add_api_route(
        "/readyz", readyz, operation_id="readyz", summary="Are network and index loaded?",
        response_model=Health, responses=problems(STARTING),
    )  # fmt: skip
    router.add_api_route(
        "/metrics", read_metrics, operation_id="metrics", summary="Counters, for Prometheus.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
    )  # fmt: skip
    return router


async def healthz() -> Health:
    """Say that the server runs; a server that does not answer this should be restarted."""
    return Health(status="ok")


async def readyz(request: Request) -> Health:
    """Say that requests are answered without delay: the network and the index are loaded."""
    reason = service_of(request).not_ready
    if reason is not None:
        raise busy(reason, after=5, kind=STARTING)
    return Health(status="ready")


async def read_metrics(request: Request) -> Response:
    """Give the counters of the service and of its process."""
    text: Any = service_of(request).metrics.text()
    return Response(text, media_type=metrics.MEDIA_TYPE)
