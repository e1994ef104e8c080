"""What the catalogue's methods return: frozen, and plain JSON by `to_dict`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Result:
    """Base of the results."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Failure(Result):
    """An image that could not be read, and a reason one can act on."""

    image: str
    reason: str


@dataclass(frozen=True)
class IndexResult(Result):
    """What `index` did.

    Attributes
    ----------
    added : images that were not in the catalogue before.
    unchanged : files whose image was in the catalogue already, by its bytes.
    failed, failures : files that could not be read.
    ignored : hidden files and the clutter of file managers, left aside.
    images : in the catalogue now.
    """

    added: int
    unchanged: int
    failed: int
    failures: tuple[Failure, ...]
    ignored: tuple[str, ...]
    images: int
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Contradiction(Result):
    """An example whose value another example speaks against.

    `reason` is `same image` (their features or their group agree), or `vote`: held out, it is
    confidently voted another value.
    """

    image: str
    value: str
    against: str
    against_value: str
    reason: str


@dataclass(frozen=True)
class TeachResult(Result):
    """What `teach` learned.

    Attributes
    ----------
    examples : images taught so far, from this call and earlier ones.
    layers : the hidden layers chosen.
    accuracy, macro_f1 : cross-validated on the examples; None where too few can be held out.
    folds : of the cross-validation; 0 where there was none.
    unlabelled : rows without a value.
    failures : examples that could not be read.
    contradictions : pairs to look at.
    """

    attribute: str
    kind: str
    values: tuple[str, ...]
    examples: int
    layers: tuple[str, ...]
    accuracy: float | None
    macro_f1: float | None
    folds: int
    unlabelled: int
    failures: tuple[Failure, ...]
    contradictions: tuple[Contradiction, ...]
    seconds: float


@dataclass(frozen=True)
class Evidence(Result):
    """An example that spoke for a prediction."""

    image: str
    value: str | list[str]
    distance: float


@dataclass(frozen=True)
class Prediction(Result):
    """What an attribute says of one image.

    Attributes
    ----------
    value : of kind `single` a value, or None where the answer is unknown; of kind `multi` the
        list of values the image has.
    confidence : calibrated probability that the answer is right, 0 to 1.
    values : value -> calibrated probability, the likeliest first.
    evidence : the nearest examples, nearest first.
    """

    value: str | list[str] | None
    confidence: float
    values: dict[str, float]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class ImagePredictions(Result):
    """All predictions of one image, or the reason why there are none."""

    image: str
    predictions: dict[str, Prediction] = field(default_factory=dict)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """`image` and `predictions`, or `image` and `error`."""
        if self.error is not None:
            return {"image": self.image, "error": self.error}
        return {
            "image": self.image,
            "predictions": {name: p.to_dict() for name, p in self.predictions.items()},
        }


@dataclass(frozen=True)
class TagResult(Result):
    """Attribute -> value -> number of images, `unknown` among the values."""

    attributes: dict[str, dict[str, int]]
    images: int
    seconds: float


@dataclass(frozen=True)
class Hit(Result):
    """One image found.

    Attributes
    ----------
    image, id : its file and the SHA-256 of its bytes, in hexadecimal.
    score : the weighted sum of the looks' similarities.
    looks : look -> the similarity in that look alone; 1 is the same image.
    attributes : attribute -> value, list of values, or `unknown`.
    copies : other files of the same bytes.
    """

    image: str
    id: str
    score: float
    looks: dict[str, float]
    attributes: dict[str, str | list[str]]
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Facets(Result):
    """How many images carry each value, among those that pass the filters."""

    images: int
    attributes: dict[str, dict[str, int]]


@dataclass(frozen=True)
class AttributeInfo(Result):
    """One attribute of a catalogue.

    Attributes
    ----------
    tagged : images with an answer of the attribute as it is taught now.
    """

    kind: str
    values: tuple[str, ...]
    examples: int
    layers: tuple[str, ...]
    tagged: int


@dataclass(frozen=True)
class Info(Result):
    """What a catalogue holds."""

    catalogue: str
    images: int
    files: int
    backbone: str
    fingerprint: str
    layers: dict[str, int]
    looks: tuple[str, ...]
    attributes: dict[str, AttributeInfo]
    bytes: int


def shown(value: str | list[str] | None) -> str:
    """Write a value, several, or the lack of one."""
    if isinstance(value, list):
        return "+".join(value) or "none"
    return value or "unknown"
