"""Which attributes are answered by a trained model: an append-only log."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from gingham.store.columns import table
from gingham.store.files import Files
from gingham.store.shards import Log, Replayed

_SCHEMA = pa.schema(
    [
        pa.field("attribute", pa.string(), nullable=False),
        # Nulls mean: detached.
        pa.field("kind", pa.string()),
        pa.field("values", pa.list_(pa.field("element", pa.string()))),
        pa.field("model", pa.binary()),
        pa.field("fingerprint", pa.string()),
    ]
)


@dataclass(frozen=True)
class Attached:
    """An attribute that a trained model answers.

    Attributes
    ----------
    name : of the attribute.
    kind, values : `single` or `multi`, and every value that an answer may hold.
    model : absolute path of the model's folder.
    fingerprint : of the model that was attached.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    model: str
    fingerprint: str


class AttachedLog(Replayed):
    """The attached attributes of a catalogue; a later event about one replaces an earlier one.

    `current` maps an attribute to what is attached.
    """

    def __init__(self, files: Files) -> None:
        self.current: dict[str, Attached] = {}
        super().__init__(Log(files, "attached/", _SCHEMA))

    def _take_in(self, events: pa.Table) -> None:
        # A new dict: other threads may be going through the old one.
        current = dict(self.current)
        for row in events.to_pylist():
            if row["model"] is None:
                current.pop(row["attribute"], None)
            else:
                current[row["attribute"]] = Attached(
                    row["attribute"],
                    row["kind"],
                    tuple(row["values"]),
                    os.fsdecode(row["model"]),
                    row["fingerprint"],
                )
        self.current = current

    def attach(self, attributes: Sequence[Attached]) -> None:
        """Add the attributes of a model, all or none; on disk when this returns."""
        rows: list[dict[str, object]] = [
            {
                "attribute": one.name,
                "kind": one.kind,
                "values": list(one.values),
                "model": os.fsencode(one.model),
                "fingerprint": one.fingerprint,
            }
            for one in attributes
        ]
        self._append(rows)

    def detach(self, name: str) -> None:
        """Take an attribute out; on disk when this returns."""
        self._append([{"attribute": name}])

    def _append(self, rows: list[dict[str, object]]) -> None:
        with self._changing:
            self._log.append(table(rows, _SCHEMA))
            self._catch_up()
