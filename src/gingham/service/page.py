"""The page: one document at the address of each view, and the modules that it imports."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gingham import report
from gingham.service.libraries import STATIC, missing
from gingham.service.problems import MISSING, ProblemError

VIEWS = ("/", "/teach", "/review", "/map", "/compare", "/history")
"""Each is an address that can be shared; the page reads the rest from the query."""

MODULES = "/page"
COLOURS = Path(report.__file__).parent / "templates" / "colours.css"

POLICY = (
    "default-src 'none'; script-src 'self' {import_map}{more}; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
DRAWS = "/map"
"""The one view whose library, regl, compiles its drawing commands: it may use `Function`."""

_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_FRESH = "private, no-cache"
"""Kept, but asked for again each time, which its ETag makes cheap."""


class Modules(StaticFiles):
    """The page's own files and its libraries."""

    def file_response(self, full_path: str | os.PathLike[str], *args: object) -> Response:
        """Answer with a file, or that the browser has it."""
        response = super().file_response(full_path, *args)  # type: ignore[arg-type]
        response.headers["cache-control"] = _FRESH
        kind = _TYPES.get(Path(full_path).suffix)
        if kind is not None and "content-type" in response.headers:
            response.headers["content-type"] = f"{kind}; charset=utf-8"
        return response


def routes() -> list[BaseRoute]:
    """Make the routes of the page, which anybody may open: what it shows, it asks for by itself.

    They are no part of the interface that `/openapi.json` describes.
    """
    return [
        *(Route(path, view) for path in VIEWS),
        Route(f"{MODULES}/colours.css", colours),
        Mount(MODULES, Modules(directory=STATIC)),
    ]


async def view(request: Request) -> Response:
    """Answer with the document, which is the same for all views.

    Raises
    ------
    ProblemError
        If its libraries are not installed.
    """
    if (how := missing()) is not None:
        raise ProblemError(MISSING, how)
    document = (STATIC / "index.html").read_bytes()
    policy = POLICY.format(
        import_map=f"'sha256-{_inline_hash(document)}'",
        more=" 'unsafe-eval'" if request.url.path == DRAWS else "",
    )
    return _fresh(request, document, "text/html", {"Content-Security-Policy": policy})


async def colours(request: Request) -> Response:
    """Answer with the colours of every page, which are the report kit's."""
    return _fresh(request, COLOURS.read_bytes(), "text/css", {})


def _fresh(request: Request, content: bytes, kind: str, more: dict[str, str]) -> Response:
    """Answer with what is kept by its ETag."""
    headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"', "Cache-Control": _FRESH}
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers | more)
    return Response(content, media_type=kind, headers=headers | more)


def _inline_hash(document: bytes) -> str:
    """Give the hash by which a content policy allows the only script in a document."""
    (script,) = re.findall(rb'<script type="importmap">(.*?)</script>', document, re.DOTALL)
    return base64.b64encode(hashlib.sha256(script).digest()).decode("ascii")
