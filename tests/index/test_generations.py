"""Generations of an index: one rename makes a new one; what somebody reads is not deleted."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gingham.index.embedded.copied import CopiedIndex
from gingham.index.embedded.generations import Generations
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.index import Delete, Fill, Query, Tag, Term, Upsert
from gingham.store.ids import to_list

KEYS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(3000)]
VECTORS = np.random.default_rng(0).normal(size=(3000, 8)).astype(np.float32)


def add(folder: Path, first: int, last: int, *, most_scanned: int = 30_000) -> str:
    """Make a generation with some images more; give its name."""
    generations = Generations(folder)
    with generations.making() as made:
        index = EmbeddedIndex(made, most_scanned=most_scanned)
        if not index.state():
            index.reset({"look": 8})
        keys = KEYS[first:last]
        index.apply(
            [
                Upsert(keys, {"look": VECTORS[first:last]}),
                Fill("more", "dot", keys, VECTORS[first:last, :2]),
                Tag.of("colour", dict.fromkeys(keys, "red")),
            ]
        )
        index.commit({"last": last})
        index.close()
    name = generations.newest()
    assert name is not None
    return name


def found(index: EmbeddedIndex, count: int) -> None:
    """Check that an index holds the first images, and finds each of some by itself."""
    assert [one.hex() for one in to_list(index.held())] == sorted(KEYS[:count])
    assert index.facets().attributes == {"colour": {"red": count}}
    stored = index.vectors(KEYS[:count], ["look", "more"])
    np.testing.assert_allclose(stored["look"], VECTORS[:count], atol=2e-4)
    np.testing.assert_array_equal(stored["more"], VECTORS[:count, :2])
    for row in range(0, count, max(1, count // 5)):
        (match,) = index.query(Query([Term("look", 9 * VECTORS[row], 1)], 1))
        assert match.id == KEYS[row] or match.score > 9 * VECTORS[row] @ VECTORS[row] - 1e-2


@pytest.mark.parametrize("most_scanned", [30_000, 50])
def test_whoever_reads_goes_on_with_what_was_opened(tmp_path: Path, most_scanned: int) -> None:
    names = [add(tmp_path, 0, 100, most_scanned=most_scanned)]
    opened = [CopiedIndex(Generations(tmp_path))]
    for last in (200, 1500, 1600):
        names.append(add(tmp_path, opened[-1].state()["last"], last, most_scanned=most_scanned))
        opened.append(CopiedIndex(Generations(tmp_path)))
    assert [index.base for index in opened] == names == sorted(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for index, count in zip(opened, (100, 200, 1500, 1600), strict=True):
        found(index, count)
    opened[1].close()
    opened[1].close()
    opened[2].close()
    add(tmp_path, 1600, 1700)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[:-1] == [names[0], names[3]]
    found(opened[0], 100)
    found(opened[3], 1600)
    opened[0].close()
    opened[3].close()


@pytest.mark.parametrize("most_scanned", [30_000, 50])
def test_a_copy_can_be_changed_and_nobody_sees_it(tmp_path: Path, most_scanned: int) -> None:
    add(tmp_path / "index", 0, 1200, most_scanned=most_scanned)
    before = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    copy = CopiedIndex(Generations(tmp_path / "index"))
    copy.apply(
        [
            Upsert(KEYS[1199:1300], {"look": VECTORS[1199:1300]}),
            Upsert(KEYS[3:4], {"look": VECTORS[2000:2001]}),
            Delete(KEYS[:2]),
            Fill("more", "dot", KEYS[2:9], np.zeros((7, 2), np.float32)),
        ]
    )
    copy.commit({"last": 1300})
    assert len(copy.held()) == 1298
    changed = copy.vectors([KEYS[3], KEYS[1250]], ["look"])["look"]
    np.testing.assert_allclose(changed, VECTORS[[2000, 1250]], atol=2e-4)
    copy.close()
    after = {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert after == before
    index = CopiedIndex(Generations(tmp_path / "index"))
    found(index, 1200)
    index.close()


def test_none_is_an_empty_index(tmp_path: Path) -> None:
    index = CopiedIndex(Generations(tmp_path / "not there"))
    assert (index.base, dict(index.state()), len(index.held())) == (None, {}, 0)
    index.close()
    assert not (tmp_path / "not there").exists()


def test_an_error_leaves_the_newest_as_it_was(tmp_path: Path) -> None:
    name = add(tmp_path, 0, 20)

    def fail() -> None:
        with Generations(tmp_path).making() as made:
            (made / "table.npz").unlink()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    index = CopiedIndex(Generations(tmp_path))
    found(index, 20)
    index.close()


def test_an_earlier_layout_and_what_the_killed_leave_are_deleted(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "vectors.dat").touch()
    (tmp_path / "table.npz").touch()
    (tmp_path / ".tmp-1" / "graph").mkdir(parents=True)
    name = add(tmp_path, 0, 20)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_generation_that_cannot_be_read_is_no_reason_to_wait(tmp_path: Path) -> None:
    first = add(tmp_path, 0, 20)
    (tmp_path / "00000007-0123abcd").mkdir()
    index = CopiedIndex(Generations(tmp_path))
    assert index.base == first
    found(index, 20)
    index.close()


READER = """
import sys, time
from pathlib import Path
from test_generations import Generations, CopiedIndex, found
folder = Path(sys.argv[1])
print("ready", flush=True)
ends = time.monotonic() + 300
while not (folder.parent / "stop").exists() and time.monotonic() < ends:
    index = CopiedIndex(Generations(folder))
    try:
        last = index.state()["last"]
        for _ in range(2):
            found(index, last)
    finally:
        index.close()
print("well", last)
"""
WRITER = """
import sys
from pathlib import Path
from test_generations import Generations, add
folder, most = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
while (last := Generations(folder).state()["last"]) < 2900:
    add(folder, last, last + 3, most_scanned=most)
"""


@pytest.mark.slow
@pytest.mark.parametrize("most_scanned", [30_000, 200])
def test_twenty_kills_beside_two_readers(tmp_path: Path, most_scanned: int) -> None:
    folder = tmp_path / "index"
    add(folder, 0, 40)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for _ in range(2)
    ]
    try:
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
        rng = np.random.default_rng(0)
        reached = []
        for _ in range(20):
            writer = subprocess.Popen(
                [sys.executable, "-c", WRITER, str(folder), str(most_scanned)],
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, 0.5))
            writer.send_signal(signal.SIGKILL)
            writer.communicate()
            reached.append(Generations(folder).state()["last"])
        assert reached == sorted(reached)
        assert len(set(reached)) > 2
        last = add(folder, reached[-1], reached[-1] + 20)
    finally:
        (tmp_path / "stop").touch()
        ended = [reader.communicate(timeout=60) for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0], ended
    index = CopiedIndex(Generations(folder))
    assert index.base == last
    found(index, reached[-1] + 20)
    index.close()
    # Nobody reads any more: only the newest is kept.
    newest = add(folder, reached[-1] + 20, reached[-1] + 21)
    assert [path.name for path in folder.iterdir()] == [newest]
