"""Routes of a browser's session: who asks, log in with a key, log out."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from gingham.service.access import COOKIE, Access, unknown_key
from gingham.service.answers import as_json
from gingham.service.caller import Caller, Role
from gingham.service.given import read_json
from gingham.service.keys import Key
from gingham.service.oidc import BEGIN
from gingham.service.openapi import changes, problems
from gingham.service.problems import (
    INVALID,
    MEDIA,
    TOO_MANY,
    UNKNOWN_CALLER,
    ProblemError,
)
from gingham.service.roles import IDENTITY, guarded_router
from gingham.service.schemas import example
from gingham.service.state import Service, service_of


class LogIn(BaseModel):
    """What a browser sends to log in."""

    model_config = ConfigDict(extra="forbid", strict=True) | example(key="gingham_...")

    key: SecretStr = Field(max_length=1000)


class LoginWith(BaseModel):
    """Where somebody can log in without a key."""

    name: str = Field(description="The host of the issuer.")
    address: str = Field(description="Sends a browser there.")


class SessionAnswer(BaseModel):
    """Who asks."""

    model_config = example(caller="ann", role="editor", needs_key=True, login=None)

    caller: str | None = Field(description="The name of the key or login; null if there is none.")
    role: Role | None
    needs_key: bool = Field(description="Whether only those with a key, or a login, may ask.")
    login: LoginWith | None = Field(description="Null if there are only keys.")


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(prefix="/v1/session", tags=["session"])
    made.add_api_route(
        "", session, operation_id="session", summary="Who asks?",
        response_model=SessionAnswer, responses=problems(),
    )  # fmt: skip
    body = {"application/json": {"schema": LogIn.model_json_schema()}}
    made.add_api_route(
        "", log_in, methods=["POST"], operation_id="logIn", summary="Log in with a key.",
        response_model=SessionAnswer,
        responses=changes(INVALID, MEDIA, TOO_MANY, UNKNOWN_CALLER),
        openapi_extra={"requestBody": {"required": True, "content": body}},
    )  # fmt: skip
    made.add_api_route(
        "", log_out, methods=["DELETE"], operation_id="logOut", status_code=204,
        summary="Log out.", response_class=Response, responses=changes(),
    )  # fmt: skip
    return made


async def session(request: Request) -> Response:
    """Say who asks, and whether a key is needed; anybody may ask this."""
    return _answer(service_of(request), request.scope[IDENTITY].caller)


async def log_in(request: Request) -> Response:
    """Give a browser a cookie in exchange for a key, so that the key need not be kept by a page."""
    service = service_of(request)
    access = service.access
    address = request.client.host if request.client else ""
    access.tries.check(address)
    try:
        given = await read_json(request, LogIn)
    except ProblemError as error:
        if error.kind is not INVALID:
            raise
        # What came may hold a key, and is not repeated.
        raise ProblemError(INVALID, 'send {"key": "gingham_..."} and nothing else') from None
    if not access.needs_key:
        return _answer(service, request.scope[IDENTITY].caller)
    key = access.key(given.key.get_secret_value())
    if key is None:
        access.tries.fail(address)
        raise unknown_key()
    answer = _answer(service, key.caller)
    # A proxy with TLS need not say so: a browser does.
    secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    begin_session(access, answer, key, secure=secure)
    return answer


async def log_out(request: Request) -> Response:
    """End the session; without one, nothing happens."""
    service_of(request).access.logins.end(request.cookies.get(COOKIE, ""))
    answer = Response(status_code=204)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def begin_session(access: Access, answer: Response, holder: Key | Caller, *, secure: bool) -> None:
    """Begin a session, whose cookie no script reads and no other site sends."""
    answer.set_cookie(
        COOKIE,
        access.logins.begin(holder),
        max_age=int(access.logins.seconds(holder)),
        httponly=True,
        samesite="strict",
        secure=secure,
    )


def _answer(service: Service, caller: Caller | None) -> Response:
    oidc = service.access.oidc
    said: dict[str, Any] = {
        "caller": caller and caller.name,
        "role": caller and caller.role,
        "needs_key": service.access.needs_key,
        "login": oidc and {"name": oidc.issuer.name, "address": BEGIN},
    }
    return as_json(said)
