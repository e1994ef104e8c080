"""A server that is killed again and again keeps whatever it has acknowledged."""

from __future__ import annotations

import hashlib
import http.client
import io
import itertools
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra service is not installed")

from test_serve import Server

from conftest import draw
from gingham.catalogue import Catalogue
from gingham.store.jobs import JobTable
from serving import examples, pictures

KILLS = int(os.environ.get("GINGHAM_KILLS", "6"))
HEAD = "--b\r\nContent-Disposition: form-data; name=image; filename={}\r\n\r\n"

Change = tuple[str, str | None]
"""What the history says of a change: its verb and its attribute."""


class Known:
    """What servers have acknowledged, and what may or may not have been done when they died.

    Attributes
    ----------
    home : where the catalogue lies.
    ids : of images that stay.
    taught : attribute -> id -> value.
    uploaded, forgotten, removed : ids of images, names of attributes, ids of images.
    jobs : number -> the folder that it indexes, or nothing if it tags.
    changes : all changes.
    unsure : names of attributes and ids of images that somebody asked to change; no answer came.
    unanswered : changes for which no answer came.
    """

    def __init__(self, home: Path, ids: list[str]) -> None:
        self.home = home
        self.ids = ids
        self.taught: dict[str, dict[str, str]] = {}
        self.uploaded: set[str] = set()
        self.forgotten: set[str] = set()
        self.removed: set[str] = set()
        self.jobs: dict[int, str] = {}
        self.changes: Counter[Change] = Counter()
        self.unsure: set[str] = set()
        self.unanswered: Counter[Change] = Counter()
        self.numbers = itertools.count()


