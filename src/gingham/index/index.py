"""The port of a search index: ids, vectors by look and tags go in; the best matches come out.

An index knows nothing but vectors and tags. What a vector means, how products become similarities
and which images there should be is known above it (`gingham.operations.search`). No row number and
no file crosses this port. Everything in an index is derived and can be made again from the truth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gingham.index.filters import EVERYWHERE, Where
from gingham.results import Facets
from gingham.store.ids import Ids

Floats = NDArray[np.float32]
State = Mapping[str, Any]
"""What an index holds, in the words of whoever fills it: JSON; empty for an index made from nothing
or lost."""
TagValue = str | Collection[str]
Keys = Sequence[str] | Ids
"""SHA-256 of images: 64 lower-case hex characters each, or in an array."""
Metric = Literal["dot", "l1"]
"""How a look compares: by dot product, or by minus the mean absolute difference per dimension."""


@dataclass(frozen=True)
class Upsert:
    """Add images, or replace their vectors; their tags and further looks stay.

    Attributes
    ----------
    ids : of N images, all different.
    vectors : each built-in look -> (N, width) array, finite.
    """

    ids: Keys
    vectors: Mapping[str, Floats]


@dataclass(frozen=True)
class Delete:
    """Remove images with all that is known of them; ids that are not there are passed over."""

    ids: Keys


@dataclass(frozen=True)
class Tag:
    """Set the value (or, of kind multi, the values) that images have of an attribute.

    Attributes
    ----------
    ids : of N images that are there.
    values : V different ones: a value, several values, or none at all (which clears).
    which : (N,) int, of `values`.
    """

    attribute: str
    ids: Keys
    values: Sequence[TagValue]
    which: NDArray[np.integer]

    @classmethod
    def of(cls, attribute: str, tags: Mapping[str, TagValue]) -> Tag:
        """Take id -> value, several values, or none."""
        return cls(attribute, list(tags), list(tags.values()), np.arange(len(tags)))


@dataclass(frozen=True)
class Untag:
    """Forget an attribute's tags on every image; nothing happens if there are none."""

    attribute: str


@dataclass(frozen=True)
class Fill:
    """Set the vectors of images in a further look, which is made if it is not there.

    Attributes
    ----------
    look, metric : of one name, always the same metric.
    ids : of images that are there; an image that is never named has the zero vector.
    vectors : (N, d) array, finite, d as before.
    """

    look: str
    metric: Metric
    ids: Keys
    vectors: Floats


@dataclass(frozen=True)
class Drop:
    """Forget a further look; nothing happens if it is not there."""

    look: str


Change = Upsert | Delete | Tag | Untag | Fill | Drop


@dataclass(frozen=True)
class Term:
    """One part of a score: ``weight`` times how a stored vector of ``look`` compares to ``vector``.

    A weight of 0 leaves the score alone; the match still says what the comparison gave. Several
    terms may name one look.
    """

    look: str
    vector: Floats
    weight: float


@dataclass(frozen=True)
class Query:
    """What to look for.

    Attributes
    ----------
    terms : the score of an image is the sum of their weighted comparisons; 0 if there are none.
    n : at most so many matches, at least 1.
    where : only images that satisfy it.
    min_score : only images that score no less.
    without : images that are left out; ids that are not there are passed over.
    """

    terms: Sequence[Term]
    n: int
    where: Where = EVERYWHERE
    min_score: float = -np.inf
    without: Keys = ()


@dataclass(frozen=True)
class Match:
    """One answer to a query.

    Attributes
    ----------
    id : of the image.
    score : see `Query`.
    compared : for each term the dot product, or minus the mean absolute difference.
    tags : attribute -> values, sorted; attributes without a tag are left out.
    """

    id: str
    score: float
    compared: tuple[float, ...]
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Index(Protocol):
    """A search index; `tests/index/test_index.py` is what every implementation must pass.

    What was changed since the last `commit` is seen at once by whoever changed it, and may be lost
    when the process or its connection ends; then `state` is that of an earlier commit, or empty and
    so is the index.
    """

    def state(self) -> State:
        """Give what was committed last; empty for an index that holds nothing."""
        ...

    def begin(self, *, wait: bool = True) -> bool:
        """Be the only one who changes it until `commit` or `close`, as the first change is, too.

        Parameters
        ----------
        wait : for another who changes it; else say that there is one, or that this process has no
            right to change it.

        Returns
        -------
        Whether this process alone changes it. Then `state` is what the changes are going to build
        on.

        Raises
        ------
        CatalogueBusyError
            If another goes on changing it for long.
        """
        ...

    def reset(self, looks: Mapping[str, int]) -> None:
        """Forget everything, the state too, and be an index of these built-in looks from now on.

        Parameters
        ----------
        looks : built-in look -> width of its vectors, at least 1.

        Raises
        ------
        InputError
            If there is no look, or a width is below 1.
        """
        ...

    def apply(self, changes: Iterable[Change]) -> None:
        """Make changes, one after another.

        Raises
        ------
        InputError
            If an id is no SHA-256, comes twice or is not there where it must be, a vector is not
            finite, a look is unknown, or a name or value is empty or not valid text.
        ShapeError
            If vectors have another shape than their look.
        """
        ...

    def commit(self, state: State) -> None:
        """Make all changes durable together with what they amount to, and quick to search."""
        ...

    def query(self, query: Query) -> list[Match]:
        """Find the images of the largest score, best first; equals in the order of their ids.

        Raises
        ------
        InputError
            If `n` is below 1, a look is unknown or a number is not finite.
        ShapeError
            If a vector has another length than its look.
        """
        ...

    def facets(self, where: Where = EVERYWHERE) -> Facets:
        """Count the images that satisfy `where`, and among them those of each value.

        Counts are exact, above zero, and the most frequent value of an attribute comes first.
        """
        ...

    def held(self, where: Where = EVERYWHERE) -> Ids:
        """Give the ids of the images that satisfy `where` in an array, sorted."""
        ...

    def vectors(self, ids: Keys, looks: Sequence[str]) -> dict[str, Floats]:
        """Give stored vectors: look -> (N, width), in the order of `ids`.

        Raises
        ------
        InputError
            If an image is not there, or a look is unknown.
        """
        ...

    def close(self) -> None:
        """Let go of whatever is held; what was not committed may be lost. Closing again is fine."""
        ...
