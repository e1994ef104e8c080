"""A connection to a database that comes back after it was lost, and what its refusals mean."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.sql import SQL
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from gingham.errors import ServerError
from gingham.index.address import IndexAddress
from gingham.index.postgres.sql import Part
from gingham.index.remote import PATIENCE, ForbiddenError, LockedError

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT = 10
LOCK = 60
"""Seconds to wait for another process that changes the index."""

_LOST = (psycopg.OperationalError, psycopg.InterfaceError)
_FORBIDDEN = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)
_LASTING = (errors.InvalidPassword, errors.InvalidAuthorizationSpecification)


class LostError(Exception):
    """The connection was lost within a transaction, of which nothing is left."""


class DatabaseConnection:
    """A connection to one database, opened when it is first needed.

    Parameters
    ----------
    address : of the database.
    session : what every new connection begins with.
    patience : see `PATIENCE`.

    Attributes
    ----------
    changing : whether there is a transaction.
    """

    def __init__(self, address: IndexAddress, session: Part, patience: float = PATIENCE) -> None:
        self._address = address
        self._session = session
        self._patience = patience
        self._open: psycopg.Connection[tuple[Any, ...]] | None = None
        self.changing = False

    def ask(self, statement: Part, *, binary: bool = False) -> list[tuple[Any, ...]]:
        """Send one statement, and give the rows that it answers.

        Outside a transaction it is sent again if the connection is lost.

        Raises
        ------
        ServerError, LostError
            If the database cannot be reached or refuses; if a transaction was lost.
        psycopg.errors.UndefinedTable
            If a table is not there.
        """

        def once(connection: psycopg.Connection[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
            with connection.cursor(binary=binary) as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []

        return self._with(once)

    def copy_out(self, statement: Part) -> bytes:
        """Read all that a COPY gives; see `ask`."""

        def once(connection: psycopg.Connection[tuple[Any, ...]]) -> bytes:
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                return b"".join(copy)

        return self._with(once)

    def copy_in(self, statement: Part, data: bytes) -> None:
        """Send the content of a COPY; see `ask`."""

        def once(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                copy.write(data)

        self._with(once)

    def send_many(self, statement: Part, rows: Sequence[Sequence[Any]]) -> None:
        """Send one statement with the parameters of each row; see `ask`."""

        def once(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
            with connection.cursor() as cursor:
                cursor.executemany(statement, rows)

        self._with(once)

    def begin(self) -> None:
        """Begin a transaction."""
        self.ask(SQL("BEGIN"))
        self.changing = True
        self.ask(SQL("SET LOCAL lock_timeout = {}").format(f"{LOCK}s"))

    def commit(self) -> None:
        """Make the transaction durable."""
        self.ask(SQL("COMMIT"))
        self.changing = False

    def rollback(self) -> None:
        """Undo the transaction, if there is one."""
        if self.changing:
            self.changing = False
            with contextlib.suppress(psycopg.Error, ServerError):
                self.ask(SQL("ROLLBACK"))

    def close(self) -> None:
        """Close the connection, and with it the transaction."""
        self.changing = False
        if self._open is not None:
            connection, self._open = self._open, None
            with contextlib.suppress(psycopg.Error):
                connection.close()

    def _with(self, once: Callable[[psycopg.Connection[tuple[Any, ...]]], T]) -> T:
        with self._translating():
            if self.changing:
                if self._open is None or self._open.broken:
                    raise LostError
                return once(self._open)
            for attempt in Retrying(
                retry=retry_if_exception_type(_LOST),
                stop=stop_after_delay(self._patience),
                wait=wait_random_exponential(multiplier=0.1, max=2),
                reraise=True,
            ):
                with attempt:
                    return self._once(once)
        raise AssertionError("Retrying ends with a result or an error")

    def _once(self, once: Callable[[psycopg.Connection[tuple[Any, ...]]], T]) -> T:
        """Do it once; what does not come of the connection is not tried again."""
        try:
            if self._open is None:
                self._open = self._connect()
            return once(self._open)
        except _LOST as error:
            broken = self._open is None or self._open.broken or self._open.closed
            if not broken or _lasts(error):
                raise _RefusedError(error) from error
            self.close()
            raise

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        connection = psycopg.connect(
            self._address.client,
            autocommit=True,
            # A plan that is made for any vector and any number would be one without an HNSW index.
            prepare_threshold=None,
            connect_timeout=CONNECT,
            fallback_application_name="gingham",
        )
        try:
            connection.execute(self._session)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        """Say what a refusal means; within a transaction a lost connection is the end of it."""
        try:
            yield
        except errors.UndefinedTable:
            raise
        except errors.LockNotAvailable:
            raise LockedError(
                f"another process changes the index at {self._address.shown}: try again later"
            ) from None
        except _FORBIDDEN as error:
            raise ForbiddenError(self._said(error)) from None
        except _RefusedError as error:
            raise ServerError(self._said(error.args[0])) from None
        except psycopg.Error as error:
            if self.changing and isinstance(error, _LOST):
                raise LostError from error
            raise ServerError(self._said(error)) from None

    def _said(self, error: psycopg.Error) -> str:
        where = f"the index at {self._address.shown}"
        # The server's own words, in one line; of a failed connection they name no password.
        reason = (error.diag.message_primary or str(error)).strip().splitlines()
        said = reason[-1].strip() if reason else type(error).__name__
        if isinstance(error, (*_FORBIDDEN, errors.FeatureNotSupported)):
            return f"{where} is refused ({said}): {_PRIVILEGES}"
        if isinstance(error, errors.UndefinedFile):
            return f"{where} is refused ({said}): {_EXTENSION}"
        if _lasts(error):
            return f"{where} is refused ({said}): {self._address.how}; it is not kept"
        if isinstance(error, _LOST):
            return f"{where} cannot be reached ({said}): check the address, and that it runs"
        return f"{where} refused a statement ({said}): run gingham rebuild CATALOGUE"


_PRIVILEGES = (
    "let an administrator run CREATE EXTENSION vector, and grant the user CREATE on the database "
    "or make it the owner of the schema"
)
_EXTENSION = "install pgvector 0.8 or newer on the database's server"


class _RefusedError(Exception):
    """A refusal that asking again does not change."""


def _lasts(error: BaseException) -> bool:
    return isinstance(error, _LASTING) or any(
        words in str(error)
        for words in ("password", "authentication", "does not exist", "no pg_hba.conf entry")
    )
