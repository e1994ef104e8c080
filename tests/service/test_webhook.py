"""Changes of attributes are posted, signed, tried again, and hold up no request."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gingham.errors import CatalogueError, InputError, StorageError
from gingham.service.webhook import Seen, Webhook, events_of
from gingham.store.changes import ChangeEntry
from serving import client, make

SECRET = "0123456789abcdef"


class Listener:
    """An address that remembers what is posted, and answers as it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.posted: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    def events(self) -> list[tuple[str, str]]:
        return [(said["event"], said["attribute"]) for said in self.bodies()]

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.posted]


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            there.posted.append((dict(self.headers), body))
            status = there.answers.pop(0) if there.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    there = Listener(f"http://127.0.0.1:{server.server_port}/hook?shop=1")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def started(hook: Webhook, changes: list[ChangeEntry]) -> Iterator[None]:
    hook.start(lambda: Seen(tuple(changes), {}))
    try:
        yield
    finally:
        hook.close()


def change(number: int, verb: str, attribute: str | None) -> ChangeEntry:
    return ChangeEntry(
        number=number, made=0.0, by="ann", verb=verb, attribute=attribute, summary="", images=0,
        examples_from=0, examples_to=0, places_from=0, places_to=0,
    )  # fmt: skip


def wait_for(done: Any) -> None:
    until = time.monotonic() + 30
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_is_posted_is_signed_and_has_an_id_and_a_time(listener: Listener) -> None:
    changes = [change(1, "teach", "old")]
    with started(Webhook(listener.url, SECRET, every=0.01), changes):
        changes.append(change(2, "teach", "colour"))
        wait_for(lambda: listener.posted)
    headers, body = listener.posted[0]
    signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Gingham-Signature"] == f"sha256={signed}"
    assert headers["Content-Type"] == "application/json"
    (said,) = listener.bodies()
    assert set(said) == {"id", "time", "event", "attribute", "number", "by"}
    assert (said["number"], said["by"]) == (2, "ann")
    assert datetime.fromisoformat(said["time"]).tzinfo is not None
    assert listener.events() == [("attribute-changed", "colour")]


@pytest.mark.parametrize("status", [500, 302, 404])
def test_what_is_not_taken_is_tried_again_as_it_was(listener: Listener, status: int) -> None:
    listener.answers = [status, status]
    changes: list[ChangeEntry] = []
    with started(Webhook(listener.url, SECRET, every=0.01, pauses=(0.01, 0.01)), changes):
        changes += [change(1, "teach", "colour"), change(2, "forget", "colour")]
        wait_for(lambda: len(listener.posted) == 4)
    first, *_, last = [body for _, body in listener.posted]
    assert [body for _, body in listener.posted][:3] == [first] * 3
    assert json.loads(last)["event"] == "attribute-forgotten"


def test_an_event_that_nobody_takes_is_given_up_and_logged(
    caplog: pytest.LogCaptureFixture, listener: Listener
) -> None:
    listener.answers = [500, 500]
    changes: list[ChangeEntry] = []
    with started(Webhook(listener.url, SECRET, every=0.01, pauses=(0.01,)), changes):
        changes.append(change(1, "teach", "a"))
        wait_for(lambda: len(listener.posted) == 2)
        changes.append(change(2, "teach", "b"))
        wait_for(lambda: len(listener.posted) == 3)
    assert listener.events() == [("attribute-changed", one) for one in "aab"]
    assert "given up, tried 2 times: it answered 500" in caplog.text
    assert SECRET not in caplog.text


def test_closing_tells_what_waits_once_more_and_does_not_wait_for_it(listener: Listener) -> None:
    listener.answers = [500]
    changes: list[ChangeEntry] = []
    with started(Webhook(listener.url, SECRET, every=0.01, pauses=(3600,)), changes):
        changes.append(change(1, "teach", "a"))
        wait_for(lambda: listener.posted)
        changes.append(change(2, "teach", "b"))
    assert listener.events() == [("attribute-changed", one) for one in "aab"]


