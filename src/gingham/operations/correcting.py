"""What puts a catalogue right: examples corrected, what to look at next, changes undone."""

from __future__ import annotations

from gingham.cutoff import Cutoff, CutoffResult
from gingham.operations.correct import Corrections, correct
from gingham.operations.history import history, recording, undo
from gingham.operations.opening import asking, changing
from gingham.operations.upkeep import Upkeep
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import TeachResult
from gingham.review_results import RecordedChange, ReviewOrder, ReviewResult


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
        with recording(self._truth, "examples", attribute):
            return correct(self._truth, self._attributes, attribute, corrections, kind, options)

    @asking
    def cutoff(
        self,
        attribute: str,
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> CutoffResult:
        """Say from which confidence on each value is answered, and how much is answered then.

        Parameters
        ----------
        attribute : its name.
        min_confidence, at_precision : see `gingham.cutoff.Cutoff`; without them all is answered.

        Raises
        ------
        InputError
            If the attribute is not there, or a number is out of range.
        """
        (one,) = self._attributes.attributes([attribute])
        return one.cut_off(Cutoff(min_confidence, at_precision))

    @asking
    def review(
        self,
        attribute: str,
        *,
        order: ReviewOrder = "useful",
        value: str | None = None,
        n: int = 50,
        offset: int = 0,
    ) -> ReviewResult:
        """List the images that somebody should look at, to confirm or `correct` their value.

        Parameters
        ----------
        attribute : its name; it must have been applied (`tag`).
        order : `useful`: tagged images that are no examples, first those that are typical of much
            that is unsure and are like none before them; every tenth is an example that the
            others contradict. `uncertain`: tagged images that are no examples, the least sure
            first. `suspicious`: examples that the others contradict, then images whose tag few of
            the images most like them share. `random`: tagged images that are no examples, in an
            order that is fixed.
        value : only images that are taught or tagged so; `unknown` is a value.
        n, offset : how many to list at most, and how many to pass over.

        Raises
        ------
        InputError
            If the attribute is not there or not tagged, or another argument is wrong.
        """
        with self._searching:
            return self._reviewer.review(attribute, order, value, n, offset)

    @asking
    def history(self, *, before: int | None = None, n: int = 50) -> list[RecordedChange]:
        """List the changes of the catalogue, newest first.

        Images added and removed, examples taught, corrected and forgotten, and models attached are
        changes; tags are not, since they follow from these.

        Parameters
        ----------
        before : only changes with a smaller number.
        n : how many at most.

        Raises
        ------
        InputError
            If `n` or `before` is below 1.
        """
        if self._truth.changes.begun():
            self._put_right()  # a process was killed, or is at work
        return history(self._truth, before, n)

    @changing
    def undo(self, number: int) -> RecordedChange:
        """Undo a change, which is a change itself and can be undone.

        The examples of the attribute are what they were before it, or the images that it removed
        are there again. Tags are those of before the undo until the attribute is applied again.

        Raises
        ------
        UndoError
            If the attribute was changed since, or nothing of the change can be brought back.
        InputError
            If there is no such change.
        """
        with self._searching:
            return undo(self._truth, self._attributes, number)
