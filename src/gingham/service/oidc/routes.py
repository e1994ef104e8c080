"""Routes of a login with an issuer: there, and back again."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from gingham.service.access import unknown_token
from gingham.service.oidc import BEGIN, CALLBACK
from gingham.service.openapi import problems
from gingham.service.page import VIEWS
from gingham.service.problems import INVALID, ISSUER, NOT_FOUND, ROLE, UNKNOWN_CALLER, ProblemError
from gingham.service.roles import guarded_router
from gingham.service.session import begin_session
from gingham.service.state import service_of

if TYPE_CHECKING:
    from gingham.service.oidc.login import Oidc

COOKIE = "gingham-login"
"""Ties a login to the browser that began it. It comes back from the issuer's site, so it is not
`SameSite=Strict`; it lets nobody in."""
_SECONDS = 600

Text = Annotated[str, Query(max_length=4000)]


def router() -> APIRouter:
    """Make the routes."""
    made = guarded_router(tags=["session"])
    there: dict[int | str, dict[str, Any]] = {
        303: {"description": "On to the next address.", "headers": _LOCATION}
    }
    made.add_api_route(
        BEGIN, begin_login, operation_id="beginLogin", summary="Log in with the issuer.",
        status_code=303, response_class=Response,
        responses={**there, **problems(INVALID, ISSUER, NOT_FOUND)},
    )  # fmt: skip
    made.add_api_route(
        CALLBACK, finish_login, operation_id="finishLogin",
        summary="Come back from the issuer.", status_code=303, response_class=Response,
        responses={**there, **problems(INVALID, ISSUER, NOT_FOUND, ROLE, UNKNOWN_CALLER)},
    )  # fmt: skip
    return made


_LOCATION = {"Location": {"schema": {"type": "string"}}}


async def begin_login(request: Request, back: Text = "/") -> Response:
    """Send a browser to the issuer; `back` is the address of the page to show after the login."""
    try:
        oidc = _oidc(request)
        # Only a view of our own page: what is given must not lead elsewhere.
        found = urlsplit(back)
        back = f"{found.path}?{found.query}" if found.query else found.path
        back = back if found.path in VIEWS else "/"
        address, secret = await oidc.begin(request.headers.get("host", ""), back)
    except ProblemError as error:
        return _for_people(request, error)
    answer = _on(address)
    answer.set_cookie(
        COOKIE, secret, max_age=_SECONDS, path=BEGIN, httponly=True, samesite="lax",
        secure="redirect_uri=https" in address,
    )  # fmt: skip
    return answer


async def finish_login(
    request: Request, state: Text = "", code: Text = "", error: Text = "", iss: Text | None = None
) -> Response:
    """Begin the session of whoever the issuer says has logged in."""
    try:
        oidc = _oidc(request)
        if iss not in (None, oidc.issuer.url):
            raise unknown_token("another issuer sent this: log in again")
        if error or not code:
            why = error if re.fullmatch("[a-z_]{1,40}", error) else "no code"
            raise unknown_token(f"the issuer has not let you in ({why}): log in again")
        caller, begun = await oidc.finish(state, code, request.cookies.get(COOKIE, ""))
    except ProblemError as refused:
        return _for_people(request, refused)
    access = service_of(request).access
    answer = _on(begun.back)
    begin_session(access, answer, caller, secure=begun.callback.startswith("https:"))
    answer.delete_cookie(COOKIE, path=BEGIN, httponly=True, samesite="lax")
    return answer


def _oidc(request: Request) -> Oidc:
    oidc = service_of(request).access.oidc
    if oidc is None:
        raise ProblemError(
            NOT_FOUND, "this server has no issuer: log in with a key, at POST /v1/session"
        )
    return oidc


def _on(address: str) -> Response:
    return Response(status_code=303, headers={"Location": address})


_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>{title}</title><link rel="stylesheet" href="/page/colours.css">
<link rel="stylesheet" href="/page/style.css">
<main><div class="empty"><h1>{title}</h1><p>{detail}</p>
<p><a href="/">Back to the page</a></p></div></main></html>
"""


def _for_people(request: Request, error: ProblemError) -> Response:
    """Say what is wrong as a page, to a browser that shows it; to others as ever."""
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    title, detail = error.problem.title, error.problem.detail
    text = _PAGE.format(
        title=html.escape(title), detail=html.escape(detail[0].upper() + detail[1:] + ".")
    )
    policy = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    headers = {**error.headers, "Content-Security-Policy": policy}
    return Response(text, error.kind.status, headers, media_type="text/html")
