"""Temporary folders go with their process, killed or not."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from gingham.errors import StorageError
from gingham.temporary import TemporaryFolder

LOCK = "gingham.lock"


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def older(folder: Path) -> None:
    os.utime(folder / LOCK, (time.time() - 60,) * 2)


def test_a_folder_goes_with_its_object(parent: Path) -> None:
    one, other = TemporaryFolder(), TemporaryFolder()
    (one.path / "index").mkdir()
    (one.path / "index" / "file").write_text("here")
    (one.path / "alone").write_text("here")
    assert one.path.stat().st_mode & 0o777 == 0o700
    one.delete()
    one.delete()
    assert list(parent.iterdir()) == [other.path]
    del other
    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_nothing_else(parent: Path) -> None:
    code = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from gingham.temporary import TemporaryFolder\n"
        "held = TemporaryFolder(); (held.path / 'file').write_text('')\n"
        "print(held.path, flush=True); input()"
    )
    kept, elsewhere = parent / "gingham-of-somebody", parent / "elsewhere"
    for folder in (kept, elsewhere):
        folder.mkdir()
        (folder / "file").write_text("")
    (elsewhere / LOCK).write_text("")
    older(elsewhere)
    link = parent / "gingham-link"
    link.symlink_to(elsewhere)
    child = subprocess.Popen(
        [sys.executable, "-c", code, parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    with child, child.stdout, child.stdin:
        left = Path(child.stdout.readline().decode().strip())
        older(left)
        here = TemporaryFolder()
        assert left.exists()
        child.kill()
        child.wait()
    (young := parent / "gingham-young").mkdir()
    (young / LOCK).write_text("")
    again = TemporaryFolder()
    assert set(parent.iterdir()) == {kept, elsewhere, link, young, here.path, again.path}
    assert len(list(elsewhere.iterdir())) == 2


def test_no_room_for_a_folder_is_said(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(parent / "none"))
    with pytest.raises(StorageError, match="none"):
        TemporaryFolder()


def test_where_nothing_can_be_locked_nothing_is_cleared(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr("gingham.temporary.FileLock.acquire", refuse)
    one = TemporaryFolder()
    (one.path / LOCK).write_text("")
    older(one.path)
    other = TemporaryFolder()
    assert {one.path, other.path} == set(parent.iterdir())
