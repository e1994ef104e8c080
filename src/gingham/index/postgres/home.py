"""The index in a database: the same for all who search it, and changed in place."""

from __future__ import annotations

from gingham.index.index import Index
from gingham.index.postgres.index import DEFAULT_SCHEMA, PostgresIndex
from gingham.index.remote import RemoteHome


class PostgresHome(RemoteHome):
    """An `IndexHome` in a schema of a database; see `PostgresIndex`."""

    def open(self) -> Index:
        """Connect to it."""
        return PostgresIndex(self._address, self._owner)

    @property
    def _deletion(self) -> str:
        schema = self._address.options.get("schema", DEFAULT_SCHEMA)
        return f"drop its schema, {schema}, when nobody needs it"
