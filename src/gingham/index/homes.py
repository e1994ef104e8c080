"""The implementations of `IndexHome`; each is imported when it is needed."""

from __future__ import annotations

from pathlib import Path

from gingham.errors import require_extra
from gingham.index.home import IndexHome
from gingham.index.place import IndexPlace


def index_home(place: IndexPlace, folder: Path) -> IndexHome:
    """Give the index at a place.

    Parameters
    ----------
    folder : of an index that is kept with the catalogue.

    Raises
    ------
    MissingExtraError
        If what a database needs is not installed.
    """
    if place.address is None:
        from gingham.index.embedded.home import EmbeddedHome

        return EmbeddedHome(folder)
    if place.address.kind == "postgresql":
        require_extra("postgresql", "psycopg", "tenacity", purpose="an index in PostgreSQL")
        from gingham.index.postgres.home import PostgresHome

        return PostgresHome(place.address, place.owner)
    require_extra("qdrant", "qdrant_client", "tenacity", purpose="an index in Qdrant")
    from gingham.index.qdrant.home import QdrantHome

    return QdrantHome(place.address, place.owner)
