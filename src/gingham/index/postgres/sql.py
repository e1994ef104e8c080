"""Every statement that the index sends to PostgreSQL, and why it is written so.

A filter is written in two ways. Where all images are gone through, it is a join with the tables of
tags (`EXISTS`). Where an HNSW index gives the nearest first, it is a look-up for each (a sub-select
that the planner cannot turn into a join), so that it stops as soon as there are enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from psycopg.sql import SQL, Composed, Identifier, Literal

from gingham.index.checks import to_array
from gingham.index.filters import Where
from gingham.index.index import Keys, Query
from gingham.index.postgres.layout import LookTable, TableLayout
from gingham.store.ids import to_list

Part: TypeAlias = SQL | Composed

FEW = 1_000
"""So many images that pass a filter, or fewer, are compared one by one."""


def session(candidates: int) -> Part:
    """Begin a connection; `jit`, since compiling a search takes longer than the search."""
    return SQL(
        "SET hnsw.iterative_scan = relaxed_order; SET hnsw.max_scan_tuples = 50000; "
        "SET hnsw.ef_search = {}; SET jit = off; SET client_min_messages = warning"
    ).format(min(1_000, candidates))


class Statements:
    """The statements for one schema."""

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def _of(self, table: str) -> Identifier:
        return Identifier(self._schema, table)

    def set_up(self) -> Sequence[Part]:
        """Make the extension, the schema and the row that says what is there, one at a time."""
        return (
            SQL("SELECT pg_advisory_xact_lock(hashtext('gingham'))"),
            SQL("CREATE EXTENSION IF NOT EXISTS vector"),
            SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(self._schema)),
            SQL(
                "CREATE TABLE IF NOT EXISTS {} (one boolean PRIMARY KEY DEFAULT TRUE CHECK (one), "
                "owner text NOT NULL, state text NOT NULL, layout text NOT NULL)"
            ).format(self._of("about")),
        )

    def own(self, owner: str, layout: TableLayout) -> Part:
        """Say whose index it is, if nobody has said so."""
        return SQL(
            "INSERT INTO {} (owner, state, layout) VALUES ({}, '{{}}', {}) ON CONFLICT DO NOTHING"
        ).format(self._of("about"), owner, layout.write())

    def about(self) -> Part:
        """Read whose index it is, its state and its layout."""
        return SQL("SELECT owner, state, layout FROM {}").format(self._of("about"))

    def lock(self, *, wait: bool) -> Part:
        """The same, and be the only one who changes it until the transaction ends."""
        return SQL("{} FOR UPDATE{}").format(self.about(), SQL("" if wait else " NOWAIT"))

    def note(self, state: str, layout: TableLayout) -> Part:
        """Write the state and the layout."""
        return SQL("UPDATE {} SET state = {}, layout = {}").format(
            self._of("about"), state, layout.write()
        )

    def make_images(self, table: str) -> Part:
        """Make the table of images."""
        return SQL(
            "CREATE TABLE {} (n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "image bytea NOT NULL UNIQUE)"
        ).format(self._of(table))

    def make_look(self, look: LookTable) -> Part:
        """Make the table of a look; its vectors, which are not to be compressed, beside it."""
        return SQL(
            "CREATE TABLE {} (n integer PRIMARY KEY, v halfvec({}) STORAGE EXTERNAL NOT NULL)"
        ).format(self._of(look.table), look.width)

    def make_tags(self, table: str) -> Part:
        """Make the table of an attribute's tags."""
        return SQL("CREATE TABLE {} (n integer PRIMARY KEY, held text[] NOT NULL)").format(
            self._of(table)
        )

    def make_given(self) -> Part:
        """Make the table of what a change names."""
        return SQL("CREATE TEMPORARY TABLE given (n integer NOT NULL, image bytea) ON COMMIT DROP")

    def make_sets(self) -> Part:
        """Make the table of the values that a change of tags names."""
        return SQL(
            "CREATE TEMPORARY TABLE sets (n integer NOT NULL, held text[] NOT NULL) ON COMMIT DROP"
        )

    def make_codes(self) -> Part:
        """Make the table of which image gets which of them."""
        return SQL(
            "CREATE TEMPORARY TABLE codes (n integer NOT NULL, set integer NOT NULL) ON COMMIT DROP"
        )

    def empty(self, table: str) -> Part:
        """Empty one of these three."""
        return SQL("TRUNCATE {}").format(Identifier(table))

    def add_set(self) -> Part:
        """Add values under a number; both are parameters."""
        return SQL("INSERT INTO sets (n, held) VALUES (%s, %s::text[])")

    def hurry(self) -> Sequence[Part]:
        """Wait for nobody in this transaction."""
        return (SQL("SET LOCAL lock_timeout = '2s'"),)

    def drop(self, table: str) -> Part:
        """Drop a table."""
        return SQL("DROP TABLE IF EXISTS {}").format(self._of(table))

    def load(self, table: str, columns: Sequence[str], *, temporary: bool = False) -> Part:
        """Take rows in binary."""
        return SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            Identifier(table) if temporary else self._of(table),
            SQL(", ").join(map(Identifier, columns)),
        )

    def add_images(self, layout: TableLayout) -> Part:
        """Add those given images that are not there, and number them in the order given."""
        return SQL(
            "INSERT INTO {} (image) SELECT image FROM given ORDER BY n "
            "ON CONFLICT (image) DO NOTHING"
        ).format(self._of(layout.images))

    def numbers(self, layout: TableLayout) -> Part:
        """Give the numbers of given images: their places, and their numbers."""
        return SQL(
            "COPY (SELECT g.n, i.n FROM given g JOIN {} i USING (image)) TO STDOUT (FORMAT binary)"
        ).format(self._of(layout.images))

    def delete(self, table: str, rows: NDArray[np.int64]) -> Part:
        """Delete some images from a table."""
        return SQL("DELETE FROM {} WHERE n = ANY({})").format(self._of(table), rows.tolist())

    def put_tags(self, table: str) -> Part:
        """Give images the values that `codes` and `sets` name."""
        return SQL(
            "INSERT INTO {} (n, held) SELECT c.n, s.held FROM codes c JOIN sets s ON s.n = c.set "
            "ON CONFLICT (n) DO UPDATE SET held = excluded.held"
        ).format(self._of(table))

    def clear_tags(self, table: str) -> Part:
        """Forget the values of images that `codes` gives none."""
        return SQL(
            "DELETE FROM {} t USING codes c JOIN sets s ON s.n = c.set "
            "WHERE t.n = c.n AND cardinality(s.held) = 0"
        ).format(self._of(table))

    def fill_up(self, layout: TableLayout, look: LookTable) -> Part:
        """Give a further look the vectors of images that were never named: zeros."""
        return SQL(
            "INSERT INTO {} (n, v) SELECT n, array_fill(0::real, ARRAY[{}])::halfvec({}) "
            "FROM {} i WHERE NOT EXISTS (SELECT FROM {} l WHERE l.n = i.n)"
        ).format(
            self._of(look.table),
            look.width,
            look.width,
            self._of(layout.images),
            self._of(look.table),
        )

    def make_graph(self, look: LookTable, megabytes: int) -> Sequence[Part]:
        """Make the HNSW index of a look, in so much memory of the server."""
        by = Identifier("halfvec_l1_ops" if look.metric == "l1" else "halfvec_ip_ops")
        return (
            SQL("SET LOCAL maintenance_work_mem = {}").format(f"{megabytes}MB"),
            SQL("CREATE INDEX ON {} USING hnsw (v {})").format(self._of(look.table), by),
        )

    def analyse(self, table: str) -> Part:
        """Let the planner know what a table holds."""
        return SQL("ANALYZE {}").format(self._of(table))

    def count(self, layout: TableLayout) -> Part:
        """Count the images."""
        return SQL("SELECT count(*) FROM {}").format(self._of(layout.images))

    def held(self, layout: TableLayout, where: Where) -> Part:
        """Give the ids that satisfy `where`, sorted."""
        return SQL(
            "COPY (SELECT image FROM {} i WHERE {} ORDER BY image) TO STDOUT (FORMAT binary)"
        ).format(self._of(layout.images), self._joined(layout, where))

    def vectors(self, layout: TableLayout, look: LookTable, images: Sequence[bytes]) -> Part:
        """Give vectors by image."""
        return SQL(
            "SELECT i.image, l.v FROM {} i JOIN {} l USING (n) WHERE i.image = ANY({})"
        ).format(self._of(layout.images), self._of(look.table), list(images))

    def facets(self, layout: TableLayout, where: Where) -> Part:
        """Count images, then by attribute those of each set of values."""
        passing: Part = SQL("")
        if where.conditions:
            passing = SQL(" WHERE t.n IN (SELECT n FROM passing)")
        counts = [
            SQL("SELECT {}, held, count(*) FROM {} t{} GROUP BY held").format(
                attribute, self._of(table), passing
            )
            for attribute, table in layout.tags.items()
        ]
        return SQL(
            "WITH passing AS (SELECT n FROM {} i WHERE {}) "
            "SELECT NULL::text, NULL::text[], count(*) FROM passing{}"
        ).format(
            self._of(layout.images),
            self._joined(layout, where),
            SQL("").join(SQL(" UNION ALL ") + one for one in counts),
        )

    def search(self, layout: TableLayout, query: Query, aims: Sequence[Part] | None) -> Part:
        """Score candidates exactly, and give the best with what each term gave and their tags.

        Parameters
        ----------
        aims : each gives the numbers of candidates; None: all that pass the filter are scored.
        """
        looks = list(dict.fromkeys(term.look for term in query.terms))
        alias = {look: Identifier(f"l{i}") for i, look in enumerate(looks)}
        compared = [
            SQL(", {} AS {}").format(
                _compared(layout.looks[term.look], alias[term.look], term.vector),
                Identifier(f"c{i}"),
            )
            for i, term in enumerate(query.terms)
        ]
        parts = [Identifier(f"c{i}") for i in range(len(query.terms))]
        score = SQL(" + ").join(
            [
                SQL("0::float8"),
                *(
                    SQL("{}::float8 * {}").format(float(term.weight), part)
                    for term, part in zip(query.terms, parts, strict=True)
                ),
            ]
        )
        if aims is None:
            candidates: Part = SQL("SELECT n FROM {} i WHERE {}").format(
                self._of(layout.images), self._joined(layout, query.where, query.without)
            )
        else:
            candidates = SQL(" UNION ").join(SQL("({})").format(aim) for aim in aims)
            if query.where.conditions:
                candidates = SQL(
                    "SELECT n FROM few WHERE (SELECT count(*) FROM few) <= {} UNION {}"
                ).format(FEW, candidates)
        few = SQL("few AS MATERIALIZED (SELECT n FROM {} i WHERE {} LIMIT {}), ").format(
            self._of(layout.images), self._joined(layout, query.where, query.without), FEW + 1
        )
        tags = [
            SQL(", (SELECT held FROM {} t WHERE t.n = best.n)").format(self._of(table))
            for table in layout.tags.values()
        ]
        return SQL(
            "WITH {few}candidates AS MATERIALIZED ({candidates}), "
            "compared AS (SELECT n{compared} FROM candidates {joins} OFFSET 0), "
            "scored AS (SELECT *, {score} AS score FROM compared OFFSET 0), "
            "best AS MATERIALIZED (SELECT s.*, i.image FROM scored s JOIN {images} i USING (n) "
            "WHERE score >= {floor} ORDER BY score DESC, image LIMIT {n}) "
            "SELECT encode(image, 'hex'), score{parts}{tags} FROM best "
            "ORDER BY score DESC, image"
        ).format(
            few=few if aims is not None and query.where.conditions else SQL(""),
            candidates=candidates,
            compared=SQL("").join(compared),
            joins=SQL(" ").join(
                SQL("JOIN {} {} USING (n)").format(self._of(layout.looks[look].table), alias[look])
                for look in looks
            ),
            score=score,
            images=self._of(layout.images),
            floor=Literal(float(query.min_score)),
            n=query.n,
            parts=SQL("").join(SQL(", {}").format(part) for part in parts),
            tags=SQL("").join(tags),
        )

    def nearest(
        self,
        layout: TableLayout,
        look: LookTable,
        vector: NDArray[np.float32],
        query: Query,
        count: int,
    ) -> Part:
        """Give those that are nearest in a look, by its HNSW index if it has one."""
        few: Part = SQL("")
        if query.where.conditions:
            few = SQL("(SELECT count(*) FROM few) > {} AND ").format(FEW)
        return SQL(
            "SELECT l.n FROM {} l WHERE {}{} ORDER BY l.v {} {}::halfvec({}) LIMIT {}"
        ).format(
            self._of(look.table),
            few,
            self._looked_up(layout, query.where, query.without),
            SQL("<+>" if look.metric == "l1" else "<#>"),
            _text(vector),
            look.width,
            count,
        )

    def first(self, layout: TableLayout, query: Query) -> Part:
        """Give the first of those that pass, in the order of their ids."""
        return SQL("SELECT n FROM {} i WHERE {} ORDER BY image LIMIT {}").format(
            self._of(layout.images), self._joined(layout, query.where, query.without), query.n
        )

    def _joined(self, layout: TableLayout, where: Where, without: Keys = ()) -> Part:
        """Write a filter on `i.n` where all images are gone through."""
        has = SQL("EXISTS (SELECT FROM {} t WHERE t.n = i.n AND t.held && {}::text[])")
        return self._passing(layout, where, without, has, Identifier("i"))

    def _looked_up(self, layout: TableLayout, where: Where, without: Keys) -> Part:
        """Write a filter on `l.n` that is looked up for each image as it comes."""
        has = SQL("coalesce((SELECT t.held FROM {} t WHERE t.n = l.n) && {}::text[], FALSE)")
        return self._passing(layout, where, without, has, Identifier("l"))

    def _passing(
        self, layout: TableLayout, where: Where, without: Keys, has: SQL, alias: Identifier
    ) -> Part:
        """Write a filter, with how to ask for the values of an attribute."""
        grouped: dict[tuple[str, bool], list[str]] = {}
        for one in where.conditions:
            grouped.setdefault((one.attribute, one.negated), []).append(one.value)
        conditions: list[Part] = [SQL("TRUE")]
        for (attribute, negated), values in grouped.items():
            asked: Part = SQL("FALSE")
            if attribute in layout.tags:
                asked = has.format(self._of(layout.tags[attribute]), values)
            conditions.append(SQL("NOT {}").format(asked) if negated else asked)
        if len(without):
            left_out = SQL("{}.n <> ALL (ARRAY(SELECT n FROM {} WHERE image = ANY({}::bytea[])))")
            images = to_list(to_array(without))
            conditions.append(left_out.format(alias, self._of(layout.images), images))
        return SQL(" AND ").join(conditions)


def _compared(look: LookTable, alias: Identifier, vector: NDArray[np.float32]) -> Part:
    """Write what a term gives; in float32, since a vector that is asked for may be rounded."""
    if look.metric == "l1":
        return SQL("-({}.v::vector <+> {}::vector) / {}").format(alias, _text(vector), look.width)
    return SQL("-({}.v::vector <#> {}::vector)").format(alias, _text(vector))


def _text(vector: NDArray[np.float32]) -> str:
    return "[" + ",".join(map(str, vector.tolist())) + "]"