class Caller(threading.Thread):
    """Asks for one thing after the other until the server dies.

    Attributes
    ----------
    answered : the number of changes and jobs that were acknowledged.
    wrong : answers other than they should be.
    """

    def __init__(self, server: Server, known: Known, steps: str) -> None:
        super().__init__()
        self.server, self.known = server, known
        self.answered = 0
        self.wrong: list[str] = []
        self._steps: Iterator[None] = getattr(self, steps)()

    def run(self) -> None:
        try:
            for _ in self._steps:
                self.answered += 1
        except (OSError, http.client.HTTPException):
            pass

    def ask(
        self, method: str, path: str, body: object = None, kind: str = "application/json"
    ) -> Any:
        connection = self.server.connect()
        try:
            data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else None
            connection.request(method, path, data, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            self.wrong.append(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text else None

    def change(
        self,
        said: Change,
        touched: list[str],
        method: str,
        path: str,
        body: object = None,
        kind: str = "application/json",
    ) -> Any:
        """Ask for a change of what is touched; it is unsure until there is an answer."""
        self.known.unanswered[said] += 1
        self.known.unsure |= set(touched)
        answer = self.ask(method, path, body, kind)
        self.known.unsure -= set(touched)
        self.known.unanswered[said] -= 1
        self.known.changes[said] += 1
        return answer

    def upload(self) -> Iterator[None]:
        """Upload two images, and then take an older one out."""
        known = self.known
        while True:
            made = [_picture(next(known.numbers)) for _ in range(2)]
            parts = [HEAD.format(k).encode() + data + b"\r\n" for k, data in enumerate(made)]
            ids = [hashlib.sha256(data).hexdigest() for data in made]
            kind = "multipart/form-data; boundary=b"
            body = b"".join(parts) + b"--b--\r\n"
            answer = self.change(("upload", None), ids, "POST", "/v1/images", body, kind)
            if [one["id"] for one in answer["added"]] != ids:
                self.wrong.append(str(answer))
            known.uploaded |= set(ids)
            yield
            gone = min(known.uploaded)
            known.uploaded.remove(gone)
            self.change(("remove", None), [gone], "DELETE", f"/v1/images/{gone}")
            known.removed.add(gone)
            yield

    def teach(self) -> Iterator[None]:
        """Teach an attribute, add an example, teach another one, forget that."""
        known = self.known
        while True:
            first, other = (f"n{next(known.numbers)}" for _ in range(2))
            *ids, more = known.ids[:7]
            for name in (first, other):
                said = {image: "a" if k < 3 else name for k, image in enumerate(ids)}
                path = f"/v1/attributes/{name}"
                self.change(("teach", name), [name], "PUT", path, {"examples": said})
                known.taught[name] = said
                yield
            path = f"/v1/attributes/{first}/examples"
            body = {"examples": {more: "a", ids[0]: None}}
            self.change(("examples", first), [first], "POST", path, body)
            known.taught[first] |= {more: "a"}
            del known.taught[first][ids[0]]
            yield
            del known.taught[other]
            self.change(("forget", other), [other], "DELETE", f"/v1/attributes/{other}")
            known.forgotten.add(other)
            yield

    def work(self) -> Iterator[None]:
        """Ask for jobs that add a folder of images and tag all, and wait for them."""
        known = self.known
        while True:
            folder = known.home / f"more{next(known.numbers)}"
            for seed in range(12):
                draw(folder / f"{seed}.jpg", "red", int(folder.name[4:]) * 100 + seed)
            for asked in (
                {"kind": "index", "sources": [folder.name]},
                {"kind": "tag", "attributes": ["colour"]},
            ):
                job = self.ask("POST", "/v1/jobs", asked)["id"]
                known.jobs[job] = folder.name if asked["kind"] == "index" else ""
                yield
            while self.ask("GET", f"/v1/jobs/{job}")["state"] != "done":
                time.sleep(0.05)


def _picture(seed: int) -> bytes:
    data = io.BytesIO()
    noise = Image.frombytes("RGB", (8, 8), random.Random(seed).randbytes(192))
    noise.resize((64, 64)).save(data, "PNG")
    return data.getvalue()


def wrong(callers: list[Caller]) -> list[str]:
    return [text for one in callers for text in one.wrong]


def wait_until(done: Any) -> None:
    until = time.monotonic() + 240
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def check(folder: Path, known: Known) -> None:
    """Hold a catalogue that nobody serves against what was acknowledged."""
    with Catalogue.open(folder) as shop:
        assert shop.verify() == []
        files = shop.images()
        for image in known.uploaded - known.unsure:
            data = Path(shop.folder / files[image][0]).read_bytes()
            assert hashlib.sha256(data).hexdigest() == image
        assert not files.keys() & known.removed
        taught = {
            name: {one.id.hex(): [*one.values] for one in said.examples}
            for name, said in shop._truth.log.read().items()
        }
        for name, said in known.taught.items():
            if name not in known.unsure:
                assert taught[name] == {image: [value] for image, value in said.items()}
        assert not taught.keys() & known.forgotten
        found = [(one.verb, one.attribute) for one in shop.history(n=10_000)]
    history = Counter(one for one in found if one[0] != "index")
    assert history >= known.changes
    # What nobody was told of may be done, once.
    assert history - known.changes <= known.unanswered
    table = JobTable(folder / "jobs.sqlite")
    assert all((job := table.get(number)) and job.state != "failed" for number in known.jobs)
    table.close()


def kill(server: Server, known: Known, rng: random.Random) -> None:
    """Let callers change things until some of it is acknowledged, and kill the server then."""
    callers = [Caller(server, known, steps) for steps in ("upload", "teach", "work")]
    wanted = rng.randint(1, 12)
    try:
        wait_until(lambda: server.get("/readyz")[0] == 200)
        for one in callers:
            one.start()
        wait_until(lambda: sum(one.answered for one in callers) >= wanted or wrong(callers))
        time.sleep(rng.uniform(0, 0.3))
    finally:
        server.process.kill()
        _, error = server.process.communicate(timeout=60)
    for one in callers:
        one.join(60)
    assert wrong(callers) == []
    assert "Traceback" not in error


def finish(server: Server, known: Known) -> None:
    """Wait until all jobs that were ever acknowledged are done."""
    caller = Caller(server, known, "work")
    try:
        wait_until(
            lambda: all(caller.ask("GET", f"/v1/jobs/{n}")["state"] == "done" for n in known.jobs)
        )
    finally:
        server.process.terminate()
        server.process.communicate(timeout=60)


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_many_kills(tmp_path: Path) -> None:
    """GINGHAM_KILLS says how many: twenty take some minutes."""
    folder = tmp_path / "shop"
    with Catalogue.create(folder) as shop:
        shop.index([pictures(tmp_path / "photos")])
        ids = sorted(shop.images())
        shop.teach("colour", examples(tmp_path / "examples"))
    known = Known(tmp_path, ids)
    known.changes["teach", "colour"] += 1
    rng = random.Random(0)
    for _ in range(KILLS):
        kill(Server(folder), known, rng)
        check(folder, known)
    assert known.uploaded
    assert known.taught
    finish(Server(folder), known)
    check(folder, known)
    with Catalogue.open(folder) as shop:
        there = {Path(file).parent.name for files in shop.images().values() for file in files}
    assert {source for source in known.jobs.values() if source} <= there
