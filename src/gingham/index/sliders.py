"""Sliders as a user writes them: a look and its weight, as in ``colour=1``."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gingham.errors import InputError
from gingham.names import composed


def parse_looks(texts: Iterable[str]) -> dict[str, float]:
    """Read several sliders, each as `parse_look`: look -> weight.

    Raises
    ------
    InputError
        If one cannot be read, or a look comes twice.
    """
    weights: dict[str, float] = {}
    for name, weight in map(parse_look, texts):
        if name in weights:
            raise InputError(f"look {name} is given twice: give one weight for it")
        weights[name] = weight
    return weights


def parse_look(text: str) -> tuple[str, float]:
    """Read a slider such as ``colour=1`` or ``attribute:neckline=0.5``.

    Returns
    -------
    The look's name and its weight; whether there is such a look, `LookSpace.check` says.

    Raises
    ------
    InputError
        If the text is not LOOK=WEIGHT, or the weight is not a finite number.
    """
    name, _, number = text.rpartition("=")
    try:
        weight = float(number)
    except ValueError:
        weight = np.nan
    if not name or not np.isfinite(weight):
        raise InputError(f"a look is written LOOK=WEIGHT, as in colour=1; got {text!r}")
    return composed(name), weight
