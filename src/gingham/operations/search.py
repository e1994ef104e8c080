"""Search over a catalogue: keeps the index in step with the truth, and asks it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes
from gingham.backbones.table import DESCRIPTORS, FeatureConfig
from gingham.errors import CatalogueError, InputError
from gingham.index.embedded.scan import DescriptorScan
from gingham.index.filters import UNKNOWN, Where, parse_where
from gingham.index.looks import (
    NEGATIVE_FACTOR,
    TAUGHT_PREFIX,
    TAUGHT_SCALE,
    LookSpace,
    builtin_looks,
    direction,
    unit,
)
from gingham.results import Facets, Hit
from gingham.store.features import ImageId
from gingham.store.files import read_json, write_json
from gingham.store.truth import Truth

if TYPE_CHECKING:
    from gingham.index.embedded.index import VectorIndex

logger = logging.getLogger(__name__)

Features = Mapping[str, NDArray[np.floating]]
Example = ImageId | Features
"""An image of the catalogue by its id, or the features of another: layer -> (1, 2C)."""

JOINED = "fc+conv"
"""The look of the two descriptors joined as they are, as in the paper."""


def descriptor_looks(config: FeatureConfig) -> dict[str, tuple[str, ...]]:
    """Say which looks compare descriptors: look -> the descriptors that are joined."""
    looks = {x.name: (x.name,) for x in config.descriptors}
    parts = tuple(JOINED.split("+"))
    return looks | ({JOINED: parts} if looks.keys() >= set(parts) else {})


class Searcher:
    """The index of a catalogue: opened when first needed, brought up to date before it answers.

    What the index holds is noted beside it, after it is on disk; anything that the note does not
    cover is inserted again, so a crash at any moment costs nothing but time.
    """

    def __init__(self, folder: Path, truth: Truth, attributes: Attributes) -> None:
        self._folder = folder
        self._note = folder / "synced.json"
        self._features = truth.features
        self._locations = truth.locations
        self._attributes = attributes
        self._config = truth.config
        # Below the looks of the index: what is rebuilt with it is deleted with it.
        self._scan = DescriptorScan(folder / "looks" / "descriptors")
        self.space = LookSpace(
            builtin_looks(
                [(x.name, x.channels) for x in truth.config.hidden], truth.config.foreground
            )
        )
        self._index: VectorIndex | None = None
        self._synced: dict[str, Any] = {}

    @property
    def looks(self) -> tuple[str, ...]:
        """All looks there are: the built-in ones, the descriptors, the taught attributes."""
        taught = (f"{TAUGHT_PREFIX}{name}" for name in self._attributes.names())
        return (*self.space.names, *descriptor_looks(self._config), *taught)

    def close(self) -> None:
        """Close the index; it opens again when needed."""
        if self._index is not None:
            self._index.close()
            self._index = None

    def rebuild(self) -> None:
        """Rebuild the index from the features and the predictions."""
        self.close()
        # Without the note the index is made from nothing.
        self._note.unlink(missing_ok=True)
        self.sync()

    def sync(self) -> VectorIndex:
        """Bring the index in step with the files, the features and the tags."""
        stamps = {name: self._attributes.tagged(name) for name in self._attributes.answering()}
        tags = {name: stamp for name, stamp in stamps.items() if stamp is not None}
        current = {
            "space": self.space.fingerprint,
            "locations": self._locations.version,
            "tags": tags,
        }
        if self._index is not None and self._synced == current:
            return self._index
        note = self._read_note()
        index = self._open(exists=bool(note))
        if index.interrupted or not index.count():
            note = {}
        if note == current:
            self._synced = current
            return index
        logger.info("bringing the search index up to date")
        # Until all is done the note says only that there is an index of these looks.
        write_json(self._note, {"space": current["space"]})
        grown = note.get("locations") != current["locations"]
        if grown:
            self._sync_images(index)
        old: dict[str, str] = note.get("tags", {})
        for name in index.facets().keys() - tags.keys():
            index.clear_tags(name)
        for name in set(index.looks) - set(self._attributes.names()):
            index.drop_look(name)
        for name, stamp in tags.items():
            if grown or old.get(name) != stamp:
                self._sync_tags(index, name)
        index.flush()
        write_json(self._note, current)
        self._synced = current
        return index

    def _open(self, *, exists: bool) -> VectorIndex:
        from gingham.index.embedded.index import VectorIndex

        if self._index is None and exists:
            try:
                self._index = VectorIndex.open(self._folder)
            except CatalogueError as error:
                logger.warning("%s; rebuilding it now", error)
        if self._index is None:
            self._index = VectorIndex.create(self._folder, self.space.width)
        return self._index

    def _read_note(self) -> dict[str, Any]:
        try:
            note = read_json(self._note)
        except CatalogueError:
            return {}
        return note if note.get("space") == self.space.fingerprint else {}

    def _sync_images(self, index: VectorIndex) -> None:
        there = set(index.ids())
        live = {image_id.hex() for image_id, _ in self._locations.image_files()}
        index.delete(sorted(there - live))
        missing = live - there
        if not missing:
            return
        layers = sorted({layer for look in self.space.looks for layer in look.layers})
        for ids, features in self._features.batches(layers):
            chosen = [row for row, image_id in enumerate(ids) if image_id.hex() in missing]
            if chosen:
                names = [ids[row].hex() for row in chosen]
                index.upsert(names, self.space.embed({k: v[chosen] for k, v in features.items()}))
                missing.difference_update(names)
        index.optimise()

    def _sync_tags(self, index: VectorIndex, name: str) -> None:
        index.clear_tags(name)
        tags = {
            image_id.hex(): values or [UNKNOWN]
            for image_id, values, _ in self._attributes.predictions(name)
            if image_id in self._locations.images
        }
        index.set_tags(name, tags)

    def _sync_look(self, index: VectorIndex, name: str) -> None:
        """Project every image into a taught attribute's space, unless that was done before."""
        attribute = self._attributes.taught_attribute(name)
        stamp = f"{attribute.stamp}:{self._locations.version}"
        note = self._folder / "taught.json"
        try:
            stamps = read_json(note)
        except CatalogueError:
            stamps = {}
        if stamps.get(name) == stamp and name in index.looks:
            return
        ids, vectors = [], []
        for batch, features in self._features.batches(attribute.layers):
            chosen = [row for row, i in enumerate(batch) if i in self._locations.images]
            if chosen:
                ids += [batch[row].hex() for row in chosen]
                vectors.append(attribute.project({k: v[chosen] for k, v in features.items()}))
        index.set_look(name, ids, np.concatenate(vectors))
        write_json(note, stamps | {name: stamp})

    def _scan_look(
        self,
        index: VectorIndex,
        names: tuple[str, ...],
        like: Sequence[Example],
        unlike: Sequence[Example],
    ) -> NDArray[np.float32]:
        """Say how alike every row is in descriptors joined as they are: (rows,) float32.

        `1 - distance / typical distance` to the mean of the examples; negative ones give back
        half of it.
        """
        widths = [self._config.widths[name] for name in names]
        distances = np.zeros(index.rows, np.float32)
        typical = 0.0
        for name, width in zip(names, widths, strict=True):
            self._sync_descriptor(index, name)
            share = np.float32(width / sum(widths))
            typical += float(share) * self._scan.typical(name)
            for examples, factor in ((like, 1.0), (unlike, -NEGATIVE_FACTOR)):
                if examples:
                    rows = [self._described(example, name) for example in examples]
                    query = np.concatenate(rows).astype(np.float32).mean(axis=0)
                    distances += share * np.float32(factor) * self._scan.distances(name, query)
        return 1 - distances / np.float32(typical)

    def _described(self, example: Example, name: str) -> NDArray[np.floating]:
        if isinstance(example, bytes):
            return self._features.get([example], [name])[name]
        return example[name]

    def _sync_descriptor(self, index: VectorIndex, name: str) -> None:
        """Put a descriptor of every image in the order of the index, unless that was done."""
        stamp = str(self._locations.version)
        shape = (index.rows, self._config.widths[name])
        if self._scan.holds(name, stamp, shape):
            return

        def blocks() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float16]]]:
            for batch, features in self._features.batches([name]):
                chosen = [row for row, i in enumerate(batch) if i in self._locations.images]
                if chosen:
                    yield (
                        index.rows_of([batch[row].hex() for row in chosen]),
                        features[name][chosen],
                    )

        self._scan.write(name, stamp, shape, blocks())

    def search(
        self,
        like: Sequence[Example],
        unlike: Sequence[Example],
        weights: Mapping[str, float],
        where: Sequence[str],
        n: int,
        min_score: float | None = None,
    ) -> list[Hit]:
        """Find the images that look most like some and least like others.

        Parameters
        ----------
        like, unlike : example images.
        weights : look -> slider.
        where : filters, see `gingham.index.filters.parse_where`.
        n : how many to find.
        min_score : the lowest score of an answer; None for any.

        Raises
        ------
        InputError
            If a look, an attribute or a value is not there, or `min_score` is no number.
        """
        if min_score is not None and not np.isfinite(min_score):
            raise InputError(f"min_score must be a finite number, got {min_score}")
        if not like:
            raise InputError("search needs at least one image")
        described = descriptor_looks(self._config)
        for name in weights:
            if name in (*DESCRIPTORS, JOINED) and name not in described:
                raise InputError(
                    f"look {name!r}: this catalogue keeps no such descriptor; index into a new "
                    f"catalogue with --descriptors {','.join(DESCRIPTORS)}"
                )
            if name not in self.looks:
                raise InputError(f"look {name!r} is unknown; there are {', '.join(self.looks)}")
        weights = self.space.check(weights, described)
        index = self.sync()
        scanned = {
            look: self._scan_look(index, described[look], like, unlike)
            for look in weights
            if look in described
        }
        taught = {}
        for look in weights:
            if look.startswith(TAUGHT_PREFIX):
                name = look.removeprefix(TAUGHT_PREFIX)
                self._sync_look(index, name)
                taught[name] = direction(
                    *(self._taught_vectors(index, name, side) for side in (like, unlike))
                )
        directions = self.space.directions(*(self._vectors(index, side) for side in (like, unlike)))
        found = index.query(
            self.space.query_vector(directions, weights),
            n,
            self._where(index, where),
            taught={
                name: vector * np.float32(weights[f"{TAUGHT_PREFIX}{name}"] * TAUGHT_SCALE)
                for name, vector in taught.items()
            },
            added=(
                np.sum([np.float32(weights[look]) * part for look, part in scanned.items()], axis=0)
                if scanned
                else None
            ),
        )
        looks = self.space.similarities(directions, index.vectors(found.ids))
        for name, vector in taught.items():
            look = f"{TAUGHT_PREFIX}{name}"
            cosines = unit(index.look_vectors(name, found.ids)) @ vector
            looks[look] = self.space.similarity(look, cosines)
        for look, similarities in scanned.items():
            looks[look] = similarities[index.rows_of(found.ids)]
        offset = self.space.offset({k: w for k, w in weights.items() if k not in scanned})
        hits = []
        for row, (key, score, tags) in enumerate(
            zip(found.ids, found.scores.tolist(), index.tags(found.ids), strict=True)
        ):
            score += offset
            if min_score is not None and score < min_score:
                break  # best first
            files = self._locations.images[bytes.fromhex(key)]
            hits.append(
                Hit(
                    image=files[0],
                    id=key,
                    score=score,
                    looks={name: float(values[row]) for name, values in looks.items()},
                    attributes={
                        name: list(values) if self._attributes.kind(name) == "multi" else values[0]
                        for name, values in tags.items()
                    },
                    copies=tuple(files[1:]),
                )
            )
        return hits

    def _vectors(self, index: VectorIndex, examples: Sequence[Example]) -> NDArray[np.float32]:
        """Give stored vectors, (N, width)."""
        rows = [
            index.vectors([example.hex()])
            if isinstance(example, bytes)
            else self.space.embed(example)
            for example in examples
        ]
        return np.concatenate([np.empty((0, self.space.width), np.float32), *rows])

    def _taught_vectors(
        self, index: VectorIndex, name: str, examples: Sequence[Example]
    ) -> NDArray[np.float32]:
        """Give vectors of a taught look, (N, d)."""
        project = self._attributes.taught_attribute(name).project
        rows = [
            index.look_vectors(name, [example.hex()])
            if isinstance(example, bytes)
            else project(example)
            for example in examples
        ]
        width = rows[0].shape[1] if rows else 1
        return np.concatenate([np.empty((0, width), np.float32), *rows])

    def facets(self, where: Sequence[str]) -> Facets:
        """Count the images of each value among those that pass the filters."""
        index = self.sync()
        condition = self._where(index, where)
        return Facets(index.count(condition), index.facets(condition))

    def matching(self, where: Sequence[str]) -> set[str]:
        """Give the ids of the images that pass the filters, in hexadecimal."""
        index = self.sync()
        return set(index.ids(self._where(index, where)))

    def _where(self, index: VectorIndex, where: Sequence[str]) -> Where:
        if not where:
            return Where()
        known = {n: set(self._attributes.values(n)) for n in self._attributes.answering()}
        tagged = index.facets()
        for name in known:
            if name not in tagged and any(text.startswith(name) for text in where):
                raise InputError(f"attribute {name!r} is not tagged yet: run gingham tag first")
        return parse_where(where, known)

    def verify(self) -> list[str]:
        """Say where the index and the truth differ; an index that is merely behind is sound."""
        if not self._read_note():
            return []
        index = self.sync()
        live = {image_id.hex() for image_id, _ in self._locations.image_files()}
        there = set(index.ids())
        return [f"image {key} is not in the index: run gingham rebuild" for key in live - there] + [
            f"image {key} is in the index but not in the catalogue: run gingham rebuild"
            for key in there - live
        ]
