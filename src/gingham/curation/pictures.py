"""Stages 1 and 3: pictures that cannot be read, or that show too little, are removed.

Blurred and dark ones are listed.
"""

from __future__ import annotations

import numpy as np

from gingham.attributes.space import chunks
from gingham.curation.config import PicturesSection
from gingham.curation.fingerprints import Fingerprints
from gingham.curation.table import Records, Stage, TableRows

INVALID_COLUMNS = ("row", "image", "action", "reason")
COLUMNS = ("row", "image", "action", "reason", "width", "height", "deviation")
FAULTS = ("dark", "blurred")
"""Kinds of what is shown badly: such a picture may be the only one of its value."""

_CHUNK = 1024


def remove_invalid(samples: TableRows, prints: Fingerprints) -> Stage:
    """Remove the rows whose picture cannot be read; the reason says what to do about it."""
    reasons = sorted(prints.reasons.items())
    records = [samples.line(row, "removed", reason=reason) for row, reason in reasons]
    samples.kept[[row for row, _ in reasons]] = False
    return Stage("invalid", records, {"removed": len(records)})


def remove_poor_pictures(
    samples: TableRows, prints: Fingerprints, section: PicturesSection
) -> Stage:
    """Remove the rows whose picture shows too little, and list those that are blurred or dark.

    What could not be read is passed over.
    """
    records: Records = []
    counts = {"too small": 0, "extreme aspect": 0, "blank": 0, "dark": 0, "blurred": 0}
    removed = 0
    rows = [row for row in samples.rows if prints.ids[row] is not None]
    for at in chunks(len(rows), _CHUNK):
        chunk = rows[at]
        grey = prints.thumbnails[chunk].mean(axis=3)
        measured = (
            grey.std(axis=(1, 2)).tolist(),
            np.percentile(grey, 95, axis=(1, 2)).tolist(),
            prints.sharpness[chunk].tolist(),
        )
        for row, deviation, bright, sharp in zip(chunk, *measured, strict=True):
            width, height = map(int, prints.size[row])
            short, long = sorted((width, height))
            if short < section.min_side:
                kind = "too small"
                why = f"{width}x{height}, the shorter side below {section.min_side}"
            elif long > section.max_aspect * short:
                kind = "extreme aspect"
                why = f"{width}x{height}, {long / short:.1f} to 1, over {section.max_aspect:g}"
            elif deviation < section.min_deviation:
                kind = "blank"
                why = f"brightness deviates by {deviation:.2f}, below {section.min_deviation:g}"
            elif bright < section.min_brightness:
                kind = "dark"
                why = f"its brightest parts are {bright:.0f}, below {section.min_brightness:g}"
            elif sharp < section.min_sharpness:
                kind = "blurred"
                why = f"its sharpest edges have {sharp:.2f}, below {section.min_sharpness:g}"
            else:
                continue
            counts[kind] += 1
            keeps = kind in FAULTS and section.faults == "report"
            samples.kept[row] = keeps
            removed += not keeps
            size = {"width": width, "height": height, "deviation": round(deviation, 3)}
            action = "reported" if keeps else "removed"
            records.append(samples.line(row, action, reason=f"{kind}: {why}", **size))
    return Stage("pictures", records, {"removed": removed, **counts})
