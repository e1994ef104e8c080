"""What `review`, `history` and `undo` return: images to look at, and the changes of a catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gingham.results import Result


@dataclass(frozen=True)
class RecordedChange(Result):
    """A change of a catalogue.

    Attributes
    ----------
    number : from 1 on.
    made : when (ISO 8601, UTC).
    by : who made it: the name of a key, or of a user of the system.
    summary : what was done, in plain words.
    images : how many images it is about.
    undoable : whether it can be undone now.
    undone_by : the number of the change that undid it.
    """

    number: int
    made: str
    by: str
    verb: str
    attribute: str | None
    summary: str
    images: int
    undoable: bool
    undone_by: int | None


ReviewOrder = Literal["useful", "uncertain", "suspicious", "random"]


@dataclass(frozen=True)
class ReviewItem(Result):
    """An image that somebody should look at.

    Attributes
    ----------
    value : what it was taught as, if it is an example, or is predicted to be.
    confidence, values : of the prediction, see `Prediction`; no confidence of what is unknown.
    reason : why it should be looked at, in plain words.
    example : whether the attribute was taught with it.
    """

    id: str
    image: str
    value: str | list[str]
    confidence: float | None
    values: dict[str, float]
    reason: str
    example: bool


@dataclass(frozen=True)
class ReviewResult(Result):
    """A part of the images that somebody should look at, and the number of all of them."""

    total: int
    items: tuple[ReviewItem, ...]
