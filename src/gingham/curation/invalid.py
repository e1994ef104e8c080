"""Stage 1: pictures that cannot be read are removed."""

from __future__ import annotations

from gingham.curation.fingerprints import Fingerprints
from gingham.curation.table import Stage, TableRows

COLUMNS = ("row", "image", "action", "reason")


def remove_invalid(samples: TableRows, prints: Fingerprints) -> Stage:
    """Remove the rows whose picture cannot be read; the reason says what to do about it."""
    records = []
    for row, reason in sorted(prints.reasons.items()):
        samples.kept[row] = False
        records.append(
            {"row": row, "image": samples.names[row], "action": "removed", "reason": reason}
        )
    return Stage("invalid", records, {"removed": len(records)})
