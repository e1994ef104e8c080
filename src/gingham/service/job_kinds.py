"""What jobs may be asked to do; each can be begun again at any moment, and comes to the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from gingham.errors import InputError
from gingham.object_storage import is_object_address
from gingham.options import ReadOptions
from gingham.service.schemas import AtPrecision, LeastConfidence, Name
from gingham.service.served import ServedCatalogue


class TagJob(BaseModel):
    """Apply attributes to every image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["tag"]
    attributes: Annotated[list[Name], Field(min_length=1, max_length=256)] | None = Field(
        None, description="Only these; by default all."
    )
    min_confidence: LeastConfidence = None
    at_precision: AtPrecision = None

    def check(self, catalogue: ServedCatalogue) -> None:
        """Refuse what cannot be done.

        Raises
        ------
        InputError
            If an attribute is not there, or there is none.
        """
        catalogue.check_attributes(self.attributes)

    def run(self, catalogue: ServedCatalogue, options: ReadOptions) -> dict[str, Any]:
        """Do it, an attribute at a time, so that changes get their turn in between."""
        said: dict[str, Any] = {"attributes": {}, "failed": []}
        for name in catalogue.check_attributes(self.attributes):
            done = catalogue.tag(
                [name],
                min_confidence=self.min_confidence,
                at_precision=self.at_precision,
                options=options,
            )
            said["attributes"] |= done.attributes
            said["failed"] += [one.to_dict() for one in done.failures]
        return said


class IndexJob(BaseModel):
    """Add the images of folders and files on the server."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["index"]
    sources: Annotated[list[Name], Field(min_length=1, max_length=100)] = Field(
        description="Folders, image files or tables, relative to the folder in which the catalogue "
        "lies; none outside it."
    )

    def check(self, catalogue: ServedCatalogue) -> None:
        """Refuse what cannot be done.

        Raises
        ------
        InputError
            If a source lies elsewhere or is not there.
        """
        self._paths(catalogue)

    def run(self, catalogue: ServedCatalogue, options: ReadOptions) -> dict[str, Any]:
        """Do it; what is in the catalogue already is not read again."""
        done = catalogue.index(self._paths(catalogue), options=options).to_dict()
        names = ("added", "unchanged", "failed", "images", "seconds")
        return {name: done[name] for name in names}

    def _paths(self, catalogue: ServedCatalogue) -> list[Path]:
        if is_object_address(catalogue.address):
            raise InputError(
                "sources cannot be named for a catalogue in object storage: upload the images, or "
                f"run gingham index {catalogue.address} SOURCE"
            )
        home = catalogue.folder.resolve().parent
        found = []
        for source in self.sources:
            try:
                path = (home / source).resolve(strict=True)
            except (OSError, ValueError, RuntimeError):
                path = None
            if path is None or not path.is_relative_to(home):
                raise InputError(
                    f"source {source!a}: there is no such folder or file below the folder in which "
                    "the catalogue lies; give its path relative to that folder"
                )
            found.append(path)
        return found


class MapJob(BaseModel):
    """Draw a map that keeps neighbours together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["map"]
    look: Name = Field(description="A look, or `attribute:NAME`.")

    def check(self, catalogue: ServedCatalogue) -> None:
        """Refuse what cannot be done.

        Raises
        ------
        InputError
            If there is no such look, or too few images.
        MissingExtraError
            If umap-learn is not installed.
        """
        catalogue.check_arrangeable(self.look)

    def run(self, catalogue: ServedCatalogue, options: ReadOptions) -> dict[str, Any]:
        """Do it; until then, and if it is cancelled, the map is as it was."""
        drawn = catalogue.arrange_map(self.look, options.progress)
        return {"look": drawn.look, "method": drawn.method, "images": len(drawn.ids)}


class JobAsked(RootModel[Annotated[TagJob | IndexJob | MapJob, Field(discriminator="kind")]]):
    """A job, by its kind."""
