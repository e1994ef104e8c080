"""The views by which users ask for images and tags: they keep their columns, whatever changes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from psycopg.sql import SQL, Identifier

from gingham.index.postgres.layout import TableLayout
from gingham.index.postgres.sql import Part


def views(schema: str, layout: TableLayout) -> Sequence[Part]:
    """Make the views of the images and their tags that users may ask."""
    of = partial(Identifier, schema)
    columns = [
        SQL(", {}.held AS {}").format(Identifier(f"a{i}"), Identifier(column))
        if attribute in layout.tags
        else SQL(", NULL::text[] AS {}").format(Identifier(column))
        for i, (attribute, column) in enumerate(layout.columns.items())
    ]
    joins = [
        SQL(" LEFT JOIN {} {} USING (n)").format(of(layout.tags[attribute]), Identifier(f"a{i}"))
        for i, attribute in enumerate(layout.columns)
        if attribute in layout.tags
    ]
    rows = [
        SQL(
            "SELECT encode(i.image, 'hex') AS image, {}::text AS attribute, "
            "unnest(t.held) AS value FROM {} i JOIN {} t USING (n)"
        ).format(attribute, of(layout.images), of(layout.tags[attribute]))
        for attribute in layout.columns
        if attribute in layout.tags
    ]
    none = SQL(
        "SELECT NULL::text AS image, NULL::text AS attribute, NULL::text AS value WHERE FALSE"
    )
    return (
        SQL(
            "CREATE OR REPLACE VIEW {} AS SELECT encode(i.image, 'hex') AS image{} FROM {} i{}"
        ).format(
            of("images"),
            SQL("").join(columns),
            of(layout.images),
            SQL("").join(joins),
        ),
        SQL("CREATE OR REPLACE VIEW {} AS {}").format(
            of("tags"), SQL(" UNION ALL ").join([none, *rows])
        ),
    )
