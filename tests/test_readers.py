"""Any number of processes read a catalogue while one changes it, and is killed at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueBusyError, InputError
from gingham.store.lease import CatalogueLock, Lease
from helpers import run

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
KILLS = int(os.environ.get("GINGHAM_KILLS", "20"))


def start(code: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()
    return line.strip()


@pytest.fixture
def shop(tmp_path: Path, photos: Path, examples: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as made:
        made.index([photos])
        made.teach("colour", examples)
        made.tag()
        yield made


# the lease

HOLDER = """
import sys
from pathlib import Path
from gingham.store.lease import CatalogueLock
lock = CatalogueLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.readline()
"""


def test_whoever_wants_the_lease_is_told_who_has_it_where_and_since_when(shop: Catalogue) -> None:
    command = [sys.executable, "-c", HOLDER, str(shop.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert line_of(one) == "held"
        held = time.strftime("%Y-%m-%d %H:%M")
        said = rf"in use by process {one.pid} on {socket.gethostname()} since {held[:13]}:.*wait"
        with pytest.raises(CatalogueBusyError, match=said):
            shop.forget("colour")
        assert shop.info().images == 36
        done = run("forget", shop.folder, "colour")
        assert (done.returncode, f"process {one.pid} on" in done.stderr) == (2, True)
        assert "colour" in run("info", shop.folder).stdout
        one.kill()
    shop.forget("colour")


def test_of_one_s_own_process_it_says_so(shop: Catalogue) -> None:
    said = rf"in use by this process \({os.getpid()} on {socket.gethostname()}\), by another"
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as another, shop._lease.taken():
        with pytest.raises(CatalogueBusyError, match=said):
            another.tag()
        shop.tag()
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as another:
        another.tag()


@pytest.mark.parametrize("holder", ["", "junk", "12345", "{", '{"process": 999999999}'])
def test_a_message_about_a_holder_that_is_not_known(tmp_path: Path, holder: str) -> None:
    lock = CatalogueLock(tmp_path)
    (tmp_path / "lock.pid").write_text(holder)
    with pytest.raises(CatalogueBusyError, match=r"is in use by (another process|process 12345|p)"):
        CatalogueLock(tmp_path)
    lock.release()


def test_what_a_killed_holder_left_is_not_believed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    lock = CatalogueLock(tmp_path)
    text = (tmp_path / "lock.pid").read_text().replace(str(os.getpid()), str(ended.pid))
    (tmp_path / "lock.pid").write_text(text)
    with pytest.raises(CatalogueBusyError, match="in use by another process"):
        CatalogueLock(tmp_path)
    lock.release()


def test_the_lease_is_waited_for(shop: Catalogue) -> None:
    command = [sys.executable, "-c", HOLDER, str(shop.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdin is not None
        assert line_of(one) == "held"
        with Catalogue.open(shop.folder, runtime=FakeRuntime(), wait=0.2) as impatient:
            started = time.monotonic()
            with pytest.raises(CatalogueBusyError):
                impatient.tag()
            assert time.monotonic() - started >= 0.2
        threading.Timer(0.5, one.stdin.close).start()
        with Catalogue.open(shop.folder, runtime=FakeRuntime(), wait=60) as patient:
            patient.tag()
    assert run("forget", shop.folder, "colour", "--wait", "5").returncode == 0
    for wait in (-1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="wait must be a number of seconds"):
            Catalogue.open(shop.folder, wait=wait)


def test_threads_share_the_lease(tmp_path: Path) -> None:
    begun: list[bool] = []
    lease = Lease(partial(CatalogueLock, tmp_path), 0.0, begun.append)
    inside, both = threading.Barrier(5, timeout=60), threading.Barrier(5, timeout=60)

    def hold() -> None:
        with lease.taken():
            inside.wait()
            both.wait()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.wait()
    assert lease.held
    both.wait()
    for thread in threads:
        thread.join()
    assert not lease.held
    (tmp_path / "lock.pid").touch()
    with lease.taken():
        pass
    assert begun == [False, True]
    CatalogueLock(tmp_path).release()


# readers


def answers(shop: Catalogue, image: Path) -> tuple[Any, ...]:
    looks = {"attribute:colour": 1.0, "colour": 1.0}
    return (
        shop.images(),
        shop.examples(),
        shop.facets(),
        shop.search(image, looks=looks, with_self=True),
        list(shop.predict([image])),
        shop.info().attributes,
        shop.verify(),
        [one.summary for one in shop.history()],
    )


def test_an_open_catalogue_sees_what_others_have_changed_when_it_is_asked_again(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    red, new = photos / "red0.jpg", draw(tmp_path / "new" / "new.jpg", "red", 900)
    changes: list[Callable[[Catalogue], object]] = [
        lambda one: one.index([new]),
        lambda one: one.tag(),
        lambda one: one.correct("colour", {str(new): "red"}),
        lambda one: one.tag(),
        lambda one: one.remove([photos / "red3.jpg"]),
        lambda one: one.teach("kind", {str(red): "a", str(new): "b"}),
        lambda one: one.forget("kind"),
        lambda one: one.undo(len(one.history())),
        lambda one: one.rebuild(),
    ]
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as writer:
        for change in changes:
            before = answers(shop, red)
            change(writer)
            now = answers(shop, red)
            with Catalogue.open(shop.folder, runtime=FakeRuntime()) as fresh:
                assert now == answers(fresh, red) == answers(writer, red)
            assert change is changes[-1] or now != before
    assert shop.search(new, n=1, with_self=True)[0].image == str(new)
    assert len(shop) == 36


def test_what_reads_writes_nothing(shop: Catalogue, photos: Path, tmp_path: Path) -> None:
    image = photos / "red0.jpg"
    # What readers would like to make: an attribute fitted again, an index, a sample.
    shutil.rmtree(shop.folder / "index")
    shutil.rmtree(shop.folder / "attributes")
    before = {path: path.stat().st_mtime_ns for path in shop.folder.rglob("*")}
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as reader:
        assert reader.search(image, looks={"attribute:colour": 1.0, "texture": 1.0}, with_self=True)
        assert next(iter(reader.predict([image]))).predictions["colour"].value == "red"
        assert reader.facets().images == 36
        assert reader.verify() == []
        assert reader.prune(dry_run=True).missing == ()
        reader.export(tmp_path / "out.csv")
    assert {path: path.stat().st_mtime_ns for path in shop.folder.rglob("*")} == before
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as writer:
        writer.tag()
    assert list((shop.folder / "index").iterdir())
    assert (shop.folder / "attributes" / "colour" / "attribute.npz").is_file()


def test_an_index_is_not_made_anew_for_nothing(shop: Catalogue, tmp_path: Path) -> None:
    (name,) = (path.name for path in (shop.folder / "index").iterdir())
    shop.index([tmp_path / "photos"])
    shop.correct("colour", {next(iter(shop.images())): "red"})
    assert [path.name for path in (shop.folder / "index").iterdir()] == [name]
    shop.tag()
    assert name not in [path.name for path in (shop.folder / "index").iterdir()]


READER = """
import sys, time
from pathlib import Path
from conftest import FakeRuntime
from gingham import Catalogue
folder, stop, image = map(Path, sys.argv[1:4])
allowed = [int(one) for one in sys.argv[4].split(",")]
print("ready", flush=True)
seen, asked, counts = -1, 0, set()
kept = Catalogue.open(folder, runtime=FakeRuntime())
ends = time.monotonic() + 300
while not stop.exists() and time.monotonic() < ends:
    asked += 1
    with Catalogue.open(folder, runtime=FakeRuntime()) as fresh:
        for shop in (kept, fresh):
            assert shop.info().images >= seen
            facets = shop.facets()
            assert facets.images >= seen, (facets.images, seen)
            seen = facets.images
            colours = facets.attributes.get("colour", {})
            assert sum(colours.values()) in (0, *allowed), colours
            counts.add(sum(colours.values()))
            looks = {"attribute:colour": 1.0, "colour": 1.0}
            hits = shop.search(image, looks=looks, n=3, with_self=True)
            assert hits[0].image == str(image) and hits[0].score > 1.9, hits
            assert all(Path(hit.image).is_file() for hit in hits)
            (found,) = shop.predict([image])
            assert found.predictions["colour"].value == "red", found
            assert shop.history()
    assert not asked == 1 or shop.verify() == []
