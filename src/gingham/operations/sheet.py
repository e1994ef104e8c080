"""A contact sheet of a catalogue: its images, grouped by their tag of one attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gingham.attributes.registry import Attributes
from gingham.attributes.settled_tags import Settling
from gingham.errors import InputError
from gingham.names import NOT_APPLICABLE, UNKNOWN
from gingham.report.kit import check_page, counted, percent, short
from gingham.report.sheet import Section, Tile, Tone, write_contact_sheet
from gingham.results import shown
from gingham.store import ids as many
from gingham.store.ids import Ids
from gingham.store.truth import Truth


class Stored(Protocol):
    """An image that can be read, and its files."""

    @property
    def files(self) -> Sequence[str]: ...  # noqa: D102

    def read(self) -> bytes: ...  # noqa: D102


def write_sheet(
    file: Path,
    truth: Truth,
    attributes: Attributes,
    name: str,
    matching: Ids | None,
    n: int,
) -> int:
    """Write the contact sheet of one attribute; see `Catalogue.sheet`.

    Parameters
    ----------
    file : the page.
    truth, attributes : of the catalogue.
    name : of the attribute.
    matching : ids of the images that pass the filters, sorted; None if there are no filters.
    n : images to show per value.
    """
    check_sheet(file, n)
    attributes.check([name])
    if attributes.tagged(name) is None:
        raise untagged(name)
    ids = truth.locations.ids()
    live = ids if matching is None else ids[many.find(matching, ids) >= 0]
    settled = Settling(attributes).of(name)
    places = many.find(settled.ids, live)
    settled = settled.at(places[places >= 0])  # in the order in which they were added
    said = attributes.taught().get(name)
    taught = {one.id: one.values for one in said.examples} if said else {}
    sheet = Sheet(
        name,
        attributes.kind(name),
        [x for x in attributes.answers(name) if x != NOT_APPLICABLE],
        [
            SheetTag(image.hex(), values, confidence if values else 0.0, taught.get(image, {}))
            for image, values, confidence, _, applies in settled.rows()
            if applies
        ],
        len(live) - int((~settled.applies).sum()),
        matching is not None,
        lambda image: truth.stored(bytes.fromhex(image)),
    )
    return sheet.write(file, n)


def check_sheet(file: Path, n: int) -> None:
    """Refuse a file or a number that no sheet can have.

    Raises
    ------
    InputError
        If so.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    check_page(file, "contact sheet")


def untagged(name: str) -> InputError:
    """Make the error of an attribute without tags."""
    return InputError(f"attribute {name!r} is not tagged yet: run gingham tag first")


@dataclass(frozen=True)
class SheetTag:
    """What an image was tagged with, and what is known about it.

    Attributes
    ----------
    image : its id, in hexadecimal.
    values : none: it is unknown.
    confidence : of the tag; 0 if it is unknown.
    taught : value -> whether it was taught to have it.
    """

    image: str
    values: Sequence[str]
    confidence: float
    taught: Mapping[str, bool]

    @property
    def tone(self) -> Tone:
        """How it is shown."""
        if not self.values:
            return "unknown"
        if not self.taught:
            return "plain"
        right = all((value in self.values) == has for value, has in self.taught.items())
        return "good" if right else "bad"

    def tile(self, source: Stored, multi: bool) -> Tile:
        """Show the image with what is to be said about it."""
        lines = []
        if self.values and (multi or self.tone == "bad"):
            lines.append(f"tagged as {shown(list(self.values))}")
        if self.taught and self.tone != "good":
            said = (value if has else f"not {value}" for value, has in self.taught.items())
            lines.append(f"taught as {', '.join(said)}")
        if self.values:
            lines.append(f"confidence {percent(self.confidence)}")
        return Tile(source.files[0], short(source.files[0]), lines, self.tone, source)


@dataclass(frozen=True)
class Sheet:
    """All that a contact sheet is made of.

    Attributes
    ----------
    name, kind, values : of the attribute.
    tags : of the images.
    images : how many there are, with a tag or without.
    filtered : whether there are others.
    stored : gives an image by its id; asked for those that are shown.
    """

    name: str
    kind: str
    values: Sequence[str]
    tags: Sequence[SheetTag]
    images: int
    filtered: bool
    stored: Callable[[str], Stored]

    def write(self, file: Path, n: int) -> int:
        """Write the page; return how many images it shows, `n` per value at most.

        Raises
        ------
        InputError
            If there is no image.
        """
        if not self.images:
            raise InputError("no image matches the filters: there is nothing to show")
        groups = _grouped(self.tags, self.values)
        wrong = [tag for tag in self.tags if tag.tone == "bad"]
        multi = self.kind == "multi"
        sections = [
            _section(heading, some, self.stored, n, multi)
            for heading, some in [("Not as taught", wrong), *groups.items()]
            if some
        ]
        about = "that match the filters" if self.filtered else "in the catalogue"
        write_contact_sheet(
            file,
            title=f"Images by {self.name}",
            summary=[
                ("images", f"{self.images:,}", about),
                *_figures(self.tags, groups, self.images, multi),
            ],
            sections=sections,
        )
        return len({tile.image for section in sections for tile in section.tiles})


def _grouped(tags: Sequence[SheetTag], values: Sequence[str]) -> dict[str, list[SheetTag]]:
    """Group tags by value, the most confident first; large groups first, unknown last."""
    groups: dict[str, list[SheetTag]] = {value: [] for value in (*values, UNKNOWN)}
    for tag in sorted(tags, key=lambda tag: -tag.confidence):
        for value in tag.values or [UNKNOWN]:
            groups[value].append(tag)
    order = sorted(groups, key=lambda value: (value == UNKNOWN, -len(groups[value])))
    return {value: groups[value] for value in order}


def _section(
    heading: str, tags: Sequence[SheetTag], stored: Callable[[str], Stored], n: int, multi: bool
) -> Section:
    title, caption = f"{heading}: {counted(len(tags), 'image')}", ""
    if len(tags) > n:
        caption = f"{n} shown" if heading == UNKNOWN else f"{n} shown, from most to least confident"
        tags = [tags[i * (len(tags) - 1) // max(n - 1, 1)] for i in range(n)]
    tiles = [tag.tile(stored(tag.image), multi) for tag in tags]
    return Section(title, caption, tiles)


def _figures(
    tags: Sequence[SheetTag],
    groups: Mapping[str, Sequence[SheetTag]],
    images: int,
    multi: bool,
) -> Iterator[tuple[str, str, str]]:
    empty = [value for value, some in groups.items() if not some and value != UNKNOWN]
    about = "any number per image" if multi else "one per image"
    about = f"without images: {', '.join(empty)}" if empty else about
    yield "values", f"{len(groups) - 1:,}", about
    unknown = len(groups[UNKNOWN])
    yield UNKNOWN, f"{unknown:,}", f"{percent(unknown / max(len(tags), 1))} of the tagged images"
    if len(tags) < images:
        yield "not tagged", f"{images - len(tags):,}", "indexed after the last gingham tag"
    known = [tag for tag in tags if tag.taught]
    if known:
        right = sum(tag.tone == "good" for tag in known)
        about = "tagged as taught; expect less on images that were not taught"
        yield "examples", f"{right:,} of {len(known):,}", about
