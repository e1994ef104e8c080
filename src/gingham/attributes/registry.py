"""The taught attributes of a catalogue and what they answered: derived, rebuildable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.attributes.taught import TaughtAttribute, stamp_of
from gingham.errors import CatalogueError, InputError
from gingham.store.examples import Taught
from gingham.store.features import ImageId
from gingham.store.files import replace_file
from gingham.store.truth import Truth

_PREDICTIONS = pa.schema(
    [
        pa.field("id", pa.binary(32), nullable=False),
        # Empty: unknown. Of kind `single` one value at most.
        pa.field("values", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("confidence", pa.float32(), nullable=False),
    ]
)

_TRAINED = b"trained"

Batches = Iterator[tuple[list[ImageId], list[list[str]], NDArray[np.floating]]]
"""Ids, the values of each image (none: unknown), and the confidences."""


@dataclass(frozen=True)
class TrainedTags:
    """What a trained model's tags of an attribute are: `model` is the fingerprint of the model."""

    kind: str
    values: tuple[str, ...]
    model: str


class Attributes:
    """The attributes of a catalogue: what the log says, what was fitted, what was predicted.

    Everything in the folder is derived: an attribute whose file is missing, damaged or older
    than the examples is refitted.
    """

    def __init__(self, folder: Path, truth: Truth) -> None:
        self._folder = folder
        self._truth = truth
        self._read: tuple[int, dict[str, Taught]] | None = None
        self._ready: dict[str, TaughtAttribute] = {}
        self._stamps: dict[str, str] = {}
        self._tags: dict[str, tuple[int, dict[bytes, bytes]]] = {}

    def taught(self) -> dict[str, Taught]:
        """All that was said, by attribute."""
        if self._read is None or self._read[0] != self._truth.log.version:
            self._read = (self._truth.log.version, self._truth.log.read())
            self._stamps.clear()
        return self._read[1]

    def names(self) -> list[str]:
        """The attributes that are taught, sorted."""
        return sorted(self.taught())

    def answering(self) -> list[str]:
        """The attributes that are taught, or tagged by a trained model, sorted."""
        folders = [unquote(path.parent.name) for path in self._folder.glob("*/predictions.parquet")]
        return sorted({*self.taught(), *(name for name in folders if self.trained(name))})

    def kind(self, name: str) -> str:
        """`single` or `multi`."""
        trained = self.trained(name)
        return trained.kind if trained else self.taught()[name].kind

    def values(self, name: str) -> tuple[str, ...]:
        """The values that its tags may be."""
        trained = self.trained(name)
        return trained.values if trained else self.get(name).values

    def trained(self, name: str) -> TrainedTags | None:
        """Say what a trained model tagged; None if the tags are those of the taught attribute.

        The last to tag counts: `gingham tag`, with a model or without.
        """
        _, metadata = self._written(name)
        if _TRAINED not in metadata:
            return None
        said = json.loads(metadata[_TRAINED])
        return TrainedTags(said["kind"], tuple(said["values"]), said["model"])

    def check(self, names: Sequence[str] | None) -> list[str]:
        """Return the attributes asked for, or all.

        Raises
        ------
        InputError
            If one is not taught, or none is.
        """
        known = self.names()
        if not known:
            raise InputError("no attribute is taught yet: run gingham teach first")
        for name in names or ():
            if name not in known:
                raise InputError(f"unknown attribute {name!r}; taught: {', '.join(known)}")
        return list(dict.fromkeys(names)) if names else known

    def get(self, name: str) -> TaughtAttribute:
        """Load an attribute, or refit it if its file does not match the examples."""
        taught = self.taught()[name]
        stamp = self.stamp(name)
        if (ready := self._ready.get(name)) and ready.stamp == stamp:
            return ready
        try:
            attribute = TaughtAttribute.load(self._path(name) / "attribute.npz")
        except CatalogueError:
            attribute = None
        if attribute is None or attribute.stamp != stamp:
            attribute = self._fit(name, taught)
        self._ready[name] = attribute
        return attribute

    def _fit(self, name: str, taught: Taught) -> TaughtAttribute:
        # scikit-learn, which only fitting needs, takes a second to import.
        from gingham.attributes.fitting import fit

        attribute = fit(self._truth, name, taught).attribute
        self.keep(attribute)
        return attribute

    def keep(self, attribute: TaughtAttribute) -> None:
        """Put an attribute on disk."""
        attribute.save(self._path(attribute.name) / "attribute.npz")
        self._ready[attribute.name] = attribute

    def forget(self, name: str) -> None:
        """Delete what was derived of an attribute; examples are kept in the log."""
        self._ready.pop(name, None)
        self._tags.pop(name, None)
        shutil.rmtree(self._path(name), ignore_errors=True)

    def write_predictions(self, attribute: TaughtAttribute, batches: Batches) -> None:
        """Replace an attribute's predictions, streaming."""
        self._write(attribute.name, {b"stamp": attribute.stamp.encode()}, batches)

    def write_trained(self, name: str, tags: TrainedTags, batches: Batches) -> None:
        """Replace an attribute's predictions by those of a trained model, streaming."""
        said = {"kind": tags.kind, "values": tags.values, "model": tags.model}
        self._write(name, {_TRAINED: json.dumps(said).encode()}, batches)

    def _write(self, name: str, metadata: dict[bytes, bytes], batches: Batches) -> None:
        schema = _PREDICTIONS.with_metadata(metadata)

        def write(path: Path) -> None:
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                for ids, values, confidence in batches:
                    columns = [ids, values, confidence.astype(np.float32)]
                    arrays = [pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)]
                    writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

        replace_file(self._path(name) / "predictions.parquet", write)
        self._tags.pop(name, None)

    def predictions(self, name: str) -> Iterator[tuple[ImageId, list[str], float]]:
        """Stream (id, values, confidence) of an attribute's predictions; no value: unknown."""
        path = self._path(name) / "predictions.parquet"
        if self.tagged(name) is None:
            return
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=_PREDICTIONS.names):
                yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    def tagged(self, name: str) -> str | None:
        """Name the tags of an attribute; None if it was not tagged since it was last taught."""
        written, metadata = self._written(name)
        if trained := self.trained(name):
            return f"{trained.model}:{written}"
        if name not in self.taught() or metadata.get(b"stamp", b"").decode() != self.stamp(name):
            return None
        return f"{self.stamp(name)}:{written}"

    def _written(self, name: str) -> tuple[int, dict[bytes, bytes]]:
        """When an attribute's predictions were written, and by what; nothing if they are not."""
        if name not in self._tags:
            path = self._path(name) / "predictions.parquet"
            try:
                with pq.ParquetFile(path) as file:
                    metadata = file.schema_arrow.metadata or {}
                self._tags[name] = path.stat().st_mtime_ns, metadata
            except (OSError, pa.ArrowException):
                self._tags[name] = 0, {}
        return self._tags[name]

    def rebuild(self) -> None:
        """Refit every attribute from the examples; predictions are kept."""
        self._ready.clear()
        for name, taught in self.taught().items():
            self._fit(name, taught)

    def verify(self) -> list[str]:
        """Say which examples have no features."""
        return [
            f"example {example.image} of {name!r} has no features: teach it again"
            for name, taught in self.taught().items()
            for example in taught.examples
            if example.id not in self._truth.features
        ]

    def _path(self, name: str) -> Path:
        return self._folder / quote(name, safe=" ")

    def stamp(self, name: str) -> str:
        """Name the state of an attribute: its examples and all else that decides its fit."""
        taught = self.taught()[name]
        if name not in self._stamps:
            self._stamps[name] = stamp_of(self._truth.config, taught)
        return self._stamps[name]
