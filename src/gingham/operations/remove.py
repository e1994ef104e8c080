"""Images taken out of a catalogue."""

from __future__ import annotations

import os
from collections.abc import Iterable

from gingham.errors import InputError
from gingham.extract import absolute
from gingham.store.truth import Truth


def remove(truth: Truth, images: Iterable[str | os.PathLike[str]], catalogue: str) -> int:
    """Remove images; see `Catalogue.remove`."""
    names: dict[str, None] = {}
    for image in images:
        name = os.fspath(image)
        if (image_id := truth.image_id(name)) is not None:
            names |= dict.fromkeys(truth.locations.images[image_id])
        elif absolute(name) in truth.locations.files:
            names[absolute(name)] = None
        else:
            raise InputError(f"{name} is not in catalogue {catalogue}: nothing was removed")
    truth.locations.append([(name, None) for name in names])
    return len(names)
