"""Who asks: a name and a role, known to everything that runs for one request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

Role = Literal["reader", "editor", "admin"]
"""What somebody may do: read; also teach, review and add images; also remove and administrate."""

ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do all that those before it may."""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks, and what they may do."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Tell whether this caller may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Caller("local", "admin")
"""Whoever asks from this machine where there are no keys."""

NOBODY = Caller("nobody", "reader")
"""Whoever is not known: what they ask for is refused before it is worked on."""

CALLER: ContextVar[Caller] = ContextVar("caller", default=LOCAL)
"""Whom the work at hand is for; threads that work for a request have its value."""
