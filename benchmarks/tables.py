"""Large tables: reading one, and joining one with tags, by image and by product.

`python benchmarks/tables.py [--rows 1000000]` makes a CSV and a Parquet table, three images a
product, and measures each step in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet

from gingham.formats.exported import ExportedFile, ExportedTag
from gingham.operations.export import Arrangement, write_export
from gingham.tables import stream_table

TAGS = {
    "colour": ExportedTag(("red",), 0.9),
    "pattern": ExportedTag(("plain",), 0.8),
    "style": ExportedTag((), None, ("casual",)),
}


def make(folder: Path, rows: int) -> None:
    """Write the table in both formats."""
    with (folder / "t.csv").open("w") as file:
        file.write("image,sku,title\n")
        file.writelines(
            f"photos/{row:08}.jpg,SKU-{row // 3:07},A dress of linen no. {row // 3}\n"
            for row in range(rows)
        )
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(folder / "t.csv"), folder / "t.parquet")


def join(folder: Path, key: str) -> int:
    """Join the table with three attributes; gives the rows written."""
    return write_export(
        folder / f"{key}.csv",
        dict.fromkeys(TAGS, "single"),
        (),
        lambda name: ExportedFile(name, "0" * 64, TAGS),
        Arrangement(join=folder / "t.csv", join_key=key),
    )


STEPS: dict[str, Callable[[Path], object]] = {
    "nothing, but for imports": lambda folder: None,
    "read CSV": lambda folder: deque(stream_table(folder / "t.csv", None).rows, 0),
    "read Parquet": lambda folder: deque(stream_table(folder / "t.parquet", None).rows, 0),
    "join by image": lambda folder: join(folder, "image"),
    "join by sku": lambda folder: join(folder, "sku"),
}


def main() -> None:
    """Measure each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        before = time.process_time()
        STEPS[given.step](given.folder)
        # Of this process alone: getrusage also counts what it was started from.
        peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
        assert peak
        print(json.dumps([time.process_time() - before, int(peak[1]) / 1024]))
        return
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), given.rows)
        for step in STEPS:
            command = [sys.executable, __file__, "--step", step, "--folder", name]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, megabytes = json.loads(done.stdout)
            print(f"{given.rows:,} rows, {step}: {seconds:.1f} s of processor, {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
