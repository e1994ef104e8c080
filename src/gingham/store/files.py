"""Files that survive `kill -9`: whole-file replacement, and append-only Parquet shards."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gingham.errors import CatalogueError

TEMPORARY_PREFIX = ".tmp-"


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under a temporary name beside its place, fsync it, and rename it.

    Whoever reads `path` sees the old content or the new, never a part, even after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(
        dir=path.parent, prefix=TEMPORARY_PREFIX, suffix=path.suffix
    )
    os.close(descriptor)
    temporary = Path(name)
    try:
        write(temporary)
        # mkstemp makes files that only their owner can read; a catalogue may be shared.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by `value` as JSON."""
    replace_file(path, lambda p: p.write_text(json.dumps(value, indent=1) + "\n"))


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises
    ------
    CatalogueError
        If it is missing or damaged.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise CatalogueError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise CatalogueError(f"{path} is damaged ({error})") from None


class Shards:
    """A folder of numbered Parquet files that are only ever added.

    A shard becomes visible, whole, by a rename after fsync.

    Parameters
    ----------
    folder : made when the first shard is written.
    schema : of every shard; its metadata is stored and compared too.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.folder = folder
        self.schema = schema
        self._paths: list[Path] | None = None

    def paths(self) -> list[Path]:
        """The shards, oldest first; listed once, since only the holder of the lock adds any."""
        if self._paths is None:
            self._paths = sorted(self.folder.glob("[0-9]*.parquet"))
        return self._paths

    def append(self, table: pa.Table) -> None:
        """Add one shard; it is on disk when this returns."""
        paths = self.paths()
        number = int(paths[-1].stem) + 1 if paths else 0
        table = table.cast(self.schema)
        path = self.folder / f"{number:08d}.parquet"
        split = [f"{field.name}.list.element" for field in self.schema if _is_vector(field)]
        replace_file(
            path,
            lambda temporary: pq.write_table(
                table,
                temporary,
                compression="zstd",
                use_dictionary=[f.name for f in self.schema if pa.types.is_string(f.type)],
                # Exponents beside exponents compress; the same size without it is 7 % more.
                use_byte_stream_split=split,
                write_statistics=False,
                write_page_checksum=True,
            ),
        )
        paths.append(path)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Read the shards one after another, only the columns asked for.

        Raises
        ------
        CatalogueError
            If a shard is damaged; the message names it.
        """
        for path in self.paths():
            yield self.table(path, columns)

    def table(self, path: Path, columns: Sequence[str] | None = None) -> pa.Table:
        """Read one shard; see `tables`."""
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                if not file.schema_arrow.equals(self.schema, check_metadata=True):
                    raise CatalogueError(f"{path} was written with other settings")
                return file.read(columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise CatalogueError(
                f"{path} is damaged ({str(error).splitlines()[0]}): restore it, or delete it and "
                "run again what wrote it (index, teach or study)"
            ) from None

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line a shard."""
        problems = []
        self._paths = None
        paths = self.paths()
        present = {int(path.stem) for path in paths}
        problems += [
            f"{self.folder / f'{number:08d}.parquet'} is missing"
            for number in range(max(present, default=-1))
            if number not in present
        ]
        for path in paths:
            try:
                self.table(path)
            except CatalogueError as error:
                problems.append(str(error))
        return problems

    def sweep(self) -> None:
        """Delete what a killed process left half-written; only for the holder of the lock."""
        for path in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)


def _is_vector(field: pa.Field) -> bool:
    return bool(pa.types.is_fixed_size_list(field.type))


def _fsync(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
