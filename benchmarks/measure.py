"""What the benchmarks share: where the data is, how a process is measured, how it is printed."""

from __future__ import annotations

import csv
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("GINGHAM_DATA", ROOT.parent / "shared" / "data"))
GINGHAM = str(Path(sys.executable).with_name("gingham"))


@dataclass(frozen=True)
class Run:
    """One whole process: seconds by the clock, peak resident memory in MB, what it printed."""

    seconds: float
    peak_mb: float
    stdout: str


def run(*command: str | Path, stdin: str | None = None, codes: tuple[int, ...] = (0,)) -> Run:
    """Run a command to its end; fail loudly if it does."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(c) for c in command],
        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if stdin is not None and process.stdin:
        process.stdin.write(stdin)
        process.stdin.close()
    assert process.stdout
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode not in codes:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return Run(seconds, usage.ru_maxrss / 1024, printed)


def rows(table: str) -> list[dict[str, str]]:
    """Read a CSV below the data folder."""
    with (DATA / table).open(newline="") as file:
        return list(csv.DictReader(file))


def machine() -> str:
    """Name the processor and the number of cores used."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, Python {platform.python_version()}"


def peak_mb() -> float:
    """Peak resident memory of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
