"""A contact sheet of the catalogue: its images, grouped by their tag of one attribute."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gingham.attributes.registry import Attributes
from gingham.errors import InputError
from gingham.index.filters import UNKNOWN
from gingham.report.kit import counted, percent, short
from gingham.report.sheet import Section, Tile, Tone, write_contact_sheet
from gingham.results import shown
from gingham.store.features import ImageId
from gingham.store.truth import Truth


def write_sheet(
    file: Path,
    truth: Truth,
    attributes: Attributes,
    name: str,
    matching: Collection[str] | None,
    n: int,
) -> int:
    """Write the contact sheet of one attribute; see `Catalogue.sheet`.

    Parameters
    ----------
    file : the page.
    truth, attributes : of the catalogue.
    name : of the attribute.
    matching : ids of the images that pass the filters, in hexadecimal; None if there are none.
    n : images to show per value.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    if file.suffix.lower() != ".html":
        raise InputError(f"contact sheet {file}: expected a name that ends in .html")
    if not file.parent.is_dir():
        raise InputError(f"contact sheet {file}: there is no folder {file.parent}; create it first")
    attributes.check([name])
    if attributes.tagged(name) is None:
        raise InputError(f"attribute {name!r} is not tagged yet: run gingham tag first")
    live = {i for i, _ in truth.locations.image_files() if matching is None or i.hex() in matching}
    if not live:
        raise InputError("no image matches the filters: there is nothing to show")
    said = attributes.taught().get(name)
    taught = {one.id: one.values for one in said.examples} if said else {}
    tags = [
        _Tag(image, values, confidence, taught.get(image, {}))
        for image, values, confidence in attributes.predictions(name)
        if image in live
    ]
    groups = _grouped(tags, attributes.values(name))
    wrong = [tag for tag in tags if tag.tone == "bad"]
    multi = attributes.kind(name) == "multi"
    sections = [
        _section(heading, some, truth, n, multi)
        for heading, some in [("Not as taught", wrong), *groups.items()]
        if some
    ]
    images = "in the catalogue" if matching is None else "that match the filters"
    write_contact_sheet(
        file,
        title=f"Images by {name}",
        summary=[
            ("images", f"{len(live):,}", images),
            *_figures(tags, groups, len(live), multi),
        ],
        sections=sections,
    )
    return len({tile.image for section in sections for tile in section.tiles})


@dataclass(frozen=True)
class _Tag:
    """What an image was tagged with (no value: unknown), and what is known about it."""

    image: ImageId
    values: list[str]
    confidence: float
    taught: Mapping[str, bool]

    @property
    def tone(self) -> Tone:
        if not self.values:
            return "unknown"
        if not self.taught:
            return "plain"
        right = all((value in self.values) == has for value, has in self.taught.items())
        return "good" if right else "bad"

    def tile(self, truth: Truth, multi: bool) -> Tile:
        source = truth.stored(self.image)
        lines = []
        if self.values and (multi or self.tone == "bad"):
            lines.append(f"tagged as {shown(self.values)}")
        if self.taught and self.tone != "good":
            said = (value if has else f"not {value}" for value, has in self.taught.items())
            lines.append(f"taught as {', '.join(said)}")
        if self.values:
            lines.append(f"confidence {percent(self.confidence)}")
        return Tile(source.files[0], short(source.files[0]), lines, self.tone, source)


def _grouped(tags: Sequence[_Tag], values: Sequence[str]) -> dict[str, list[_Tag]]:
    """Group tags by value, the most confident first; large groups first, unknown last."""
    groups: dict[str, list[_Tag]] = {value: [] for value in (*values, UNKNOWN)}
    for tag in sorted(tags, key=lambda tag: -tag.confidence):
        for value in tag.values or [UNKNOWN]:
            groups[value].append(tag)
    order = sorted(groups, key=lambda value: (value == UNKNOWN, -len(groups[value])))
    return {value: groups[value] for value in order}


def _section(heading: str, tags: Sequence[_Tag], truth: Truth, n: int, multi: bool) -> Section:
    title, caption = f"{heading}: {counted(len(tags), 'image')}", ""
    if len(tags) > n:
        caption = f"{n} shown" if heading == UNKNOWN else f"{n} shown, from most to least confident"
        tags = [tags[i * (len(tags) - 1) // max(n - 1, 1)] for i in range(n)]
    tiles = [tag.tile(truth, multi) for tag in tags]
    return Section(title, caption, tiles)


def _figures(
    tags: Sequence[_Tag], groups: Mapping[str, Sequence[_Tag]], images: int, multi: bool
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
