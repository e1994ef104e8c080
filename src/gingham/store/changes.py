"""Who changed the catalogue, when and how: an append-only log."""

from __future__ import annotations

import getpass
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from gingham.store.columns import table
from gingham.store.files import Files
from gingham.store.shards import Log

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


class ChangeLog:
    """All changes of a catalogue, in order; threads may call all methods together.

    Parameters
    ----------
    files : of the catalogue.

    Attributes
    ----------
    caller : names who makes the change at hand.
    """

    def __init__(self, files: Files) -> None:
        self._log = Log(files, "changes/", _SCHEMA)
        self._read: list[ChangeEntry] = []
        self._turn = threading.RLock()
        self.caller: Callable[[], str] = user_name

    def entries(self) -> list[ChangeEntry]:
        """Give all changes, oldest first; only what is new is read."""
        with self._turn:
            for name in self._log.names()[len(self._read) :]:
                (row,) = self._log.table(name).to_pylist()
                self._read.append(_entry(len(self._read) + 1, row))
            return list(self._read)

    def append(self, **said: Any) -> ChangeEntry:
        """Add a change, made now by the caller; durable when this returns."""
        with self._turn:
            number = self._log.version + 1
            one = ChangeEntry(number=number, made=time.time(), by=self.caller(), **said)
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
