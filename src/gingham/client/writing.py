"""What a served catalogue is asked for and written to files here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gingham.attributes.attribute import chosen_names
from gingham.client.connection import Connection
from gingham.client.cutting import cut_query
from gingham.client.reading import RemoteReading
from gingham.errors import ImageError, InputError
from gingham.formats.exported import ExportedFile, ExportedTag
from gingham.names import NOT_APPLICABLE, UNKNOWN
from gingham.operations.export import Arrangement, write_export
from gingham.operations.frames import Frames
from gingham.operations.review_sheet import check_review_folder, write_review
from gingham.operations.sheet import Sheet, SheetTag, check_sheet, untagged
from gingham.review_results import ReviewOrder, ReviewResult
from gingham.schema.hierarchy import Hierarchy
from gingham.schema.schema import SchemaAttribute

_TILE = 480
"""Pixels of the longer side of a picture that is asked for; a sheet shows half of it."""


@dataclass(frozen=True)
class RemoteImage:
    """An image of the catalogue; its picture is asked for when it is read."""

    server: Connection
    id: str
    files: Sequence[str]

    def read(self) -> bytes:
        """Ask for a small copy.

        Raises
        ------
        ImageError
            If the server has none.
        """
        route = f"/v1/images/{self.id}/thumbnail"
        try:
            return self.server.fetch("GET", route, [("size", str(_TILE))])
        except (ImageError, InputError) as error:
            raise ImageError(str(error)) from None


class RemoteWriting(RemoteReading, Frames):
    """The methods of `RemoteCatalogue` that write a file here."""

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
        """Write a table of all files to a file here; see `Catalogue.export`.

        Whether the files are there is not known: those that are missing are not left out.
        """
        cutoff = cut_query(min_confidence, at_precision)
        there = self.info().attributes
        kinds = {x: one.kind for x, one in there.items() if one.tagged or not one.built_in}
        files: Iterator[ExportedFile] = (
            ExportedFile(name, one["id"], _tags(one, kinds))
            for one in self._listed(cutoff=cutoff)
            for name in (one["image"], *one["copies"])
        )
        known: dict[str, ExportedFile] = {}
        if join is not None:
            known = {one.image: one for one in files}
            files = iter(())
        arrangement = Arrangement(form, Path(join) if join else None, join_key, relative, answered)
        return write_export(Path(file), kinds, files, known.get, arrangement)

    def sheet(
        self,
        file: str | os.PathLike[str],
        attribute: str,
        *,
        where: Sequence[str] = (),
        n: int = 16,
    ) -> int:
        """Write a page of images to a file here; see `Catalogue.sheet`."""
        check_sheet(Path(file), n)
        known = self.info().attributes
        chosen_names(list(known), [attribute])
        about = known[attribute]
        if not about.tagged:
            raise untagged(attribute)
        there = {one["id"]: one for one in self._listed(where)}
        not_applicable = (NOT_APPLICABLE, [NOT_APPLICABLE])
        there = {
            image: one
            for image, one in there.items()
            if one["attributes"].get(attribute) not in not_applicable
        }
        parents = self.schema.attributes.get(attribute, SchemaAttribute()).parents
        taught = {one["id"]: one["values"] for one in self._examples(attribute)}
        sheet = Sheet(
            attribute,
            about.kind,
            Hierarchy(about.values, parents).names,
            [
                SheetTag(
                    image,
                    _values(one["attributes"][attribute]),
                    one["confidence"].get(attribute, 0.0),
                    taught.get(image, {}),
                )
                for image, one in there.items()
                if attribute in one["attributes"]
            ],
            len(there),
            bool(where),
            lambda image: RemoteImage(
                self._server, image, (there[image]["image"], *there[image]["copies"])
            ),
        )
        return sheet.write(Path(file), n)

    def review_sheet(
        self,
        folder: str | os.PathLike[str],
        attribute: str,
        *,
        order: ReviewOrder = "useful",
        n: int = 20,
    ) -> ReviewResult:
        """Write what to label next to a folder here, by ids; see `Catalogue.review_sheet`."""
        check_review_folder(Path(folder))
        found = self.review(attribute, order=order, n=n)
        write_review(
            Path(folder),
            attribute,
            found,
            lambda one: RemoteImage(self._server, one.id, (one.image,)),
            by_id=True,
        )
        return found


def _values(value: str | list[str]) -> list[str]:
    """Give the values of a tag; none: unknown."""
    names = value if isinstance(value, list) else [value]
    return [name for name in names if name not in (UNKNOWN, NOT_APPLICABLE)]


def _tags(one: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, ExportedTag]:
    return {
        name: ExportedTag(
            _values(value),
            one["confidence"].get(name),
            _values(one["best_guess"].get(name, UNKNOWN)),
            value not in (NOT_APPLICABLE, [NOT_APPLICABLE]),
        )
        for name, value in one["attributes"].items()
        if name in kinds
    }
