"""Where the index of a catalogue is: in its folder, or at the address of a database."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from gingham.errors import InputError

EMBEDDED = "embedded"
"""What is given in place of an address for an index in the catalogue's folder."""

_SECRET = re.compile(r"pass(word|wd)?$|secret|token|api.?key", re.IGNORECASE)


@dataclass(frozen=True)
class IndexAddress:
    """The address of a database that holds an index.

    Attributes
    ----------
    kind : `postgresql`.
    shown : as it is kept and printed, without passwords.
    client : as the database's client takes it, perhaps with a password; never printed or kept.
    options : what follows the question mark and is gingham's own.
    has_password : whether it was given with one.
    """

    kind: str
    shown: str
    client: str = field(repr=False)
    options: Mapping[str, str]
    has_password: bool

    @property
    def place(self) -> str:
        """The address as it is shown, but for who asks."""
        return re.sub(r"//[^/@]*@", "//", self.shown, count=1)

    @property
    def how(self) -> str:
        """How a password is given in place of writing it into the address."""
        return _HOW[self.kind]


_HOW = {
    "postgresql": "set PGPASSWORD, or give it in ~/.pgpass or a service file, where the index is "
    "used",
    "qdrant+http": "set QDRANT_API_KEY where the index is used",
    "qdrant+https": "set QDRANT_API_KEY where the index is used",
}
"""Kind of server -> how a password is given."""
_FORMS = (
    "embedded, postgresql://USER@HOST:PORT/DATABASE or qdrant+https://HOST:PORT/COLLECTION "
    "(qdrant+http without TLS)"
)


def parse_address(text: str) -> IndexAddress | None:
    """Read the address of an index; None for one in the catalogue's folder.

    Parameters
    ----------
    text : `embedded`, or `postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?schema=NAME]`, or
        `qdrant+http[s]://HOST[:PORT][/COLLECTION][?NAME=VALUE...]`, see `QdrantOptions`.

    Raises
    ------
    InputError
        If it is none of these. What was given is not repeated where it may hold a password.
    """
    if text == EMBEDDED:
        return None
    try:
        parts = urlsplit(text)
        asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        parts, asked = urlsplit(""), []
    kind = "postgresql" if parts.scheme == "postgres" else parts.scheme
    if kind not in _HOW or not text.isprintable() or not _is_like(text, parts):
        raise InputError(f"the place of the index cannot be read: give {_FORMS}")
    public = [(name, value) for name, value in asked if not _SECRET.search(name)]
    if kind == "postgresql":
        own = {name: value for name, value in asked if name == "schema"}
    else:
        own = dict(public)
        _check_qdrant(parts, own)
    login, _, hosts = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    shown = parts._replace(scheme=kind, netloc=f"{user}@{hosts}" if login else hosts)
    client = [(name, value) for name, value in asked if name not in own]
    return IndexAddress(
        kind,
        _with_query(shown, public),
        _with_query(parts, client),
        own,
        bool(colon) or public != asked,
    )


def _check_qdrant(parts: SplitResult, options: Mapping[str, str]) -> None:
    from gingham.index.qdrant.options import read_options, split_path

    if not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[\w.-]+)(:\d{1,5})?", parts.netloc):
        raise InputError(
            "an address of Qdrant names a host and no user, as in qdrant+http://HOST:6333/NAME; "
            f"for a key, {_HOW[parts.scheme]}"
        )
    split_path(parts)
    read_options(options)


def _with_query(parts: SplitResult, asked: Sequence[tuple[str, str]]) -> str:
    query = urlencode(asked, quote_via=quote, safe="/")
    # `urlunsplit` leaves out the slashes before an empty host.
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query and '?'}{query}"


def _is_like(text: str, parts: SplitResult) -> bool:
    return text.partition(":")[2].startswith("//") and not parts.fragment
