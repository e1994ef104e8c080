"""Downloads from a server on loopback that stalls, redirects and lies."""

from __future__ import annotations

import csv
import ipaddress
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.downloads import run as run_module
from gingham.downloads.addresses import is_public
from gingham.downloads.fetch import DownloadLimits, Fetcher
from gingham.downloads.run import download
from gingham.errors import ImageError, InputError
from helpers import run

LIMITS = DownloadLimits(bytes=100_000, timeout=0.4, seconds=0.8, retries=1)


class Server:
    """Answers as its paths say."""

    def __init__(self, picture: bytes) -> None:
        self.picture = picture
        self.asked: Counter[str] = Counter()
        self.etags: list[str | None] = []
        self.busy = self.most = 0
        lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with lock:
                    outer.asked[self.path] += 1
                    outer.busy += 1
                    outer.most = max(outer.most, outer.busy)
                try:
                    outer.answer(self)
                except OSError:
                    pass  # whoever asked has gone
                finally:
                    with lock:
                        outer.busy -= 1

            def log_message(self, *args: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *given: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        what, *rest = request.path.strip("/").split("/", 1)
        data, status, headers = self.picture, 200, {"Content-Type": "image/jpeg"}
        if what == "html":
            data = b"<!doctype html><title>Not found</title>" + bytes(5000)
        elif what == "missing":
            status = 404
        elif what == "flaky" and self.asked[request.path] == 1:
            status, headers["Retry-After"] = 503, "0"
        elif what == "to":
            status, headers["Location"] = 302, unquote(rest[0])
        elif what in ("flood", "busy"):
            status = 302 if what == "flood" else 503
            headers |= {"Location": f"{self.url}/ok/a", "Retry-After": "0"}
        elif what == "round":
            status, headers["Location"] = 302, request.path
        elif what == "large":
            data += bytes(200_000)
        elif what == "etag":
            self.etags.append(request.headers.get("If-None-Match"))
            headers["ETag"] = '"1"'
            if self.etags[-1] == '"1"':
                status, data = 304, b""
        elif what == "slow":
            time.sleep(0.1)
        elif what == "stall":
            time.sleep(3)
        elif what == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 40:
                request.wfile.write(bytes([byte]))
                time.sleep(0.1)
            return
        request.send_response(status)
        length = {"short": len(data) + 1000, "huge": 10**12}.get(what, len(data))
        if what == "trailers":
            headers["Transfer-Encoding"] = "chunked"
        elif what not in ("endless", "trickle", "flood", "busy"):
            headers["Content-Length"] = str(length)
        else:
            headers["Connection"] = "close"
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if what == "trailers":
            request.wfile.write(b"%x\r\n%b\r\n0\r\n" % (len(data), data))
            while True:
                request.wfile.write(b"X-More: 1\r\n")
        request.wfile.write(data[:500] if what in ("half", "trickle") else data)
        while what in ("endless", "flood", "busy"):
            request.wfile.write(bytes(10_000))
        for _ in range(30 if what == "trickle" else 0):
            request.wfile.write(b"x")
            time.sleep(0.1)
        if what == "half":
            time.sleep(3)
        request.close_connection = what in ("short", "half", "huge", "endless", "trickle")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(draw(tmp_path / "server.jpg", "red", 1).read_bytes())
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def fetcher(tmp_path: Path) -> Iterator[Fetcher]:
    """May connect to 127.0.0.1, as if it were public, and not to 127.0.0.2."""
    here = ipaddress.ip_address("127.0.0.1")
    made = Fetcher(tmp_path / "notes", LIMITS, lambda address: address == here)
    yield made
    made.close()


def table(folder: Path, *urls: str) -> Path:
    (folder / "t.csv").write_text("image,colour\n" + "".join(f"{url},red\n" for url in urls))
    return folder / "t.csv"


def test_a_table_of_urls_becomes_a_folder_that_is_indexed(
    tmp_path: Path, server: Server, runtime: FakeRuntime
) -> None:
    local = draw(tmp_path / "local.jpg", "blue", 3)
    urls = [f"{server.url}/ok/{n}.jpg" for n in range(3)]
    source = table(tmp_path, *urls, urls[0], f"{server.url}/missing/a.jpg", local.name, "")
    out = tmp_path / "out"
    result = download(source, out, limits=LIMITS, allow_private_addresses=True)
    assert (result.fetched, result.unchanged, result.failed) == (3, 1, 1)
    assert result.failures[0].image == f"{server.url}/missing/a.jpg"
    assert result.failures[0].reason == "the server answers 404: check the URL"
    with (out / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["url"] for row in rows] == [*urls, urls[0], ""]
    assert rows[4] == {"image": str(local), "url": "", "colour": "red"}
    assert (out / rows[0]["image"]).read_bytes() == server.picture
    assert rows[0]["image"].endswith(".jpg")
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.index([out / "images.csv"]).images == 2
    # Again: nothing that is there is asked for.
    again = download(source, out, limits=LIMITS, allow_private_addresses=True)
    assert (again.fetched, again.unchanged, again.failed) == (0, 4, 1)
    assert set(server.asked.values()) == {1, 2}
    assert server.asked["/missing/a.jpg"] == 2


def test_what_was_stopped_goes_on(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = table(tmp_path, *(f"{server.url}/ok/{n}" for n in range(30)))
    fetch = Fetcher.fetch

    def stopped(self: Fetcher, url: str, file: Path) -> bool:
        if url.endswith("/20"):
            raise KeyboardInterrupt
        return fetch(self, url, file)

    monkeypatch.setattr(Fetcher, "fetch", stopped)
    with pytest.raises(KeyboardInterrupt):
        download(source, tmp_path / "out", allow_private_addresses=True)
    assert not (tmp_path / "out" / "images.csv").exists()
    before = sum(server.asked.values())
    assert 19 <= before < 30
    monkeypatch.undo()
    assert download(source, tmp_path / "out", allow_private_addresses=True).fetched == 30 - before
    assert set(server.asked.values()) == {1}


def test_etags_are_kept_between_runs(tmp_path: Path, server: Server) -> None:
    source = table(tmp_path, f"{server.url}/etag/a")
    for refresh in (False, False, True):
        result = download(source, tmp_path, refresh=refresh, allow_private_addresses=True)
    assert server.etags == [None, '"1"']
    assert (result.fetched, result.unchanged) == (0, 1)
    server.picture = b"no image any more"
    server.etags.clear()
    source = table(tmp_path, f"{server.url}/ok/b")
    assert download(source, tmp_path, allow_private_addresses=True).failed == 1


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("html", "^an HTML page, not an image"),
        ("stall", "the server does not answer in time"),
        ("half", "does not answer in time|Read timed out"),
        ("drip", "cannot be fetched: "),
        ("trickle", "it took more than 0.8 seconds"),
        ("short", "cannot be fetched: .*IncompleteRead|cannot be fetched: "),
        ("huge", "it has 1000000000000 bytes, more than 100000: raise"),
        ("large", "it has .* bytes, more than 100000"),
        ("trailers", "it took more than 0.8 seconds|the connection broke"),
        ("busy", "cannot be fetched: too many 503|the server answers 503"),
        ("endless", "it has more than 100000 bytes"),
        ("round", "too many redirects"),
        ("to/file:///etc/passwd", "cannot be fetched: "),
        ("to/http://127.0.0.2/", "127.0.0.2 leads to 127.0.0.2, an address that is not public"),
        ("to/http://localhost.test/", "localhost.test leads to ::1"),
        ("to/http://[::ffff:127.0.0.2]/", "an address that is not public"),
        ("to/http://2130706434/", "2130706434 leads to 127.0.0.2"),
    ],
)
def test_a_bad_answer_is_refused_in_bounded_time(
    tmp_path: Path,
    server: Server,
    fetcher: Fetcher,
    path: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def lookup(name: str, *args: Any, **more: Any) -> Any:
        return real("::1" if name == "localhost.test" else name, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    started = time.monotonic()
    with pytest.raises(ImageError, match=reason):
        fetcher.fetch(f"{server.url}/{path}", tmp_path / "a")
    assert time.monotonic() - started < 8
    assert sorted(x.name for x in tmp_path.iterdir()) == ["notes", "server.jpg"]


def test_the_address_that_was_checked_is_connected_to(
    tmp_path: Path, server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere once it was checked is of no use."""
    real, asked = socket.getaddrinfo, list[str]()

    def rebinding(name: str, *args: Any, **more: Any) -> Any:
        if name != "rebind.test":
            return real(name, *args, **more)
        asked.append(name)
        return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = server.http.server_port
    assert fetcher.fetch(f"http://rebind.test:{port}/ok/a", tmp_path / "a")
    assert len(asked) == 1
    fetcher._pool.clear()
    with pytest.raises(ImageError, match=r"rebind\.test leads to 127\.0\.0\.2"):
        fetcher.fetch(f"http://rebind.test:{port}/ok/b", tmp_path / "b")


def test_a_server_that_recovers_is_asked_again(
    tmp_path: Path, server: Server, fetcher: Fetcher
) -> None:
    assert fetcher.fetch(f"{server.url}/flaky/a", tmp_path / "a")
    assert server.asked["/flaky/a"] == 2
    assert fetcher.fetch(f"{server.url}/to/{server.url}/ok/b", tmp_path / "b")
    # What a redirect says beside where to is not read, be it endless.
    assert fetcher.fetch(f"{server.url}/flood/c", tmp_path / "c")
    assert (tmp_path / "b").read_bytes() == server.picture


def test_who_does_not_answer_is_told_from_who_is_slow(
    tmp_path: Path, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def lookup(name: str, *args: Any, **more: Any) -> Any:
        if name == "mistyped.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(name, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(ImageError, match="no server of this name is found: check the URL"):
        fetcher.fetch("http://mistyped.test/a.jpg", tmp_path / "a")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ImageError, match="Connection refused"):
        fetcher.fetch(f"http://127.0.0.1:{port}/a.jpg", tmp_path / "a")


def test_what_a_killed_run_left_is_deleted_and_what_another_writes_is_not(
    tmp_path: Path, server: Server
) -> None:
    folder = tmp_path / "out" / "images" / "ab"
    folder.mkdir(parents=True)
    old, new = folder / ".tmp-old.jpg", folder / ".tmp-new.jpg"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    download(table(tmp_path, f"{server.url}/ok/a"), tmp_path / "out", allow_private_addresses=True)
    assert (old.exists(), new.exists()) == (False, True)


@pytest.mark.parametrize(
    "url", ["ftp://a.test/x", "http://", "http://u:p@a.test/", "http://a.test:0/", "file:///x"]
)
def test_only_plain_http_is_fetched(tmp_path: Path, fetcher: Fetcher, url: str) -> None:
    with pytest.raises(ImageError, match="not a URL that is fetched"):
        fetcher.fetch(url, tmp_path / "a")


def test_of_one_server_few_files_are_fetched_at_a_time(tmp_path: Path, server: Server) -> None:
    source = table(tmp_path, *(f"{server.url}/slow/{n}" for n in range(12)))
    assert download(source, tmp_path, allow_private_addresses=True).fetched == 12
    assert server.most == DownloadLimits().per_host


def test_by_default_nothing_private_is_fetched(tmp_path: Path, server: Server) -> None:
    source = table(tmp_path, f"{server.url}/ok/a", "http://localhost:1/x")
    done = run("download", source, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "0 fetched, 0 there already, 2 failed" in done.stdout
    assert done.stderr.count("not public: check it, or give --allow-private-addresses") == 2
    assert not server.asked
    done = run("download", source, "--out", tmp_path / "out", "--allow-private-addresses")
    assert "1 fetched" in done.stdout


def test_a_table_without_urls_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("photo\nhttp://a.test/x.jpg\n")
    with pytest.raises(InputError, match="no column 'image'; it has photo"):
        download(tmp_path / "t.csv", tmp_path / "out")
    (tmp_path / "t.csv").write_text("image,x\nhttp://a.test/x.jpg,1,2\n")
    with pytest.raises(InputError, match="row 2: 3 cells for 2 columns"):
        download(tmp_path / "t.csv", tmp_path / "out")
    assert not (tmp_path / "out" / run_module.TABLE).exists()


PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
    *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1"),
    *("fec0::1", "::7f00:1", "64:ff9b:1::7f00:1"),
    *(
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@given(st.ip_addresses(v=4))
def test_an_address_is_as_public_inside_another(address: ipaddress.IPv4Address) -> None:
    for inside in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(ipaddress.ip_address(inside)) == is_public(address)


def test_well_known_addresses_are_public() -> None:
    assert is_public(ipaddress.ip_address("93.184.216.34"))
    assert is_public(ipaddress.ip_address("2606:2800:220:1:248:1893:25c8:1946"))
