"""Stage 3: pictures that are too small, blank, or extremely long are removed."""

from __future__ import annotations

import numpy as np

from gingham.curation.config import PicturesSection
from gingham.curation.fingerprints import Fingerprints
from gingham.curation.table import Records, Stage, TableRows

COLUMNS = ("row", "image", "action", "reason", "width", "height", "deviation")
_CHUNK = 1024


def remove_poor_pictures(
    samples: TableRows, prints: Fingerprints, section: PicturesSection
) -> Stage:
    """Remove the rows whose picture shows too little; what could not be read is passed over."""
    records: Records = []
    counts = {"too small": 0, "extreme aspect": 0, "blank": 0}
    rows = [row for row in samples.rows if prints.ids[row] is not None]
    for first in range(0, len(rows), _CHUNK):
        chunk = rows[first : first + _CHUNK]
        deviations = prints.thumbnails[chunk].mean(axis=3).std(axis=(1, 2))
        for row, deviation in zip(chunk, deviations.tolist(), strict=True):
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
            else:
                continue
            counts[kind] += 1
            samples.kept[row] = False
            records.append(
                {
                    "row": row,
                    "image": samples.names[row],
                    "action": "removed",
                    "reason": f"{kind}: {why}",
                    "width": width,
                    "height": height,
                    "deviation": round(float(np.float64(deviation)), 3),
                }
            )
    return Stage("pictures", records, {"removed": len(records), **counts})
