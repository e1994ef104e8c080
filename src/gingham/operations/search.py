"""Search over a catalogue: sliders and examples become terms of a query, and matches hits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.colours import has_colours
from gingham.attributes.palette import toward
from gingham.attributes.registry import Attributes
from gingham.backbones.image_text import TEXT
from gingham.backbones.table import DESCRIPTORS
from gingham.colours import check_colours
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.index.descriptor_looks import JOINED, descriptor_looks
from gingham.index.filters import Where, parse_where
from gingham.index.home import IndexHome
from gingham.index.index import Index, Match, Query, Term
from gingham.index.looks import (
    COLOURS_LOOK,
    TAUGHT_PREFIX,
    LookSpace,
    builtin_looks,
)
from gingham.names import did_you_mean
from gingham.operations.choosing import ALL, By, Narrowed, choose, folder_groups
from gingham.operations.cut_tags import cut_mark, cut_name, own_tags
from gingham.operations.sliders import Example, Slider, Sliders
from gingham.operations.sync import SyncedIndex
from gingham.report.notebook import HitList
from gingham.results import Facets, Hit
from gingham.schema.words import in_own_words
from gingham.store.ids import Ids
from gingham.store.products import Groups
from gingham.store.truth import StoredImage, Truth


class Searcher:
    """Answers searches from the index of a catalogue.

    Parameters
    ----------
    home : gives where the index is kept.
    truth, attributes : what is searched.
    refresh : see `SyncedIndex`.

    Attributes
    ----------
    space : the built-in looks.
    synced : the index.
    """

    def __init__(
        self,
        home: Callable[[], IndexHome],
        truth: Truth,
        attributes: Attributes,
        refresh: Callable[[], object],
    ) -> None:
        config = truth.config
        self._truth = truth
        self._attributes = attributes
        self._described = descriptor_looks(config)
        self.space = LookSpace(
            builtin_looks([(x.name, x.channels) for x in config.hidden], config.foreground)
        )
        self.synced = SyncedIndex(home, truth, attributes, self.space, refresh)
        self._sliders = Sliders(attributes, self.space, self.synced, self._described)
        self._folders: tuple[object, Groups] | None = None

    @property
    def looks(self) -> tuple[str, ...]:
        """All looks there are: built-in ones, descriptors, that of words, taught attributes."""
        taught = (f"{TAUGHT_PREFIX}{name}" for name in self._attributes.names())
        text = () if self._truth.text.current is None else (TEXT,)
        return (*self.space.names, *self._described, *text, *taught)

    def search(
        self,
        like: Sequence[Example],
        unlike: Sequence[Example],
        weights: Mapping[str, float] | None,
        where: Sequence[str],
        n: int,
        min_score: float | None = None,
        colours: Mapping[str, float] | None = None,
        cutoff: Cutoff | None = None,
        choice: Narrowed = ALL,
        words: NDArray[np.float32] | None = None,
    ) -> HitList:
        """Find the images that look most like some and least like others, and have some colours.

        Where there are neither images nor colours nor words, all that pass the filters score 0.

        Parameters
        ----------
        like, unlike : example images.
        weights : look -> slider; by default every built-in look counts 1, and that of words.
        where : filters, see `gingham.index.filters.parse_where`.
        n : how many to find.
        min_score : the lowest score of an answer; None for any.
        colours : colour -> weight; see `Catalogue.search`.
        cutoff : how sure tags must be; see `Attributes.predictions`.
        choice : which of them are shown.
        words : the (D,) vector that the look `text` compares images with, in place of examples.

        Raises
        ------
        InputError
            If there is neither an image, a colour nor a filter to look for, a look, an attribute
            or a value is not there, a colour cannot be read, or `min_score` is no number.
        """
        if min_score is not None and not np.isfinite(min_score):
            raise InputError(f"min_score must be a finite number, got {min_score}")
        wanted = self._check_colours(colours or {})
        said = 0.0
        if words is not None:
            said, weights = self._split(weights)
        elif not like and weights is not None and not weights.get(TEXT, 1) and TEXT in self.looks:
            # Words are filters alone, then.
            weights = self._split(weights)[1]
        if not like:
            if not wanted and not where and not said:
                raise InputError("search needs at least one image, a colour or a filter")
            if weights or unlike or (min_score is not None and not (wanted or said)):
                raise InputError(
                    "looks, a least score and images that results should not look like go with an "
                    "image: give one, or search by colours or filters alone"
                )
        elif not (wanted or said) or weights is None or any(weights.values()):
            every = dict.fromkeys(self.space.names, 1.0)
            weights = self._check(every if weights is None else weights)
        index = self.synced.get()
        sliders = self._sliders.of_images(index, weights or {}, like, unlike) if like else []
        if words is not None and said:
            sliders.append(self._sliders.of_words(index, said, words))
        if wanted:
            self.synced.further(index, COLOURS_LOOK)
            vector = toward(wanted)
            sliders.append(
                Slider(COLOURS_LOOK, sum(wanted.values()), 0.0, [(COLOURS_LOOK, vector, 1.0)])
            )
        offset = sum(slider.weight * slider.constant for slider in sliders)
        matches = choose(
            index,
            Query(
                [
                    Term(look, vector, slider.weight * factor)
                    for slider in sliders
                    for look, vector, factor in slider.parts
                ],
                n,
                self._where(index, where, cutoff),
                -np.inf if min_score is None else min_score - offset,
            ),
            choice,
            self.space,
            self._groups,
        )
        ids = [bytes.fromhex(match.id) for match in matches]
        tags = self._shown([own_tags(match.tags, cutoff) for match in matches])
        stored = self._truth.stored_if_there(ids)
        products = self._truth.products.groups().names_of(ids)
        return HitList(
            _hit(match, image, some, sliders, offset, product)
            for match, image, some, product in zip(matches, stored, tags, products, strict=True)
            # An index that others change, too, may be ahead of the truth, or behind.
            if image is not None
        )

    def _split(
        self, weights: Mapping[str, float] | None
    ) -> tuple[float, Mapping[str, float] | None]:
        """Take the slider of words from the others: 1 unless it is named."""
        if weights is None:
            return 1.0, None
        others = {name: weight for name, weight in weights.items() if name != TEXT}
        said = weights.get(TEXT, 1.0)
        self._check({TEXT: said or 1.0})
        return said, others

    def _groups(self, by: By) -> Groups:
        """Give the groups of images; folders are found again only when files have changed."""
        if by == "product":
            return self._truth.products.groups()
        version = self._truth.locations.complete_version()
        if self._folders is None or self._folders[0] != version:
            self._folders = version, folder_groups(self._truth)
        return self._folders[1]

    def stamp(self, looks: Mapping[str, float] | None) -> dict[str, Any]:
        """Say what decides the neighbours of images in some looks: JSON that differs if they may.

        Raises
        ------
        InputError
            If a look is not there.
        """
        weights = self._check(dict.fromkeys(self.space.names, 1.0) if looks is None else looks)
        taught = [name.removeprefix(TAUGHT_PREFIX) for name in weights if TAUGHT_PREFIX in name]
        ids = np.sort(self._truth.locations.ids())
        return {
            "weights": weights,
            "space": self.space.fingerprint,
            **({"text": self._truth.text.fingerprint} if TEXT in weights else {}),
            "taught": {name: self._attributes.taught_stamp(name) for name in taught},
            "images": hashlib.sha256(ids.tobytes()).hexdigest(),
            "files": self._truth.locations.complete_version(),
            "products": self._truth.products.version,
        }

    def facets(self, where: Sequence[str], cutoff: Cutoff | None = None) -> Facets:
        """Count the images of each value among those that pass the filters."""
        index = self.synced.get()
        found = index.facets(self._where(index, where, cutoff))
        return Facets(found.images, own_tags(found.attributes, cutoff))

    def matching(self, where: Sequence[str], cutoff: Cutoff | None = None) -> Ids:
        """Give the ids of the images that pass the filters, sorted."""
        index = self.synced.get()
        return index.held(self._where(index, where, cutoff))

    def verify(self) -> list[str]:
        """Say where the index and the truth differ; an index that is merely behind is sound."""
        missing, foreign = self.synced.missing()
        return [f"image {key} is not in the index: run gingham rebuild" for key in missing] + [
            f"image {key} is in the index but not in the catalogue: run gingham rebuild"
            for key in foreign
        ]

    def _check_colours(self, colours: Mapping[str, float]) -> dict[str, float]:
        """Return the colours that count; refuse what is none, and features without colours."""
        wanted = check_colours(colours)
        if wanted and not has_colours(self._truth.config):
            raise InputError(
                "this catalogue does not store the colours of its images: index into a new one "
                "to search by colour"
            )
        if colours and not wanted:
            raise InputError(f"at least one colour must have a weight above 0, got {dict(colours)}")
        return wanted

    def _check(self, weights: Mapping[str, float]) -> dict[str, float]:
        """Return the sliders above 0; refuse what is not there."""
        for name in weights:
            if name == TEXT and self._truth.text.current is None:
                raise InputError(
                    "look 'text': this catalogue has none; gingham text-look gives it one"
                )
            if name in (*DESCRIPTORS, JOINED) and name not in self._described:
                raise InputError(
                    f"look {name!r}: this catalogue does not store it; index into a new "
                    f"catalogue with --descriptors {','.join(DESCRIPTORS)}"
                )
            if name not in self.looks:
                raise InputError(
                    f"unknown look {name!r}; known: {', '.join(self.looks)}"
                    f"{did_you_mean(name, self.looks)}"
                )
        return self.space.check(weights, (*self._described, TEXT))

    def _shown(self, tags: Sequence[Mapping[str, Sequence[str]]]) -> list[dict[str, Any]]:
        """Give the tags of matches as hits have them: a value, or those of kind multi.

        What is only there because it is above another value is left out.
        """
        known = self._attributes.schema.attributes
        tagged = {name for some in tags for name in some}
        multi = {name for name in tagged if self._attributes.kind(name) == "multi"}
        abouts = {name: known[name] for name in tagged if name in known and known[name].parents}

        def lowest(name: str, values: Sequence[str]) -> Sequence[str]:
            if name not in abouts:
                return values
            over = {one for value in values for one in list(abouts[name].above(value))[1:]}
            return [value for value in values if value not in over]

        return [
            {
                name: list(said) if name in multi else said[0]
                for name, values in some.items()
                if (said := lowest(name, values))
            }
            for some in tags
        ]

    def _where(self, index: Index, where: Sequence[str], cutoff: Cutoff | None) -> Where:
        """Read filters; with a cut-off they ask for tags that are made for it first."""
        if cutoff is not None:
            self.synced.cut(index, cutoff)
        if not where:
            return Where()
        known = {n: set(self._attributes.answers(n)) for n in self._attributes.answering()}
        found = parse_where(in_own_words(where, known, self._attributes.schema), known)
        for name in {one.attribute for one in found.conditions}:
            if self._attributes.tagged(name) is None:
                raise InputError(f"attribute {name!r} is not tagged yet: run gingham tag first")
        if cutoff is None:
            return found
        mark = cut_mark(cutoff)
        return Where(
            tuple(replace(one, attribute=cut_name(one.attribute, mark)) for one in found.conditions)
        )


def _hit(
    match: Match,
    image: StoredImage,
    tags: dict[str, Any],
    sliders: Sequence[Slider],
    offset: float,
    product: str | None,
) -> Hit:
    compared = iter(match.compared)
    looks = {
        slider.look: slider.constant
        + sum([factor * next(compared) for _, _, factor in slider.parts])
        for slider in sliders
    }
    return Hit(
        image=image.files[0],
        id=match.id,
        score=match.score + offset,
        looks=looks,
        attributes=tags,
        copies=image.files[1:],
        product=product,
    )