def test_what_waits_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    changes: list[ChangeEntry] = []
    # Port 9: nothing listens there.
    hook = Webhook("http://127.0.0.1:9", SECRET, every=0.01, pauses=(3600,) * 5)
    with started(hook, changes), caplog.at_level(logging.ERROR):
        changes += [change(n, "teach", "a") for n in range(1, 1004)]
        wait_for(lambda: caplog.text.count("the oldest is given up") == 3)


def test_a_catalogue_that_cannot_be_looked_at_ends_nothing(listener: Listener) -> None:
    given: list[Seen | CatalogueError] = [Seen((), {})]

    def look() -> Seen:
        if isinstance(given[0], CatalogueError):
            raise given[0]
        return given[0]

    hook = Webhook(listener.url, SECRET, every=0.01)
    hook.start(look)
    given[0] = CatalogueError("damaged")
    time.sleep(0.05)
    given[0] = Seen([change(1, "teach", "a")], {})
    wait_for(lambda: listener.posted)
    hook.close()
    assert listener.events() == [("attribute-changed", "a")]


NAMES = st.sampled_from("abc")
TAGS = st.dictionaries(NAMES, st.sampled_from([None, "x", "y"]))
VERBS = st.tuples(st.sampled_from(["teach", "examples", "forget"]), NAMES)
CHANGES = st.lists(st.one_of(VERBS, st.tuples(st.just("upload"), st.none())))


@given(CHANGES, CHANGES, TAGS, TAGS)
def test_each_change_of_an_attribute_is_told_once_and_in_order(
    old: list[tuple[str, str | None]],
    new: list[tuple[str, str | None]],
    tags: dict[str, str | None],
    tags_now: dict[str, str | None],
) -> None:
    changes = [change(n, *one) for n, one in enumerate(old + new, 1)]
    found = events_of(Seen(changes[: len(old)], tags), Seen(changes, tags_now))
    told = [one for one in found if "number" in one]
    assert [(one["number"], one["attribute"], one["by"]) for one in told] == [
        (one.number, one.attribute, "ann") for one in changes[len(old) :] if one.attribute
    ]
    forgotten = {one["number"] for one in told if one["event"] == "attribute-forgotten"}
    assert forgotten == {one.number for one in changes[len(old) :] if one.verb == "forget"}
    tagged = [one["attribute"] for one in found if one["event"] == "images-tagged"]
    expected = {name for name, state in tags_now.items() if state not in (None, tags.get(name))}
    assert tagged == sorted(expected)


def test_an_undone_change_is_told_by_what_is_there_now() -> None:
    changes = [change(1, "undo", "a"), change(2, "undo", "b")]
    events = events_of(Seen((), {}), Seen(changes, {"b": None}))
    assert [one["event"] for one in events] == ["attribute-forgotten", "attribute-changed"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://a",
        "http://",
        "http://a:b@c/",
        "http://a\n",
        "http://[",
        "http://é",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match="address of the webhook cannot be used") as refused:
        Webhook(url, SECRET)
    assert "a:b@c" not in str(refused.value)


def test_the_secret_is_read_from_a_file_and_long_enough(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be found"):
        Webhook.read("http://a", tmp_path / "none")
    (tmp_path / "secret").write_text("  short \n")
    with pytest.raises(InputError, match="has 5 characters") as refused:
        Webhook.read("http://a", tmp_path / "secret")
    assert "short" not in str(refused.value)


def test_a_served_catalogue_tells_what_is_taught_tagged_and_forgotten(
    tmp_path: Path, listener: Listener
) -> None:
    with make(tmp_path) as shop:
        ids = [image.hex() if isinstance(image, bytes) else image for image in shop.images()]
        body = {"examples": {one: "ab"[k % 2] for k, one in enumerate(ids)}}
        with client(shop, webhook=Webhook(listener.url, SECRET, every=0.01)) as http:
            assert http.put("/v1/attributes/letter", json=body).status_code == 201
            wait_for(lambda: ("images-tagged", "letter") in listener.events())
            assert http.delete("/v1/attributes/letter").status_code == 204
        last = shop.history()[0].number
    assert listener.events()[0] == ("attribute-changed", "letter")
    assert listener.events()[-1] == ("attribute-forgotten", "letter")
    assert listener.bodies()[-1]["number"] == last
    assert listener.bodies()[-1]["by"] == "local"
    assert len({said["id"] for said in listener.bodies()}) == len(listener.posted)
