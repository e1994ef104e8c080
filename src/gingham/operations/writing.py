"""What writes a file of a catalogue: a table of its tags, a page of its images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gingham.cutoff import Cutoff
from gingham.operations.correcting import Correcting
from gingham.operations.export import Arrangement, export_table
from gingham.operations.frames import Frames
from gingham.operations.map import LookVectors, draw_map
from gingham.operations.opening import asking
from gingham.operations.review_sheet import check_review_folder, write_review
from gingham.operations.sheet import write_sheet
from gingham.options import silent
from gingham.review_results import ReviewOrder, ReviewResult


class Writing(Correcting, Frames):
    """The methods of `gingham.Catalogue` that write a file."""

    @asking
    def export(
        self,
        file: str | os.PathLike[str],
        *,
        form: str | None = None,
        join: str | os.PathLike[str] | None = None,
        join_key: str = "image",
        relative: bool = False,
        answered: bool = False,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> int:
        """Write a table of all files with id, tags and confidences; return the number of rows.

        What is unknown has no confidence; its likeliest value is in the column NAME_best_guess.
        By the catalogue's schema a value may be one above those taught, or `not applicable`.
        A missing file is left out where another file of its image is there.

        Parameters
        ----------
        file : `.parquet`, or `.csv` (where several values are joined by `|`), or as `form` says.
        form : a format of `gingham.formats`, as `label-studio`, `coco`, `shopify`, `datasets`.
        join : a table whose rows, with all their columns, get the tags of their images instead.
        join_key : another column of it than `image` makes one row of those that have the same
            value, with the tags of most of its images, by confidence.
        relative : write paths relative to the folder of the file.
        answered : leave out what has no answer at all.
        min_confidence, at_precision : how sure tags must be; see `search`.

        Raises
        ------
        InputError
            If the suffix or the format is another, its folder is not there, or the table cannot be
            joined.
        """
        arrangement = Arrangement(form, Path(join) if join else None, join_key, relative, answered)
        return export_table(
            Path(file),
            self._truth.locations,
            self._attributes,
            Cutoff.asked(min_confidence, at_precision),
            arrangement,
            self._points,
        )

    def _points(self) -> dict[str, tuple[float, float]]:
        """Place all images on a map of the look `semantic`."""
        vectors = LookVectors(
            self._truth, self._attributes, self._searcher, "semantic", self._searching
        )
        drawn = draw_map(vectors, silent)
        places = (tuple(place) for place in drawn.points.tolist())
        return dict(zip((one.hex() for one in drawn.ids.tolist()), places, strict=True))

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

    @asking
    def review_sheet(
        self,
        folder: str | os.PathLike[str],
        attribute: str,
        *,
        order: ReviewOrder = "useful",
        n: int = 20,
    ) -> ReviewResult:
        """Write what to label next to a folder: a page, and a table to fill in, for `teach`.

        Parameters
        ----------
        folder : made if it is not there; `index.html` and `review.csv` are written to it.
        attribute, order, n : see `review`.

        Raises
        ------
        InputError
            If there is a `review.csv` already, or nothing to look at; see also `review`.
        """
        check_review_folder(Path(folder))
        found = self.review(attribute, order=order, n=n)
        images = self._truth.locations.images
        write_review(
            Path(folder),
            attribute,
            found,
            lambda one: (
                self._truth.stored(bytes.fromhex(one.id))
                if bytes.fromhex(one.id) in images
                else None
            ),
        )
        return found
