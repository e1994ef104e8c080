"""Examples and corrections, an append-only log: the truth about attributes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gingham.features import ImageId
from gingham.storage import Shards

_SCHEMA = pa.schema(
    [
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        # Null values and ids mean: forget them all.
        pa.field("value", pa.string()),
        pa.field("id", pa.binary(32)),
        pa.field("present", pa.bool_()),
        pa.field("image", pa.binary()),
        pa.field("group", pa.string()),
        pa.field("layers", pa.string()),
        pa.field("time", pa.float64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Example:
    """An image with known values.

    Attributes
    ----------
    id : of the image.
    image : the file it was taught from.
    values : value -> True if the image has it, False if it is said not to.
    group : examples that share it stay on one side of every split.
    """

    id: ImageId
    image: str
    values: dict[str, bool]
    group: str


@dataclass(frozen=True)
class Taught:
    """All that is known about one attribute.

    Attributes
    ----------
    kind : `single` or `multi`.
    layers : those asked for when it was last taught, or `auto`.
    examples : in the order they came.
    """

    kind: str
    layers: tuple[str, ...] | str
    examples: list[Example]

    @property
    def values(self) -> list[str]:
        """The values with an example, sorted."""
        return sorted({value for example in self.examples for value in example.values})


class ExampleLog:
    """The examples of every attribute; a later call about an image replaces an earlier one."""

    def __init__(self, folder: Path) -> None:
        self._shards = Shards(folder, _SCHEMA)

    @property
    def version(self) -> int:
        """Grows with every append."""
        return len(self._shards.paths())

    def read(self) -> dict[str, Taught]:
        """Replay the log: attribute -> what is known about it."""
        attributes: dict[str, Taught] = {}
        for table in self._shards.tables():
            fresh: dict[tuple[str, ImageId], Example] = {}
            for row in table.to_pylist():
                name, image_id, value = row["attribute"], row["id"], row["value"]
                if image_id is None:
                    _forget(attributes, name, value)
                    continue
                layers = row["layers"]
                taught = attributes.get(name)
                attributes[name] = Taught(
                    row["kind"],
                    "auto" if layers is None else tuple(layers.split(",")),
                    taught.examples if taught else [],
                )
                example = fresh.setdefault(
                    (name, image_id),
                    Example(image_id, os.fsdecode(row["image"]), {}, row["group"]),
                )
                example.values[value] = row["present"]
            for name, taught in list(attributes.items()):
                new = {key[1]: example for key, example in fresh.items() if key[0] == name}
                if new:
                    kept = [merge(old, new.pop(old.id, None), taught.kind) for old in taught.examples]
                    attributes[name] = Taught(taught.kind, taught.layers, kept + list(new.values()))
        return {name: taught for name, taught in attributes.items() if taught.examples}

    def append(
        self,
        attribute: str,
        kind: str,
        layers: tuple[str, ...] | str,
        examples: Sequence[Example],
    ) -> None:
        """Add examples of one attribute, all or nothing; on disk when this returns."""
        rows = [
            {
                "attribute": attribute,
                "kind": kind,
                "value": value,
                "id": example.id,
                "present": present,
                "image": os.fsencode(example.image),
                "group": example.group,
                "layers": None if isinstance(layers, str) else ",".join(layers),
                "time": time.time(),
            }
            for example in examples
            for value, present in example.values.items()
        ]
        self._shards.append(pa.Table.from_pylist(rows, schema=_SCHEMA))

    def forget(self, attribute: str, value: str | None) -> None:
        """Take back every example of a value, or of the whole attribute."""
        row = dict.fromkeys(_SCHEMA.names) | {
            "attribute": attribute,
            "kind": "",
            "value": value,
            "time": time.time(),
        }
        self._shards.append(pa.Table.from_pylist([row], schema=_SCHEMA))

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line a problem."""
        return self._shards.verify()

    def sweep(self) -> None:
        """Delete what a killed process left half-written."""
        self._shards.sweep()


def merge(old: Example, new: Example | None, kind: str) -> Example:
    """Apply what was said later of the same image.

    Of kind `single` the new values replace the old; of kind `multi` they add to them.
    """
    if new is None:
        return old
    values = new.values if kind == "single" else {**old.values, **new.values}
    return Example(old.id, new.image, values, new.group)


def _forget(attributes: dict[str, Taught], name: str, value: str | None) -> None:
    taught = attributes.pop(name, None)
    if taught is None or value is None:
        return
    kept = []
    for example in taught.examples:
        values = {v: present for v, present in example.values.items() if v != value}
        if values:
            kept.append(Example(example.id, example.image, values, example.group))
    attributes[name] = Taught(taught.kind, taught.layers, kept)
