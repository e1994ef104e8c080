"""What writes a file of a catalogue: a table of its tags, a page of its images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gingham.cutoff import Cutoff
from gingham.operations.correcting import Correcting
from gingham.operations.export import export_table
from gingham.operations.opening import asking
from gingham.operations.sheet import write_sheet


class Writing(Correcting):
    """The methods of `gingham.Catalogue` that write a file."""

    @asking
    def export(
        self,
        file: str | os.PathLike[str],
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> int:
        """Write a table of all files with id, tags and confidences; return the number of rows.

        What is unknown has no confidence; its likeliest value is in the column NAME_best_guess.
        A missing file is left out where another file of its image is there.

        Parameters
        ----------
        file : `.parquet`, or `.csv` (where several values are joined by `|`).
        min_confidence, at_precision : how sure tags must be; see `search`.

        Raises
        ------
        InputError
            If the suffix is another, or its folder is not there.
        """
        cutoff = Cutoff.asked(min_confidence, at_precision)
        return export_table(Path(file), self._truth.locations, self._attributes, cutoff)

    @asking
    def sheet(
        self,
        file: str | os.PathLike[str],
        attribute: str,
        *,
        where: Sequence[str] = (),
        n: int = 16,
    ) -> int:
        """Write a page of images grouped by their tag of an attribute; return how many it shows.

        Parameters
        ----------
        file : `.html`; a file that is there is replaced.
        attribute, where : its name; filters, see `search`.
        n : images to show per value, from most to least confident.

        Raises
        ------
        InputError
            If the attribute is not there or not tagged, or a filter fits no attribute or no image.
        """
        with self._searching:
            matching = self._searcher.matching(where) if where else None
        return write_sheet(Path(file), self._truth, self._attributes, attribute, matching, n)
