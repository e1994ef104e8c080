"""Examples and corrections, an append-only log: the truth about attributes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from gingham.store.columns import table
from gingham.store.features import ImageId
from gingham.store.files import Files
from gingham.store.shards import Log

_SCHEMA = pa.schema(
    [
        pa.field("attribute", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        # Null values and ids mean: forget them all; but see `_allowing`.
        pa.field("value", pa.string()),
        pa.field("id", pa.binary(32)),
        pa.field("present", pa.bool_()),
        pa.field("image", pa.binary()),
        pa.field("group", pa.string()),
        pa.field("layers", pa.string()),
        pa.field("time", pa.float64(), nullable=False),
    ]
)

_ALLOWED = "allowed_loss"
"""In place of a kind: the row says nothing of an example."""


@dataclass(frozen=True)
class Example:
    """An image with known values.

    Attributes
    ----------
    id : of the image.
    image : the file it was taught from.
    values : value -> True if the image has it, False if it was taught as absent.
    group : examples with the same group stay on the same side of every split.
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
    examples : in the order they were added.
    first : ids of those that were taught first, also where they are examples no more.
    allowed_loss : share of right answers that may become unknown; None: the default.
    """

    kind: str
    layers: tuple[str, ...] | str
    examples: list[Example]
    first: frozenset[ImageId] = frozenset()
    allowed_loss: float | None = None

    @property
    def values(self) -> list[str]:
        """The values with an example, sorted."""
        return sorted({value for example in self.examples for value in example.values})


class ExampleLog:
    """The examples of every attribute; a later call about an image replaces an earlier one.

    Threads may call all methods together.
    """

    def __init__(self, files: Files) -> None:
        self._log = Log(files, "examples/", _SCHEMA)
        self._reading = threading.Lock()
        self._shards_read = 0
        self._known: dict[str, Taught] = {}

    @property
    def version(self) -> int:
        """Grows with every append."""
        return self._log.version

    def refresh(self) -> bool:
        """Take in what another process has added; say whether there was any."""
        return bool(self._log.refresh())

    def read(self) -> dict[str, Taught]:
        """Give what is known: attribute -> `Taught`, which is the same object until it changes.

        Only what was added since the last call is read.
        """
        with self._reading:
            for name in self._log.names()[self._shards_read :]:
                self._known = _replayed(self._known, self._log.table(name).to_pylist())
                self._shards_read += 1
            return {name: taught for name, taught in self._known.items() if taught.examples}

    def read_until(self, version: int) -> dict[str, Taught]:
        """Give what was known when the log had this version."""
        known: dict[str, Taught] = {}
        for name in self._log.names()[:version]:
            known = _replayed(known, self._log.table(name).to_pylist())
        return {name: taught for name, taught in known.items() if taught.examples}

    def append(
        self,
        attribute: str,
        kind: str,
        layers: tuple[str, ...] | str,
        examples: Sequence[Example],
        *,
        replace: bool = False,
        allowed_loss: float | None = None,
    ) -> None:
        """Add examples of one attribute, or put them in place of all that it has.

        All or nothing; durable when this returns.
        """
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
        # What a table forgets is forgotten before its examples are added.
        forgotten = [_forgetting(attribute, None)] if replace else []
        allowed = [] if allowed_loss is None else [_allowing(attribute, allowed_loss)]
        self._log.append(table([*forgotten, *allowed, *rows], _SCHEMA))

    def forget(self, attribute: str, value: str | None) -> None:
        """Remove every example of a value, or of the whole attribute."""
        self._log.append(table([_forgetting(attribute, value)], _SCHEMA))

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
        return self._log.verify()


def _replayed(known: dict[str, Taught], rows: list[dict[str, Any]]) -> dict[str, Taught]:
    """Apply one shard of the log to what was known before it."""
    attributes = dict(known)
    calls: dict[str, list[dict[str, Any]]] = {}
    losses: dict[str, float] = {}
    for row in rows:
        if row["kind"] == _ALLOWED:
            losses[row["attribute"]] = float(row["value"])
        elif row["id"] is None:
            _forget(attributes, row["attribute"], row["value"])
        else:
            calls.setdefault(row["attribute"], []).append(row)
    for name, said in calls.items():
        layers = said[0]["layers"]
        attributes[name] = add_examples(
            attributes.get(name),
            said[0]["kind"],
            "auto" if layers is None else tuple(layers.split(",")),
            [
                Example(
                    row["id"],
                    os.fsdecode(row["image"]),
                    {row["value"]: row["present"]},
                    row["group"],
                )
                for row in said
            ],
            losses.get(name),
        )
        if name in known:  # what is forgotten and taught in one entry is changed
            attributes[name] = replace(attributes[name], first=known[name].first)
    return attributes


def add_examples(
    taught: Taught | None,
    kind: str,
    layers: tuple[str, ...] | str,
    examples: Sequence[Example],
    allowed_loss: float | None = None,
) -> Taught:
    """Apply one call of `teach` to what is known.

    For an attribute of kind `single` the values of an image replace those of earlier calls; for
    kind `multi` they are added. If one call gives an image two values, both are kept, so that the
    contradiction can be shown to the user.
    """
    known = {example.id: example for example in taught.examples} if taught else {}
    fresh: dict[ImageId, Example] = {}
    for example in examples:
        values = fresh[example.id].values if example.id in fresh else {}
        fresh[example.id] = replace(example, values={**values, **example.values})
    for image_id, example in fresh.items():
        old = known[image_id].values if image_id in known and kind == "multi" else {}
        known[image_id] = replace(example, values={**old, **example.values})
    first = taught.first if taught else frozenset(fresh)
    if allowed_loss is None and taught:
        allowed_loss = taught.allowed_loss
    return Taught(kind, layers, list(known.values()), first, allowed_loss)


def _allowing(attribute: str, loss: float) -> dict[str, Any]:
    """Make the row that says how much may be lost; to earlier versions it forgets what is not."""
    return _forgetting(attribute, repr(loss)) | {"kind": _ALLOWED}


def _forgetting(attribute: str, value: str | None) -> dict[str, Any]:
    """Make the row that forgets a value, or the whole attribute."""
    row = {"attribute": attribute, "kind": "", "value": value, "time": time.time()}
    return dict.fromkeys(_SCHEMA.names) | row


def _forget(attributes: dict[str, Taught], name: str, value: str | None) -> None:
    taught = attributes.pop(name, None)
    if taught is None or value is None:
        return
    kept = []
    for example in taught.examples:
        values = {v: present for v, present in example.values.items() if v != value}
        if values:
            kept.append(replace(example, values=values))
    attributes[name] = replace(taught, examples=kept)
