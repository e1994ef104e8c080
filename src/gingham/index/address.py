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
    def how(self) -> str:
        """How a password is given in place of writing it into the address."""
        return _HOW[self.kind]


_HOW = {
    "postgresql": "set PGPASSWORD, or give it in ~/.pgpass or a service file, where the index is "
    "used"
}
_OPTIONS = {"postgresql": {"schema"}}
"""Kind of database -> what follows the question mark and is not for the database's client."""


def parse_address(text: str) -> IndexAddress | None:
    """Read the address of an index; None for one in the catalogue's folder.

    Parameters
    ----------
    text : `embedded`, or `postgresql://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?schema=NAME]`.

    Raises
    ------
    InputError
        If it is neither. What was given is not repeated: it may hold a password.
    """
    if text == EMBEDDED:
        return None
    try:
        parts = urlsplit(text)
        asked = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        parts, asked = urlsplit(""), []
    kind = "postgresql" if parts.scheme == "postgres" else parts.scheme
    if kind not in _OPTIONS or not text.isprintable() or not _is_like(text, parts):
        raise InputError(
            "the place of the index cannot be read: give embedded, or "
            "postgresql://USER@HOST:PORT/DATABASE"
        )
    own = {name: value for name, value in asked if name in _OPTIONS[kind]}
    login, _, hosts = parts.netloc.rpartition("@")
    user, colon, _ = login.partition(":")
    public = [(name, value) for name, value in asked if not _SECRET.search(name)]
    shown = parts._replace(scheme=kind, netloc=f"{user}@{hosts}" if login else hosts)
    return IndexAddress(
        kind,
        _with_query(shown, public),
        _with_query(parts, [(name, value) for name, value in asked if name not in own]),
        own,
        bool(colon) or public != asked,
    )


def _with_query(parts: SplitResult, asked: Sequence[tuple[str, str]]) -> str:
    query = urlencode(asked, quote_via=quote, safe="/")
    # `urlunsplit` leaves out the slashes before an empty host.
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query and '?'}{query}"


def _is_like(text: str, parts: SplitResult) -> bool:
    return text.partition(":")[2].startswith("//") and not parts.fragment
