"""Which tables of the schema hold what: a row of JSON beside the index's state, changed with it.

Everything is a table of its own, of one number an image and one thing that is known of it: the
images, a look, the tags of an attribute. A table is made, filled, and dropped once nothing refers
to it any more, so nobody waits for whoever changes the index.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Self

from gingham.index.index import Metric


@dataclass
class LookTable:
    """The table of a look: `n`, `v` halfvec(width); a row for every image.

    Attributes
    ----------
    graph : whether it has an HNSW index.
    """

    table: str
    metric: Metric
    width: int
    builtin: bool
    graph: bool = False


@dataclass
class TableLayout:
    """The tables of an index.

    Attributes
    ----------
    next : the number of the next table.
    images : the table `n`, `image`; empty for an index of no looks.
    looks : look -> its table.
    tags : attribute -> the table `n`, `held` text[]; a row for every image that has a value.
    columns : attribute -> its column of the view; one that was there once stays.
    gone : tables to drop.
    shown : whether the views are those of these tables.
    """

    next: int = 1
    images: str = ""
    looks: dict[str, LookTable] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    shown: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """Take what `write` gave."""
        layout = cls(**json.loads(text))
        layout.looks = {name: LookTable(**look) for name, look in layout.looks.items()}  # type: ignore[arg-type]
        return layout

    def write(self) -> str:
        """Write it as JSON."""
        return json.dumps(asdict(self))

    def copy(self) -> TableLayout:
        """Copy it, to be changed."""
        return TableLayout.read(self.write())

    def table(self) -> str:
        """Name a new table."""
        self.next += 1
        return f"t{self.next - 1}"

    def reset(self) -> None:
        """Leave all tables."""
        tables = [self.images, *(look.table for look in self.looks.values()), *self.tags.values()]
        self.gone += filter(None, tables)
        self.images, self.looks, self.tags, self.shown = self.table(), {}, {}, False

    @property
    def widths(self) -> dict[str, int]:
        """Every look -> length of its vectors."""
        return {name: look.width for name, look in self.looks.items()}

    @property
    def builtin(self) -> dict[str, int]:
        """Built-in look -> length of its vectors."""
        return {name: look.width for name, look in self.looks.items() if look.builtin}

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
