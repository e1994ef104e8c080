"""The index in a database: the same for all who search it, and changed in place."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from gingham.index.address import IndexAddress
from gingham.index.index import Index, State
from gingham.index.postgres.index import DEFAULT_SCHEMA, PostgresIndex

logger = logging.getLogger(__name__)


class PostgresHome:
    """An `IndexHome` in a schema of a database.

    Parameters
    ----------
    address, owner : see `PostgresIndex`.
    """

    shared = True

    def __init__(self, address: IndexAddress, owner: str) -> None:
        self._address = address
        self._owner = owner

    @property
    def name(self) -> str:
        """The address, without a password."""
        return self._address.shown

    def state(self) -> State:
        """Give the state that was committed last."""
        with contextlib.closing(self.open()) as index:
            return index.state()

    def open(self) -> Index:
        """Connect to it."""
        return PostgresIndex(self._address, self._owner)

    def is_newer(self, index: Index) -> bool:
        """Say no: what was opened is always the newest."""
        return False

    @contextlib.contextmanager
    def making(self, *, anew: bool = False) -> Iterator[Index]:
        """Give the index itself; others see each commit as a whole."""
        with contextlib.closing(self.open()) as index:
            yield index

    def leave(self) -> None:
        """Leave it: others may use the views of its schema."""
        logger.warning(
            "the former index at %s stays as it is: drop its schema, %s, when nobody needs it",
            self.name,
            self._address.options.get("schema", DEFAULT_SCHEMA),
        )
