"""The page: everything inside one file, thumbnails once, plots as SVG, nothing fetched."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gingham.errors import ImageError
from gingham.evaluation.study import measures, sections
from gingham.evaluation.study.page import asset, sectioned_page
from gingham.images import open_image, read_file
from gingham.options import ReadOptions
from gingham.report.frame import printable
from gingham.store.files import replace_file

THUMBNAIL = 88
MOST_THUMBNAILS = 4000

SECTIONS: tuple[tuple[str, str, Callable[[Mapping[str, Any]], str]], ...] = (
    ("Accuracy by layer", "accuracy", sections.accuracy),
    ("Clusters by layer", "clusters", sections.clustering),
    ("Maps by layer", "maps", sections.maps),
    ("Fewer dimensions", "dimensions", measures.reduction),
    ("Search", "search", measures.retrieval),
    ("Confusions", "confusions", sections.confusion),
    ("Cost", "cost", measures.cost),
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
    OSError
        If the file cannot be written.
    """
    made = [(title, anchor, make(found)) for title, anchor, make in SECTIONS]
    shown = list(dict.fromkeys(_shown(found)))
    wanted = shown[:MOST_THUMBNAILS]
    thumbnails: dict[int, str] = {}
    for done, row in enumerate(wanted, 1):
        if (thumbnail := _thumbnail(found["files"][row], options.max_pixels)) is not None:
            thumbnails[row] = thumbnail
        options.progress("draw", done, len(wanted))
    data = {
        "thumbnails": thumbnails,
        "names": {row: printable(Path(found["files"][row]).name) for row in shown},
        "maps": [_map(found, one) for one in found["maps"]],
    }
    names = ", ".join(found["attributes"])
    # In a script element only "</" could end it.
    inside = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    tail = (
        '<div id="tip" hidden><img alt=""><span></span></div>\n'
        f'<script type="application/json" id="data">{inside}</script>\n'
        f"<script>\n{asset('page.js')}\n</script>\n"
    )
    title = f"Which hidden layer sees {names}?"
    page = sectioned_page(title, sections.summary(found), made, tail=tail)
    replace_file(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


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


def _map(found: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    about = found["attributes"][one["attribute"]]
    values = sorted(about["counts"])
    number = {value: i for i, value in enumerate(values)}
    return {
        "x": one["x"],
        "y": one["y"],
        "images": [about["rows"][row] for row in one["rows"]],
        "labels": [number[about["values"][row]] for row in one["rows"]],
        "values": [printable(value) for value in values],
    }


def _thumbnail(image: str, max_pixels: int) -> str | None:
    try:
        picture = open_image(read_file(image), max_pixels=max_pixels, draft=THUMBNAIL)
    except ImageError:
        return None
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=68, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
