"""What a curation did, in figures, and how a notebook shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gingham.report.kit import render
from gingham.report.notebook import bar
from gingham.result import HTML
from gingham.results import BadRow, Result


@dataclass(frozen=True)
class CurationResult(Result):
    """What a curation did.

    Attributes
    ----------
    table, parquet : the clean table.
    report : the page to look at.
    rows : of the table given.
    kept : of the clean table.
    removed : stage -> rows it removed.
    flagged : labels that are probably wrong.
    splits : set -> rows.
    failed : pictures that could not be read.
    ignored : the columns that are no attributes, each with a reason.
    unseen : the attributes that are not judged, since pictures do not show them, each with what
        its values are.
    stages : stage -> its figures; one that was turned off is not there.
    bad_rows : rows of the table that were left out.
    """

    table: str
    parquet: str
    report: str
    rows: int
    kept: int
    removed: dict[str, int]
    flagged: int
    splits: dict[str, int]
    failed: int
    ignored: dict[str, str]
    stages: dict[str, Any] = field(repr=False)
    seconds: float
    bad_rows: tuple[BadRow, ...] = ()
    unseen: dict[str, str] = field(default_factory=dict)


def curated_html(one: CurationResult) -> str:
    """Show what was kept, and what each stage removed."""
    counts = {"kept": one.kept, **{f"removed: {x}": y for x, y in one.removed.items()}}
    shares = [bar(x, y / max(one.rows, 1)) | {"says": f"{y:,}"} for x, y in counts.items()]
    sets = [bar(x, y / max(one.kept, 1)) | {"says": f"{y:,}"} for x, y in one.splits.items()]
    says = f"{one.rows:,} rows, {one.flagged:,} labels probably wrong: see {one.report}"
    return render("notebook_bars.html", groups=[(says, shares), (one.table, sets)])


HTML[CurationResult] = curated_html
