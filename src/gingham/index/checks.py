"""What every index refuses: changes and queries that its port does not allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from gingham.errors import InputError, ShapeError
from gingham.index.index import Floats, Keys, Query, TagValue, Upsert
from gingham.store.ids import Ids, from_list, to_list

_NONE = b"no image has it".ljust(32)


def check_looks(looks: Mapping[str, int]) -> None:
    """Refuse an index without looks, or with one that has no width.

    Raises
    ------
    InputError
        See above.
    """
    if not looks or min(looks.values()) < 1:
        raise InputError(f"an index needs looks, each of width 1 or more; got {dict(looks)}")


def check_upsert(change: Upsert, looks: Mapping[str, int]) -> None:
    """Refuse vectors that are not those of all built-in looks, and ids that are none or repeated.

    Parameters
    ----------
    looks : built-in look -> width.

    Raises
    ------
    InputError, ShapeError
        See above.
    """
    ids, vectors = change.ids, change.vectors
    if not looks or vectors.keys() != looks.keys():
        raise InputError(f"vectors must be of {list(looks)}, got {list(vectors)}")
    for look, width in looks.items():
        check_array(vectors[look], f"vectors[{look!r}]", (len(ids), width))
    if different := len(ids) - len(np.unique(ids)):
        raise InputError(f"ids must be different, {different} are repeated")
    check_ids(ids)


def check_ids(ids: Keys) -> None:
    """Refuse what is no SHA-256.

    Raises
    ------
    InputError
        See above.
    """
    for key in () if isinstance(ids, np.ndarray) else ids:
        if not _is_id(key):
            raise InputError(f"an id must be 64 lower-case hex characters, got {key!r}")


def check_text(what: str, text: object) -> None:
    """Refuse what is no text, or cannot be written.

    Raises
    ------
    InputError
        See above.
    """
    if not isinstance(text, str) or not text:
        raise InputError(f"{what} must be text, not empty; got {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError(f"{what} must be valid text, got {text!r}") from None


def check_values(attribute: str, values: Iterable[TagValue]) -> list[tuple[str, ...]]:
    """Give each value, or several, as a sorted tuple.

    Raises
    ------
    InputError
        If the attribute or a value is empty or not valid text.
    """
    check_text("an attribute", attribute)
    sets = []
    for value in values:
        members = (value,) if isinstance(value, str) else tuple(sorted(set(value)))
        for member in members:
            check_text(f"a value of {attribute!r}", member)
        sets.append(members)
    return sets


def check_array(array: Floats, name: str, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape, or with a number that is not finite.

    Raises
    ------
    ShapeError, InputError
        See above.
    """
    if array.shape != shape:
        raise ShapeError(name, expected=str(shape), got=array.shape)
    if not np.isfinite(array).all():
        raise InputError(f"{name} must be finite, got NaN or infinity")


def check_query(query: Query, widths: Mapping[str, int]) -> None:
    """Refuse a query that cannot be answered.

    Parameters
    ----------
    widths : every look -> width.

    Raises
    ------
    InputError, ShapeError
        See `Index.query`.
    """
    if query.n < 1:
        raise InputError(f"n must be at least 1, got {query.n}")
    if np.isnan(query.min_score):
        raise InputError("min_score must be a number, got nan")
    check_known([term.look for term in query.terms], widths)
    for term in query.terms:
        check_array(term.vector, f"the vector of {term.look!r}", (widths[term.look],))
        if not np.isfinite(term.weight):
            raise InputError(f"the weight of {term.look!r} must be finite, got {term.weight}")


def check_known(looks: Iterable[str], known: Iterable[str]) -> None:
    """Refuse a look that is not there.

    Raises
    ------
    InputError
        See above.
    """
    there = set(known)
    for look in looks:
        if look not in there:
            names = ", ".join(map(repr, sorted(there))) or "none"
            raise InputError(f"unknown look {look!r}; known: {names}")


def check_there(rows: NDArray[np.integer], ids: Keys) -> None:
    """Refuse ids that were not found: those of a row below 0.

    Raises
    ------
    InputError
        See above.
    """
    if (rows < 0).any():
        missing = ids[int(np.argmin(rows))]
        name = missing.ljust(32, b"\0").hex() if isinstance(missing, bytes) else missing
        raise InputError(f"image {name!r} is not in the index")


def to_array(ids: Keys) -> Ids:
    """Put ids into an array; one that is no SHA-256 becomes one that no image has."""
    if isinstance(ids, np.ndarray):
        return ids
    return from_list(bytes.fromhex(key) if _is_id(key) else _NONE for key in ids)


def to_texts(ids: Ids) -> list[str]:
    """Write ids as text."""
    return [image_id.hex() for image_id in to_list(ids)]


def _is_id(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")
