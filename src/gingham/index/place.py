"""`index.json`: where the index of a catalogue is kept, and by which name it knows its own."""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import dataclass
from os import PathLike
from typing import Self

from gingham.errors import CatalogueError
from gingham.index.address import EMBEDDED, IndexAddress, parse_address
from gingham.store.files import Files

logger = logging.getLogger(__name__)

NAME = "index.json"


@dataclass(frozen=True)
class IndexPlace:
    """Where the index of a catalogue is kept.

    Attributes
    ----------
    address : of a database; None for the catalogue's folder.
    owner : what a database notes beside the index, so that no other catalogue changes it.
    """

    address: IndexAddress | None
    owner: str

    @classmethod
    def at(cls, index: str, owner: str | None = None) -> Self:
        """Take what a user gives: `embedded` or an address.

        Raises
        ------
        InputError
            If it is neither.
        """
        return cls(parse_address(index), owner or secrets.token_hex(16))

    @classmethod
    def read(cls, files: Files) -> Self:
        """Read it; a catalogue that does not say has its index in its folder.

        Raises
        ------
        CatalogueError
            If the file is damaged.
        """
        try:
            with files.open(NAME) as file:
                kept = json.load(file)
        except FileNotFoundError:
            return cls(None, "")
        except ValueError as error:
            raise _damaged(files, error) from None
        try:
            return cls(parse_address(kept["index"]), kept["owner"])
        except (TypeError, KeyError, ValueError) as error:
            raise _damaged(files, error) from None

    def write(self, files: Files) -> None:
        """Keep it, without a password."""
        text = json.dumps({"index": self.shown, "owner": self.owner}, indent=1) + "\n"
        files.put(NAME, lambda file: file.write(text.encode()))
        if self.address is not None and self.address.has_password:
            logger.warning(
                "the password of the index at %s is not kept: %s", self.shown, self.address.how
            )

    @property
    def shown(self) -> str:
        """What is kept and printed of it."""
        return EMBEDDED if self.address is None else self.address.shown

    def is_at(self, other: IndexPlace) -> bool:
        """Say whether both are the same place, whoever asks there."""
        here, there = (one.address and one.address.place for one in (self, other))
        return here == there

    def check(self, index: str, catalogue: str | PathLike[str]) -> Self:
        """Take what a user gives for the index that there is, perhaps with a login of its own.

        Raises
        ------
        CatalogueError
            If the index is kept elsewhere.
        """
        given = type(self).at(index, self.owner)
        if not given.is_at(self):
            raise CatalogueError(
                f"catalogue {catalogue} keeps its index at {self.shown}, not {given.shown}: leave "
                "--index out, or move it with gingham rebuild --index"
            )
        return given


def _damaged(files: Files, error: Exception) -> CatalogueError:
    return CatalogueError(
        f"{files}/{NAME} is damaged ({error!r}): delete it, then run gingham rebuild CATALOGUE, "
        "with --index if the index is kept in a database"
    )
