"""Names and what they become: a folder, a column, a line. Checked and encoded here."""

from __future__ import annotations

import difflib
import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from gingham.errors import InputError

LONGEST_NAME = 255
"""Of an attribute, in bytes of UTF-8."""
LONGEST_VALUE = 1000
"""Of a value, in bytes of UTF-8."""
LONGEST_QUOTED = 80
"""So many characters of a name are quoted in a message."""
SEPARATOR = "|"
"""Between the values of one cell of a CSV."""
FILE_COLUMNS = ("image", "id")
"""What a table of tags says of a file."""

UNKNOWN = "unknown"
"""Stands where an attribute has no sure value."""
NOT_APPLICABLE = "not applicable"
"""Stands where an attribute has no value because it does not apply, as the neckline of a lamp."""

UNKNOWN_WORDS = ("NA", "N/A", "#N/A", "NaN", "null", "<NA>", UNKNOWN, NOT_APPLICABLE)
"""Words that mean, in upper or lower case, that nothing is known, as an empty cell does. `none` is
not one of them: it is a value of many attributes."""

_CONFIDENCE = "_confidence"
_BEST_GUESS = "_best_guess"
_PLAIN = re.compile(r"[a-z0-9][a-z0-9 _-]{0,61}[a-z0-9]|[a-z0-9]")
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")  # no file may be called so on Windows
_HASHED = re.compile(r".*-[0-9a-f]{16}")
# What moves the cursor, ends a line, or changes the direction of what follows.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def check_attribute(name: str, there: Iterable[str] = ()) -> str:
    """Return a usable name of an attribute, composed (NFC).

    Parameters
    ----------
    name : as the user wrote it.
    there : the attributes that there are.

    Raises
    ------
    InputError
        If it is empty, too long, not printable text, has spaces around it, holds `=` or `!` (it
        would not be read back from `--where NAME=VALUE`), is a path, is or becomes a column that
        every table of tags has, or differs from another attribute only in case or Unicode form.
    """
    cannot = f"attribute name {shortened(name)} cannot be used"
    if not name.isprintable() or not name.strip() or name != name.strip():
        raise InputError(f"{cannot}: give printable text, without spaces around it")
    if any(c in name for c in "=!") or name in (".", ".."):
        raise InputError(f"{cannot}: give a word, without = or ! in it")
    name = composed(name)
    if len(name.encode()) > LONGEST_NAME:
        raise InputError(
            f"{cannot}: it is {len(name.encode())} bytes long, the most is {LONGEST_NAME}"
        )
    if same(name) in FILE_COLUMNS or attribute_of(name) is not None:
        raise InputError(
            f"{cannot}: tables of tags have columns {', '.join(FILE_COLUMNS)}, "
            f"NAME{_CONFIDENCE} and NAME{_BEST_GUESS} of their own; give another name"
        )
    for other in there:
        if other != name and same(other) == same(name):
            raise InputError(
                f"{cannot}: it differs from {other!r} only in case or Unicode form; write "
                f"{other!r}, or give another name"
            )
    return name


def check_value(attribute: str, value: str, kind: str) -> None:
    """Refuse a value that a table of tags would not give back.

    Raises
    ------
    InputError
        If it is too long or not printable text, or of kind `multi` holds the separator.
    """
    cannot = f"value {shortened(value)} of attribute {shortened(attribute)} cannot be used"
    if not value.isprintable():
        raise InputError(f"{cannot}: give printable text")
    if reason := too_long(value):
        raise InputError(f"{cannot}: it {reason}")
    if kind == "multi" and SEPARATOR in value:
        raise InputError(
            f"{cannot}: {SEPARATOR!r} separates the values of an image; write the value without it"
        )


def too_long(value: str) -> str | None:
    """Say how long a value is, if that is too long."""
    size = len(value.encode(errors="surrogatepass"))
    return f"is {size} bytes long, the most is {LONGEST_VALUE}" if size > LONGEST_VALUE else None


def shortened(text: str) -> str:
    """Quote text in a message: what is longer than a line is cut."""
    return repr(text if len(text) <= LONGEST_QUOTED else text[:LONGEST_QUOTED] + "...")


def same(name: str) -> str:
    """Map names that people, and some file systems, take for one another to the same text."""
    return composed(composed(name).casefold())


def composed(name: str) -> str:
    """Write a name in the Unicode form (NFC) that names of attributes and columns have."""
    return unicodedata.normalize("NFC", name)


def variants(counts: Mapping[str, int]) -> dict[str, str]:
    """Map values to the most frequent one that differs only in case, spaces or Unicode form.

    Parameters
    ----------
    counts : value -> how often it is there; of equally frequent ones the first in order counts.
    """
    forms: dict[str, list[str]] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], value)):
        forms.setdefault(same(" ".join(value.split())), []).append(value)
    return {other: first for first, *others in forms.values() for other in others}


@lru_cache(1000)
def folder_name(name: str) -> str:
    """Name the folder of an attribute: ASCII, at most 64 bytes, another for every name.

    It differs also where upper and lower case do not count, is never `.`, `..` or the name of a
    device, and is the name itself if that is plain.
    """
    if (
        _PLAIN.fullmatch(name)
        and not _DEVICES.fullmatch(name.split(" ")[0])
        and not _HASHED.fullmatch(name)
    ):
        return name
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    start = re.sub(r"[^a-z0-9]+", "-", ascii_only).strip("-")[:40]
    return f"{start or 'attribute'}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def tag_columns(attribute: str) -> tuple[str, str, str]:
    """Name the columns of an attribute in a table of tags: value, confidence, best guess."""
    return attribute, attribute + _CONFIDENCE, attribute + _BEST_GUESS


def attribute_of(column: str) -> str | None:
    """Name the attribute whose confidence or best guess is in a column of a table of tags."""
    for end in (_CONFIDENCE, _BEST_GUESS):
        if same(column).endswith(end):
            return same(column).removesuffix(end)
    return None


def one_line(text: str) -> str:
    """Write text for people on one line: what could move the cursor or hide is escaped."""
    return _UNSAFE.sub(lambda found: ascii(found[0])[1:-1], text)


def printable(name: str) -> str:
    """Write the name of a file as UTF-8, whatever bytes it holds."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Say which known name is like one that is not there: `; did you mean 'x'?`, or nothing."""
    forms = {same(other): other for other in known}
    close = difflib.get_close_matches(same(name), forms, n=1, cutoff=0.7)
    return f"; did you mean {forms[close[0]]!r}?" if close else ""
