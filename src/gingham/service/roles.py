"""What each route needs: the one table that says who may use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.routing import APIRoute

from gingham.names import did_you_mean
from gingham.service.access import Identity
from gingham.service.caller import CALLER, Role
from gingham.service.problems import INVALID, ROLE, ProblemError

NEEDED: Mapping[str, Role | None] = MappingProxyType(
    {
        "healthz": None,
        "readyz": None,
        "metrics": None,
        "session": None,
        "logIn": None,
        "logOut": None,
        "beginLogin": None,
        "finishLogin": None,
        "catalogue": "reader",
        "images": "reader",
        "search": "reader",
        "predict": "reader",
        "facets": "reader",
        "image": "reader",
        "thumbnail": "reader",
        "neighbours": "reader",
        "explain": "reader",
        "attributes": "reader",
        "attribute": "reader",
        "examples": "reader",
        "values": "reader",
        "review": "reader",
        "cutoff": "reader",
        "schema": "reader",
        "setSchema": "editor",
        "map": "reader",
        "add": "editor",
        "history": "editor",
        "undo": "editor",
        "jobs": "reader",
        "job": "reader",
        "jobEvents": "reader",
        "askJob": "editor",
        "cancelJob": "editor",
        "teach": "editor",
        "addExamples": "editor",
        "forget": "admin",
        "remove": "admin",
    }
)
"""Operation -> the lowest role that may use it; None: anybody."""

IDENTITY = "gingham.identity"
"""Where the scope of a request has its `Identity`."""


async def authorize(request: Request) -> None:
    """Refuse a request whose sender is not known or may not do that, or that says what is not read.

    Raises
    ------
    ProblemError
        If so.
    """
    needed = NEEDED[request.scope["route"].operation_id]
    if needed is None:
        return
    identity: Identity = request.scope[IDENTITY]
    identity.check()
    check_role(needed)
    check_query(request)


def check_query(request: Request) -> None:
    """Refuse a parameter that the route does not read: it would do other than was meant.

    Raises
    ------
    ProblemError
        If there is one.
    """
    if not request.query_params:
        return
    known = _query_names(request.scope["route"])
    if unknown := [name for name in request.query_params if name not in known]:
        there = ", ".join(sorted(known)) or "none"
        near = did_you_mean(unknown[0], known)
        raise ProblemError(INVALID, f"unknown parameter {unknown[0]!r}; known: {there}{near}")


def _query_names(route: APIRoute) -> set[str]:
    found, asked = set(), [route.dependant]
    while asked:
        one = asked.pop()
        found |= {parameter.alias for parameter in one.query_params}
        asked += one.dependencies
    return found


def check_role(needed: Role) -> None:
    """Refuse what the caller's role does not allow.

    Raises
    ------
    ProblemError
        If so.
    """
    caller = CALLER.get()
    if not caller.may(needed):
        raise ProblemError(
            ROLE,
            f"this needs the role {needed}, and {caller.name} has the role {caller.role}: ask with "
            "another key",
        )


def guarded_router(**given: Any) -> APIRouter:
    """Make a router whose routes ask `authorize` first.

    Parameters
    ----------
    given : see `fastapi.APIRouter`.
    """
    return APIRouter(dependencies=[Depends(authorize)], **given)


def operations(app: FastAPI) -> Iterator[APIRoute]:
    """Give every route that is a function of ours."""
    return (route for route in app.routes if isinstance(route, APIRoute))
