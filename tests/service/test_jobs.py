"""Long work is asked for, watched, cancelled, and goes on after a restart."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from starlette.testclient import TestClient

from conftest import draw
from gingham.results import TagResult
from gingham.service.served import ServedCatalogue
from gingham.store.jobs import JobTable
from serving import check_problem, client, fresh_shop, wait

shop = fresh_shop


def ask(http: TestClient, **asked: Any) -> dict[str, Any]:
    answer = http.post("/v1/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"/v1/jobs/{made['id']}"
    return made


class Slow:
    """Tags until it is told to go on."""

    def __init__(self, shop: ServedCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self.go_on = threading.Event()
        tag = shop.tag

        def slowly(names: Any = None, **more: Any) -> TagResult:
            self.begun.set()
            assert self.go_on.wait(30)
            return tag(names, **more)

        monkeypatch.setattr(shop, "tag", slowly)


def test_a_tag_job_applies_attributes(shop: ServedCatalogue, tmp_path: Path) -> None:
    shop.index([draw(tmp_path / "late.jpg", "red", 900)])
    with client(shop) as http:
        assert shop.info().attributes["colour"].tagged == 9
        made = ask(http, kind="tag")
        found = wait(http, made["id"])
        assert found["state"] == "done"
        assert (found["kind"], found["by"], found["error"]) == ("tag", "local", None)
        assert found["done"] == found["total"] == 10
        assert sum(found["result"]["attributes"]["colour"].values()) == 10
        assert found["made"] < found["ended"]
        assert shop.info().attributes["colour"].tagged == 10
        assert [one["id"] for one in http.get("/v1/jobs").json()["jobs"]] == [made["id"]]


def test_an_index_job_adds_images_beside_the_catalogue(
    shop: ServedCatalogue, tmp_path: Path
) -> None:
    draw(tmp_path / "more" / "new.jpg", "blue", 901)
    with client(shop) as http:
        found = wait(http, ask(http, kind="index", sources=["more"])["id"])
        assert found["result"]["added"] == 1
        assert len(shop) == 10


@pytest.mark.parametrize("source", ["..", "/etc", "photos/../../x", "nothing", "link", "a\0b"])
def test_no_source_lies_elsewhere(shop: ServedCatalogue, tmp_path: Path, source: str) -> None:
    (tmp_path / "link").symlink_to("/etc")
    with client(shop) as http:
        answer = http.post("/v1/jobs", json={"kind": "index", "sources": [source]})
        check_problem(answer, 422, "below the folder")
        assert http.get("/v1/jobs").json() == {"jobs": []}


def test_a_job_is_watched_to_its_end(shop: ServedCatalogue) -> None:
    with client(shop) as http:
        made = ask(http, kind="tag", attributes=["colour"])
        answer = http.get(f"/v1/jobs/{made['id']}/events")
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.text.splitlines() if line.startswith("data: ")]
        last = json.loads(lines[-1].removeprefix("data: "))
        assert last == http.get(f"/v1/jobs/{made['id']}").json()
        assert last["state"] == "done"


def test_jobs_are_cancelled(shop: ServedCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(shop, monkeypatch)
    with client(shop) as http:
        running, waiting = ask(http, kind="tag"), ask(http, kind="tag")
        assert slow.begun.wait(30)
        assert http.delete(f"/v1/jobs/{waiting['id']}").json()["state"] == "cancelled"
        assert http.delete(f"/v1/jobs/{running['id']}").json()["state"] == "running"
        slow.go_on.set()
        assert wait(http, running["id"])["state"] == "cancelled"
        # One that has ended stays as it is.
        assert http.delete(f"/v1/jobs/{running['id']}").json()["state"] == "cancelled"


def test_what_fails_says_why(shop: ServedCatalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(shop, monkeypatch)
    with client(shop) as http:
        made = ask(http, kind="tag", attributes=["colour"])
        assert slow.begun.wait(30)
        shop.forget("colour")
        slow.go_on.set()
        found = wait(http, made["id"])
        assert found["state"] == "failed"
        assert "no attribute is taught yet" in found["error"]


def test_a_job_that_was_interrupted_goes_on(
    shop: ServedCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(shop, monkeypatch)
    with client(shop) as http:
        running, waiting = ask(http, kind="tag"), ask(http, kind="tag")
        assert slow.begun.wait(30)
        threading.Timer(0.3, slow.go_on.set).start()
    table = JobTable(shop.folder / "jobs.sqlite")
    assert [one.state for one in table.latest(9)] == ["waiting", "interrupted"]
    table.close()
    with client(shop) as http:
        ended = [wait(http, one["id"]) for one in (running, waiting)]
        assert [(one["state"], one["interruptions"]) for one in ended] == [("done", 1), ("done", 0)]


def test_a_job_that_ran_when_the_process_was_killed_is_marked(tmp_path: Path) -> None:
    before = JobTable(tmp_path / "jobs.sqlite")
    before.add("tag", {"kind": "tag"}, "anna")
    taken = before.take()
    assert taken is not None
    assert taken.state == "running"
    after = JobTable(tmp_path / "jobs.sqlite")
    found = after.get(taken.id)
    assert found is not None
    assert (found.state, found.by, found.interruptions) == ("interrupted", "anna", 1)
    assert after.take() == replace(taken, interruptions=1)
    for table in (before, after):
        table.close()


def test_jobs_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    table = JobTable(path)
    made = table.add("tag", {"kind": "tag"}, "anna")
    table.close()
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("ALTER TABLE jobs DROP COLUMN interruptions")
    table = JobTable(path)
    assert table.get(made.id) == made
    table.close()


def test_what_is_no_job_is_refused(shop: ServedCatalogue) -> None:
    with client(shop) as http:
        check_problem(http.post("/v1/jobs", json={"kind": "dance"}), 422, "kind")
        asked = {"kind": "tag", "attributes": ["color"]}
        check_problem(http.post("/v1/jobs", json=asked), 422, "did you mean 'colour'")
        for address in ("/v1/jobs/99", "/v1/jobs/99/events"):
            check_problem(http.get(address), 404, "no job 99")
        check_problem(http.delete("/v1/jobs/99"), 404, "no job 99")
    with client(shop, read_only=True) as http:
        check_problem(http.post("/v1/jobs", json={"kind": "tag"}), 403, "read-only")
        assert http.get("/v1/jobs").json() == {"jobs": []}
