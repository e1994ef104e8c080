"""What a query looks for in each look: where an index that knows only one look finds candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gingham.index.index import Floats, Metric, Query


@dataclass(frozen=True)
class Aim:
    """A vector whose nearest in a look are candidates."""

    look: str
    vector: Floats


def aims_of(query: Query, metrics: Mapping[str, Metric]) -> list[Aim] | None:
    """Give the aims of a query.

    Terms by dot product add up to one aim a look. A distance with a negative weight asks for what
    is far off, which no index finds; the other terms give the candidates then.

    Returns
    -------
    The aims; none if all scores are equal. None if no candidate can be found, and all images have
    to be compared.
    """
    sums: dict[str, Floats] = {}
    aims, far = [], False
    for term in query.terms:
        if not term.weight:
            continue
        if metrics[term.look] == "dot":
            weighted = np.float32(term.weight) * term.vector
            sums[term.look] = sums.get(term.look, np.float32(0)) + weighted
        elif term.weight > 0:
            aims.append(Aim(term.look, term.vector))
        else:
            far = True
    aims += [Aim(look, vector) for look, vector in sums.items() if vector.any()]
    return None if far and not aims else aims
