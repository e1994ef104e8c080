"""Who changed the catalogue, when and how: an append-only log."""

from __future__ import annotations

import contextlib
import getpass
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from gingham.store.columns import table
from gingham.store.files import Files
from gingham.store.shards import Log

_BEGUN = "changes/begun/"
_NUMBERS = ("made", "images", "examples_from", "examples_to", "places_from", "places_to", "undoes")
_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.float64(), nullable=False) for name in _NUMBERS),
        pa.field("by", pa.string(), nullable=False),
        pa.field("verb", pa.string(), nullable=False),
        pa.field("attribute", pa.string()),
        pa.field("summary", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class ChangeEntry:
    """One change.

    Attributes
    ----------
    number : of the change, from 1 on.
    made : seconds since 1970.
    by : who made it.
    summary : what was done, in plain words.
    images : how many images it is about.
    examples_from, examples_to : versions of the log of examples before and after it.
    places_from, places_to : versions of the log of locations before and after it.
    undoes : the number of the change that it undoes; 0: none.
    """

    number: int
    made: float
    by: str
    verb: str
    attribute: str | None
    summary: str
    images: int
    examples_from: int
    examples_to: int
    places_from: int
    places_to: int
    undoes: int = 0


def user_name() -> str:
    """Give the name of whoever runs this process."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name
        return "unknown"


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A change that may be under way, and what there was before it.

    Attributes
    ----------
    made, by, verb, attribute, undoes : see `ChangeEntry`.
    detail : is added to the summary.
    examples, places, attached, schema, text : versions of the logs.
    images : how many there were.
    """

    made: float
    by: str
    verb: str
    attribute: str | None
    undoes: int
    detail: str
    examples: int
    places: int
    attached: int
    images: int
    schema: int = 0
    text: int = 0


class ChangeLog:
    """All changes of a catalogue, in order; threads may call all methods together.

    A change is announced by `begin` before anything is changed, so that one during which the
    process is killed is not lost: `begun` names it after the next start.

    Parameters
    ----------
    files : of the catalogue.

    Attributes
    ----------
    caller : names who makes the change at hand.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._log = Log(files, "changes/", _SCHEMA)
        self._read: list[ChangeEntry] = []
        self._turn = threading.RLock()
        self.caller: Callable[[], str] = user_name

    def latest(self) -> dict[str, int]:
        """Give the number of the latest change of what each attribute was taught."""
        return {one.attribute: one.number for one in self.entries() if one.attribute is not None}

    def entries(self) -> list[ChangeEntry]:
        """Give all changes, oldest first; only what is new is read."""
        with self._turn:
            for name in self._log.names()[len(self._read) :]:
                (row,) = self._log.table(name).to_pylist()
                self._read.append(_entry(len(self._read) + 1, row))
            return list(self._read)

    def begin(self, **said: Any) -> tuple[str, Begun]:
        """Announce a change that the caller makes now; durable when this returns.

        Returns
        -------
        The name of the announcement, see `end`, and what it says.
        """
        one = Begun(made=time.time(), by=self.caller(), **said)
        name = f"{_BEGUN}{secrets.token_hex(8)}.json"
        self._files.put(name, lambda file: file.write(json.dumps(asdict(one)).encode()))
        return name, one

    def end(self, name: str) -> None:
        """Take back what `begin` announced: it has been noted, or nothing was changed."""
        self._files.delete(name)

    def begun(self) -> list[tuple[str, Begun]]:
        """Give what was announced and not taken back, the oldest first."""
        found = []
        for name in self._files.list(_BEGUN):
            # Another process may take one back meanwhile.
            with contextlib.suppress(FileNotFoundError), self._files.open(name) as file:
                found.append((name, Begun(**json.load(file))))
        return sorted(found, key=lambda pair: pair[1].made)

    def append(self, **said: Any) -> ChangeEntry:
        """Add a change; durable when this returns.

        Parameters
        ----------
        said : all of a `ChangeEntry` but its number.
        """
        with self._turn:
            one = ChangeEntry(number=self._log.version + 1, **said)
            row = asdict(one)
            del row["number"]
            self._log.append(table([row], _SCHEMA))
            return one

    def refresh(self) -> bool:
        """Take in what another process has added; say whether there was any."""
        return bool(self._log.refresh())

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
        return self._log.verify()


def _entry(number: int, row: dict[str, Any]) -> ChangeEntry:
    whole = {name: int(row[name]) for name in _NUMBERS if name != "made"}
    return ChangeEntry(**row | whole | {"number": number})
