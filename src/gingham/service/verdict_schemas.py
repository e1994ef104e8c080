"""How good an attribute is, as it is sent."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Confusion(BaseModel):
    """How many examples of a value are taken for another when they are held out."""

    value: str
    predicted: str
    count: int
    images: list[str] = Field(description="The first two of them.")


class ValueVerdict(BaseModel):
    """Held-out examples of a value, and how many of them are predicted right."""

    value: str
    tested: int
    right: int


class VerdictAnswer(BaseModel):
    """How good an attribute is, judged by its examples: each is predicted by the others."""

    grade: str = Field(description="`good`, `fair`, `weak`, or `untested`: too few examples.")
    sentence: str
    tested: int
    right: int
    values: list[ValueVerdict] = Field(description="The worst first.")
    confusions: list[Confusion] = Field(
        description="Which values are taken for which, the most frequent first; of kind `multi`, "
        "`!value` means that an image lacks it."
    )
    by_chance: list[tuple[str, str]] = Field(
        description="Pairs of values that are told apart no better than by a coin."
    )
    precision: float
    answered: float = Field(
        description="The share that can be answered if `precision` of the answers must be right."
    )
    advice: str | None = Field(description="What would help most.")
    first_tested: int = Field(
        description="Examples that were taught first; 0 where none came later."
    )
    first_right: int
