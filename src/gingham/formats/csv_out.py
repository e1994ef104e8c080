"""CSV as it is written."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gingham.formats.exported import Exported
from gingham.names import SEPARATOR


def write(path: Path, exported: Exported) -> int:
    """Write a plain table; several values of a cell are joined."""
    return write_rows(path, list(exported.columns()), exported.rows())


def write_rows(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows; several values of a cell are joined."""
    written = 0
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as out:
        writer = csv.DictWriter(out, names, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _flat(cell) for name, cell in row.items()})
            written += 1
    return written


def _flat(cell: Any) -> Any:
    return SEPARATOR.join(map(str, cell)) if isinstance(cell, list) else cell
