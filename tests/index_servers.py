"""Servers that can hold the index of a catalogue, for tests that every one must pass."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from postgres_server import LOGIN, PASSWORD, PostgresServer
from qdrant_server import KEY, QdrantServer


@dataclass(frozen=True)
class IndexServer:
    """A place for an index that is not there yet.

    Attributes
    ----------
    url : its address with a password.
    plain : the address without it, which `environment` gives.
    secrets : what no message may have.
    kill, start : of the server.
    refused, left : what is said without a password, and when the index is moved away.
    reader : gives the address and the environment of who may only read.
    """

    url: str
    plain: str
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    kill: Callable[[], None]
    start: Callable[[], None]
    refused: str
    left: str
    reader: Callable[[], str]


def in_postgres(server: PostgresServer) -> IndexServer:
    """Give a schema of a PostgreSQL server."""
    schema = f"shop_{secrets.token_hex(4)}"
    url = server.url(schema)

    def reader() -> str:
        import psycopg

        with psycopg.connect(server.url("x").partition("?")[0], autocommit=True) as admin:
            for statement in (
                "DO $$ BEGIN CREATE ROLE looks LOGIN PASSWORD 'looks'; EXCEPTION WHEN "
                "duplicate_object THEN NULL; END $$",
                f"GRANT USAGE ON SCHEMA {schema} TO looks",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO looks",
                f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO looks",
            ):
                admin.execute(statement.encode())
        return server.url(schema, "looks:looks")

    return IndexServer(
        url,
        url.replace(LOGIN, "gingham"),
        {"PGPASSWORD": PASSWORD},
        (PASSWORD, LOGIN.partition(":")[2]),
        server.kill,
        server.start,
        r"no password supplied.*set PGPASSWORD",
        "drop its schema, shop_",
        reader,
    )


def in_qdrant(server: QdrantServer) -> IndexServer:
    """Give a collection of a server that answers as Qdrant does."""
    server.held.key = KEY
    plain = f"{server.url}/shop_{secrets.token_hex(4)}"

    def reader() -> str:
        server.held.read_only = True
        return plain

    return IndexServer(
        f"{plain}?api_key={quote(KEY)}",
        plain,
        {"QDRANT_API_KEY": KEY},
        (KEY, quote(KEY)),
        server.kill,
        server.start,
        r"is refused.*set QDRANT_API_KEY",
        "delete its collections",
        reader,
    )


SERVERS: dict[str, tuple[str, Callable[[Any], IndexServer]]] = {
    "postgresql": ("postgres", in_postgres),
    "qdrant": ("qdrant", in_qdrant),
}
"""Kind -> the fixture of the server, and what gives a place there."""
