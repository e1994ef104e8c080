"""What an evaluation of retrieval finds."""

from __future__ import annotations

from dataclasses import dataclass

from gingham.results import BadRow, Failure, Result, Walked


@dataclass(frozen=True)
class Spread(Result):
    """A mean, and the standard deviation of what it is the mean of."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class MethodResult(Result):
    """How well one way to search does.

    Attributes
    ----------
    weights : look or descriptor -> weight.
    precision, recall : of the class, k -> of the first k answers, over all queries.
    mean_average_precision : over all queries.
    colour : k -> distance per bin between the RGB histograms of query and first k answers, over
        all queries; the deviation is that of queries.
    colour_drawn : the same over ten queries of different classes; mean and deviation of a
        thousand such draws.
    colour_lab : as `colour`, between the histograms of L*, a* and b*: what the descriptor `rgb`
        does not rank by.
    """

    name: str
    weights: dict[str, float]
    precision: dict[int, float]
    recall: dict[int, float]
    mean_average_precision: float
    colour: dict[int, Spread]
    colour_drawn: dict[int, Spread]
    colour_lab: dict[int, Spread]


@dataclass(frozen=True)
class Shown(Result):
    """One query of those drawn, and what each method found: method -> rows of `images`."""

    query: int
    found: dict[str, list[int]]


@dataclass(frozen=True)
class RetrievalResult(Walked):
    """What an evaluation found.

    Attributes
    ----------
    images, classes : compared, and their classes, row by row.
    queries : how many images were searched with.
    possible : how many have another one of their class outside their group; where there are more
        than `max_queries`, the queries are drawn of them.
    bins : of each of the three histograms of an image.
    drawn : queries for each of the draws of `colour_drawn`.
    searches : the first draw, to look at.
    unlabelled : rows without a class.
    copies : rows of images that another row names already, perhaps as another file of its bytes.
    failed, failures : images that could not be read, are not in the catalogue, or have several
        classes.
    bad_rows : rows of the table that were left out.
    """

    backbone: str
    images: tuple[str, ...]
    classes: tuple[str, ...]
    queries: int
    possible: int
    bins: int
    drawn: int
    seed: int
    methods: tuple[MethodResult, ...]
    searches: tuple[Shown, ...]
    unlabelled: int
    copies: int
    failed: int
    failures: tuple[Failure, ...]
    seconds: float
    bad_rows: tuple[BadRow, ...] = ()
