"""The quantised network of a catalogue: its features cannot be computed by another."""

from __future__ import annotations

import zipfile
import zlib
from typing import BinaryIO

from gingham.backbones.quantised import QuantisedNetwork
from gingham.errors import CatalogueError
from gingham.store.files import Files

NAME = "network.zip"
_GRAPH, _WEIGHTS = "network.xml", "network.bin"


def write_network(files: Files, network: QuantisedNetwork) -> None:
    """Write it; it is durable when this returns."""

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(_GRAPH, network.graph)
            archive.writestr(_WEIGHTS, network.weights)

    files.put(NAME, write)


def read_network(files: Files) -> QuantisedNetwork:
    """Read it.

    Raises
    ------
    CatalogueError
        If it is missing or damaged.
    """
    try:
        with files.open(NAME) as file, zipfile.ZipFile(file) as archive:
            return QuantisedNetwork(archive.read(_GRAPH), archive.read(_WEIGHTS))
    except (FileNotFoundError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise CatalogueError(
            f"{files}/{NAME} is missing or damaged ({error}): restore it from a copy; without it "
            "no image can be read as those of this catalogue"
        ) from None
