"""What an address of Qdrant says: where the server is, which collection, and how it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote

from pydantic import Field

from gingham.errors import InputError
from gingham.settings import SettingsFile, settings

COLLECTION = "gingham"
PORT = 6333

_FORBIDDEN = '<>:"/\\|?*\0'  # in names of collections


@settings
class QdrantOptions(SettingsFile):
    """What follows the question mark in an address.

    Attributes
    ----------
    shards : parts of the collection that the nodes of a cluster share out; None: as many as the
        server makes by itself.
    replicas : copies of each.
    quantization : what searching first compares; scores come of the vectors themselves.
    vectors : where the server keeps them.
    datatype : of a stored number; in float16, scores are rounded.
    timeout : seconds for one request.
    """

    shards: Annotated[int | None, Field(ge=1, le=10_000)] = None
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    quantization: Literal["none", "scalar", "binary", "turbo"] = "none"
    vectors: Literal["memory", "disk"] = "memory"
    datatype: Literal["float32", "float16"] = "float32"
    timeout: Annotated[int, Field(ge=1, le=3_600)] = 60


def read_options(asked: Mapping[str, str]) -> QdrantOptions:
    """Check what an address says.

    Raises
    ------
    InputError
        If an option is unknown, or its value is not allowed.
    """
    values = {name: _value(text) for name, text in asked.items()}
    return QdrantOptions.from_dict(values, where="the address of the index")


def _value(text: str) -> Any:
    """Take numbers and booleans as JSON does, everything else as it is."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text


def split_path(parts: SplitResult) -> tuple[str, str]:
    """Give the path of the server, `/` before it or empty, and the name of the collection.

    Raises
    ------
    InputError
        If the name cannot be one.
    """
    path, _, last = parts.path.rpartition("/")
    name = unquote(last) or COLLECTION
    if not name.isprintable() or set(name) & set(_FORBIDDEN) or len(name) > 200 or name[0] == ".":
        raise InputError(
            f"the collection in the address of the index must be a name of at most 200 characters "
            f"without any of {_FORBIDDEN[:-1]}, got {name!r}"
        )
    return path, name
