"""A Qdrant server on loopback: its REST interface, answered by the local mode of the client.

Every request is checked by the client's own models, which allow no key that the interface does not
have. As with the server's strict mode, a filter on a key that has no index is refused.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError
from qdrant_client import QdrantClient, models

VERSION = "1.18.0"
KEY = "a key that is not printed"
UNFILTERED = {"wait", "ordering", "consistency", "timeout"}

Answer = tuple[int, dict[str, str], Any]


class LocalQdrant:
    """What a server holds, and its answers."""

    def __init__(self, key: str = "") -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.client = QdrantClient(":memory:")
        self.key = key
        self.read_only = False
        self.version = VERSION
        self.schemas: dict[str, dict[str, Any]] = {}
        self.created: dict[str, models.CreateCollection] = {}
        self.requests: Counter[str] = Counter()
        self.refused: list[str] = []
        self._turn = threading.RLock()

    def transport(self, fails: Callable[[str], bool] = lambda asked: False) -> httpx.MockTransport:
        """Give what answers a client in the same process.

        Parameters
        ----------
        fails : whether a request, a method and a path, does not get there.
        """

        def handle(request: httpx.Request) -> httpx.Response:
            url = urlsplit(str(request.url))
            if fails(f"{request.method} {url.path}"):
                raise httpx.ConnectError("gone")
            status, headers, content = self.answer(
                request.method, url.path, url.query, request.read(), dict(request.headers)
            )
            return httpx.Response(status, headers=headers, json=content)

        return httpx.MockTransport(handle)

    def answer(
        self, method: str, path: str, query: str, body: bytes, headers: dict[str, str]
    ) -> Answer:
        """Answer one request."""
        if self.key and headers.get("api-key") != self.key:
            return 401, {}, _error("Must provide an API key or an Authorization bearer token")
        for route, model, call in ROUTES:
            found = re.fullmatch(route, f"{method} {path}")
            if found is None:
                continue
            self.requests[route] += 1
            if self.read_only and not READS.fullmatch(route):
                return 403, {}, _error("Forbidden: only read access")
            try:
                asked = dict(parse_qsl(query, strict_parsing=bool(query)))
                if unknown := asked.keys() - UNFILTERED:
                    raise ValueError(f"unknown parameters {unknown}")
                parsed = model and TypeAdapter(model).validate_json(body)
                names = [unquote(name) for name in found.groups()]
                with self._turn, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    if names:
                        self._check_keys(names[0], parsed)
                    if isinstance(call, str):
                        result = getattr(self, call)(parsed, *names)
                    else:
                        result = call(self, parsed, *names)
            except (ValueError, ValidationError, KeyError) as error:
                missing = isinstance(error, KeyError) or str(error).endswith("not found")
                if "already exists" in str(error):  # as after an answer that was lost
                    return 409, {}, _error(str(error))
                if not missing:
                    self.refused.append(f"{method} {path}: {error}")
                return 404 if missing else 400, {}, _error(str(error))
            return 200, {}, result if path == "/" else {"time": 0, "status": "ok", "result": result}
        self.refused.append(f"{method} {path}: unknown route")
        return 405, {}, _error("unknown route")

    def _check_keys(self, collection: str, parsed: Any) -> None:
        known = self.schemas.get(collection, {})
        for key in _keys(parsed):
            if key not in known:
                raise ValueError(f"Index required but not found for {key!r}")

    def create(self, asked: models.CreateCollection, name: str) -> bool:
        self.client.create_collection(name, vectors_config=asked.vectors, metadata=asked.metadata)
        self.schemas[name], self.created[name] = {}, asked
        return True

    def info(self, _: None, name: str) -> Any:
        found = _plain(self.client.get_collection(name))
        found["payload_schema"] = {
            key: {"data_type": kind, "points": 0} for key, kind in self.schemas[name].items()
        }
        return found

    def delete_collection(self, _: None, name: str) -> bool:
        self.schemas.pop(name, None)
        return self.client.delete_collection(name)

    def index_key(self, asked: models.CreateFieldIndex, name: str) -> Any:
        self.client.get_collection(name)
        kind = asked.field_schema
        self.schemas[name][asked.field_name] = getattr(kind, "type", kind)
        return DONE

    def forget_index(self, _: None, name: str, key: str) -> Any:
        self.client.get_collection(name)
        self.schemas[name].pop(key, None)
        return DONE

    def upsert(self, asked: models.PointsList, name: str) -> Any:
        self.client.upsert(
            name, asked.points, update_filter=asked.update_filter, update_mode=asked.update_mode
        )
        return DONE

    def scroll(self, asked: models.ScrollRequest, name: str) -> Any:
        points, offset = self.client.scroll(
            name,
            asked.filter,
            limit=asked.limit or 10,
            offset=asked.offset,
            with_payload=asked.with_payload or False,
            with_vectors=asked.with_vector or False,
        )
        return {"points": _plain(points), "next_page_offset": offset}

    def retrieve(self, asked: models.PointRequest, name: str) -> Any:
        found = self.client.retrieve(
            name,
            asked.ids,
            with_payload=asked.with_payload if asked.with_payload is not None else True,
            with_vectors=asked.with_vector or False,
        )
        return _plain(found)

    def batch(self, asked: models.UpdateOperations, name: str) -> Any:
        self.client.batch_update_points(name, asked.operations)
        return [DONE] * len(asked.operations)

    def count(self, asked: models.CountRequest, name: str) -> Any:
        return _plain(self.client.count(name, asked.filter, exact=True))

    def facet(self, asked: models.FacetRequest, name: str) -> Any:
        if asked.key not in self.schemas.get(name, {}):
            raise ValueError(f"Existing index required for facet on {asked.key}")
        assert asked.exact
        return _plain(self.client.facet(name, asked.key, asked.filter, limit=asked.limit or 10))


class ForgetfulQdrant(LocalQdrant):
    """Checks every request of a build and keeps no vector: what the way to a server costs."""

    def __init__(self) -> None:
        super().__init__()
        self._payloads: dict[str, dict[str, Any]] = {}

    def upsert(self, asked: models.PointsList, name: str) -> Any:
        if not self.created[name].vectors:
            return super().upsert(asked, name)
        self._payloads.update((str(one.id), one.payload or {}) for one in asked.points)
        return DONE

    def retrieve(self, asked: models.PointRequest, name: str) -> Any:
        if not self.created[name].vectors:
            return super().retrieve(asked, name)
        there = ((one, self._payloads.get(str(one))) for one in asked.ids)
        return [{"id": one, "payload": payload} for one, payload in there if payload is not None]

    def batch(self, asked: models.UpdateOperations, name: str) -> Any:
        for operation in asked.operations:
            assert isinstance(operation, models.SetPayloadOperation)
            for point in operation.set_payload.points or ():
                self._payloads[str(point)].update(operation.set_payload.payload)
        return [DONE] * len(asked.operations)

    def count(self, asked: models.CountRequest, name: str) -> Any:
        return {"count": len(self._payloads)}

    def facet(self, asked: models.FacetRequest, name: str) -> Any:
        counts = Counter(one for held in self._payloads.values() for one in held[asked.key])
        return {"hits": [{"value": value, "count": count} for value, count in counts.items()]}


DONE = {"operation_id": 0, "status": "completed"}
READS = re.compile("GET .*|POST .*/(points|scroll|count|facet|query/batch)")
COLLECTION = "/collections/([^/]+)"


def _queried(server: LocalQdrant, asked: models.QueryRequestBatch, name: str) -> Any:
    return _plain(server.client.query_batch_points(name, asked.searches))


def _done(call: Callable[..., object]) -> Callable[..., Any]:
    def done(server: LocalQdrant, asked: Any, name: str, *more: str) -> Any:
        call(server, asked, name, *more)
        return DONE

    return done


Route = tuple[str, Any, Callable[..., Any] | str]
ROUTES: list[Route] = [
    ("GET /", None, lambda server, _: {"title": "qdrant", "version": server.version}),
    ("GET /collections", None, lambda server, _: _plain(server.client.get_collections())),
    (
        f"GET {COLLECTION}/exists",
        None,
        lambda server, _, name: {"exists": server.client.collection_exists(name)},
    ),
    (f"GET {COLLECTION}", None, "info"),
    (f"PUT {COLLECTION}", models.CreateCollection, "create"),
    (f"DELETE {COLLECTION}", None, "delete_collection"),
    (f"PUT {COLLECTION}/index", models.CreateFieldIndex, "index_key"),
    (f"DELETE {COLLECTION}/index/([^/]+)", None, "forget_index"),
    (
        f"PUT {COLLECTION}/vectors/([^/]+)",
        models.VectorNameConfig,
        _done(
            lambda server, asked, name, vector: server.client.create_vector_name(
                name, vector, asked
            )
        ),
    ),
    (
        f"DELETE {COLLECTION}/vectors/([^/]+)",
        None,
        _done(lambda server, _, name, vector: server.client.delete_vector_name(name, vector)),
    ),
    (f"PUT {COLLECTION}/points", models.PointsList, "upsert"),
    (f"POST {COLLECTION}/points", models.PointRequest, "retrieve"),
    (
        f"PUT {COLLECTION}/points/vectors",
        models.UpdateVectors,
        _done(lambda server, asked, name: server.client.update_vectors(name, asked.points)),
    ),
    (
        f"POST {COLLECTION}/points/payload/delete",
        models.DeletePayload,
        _done(
            lambda server, asked, name: server.client.delete_payload(
                name, asked.keys, asked.points or asked.filter
            )
        ),
    ),
    (
        f"POST {COLLECTION}/points/delete",
        models.PointsSelector,
        _done(lambda server, asked, name: server.client.delete(name, asked)),
    ),
    (f"POST {COLLECTION}/points/batch", models.UpdateOperations, "batch"),
    (f"POST {COLLECTION}/points/scroll", models.ScrollRequest, "scroll"),
    (
        f"POST {COLLECTION}/points/count",
        models.CountRequest,
        "count",
    ),
    (f"POST {COLLECTION}/facet", models.FacetRequest, "facet"),
    (f"POST {COLLECTION}/points/query/batch", models.QueryRequestBatch, _queried),
]
"""Method and path, the model of the body, and what answers: a function, or a method by name."""


def _plain(found: Any) -> Any:
    if isinstance(found, list):
        return [_plain(one) for one in found]
    return found.model_dump(mode="json") if isinstance(found, BaseModel) else found


def _error(words: str) -> Any:
    return {"time": 0, "status": {"error": words}}


def _keys(parsed: Any) -> Iterator[str]:
    """Give the keys that the filters of a request ask for."""
    if isinstance(parsed, models.FieldCondition):
        yield parsed.key
    elif isinstance(parsed, BaseModel):
        for name in type(parsed).model_fields:
            if name not in ("payload", "vector", "vectors", "points", "query"):
                yield from _keys(getattr(parsed, name))
    elif isinstance(parsed, list) and parsed and isinstance(parsed[0], BaseModel):
        for one in parsed:
            yield from _keys(one)


class QdrantServer:
    """The same behind a socket; it can be killed, and started again with what it holds.

    Parameters
    ----------
    held : what it answers from.

    Attributes
    ----------
    faults : what happens to the next requests instead of an answer, first to last: a status, an
        answer, `tear` (no answer, nothing done), `lose` (done, but no answer) or `hang`.
    """

    def __init__(self, held: LocalQdrant | None = None) -> None:
        self.held = held or LocalQdrant()
        self.faults: list[int | str | Answer] = []
        self.hang = 3.0
        self.fault_at: Callable[[str], bool] = lambda path: True
        self._port = 0
        self._open: set[socket.socket] = set()
        self.start()

    @property
    def url(self) -> str:
        """The address of an index there, without a collection."""
        return f"qdrant+http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, at the same port as before."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer._open.add(self.request)
                super().setup()

            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    super().handle()

            def finish(self) -> None:
                outer._open.discard(self.request)
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

            def log_message(self, *args: Any) -> None:
                pass

            def _respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = None
                if outer.faults and outer.fault_at(f"{self.command} {self.path}"):
                    fault = outer.faults.pop(0)
                if fault == "hang":
                    time.sleep(outer.hang)
                if isinstance(fault, str) and fault != "lose":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                headers: dict[str, str]
                if isinstance(fault, int):
                    status, headers, content = fault, {}, _error("try again")
                elif isinstance(fault, tuple):
                    status, headers, content = fault
                else:
                    url = urlsplit(self.path)
                    lowered = {name.lower(): text for name, text in self.headers.items()}
                    status, headers, content = outer.held.answer(
                        self.command, url.path, url.query, body, lowered
                    )
                if fault == "lose":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                sent = json.dumps(content, default=str).encode()
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            do_GET = do_PUT = do_POST = do_DELETE = _respond  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def kill(self) -> None:
        """Close every connection at once, and listen no more."""
        self._server.shutdown()
        self._server.server_close()
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    stop = kill
