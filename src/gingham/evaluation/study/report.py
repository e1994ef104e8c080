"""The page of a study: everything inside one file, each picture once, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gingham.evaluation.study.reduction import GALLERY
from gingham.evaluation.study.sections import Sections
from gingham.options import ReadOptions
from gingham.report.kit import short, thumbnail, write_page

THUMBNAIL = 112
MOST_THUMBNAILS = 4000
MOST_NOTES = 20

SECTIONS = (
    ("Accuracy by layer", "accuracy"),
    ("Clusters by layer", "clusters"),
    ("Maps by layer", "maps"),
    ("Fewer dimensions", "dimensions"),
    ("Search", "search"),
    ("Confusions", "confusions"),
    ("Cost", "cost"),
)


def write_report(path: Path, found: Mapping[str, Any], options: ReadOptions) -> None:
    """Write the page of a study, whole or not at all.

    Parameters
    ----------
    path : where to; a file there is replaced.
    found : see `gingham.evaluation.study.experiments.run_experiments`.
    options : see `gingham.ReadOptions`.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    shown = list(dict.fromkeys(_shown(found)))
    files = [found["files"][row] for row in shown]
    pictures = []
    for done, file in enumerate(files[:MOST_THUMBNAILS], 1):
        pictures.append(thumbnail(file, THUMBNAIL, max_pixels=options.max_pixels, quality=68))
        options.progress("draw", done, min(len(files), MOST_THUMBNAILS))
    *names, last = found["attributes"]
    seen = f"{', '.join(names)} and {last}" if names else last
    write_page(
        path,
        "study.html",
        title=f"Which hidden layer sees {seen}?",
        found=found,
        page=Sections(found, {row: place for place, row in enumerate(shown)}),
        sections=SECTIONS,
        pictures=pictures,
        names=[short(file) for file in files],
        gallery=GALLERY,
        most_notes=MOST_NOTES,
    )


def _shown(found: Mapping[str, Any]) -> Iterable[int]:
    # Maps come last: where there are too many images for the page, a point can do without.
    for sheet in found["sheets"]:
        yield sheet["query"]
        for rows in sheet["found"].values():
            yield from rows
    for pair in found["pairs"]:
        for rows in pair["images"]:
            yield from rows
    for suspect in found["suspects"]:
        yield suspect["image"]
    for one in found["maps"]:
        rows = found["attributes"][one["attribute"]]["rows"]
        yield from (rows[row] for row in one["rows"])
