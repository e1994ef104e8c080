"""The OpenAPI document holds: no answer of 5xx, and every answer is as described."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
import schemathesis.specs.openapi.schemas  # Python 3.11 may fail to parse it beside other threads
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gingham.service.app import create_app
from serving import listening, make

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
GENERATED = settings(
    max_examples=24,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def try_out(operation: Any, mode: GenerationMode, address: str, known: list[str]) -> set[int]:
    """Send generated requests to one operation; give the statuses of the answers."""
    statuses = set()

    @GENERATED
    @given(operation.as_strategy(mode), st.booleans(), st.sampled_from([*known, "0" * 64]))
    def check(case: Any, real: bool, image: str) -> None:
        # What is generated names images that are there, too, and no looks and filters that are not.
        if real and "id" in case.path_parameters:
            # One image is removed, however often, and no attribute: what comes after needs them.
            case.path_parameters["id"] = known[0] if operation.method == "delete" else image
        if operation.method == "delete" and case.path_parameters.get("name") == "colour":
            case.path_parameters["name"] = "nothing"
        if real and operation.path == "/v1/map":
            case.query = {"look": "colour"}
        if real and operation.path.endswith("/neighbours"):
            case.query = {"n": 3}
        if real and case.media_type == "application/json" and operation.method == "post":
            kept = case.body if isinstance(case.body, dict) else {}
            case.body = {"id": image} | {k: v for k, v in kept.items() if k in ("crop", "n")}
        if real and operation.label == "POST /v1/jobs":
            case.body = {"kind": "tag"}
        # The server's parser refuses an address of 64 KiB in its own words.
        assume(len(urlencode(case.query or {}, doseq=True)) < 60_000)
        response = case.call(base_url=address)
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    check()
    return statuses


def test_generated_requests_are_answered_as_the_document_says(tmp_path: Path) -> None:
    with make(tmp_path, each=3) as shop, listening(create_app(shop)) as address:
        known = list(shop.images())
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        statuses: dict[str, set[int]] = {}
        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr, unused-ignore]
            statuses[operation.label] = try_out(operation, GenerationMode.POSITIVE, address, known)
            if operation.method != "get" or list(operation.iter_parameters()):
                # A form that is nothing but files has no negative.
                with contextlib.suppress(Unsatisfiable):
                    statuses[operation.label] |= try_out(
                        operation, GenerationMode.NEGATIVE, address, known
                    )
    assert {"GET /v1/images", "POST /v1/search", "PUT /v1/attributes/{name}"} <= statuses.keys()
    for label, seen in statuses.items():
        if label.startswith("GET /v1/session/oidc"):
            assert seen == {404, 422}, "this server has no issuer"
            continue
        # What is generated names no attribute and no job that is there.
        assert seen & {200, 202, 204} or "{name}" in label or "{number}" in label, (label, seen)
