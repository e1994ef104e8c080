"""`catalogue.json`: the format of a catalogue, and what made its features."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self
from urllib.parse import quote

from gingham.backbones.table import FeatureConfig
from gingham.errors import CatalogueError
from gingham.names import folder_name
from gingham.store.attached import AttachedLog
from gingham.store.examples import ExampleLog
from gingham.store.files import Files

NAME = "catalogue.json"
FORMAT = 4
"""Counts changes of how the truth is stored; each comes with a row of `MIGRATIONS`."""


def _allow_names_of_time(files: Files | None, state: dict[str, Any]) -> dict[str, Any]:
    """1 to 2: feature shards are named by time; numbered ones stay valid, and come first."""
    return state


def _allow_relative_names(files: Files | None, state: dict[str, Any]) -> dict[str, Any]:
    """2 to 3: files below the catalogue's home are named relative to it; absolute names stay."""
    return state | {"home": None}


def _rename_attribute_folders(files: Files | None, state: dict[str, Any]) -> dict[str, Any]:
    """3 to 4: folders of attributes are named by `folder_name`, no longer by the quoted name."""
    if files is None:
        return state
    there = set(files.list("attributes/"))
    names = {*ExampleLog(files).read(), *AttachedLog(files).current}
    folders = {folder_name(name) for name in names}
    for name in sorted(names):
        quoted = quote(name, safe=" ")
        if quoted in folders:
            continue
        old = f"attributes/{quoted}/"
        for file in sorted(one for one in there if one.startswith(old)):
            new = f"attributes/{folder_name(name)}/{file.removeprefix(old)}"
            if new not in there:
                with files.open(file) as content:
                    files.put(new, partial(shutil.copyfileobj, content))
            files.delete(file)
    return state


Migration = Callable[[Files | None, dict[str, Any]], dict[str, Any]]
MIGRATIONS: dict[int, Migration] = {
    1: _allow_names_of_time,
    2: _allow_relative_names,
    3: _rename_attribute_folders,
}
"""Format -> the step to the next one: given the files and the header, it gives the new header.

Without files, as where a catalogue can only be read, it gives the header alone, and what is derived
is made again in memory. A step may be killed and run again, so it must be able to finish what it
began.
"""


@dataclass(frozen=True)
class Header:
    """What is fixed when a catalogue is made.

    Attributes
    ----------
    config : what made the features.
    weights : the file of the weights; None for those that come with the backbone.
    home : the folder to which relative names of files refer; None if it is not known yet.
    made : tells one catalogue from another that was at the same address; None if it is an old one.
    """

    config: FeatureConfig
    weights: str | None
    home: str | None = None
    made: str | None = field(default=None, compare=False)

    @classmethod
    def read(cls, files: Files) -> Self:
        """Read the header of a catalogue, as `migrate` would leave it if it is of an older format.

        Raises
        ------
        CatalogueError
            If it is missing, damaged, or of an unknown format.
        """
        state = _read(files)
        while step := MIGRATIONS.get(state["format"]):
            state = step(None, state) | {"format": state["format"] + 1}
        try:
            config = FeatureConfig.from_dict(state["config"])
            return cls(config, state["weights"], state["home"], state.get("made"))
        except (KeyError, TypeError) as error:
            raise CatalogueError(f"{files}/{NAME} is damaged ({error!r})") from None

    def write(self, files: Files) -> None:
        """Write the header of a new catalogue.

        Raises
        ------
        CatalogueError
            If there is one already.
        """
        state = {"format": FORMAT, "config": self.config.to_dict(), "weights": self.weights}
        try:
            made = {} if self.made is None else {"made": self.made}
            _write(files, state | {"home": self.home} | made, if_absent=True)
        except FileExistsError:
            raise CatalogueError(
                f"{files} is already a catalogue: open it, or choose another folder"
            ) from None


def move_home(files: Files, home: str) -> None:
    """Write another home into the header of a catalogue; the caller must hold the lease."""
    _write(files, _read(files) | {"home": home})


def is_older(files: Files) -> bool:
    """Say whether a catalogue is of an older format, which `migrate` brings up to date."""
    return _read(files)["format"] in MIGRATIONS


def is_catalogue(files: Files) -> bool:
    """Say whether there is a catalogue."""
    try:
        files.open(NAME).close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def check_catalogue(files: Files) -> None:
    """Refuse what is no catalogue.

    Raises
    ------
    CatalogueError
        If there is none.
    """
    if not is_catalogue(files):
        raise CatalogueError(
            f"{files} is not a catalogue: create one with gingham index {files} SOURCE",
            path=str(files),
        )


def migrate(files: Files) -> None:
    """Bring a catalogue of an older format up to date; the caller must hold the lease.

    Raises
    ------
    CatalogueError
        If the header is missing, damaged, or of an unknown format.
    """
    state = _read(files)
    while step := MIGRATIONS.get(state["format"]):
        state = step(files, state) | {"format": state["format"] + 1}
        _write(files, state)


def _read(files: Files) -> dict[str, Any]:
    try:
        with files.open(NAME) as file:
            state = json.load(file)
    except OSError as error:
        raise CatalogueError(
            f"{files}/{NAME} cannot be read ({error.strerror}): check that it exists "
            "and that you may read it"
        ) from None
    except ValueError as error:
        raise CatalogueError(f"{files}/{NAME} is damaged ({error})") from None
    found = state.get("format") if isinstance(state, dict) else None
    if found not in (*MIGRATIONS, FORMAT):
        raise CatalogueError(
            f"catalogue {files} has format {found}, but this version of gingham reads formats "
            f"{min(MIGRATIONS)} to {FORMAT}: install the version that made it"
        )
    return dict(state)


def _write(files: Files, state: dict[str, Any], *, if_absent: bool = False) -> None:
    text = json.dumps(state, indent=1) + "\n"
    files.put(NAME, lambda file: file.write(text.encode()), if_absent=if_absent)
