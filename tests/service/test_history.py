"""Every change is in the history with its author, and is undone over HTTP and from Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from conftest import draw
from gingham.catalogue import Catalogue
from gingham.errors import GinghamError, InputError, UndoError
from gingham.service.served import ServedCatalogue
from gingham.store.changes import user_name
from serving import (
    MappingRuntime,
    check_problem,
    client,
    examples,
    fresh_http,
    fresh_shop,
    make,
    pictures,
)

shop = fresh_shop
http = fresh_http


def changes(http: TestClient, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/v1/history", params=asked).json()["changes"]
    return found


def said(shop: Catalogue, name: str = "colour") -> dict[bytes, dict[str, bool]]:
    taught = shop._attributes.taught().get(name)
    return {one.id: one.values for one in taught.examples} if taught else {}


def test_changes_are_listed_with_who_made_them(http: TestClient, shop: ServedCatalogue) -> None:
    image = next(iter(shop.images()))
    http.post("/v1/attributes/colour/examples", json={"examples": {image: "pink"}})
    http.delete(f"/v1/images/{image}")
    found = changes(http)
    assert [(one["number"], one["verb"], one["summary"]) for one in found] == [
        (4, "remove", "removed 1 image"),
        (3, "examples", "corrected colour: 1 example added or changed"),
        (2, "teach", "taught colour: 18 examples added or changed"),
        (1, "index", "added 9 images"),
    ]
    assert {one["by"] for one in found} == {"local"}
    assert [one["undoable"] for one in found] == [True, True, False, False]
    assert [one["number"] for one in changes(http, before=3, n=1)] == [2]
    assert shop.verify() == []


def test_the_user_is_named_from_python(tmp_path: Path) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=MappingRuntime()) as shop:
        shop.index([pictures(tmp_path / "photos", 2)])
        shop.index([tmp_path / "photos"])  # changes nothing
        (only,) = shop.history()
        assert (only.by, only.verb, only.images) == (user_name(), "index", 6)
    with Catalogue.open(tmp_path / "shop", runtime=MappingRuntime()) as shop:
        assert shop.history() == [only]
        with pytest.raises(UndoError, match="only removed images"):
            shop.undo(1)
        with pytest.raises(InputError, match="no change 2"):
            shop.undo(2)


def test_examples_are_put_back_and_the_undo_undone(http: TestClient, shop: ServedCatalogue) -> None:
    before, image = said(shop), next(iter(shop.images()))
    http.post("/v1/attributes/colour/examples", json={"examples": {image: "pink"}})
    after = said(shop)
    assert after != before
    answer = http.post("/v1/history/3/undo")
    assert answer.status_code == 200, answer.text
    assert answer.json() | {"made": ""} == {
        "number": 4,
        "made": "",
        "by": "local",
        "verb": "undo",
        "attribute": "colour",
        "summary": "put back colour: 1 example taken out (undid 3)",
        "images": 1,
        "undoable": True,
        "undone_by": None,
    }
    assert said(shop) == before
    assert changes(http)[1]["undone_by"] == 4
    # It is applied as before.
    assert shop.info().attributes["colour"].tagged == 9
    check_problem(http.post("/v1/history/3/undo"), 409, "change 4 has undone it already")
    assert http.post("/v1/history/4/undo").status_code == 200
    assert said(shop) == after
    assert changes(http)[2]["undone_by"] is None


def test_a_later_change_is_undone_first(http: TestClient, shop: ServedCatalogue) -> None:
    check_problem(http.post("/v1/history/1/undo"), 409, "only removed images")
    http.delete("/v1/attributes/colour", params={"value": "red"})
    http.delete("/v1/attributes/colour")
    check_problem(http.post("/v1/history/2/undo"), 409, "undo change 4 first")
    for number in (4, 3, 2):
        assert http.post(f"/v1/history/{number}/undo").status_code == 200
    assert not shop.has_attribute("colour")
    assert http.get("/v1/facets").json()["attributes"] == {}


def test_removed_images_come_back(http: TestClient, shop: ServedCatalogue, tmp_path: Path) -> None:
    files, image = shop.images(), next(iter(shop.images()))
    http.delete(f"/v1/images/{image}")
    shop.index([draw(tmp_path / "more.jpg", "red", 905)])
    assert image not in shop.images()
    assert http.post("/v1/history/3/undo").json()["summary"] == "brought back 1 image (undid 3)"
    assert shop.images()[image] == files[image]
    assert len(shop) == 10
    assert http.get(f"/v1/images/{image}").status_code == 200


def test_what_cannot_be_undone_is_refused(http: TestClient, shop: ServedCatalogue) -> None:
    check_problem(http.post("/v1/history/99/undo"), 404, "no change 99")
    check_problem(http.get("/v1/history?n=0"), 422, "n")
    with client(shop, read_only=True) as strict:
        check_problem(strict.post("/v1/history/2/undo"), 403, "read-only")
        assert len(changes(strict)) == 2


@settings(deadline=None, max_examples=8)
@given(steps=st.lists(st.integers(0, 5), min_size=1, max_size=7))
def test_undoing_all_that_can_be_undone_leads_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("undo")
    with Catalogue.create(folder / "shop", runtime=MappingRuntime()) as shop:
        shop.index([pictures(folder / "photos", 2)])
        shop.teach("colour", examples(folder / "examples"))
        images, start = list(shop.images()), said(shop)
        states = {2: start}
        for step in steps:
            try:
                if step < 3:
                    shop.correct("colour", {images[step]: "pink" if step else "red"})
                elif step == 3:
                    shop.correct("colour", {images[0]: None})
                elif step == 4:
                    shop.forget("colour", "blue")
                else:
                    latest = shop.history(n=1)[0]
                    shop.undo(latest.number)
            except GinghamError:
                continue
            states[shop.history(n=1)[0].number] = said(shop)
        for _ in range(20):
            todo = [c for c in shop.history(n=99) if c.undoable and c.verb != "undo"]
            if not todo or todo[0].number == 2:
                break
            shop.undo(todo[0].number)
        assert said(shop) == start or not said(shop)
        assert shop.verify() == []


KILLED = """
import os, signal, sys
from gingham.catalogue import Catalogue
from gingham.store.changes import ChangeLog
from serving import MappingRuntime
folder, moment, image = sys.argv[1:]
append = ChangeLog.append
def die(log, **said):
    if moment == "after":
        append(log, **said)
    os.kill(os.getpid(), signal.SIGKILL)
