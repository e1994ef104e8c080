"""What the methods of a catalogue return: frozen dataclasses; `to_dict` gives plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gingham.result import Result as Result


@dataclass(frozen=True)
class Failure(Result):
    """An image that could not be read, and why."""

    image: str
    reason: str

    @staticmethod
    def told(failures: Sequence[Failure]) -> str:
        """Add to the message of an error what could not be read: the first, and how many."""
        if not failures:
            return ""
        first = failures[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        return f"; could not be read: {first.image}: {first.reason}{more}"


@dataclass(frozen=True, kw_only=True)
class Walked(Result):
    """What a walk through folders left out or followed.

    Attributes
    ----------
    ignored : hidden files and folders, what systems and file managers leave, and the catalogue.
    followed : links to folders, whose files were read.
    repeated : folders, and links to folders, that were already read under another path.
    """

    ignored: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True)
class BadRow(Result):
    """A row of a table that cannot be used, counted as a spreadsheet does: the header is row 1."""

    table: str
    row: int
    reason: str


@dataclass(frozen=True)
class IndexResult(Walked):
    """What `index` did.

    Attributes
    ----------
    added : images that are new in the catalogue.
    unchanged : files whose image, identified by its bytes, was already in the catalogue.
    failed, failures : files that could not be read.
    unused_profiles : files whose colour profile could not be used; their colours were taken as
        sRGB.
    images : number of images now in the catalogue.
    bad_rows : rows of tables that were left out.
    """

    added: int
    unchanged: int
    failed: int
    failures: tuple[Failure, ...]
    unused_profiles: tuple[str, ...]
    images: int
    seconds: float
    images_per_second: float
    bad_rows: tuple[BadRow, ...] = ()


@dataclass(frozen=True)
class Uploaded(Result):
    """An image that was handed over as bytes: its id, and what it was called."""

    id: str
    image: str


@dataclass(frozen=True)
class UploadResult(Result):
    """What became of images that were handed over as bytes.

    Attributes
    ----------
    added : those that are new in the catalogue.
    unchanged : those that were there.
    failures : those that cannot be read.
    images : number of images now in the catalogue.
    """

    added: tuple[Uploaded, ...]
    unchanged: tuple[Uploaded, ...]
    failures: tuple[Failure, ...]
    images: int


@dataclass(frozen=True)
class Contradiction(Result):
    """An example whose value contradicts another example.

    `reason` is `same image` (they have the same features or the same group), or `vote`: when held
    out, it is confidently predicted to have another value.
    """

    image: str
    value: str
    against: str
    against_value: str
    reason: str


@dataclass(frozen=True)
class Confusion(Result):
    """How many examples of a value are predicted to have another one when they are held out.

    Of kind `multi`, `!value` says that an image lacks it. `images` are the first two of them.
    """

    value: str
    predicted: str
    count: int
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValueVerdict(Result):
    """Held-out examples of a value, and how many of them are predicted right."""

    value: str
    tested: int
    right: int


@dataclass(frozen=True)
class Verdict(Result):
    """How good an attribute is, judged by its examples: each is predicted by the others.

    Attributes
    ----------
    grade : `good` (0.95 or more are right), `fair` (0.8), `weak`, or `untested` (too few examples).
    sentence : the same for people.
    tested, right : held-out examples, and how many of them are predicted right; of kind `multi`
        each value of an example counts.
    values : the same for each value, the worst first.
    confusions : which values are taken for which, the most frequent first.
    by_chance : pairs of values that are told apart no better than by a coin.
    precision, answered : if so large a share of the answers must be right, this share of the
        examples can be answered.
    advice : what would help most; None if it is good.
    first_tested, first_right : the examples that were taught first; 0 where there are no others.
    """

    grade: str
    sentence: str
    tested: int
    right: int
    values: tuple[ValueVerdict, ...]
    confusions: tuple[Confusion, ...]
    by_chance: tuple[tuple[str, str], ...]
    precision: float
    answered: float
    advice: str | None
    first_tested: int
    first_right: int


@dataclass(frozen=True)
class Variant(Result):
    """A value that differs from a more frequent one only in case, spaces or Unicode form.

    Attributes
    ----------
    value, count : the rarer value, and how many examples had it.
    like, like_count : the value that it looks like.
    """

    value: str
    count: int
    like: str
    like_count: int


@dataclass(frozen=True)
class TeachResult(Walked):
    """What `teach` learned.

    Attributes
    ----------
    examples : images taught so far, from this call and earlier ones.
    layers : the hidden layers chosen.
    accuracy, macro_f1 : cross-validated on the examples; None where too few can be held out.
    folds : of the cross-validation; 0 if there was none.
    unlabelled : rows without a value.
    failures : examples that could not be read.
    contradictions : pairs to check.
    verdict : how good it is; None of an attribute that was not judged.
    variants, merged : values that look like one, and whether they were merged.
    bad_rows : rows of the table that were left out.
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
    variants: tuple[Variant, ...]
    merged: bool
    seconds: float
    bad_rows: tuple[BadRow, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Evidence(Result):
    """An example that supports a prediction."""

    image: str
    value: str | list[str]
    distance: float


@dataclass(frozen=True)
class Prediction(Result):
    """What an attribute predicts for one image.

    Attributes
    ----------
    value : for kind `single` a value, for kind `multi` the list of values of the image; None if it
        is unknown.
    confidence : calibrated probability that the value is correct, 0 to 1; None if it is unknown.
    best_guess : of what is unknown, what is likeliest; None where there is a value.
    values : value -> calibrated probability, highest first; of the built-in attribute `colours`
        the value's share of the foreground.
    evidence : the nearest examples, nearest first; none where there are no examples.
    applies : whether, by the catalogue's schema, it says anything of this image.
    """

    value: str | list[str] | None
    confidence: float | None
    values: dict[str, float]
    evidence: tuple[Evidence, ...]
    best_guess: str | list[str] | None = None
    applies: bool = True

    @classmethod
    def of(
        cls,
        guess: str | list[str],
        confidence: float,
        values: dict[str, float],
        evidence: tuple[Evidence, ...],
        *,
        unknown: bool,
    ) -> Prediction:
        """Make a prediction of what is likeliest, or `unknown` with that as the best guess."""
        if unknown:
            return cls(None, None, values, evidence, guess)
        return cls(guess, confidence, values, evidence)


@dataclass(frozen=True)
class ImagePredictions(Result):
    """All predictions of one image.

    `error` says why there are none, or why some attributes have none.
    """

    image: str
    predictions: dict[str, Prediction] = field(default_factory=dict)
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """`image` and `predictions`, or `image` and `error`; all three where only some answer."""
        found: dict[str, Any] = {"image": self.image}
        if self.predictions or self.error is None:
            found["predictions"] = {name: p.to_dict() for name, p in self.predictions.items()}
        if self.error is not None:
            found["error"] = self.error
        return found


@dataclass(frozen=True)
class TagResult(Result):
    """Attribute -> value -> number of images; `unknown` is counted like a value."""

    attributes: dict[str, dict[str, int]]
    images: int
    seconds: float
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class AttachResult(Result):
    """A trained model that was attached.

    Attributes
    ----------
    model, fingerprint : its folder, and sixteen hexadecimal digits that name its content.
    attributes : what it answers from now on: attribute -> its values.
    replaces : those of them that are taught, too; `forget` brings the taught ones back.
    """

    model: str
    fingerprint: str
    attributes: dict[str, list[str]]
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hit(Result):
    """One result of a search.

    Attributes
    ----------
    image, id : its file, one that is there if any is, and the SHA-256 of its bytes, in hexadecimal.
    score : the weighted sum of the looks' similarities.
    looks : look -> similarity in that look alone; 1 for the same image.
    attributes : attribute -> value, list of values, or `unknown`.
    copies : other files with the same bytes.
    product : that it shows, if a table said so when it was indexed.
    """

    image: str
    id: str
    score: float
    looks: dict[str, float]
    attributes: dict[str, str | list[str]]
    copies: tuple[str, ...] = ()
    product: str | None = None


@dataclass(frozen=True)
class Facets(Result):
    """Number of images per value, among those that match the filters."""

    images: int
    attributes: dict[str, dict[str, int]]


def shown(value: str | list[str] | None) -> str:
    """Format a value, several values, or `unknown`."""
    if isinstance(value, list):
        return "+".join(value) or "none"
    return value or "unknown"
