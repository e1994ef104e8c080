"""The OpenAPI document: problem documents for every error."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from gingham.service.problems import (
    FOREIGN,
    MALFORMED,
    MEDIA_TYPE,
    METHOD,
    MISDIRECTED,
    SLOW,
    TOO_LARGE,
    Kind,
    Problem,
)

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
        if status == 503:
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
    for operations in made["paths"].values():
        for operation in operations.values():
            _replace_validation(operation["responses"])
    app.openapi_schema = made


def _replace_validation(responses: dict[str, Any]) -> None:
    """Take out FastAPI's own answer to an invalid request: ours is a problem document."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]
