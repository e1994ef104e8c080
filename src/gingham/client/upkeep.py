"""What works on a catalogue's folder, and is refused over HTTP with a word on where to run it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from gingham.client.changing import RemoteChanging
from gingham.errors import InputError
from gingham.operations.choosing import By
from gingham.operations.frames import FeatureTable
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import AttachResult
from gingham.upkeep_results import CompactResult, PruneResult, RelocateResult, TextLookResult


class RemoteUpkeep(RemoteChanging):
    """The methods of `gingham.Catalogue` that a served one does not have.

    Each raises `InputError`.
    """

    @classmethod
    def create(cls, folder: str | os.PathLike[str], **settings: Any) -> NoReturn:
        """Refuse; see `Catalogue.create`."""
        raise InputError(f"a server makes no catalogue: use gingham.Catalogue.create({folder!r})")

    @classmethod
    def open(cls, folder: str | os.PathLike[str], **settings: Any) -> NoReturn:
        """Refuse; see `Catalogue.open`."""
        raise InputError(
            f"a server has its catalogue open: use gingham.connect(url), or "
            f"gingham.Catalogue.open({folder!r}) where the folder is"
        )

    def attach(
        self, model: str | os.PathLike[str], *, attributes: Sequence[str] | None = None
    ) -> AttachResult:
        """Refuse; see `Catalogue.attach`."""
        raise InputError(
            f"{self.url} takes no model: attach {os.fspath(model)} where the catalogue's folder is"
        )

    def compact(self) -> CompactResult:
        """Refuse; see `Catalogue.compact`."""
        self._refuse("compact")

    def missing(self) -> list[str]:
        """Refuse; see `Catalogue.missing`."""
        self._refuse("missing")

    def prune(self, *, dry_run: bool = False, everything: bool = False) -> PruneResult:
        """Refuse; see `Catalogue.prune`."""
        self._refuse("prune")

    def rebuild(self, *, index: str | None = None) -> None:
        """Refuse; see `Catalogue.rebuild`."""
        self._refuse("rebuild")

    def relocate(self, old: str | os.PathLike[str], new: str | os.PathLike[str]) -> RelocateResult:
        """Refuse; see `Catalogue.relocate`."""
        self._refuse("relocate")

    def features(
        self, layers: Sequence[str] | None = None, *, images: Sequence[str] | None = None
    ) -> FeatureTable:
        """Refuse; see `Catalogue.features`."""
        raise InputError(
            f"{self.url} gives no features: call it on gingham.Catalogue.open(FOLDER) on that "
            "machine, which may be served meanwhile"
        )

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
        """Refuse; see `Catalogue.similar`."""
        raise InputError(
            "similar looks at every image of a catalogue's folder, not over HTTP: call it on "
            "gingham.Catalogue.open(FOLDER) on that machine, which may be served meanwhile"
        )

    def text_look(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        remove: bool = False,
        options: ReadOptions = DEFAULTS,
    ) -> TextLookResult:
        """Refuse; see `Catalogue.text_look`."""
        self._refuse("text_look")

    def verify(self) -> list[str]:
        """Refuse; see `Catalogue.verify`."""
        self._refuse("verify")

    def _refuse(self, name: str) -> NoReturn:
        raise InputError(
            f"{name} works on a catalogue's folder, not over HTTP: stop {self.url}, and call it on "
            "gingham.Catalogue.open(FOLDER) on that machine"
        )
