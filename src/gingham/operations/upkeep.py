"""What keeps a catalogue in order: files removed or moved, checks, and a new start of the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from gingham.backbones.image_text import ModelName
from gingham.errors import InputError
from gingham.index.place import IndexPlace
from gingham.operations.compact import compact
from gingham.operations.history import recording
from gingham.operations.info import info
from gingham.operations.opening import OpenCatalogue, asking, changing
from gingham.operations.prune import prune
from gingham.operations.relocate import relocate
from gingham.operations.remove import remove
from gingham.operations.text_look import read_texts
from gingham.options import DEFAULTS, ReadOptions
from gingham.schema.schema import Schema
from gingham.upkeep_results import CompactResult, Info, PruneResult, RelocateResult, TextLookResult


class Upkeep(OpenCatalogue):
    """The methods of `gingham.Catalogue` about the catalogue itself, not what its images show."""

    @asking
    def info(self) -> Info:
        """Say what the catalogue holds."""
        found = info(self.address, self.folder, self._truth, self._attributes, self._searcher.looks)
        return replace(found, index=self._kept.place.shown)

    @property
    @asking
    def schema(self) -> Schema:
        """What attributes and values mean; an empty one if none was set."""
        return self._truth.schema.current

    @changing
    def set_schema(self, schema: Schema | str | os.PathLike[str]) -> dict[str, list[str]]:
        """Set what attributes and values mean, in place of what was set before.

        Parameters
        ----------
        schema : or its TOML file (docs/schema.md). It may name attributes that are not taught yet.

        Returns
        -------
        Attribute -> which values are below another one now, of those that another hierarchy has
        tagged: they have no tags until `tag` is called.

        Raises
        ------
        InputError
            If the file cannot be read, or what it says cannot be meant; then nothing is changed.
        """
        given = schema if isinstance(schema, Schema) else Schema.read(Path(schema))
        former = self._truth.schema.current
        names = self._attributes.answering()
        tagged = [name for name in names if self._attributes.tagged(name) is not None]
        if given != former:
            with self._searching, recording(self._truth, "schema"):
                self._truth.schema.append(given)
        untagged = [name for name in tagged if self._attributes.tagged(name) is None]
        return {name: given.moved(former, name) for name in untagged}

    def text_look(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        remove: bool = False,
        options: ReadOptions = DEFAULTS,
    ) -> TextLookResult:
        """Give the catalogue a look `text`, by which words find images; see `search`.

        Every image is read once more, by a model of images and words of open_clip (the extra
        `text`), and its vector kept beside the features. An interrupted run resumes, and `index`
        reads what is added for this look, too.

        Parameters
        ----------
        model : a name of open_clip (`ViT-B-32`), `hf-hub:ORGANISATION/NAME`, or the folder of a
            model with its `open_clip_config.json` and weights; its image tower may be one of timm.
            Another model than before reads all images again. None: the one there is reads what it
            lacks.
        weights : of a name of open_clip: a file, or a tag of its own (`laion2b_s34b_b79k`), which
            is downloaded once.
        remove : take the look away; its vectors are deleted by `compact`.
        options : see `index`.

        Raises
        ------
        InputError
            If no model is named and there is none, or weights are given to what has its own.
        BackboneError
            If the model cannot be had, or does not fit its weights; then nothing is changed.
        MissingExtraError
            If open_clip is not installed.
        """
        if remove and (model is not None or weights is not None):
            raise InputError("remove takes the look text away: leave the model out")
        if weights is not None and model is None:
            raise InputError("weights are those of a model: name it, too")
        asked = None if model is None else ModelName.asked(os.fspath(model), weights)
        with self._changing(), self._indexing:
            if remove:
                with recording(self._truth, "text-look", detail=": none"):
                    self._truth.text.drop()
                return TextLookResult(None)
            if asked is not None:
                with recording(self._truth, "text-look", detail=f": {asked.called}"):
                    self._truth.text.set(asked)
            return read_texts(self._truth, options)

    @asking
    def verify(self) -> list[str]:
        """Check every file of the catalogue; return what is damaged or inconsistent."""
        with self._searching:
            return self._truth.verify() or self._attributes.verify() + self._searcher.verify()

    @asking
    def missing(self) -> list[str]:
        """List the files that have left the disk, or lie on one that is not there now.

        The catalogue is sound without them: searches still find their images.
        """
        return self._truth.locations.missing()

    @changing
    def rebuild(self, *, index: str | None = None) -> None:
        """Rebuild everything derived: the attributes from the examples, and the index.

        Parameters
        ----------
        index : keep the index there from now on; see `create`. One that was kept in a database
            stays there until somebody drops its schema.

        Raises
        ------
        CatalogueError, ServerError
            If the index cannot be kept there; then it stays where it is.
        """
        self._attributes.rebuild()
        if index is None:
            self._publish(anew=True)
        else:
            self._move_index(index)

    def _move_index(self, index: str) -> None:
        """Make the index anew elsewhere, then let all search it there; see `rebuild`."""
        place = IndexPlace.at(index, self._kept.place.owner or None)
        home, left = self._kept.at(place), self._kept.home()
        with self._turn:
            self._searcher.synced.publish(home, anew=True)
            with self._searching:
                self._searcher.synced.close()
                self._kept.move(place, home)
            if left.name != home.name:
                left.leave()

    @changing
    def compact(self) -> CompactResult:
        """Write many small files of features as few large ones, without those of removed images.

        The features of images that are neither in the catalogue nor examples of an attribute are
        deleted for good, with what is derived of them, and their files where they were uploaded:
        they cannot be brought back by `undo`. Readers go on meanwhile; it may be killed at any
        moment, and run again.

        Raises
        ------
        CatalogueError
            If a file of features is damaged; nothing of it is lost.
        """
        result, deleted = compact(self._truth, self._attributes)
        if deleted:
            # What an index leaves out is still in its files.
            self._publish(anew=True)
        return result

    @changing
    def remove(self, images: Iterable[str | os.PathLike[str]]) -> int:
        """Remove images, not their files on disk; return the number of files removed.

        Parameters
        ----------
        images : files as they were indexed, or ids (64 hexadecimal digits: all files of it).

        Raises
        ------
        InputError
            If one is not in the catalogue; then none is removed.
        """
        with recording(self._truth, "remove"):
            return remove(self._truth, images, self.address)

    @changing
    def relocate(self, old: str | os.PathLike[str], new: str | os.PathLike[str]) -> RelocateResult:
        """Follow files that were moved: know those below one folder by their paths below another.

        Parameters
        ----------
        old : the folder (or file) where they were; it need not be there any more.
        new : the folder (or file) where they are.

        Raises
        ------
        InputError
            If `new` is not there, no file of the catalogue lies below `old`, or none of them is
            found below `new`; then nothing is changed.
        """
        with recording(self._truth, "relocate"):
            return relocate(self._truth, old, new)

    def prune(self, *, dry_run: bool = False, everything: bool = False) -> PruneResult:
        """Remove the files that are missing; see `missing`.

        Their features are kept, so images that are indexed again are not read by the network.

        Parameters
        ----------
        dry_run : only say which.
        everything : also if no file is there at all. It is refused otherwise: the disk may only
            not be mounted.

        Raises
        ------
        InputError
            If all files are missing, without `everything`; then nothing is removed.
        """
        if dry_run:
            self._refresh()
            return prune(self._truth, self.address, dry_run=True, everything=everything)
        with self._changing(), self._turn, recording(self._truth, "prune"):
            return prune(self._truth, self.address, dry_run=False, everything=everything)
