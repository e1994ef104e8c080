"""Which tables of the schema hold what: a row of JSON beside the index's state, changed with it.

Everything is a table of its own, of one number an image and one thing that is known of it: the
images, a look, the tags of an attribute. A table is made, filled, and dropped once nothing refers
to it any more, so nobody waits for whoever changes the index.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from gingham.index.layout import KeptLayout, KeptLook


@dataclass(kw_only=True)
class LookTable(KeptLook):
    """The table of a look: `n`, `v` halfvec(width); a row for every image.

    Attributes
    ----------
    graph : whether it has an HNSW index.
    """

    table: str
    graph: bool = False


@dataclass
class TableLayout(KeptLayout[LookTable]):
    """The tables of an index.

    Attributes
    ----------
    next : the number of the next table.
    looks : look -> its table.
    tags : attribute -> the table `n`, `held` text[]; a row for every image that has a value.
    images : the table `n`, `image`; empty for an index of no looks.
    columns : attribute -> its column of the view; one that was there once stays.
    gone : tables to drop.
    shown : whether the views are those of these tables.
    """

    next: int = 1
    images: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    shown: bool = False

    look_type: ClassVar[type[LookTable]] = LookTable

    def table(self) -> str:
        """Name a new table."""
        self.next += 1
        return f"t{self.next - 1}"

    def reset(self) -> None:
        """Leave all tables."""
        tables = [self.images, *(look.table for look in self.looks.values()), *self.tags.values()]
        self.gone += filter(None, tables)
        self.images, self.looks, self.tags, self.shown = self.table(), {}, {}, False

    def show(self, attribute: str) -> None:
        """Give an attribute a column of the view, unless it is not printable."""
        self.shown = False
        if attribute in self.columns or not attribute.isprintable():
            return
        taken, number = {"image", *self.columns.values()}, 1
        column = whole = attribute.encode()[:59].decode(errors="ignore")
        while column in taken:
            number += 1
            column = f"{whole}_{number}"
        self.columns[attribute] = column
