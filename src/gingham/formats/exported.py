"""What a catalogue gives to be written for other programs: files with their tags, streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gingham.errors import InputError
from gingham.names import FILE_COLUMNS, NOT_APPLICABLE, UNKNOWN, printable, tag_columns

_TAGGED = "_tagged"


class ExportedTag(NamedTuple):
    """What an attribute says: its values, their confidence, and the best guess where none.

    What does not apply, by the catalogue's schema, has neither.
    """

    values: Sequence[str]
    confidence: float | None
    guess: Sequence[str] = ()
    applies: bool = True


@dataclass(frozen=True)
class ExportedFile:
    """A file, and the id of its image.

    Attributes
    ----------
    tags : attribute -> what it says.
    cells : the row of a table that it was joined with.
    point : where it is on a map.
    """

    image: str
    id: str
    tags: Mapping[str, ExportedTag]
    cells: Mapping[str, Any] = field(default_factory=dict)
    point: tuple[float, float] | None = None


@dataclass(frozen=True)
class Exported:
    """All files to be written.

    Attributes
    ----------
    kinds : attribute -> its kind.
    given : the columns of the table that was joined, without `image` and `id`.
    files : taken once.
    read : gives the bytes of an image; None: they are not here.
    """

    kinds: Mapping[str, str]
    given: Sequence[str]
    files: Iterator[ExportedFile]
    read: Callable[[str], bytes] | None = None

    def columns(self) -> dict[str, str]:
        """Name the columns of a plain table: column -> `text`, `texts` or `number`.

        An attribute that is called as a column that was given has columns `NAME_tagged`.

        Raises
        ------
        InputError
            If columns would be called alike.
        """
        columns = dict.fromkeys([*FILE_COLUMNS, *self.given], "text")
        for name, kind in self.kinds.items():
            value, confidence, guess = self._named(name)
            if hidden := {value, confidence, guess} & columns.keys():
                raise InputError(
                    f"attribute {name!r} needs a column {min(hidden)!r}, which is there already; "
                    "teach it under another name, and forget this one"
                )
            texts = "texts" if kind == "multi" else "text"
            columns |= {value: texts, confidence: "number", guess: texts}
        return columns

    def _named(self, attribute: str) -> tuple[str, str, str]:
        return tag_columns(attribute + _TAGGED if attribute in self.given else attribute)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Give the rows of a plain table."""
        for one in self.files:
            # A name that is not UTF-8 cannot stand in a table of text as it is.
            row = {**one.cells, "image": printable(one.image), "id": one.id}
            for attribute, tag in one.tags.items():
                multi = self.kinds[attribute] == "multi"
                none = UNKNOWN if tag.applies else NOT_APPLICABLE
                said = (list(tag.values) or [none]) if multi else (*tag.values, none)[0]
                guess = (list(tag.guess) or None) if multi else next(iter(tag.guess), None)
                sure = tag.confidence if tag.values else None
                row |= zip(self._named(attribute), (said, sure, guess), strict=True)
            yield row
