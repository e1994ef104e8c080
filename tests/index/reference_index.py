"""The port of a search index done plainly: what every implementation must agree with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from gingham.index.filters import EVERYWHERE, Where
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Floats,
    Index,
    Keys,
    Match,
    Query,
    State,
    Tag,
    Untag,
    Upsert,
)
from gingham.results import Facets
from gingham.store.ids import Ids, from_list, to_list


class ReferenceIndex(Index):
    """Everything in dictionaries, one image after another; bad input is not its business."""

    def __init__(self) -> None:
        self.reset({})

    def state(self) -> State:
        return self._state

    def begin(self, *, wait: bool = True) -> bool:
        return True

    def reset(self, looks: Mapping[str, int]) -> None:
        self._state: State = {}
        self._widths = dict(looks)
        self._metrics = dict.fromkeys(looks, "dot")
        self._vectors: dict[str, dict[str, Floats]] = {look: {} for look in looks}
        self._tags: dict[str, dict[str, tuple[str, ...]]] = {}

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case Upsert(ids, vectors):
                    for i, key in enumerate(ids):
                        self._tags.setdefault(key, {})
                        for look in vectors:
                            self._vectors[look][key] = vectors[look][i]
                case Delete(ids):
                    for key in ids:
                        self._tags.pop(key, None)
                        for there in self._vectors.values():
                            there.pop(key, None)
                case Tag(attribute, ids, values, which):
                    for key, number in zip(ids, which, strict=True):
                        value = values[number]
                        members = {value} if isinstance(value, str) else set(value)
                        self._tags[key][attribute] = tuple(sorted(members))
                case Untag(attribute):
                    for tags in self._tags.values():
                        tags.pop(attribute, None)
                case Fill(look, metric, ids, rows):
                    self._widths[look], self._metrics[look] = rows.shape[1], metric
                    self._vectors.setdefault(look, {}).update(zip(ids, rows, strict=True))
                case Drop(look):
                    self._vectors.pop(look, None)

    def commit(self, state: State) -> None:
        self._state = dict(state)

    def query(self, query: Query) -> list[Match]:
        matches = []
        left_out = {
            one if isinstance(one, str) else one.ljust(32, b"\0").hex() for one in query.without
        }
        for key in self._keys(query.where):
            if key in left_out:
                continue
            compared = [self._compare(term.look, term.vector, key) for term in query.terms]
            score = sum(term.weight * c for term, c in zip(query.terms, compared, strict=True))
            if score >= query.min_score:
                tags = {name: values for name, values in self._tags[key].items() if values}
                matches.append(Match(key, score, tuple(compared), tags))
        return sorted(matches, key=lambda match: (-match.score, match.id))[: query.n]

    def facets(self, where: Where = EVERYWHERE) -> Facets:
        counts: dict[str, Counter[str]] = {}
        for key in self._keys(where):
            for attribute, values in self._tags[key].items():
                for value in values:
                    counts.setdefault(attribute, Counter())[value] += 1
        return Facets(len(self._keys(where)), {name: dict(count) for name, count in counts.items()})

    def _keys(self, where: Where = EVERYWHERE) -> list[str]:
        return sorted(key for key in self._tags if _satisfies(self._tags[key], where))

    def held(self, where: Where = EVERYWHERE) -> Ids:
        return from_list(map(bytes.fromhex, self._keys(where)))

    def vectors(self, ids: Keys, looks: Sequence[str]) -> dict[str, Floats]:
        keys = [one.hex() for one in to_list(ids)] if isinstance(ids, np.ndarray) else ids
        return {
            look: np.array([self._vector(look, k) for k in keys]).reshape(-1, self._widths[look])
            for look in looks
        }

    def close(self) -> None:
        pass

    def _vector(self, look: str, key: str) -> Floats:
        return self._vectors[look].get(key, np.zeros(self._widths[look], np.float32))

    def _compare(self, look: str, vector: Floats, key: str) -> float:
        stored = self._vector(look, key).astype(np.float64)
        if self._metrics[look] == "dot":
            return float(stored @ vector)
        return -float(np.abs(stored - vector).mean())


def _satisfies(tags: Mapping[str, Sequence[str]], where: Where) -> bool:
    asked: dict[str, list[bool]] = {}
    for condition in where.conditions:
        has = condition.value in tags.get(condition.attribute, ())
        if condition.negated and has:
            return False
        if not condition.negated:
            asked.setdefault(condition.attribute, []).append(has)
    return all(any(answers) for answers in asked.values())
