"""What requests say and answers give, with examples; names are those of the library's results."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from gingham.operations.choosing import By

ID = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

Id = Annotated[
    str,
    Field(
        pattern="^[0-9a-f]{64}$",
        description="The SHA-256 of an image file's bytes, in hexadecimal.",
        examples=[ID],
    ),
]
Ids = Id | Annotated[list[Id], Field(max_length=1000)]
Weight = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=1300)]
Crop = Annotated[
    list[Annotated[float, Field(ge=0, le=1)]],
    Field(
        min_length=4,
        max_length=4,
        description="Left, top, right, bottom of the part that counts of the only image, in "
        "fractions of the upright picture.",
    ),
]
Where = Annotated[
    list[Name],
    Field(
        max_length=64,
        description="Filters: `colour=red`, `colour!=red`; of one attribute several mean or.",
    ),
]
Looks = Annotated[
    dict[Name, Weight],
    Field(max_length=64, description="Look: weight. By default every built-in look counts 1."),
]
Colours = Annotated[
    dict[Name, Weight],
    Field(
        max_length=16,
        description="Colour, as in `#b03a2e` or `navy`: weight. One more look, whose weight is the "
        "sum of theirs; their ratio says how much of the foreground each should have.",
    ),
]
LeastConfidence = Annotated[
    Annotated[float, Field(ge=0, le=1)] | None,
    Field(description="The least confidence of an answer; what is less sure is `unknown`."),
]
AtPrecision = Annotated[
    Annotated[float, Field(gt=0, lt=1)] | None,
    Field(
        description="The share of answers that must be right: each value has a least confidence, "
        "learned from held-out examples."
    ),
]
Number = Annotated[int, Field(ge=1, le=1000, description="How many results, or how many a page.")]


def listed(ids: str | list[str]) -> list[str]:
    """Give one id or several as a list."""
    return [ids] if isinstance(ids, str) else ids


def example(**values: Any) -> ConfigDict:
    """Make the configuration of a model that has an example."""
    return ConfigDict(json_schema_extra={"examples": [values]})


BestGuess = Annotated[
    dict[str, str | list[str]],
    Field(description="Attribute: what is likeliest, of those that are unknown."),
]


class ImageQuery(BaseModel):
    """What a request with images says besides them; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Ids = Field(default=[], description="Images of the catalogue, or uploaded a while ago.")
    crop: Crop | None = None


class SearchQuery(ImageQuery):
    """A search: uploads as `image`, or an `id`, or several of both, whose looks are averaged.

    Where words, colours or filters are given, no image is needed. An image of the catalogue that is
    searched with is left out.
    """

    model_config = example(
        id=ID,
        looks={"colour": 1.0, "texture": 0.5},
        colours={"#b03a2e": 1.0},
        where=["category=dress"],
        n=20,
    )

    unlike: Ids = Field(default=[], description="Images that results should not look like.")
    text: Annotated[str, Field(min_length=1, max_length=1000)] | None = Field(
        None,
        description="Words: those that name values become filters, names of other colours "
        "`colours`; where the catalogue has a look `text`, it ranks by all of them, with weight 1 "
        "unless `looks` names it.",
        examples=["red dress with a belt"],
    )
    looks: Looks | None = None
    colours: Colours | None = None
    where: Where = []
    n: Number = 10
    min_score: Weight | None = Field(None, description="Leave out what scores less.")
    with_self: bool = Field(False, description="Also give the images searched with.")
    distinct: bool = Field(
        False,
        description="Leave out near-copies of better results, and of the images searched with.",
    )
    by: By | None = Field(None, description="Give one result, the best, for each.")
    min_confidence: LeastConfidence = None
    at_precision: AtPrecision = None
    cursor: Annotated[str, Field(min_length=1, max_length=500_000)] | None = Field(
        None, description="Of the page before; it says everything else, which is left out."
    )


class PredictQuery(ImageQuery):
    """A prediction of uploads given as `image`, or of images of the catalogue."""

    model_config = example(id=[ID], attributes=["colour"])

    attributes: Annotated[list[Name], Field(min_length=1, max_length=256)] | None = Field(
        None, description="Only these; by default all."
    )
    min_confidence: LeastConfidence = None
    at_precision: AtPrecision = None


class Hit(BaseModel):
    """One result of a search."""

    image: str = Field(description="Its file, as the catalogue knows it.")
    id: Id
    score: float = Field(description="The weighted sum of the looks' similarities.")
    looks: dict[str, float] = Field(description="Look: similarity; 1 for the same image.")
    attributes: dict[str, str | list[str]] = Field(
        description="Attribute: value, list of values, or `unknown`."
    )
    confidence: dict[str, float] = Field(
        description="Attribute: that its value is right, 0 to 1; not of what is unknown."
    )
    best_guess: BestGuess
    copies: list[str] = Field(description="Other files with the same bytes.")
    product: str | None = Field(description="That it shows, as a table said when it was indexed.")


_HIT = {
    "image": "/photos/0001.jpg",
    "id": ID,
    "score": 1.46,
    "looks": {"colour": 0.98, "texture": 0.96},
    "attributes": {"category": "dress"},
    "confidence": {"category": 0.94},
    "best_guess": {},
    "copies": [],
    "product": None,
}


