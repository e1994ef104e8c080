"""Stage 5: missing labels stay unknown, are counted, and never become a value or a negative."""

from __future__ import annotations

from collections import Counter

from gingham.curation.config import UnknownSection
from gingham.curation.table import Records, Stage, TableRows

COLUMNS = ("row", "image", "action", "attribute", "before", "reason")

NONE_IN_CSV = "an empty list in clean.parquet; clean.csv cannot say it, and has unknown"


def count_unknown(samples: TableRows, section: UnknownSection) -> Stage:
    """Count what is unknown of each attribute, and how it was spelled in the table.

    Listed are the cells that spell it by a word, those that say "none of them", which a CSV cannot
    say, and the rows of which no attribute is known; these are removed where the section says so.
    """
    records: Records = []
    rows = samples.rows
    unknown = {
        name: sum(column[row] is None for row in rows) for name, column in samples.values.items()
    }

    def tell(row: int, action: str, reason: str, attribute: str = "", before: str = "") -> None:
        said = {"attribute": attribute, "before": before, "reason": reason}
        records.append(samples.line(row, action, **said))

    for name, spelled in samples.spelled.items():
        for row, word in spelled:
            if word and samples.kept[row]:
                tell(row, "read as unknown", "a spelling of unknown", name, word)
    for name, column in samples.values.items():
        for row in rows:
            if column[row] == ():
                tell(row, "kept", NONE_IN_CSV, name, "none of them")
    without = [row for row in rows if all(c[row] is None for c in samples.values.values())]
    for row in without:
        if section.drop_unlabelled:
            samples.kept[row] = False
        tell(row, "removed" if section.drop_unlabelled else "kept", "no attribute is known")
    summary = {
        "removed": len(without) if section.drop_unlabelled else 0,
        "unlabelled_rows": len(without),
        "unknown": unknown,
        "spelled": {
            name: dict(Counter(word for _, word in found))
            for name, found in samples.spelled.items()
            if found
        },
    }
    return Stage("unknown", records, summary)
