"""Which names an attribute may have."""

from __future__ import annotations

from gingham.errors import InputError


def check_attribute_name(name: str) -> str:
    """Return a usable attribute name.

    Raises
    ------
    InputError
        If it is empty, or would not be read back from `--where NAME=VALUE`.
    """
    if not name.strip() or name != name.strip() or any(c in name for c in "=!\n\r\0"):
        raise InputError(
            f"attribute name {name!r} cannot be used: give a word, without = or ! in it"
        )
    return name