class Hits(BaseModel):
    """Results, best first."""

    model_config = example(hits=[_HIT])

    hits: list[Hit]


class Understood(BaseModel):
    """What words were taken for."""

    where: list[str] = Field(description="Filters.")
    colours: dict[str, float] = Field(description="Colours that no value is called: weight.")
    meant: dict[str, str] = Field(description="Words: the filter or colour they became.")
    not_understood: list[str] = Field(description="The words that became neither.")
    ranked_by: str | None = Field(
        description="The words by which the look `text` ranks; null where it does not."
    )


class SearchAnswer(Hits):
    """A page of results, best first."""

    model_config = example(
        images=[ID], unlike=[], hits=[_HIT], cursor="eyJvZmZzZXQi", understood=None
    )

    images: list[Id] = Field(
        description="The ids of the images searched with: an upload can be named by its own in the "
        "next searches, for as long as the server remembers it."
    )
    unlike: list[Id] = Field(description="The same of those not to look like.")
    understood: Understood | None = Field(
        description="What the words of `text` were taken for; null without them."
    )
    cursor: str | None = Field(description="Gives the next page; null if this is the last.")


class Evidence(BaseModel):
    """An example that supports a prediction."""

    image: str = Field(description="Its file; without folders if it is not in the catalogue.")
    id: Id | None = Field(description="Null if it is not in the catalogue.")
    value: str | list[str]
    distance: float


class Prediction(BaseModel):
    """What an attribute predicts."""

    value: str | list[str] | None = Field(description="Null: unknown.")
    confidence: float | None = Field(
        description="Calibrated probability that it is right, 0 to 1; null if it is unknown."
    )
    best_guess: str | list[str] | None = Field(
        description="Of what is unknown, what is likeliest; null where there is a value."
    )
    values: dict[str, float] = Field(
        description="Value: calibrated probability, highest first; of the built-in `colours` its "
        "share of the foreground."
    )
    evidence: list[Evidence] = Field(description="The nearest examples, nearest first.")
    applies: bool = Field(True, description="Whether, by the schema, it says anything of it.")


_PREDICTION = {
    "value": "red",
    "confidence": 0.97,
    "best_guess": None,
    "values": {"red": 0.97, "blue": 0.02},
    "evidence": [{"image": "/photos/0001.jpg", "id": ID, "value": "red", "distance": 0.4}],
}


class ImagePrediction(BaseModel):
    """All predictions of one image, or why there are none."""

    image: Id
    predictions: dict[str, Prediction] = Field({}, description="Attribute: prediction.")
    error: str | None = Field(None, description="Why there are none, or some are missing.")


class PredictAnswer(BaseModel):
    """Predictions in the order of the images: the ids first, then the uploads."""

    model_config = example(results=[{"image": ID, "predictions": {"colour": _PREDICTION}}])

    results: list[ImagePrediction]


_IMAGE = {
    "id": ID,
    "image": "/photos/0001.jpg",
    "copies": [],
    "attributes": {"category": "dress"},
    "confidence": {"category": 0.94},
    "best_guess": {},
}


class ImageAnswer(BaseModel):
    """One image of the catalogue."""

    model_config = example(**_IMAGE)

    id: Id
    image: str = Field(description="Its file, as the catalogue knows it.")
    copies: list[str] = Field(description="Other files with the same bytes.")
    attributes: dict[str, str | list[str]] = Field(
        description="Attribute: value, list of values, or `unknown`; of those that are tagged."
    )
    confidence: dict[str, float] = Field(
        description="Attribute: that its value is right, 0 to 1; not of what is unknown."
    )
    best_guess: BestGuess


class ImagesAnswer(BaseModel):
    """A part of the images that match the filters."""

    model_config = example(total=1, offset=0, images=[_IMAGE])

    total: int = Field(description="How many match.")
    offset: int = Field(description="How many of them come before these.")
    images: list[ImageAnswer]


class HeatMap(BaseModel):
    """A map over the part that was read: above 0 what speaks for the value, below 0 against it."""

    rows: int
    columns: int
    values: str = Field(description="Row by row, float32, little-endian, in base64.")


class Explanation(BaseModel):
    """Why one value, and where; `overlay` shows it on the picture."""

    attribute: str
    value: str
    confidence: float
    prediction: Prediction
    example: bool = Field(description="Whether the attribute was taught with the picture.")
    method: str
    score: float
    layers: dict[str, float] = Field(description="Hidden layer: its share of the map.")
    box: list[float] = Field(description="What was read of the picture, in fractions.")
    hottest: list[float] = Field(description="What speaks most for it: fractions from left, top.")
    overlay: str = Field(description="A JPEG as a `data:` address.")
    heat: HeatMap | None = Field(None, description="Only where it was asked for.")


class ExplainAnswer(BaseModel):
    """Explanations of one image, attribute by attribute."""

    image: Id
    explanations: list[Explanation]


class FacetsAnswer(BaseModel):
    """Number of images per value, among those that match the filters."""

    model_config = example(images=30, attributes={"colour": {"red": 20, "unknown": 10}})

    images: int
    attributes: dict[str, dict[str, int]]


class Failure(BaseModel):
    """An image that could not be used, and why."""

    image: str
    reason: str
