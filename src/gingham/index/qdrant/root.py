"""The small collection that says whose index it is, which version counts, and who changes it.

It has two points. `about` is replaced as a whole, on the condition that it is still the version
that the change was built on. `lock` is taken on a condition, too; whoever has it counts it up from
time to time, and a lock that is not counted up for `SECONDS`, or whose process has ended, may be
taken by another.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdrant_client import models

from gingham.errors import CatalogueError, ServerError
from gingham.index.index import State
from gingham.index.qdrant.collection import PointCollection
from gingham.index.qdrant.connection import MissingError, QdrantConnection
from gingham.index.qdrant.layout import IndexVersion, PointLayout
from gingham.index.remote import LockedError
from gingham.store.lease import is_alive

SECONDS = 60.0
"""For how long a lock counts after it was renewed."""
LOCK = 90
"""Seconds to wait for another process that changes the index."""
LEAST_VERSION = (1, 18)

_ABOUT, _LOCK = 0, 1
NOBODY = "nobody"


@dataclass(frozen=True)
class About:
    """What was committed last."""

    state: State
    view: IndexVersion


class Root:
    """The collection that names the others.

    Parameters
    ----------
    server : with the name of the collection.
    owner : of the index.

    Attributes
    ----------
    number : of the lock that was taken last; grows whenever one is.
    """

    def __init__(self, server: QdrantConnection, owner: str) -> None:
        self._server = server
        self._owner = owner
        self._token = secrets.token_hex(16)
        self._beat = 0
        self.number = 0
        self._renewed = 0.0
        self._seen: tuple[Any, float] = (None, 0.0)

    def read(self) -> About:
        """Read what was committed last.

        Raises
        ------
        MissingError
            If there is nothing.
        CatalogueError
            If it is another's.
        """
        held = self._payload(_ABOUT)
        if held is None:
            raise MissingError
        if held["owner"] != self._owner:
            raise CatalogueError(
                f"the collection {self._server.name} at {self._server.shown} holds the index of "
                "another catalogue: give another name, as in qdrant+http://HOST:6333/NAME, or "
                "delete that one if it is no longer needed"
            )
        view = IndexVersion(PointLayout.read(held["layout"]), held["version"])
        return About(json.loads(held["state"]), view)

    def make(self) -> About:
        """Make it, if it is not there.

        Raises
        ------
        CatalogueError
            If there is a collection of this name that is not gingham's.
        ServerError
            If the server is too old.
        """
        root = PointCollection(self._server, self._server.name)
        if not root.exists():
            version = self._server.ask(lambda client: client.info()).version
            if _number(version) < LEAST_VERSION:
                raise ServerError(
                    f"the index at {self._server.shown} needs Qdrant "
                    f"{'.'.join(map(str, LEAST_VERSION))} or newer, not {version}"
                )
            root.make(self._owner, {})
        if root.owner() is None:
            raise CatalogueError(
                f"the collection {root.name} at {self._server.shown} is not an index of gingham: "
                "give another name, as in qdrant+http://HOST:6333/NAME"
            )
        root.index_key("version", models.PayloadSchemaType.INTEGER)
        for key in ("holder", "beat"):
            root.index_key(key, models.PayloadSchemaType.KEYWORD)
        first = {"owner": self._owner} | _noted({}, IndexVersion(PointLayout(), 0))
        self._put(_ABOUT, first, mode=models.UpdateMode.INSERT_ONLY)
        return self.read()

    def note(self, state: State, base: IndexVersion, view: IndexVersion) -> None:
        """Commit: replace what was read as `base`, if that is still what counts.

        Raises
        ------
        LockedError
            If another process has changed the index since.
        """
        payload = {"owner": self._owner, "writer": self._token} | _noted(state, view)
        self._put(_ABOUT, payload, {"version": base.version})
        held = self._payload(_ABOUT) or {}
        if (held.get("writer"), held.get("version")) != (self._token, view.version):
            raise self._overtaken()

    def lock(self, *, wait: bool) -> None:
        """Be the only one who changes the index.

        Raises
        ------
        LockedError
            If another does.
        """
        until = time.monotonic() + (LOCK if wait else 0)
        while not self._take():
            if time.monotonic() >= until:
                raise LockedError(
                    f"another process changes the index at {self._server.shown}: try again later"
                )
            time.sleep(min(0.5, LOCK))

    def keep(self) -> None:
        """Make sure that the lock is still one's own; every change does so first.

        Raises
        ------
        LockedError
            If another has it.
        """
        if time.monotonic() - self._renewed < SECONDS / 4:
            return
        own = {"holder": self._token}
        self._beat += 1
        started = time.monotonic()
        self._put(_LOCK, self._held(self._token), own)
        if (self._payload(_LOCK) or {}).get("holder") != self._token:
            raise self._overtaken()
        self._renewed = started

    def release(self) -> None:
        """Let others have the lock; asked once, for otherwise it ends by itself."""
        self._put(_LOCK, self._held(NOBODY), {"holder": self._token}, patience=0)

    def _take(self) -> bool:
        found = self._payload(_LOCK)
        started = time.monotonic()
        self._beat += 1
        self.number = 1 + (found or {"number": 0})["number"]
        if found is None:
            self._put(_LOCK, self._held(self._token), mode=models.UpdateMode.INSERT_ONLY)
        else:
            # Its own is one that could not be given back, for the server was away.
            free = found["holder"] in (NOBODY, self._token) or self._is_over(found)
            if not free:
                return False
            self._put(
                _LOCK,
                self._held(self._token),
                {"holder": found["holder"], "beat": found["beat"]},
            )
        self._renewed = started
        return bool((self._payload(_LOCK) or {}).get("holder") == self._token)

    def _is_over(self, found: models.Payload) -> bool:
        """Say whether a holder has ended: its process has, or it was not heard of for long."""
        if found["place"] == _place() and not is_alive(found["process"]):
            return True
        heard = (found["holder"], found["beat"])
        if self._seen[0] != heard:
            self._seen = (heard, time.monotonic())
        return time.monotonic() - self._seen[1] > SECONDS

    def _held(self, holder: str) -> models.Payload:
        beat = f"{self._token}:{self._beat}"
        return {
            "holder": holder,
            "beat": beat,
            "number": self.number,
            "process": os.getpid(),
            "place": _place(),
        }

    def _payload(self, point: int) -> models.Payload | None:
        found = self._server.ask(
            lambda client: client.retrieve(
                self._server.name, [point], consistency=models.ReadConsistencyType.MAJORITY
            )
        )
        return found[0].payload if found else None

    def _put(
        self,
        point: int,
        payload: models.Payload,
        condition: dict[str, Any] | None = None,
        mode: models.UpdateMode = models.UpdateMode.UPDATE_ONLY,
        patience: float | None = None,
    ) -> None:
        """Replace a point, if what it says satisfies the condition."""
        held = models.Filter(
            must=[
                models.FieldCondition(key=key, match=models.MatchValue(value=value))
                for key, value in (condition or {}).items()
            ]
        )
        self._server.ask(
            lambda client: client.upsert(
                self._server.name,
                [models.PointStruct(id=point, vector={}, payload=payload)],
                wait=True,
                ordering=models.WriteOrdering.STRONG,
                update_filter=held if condition else None,
                update_mode=mode,
            ),
            patience=patience,
        )

    def _overtaken(self) -> LockedError:
        return LockedError(
            f"another process has changed the index at {self._server.shown} since: nothing of this "
            "change is left, run the command again"
        )


def _noted(state: State, view: IndexVersion) -> models.Payload:
    return {
        "version": view.version,
        "state": json.dumps(dict(state)),
        "layout": view.layout.write(),
    }


def _number(version: str) -> tuple[int, ...]:
    parts = version.split("-")[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def _place() -> str:
    """Name where numbers of processes mean the same; empty if that is not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return socket.gethostname()
    return f"{boot}:{space}"
