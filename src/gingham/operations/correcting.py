"""What puts a catalogue right: examples corrected, what to look at next, changes undone."""

from __future__ import annotations

from gingham.operations.correct import Corrections, correct
from gingham.operations.opening import changing
from gingham.operations.upkeep import Upkeep
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import ReviewOrder, ReviewResult, TeachResult


class Correcting(Upkeep):
    """The methods of `gingham.Catalogue` by which people correct it."""

    @changing
    def correct(
        self,
        attribute: str,
        corrections: Corrections,
        *,
        kind: str | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> TeachResult:
        """Add examples to an attribute, and take examples out of it.

        Parameters
        ----------
        attribute : its name.
        corrections : image (a path, bytes, or an id of the catalogue) -> value, or for kind `multi`
            a list of values, where `!value` means absent; None takes the example out. An example
            that is given the value that it has is confirmed: `review` does not show it again.
        kind, options : see `Catalogue.teach`.

        Raises
        ------
        InputError
            If what is left cannot be taught, or an image to take out is no example; then nothing is
            stored.
        """
        return correct(self._truth, self._attributes, attribute, corrections, kind, options)

    def review(
        self,
        attribute: str,
        *,
        order: ReviewOrder = "uncertain",
        value: str | None = None,
        n: int = 50,
        offset: int = 0,
    ) -> ReviewResult:
        """List the images that somebody should look at, to confirm or `correct` their value.

        Parameters
        ----------
        attribute : its name; it must have been applied (`tag`).
        order : `uncertain`: tagged images that are no examples, the least sure first; `suspicious`:
            examples that the others contradict, then images whose tag few of the images most like
            them share; `random`: tagged images that are no examples, in an order that is fixed.
        value : only images that are taught or tagged so; `unknown` is a value.
        n, offset : how many to list at most, and how many to pass over.

        Raises
        ------
        InputError
            If the attribute is not there or not tagged, or another argument is wrong.
        """
        with self._searching:
            return self._reviewer.review(attribute, order, value, n, offset)
