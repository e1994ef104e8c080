"""What a catalogue holds, in figures."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from gingham.attributes.registry import Attributes
from gingham.backbones.preprocess import Reading
from gingham.store.truth import Truth
from gingham.upkeep_results import AttributeInfo, Info, TextLookInfo

DERIVED = ("attributes", "index", "maps", "places")
"""Folders of a catalogue besides its truth."""


def info(
    address: str,
    folder: Path,
    truth: Truth,
    attributes: Attributes,
    looks: Sequence[str],
    tagged: Callable[[str], int] | None = None,
) -> Info:
    """Summarise a catalogue; see `Catalogue.info`.

    Parameters
    ----------
    tagged : gives the number of images that an attribute has tagged; None: they are counted.
    """
    tagged = tagged or attributes.tagged_count
    read = truth.preprocess
    return Info(
        catalogue=address,
        images=len(truth.locations.images),
        files=len(truth.locations.files),
        backbone=truth.config.backbone,
        view=Reading.of(read).view,
        resolution=read.size,
        precision=truth.config.precision,
        fingerprint=truth.config.fingerprint,
        layers={layer.name: layer.channels for layer in truth.config.layers},
        looks=tuple(looks),
        attributes={
            name: attribute_info(name, attributes, tagged(name)) for name in attributes.answering()
        },
        bytes=truth.size + sum(bytes_below(folder / derived) for derived in DERIVED),
        products=truth.products.count,
        text=_text_look(truth),
    )


def _text_look(truth: Truth) -> TextLookInfo | None:
    if (current := truth.text.current) is None:
        return None
    return TextLookInfo(current.name.called, truth.text.count(truth.locations))


def bytes_below(folder: Path) -> int:
    """Add up the sizes of the files in a folder; others may write and delete there meanwhile."""
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                total += Path(parent, name).stat().st_size
    return total


def attribute_info(name: str, attributes: Attributes, tagged: int) -> AttributeInfo:
    """Summarise an attribute, with the number of images that it has tagged."""
    taught, attached = attributes.taught().get(name), attributes.attached.get(name)
    return AttributeInfo(
        attributes.kind(name),
        attributes.values(name),
        len(taught.examples) if taught else 0,
        () if attached else attributes.get(name).layers,
        tagged,
        attached.model if attached else None,
        name in attributes.built_in,
        attributes.taught_attribute(name).verdict if taught and not attached else None,
    )
