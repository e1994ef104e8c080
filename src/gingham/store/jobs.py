"""Long pieces of work and how far they are, in an SQLite database in the catalogue's folder."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

State = Literal["waiting", "running", "done", "failed", "cancelled", "interrupted"]
ENDED: tuple[State, ...] = ("done", "failed", "cancelled")
_CREATE = f"""
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, asked TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ({", ".join(map(repr, get_args(State)))})),
    step TEXT NOT NULL DEFAULT '', done INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0, by TEXT NOT NULL, made REAL NOT NULL,
    ended REAL, result TEXT, error TEXT, interruptions INTEGER NOT NULL DEFAULT 0
)
"""
_ADD = "ALTER TABLE jobs ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0"


@dataclass(frozen=True)
class Job:
    """A long piece of work.

    Attributes
    ----------
    asked : what it is to do, as JSON has it.
    state : `interrupted`: the process ended while it ran; it goes on when there is one again.
    step, done, total : how far it is; total 0: not known.
    by : who asked for it.
    made, ended : seconds since 1970.
    result, error : what came of it, or why nothing did.
    interruptions : how often the process ended while it ran.
    """

    id: int
    kind: str
    asked: Mapping[str, Any]
    state: State
    step: str
    done: int
    total: int
    by: str
    made: float
    ended: float | None
    result: Mapping[str, Any] | None
    error: str | None
    interruptions: int


_NAMES = [field.name for field in fields(Job)]


class JobTable:
    """The jobs of one catalogue; what is said of them is durable when a method returns.

    Threads may call all methods together.

    Parameters
    ----------
    path : of the database, which is made if it is not there; None: kept in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self._turn = threading.Lock()
        self._file = sqlite3.connect(path or ":memory:", check_same_thread=False)
        with self._turn, self._file:
            self._file.execute(_CREATE)
            columns = {row[1] for row in self._file.execute("PRAGMA table_info(jobs)")}
            if "interruptions" not in columns:  # made by an earlier version
                self._file.execute(_ADD)
            self._file.execute(
                "UPDATE jobs SET state = 'interrupted', interruptions = interruptions + 1 "
                "WHERE state = 'running'"
            )

    def add(self, kind: str, asked: Mapping[str, Any], by: str) -> Job:
        """Let a job wait for its turn."""
        row = (kind, json.dumps(asked), by, time.time())
        with self._turn, self._file:
            made = self._file.execute(
                "INSERT INTO jobs (kind, asked, state, by, made) VALUES (?, ?, 'waiting', ?, ?)",
                row,
            )
        assert made.lastrowid is not None
        found = self.get(made.lastrowid)
        assert found is not None
        return found

    def get(self, number: int) -> Job | None:
        """Give a job; None if there is no such."""
        return next(iter(self._select("WHERE id = ?", number)), None)

    def latest(self, n: int) -> list[Job]:
        """Give the newest jobs, newest first."""
        return self._select("ORDER BY id DESC LIMIT ?", n)

    def take(self) -> Job | None:
        """Say that the job whose turn it is runs, and give it; None if none waits."""
        waiting = self._select("WHERE state IN ('waiting', 'interrupted') ORDER BY id LIMIT ?", 1)
        for job in waiting:
            self._update(job.id, "state = 'running'")
            return self.get(job.id)
        return None

    def note(self, number: int, step: str, done: int, total: int) -> None:
        """Say how far a job is."""
        self._update(number, "step = ?, done = ?, total = ?", step, done, total)

    def end(
        self,
        number: int,
        state: State,
        *,
        result: Mapping[str, Any] | None = None,
        error: str | None = None,
    ) -> None:
        """Say what became of a job."""
        ended = time.time() if state in ENDED else None
        text = None if result is None else json.dumps(result)
        self._update(
            number,
            "state = ?, ended = ?, result = ?, error = ?, interruptions = interruptions + ?",
            state,
            ended,
            text,
            error,
            state == "interrupted",
        )

    def cancel_waiting(self, number: int) -> bool:
        """Cancel a job that does not run; say whether it did wait."""
        with self._turn, self._file:
            changed = self._file.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ? "
                "WHERE id = ? AND state IN ('waiting', 'interrupted')",
                (time.time(), number),
            )
        return changed.rowcount > 0

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _update(self, number: int, changes: str, *values: object) -> None:
        with self._turn, self._file:
            self._file.execute(f"UPDATE jobs SET {changes} WHERE id = ?", (*values, number))  # noqa: S608

    def _select(self, rest: str, *values: object) -> list[Job]:
        asked = f"SELECT {', '.join(_NAMES)} FROM jobs {rest}"  # noqa: S608
        with self._turn:
            rows = self._file.execute(asked, values).fetchall()
        return [_job(dict(zip(_NAMES, row, strict=True))) for row in rows]


def _job(row: dict[str, Any]) -> Job:
    result = None if row["result"] is None else json.loads(row["result"])
    return Job(**row | {"asked": json.loads(row["asked"]), "result": result})
