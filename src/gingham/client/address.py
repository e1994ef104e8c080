"""Addresses of served catalogues, told apart from folders."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from gingham.errors import InputError

_SCHEME = re.compile(r"https?:/", re.IGNORECASE)


def is_address(place: str | os.PathLike[str]) -> bool:
    """Tell whether a catalogue is given by its address; a `Path` has lost one slash of it."""
    return _SCHEME.match(os.fspath(place)) is not None


def check_address(url: str) -> str:
    """Return an address without the slash at its end.

    Raises
    ------
    InputError
        If it is not http(s)://host[:port][/prefix].
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        parts = urlsplit("")
    right = parts.scheme in ("http", "https") and parts.hostname and url.isprintable()
    if not right or " " in url or "@" in parts.netloc or parts.query or parts.fragment:
        # It is not repeated: it may hold a password.
        raise InputError(
            "the address of a served catalogue cannot be read: give http://host:port or "
            "https://host, with the prefix of its path if there is one, and a key apart from it"
        )
    return url.rstrip("/")
