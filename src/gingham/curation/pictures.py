"""Stages 1 and 3: pictures that cannot be read, or that show too little, are removed."""

from __future__ import annotations

from gingham.attributes.space import chunks
from gingham.curation.config import PicturesSection
from gingham.curation.fingerprints import Fingerprints
from gingham.curation.table import Records, Stage, TableRows

INVALID_COLUMNS = ("row", "image", "action", "reason")
COLUMNS = ("row", "image", "action", "reason", "width", "height", "deviation")
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
    """Remove the rows whose picture shows too little; what could not be read is passed over."""
    records: Records = []
    counts = {"too small": 0, "extreme aspect": 0, "blank": 0}
    rows = [row for row in samples.rows if prints.ids[row] is not None]
    for at in chunks(len(rows), _CHUNK):
        chunk = rows[at]
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
            size = {"width": width, "height": height, "deviation": round(deviation, 3)}
            records.append(samples.line(row, "removed", reason=f"{kind}: {why}", **size))
    return Stage("pictures", records, {"removed": len(records), **counts})
