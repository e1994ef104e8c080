"""The keys of a catalogue: who may ask over HTTP, and what each may do."""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import math
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from gingham.errors import CatalogueError, InputError
from gingham.names import did_you_mean
from gingham.results import Result
from gingham.service.caller import ROLES, Caller, Role
from gingham.store.files import refusals, replacing

FILE = "keys.json"
"""Of a catalogue's folder; only its owner may read it."""

_PREFIX = "gingham_"
"""So that those who look for leaked keys know one when they see it."""
_BYTES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TAKEN = ("local", "nobody")


@dataclass(frozen=True)
class Key(Result):
    """A key, without the key.

    Attributes
    ----------
    name : of who has it.
    role : what they may do.
    made : when, in UTC, ISO 8601.
    sha256 : of the key, in hexadecimal.
    """

    name: str
    role: Role
    made: str
    sha256: str

    @property
    def caller(self) -> Caller:
        """Who has it."""
        return Caller(self.name, self.role)


def digest(secret: str) -> str:
    """Give what is kept of a secret of 256 random bits: nobody finds those bits from it."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class KeyFile:
    """The file that holds the keys, always whole; several processes may change it.

    Parameters
    ----------
    path : need not exist: then there are no keys.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Key, ...]:
        """Read all keys, by name.

        Raises
        ------
        CatalogueError
            If the file is damaged.
        StorageError
            If it cannot be read.
        """
        try:
            with refusals(self.path):
                text = self.path.read_bytes() if self.path.exists() else b'{"keys": []}'
            return tuple(sorted(map(_key, json.loads(text)["keys"]), key=lambda key: key.name))
        except (ValueError, KeyError, TypeError):
            raise CatalogueError(
                f"{self.path} is damaged: restore it from a copy, or delete it and add the keys "
                "again",
                path=self.path,
            ) from None

    def add(self, name: str, role: Role) -> str:
        """Make a key, and give it: it is kept nowhere, only its SHA-256 is.

        Raises
        ------
        InputError
            If the name cannot be used, or has a key.
        """
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise InputError(
                f"name {name!r} of a key cannot be used: give at most 64 letters, digits or "
                f". _ @ + -, and not {' or '.join(_TAKEN)}"
            )
        secret = _PREFIX + secrets.token_urlsafe(_BYTES)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        with self._changing():
            there = self.read()
            if any(key.name == name for key in there):
                raise InputError(
                    f"there is a key named {name!r}: remove it first, or give another name"
                )
            self._write((*there, Key(name, role, now, digest(secret))))
        return secret

    def remove(self, name: str) -> Key:
        """Remove a key; a server that runs refuses it from now on.

        Raises
        ------
        InputError
            If there is no such key.
        """
        with self._changing():
            there = {key.name: key for key in self.read()}
            if name not in there:
                raise InputError(f"there is no key named {name!r}{did_you_mean(name, there)}")
            removed = there.pop(name)
            self._write(tuple(there.values()))
        return removed

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with refusals(self.path), FileLock(self.path.with_suffix(".lock")):
            yield

    def _write(self, keys: Sequence[Key]) -> None:
        text = json.dumps({"keys": [key.to_dict() for key in keys]}, indent=1) + "\n"
        with replacing(self.path, mode=0o600) as temporary:
            temporary.write_text(text)


def _key(kept: dict[str, str]) -> Key:
    key = Key(kept["name"], _role(kept["role"]), kept["made"], kept["sha256"])
    if not (_NAME.fullmatch(key.name) and _DIGEST.fullmatch(key.sha256)):
        raise ValueError(key.name)
    return key


def _role(name: str) -> Role:
    return ROLES[ROLES.index(name)]


class KeyRing:
    """The keys as a server uses them: read again when their file has changed.

    Parameters
    ----------
    file : of the keys.
    every : seconds between two looks at the file. Each look lets other threads take the
        interpreter, which a busy server waits for.

    Attributes
    ----------
    needed : whether there has been a key; taking the last one away lets nobody in.
    """

    def __init__(self, file: KeyFile, *, every: float = 0.5) -> None:
        self._file = file
        self._every = every
        self._looked = -math.inf
        self._seen: tuple[int, int, int] | None = None
        self._keys: tuple[Key, ...] = ()
        self.needed = False
        self.current()

    def current(self) -> tuple[Key, ...]:
        """Give the keys that are valid now.

        Raises
        ------
        CatalogueError, StorageError
            See `KeyFile.read`.
        """
        now = time.monotonic()
        if now - self._looked >= self._every:
            seen = self._stamp()
            if seen != self._seen:
                self._keys = self._file.read()
                self._seen = seen
                self.needed = self.needed or bool(self._keys)
            self._looked = now
        return self._keys

    def find(self, secret: str) -> Key | None:
        """Give the key that a secret is; None if it is none. Its time says nothing of the keys."""
        given, found = digest(secret), None
        for key in self.current():
            if hmac.compare_digest(key.sha256, given):
                found = key
        return found

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            there = self._file.path.stat()
        except FileNotFoundError:
            return None
        return there.st_ino, there.st_mtime_ns, there.st_size
