"""Parquet shards that are only ever added: a set that many may add to, and a log with an order."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gingham.errors import CatalogueBusyError, CatalogueError, StorageError
from gingham.store.files import Files

GROUP = 64
"""Rows that are read together where few are wanted. Fewer make reading many slower."""


class MissingShardError(CatalogueError):
    """A shard that was listed is not there any more; `gingham compact` may have replaced it."""


class Shards:
    """Parquet files that are only ever added, by any number of writers at once.

    Threads may call all methods together. A shard becomes visible whole or not at all. It is named
    by the time (UTC) and a random number, so writers need not agree on names. What `Files.list`
    shows is what counts, in order of names.

    Parameters
    ----------
    files : where the shards lie.
    prefix : of their names: empty, or a folder with the `/` at its end.
    schema : of every shard; its metadata is stored and compared too.
    """

    _name = re.compile(r"[0-9][^/]*\.parquet")

    def __init__(self, files: Files, prefix: str, schema: pa.Schema) -> None:
        self.schema = schema
        # Short rows of a log are read as a whole.
        self._group = GROUP if any(map(_is_vector, schema)) else None
        self._files = files
        self._prefix = prefix
        self._names: list[str] | None = None
        self._stamp: object | None = None
        self._changing = threading.RLock()

    def names(self) -> list[str]:
        """Give the names of the shards, sorted; listed once, and again by `refresh`."""
        with self._changing:
            if self._names is None:
                self._names = self._list()
            return self._names

    def refresh(self) -> list[str]:
        """List the shards again; give the names that are new since the last time, sorted."""
        with self._changing:
            known = set(self._names or ())
            self._names = self._list()
            return [name for name in self._names if name not in known]

    def _list(self) -> list[str]:
        # Names that come and go while a folder is listed may be missing from the list, of both
        # what is compacted and what it becomes. Two lists that agree miss nothing: whatever is
        # deleted was written anew before.
        stamp = self._files.stamp(self._prefix)
        if stamp is not None and stamp == self._stamp and self._names is not None:
            return self._names
        listed = self._list_once()
        while (again := self._list_once()) != listed:
            listed = again
        self._stamp = stamp
        return listed

    def _list_once(self) -> list[str]:
        start = len(self._prefix)
        return [x for x in self._files.list(self._prefix) if self._name.fullmatch(x, start)]

    def append(self, table: pa.Table) -> str:
        """Add one shard and give its name; it is durable when this returns."""
        with self._changing:
            names = self.names()
            table = table.cast(self.schema)
            name = f"{self._prefix}{self._new_stem()}.parquet"
            split = [f"{field.name}.list.element" for field in self.schema if _is_vector(field)]
            self._files.put(
                name,
                lambda file: pq.write_table(
                    table,
                    file,
                    compression="zstd",
                    use_dictionary=[f.name for f in self.schema if pa.types.is_string(f.type)],
                    # Exponents beside exponents compress; the same size without it is 7 % more.
                    use_byte_stream_split=split,
                    row_group_size=self._group,
                    write_statistics=False,
                    write_page_checksum=True,
                ),
                if_absent=True,
            )
            # A new list: whoever is reading goes through the old one.
            self._names, self._stamp = sorted([*names, name]), None
            return name

    def _new_stem(self) -> str:
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"

    def delete(self, name: str) -> None:
        """Delete a shard whose rows are in others."""
        with self._changing:
            names = self.names()
            self._files.delete(name)
            self._names, self._stamp = [one for one in names if one != name], None

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one shard, only the columns asked for.

        Raises
        ------
        CatalogueError
            If it is damaged; the message names it.
        """
        with self._opened(name) as shard:
            return shard.read(columns=columns, use_threads=False)

    def rows(
        self, name: str, columns: Sequence[str], rows: NDArray[np.integer]
    ) -> tuple[pa.Table, NDArray[np.int64]]:
        """Read some rows of one shard, and as few others as its format allows.

        Returns
        -------
        A table of M rows, and which of the shard's they are: (M,) sorted.
        """
        with self._opened(name) as shard:
            head = shard.metadata
            sizes = [head.row_group(number).num_rows for number in range(head.num_row_groups)]
            ends = np.cumsum(sizes)
            groups = np.unique(np.searchsorted(ends, rows, side="right")).tolist()
            table = shard.read_row_groups(groups, columns=columns, use_threads=False)
            numbers = [np.arange(ends[group] - sizes[group], ends[group]) for group in groups]
            return table, np.concatenate(numbers)

    @contextmanager
    def _opened(self, name: str) -> Iterator[pq.ParquetFile]:
        try:
            with (
                self._files.open(name) as file,
                # Buffering would read in a thread of Arrow's, which ends the process with an abort
                # if it lets go of a Python file while the interpreter shuts down.
                pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False) as shard,
            ):
                if not shard.schema_arrow.equals(self.schema, check_metadata=True):
                    raise CatalogueError(f"{self._files}/{name} was written with other settings")
                yield shard
        except (OSError, pa.ArrowException) as error:
            if isinstance(error, OSError) and error.errno is not None:
                # Arrow's own errors, of what it finds in a file, have no number.
                refused = StorageError.of(error, f"{self._files}/{name}")
                missing = isinstance(error, FileNotFoundError)
                raise (MissingShardError if missing else CatalogueError)(str(refused)) from None
            raise CatalogueError(
                f"{self._files}/{name} is damaged ({str(error).splitlines()[0]}): restore it, or "
                "delete it and run the command that wrote it again (index, teach or study)"
            ) from None

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per shard."""
        problems = []
        for name in self._list():
            try:
                self.table(name)
            except MissingShardError as error:
                if name in self._list():
                    problems.append(str(error))
            except CatalogueError as error:
                problems.append(str(error))
        return problems


class Log(Shards):
    """Numbered Parquet files whose order matters; one writer at a time.

    A second writer at the same time is refused, not mixed in.
    """

    _name = re.compile(r"[0-9]+\.parquet")

    @property
    def version(self) -> int:
        """Grows with every append."""
        return len(self.names())

    def digest(self, name: str) -> str:
        """Tell one content of a shard from another."""
        with self._files.open(name) as file:
            return hashlib.sha256(file.read()).hexdigest()

    def append(self, table: pa.Table) -> str:
        """Add one shard and give its name; it is durable when this returns.

        Raises
        ------
        CatalogueBusyError
            If another process has added one since this log was read.
        """
        try:
            return super().append(table)
        except FileExistsError:
            raise CatalogueBusyError(
                f"{self._files}/{self._prefix} was written by another process in the meantime: "
                "open the catalogue again"
            ) from None
        except BaseException:
            # A write that failed at its very end is there all the same.
            self.refresh()
            raise

    def _new_stem(self) -> str:
        return f"{self._number(self.names()[-1]) + 1 if self.names() else 0:08d}"

    def _number(self, name: str) -> int:
        return int(name[len(self._prefix) :].removesuffix(".parquet"))

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong or missing, one line per shard."""
        problems = super().verify()
        present = {self._number(name) for name in self._list()}
        return [
            f"{self._files}/{self._prefix}{number:08d}.parquet is missing"
            for number in range(max(present, default=-1))
            if number not in present
        ] + problems


class Replayed(ABC):
    """What a log of events adds up to; threads may call all methods together.

    `version` grows with every shard that was taken in.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.version = 0
        self._changing = threading.RLock()
        self._catch_up()

    @abstractmethod
    def _take_in(self, events: pa.Table) -> None:
        """Apply one shard."""

    def _catch_up(self) -> bool:
        new = self._log.names()[self.version :]
        for shard in new:
            self._take_in(self._log.table(shard))
            self.version += 1
        return bool(new)

    def refresh(self) -> bool:
        """Take in what another process has added; say whether there was any."""
        with self._changing:
            self._log.refresh()
            return self._catch_up()

    def complete_version(self) -> int:
        """Give the version, once what another thread takes in is all there."""
        with self._changing:
            return self.version

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
        return self._log.verify()


def _is_vector(field: pa.Field) -> bool:
    return bool(pa.types.is_fixed_size_list(field.type))
