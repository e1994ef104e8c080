"""A Ray cluster: one that is there, or one started on this machine for as long as needed."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from gingham.backbones.runtime import cpu_count
from gingham.errors import InputError, ServerError, require_extra
from gingham.temporary import TemporaryFolder

logger = logging.getLogger(__name__)

LOCAL, AUTO = "local", "auto"
_ADDRESS = re.compile(r"[^\s/:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")

_STORE = 128 << 20
_PATIENCE = 10.0
_LONGEST = 36
"""Characters of a folder in which Ray can name its sockets."""


def check_cluster(address: str) -> str:
    """Return what names a cluster, if it does.

    Raises
    ------
    InputError
        If it does not.
    MissingExtraError
        If Ray is not installed.
    ServerError
        If nothing answers at its address.
    """
    if address not in (LOCAL, AUTO) and not _ADDRESS.fullmatch(address):
        raise InputError(
            f"a Ray cluster is local (started on this machine), auto (the one that RAY_ADDRESS "
            f"names, or that this machine belongs to) or HOST:PORT, got {address!r}"
        )
    require_extra("cluster", "ray", purpose="reading on a cluster")
    named = os.environ.get("RAY_ADDRESS", "") if address == AUTO else address
    if _ADDRESS.fullmatch(named):
        # Ray itself would try for minutes.
        host, _, port = named.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE).close()
        except (OSError, OverflowError) as error:
            raise ServerError(
                f"no Ray cluster answers at {named} ({error}): check the address, or use "
                "--ray local"
            ) from None
    return address


@contextlib.contextmanager
def connected(address: str, *, shared: int = 0) -> Iterator[None]:
    """Connect this process to a cluster, or use the one that it is connected to.

    Parameters
    ----------
    address : see `check_cluster`.
    shared : bytes that all workers share, for which a cluster that is started must have room.

    Raises
    ------
    ServerError
        If there is no cluster, or none can be started.
    """
    # Ray would report its use to its makers otherwise.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    with contextlib.redirect_stdout(_Quiet(sys.stdout)):
        if ray.is_initialized():
            yield
            return
        with _connecting(address):
            if address == LOCAL:
                folder = TemporaryFolder()
                short = len(str(folder.path)) <= _LONGEST
                ray.init(
                    "local",
                    num_cpus=cpu_count(),
                    num_gpus=0,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    object_store_memory=_STORE + 2 * shared,
                    _temp_dir=str(folder.path) if short else None,
                )
            else:
                ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
        try:
            yield
        finally:
            ray.shutdown()
            if address == LOCAL:
                folder.delete()


@contextlib.contextmanager
def _connecting(address: str) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, OSError, RuntimeError, TimeoutError, ValueError) as error:
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if address == LOCAL:
            raise ServerError(f"no Ray cluster can be started here: {said}") from error
        raise ServerError(
            f"there is no Ray cluster at {address} that this machine belongs to ({said}): start "
            "one with ray start --head, or use --ray local"
        ) from error


class _Quiet(io.TextIOBase):
    """Passes on what is printed, but for what Ray says of workers that died.

    Ray prints that on stdout, where results are expected; whether it matters is said otherwise.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if threading.current_thread().name != "ray_listen_error_messages":
            return self._stream.write(text)
        if text.strip():
            logger.debug("ray: %s", text.strip())
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def isatty(self) -> bool:
        return not self.closed and self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()
