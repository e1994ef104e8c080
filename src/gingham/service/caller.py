"""Who asks: a name and a role, known to everything that runs for one request."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Role = Literal["reader", "editor", "admin"]
"""What somebody may do: read; also teach, review and add images; also remove and administrate."""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks, and what they may do."""

    name: str
    role: Role


LOCAL = Caller("local", "admin")
"""Whoever asks from this machine where there are no keys."""

CALLER: ContextVar[Caller] = ContextVar("caller", default=LOCAL)
"""Whom the work at hand is for; threads that work for a request have its value."""
