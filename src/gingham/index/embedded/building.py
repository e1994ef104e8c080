"""The graph of a shard is built in a process of its own.

Qdrant Edge writes through mapped memory, into files that have no space yet: where another program
or a quota takes the room meanwhile, the process that writes is killed. And it lets no other Python
thread run while it builds, which takes seconds to minutes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from gingham.errors import CatalogueBusyError, StorageError
from gingham.store.files import refusals

LOCK = "lock.build"
"""Held, beside the shard, by the process that builds."""
_REFUSED = 3
_KILLED = {"SIGBUS": errno.ENOSPC, "SIGKILL": errno.ENOMEM}


def build_apart(folder: Path) -> None:
    """Build the graph of a shard that no process has open, and wait until it is durable.

    Raises
    ------
    StorageError
        If the system refuses, or kills the process that builds; the shard is then damaged.
    RuntimeError
        If Edge cannot, for another reason.
    """
    code = "from gingham.index.embedded.building import main; main()"
    with refusals(folder):
        done = subprocess.run(  # noqa: S603  (this program)
            [sys.executable, "-P", "-c", code, os.fspath(folder), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    said = done.stdout.decode(errors="replace").strip()
    if done.returncode == _REFUSED:
        raise StorageError(int(said), os.strerror(int(said)), os.fspath(folder))
    if done.returncode < 0:
        number = _KILLED.get(name := signal.Signals(-done.returncode).name, 0)
        why = os.strerror(number) if number else f"{name} ended the process that writes it"
        raise StorageError(number, why, os.fspath(folder))
    if done.returncode:
        raise RuntimeError(said or f"status {done.returncode} of the process that writes it")


def wait_for_builder(folder: Path) -> None:
    """Wait for the end of a process that was left behind by one that was killed.

    Parameters
    ----------
    folder : that holds the shard.

    Raises
    ------
    CatalogueBusyError
        If it still builds.
    """
    if not (folder / LOCK).exists():
        return
    with refusals(folder):
        try:
            FileLock(folder / LOCK, timeout=2).acquire().lock.release()
        except Timeout:
            raise CatalogueBusyError(
                f"a process still builds the index {folder}: wait for its end"
            ) from None


def main() -> None:
    """Build the graph of the shard named first, for the process whose number comes second."""
    from gingham.index.embedded.graph import Graph

    _end_with(int(sys.argv[2]))
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with FileLock(folder.parent / LOCK):
        try:
            graph = Graph(folder)
            graph.optimise_here()
            graph.close()
        except StorageError as error:
            print(error.errno or 0)  # noqa: T201
            sys.exit(_REFUSED)
        except BaseException as error:  # a panic in Rust is no Exception
            if "Not enough space" in str(error):  # Edge looks, too, before it begins
                print(errno.ENOSPC)  # noqa: T201
                sys.exit(_REFUSED)
            print(f"{type(error).__name__}: {error}")  # noqa: T201
            sys.exit(1)


def _end_with(parent: int) -> None:
    """Ask to be killed once the process that waits is; where it cannot be asked, the lock tells."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if hasattr(os, "getppid") and os.getppid() != parent:
        sys.exit(1)
