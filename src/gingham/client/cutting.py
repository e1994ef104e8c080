"""How sure answers must be, as a server is told."""

from __future__ import annotations

from gingham.client.connection import Query
from gingham.cutoff import Cutoff


def cut_fields(min_confidence: float | None, at_precision: float | None) -> dict[str, float]:
    """Write a cut-off as fields of a body; what is not given is left out.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    said = vars(Cutoff(min_confidence, at_precision))
    return {name: value for name, value in said.items() if value is not None}


def cut_query(min_confidence: float | None, at_precision: float | None) -> Query:
    """Write a cut-off as a query."""
    return [(name, str(value)) for name, value in cut_fields(min_confidence, at_precision).items()]
