"""The OpenAPI document: problem documents for every error."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gingham.service.access import COOKIE
from gingham.service.problems import (
    FOREIGN,
    MALFORMED,
    MEDIA_TYPE,
    METHOD,
    MISDIRECTED,
    ROLE,
    SLOW,
    TOO_LARGE,
    UNKNOWN_CALLER,
    Kind,
    Problem,
)
from gingham.service.roles import NEEDED

_RETRY = {
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer"},
    }
}
_EVERYWHERE = (MALFORMED, MISDIRECTED, METHOD, SLOW, TOO_LARGE)
"""What any request may be answered with, whatever it asks for."""


def problems(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route may answer with, besides those of every route."""
    by_status: dict[int, list[Kind]] = {}
    for kind in (*_EVERYWHERE, *kinds):
        by_status.setdefault(kind.status, []).append(kind)
    found: dict[int | str, dict[str, Any]] = {}
    for status, same in sorted(by_status.items()):
        found[status] = {
            "description": "; ".join(dict.fromkeys(f"{kind.title}." for kind in same)),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        if status in (429, 503):
            found[status]["headers"] = _RETRY
    return found


def changes(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route that is not safe: another site's page may not use it."""
    return problems(FOREIGN, *kinds)


def describe(app: FastAPI) -> None:
    """Give an application its OpenAPI document, with the schema of problems in it.

    All its routes must be there.
    """
    made: dict[str, Any] = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        license_info=app.license_info,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = made.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs", {}) | {"Problem": problem}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    made["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    for operations in made["paths"].values():
        for operation in operations.values():
            _replace_validation(operation["responses"])
            _describe_role(operation)
    app.openapi = lambda: made  # type: ignore[method-assign]


def _describe_role(operation: dict[str, Any]) -> None:
    """Say which role an operation needs, and the problems of those who do not have it."""
    role = NEEDED[operation["operationId"]]
    if role is None:
        return
    operation["security"] = [{"key": []}, {"session": []}, {}]
    operation["description"] = f"{operation.get('description', '')}\n\nRole: {role}.".strip()
    kinds = (UNKNOWN_CALLER,) if role == "reader" else (UNKNOWN_CALLER, ROLE)
    for status, said in problems(*kinds).items():
        there = operation["responses"].setdefault(str(status), said)
        if said["description"] not in there["description"]:
            there["description"] += f"; {said['description']}"


def _replace_validation(responses: dict[str, Any]) -> None:
    """Take out FastAPI's own answer to an invalid request: ours is a problem document."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
