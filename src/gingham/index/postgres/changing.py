"""Changes of an index in a database, within the transaction of whoever makes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError
from gingham.index.checks import (
    check_array,
    check_text,
    check_there,
    check_upsert,
    check_values,
    to_array,
)
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Floats,
    Keys,
    Metric,
    Tag,
    TagValue,
    Untag,
    Upsert,
)
from gingham.index.postgres.binary import dump, read_numbers
from gingham.index.postgres.connection import DatabaseConnection
from gingham.index.postgres.layout import LookTable, TableLayout
from gingham.index.postgres.sql import Statements

Rows = NDArray[np.int64]

MOST_WIDE = 4_000
"""Numbers of a vector up to which pgvector makes an HNSW index."""

_LARGEST = 65_504.0  # of float16
_MEGABYTES = 2_000  # of the server's memory, at most, in which an HNSW index is made
_LINKS = 400  # bytes of it for what is not the vector


class Changer:
    """What is changed in one transaction.

    Parameters
    ----------
    server : with a transaction.
    statements : of the schema.
    layout : of the index; it is changed with the tables.
    """

    def __init__(
        self, server: DatabaseConnection, statements: Statements, layout: TableLayout
    ) -> None:
        self._server = server
        self._sql = statements
        self._layout = layout
        self._unfilled: set[str] = set()  # further looks that may lack images
        for make in (statements.make_given, statements.make_codes, statements.make_sets):
            server.ask(make())

    def reset(self, looks: dict[str, int]) -> None:
        """Leave everything, and make the tables of these looks."""
        self._layout.reset()
        self._unfilled.clear()
        self._server.ask(self._sql.make_images(self._layout.images))
        for look, width in looks.items():
            self._make_look(look, "dot", width, builtin=True)

    def make(self, change: Change) -> None:
        """Make one change, see `Index.apply`; what is refused has changed nothing."""
        match change:
            case Upsert():
                self._upsert(change)
            case Delete(ids):
                rows = self._rows(ids)
                self._delete(self._tables(), rows[rows >= 0])
            case Tag(attribute, ids, values, which):
                self._tag(attribute, ids, values, which)
            case Untag(attribute):
                if attribute in self._layout.tags:
                    self._layout.gone.append(self._layout.tags.pop(attribute))
                    self._layout.shown = False
            case Fill(look, metric, ids, vectors):
                self._fill(look, metric, ids, vectors)
            case Drop(look):
                self._drop(look)

    def fill_up(self) -> None:
        """Give every image a vector in every further look."""
        for look in self._unfilled:
            self._server.ask(self._sql.fill_up(self._layout, self._layout.looks[look]))
        self._unfilled.clear()

    def optimise(self, most_scanned: int) -> None:
        """Make the HNSW indexes that are worth it."""
        if not self._layout.images:
            return
        self.fill_up()
        ((count,),) = self._server.ask(self._sql.count(self._layout))
        for look in self._layout.looks.values():
            if look.graph or look.width > MOST_WIDE or count * look.width <= most_scanned:
                continue
            bytes_ = count * (2 * look.width + _LINKS)
            for statement in self._sql.make_graph(look, 64 + min(_MEGABYTES, bytes_ >> 20)):
                self._server.ask(statement)
            look.graph = True

    def _upsert(self, change: Upsert) -> None:
        builtin = self._layout.builtin
        check_upsert(change, builtin)
        for look, rows in change.vectors.items():
            _check_size(look, rows)
        numbers = self._rows(change.ids)
        self._delete([self._layout.looks[look].table for look in builtin], numbers[numbers >= 0])
        if (numbers < 0).any():
            self._server.ask(self._sql.add_images(self._layout))
            numbers = self._numbers(len(numbers))
            self._unfilled |= self._layout.looks.keys() - builtin.keys()
        for look in builtin:
            self._load(self._layout.looks[look], numbers, change.vectors[look])

    def _tag(
        self, attribute: str, ids: Keys, values: Sequence[TagValue], which: NDArray[np.integer]
    ) -> None:
        sets = check_values(attribute, values)
        for text in (attribute, *(value for members in sets for value in members)):
            if "\0" in text:
                raise InputError(f"a name or value of {attribute!r} has a zero byte: leave it out")
        numbers = self._rows(ids)
        check_there(numbers, ids)
        if attribute not in self._layout.tags:
            self._layout.tags[attribute] = self._layout.table()
            self._server.ask(self._sql.make_tags(self._layout.tags[attribute]))
            self._layout.show(attribute)
        self._server.ask(self._sql.empty("sets"))
        self._server.ask(self._sql.empty("codes"))
        rows = [(code, list(members)) for code, members in enumerate(sets)]
        self._server.send_many(self._sql.add_set(), rows)
        load = self._sql.load("codes", ("n", "set"), temporary=True)
        self._server.copy_in(load, dump([("int", numbers), ("int", which)]))
        table = self._layout.tags[attribute]
        self._server.ask(self._sql.clear_tags(table))
        self._server.ask(self._sql.put_tags(table))

    def _fill(self, look: str, metric: Metric, ids: Keys, vectors: Floats) -> None:
        check_text("a look", look)
        there = self._layout.looks.get(look)
        if there is not None and there.builtin:
            raise InputError(f"the look {look!r} is built in: its vectors come with the images")
        width = there.width if there is not None else max(1, vectors.shape[-1])
        check_array(vectors, "vectors", (len(ids), width))
        _check_size(look, vectors)
        numbers = self._rows(ids)
        check_there(numbers, ids)
        if there is None:
            there = self._make_look(look, metric, width, builtin=False)
        else:
            self._delete([there.table], numbers)
        self._unfilled.add(look)
        self._load(there, numbers, vectors)

    def _drop(self, look: str) -> None:
        there = self._layout.looks.get(look)
        if there is not None and not there.builtin:
            del self._layout.looks[look]
            self._layout.gone.append(there.table)
            self._unfilled.discard(look)

    def _make_look(self, look: str, metric: Metric, width: int, *, builtin: bool) -> LookTable:
        made = LookTable(table=self._layout.table(), metric=metric, width=width, builtin=builtin)
        self._server.ask(self._sql.make_look(made))
        self._layout.looks[look] = made
        return made

    def _tables(self) -> list[str]:
        looks = (look.table for look in self._layout.looks.values())
        return [self._layout.images, *looks, *self._layout.tags.values()]

    def _delete(self, tables: Sequence[str], rows: Rows) -> None:
        for table in tables if len(rows) else ():
            self._server.ask(self._sql.delete(table, rows))

    def _load(self, look: LookTable, rows: Rows, vectors: Floats) -> None:
        data = dump([("int", rows), ("halfvec", vectors)])
        self._server.copy_in(self._sql.load(look.table, ("n", "v")), data)

    def _rows(self, ids: Keys) -> Rows:
        """Give the numbers of images, -1 for those that are not there; `given` names them."""
        self._server.ask(self._sql.empty("given"))
        keys = to_array(ids)
        load = self._sql.load("given", ("n", "image"), temporary=True)
        self._server.copy_in(load, dump([("int", np.arange(len(keys))), ("id", keys)]))
        return self._numbers(len(keys))

    def _numbers(self, count: int) -> Rows:
        found = np.full(count, -1)
        pairs = read_numbers(self._server.copy_out(self._sql.numbers(self._layout)))
        found[pairs[:, 0]] = pairs[:, 1]
        return found


def _check_size(look: str, vectors: Floats) -> None:
    if np.abs(vectors).max(initial=0) > _LARGEST:
        raise InputError(f"the vectors of {look!r} must be within {_LARGEST:,.0f}, as float16 is")
