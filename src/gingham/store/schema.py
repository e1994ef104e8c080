"""The schema of a catalogue: an append-only log, of which the last entry counts."""

from __future__ import annotations

import json

import pyarrow as pa

from gingham.errors import CatalogueError, InputError
from gingham.schema.schema import Schema
from gingham.store.columns import table
from gingham.store.files import Files
from gingham.store.shards import Log, Replayed

_SCHEMA = pa.schema([pa.field("schema", pa.string(), nullable=False)])


class SchemaLog(Replayed):
    """The schemas that were set, in JSON; `current` is the last, an empty one if none was set."""

    def __init__(self, files: Files) -> None:
        self.current = Schema()
        super().__init__(Log(files, "schema/", _SCHEMA))

    def _take_in(self, events: pa.Table) -> None:
        (text,) = events["schema"].to_pylist()[-1:]
        try:
            self.current = Schema.from_dict(json.loads(text))
        except (ValueError, InputError) as error:
            raise CatalogueError(f"the schema of the catalogue cannot be read: {error}") from None

    def append(self, schema: Schema) -> None:
        """Set the schema; on disk when this returns."""
        with self._changing:
            self._log.append(table([{"schema": json.dumps(schema.to_dict())}], _SCHEMA))
            self._catch_up()
