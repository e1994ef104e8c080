"""How sure the answers of attributes must be, and what is answered then."""

from __future__ import annotations

from dataclasses import dataclass

from gingham.errors import InputError
from gingham.results import Result


@dataclass(frozen=True)
class Cutoff:
    """How sure an answer must be; what is less sure is `unknown`.

    Parameters
    ----------
    min_confidence : the least confidence of an answer, 0 to 1.
    at_precision : the share of answers that must be right, above 0 and below 1; the least
        confidence of each value follows from held-out examples (`gingham.attributes.cutoffs`).
        With both, both must hold.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    min_confidence: float | None = None
    at_precision: float | None = None

    def __post_init__(self) -> None:
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise InputError(f"min_confidence must be from 0 to 1, got {self.min_confidence}")
        if self.at_precision is not None and not 0 < self.at_precision < 1:
            raise InputError(
                f"at_precision must be above 0 and below 1, as in 0.95; got {self.at_precision}"
            )

    @staticmethod
    def asked(min_confidence: float | None, at_precision: float | None) -> Cutoff | None:
        """Return None where neither is given."""
        if min_confidence is None and at_precision is None:
            return None
        return Cutoff(min_confidence, at_precision)


@dataclass(frozen=True)
class CutoffResult(Result):
    """How sure the answers of an attribute must be, and what is answered then.

    Attributes
    ----------
    min_confidence, at_precision : what was asked for.
    least : value -> the least confidence of an answer; None: it is never answered.
    tested : held-out examples; 0 if there are none, as for a trained model.
    answered, right : the share of them that is answered, and the share of that which is right, both
        as for the values' frequencies in the catalogue; None where nothing says so.
    """

    attribute: str
    min_confidence: float | None
    at_precision: float | None
    least: dict[str, float | None]
    tested: int
    answered: float | None
    right: float | None
