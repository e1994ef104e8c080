"""`gingham serve` as a process."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")


from gingham.cli.serve import SECRET_VARIABLE, _oidc
from gingham.errors import GinghamError, InputError
from gingham.service.serve import address_of, listen
from serving import pictures

CLI = [sys.executable, "-m", "gingham"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serve")
    command = [*CLI, "index", str(folder / "shop"), str(pictures(folder / "photos"))]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    return folder / "shop"


class Server:
    """A process that serves a catalogue, and where."""

    def __init__(self, shop: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [*CLI, "serve", str(shop), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"GINGHAM_DEBUG": "1"},
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert found, said + (self.process.stderr.read() if self.process.stderr else "")
        self.port = int(found[1])

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer


@pytest.fixture
def server(shop: Path) -> Iterator[Server]:
    started = Server(shop)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_holds_the_lease_and_stops_when_told(
    server: Server, shop: Path, number: signal.Signals
) -> None:
    assert server.get("/healthz") == (200, b'{"status":"ok"}')
    command = [*CLI, "rebuild", str(shop)]
    done = subprocess.run([*CLI, "info", str(shop)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"is served at http://127.0.0.1:{server.port}: use that address" in done.stderr
    server.process.send_signal(number)
    _, error = server.process.communicate(timeout=60)
    assert server.process.returncode == 0, error
    assert error == ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0


def test_a_request_that_runs_when_the_server_is_told_to_stop_is_answered(
    server: Server, shop: Path
) -> None:
    image = (shop.parent / "photos" / "red0.jpg").read_bytes()
    # Other bytes, so that the network must read it.
    parts = (b"--b\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n", image)
    body = b"".join(parts) + b"\0\r\n--b--\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        head = (
            "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
            f"{len(body)}\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n"
        )
        connection.sendall(head.encode() + body[:100])
        until = time.monotonic() + 30
        while b"gingham_requests_accepted 1.0" not in server.get("/metrics")[1]:
            assert time.monotonic() < until
        server.process.send_signal(signal.SIGTERM)
        while True:
            assert time.monotonic() < until
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
            except ConnectionError:
                break
        connection.sendall(body[100:])
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert response.status == 200
        assert len(json.loads(response.read())["hits"]) == 10
    _, error = server.process.communicate(timeout=60)
    assert (server.process.returncode, error) == (0, "")


def test_a_host_that_others_reach_is_refused(shop: Path) -> None:
    done = subprocess.run(
        [*CLI, "serve", str(shop), "--host", "0.0.0.0"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "serve on 127.0.0.1" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_a_key_others_are_served_who_have_one(shop: Path) -> None:
    made = subprocess.run(
        [*CLI, "keys", "add", str(shop), "ann", "--role", "reader", "--json"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    secret = json.loads(made.stdout)["key"]
    started = Server(shop, "--host", "0.0.0.0", "--allowed-host", "shop.example")
    try:
        answers = []
        removed = [*CLI, "keys", "remove", str(shop), "ann"]
        for host, key in (
            ("shop.example", secret), ("evil.example", secret), ("shop.example", "no"), ("", ""),
            ("shop.example", secret),
        ):  # fmt: skip
            if host == "":
                subprocess.run(removed, capture_output=True, timeout=60, check=True)
                continue
            connection = started.connect()
            headers = {"Host": host, "Authorization": f"Bearer {key}"}
            connection.request("GET", "/v1/attributes", headers=headers)
            answers.append(connection.getresponse().status)
            connection.close()
        assert answers == [200, 421, 401, 401]
    finally:
        started.process.send_signal(signal.SIGTERM)
        said, error = started.process.communicate(timeout=60)
    assert error == ""
    assert secret not in said


def test_a_port_that_is_taken_is_refused() -> None:
    with listen("localhost", 0) as one:
        port = one.getsockname()[1]
        assert address_of(one) == f"http://127.0.0.1:{port}"
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1 cannot be used"):
            listen("127.0.0.1", port)


def test_the_loopback_of_ipv6_is_written_in_brackets() -> None:
    class Listening:
        def getsockname(self) -> tuple[str, int, int, int]:
            return ("::1", 8000, 0, 0)

    listening: Any = Listening()
    assert address_of(listening) == "http://[::1]:8000"


def oidc(**given: Any) -> Any:
    pytest.importorskip("authlib", reason="the extra oidc is not installed")
    made: dict[str, Any] = {
        "issuer": "https://login.example",
        "client_id": "shop",
        "secret_file": None,
        "audience": None,
        "role_claim": "roles",
        "default_role": None,
        "callback": None,
    }
    return _oidc(**made | given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"client_id": None}, "give --oidc-issuer and --oidc-client-id together"),
        ({"issuer": None, "audience": "x"}, "give --oidc-issuer and --oidc-client-id together"),
        ({"issuer": "http://login.example"}, "'http://login.example'"),
        ({"default_role": "owner"}, "role 'owner' of --oidc-default-role"),
        ({"secret_file": Path(os.devnull)}, "is empty"),
        ({"secret_file": Path("no/such/file")}, "no/such/file"),
        ({"callback": "shop.example"}, "the callback 'shop.example'"),
        ({"client_id": ""}, "client id"),
    ],
)
def test_an_issuer_that_is_given_wrongly_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(GinghamError, match=said):
        oidc(**given)


def test_what_is_refused_ends_with_two_and_one_sentence(shop: Path) -> None:
    done = subprocess.run(
        [*CLI, "serve", str(shop), "--port", "0", "--oidc-client-id", "shop"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "give --oidc-issuer and --oidc-client-id together" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_authlib_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gingham.errors.find_spec", lambda name: None)
    with pytest.raises(GinghamError, match=r"pip install 'gingham\[oidc\]'"):
        oidc()
    assert oidc(issuer=None, client_id=None) is None


def test_the_secret_of_the_client_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SECRET_VARIABLE, raising=False)
    assert oidc()._secret is None
    monkeypatch.setenv(SECRET_VARIABLE, "from the environment")
    assert oidc()._secret == "from the environment"
    file = tmp_path / "secret"
    file.write_text("from the file\n")
    assert oidc(secret_file=file)._secret == "from the file"
