"""Two libraries for object storage beside each other, against one server on this machine.

    python benchmarks/object_storage.py obstore
    python benchmarks/object_storage.py pyarrow

Prints the milliseconds of this process's own processor time, and the requests that were sent, for
each of: many small objects written, some large ones written, listed, read whole, and read in
ranges of 64 KiB. The server (moto's) and what counts the requests are other processes.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SMALL, LARGE, RANGES = 100, 10, 200
SIZE, RANGE = 4 << 20, 1 << 16


class Obstore:
    """What gingham uses."""

    def __init__(self, bucket: str) -> None:
        from gingham.object_storage import open_store

        self._store = open_store(f"s3://{bucket}/bench")

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        import obstore

        obstore.put(self._store, name, data, use_multipart=False)

    def list(self) -> int:
        """Count the objects."""
        import obstore

        return sum(len(page) for page in obstore.list(self._store))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of an object."""
        import obstore

        return bytes(obstore.get_range(self._store, name, start=start, end=stop))


class PyArrow:
    """Arrow's own file systems."""

    def __init__(self, bucket: str) -> None:
        from pyarrow.fs import S3FileSystem

        address = os.environ["AWS_ENDPOINT_URL"]
        # One request for a small object, as the others do.
        self._files = S3FileSystem(endpoint_override=address, allow_delayed_open=True)
        self._top = f"{bucket}/bench"

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        with self._files.open_output_stream(f"{self._top}/{name}") as file:
            file.write(data)

    def list(self) -> int:
        """Count the objects."""
        from pyarrow.fs import FileSelector

        return len(self._files.get_file_info(FileSelector(self._top, recursive=True)))

    def read(self, name: str, start: int, stop: int) -> bytes:
        """Read a range of an object."""
        with self._files.open_input_file(f"{self._top}/{name}") as file:
            data: bytes = file.read_at(stop - start, start)
            return data


LIBRARIES: dict[str, Callable[[str], Any]] = {"obstore": Obstore, "pyarrow": PyArrow}


def steps(files: Any) -> Iterator[tuple[str, Callable[[], object]]]:
    rng = random.Random(0)
    data = rng.randbytes(SIZE)

    def put(count: int, size: int, prefix: str) -> None:
        for number in range(count):
            files.put(f"{prefix}{number}", data[:size])

    def read(size: int, count: int) -> None:
        def one(number: int) -> None:
            start = rng.randrange(SIZE - size + 1)
            got = files.read(f"large{number % LARGE}", start, start + size)
            assert got == data[start : start + size]

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, range(count)))

    files.put("first", b"x")  # opening the first line is not counted
    yield "small written", partial(put, SMALL, 1000, "small")
    yield "large written", partial(put, LARGE, SIZE, "large")
    yield "listed", files.list
    yield "large read", partial(read, SIZE, LARGE)
    yield "ranges read", partial(read, RANGE, RANGES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=LIBRARIES)
    chosen = parser.parse_args().library
    from s3 import counting, environment, new_bucket, serving

    with serving() as server, counting(server) as (proxy, count):
        os.environ.update(environment(proxy))
        for name, step in steps(LIBRARIES[chosen](new_bucket(server))):
            before, started = count(), time.process_time()
            step()
            spent = time.process_time() - started
            print(f"{chosen}: {name}: {1000 * spent:.0f} ms, {count() - before} requests")


if __name__ == "__main__":
    main()
