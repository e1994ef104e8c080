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

LOCAL, AUTO, ANY = "local", "auto", "any"
_ADDRESS = re.compile(r"[^\s/:]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")

_STORE = 128 << 20
_PATIENCE = 10.0
_LONGEST = 36
"""Characters of a folder in which Ray can name its sockets."""


def check_address(address: str) -> None:
    """Refuse what names no cluster, see `find_cluster`.

    Raises
    ------
    InputError
        If it does not.
    """
    if address not in (LOCAL, AUTO, ANY) and not _ADDRESS.fullmatch(address):
        raise InputError(
            f"a Ray cluster is local (started on this machine), auto (the one that RAY_ADDRESS "
            f"names, or that this machine belongs to), any (that or else local) or HOST:PORT, got "
            f"{address!r}; a bare --ray comes last, after the sources"
        )


def find_cluster(address: str) -> str:
    """Say which cluster is meant: `local`, or one that answers.

    Parameters
    ----------
    address : `local`, one that is started on this machine; `auto`, the one that RAY_ADDRESS names
        or that this machine belongs to; `any`, that or else a local one; or `HOST:PORT`.

    Raises
    ------
    InputError
        If it names none.
    MissingExtraError
        If Ray is not installed.
    ServerError
        If there is none, or nothing answers at its address.
    """
    check_address(address)
    require_extra("cluster", "ray", purpose="reading on a cluster")
    import ray
    from ray._private.services import get_ray_address_from_environment

    if address == LOCAL or ray.is_initialized():
        return address
    named = address
    if address in (AUTO, ANY):
        try:
            named = get_ray_address_from_environment(AUTO, None)
        except ConnectionError:
            if address == ANY:
                return LOCAL
            raise ServerError(
                "there is no Ray cluster that this machine belongs to: start one with ray start "
                "--head, or use --ray local"
            ) from None
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
    return named


@contextlib.contextmanager
def connected(address: str, *, shared: int = 0) -> Iterator[None]:
    """Connect this process to a cluster, or use the one that it is connected to.

    Parameters
    ----------
    address : from `find_cluster`.
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
