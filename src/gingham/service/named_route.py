"""Routes with a name in their address, which may hold slashes."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope


class NamedRoute(APIRoute):
    """A route that is found by the address as it was sent.

    So `%2F` is part of a name, and only a slash is one: `/v1/attributes/a%2Freview` is the
    attribute `a/review`, and `/v1/attributes/a/review` the review of `a`.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Tell whether this is the route of a request; see starlette."""
        sent = scope["raw_path"].decode("ascii", "replace")
        found, child = super().matches({**scope, "path": sent})
        if "name" in child.get("path_params", {}):
            child["path_params"]["name"] = unquote(child["path_params"]["name"])
        return found, child
