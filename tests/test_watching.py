"""Folders that are watched, in this process and by real ones."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import InputError, MissingExtraError
from gingham.options import ReadOptions
from gingham.watching import WatchRound, watch
from helpers import CLI, run

pytest.importorskip("watchfiles", reason="the extra watch is not installed")


@pytest.fixture
def shop(tmp_path: Path, runtime: FakeRuntime) -> Iterator[Catalogue]:
    (tmp_path / "in").mkdir()
    with Catalogue.create(tmp_path / "in" / "shop", runtime=runtime) as catalogue:
        yield catalogue


class Watched:
    """Watches in a thread; `until` waits for what it did."""

    def __init__(self, shop: Catalogue, folder: Path) -> None:
        self.rounds: list[WatchRound] = []
        self.stop = threading.Event()
        self._found = watch(shop, [folder], self.stop)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        for one in self._found:
            self.rounds.append(one)

    def until(self, condition: Any) -> None:
        deadline = time.monotonic() + 90
        while not condition():
            assert self._thread.is_alive()
            assert time.monotonic() < deadline, self.rounds
            time.sleep(0.05)

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def test_what_is_there_and_what_arrives(
    shop: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gingham.watching.TRIES", 2)
    draw(tmp_path / "in/red0.jpg", "red", 0)
    whole = draw(tmp_path / "elsewhere/blue0.jpg", "blue", 0).read_bytes()
    with Watched(shop, tmp_path / "in") as watched:
        watched.until(lambda: len(shop) == 1)
        slow = tmp_path / "in/slow.jpg"
        slow.write_bytes(whole[: len(whole) // 2])
        (tmp_path / "in/.hidden.jpg").write_bytes(whole)
        (tmp_path / "in/notes.txt").write_text("no image")
        for i in range(3):
            draw(tmp_path / "album/more" / f"{i}.jpg", "green", i)
        (tmp_path / "album").rename(tmp_path / "in/album")
        watched.until(lambda: len(shop) == 4)
        watched.until(lambda: {Path(f.image).name for r in watched.rounds for f in r.failures})
        slow.write_bytes(whole)  # its writer went on after it was given up
        watched.until(lambda: len(shop) == 5)
        shop.teach("tint", {tmp_path / "in/red0.jpg": "red", slow: "blue"})
        draw(tmp_path / "in/last.jpg", "red", 9)
        watched.until(lambda: shop.info().attributes["tint"].tagged == 6)
        shutil.rmtree(tmp_path / "in/album")
        time.sleep(1)
    assert shop.info().attributes["tint"].tagged == 6
    failed = [Path(f.image).name for one in watched.rounds for f in one.failures]
    assert "notes.txt" in failed
    assert set(failed) <= {"notes.txt", "slow.jpg"}
    assert sum(one.added for one in watched.rounds) == 6


def test_what_would_have_been_tried_again_is_named_at_the_end(
    shop: Catalogue, tmp_path: Path
) -> None:
    torn = tmp_path / "in/torn.jpg"
    torn.write_bytes(b"torn")
    os.utime(torn, (1e9, 1e9))  # nobody writes it any more
    draw(tmp_path / "in/red0.jpg", "red", 0)
    with Watched(shop, tmp_path / "in") as watched:
        watched.until(lambda: len(shop) == 1)
    last = watched.rounds[-1]
    assert [(Path(one.image).name, last.added) for one in last.failures] == [("torn.jpg", 0)]
    assert not any(one.failures for one in watched.rounds[:-1])


def test_a_stop_in_the_middle_keeps_what_was_read(shop: Catalogue, tmp_path: Path) -> None:
    stop = threading.Event()
    for colour in COLOURS:
        for i in range(20):
            draw(tmp_path / f"in/{colour}{i}.jpg", colour, i)

    def progress(step: str, done: int, total: int) -> None:
        if done == 10:
            stop.set()

    options = ReadOptions(progress=progress)
    assert list(watch(shop, [tmp_path / "in"], stop, options=options)) == []
    assert len(shop) < 60
    with Watched(shop, tmp_path / "in") as watched:
        watched.until(lambda: len(shop) == 60)


def test_what_is_no_folder_is_refused(shop: Catalogue, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder"):
        watch(shop, [draw(tmp_path / "a.jpg", "red", 0)], threading.Event())


def test_without_the_extra_it_says_what_to_install(
    shop: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gingham.errors.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'gingham\[watch\]'"):
        watch(shop, [tmp_path], threading.Event())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_watches_lets_others_write_and_ends_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder, shop = tmp_path / "in", tmp_path / "shop"
    draw(folder / "red0.jpg", "red", 0)
    with subprocess.Popen(
        [*CLI, "watch", str(shop), str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ,
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["added"] == 1
            # The lease is free meanwhile.
            for i in range(3):
                for colour in COLOURS:
                    draw(tmp_path / "examples" / colour / f"{i}.jpg", colour, i)
            taught = run("teach", shop, "tint", tmp_path / "examples")
            assert taught.returncode == 0, taught.stderr
            temporary = draw(tmp_path / "new.jpg", "blue", 3)
            data = temporary.read_bytes()
            with (folder / "new.jpg").open("wb") as file:
                for start in range(0, len(data), 500):
                    file.write(data[start : start + 500])
                    file.flush()
                    time.sleep(0.2)
            done = json.loads(process.stdout.readline())
            assert (done["added"], done["failures"], done["tagged"]) == (1, [], True)
            process.send_signal(number)
            assert process.wait(30) == 0
            assert process.stderr is not None
            assert process.stderr.read() == b""
        finally:
            process.kill()
    facets = json.loads(run("facets", shop, "--json").stdout)
    assert sum(facets["attributes"]["tint"].values()) == facets["images"] == 2