assert kept.verify() == []
kept.close()
print("well", asked, seen, *sorted(counts))
"""


def readers(shop: Catalogue, stop: Path, image: Path, *allowed: int) -> list[subprocess.Popen[str]]:
    given = shop.folder, stop, image, ",".join(map(str, allowed))
    started = [start(READER, *given) for _ in range(2)]
    for reader in started:
        assert line_of(reader) == "ready"
    return started


def ended(started: list[subprocess.Popen[str]], stop: Path) -> list[list[str]]:
    """Let readers end; give what each says: `well`, and what it has seen."""
    stop.touch()
    said = [reader.communicate(timeout=120) for reader in started]
    assert [reader.returncode for reader in started] == [0, 0], said
    return [text.split() for text, _ in said]


INDEXER = """
import sys
from pathlib import Path
from conftest import FakeRuntime
from gingham import Catalogue, extract
extract.KEEP_VIEWS = 8
folder, photos = map(Path, sys.argv[1:])
with Catalogue.open(folder, runtime=FakeRuntime()) as shop:
    for path in sorted(photos.iterdir()):
        shop.index([path])
"""


def test_two_processes_search_while_a_third_indexes(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    for number in range(6):
        for seed in range(5):
            draw(tmp_path / "more" / f"{number}" / f"{seed}.jpg", "blue", 100 * number + seed + 500)
    stop = tmp_path / "stop"
    started = readers(shop, stop, photos / "red0.jpg", 36)
    try:
        indexer = start(INDEXER, shop.folder, tmp_path / "more")
        assert indexer.communicate(timeout=120)[1] == ""
        assert indexer.returncode == 0
        time.sleep(0.5)
    finally:
        said = ended(started, stop)
    for word, asked, seen, *_ in said:
        assert (word, seen) == ("well", "66")
        assert int(asked) > 1


WRITER = """
import sys
import time
from pathlib import Path
from conftest import FakeRuntime
from gingham import Catalogue, extract
from gingham.store import compacting
extract.KEEP_VIEWS = 8
compacting.SHARD_ROWS = 24
what, folder, photos = sys.argv[1:]

