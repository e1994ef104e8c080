"""What a person decided about flagged labels: read from the file that the page makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gingham.curation.table import Records
from gingham.errors import InputError
from gingham.tables import read_table

COLUMNS = ("image", "attribute", "value", "suggested", "decision")
ACCEPT, REFUSE = "accept", "refuse"

Doubt = tuple[str, str, str, str]
"""A flagged label: the image as the table names it, attribute, value, and what was suggested."""


@dataclass(frozen=True)
class LabelDecisions:
    """Which suggestions somebody accepted or refused: doubt -> whether it was accepted."""

    accepted: Mapping[Doubt, bool]

    def settle(self, found: Records) -> Records:
        """Take what was decided out of the flagged labels, and give those that were accepted.

        A refused label is right; it is not flagged again.
        """
        chosen = []
        for record in found:
            doubt = tuple(record[name] for name in COLUMNS[:-1])
            decision = self.accepted.get(doubt) if len(doubt) == 4 else None
            if decision is not None:
                record["flagged"] = False
                record["action"] = "accepted" if decision else "refused"
                if decision:
                    chosen.append(record)
        return chosen


NONE = LabelDecisions({})


def read_decisions(path: Path) -> LabelDecisions:
    """Read a table of decisions, as the page of a curation makes it.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or a decision is neither `accept` nor `refuse`.
    """
    accepted: dict[Doubt, bool] = {}
    table = read_table(path, COLUMNS, empty=True)
    table.settle({}, skip=None)
    for number, row in table.good():
        decision = row["decision"]
        if decision not in (ACCEPT, REFUSE):
            raise InputError(
                f"{path}, row {number}: a decision is {ACCEPT} or {REFUSE}, got {decision!r}",
                path=path,
            )
        image, attribute, value, suggested = (str(row[name] or "") for name in COLUMNS[:-1])
        accepted[image, attribute, value, suggested] = decision == ACCEPT
    return LabelDecisions(accepted)