ChangeLog.append = die
with Catalogue.open(folder, runtime=MappingRuntime()) as shop:
    if moment == "remove":
        shop.remove([image])
    else:
        shop.correct("colour", {image: "pink"})
"""


@pytest.mark.parametrize(
    ("moment", "summary"),
    [
        ("before", "corrected colour: 1 example added or changed"),
        ("after", "corrected colour: 1 example added or changed"),
        ("remove", "removed 1 image"),
    ],
)
def test_a_change_is_noted_though_the_process_is_killed_beside_its_note(
    tmp_path: Path, moment: str, summary: str
) -> None:
    with make(tmp_path, each=3) as shop:
        image = next(iter(shop.images()))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "shop", moment, image],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=300,
    )
    assert done.returncode == -signal.SIGKILL
    with Catalogue.open(tmp_path / "shop", runtime=MappingRuntime()) as again:
        last, before = again.history(n=2)
        assert (last.number, last.by, last.summary) == (3, user_name(), summary)
        assert before.number == 2
        again.undo(3)
    with Catalogue.open(tmp_path / "shop", runtime=MappingRuntime()) as again:
        assert [one.number for one in again.history()] == [4, 3, 2, 1]
        assert list((tmp_path / "shop" / "changes" / "begun").iterdir()) == []
