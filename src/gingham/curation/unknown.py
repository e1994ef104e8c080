"""Stage 5: missing labels stay unknown, are counted, and never become a value or a negative."""

from __future__ import annotations

from gingham.curation.config import UnknownSection
from gingham.curation.table import Records, Samples, Stage

COLUMNS = ("row", "image", "action", "reason")


def count_unknown(samples: Samples, section: UnknownSection) -> Stage:
    """Count what is unknown of each attribute, and how it was spelled in the table.

    A row of which no attribute is known is listed, and removed where the section says so.
    """
    records: Records = []
    rows = samples.rows
    unknown = {
        name: sum(not column[row] for row in rows) for name, column in samples.values.items()
    }
    for row in rows:
        if any(column[row] for column in samples.values.values()):
            continue
        if section.drop_unlabelled:
            samples.kept[row] = False
        records.append(
            {
                "row": row,
                "image": samples.names[row],
                "action": "removed" if section.drop_unlabelled else "kept",
                "reason": "no attribute is known",
            }
        )
    summary = {
        "removed": len(records) if section.drop_unlabelled else 0,
        "unlabelled_rows": len(records),
        "unknown": unknown,
        "spelled": {name: dict(found) for name, found in samples.spelled.items() if found},
    }
    return Stage("unknown", records, summary)
