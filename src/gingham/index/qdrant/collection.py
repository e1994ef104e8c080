"""One collection of a server: what is asked of it, and what it is made with.

Every change is waited for: what the server has answered is applied and written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from qdrant_client import models
from qdrant_client.qdrant_remote import QdrantRemote

from gingham.index.index import Metric
from gingham.index.qdrant.connection import MissingError, QdrantConnection, RefusedRequestError
from gingham.index.qdrant.options import QdrantOptions
from gingham.index.qdrant.points import MOST_IDS, chunks

T = TypeVar("T")

_METADATA = "gingham"
_VALUES = 10_000  # of an attribute, as many as are first asked for
_CHANGE: dict[str, Any] = {"wait": True, "ordering": models.WriteOrdering.MEDIUM}

Vectors = Mapping[str, Any]
"""Named vectors of a point: lists of numbers."""


class PointCollection:
    """A collection; see `QdrantConnection.ask` for what every method raises."""

    def __init__(self, server: QdrantConnection, name: str) -> None:
        self._server = server
        self.name = name

    def _ask(self, call: Callable[[QdrantRemote, str], T]) -> T:
        return self._server.ask(lambda client: call(client, self.name))

    def make(self, owner: str, vectors: dict[str, models.VectorParams]) -> None:
        """Make it with the options of the address, unless it is there.

        Parameters
        ----------
        owner : is noted with it.
        """
        options = self._server.options
        if self.exists():
            return
        try:
            self._ask(
                lambda client, name: client.create_collection(
                    name,
                    vectors_config=vectors,
                    shard_number=options.shards if vectors else None,
                    replication_factor=options.replicas,
                    write_consistency_factor=options.replicas // 2 + 1,
                    quantization_config=_quantization(options),
                    on_disk_payload=options.vectors == "disk",
                    metadata={_METADATA: owner},
                )
            )
        except RefusedRequestError:
            # It may have been made by a request of which the answer was lost.
            if not self.exists():
                raise

    def exists(self) -> bool:
        """Say whether it is there."""
        return self._ask(lambda client, name: client.collection_exists(name))

    def owner(self) -> str | None:
        """Say whose it is; None if it is not of gingham."""
        found = self._ask(lambda client, name: client.get_collection(name))
        owner = (found.config.metadata or {}).get(_METADATA)
        return owner if isinstance(owner, str) else None

    def remove(self, owner: str) -> None:
        """Delete it, if it is there and its owner's."""
        try:
            if self.owner() == owner:
                self._ask(lambda client, name: client.delete_collection(name))
        except MissingError:
            return

    def names(self) -> tuple[set[str], set[str]]:
        """Give the names of its vectors, and the keys that have an index."""
        found = self._ask(lambda client, name: client.get_collection(name))
        vectors = found.config.params.vectors
        return set(vectors if isinstance(vectors, dict) else ()), set(found.payload_schema or ())

    def index_key(self, key: str, kind: models.PayloadSchemaType) -> None:
        """Make an index of a key, for filters and facets."""
        self._ask(lambda client, name: client.create_payload_index(name, key, kind, wait=True))

    def forget_key(self, key: str) -> None:
        """Delete a key from all points, and its index."""
        everywhere = models.Filter()
        self._ask(lambda client, name: client.delete_payload(name, [key], everywhere, **_CHANGE))
        self._ask(lambda client, name: client.delete_payload_index(name, key, wait=True))

    def add_vector(self, vector: str, metric: Metric, width: int) -> None:
        """Let points have one more vector."""
        params = vector_params(self._server.options, metric, width)
        dense = models.DenseVectorConfig(
            size=width,
            distance=params.distance,
            datatype=models.VectorStorageDatatype(self._server.options.datatype),
        )
        config = models.DenseVectorNameConfig(dense=dense)
        try:
            self._ask(
                lambda client, name: client.create_vector_name(name, vector, config, wait=True)
            )
        except RefusedRequestError:
            if vector not in self.names()[0]:
                raise

    def forget_vector(self, vector: str) -> None:
        """Delete a vector from all points."""
        try:
            self._ask(lambda client, name: client.delete_vector_name(name, vector, wait=True))
        except (RefusedRequestError, MissingError):
            if vector in self.names()[0]:
                raise

    def put(self, points: Sequence[models.PointStruct]) -> None:
        """Add points, or replace them."""
        if points:
            self._ask(lambda client, name: client.upsert(name, list(points), **_CHANGE))

    def set_vectors(self, vectors: Iterable[tuple[str, Vectors]]) -> None:
        """Set some vectors of points that are there."""
        changed = [models.PointVectors(id=point, vector=dict(held)) for point, held in vectors]
        if changed:
            self._ask(lambda client, name: client.update_vectors(name, changed, **_CHANGE))

    def set_payloads(self, payloads: Iterable[tuple[models.Payload, Sequence[str]]]) -> None:
        """Set keys of points that are there; others of theirs stay."""
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=payload, points=list(points))
            )
            for payload, points in payloads
            if points
        ]
        if operations:
            self._ask(lambda client, name: client.batch_update_points(name, operations, **_CHANGE))

    def forget_payload(self, key: str, where: models.Filter) -> None:
        """Delete a key from points."""
        self._ask(lambda client, name: client.delete_payload(name, [key], where, **_CHANGE))

    def delete(self, points: Sequence[str] | models.Filter) -> None:
        """Delete points; those that are not there are passed over."""
        selected: Any = points if isinstance(points, models.Filter) else list(points)
        if selected != []:
            self._ask(lambda client, name: client.delete(name, selected, **_CHANGE))

    def get(
        self, points: Sequence[str], keys: Sequence[str], vectors: Collection[str] = ()
    ) -> Iterator[models.Record]:
        """Give those points that are there, in no order."""

        def some_of(some: Sequence[str], client: QdrantRemote, name: str) -> list[models.Record]:
            return client.retrieve(
                name, list(some), with_payload=list(keys), with_vectors=list(vectors) or False
            )

        for some in chunks(points, MOST_IDS):
            yield from self._ask(partial(some_of, some))

    def scroll(
        self, where: models.Filter, keys: Sequence[str], most: int | None = None
    ) -> Iterator[models.Record]:
        """Give points in the order of their names, with these keys of what they hold."""
        offset: Any = None
        page = MOST_IDS if most is None else min(most, MOST_IDS)
        left = most

        def pages(offset: Any, client: QdrantRemote, name: str) -> Any:
            return client.scroll(
                name, where, limit=page, offset=offset, with_payload=list(keys) or False
            )

        while True:
            found, offset = self._ask(partial(pages, offset))
            yield from found if left is None else found[:left]
            left = None if left is None else left - len(found)
            if offset is None or (left is not None and left <= 0):
                return

    def count(self, where: models.Filter) -> int:
        """Count points exactly."""
        return self._ask(lambda client, name: client.count(name, where, exact=True)).count

    def facet(self, key: str, where: models.Filter) -> dict[str, int]:
        """Count points by the values of a key exactly."""
        most = _VALUES

        def counted(client: QdrantRemote, name: str) -> models.FacetResponse:
            return client.facet(name, key, where, limit=most, exact=True)

        while len(hits := self._ask(counted).hits) == most:
            most *= 10
        return {str(hit.value): hit.count for hit in hits}

    def search(self, requests: Sequence[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        """Send several queries as one request."""
        found = self._ask(lambda client, name: client.query_batch_points(name, list(requests)))
        return [one.points for one in found]


def collections_of(server: QdrantConnection) -> list[PointCollection]:
    """Give the collections of points of an index: its name, a dot and a number."""
    found = server.ask(lambda client: client.get_collections()).collections
    return [
        PointCollection(server, one.name)
        for one in found
        if one.name.startswith(f"{server.name}.") and one.name[len(server.name) + 1 :].isdecimal()
    ]


def vector_params(options: QdrantOptions, metric: Metric, width: int) -> models.VectorParams:
    """Say how a look is kept."""
    distance = models.Distance.MANHATTAN if metric == "l1" else models.Distance.DOT
    return models.VectorParams(
        size=width,
        distance=distance,
        on_disk=options.vectors == "disk",
        datatype=models.Datatype(options.datatype),
    )


def _quantization(options: QdrantOptions) -> models.QuantizationConfig | None:
    match options.quantization:
        case "scalar":
            scalar = models.ScalarQuantizationConfig(
                type=models.ScalarType.INT8, quantile=0.99, always_ram=True
            )
            return models.ScalarQuantization(scalar=scalar)
        case "binary":
            binary = models.BinaryQuantizationConfig(always_ram=True)
            return models.BinaryQuantization(binary=binary)
        case "turbo":
            turbo = models.TurboQuantQuantizationConfig(always_ram=True)
            return models.TurboQuantization(turbo=turbo)
        case _:
            return None
