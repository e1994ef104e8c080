"""`Files`: one suite for every implementation, and what only local files do."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gingham.errors import CatalogueError, InputError
from gingham.store.files import (
    TEMPORARY_PREFIX,
    Files,
    LocalFiles,
    read_json,
    replace_file,
    write_json,
)
from memory_files import InjectedError, MemoryFiles
from s3 import new_files

IMPLEMENTATIONS: dict[str, Callable[[Path], Files]] = {
    "local": LocalFiles,
    "memory": lambda folder: MemoryFiles(),
    "s3": lambda folder: new_files(),
}
every = pytest.mark.parametrize("make", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
names = st.sampled_from(["a", "b", "ab", "d/a", "d/ab", "d/e/a", "d/e/\xe9", "dd/a"])
contents = st.lists(st.binary(max_size=40), max_size=3)


class Congruence(RuleBasedStateMachine):
    """Any implementation behaves as a dictionary whose values are replaced whole."""

    files: Files

    def __init__(self) -> None:
        super().__init__()
        self.plain: dict[str, bytes] = {}

    @rule(name=names, chunks=contents, if_absent=st.booleans(), closes=st.booleans())
    def put(self, name: str, chunks: list[bytes], if_absent: bool, closes: bool) -> None:
        def write(file: BinaryIO) -> None:
            for chunk in chunks:
                file.write(chunk)
            if closes:
                file.close()

        if if_absent and name in self.plain:
            with pytest.raises(FileExistsError):
                self.files.put(name, write, if_absent=True)
        else:
            self.files.put(name, write, if_absent=if_absent)
            self.plain[name] = b"".join(chunks)

    @rule(name=names, chunk=st.binary(max_size=40), if_absent=st.booleans())
    def put_that_fails(self, name: str, chunk: bytes, if_absent: bool) -> None:
        def write(file: BinaryIO) -> None:
            file.write(chunk)
            raise InjectedError

        with pytest.raises(InjectedError):
            self.files.put(name, write, if_absent=if_absent)

    @rule(name=names)
    def read_while_it_is_replaced(self, name: str) -> None:
        if name in self.plain:
            with self.files.open(name) as file:
                self.files.put(name, lambda other: other.write(b"new"))
                assert file.read() == self.plain[name]
            self.plain[name] = b"new"

    @rule(name=names, start=st.integers(0, 50), length=st.integers(0, 50))
    def read_a_part(self, name: str, start: int, length: int) -> None:
        if name in self.plain:
            with self.files.open(name) as file:
                assert file.seek(0, os.SEEK_END) == len(self.plain[name])
                file.seek(start)
                assert file.read(length) == self.plain[name][start : start + length]
            assert self.files.size(name) == len(self.plain[name])
        else:
            for ask in (self.files.open, self.files.size):
                with pytest.raises(FileNotFoundError):
                    ask(name)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.files.delete(name)
        self.plain.pop(name, None)

    @rule()
    def sweep(self) -> None:
        self.files.sweep()

    @rule(prefix=st.sampled_from(["", "a", "d", "d/", "d/e", "d/e/", "d/a", "dd/", "x", "x/y"]))
    def list(self, prefix: str) -> None:
        expected = sorted(name for name in self.plain if name.startswith(prefix))
        assert list(self.files.list(prefix)) == expected

    @invariant()
    def holds_the_same(self) -> None:
        assert list(self.files.list()) == sorted(self.plain)
        for name, content in self.plain.items():
            with self.files.open(name) as file:
                assert file.read() == content


@every
def test_congruence(make: Callable[[Path], Files]) -> None:
    class Machine(Congruence):
        def __init__(self) -> None:
            super().__init__()
            self.folder = tempfile.TemporaryDirectory()
            self.files = make(Path(self.folder.name) / "root")

        def teardown(self) -> None:
            self.folder.cleanup()

    case: Any = Machine.TestCase
    case.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
    case().runTest()


@every
@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "../a",
        "a/../../b",
        "a//b",
        "./a",
        "a/",
        "a\\b",
        "C:/a",
        "a\0",
        ".tmp-a",
        "d/.tmp-a",
    ],
)
def test_names_that_leave_the_root_are_refused(
    make: Callable[[Path], Files], name: str, tmp_path: Path
) -> None:
    files = make(tmp_path / "root")
    for call in (
        lambda: files.open(name),
        lambda: files.put(name, lambda file: file.write(b"x")),
        lambda: files.delete(name),
    ):
        with pytest.raises(InputError, match="expected a relative name") as refused:
            call()
        assert repr(name) in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@every
def test_of_many_writers_of_one_name_one_succeeds(
    make: Callable[[Path], Files], tmp_path: Path
) -> None:
    files = make(tmp_path)

    def write(number: int) -> int | None:
        try:
            files.put("d/a", lambda file: file.write(bytes([number])), if_absent=True)
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        (winner,) = [number for number in pool.map(write, range(32)) if number is not None]
    with files.open("d/a") as file:
        assert file.read() == bytes([winner])


def test_without_hard_links_a_file_is_still_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    test_of_many_writers_of_one_name_one_succeeds(LocalFiles, tmp_path)
    assert LocalFiles(tmp_path).list() == ["d/a"]


def test_unfinished_files_are_not_listed_and_are_swept(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.put("d/a", lambda file: file.write(b"x"))
    (tmp_path / "d" / f"{TEMPORARY_PREFIX}x.parquet").write_bytes(b"half")
    assert files.list() == ["d/a"]
    files.sweep()
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["a"]


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", scan)
    with pytest.raises(PermissionError):
        LocalFiles(tmp_path).list()


def test_new_files_have_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    write_json(tmp_path / "json", 1)

    def as_its_owner_alone(path: Path) -> None:
        path.unlink()
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))

    replace_file(tmp_path / "again", as_its_owner_alone)
    LocalFiles(tmp_path).put("put", lambda file: file.write(b"x"), if_absent=True)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_replace_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, 1)

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError):
        replace_file(path, fail)
    assert read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_damaged_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CatalogueError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(CatalogueError, match=r"b\.json is missing"):
        read_json(tmp_path / "b.json")
