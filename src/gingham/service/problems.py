"""What every error becomes: a problem document (RFC 9457) that says what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from gingham.errors import (
    BackboneError,
    CatalogueError,
    ImageError,
    InputError,
    MissingExtraError,
    ServerError,
    StorageError,
    UndoError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the last part of its type, its status and its title."""

    name: str
    status: int
    title: str


INVALID = Kind("invalid-request", 422, "The request is invalid")
UNREADABLE = Kind("unreadable-image", 422, "An image cannot be read")
MALFORMED = Kind("malformed-body", 400, "The body cannot be parsed")
UNKNOWN_CALLER = Kind("unknown-caller", 401, "A key or a login is needed")
ROLE = Kind("role-too-low", 403, "The role does not allow it")
FORBIDDEN = Kind("read-only", 403, "The server is read-only")
FOREIGN = Kind("foreign-origin", 403, "The request comes from another site")
NOT_FOUND = Kind("not-found", 404, "There is no such thing")
METHOD = Kind("method-not-allowed", 405, "The method is not allowed here")
SLOW = Kind("body-too-slow", 408, "The body did not arrive in time")
CONFLICT = Kind("conflict", 409, "The catalogue's state does not allow it")
TOO_LARGE = Kind("body-too-large", 413, "The body is too large")
MEDIA = Kind("unsupported-media-type", 415, "The body is of another type than expected")
MISDIRECTED = Kind("unknown-host", 421, "The server does not answer for this host")
TOO_MANY = Kind("too-many-tries", 429, "Too many logins have failed")
LEFT = Kind("client-left", 499, "The client went away")
FAILED = Kind("failed", 500, "The server failed")
STORAGE = Kind("no-storage", 507, "The server cannot read or write a file")
MISSING = Kind("not-installed", 501, "Something is not installed on the server")
BUSY = Kind("busy", 503, "The server is busy")
ISSUER = Kind("issuer-away", 503, "The issuer of logins does not answer")
STARTING = Kind("starting", 503, "The server is not ready")

_BY_STATUS = {kind.status: kind for kind in (MALFORMED, NOT_FOUND, METHOD, TOO_LARGE, MEDIA)}


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    place: str = Field(description="Where: the name of a field, or of a part of it.")
    detail: str = Field(description="What was expected, and what came.")


class Problem(BaseModel):
    """A problem document, RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:gingham:problem:invalid-request",
                    "title": "The request is invalid",
                    "status": 422,
                    "detail": "unknown look 'color'; known: colour, texture, semantic; did you "
                    "mean 'colour'?",
                }
            ]
        }
    )

    type: str = Field(description="Names the kind of problem; it never changes.")
    title: str = Field(description="The kind of problem, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What is wrong this time, and what to do.")
    errors: list[Fault] | None = Field(
        None, description="Of an invalid request: all that is wrong with it."
    )


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        errors: list[Fault] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.problem = Problem(
            type=f"urn:gingham:problem:{kind.name}",
            title=kind.title,
            status=kind.status,
            detail=detail,
            errors=errors,
        )
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Give the document as a response."""
        # Escaped, so that a file name that is not UTF-8 survives.
        content = json.dumps(self.problem.model_dump(exclude_none=True))
        return Response(content, self.kind.status, self.headers, media_type=MEDIA_TYPE)


def busy(detail: str, *, after: int = 1, kind: Kind = BUSY) -> ProblemError:
    """Make the problem of a request that may be repeated after some seconds."""
    return ProblemError(kind, detail, headers={"Retry-After": str(after)})


def invalid(error: ValidationError | RequestValidationError) -> ProblemError:
    """Say what pydantic refused, place by place."""
    faults = []
    for one in error.errors():
        # `query`, `path` and `body` say where FastAPI looked; the name is enough.
        place = [str(p) for p in one["loc"] if p not in ("query", "path", "body")]
        came = "" if one["type"] == "missing" else f", got {_short(one['input'])}"
        faults.append(Fault(place=".".join(place) or "body", detail=f"{one['msg']}{came}"))
    detail = "; ".join(f"{fault.place}: {fault.detail}" for fault in faults[:5])
    if len(faults) > 5:
        detail += f"; and {len(faults) - 5} more"
    return ProblemError(INVALID, detail, errors=faults)


def _short(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def as_problem(error: Exception) -> ProblemError:
    """Give the problem of any error; one that was not expected is logged, and shows nothing."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, RequestValidationError | ValidationError):
        return invalid(error)
    if isinstance(error, HTTPException):
        return _of_routing(error)
    for family, kind in (
        (UndoError, CONFLICT),
        (ImageError, UNREADABLE),
        (InputError, INVALID),
        (MissingExtraError, MISSING),
    ):
        if isinstance(error, family):
            return ProblemError(kind, str(error))
    if isinstance(error, ServerError):
        logger.error("%s", error)
        return busy("the search index does not answer now: the server's log says why; ask again")
    if isinstance(error, StorageError):
        logger.error("%s", error)
        return ProblemError(STORAGE, "the server cannot read or write a file: its log says which")
    if isinstance(error, CatalogueError | BackboneError):
        # They name folders outside the catalogue.
        logger.error("a request could not be answered: %s", error)
        return ProblemError(
            CONFLICT,
            "something that the catalogue needs is damaged, has moved or was changed: the server's "
            "log names it, and so does `gingham verify` once the server has stopped",
        )
    logger.error("a request failed", exc_info=error)
    return ProblemError(
        FAILED, "an error that was not expected; the server's log has it: please report it"
    )


def _of_routing(error: Any) -> ProblemError:
    kind = _BY_STATUS.get(error.status_code, MALFORMED)
    headers = dict(error.headers or {})
    said = {
        404: "there is no such address: /openapi.json lists all that there are",
        405: f"use {headers.get('Allow', headers.get('allow', 'another method'))}",
    }
    return ProblemError(kind, said.get(kind.status, str(error.detail)), headers=headers)
