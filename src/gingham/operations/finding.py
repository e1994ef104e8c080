"""What finds images of a catalogue: search, facets."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from gingham.backbones.image_text import TEXT
from gingham.cutoff import Cutoff
from gingham.images import Box, ImageSource
from gingham.operations.choosing import By, Narrowed
from gingham.operations.frames import FeatureTable, feature_table
from gingham.operations.opening import asking
from gingham.operations.query import read_examples
from gingham.operations.similar import check_similar, write_similar
from gingham.operations.sliders import Example
from gingham.operations.text_look import Wanted, in_words
from gingham.operations.writing import Writing
from gingham.options import DEFAULTS, ReadOptions
from gingham.report.notebook import HitList
from gingham.results import Facets, Hit


class Finding(Writing):
    """The methods of `gingham.Catalogue` that find images by looks, colours and tags."""

    def __repr__(self) -> str:
        names = ", ".join(self._attributes.names()) or "none"
        count = len(self._truth.locations.images)
        return f"<Catalogue {self.folder}: {count:,} images; taught: {names}>"

    @asking
    def search(
        self,
        images: ImageSource | Sequence[ImageSource] = (),
        *,
        text: str | None = None,
        looks: Mapping[str, float] | None = None,
        colours: Mapping[str, float] | None = None,
        where: Sequence[str] = (),
        unlike: Sequence[ImageSource] = (),
        crop: Box | None = None,
        n: int = 10,
        min_score: float | None = None,
        with_self: bool = False,
        distinct: bool = False,
        by: By | None = None,
        min_confidence: float | None = None,
        at_precision: float | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> HitList:
        """Find the images most similar to the given ones, to words or to colours, best first.

        Images of the catalogue that are searched with are left out, whether they are given by
        id, by file or as bytes.

        Parameters
        ----------
        images : one path, bytes, open file or id, or several whose looks are averaged; in the
            catalogue or not. None are needed where colours or filters are given; by filters
            alone everything scores 0 and comes in the order of the ids.
        text : words, as in `red dress with a belt`. Those that name taught values (also by synonyms
            and translations of the schema) become filters, names of other colours `colours`;
            `understood` of the result says which. Where the catalogue has a look `text` (see
            `text_look`), its model ranks by all the words, with weight 1 unless `looks` names it.
        looks : look -> weight; by default every built-in look with weight 1. A taught attribute
            NAME is the look `attribute:NAME`. Without `text`, the look `text` compares with the
            images.
        colours : colour, as in `#b03a2e` or `navy`, -> weight: one more look, whose weight is the
            sum of theirs. Its similarity is 1 where the foreground has these colours in these
            proportions, and nothing else.
        where : filters such as `colour=red` and `colour!=red`; the same attribute again means or.
        unlike, n, options : images not to look like; how many to find; see `index`.
        crop : left, top, right, bottom of the part of the one image that counts, in fractions of
            the upright picture.
        min_score : leave out what scores less; None for no limit.
        with_self : do not leave out the images that are searched with.
        distinct : leave out near-copies of better results, and of the images that are left out:
            images whose mean similarity in the built-in looks is 0.94 or more.
        by : one result for each `product` (see `index`) or `folder`, the best; none for those of
            images that are left out. An image without one stands for itself.
        min_confidence, at_precision : how sure tags must be, in place of what `tag` was given.

        Raises
        ------
        ImageError
            If an example image cannot be read.
        InputError
            If no image, colour or filter is given, no word is understood, a look, attribute or
            value is not there, a colour cannot be read, or a number or the crop is wrong.
        MissingExtraError
            If the model of the look `text` is needed and not installed.
        """
        cutoff = Cutoff.asked(min_confidence, at_precision)
        wanted = self._worded(text, looks, colours, where, pictured=not _is_none(images))
        reads = self._reads_text(wanted, looks)
        like = read_examples(self._truth, images, options, crop, text=reads)
        others = read_examples(self._truth, unlike, options, text=reads)
        choice = Narrowed(() if with_self else like.known, distinct, by)
        hits = self._search_with(
            like.given, others.given, looks, wanted, n, min_score, cutoff, choice
        )
        hits.understood = wanted.understood
        return hits

    def _worded(
        self,
        text: str | None,
        looks: Mapping[str, float] | None,
        colours: Mapping[str, float] | None,
        where: Sequence[str],
        *,
        pictured: bool,
    ) -> Wanted:
        """Say what a search with words asks for; see `in_words`."""
        if text is None:
            return Wanted(where, colours)
        there = self._truth.text.current is not None
        ranked = there and (looks is None or looks.get(TEXT, 1.0) != 0)
        with self._searching:
            found = self._searcher.facets(())
        schema = self._truth.schema.current
        return in_words(text, where, colours, found, schema, ranked=ranked, pictured=pictured)

    def _reads_text(self, wanted: Wanted, looks: Mapping[str, float] | None) -> bool:
        """Say whether images are compared in the look `text`."""
        asked = wanted.words is None and bool(looks) and (looks or {}).get(TEXT, 0) > 0
        return asked and self._truth.text.current is not None

    def _search_with(
        self,
        like: Sequence[Example],
        unlike: Sequence[Example],
        looks: Mapping[str, float] | None,
        wanted: Wanted,
        n: int,
        min_score: float | None,
        cutoff: Cutoff | None,
        choice: Narrowed,
    ) -> HitList:
        """Search with examples; the model of words works before anybody has to wait."""
        said = wanted.words
        words = None if said is None else self._truth.text.model().words(said)
        with self._searching:
            return self._searcher.search(
                *(like, unlike, looks, wanted.where, n, min_score, wanted.colours),
                *(cutoff, choice, words),
            )

    @asking
    def features(
        self, layers: Sequence[str] | None = None, *, images: Sequence[str] | None = None
    ) -> FeatureTable:
        """Give stored features as an array, for other libraries; all of it is held in memory.

        Parameters
        ----------
        layers : hidden layers, as `info().layers` names them, pooled ones over the foreground
            (`stem_foreground`) and descriptors, side by side; None means all that attributes read.
        images : ids; None means all, in the order in which they were added.

        Raises
        ------
        InputError
            If a layer or an image is not there.
        """
        return feature_table(self._truth, layers, images)

    @asking
    def similar(
        self,
        file: str | os.PathLike[str],
        *,
        looks: Mapping[str, float] | None = None,
        n: int = 8,
        distinct: bool = True,
        by: By | None = "product",
        options: ReadOptions = DEFAULTS,
    ) -> int:
        """Write a table of the neighbours of every image; return the number of rows.

        The columns are `image`, `id`, `rank` (1 is the most similar), `similar`, `similar_id` and
        `score`. Memory does not grow with the images. A run that was interrupted goes on, if
        nothing was changed meanwhile, from what it keeps in a folder beside the file.

        Parameters
        ----------
        file : `.parquet` or `.csv`; one that is there is replaced once the new one is whole.
        looks, distinct, by : see `search`.
        n : neighbours of each image.
        options : only its progress is used.

        Raises
        ------
        InputError
            If the suffix is another, its folder is not there, or a look or a number is wrong.
        """
        check_similar(Path(file), n)
        narrowed = Narrowed((), distinct, by)
        with self._searching:
            asked = self._searcher.stamp(looks) | {"n": n, "distinct": distinct, "by": by}
            ids = np.sort(self._truth.locations.ids())

        def find(image_id: bytes) -> tuple[str, list[Hit]] | None:
            with self._searching:
                if image_id not in self._truth.locations.images:
                    return None
                one = replace(narrowed, own=[image_id])
                hits = self._searcher.search([image_id], [], looks, (), n, choice=one)
                return self._truth.stored(image_id).files[0], hits

        return write_similar(Path(file), ids, find, asked, options.progress)

    @asking
    def facets(
        self,
        where: Sequence[str] = (),
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> Facets:
        """Count images per value, among those that match the filters.

        `min_confidence` and `at_precision` say how sure tags must be; see `search`.

        Raises
        ------
        InputError
            If a filter names an unknown attribute or value.
        """
        with self._searching:
            return self._searcher.facets(where, Cutoff.asked(min_confidence, at_precision))


def _is_none(images: ImageSource | Sequence[ImageSource]) -> bool:
    return isinstance(images, Sequence) and not isinstance(images, (str, bytes)) and not images
