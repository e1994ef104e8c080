"""What requests say of attributes and answers give: taught, corrected, reviewed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gingham.service.schemas import ID, Failure, Id, Name, example
from gingham.service.verdict_schemas import VerdictAnswer

Kind = Annotated[str, Field(pattern="^(single|multi)$")]


class Teaching(BaseModel):
    """All examples of an attribute."""

    model_config = ConfigDict(extra="forbid", strict=True) | example(
        kind="single", examples={ID: "red", ID[::-1]: "blue"}
    )

    examples: Annotated[
        dict[Id, Name | Annotated[list[Name], Field(max_length=256)]],
        Field(
            min_length=2,
            description="Image of the catalogue: value; of kind `multi` a list of values, where "
            "`!value` means that it has it not.",
        ),
    ]
    kind: Kind = Field("single", description="`single`: one value an image; `multi`: any number.")
    layers: Annotated[list[Name], Field(min_length=1, max_length=256)] | None = Field(
        None, description="The hidden layers to read; by default those that separate best."
    )
    views: bool = Field(True, description="Of few examples, learn mirrored and cropped views, too.")
    allowed_loss: Annotated[float, Field(gt=0, le=0.5)] | None = Field(
        None,
        description="The share of right answers that may become `unknown`; by default 0.002. Only "
        "of kind `single`.",
    )
    apply: bool = Field(True, description="Then tag every image of the catalogue with it.")


class AttributeAnswer(BaseModel):
    """One attribute."""

    model_config = example(
        kind="single",
        values=["blue", "red"],
        examples=40,
        layers=["stem"],
        tagged=30,
        model=None,
        verdict=None,
        changed=2,
        built_in=False,
    )

    kind: str
    values: list[str]
    examples: int = Field(description="Images that it was taught with.")
    layers: list[str] = Field(description="The hidden layers that it reads.")
    tagged: int = Field(description="Images with an answer of the attribute as it is now.")
    model: str | None = Field(
        description="The folder's name of the trained model that answers; null if there is none."
    )
    verdict: VerdictAnswer | None = Field(description="How good it is; null if it was trained.")
    changed: int | None = Field(
        description="The number of the latest change of what it was taught; null if there is none."
    )
    built_in: bool = Field(description="Whether it answers without having been taught.")


class AttributesAnswer(BaseModel):
    """All attributes by name."""

    attributes: dict[str, AttributeAnswer]


class TaughtExample(BaseModel):
    """An image that an attribute was taught with."""

    id: Id
    values: dict[str, bool] = Field(description="Value: whether the image has it.")


class ExamplesAnswer(BaseModel):
    """A part of the images that an attribute was taught with, in the order they were taught."""

    model_config = example(total=1, examples=[{"id": ID, "values": {"red": True}}])

    total: int = Field(description="How many there are in all.")
    examples: list[TaughtExample]


class Contradiction(BaseModel):
    """An example whose value contradicts another example."""

    image: str
    value: str
    against: str
    against_value: str
    reason: str


class TeachAnswer(BaseModel):
    """What was learned."""

    attribute: str
    kind: str
    values: list[str]
    examples: int
    layers: list[str]
    accuracy: float | None = Field(description="Cross-validated; null if it could not be.")
    macro_f1: float | None
    folds: int
    unlabelled: int
    failures: list[Failure]
    contradictions: list[Contradiction] = Field(description="Pairs of examples to check.")
    verdict: VerdictAnswer | None
    seconds: float
    tags: dict[str, int] | None = Field(
        description="Value: number of images that have it now; null if it was not applied."
    )


class CutoffAnswer(BaseModel):
    """How sure the answers of an attribute must be, and what is answered then."""

    model_config = example(
        attribute="colour",
        min_confidence=None,
        at_precision=0.95,
        least={"blue": 0.62, "red": 0.62, "pink": 0.81},
        tested=60,
        answered=0.88,
        right=0.98,
    )

    attribute: str
    min_confidence: float | None
    at_precision: float | None
    least: dict[str, float | None] = Field(
        description="Value: the least confidence of an answer; null if it is never answered."
    )
    tested: int = Field(description="Held-out examples; 0 for a trained model.")
    answered: float | None = Field(description="The share of them that is answered.")
    right: float | None = Field(description="The share of the answers that is right.")


class ReviewItem(BaseModel):
    """An image that somebody should look at."""

    id: Id
    image: str = Field(description="Its file; without folders if it is not in the catalogue.")
    value: str | list[str] = Field(
        description="What it was taught as, if it is an example, or is predicted to be."
    )
    confidence: float | None = Field(
        description="That the prediction is right, 0 to 1; null if it is unknown."
    )
    values: dict[str, float] = Field(description="Value: probability of it, highest first.")
    reason: str = Field(description="Why it should be looked at.")
    example: bool = Field(description="Whether the attribute was taught with it.")


class ReviewAnswer(BaseModel):
    """A part of the images that somebody should look at."""

    model_config = example(
        total=1,
        items=[
            {
                "id": ID,
                "image": "/photos/0001.jpg",
                "value": "red",
                "confidence": 0.52,
                "values": {"red": 0.52, "pink": 0.44},
                "reason": "least sure: 52% red, 44% pink",
                "example": False,
            }
        ],
    )

    total: int = Field(description="How many there are in all.")
    items: list[ReviewItem]
