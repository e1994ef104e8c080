"""The page of a verdict: how good an attribute is, its values, and pictures that it confuses."""

from __future__ import annotations

import os
from pathlib import Path

from gingham.report.kit import percent, short, thumbnail, write_page
from gingham.results import Verdict

MOST = 24
"""Pairs of values that are shown."""
_SIDE = 240


def write_verdict(path: str | os.PathLike[str], attribute: str, verdict: Verdict) -> None:
    """Write a self-contained page, whole or not at all.

    Parameters
    ----------
    path : where to write it; a file there is replaced, by a rename after fsync.
    attribute : its name.
    verdict : of `gingham.results.TeachResult` or `AttributeInfo`.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    cards = [
        ("Right", f"{verdict.right} of {verdict.tested}", "held-out examples"),
        (
            "Can be answered",
            percent(verdict.answered),
            f"if {percent(verdict.precision)} of the answers must be right",
        ),
    ]
    if verdict.first_tested:
        first = f"{verdict.first_right} of {verdict.first_tested}"
        cards.append(("Taught first", first, "hard examples that came later lower the figures"))
    shown = verdict.confusions[:MOST]
    write_page(
        Path(path),
        "verdict.html",
        title=attribute,
        verdict=verdict,
        cards=cards,
        values=[
            (one.value, str(one.tested), str(one.right), percent(one.right / max(one.tested, 1)))
            for one in verdict.values
        ],
        shown=shown,
        names={image: short(image) for one in shown for image in one.images},
        pictures={image: thumbnail(image, _SIDE) for one in shown for image in one.images},
    )
