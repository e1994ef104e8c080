"""The lease of object storage: one writer, also when it is killed, stopped or cut off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from gingham.errors import CatalogueBusyError, LeaseLostError
from gingham.store.object_files import ObjectFiles
from gingham.store.object_lease import ObjectLease, mark_of, read, state
from gingham.store.shards import Log
from s3 import Proxy, environment, files_at, new_files, shared

SCHEMA = pa.schema([pa.field("number", pa.int64())])

# Appends numbers from a start on, and says each that is durable.
WRITER = """
import sys
import pyarrow as pa
from gingham.errors import GinghamError
from gingham.store.object_files import ObjectFiles
from gingham.store.object_lease import ObjectLease
from gingham.store.shards import Log

files = ObjectFiles(sys.argv[1])
lease = ObjectLease(files, wait=60.0, seconds=1.0)
log = Log(files, "log/", pa.schema([pa.field("number", pa.int64())]))
try:
    for number in range(int(sys.argv[2]), 10_000):
        log.append(pa.table({"number": [number]}))
        print(number, flush=True)
except GinghamError as error:
    print(type(error).__name__, error, flush=True)
"""


def writer(files: ObjectFiles, start: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(files), str(start)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment(shared())},
    )


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().strip() for _ in range(count)]


def numbers(files: ObjectFiles) -> list[int]:
    log = Log(files, "log/", SCHEMA)
    assert log.verify() == []
    return [number for name in log.names() for number in log.table(name)["number"].to_pylist()]


def refuse(method: str, path: str) -> str:
    return "403 AccessDenied"


def again(files: ObjectFiles) -> ObjectFiles:
    """Give the same files as another process has them."""
    return files_at(str(files))


def test_a_second_writer_is_told_who_has_it_and_comes_after_it() -> None:
    files = new_files()
    first = ObjectLease(files)
    assert (first.number, first.abandoned) == (1, False)
    with pytest.raises(CatalogueBusyError, match=rf"this process \({os.getpid()} on .*since 2"):
        ObjectLease(again(files))
    first.announce("http://localhost:8080")
    with pytest.raises(CatalogueBusyError, match="is served at http://localhost:8080"):
        ObjectLease(again(files))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ObjectLease, again(files), 30.0)
        first.release()
        second = waiting.result()
    assert (second.number, second.abandoned) == (2, False)
    second.release()


def test_of_many_that_want_it_one_has_it() -> None:
    files = new_files()

    def take(number: int) -> ObjectLease | None:
        try:
            return ObjectLease(again(files))
        except CatalogueBusyError:
            return None

    for turn in range(1, 4):
        with ThreadPoolExecutor(8) as pool:
            (one,) = [found for found in pool.map(take, range(8)) if found is not None]
        assert one.number == turn
        one.release()


def test_what_readers_go_by_changes_with_every_writer() -> None:
    files = new_files()
    asked = state(again(files))
    assert asked() is None
    for number in (1, 2):
        lease = ObjectLease(files)
        assert asked() is None
        lease.release()
        assert asked() == number


@pytest.mark.slow
def test_a_writer_that_was_killed_is_followed_and_loses_nothing() -> None:
    files = new_files()
    said: list[str] = []
    for _ in range(3):
        with_it = writer(files, len(said))
        said += lines(with_it, 5)
        with_it.send_signal(signal.SIGKILL)
        said += (with_it.communicate()[0] or "").split()
        # What was on its way when it was killed may be there, and is no other.
        held = numbers(files)
        assert held[: len(said)] == [int(number) for number in said]
        said = [str(number) for number in held]
    with pytest.raises(CatalogueBusyError, match="if it was killed, the catalogue is free"):
        ObjectLease(again(files))
    lease = ObjectLease(again(files), wait=30.0)
    assert lease.abandoned
    assert lease.number == 4
    lease.release()


@pytest.mark.slow
def test_a_writer_that_was_stopped_too_long_writes_nothing_more() -> None:
    files = new_files()
    first = writer(files, 0)
    lines(first, 5)
    first.send_signal(signal.SIGSTOP)
    try:
        other = again(files)
        lease = ObjectLease(other, wait=60.0)
        assert lease.abandoned
        before = numbers(other)
        Log(other, "log/", SCHEMA).append(pa.table({"number": [-1]}))
    finally:
        first.send_signal(signal.SIGCONT)
    rest = first.communicate(timeout=60)[0]
    assert "LeaseLostError" in rest
    assert "run the command again" in rest
    assert numbers(other) == [*before, -1]
    lease.check()
    lease.release()


def test_a_writer_that_is_cut_off_loses_it_and_says_so() -> None:
    files = new_files()
    proxy = Proxy(shared())
    try:
        cut = files_at(str(files), proxy.address, retrying=0.2)
        first = ObjectLease(cut, seconds=1.0)
        proxy.rule = refuse
        second = ObjectLease(files, wait=30.0)
        proxy.rule = lambda method, path: ""
        changes: list[Callable[[], object]] = [
            lambda: cut.put("a", lambda file: file.write(b"x")),
            lambda: cut.delete("b"),
        ]
        for change in changes:
            with pytest.raises(LeaseLostError, match="did not renew its lease in time"):
                change()
        assert "a" not in files.list()
        first.release()  # it is not its own to give back
        files.put("a", lambda file: file.write(b"y"))
        second.release()
    finally:
        proxy.close()


def test_an_answer_that_is_lost_is_no_lost_lease() -> None:
    files = new_files()
    proxy = Proxy(shared())
    lost = [0]

    def rule(method: str, path: str) -> str:
        if method == "PUT" and path.endswith("/lease"):
            lost[0] += 1
            return "lost" if lost[0] % 2 else ""
        return ""

    try:
        proxy.rule = rule
        far = files_at(str(files), proxy.address)
        lease = ObjectLease(far, seconds=1.0)
        for _ in range(3):
            time.sleep(0.6)
            far.put("a", lambda file: file.write(b"x"))
        lease.release()
        assert lost[0] >= 4
        found = read(files)[0]
        assert found is not None
        assert found["free"]
    finally:
        proxy.close()


def test_whoever_has_the_mark_of_the_dead_need_not_wait(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "copy").mkdir()
    mark = mark_of(tmp_path / "cache")
    assert mark
    assert mark == mark_of(tmp_path / "cache")
    (tmp_path / "copy" / "mark").write_bytes((tmp_path / "cache" / "mark").read_bytes())
    files = new_files()
    dead = ObjectLease(files, mark=mark)
    with pytest.raises(CatalogueBusyError):
        ObjectLease(again(files), mark=mark_of(tmp_path / "copy"))
    second = ObjectLease(again(files), mark=mark)
    assert second.abandoned
    with pytest.raises(LeaseLostError):
        dead.check()
    second.release()
