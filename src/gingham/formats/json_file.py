"""What holds for every format in JSON: how it is told apart, and how much of it is read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 30
"""Of a file: it is held in memory as a whole."""

_HEAD = 1 << 16


def begins(start: str, *patterns: str) -> Callable[[Path], bool]:
    """Recognise `.json` files by their first character, and by what stands near it."""

    def recognised(path: Path) -> bool:
        if path.suffix.lower() != ".json" or not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_HEAD).decode("utf-8-sig", errors="replace").lstrip()
        return head.startswith(start) and all(re.search(one, head) for one in patterns)

    return recognised


def load(path: Path, leave_out: tuple[str, ...] = ()) -> Any:
    """Read a file without the members of objects that are called so.

    Raises
    ------
    ValueError
        If it is no JSON, nested too deeply, or larger than `MOST_BYTES`.
    """
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{size} bytes of JSON, more than {MOST_BYTES}: split it")

    def lean(found: dict[str, Any]) -> dict[str, Any]:
        for name in leave_out:
            found.pop(name, None)
        return found

    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.load(file, object_hook=lean if leave_out else None)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply to be a table") from None


def one_or_list(values: list[Any]) -> Any:
    """Give the cell of some values: None, the value itself, or a list."""
    different = list(dict.fromkeys(values))
    return different if len(different) > 1 else next(iter(different), None)