class Slow(FakeRuntime):
    # So slow that a kill finds it in the middle.
    def stream(self, *given):
        for one in super().stream(*given):
            time.sleep(0.01)
            yield one

with Catalogue.open(folder, runtime=Slow(), wait=10) as shop:
    print("open", flush=True)
    if what == "index":
        shop.index([photos])
    elif what == "tag":
        for number in range(1000):
            # Of the same limits they would stay as they are.
            shop.tag(min_confidence=number % 2 / 1000)
    elif what == "compact":
        for path in sorted(Path(photos).iterdir()):
            shop.index([path])
            shop.compact()
    else:
        for _ in range(1000):
            shop.rebuild()
"""


@pytest.mark.slow
def test_twenty_kills_of_a_writer_beside_two_readers(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    more = tmp_path / "more"
    for seed in range(900, 960):
        for colour in COLOURS:
            draw(more / f"{colour}{seed}.jpg", colour, seed)
    total = 36 + 180
    stop = tmp_path / "stop"
    rng = random.Random(0)
    started = readers(shop, stop, photos / "red0.jpg", *range(36, total + 1))
    sizes = []
    try:
        for number in range(KILLS):
            what = ("index", "tag", "compact", "rebuild")[number % 4]
            writer = start(WRITER, what, shop.folder, more)
            assert line_of(writer) == "open"
            time.sleep(rng.uniform(0.02, 0.6))
            writer.send_signal(signal.SIGKILL)
            _, error = writer.communicate()
            assert error == "", error
            sizes.append(len(shop))
        shop.index([more])
        shop.tag()
        assert shop.compact().dropped == 0
        time.sleep(1)
    finally:
        said = ended(started, stop)
    assert all(word == "well" and int(seen) == total for word, _, seen, *_ in said), said
    assert sizes == sorted(sizes)
    assert any(36 < size < total for size in sizes), sizes
    image = photos / "red0.jpg"
    with Catalogue.create(tmp_path / "whole", runtime=FakeRuntime()) as whole:
        whole.index([photos])
        whole.teach("colour", tmp_path / "examples")
        whole.index([more])
        whole.tag()
        expected, got = answers(whole, image), answers(shop, image)
        assert got[0].keys() == expected[0].keys()
        assert got[1:5] == expected[1:5]
        assert got[5:7] == expected[5:7]
    left = {path.name[:4] for path in shop.folder.rglob("*") if path.name.startswith(".tmp-")}
    assert left == set()
    shop.close()
    shop.rebuild()
    assert len(list((shop.folder / "index").iterdir())) == 1
