"""A search in Qdrant: one request, in which each look gives candidates and each term scores them.

For every term the request has a query. Its prefetches find the nearest images in each look with a
weight, by the HNSW index of that look; the query itself compares all of these with the term's
vector, by the vectors that are stored. The sum of the terms is made here, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from gingham.index.aims import Aim, aims_of
from gingham.index.index import Floats, Match, Query, Term
from gingham.index.qdrant.collection import PointCollection
from gingham.index.qdrant.layout import IndexVersion
from gingham.index.qdrant.points import IMAGE, MOST_IDS, has_ids, passing, to_lists
from gingham.index.remote import candidates

_NEAR: dict[str, Any] = {"quantization": models.QuantizationSearchParams(rescore=True)}
_EXACT = models.SearchParams(exact=True)


def search(points: PointCollection, view: IndexVersion, query: Query) -> list[Match]:
    """Answer a query; see `Index.query`."""
    where = passing(view, query.where, query.without)
    if where is None:
        return []
    found = _Found(points, view, query)
    aims = aims_of(query, view.layout.metrics)
    if aims is None:
        found.scan(where)
    elif not aims:
        found.first(where)
    else:
        found.nearest(where, aims, exact=False)
        if len(found) < query.n and query.min_score == -np.inf:
            # An HNSW index leads to few of those that match.
            found.nearest(where, aims, exact=True)
    return found.matches()


class _Found:
    """The candidates of a query: what each term gives, and what the points hold."""

    def __init__(self, points: PointCollection, view: IndexVersion, query: Query) -> None:
        self._points = points
        self._layout = view.layout
        self._query = query
        self._terms: list[dict[str, float]] = [{} for _ in query.terms]
        self._payloads: dict[str, models.Payload] = {}
        self._keys = models.PayloadSelectorInclude(include=[IMAGE, *self._layout.tags.values()])

    def __len__(self) -> int:
        return len(self._payloads)

    def first(self, where: models.Filter) -> None:
        """Take the first images in the order of their ids: all score the same."""
        keys = self._keys.include
        for record in self._points.scroll(where, keys, self._query.n):
            self._payloads[str(record.id)] = record.payload or {}
        self._complete()

    def scan(self, where: models.Filter) -> None:
        """Take all images."""
        self._ask(where, (), limit=max(1, self._points.count(where)), params=_EXACT)

    def nearest(self, where: models.Filter, aims: Sequence[Aim], *, exact: bool) -> None:
        """Take the images that are nearest in each look."""
        most = candidates(self._query.n)
        # The beam is as wide as the answer, or it would be of the server's width.
        params = _EXACT if exact else models.SearchParams(hnsw_ef=most, **_NEAR)
        terms = self._query.terms
        if len(aims) == len(terms) == 1 and terms[0].weight > 0:
            self._ask(where, (), limit=most, params=params)
            return
        prefetch = [
            models.Prefetch(
                query=_numbers(aim.vector),
                using=self._layout.looks[aim.look].vector,
                filter=where,
                params=params,
                limit=most,
            )
            for aim in aims
        ]
        # Each shard gives as many: what one term leaves out, `_complete` asks for.
        self._ask(None, prefetch, limit=most * len(aims), params=_EXACT)

    def matches(self) -> list[Match]:
        """Give the best of them."""
        names = {key: name for name, key in self._layout.tags.items()}
        weights = [term.weight for term in self._query.terms]
        matches = []
        for point, payload in self._payloads.items():
            compared = tuple(
                self._scaled(term, scores[point])
                for term, scores in zip(self._query.terms, self._terms, strict=True)
            )
            score = float(sum(w * one for w, one in zip(weights, compared, strict=True)))
            if score >= self._query.min_score:
                tags = {names[key]: tuple(payload[key]) for key in names if payload.get(key)}
                matches.append(Match(payload[IMAGE], score, compared, tags))
        return sorted(matches, key=lambda match: (-match.score, match.id))[: self._query.n]

    def _scaled(self, term: Term, score: float) -> float:
        look = self._layout.looks[term.look]
        return score if look.metric == "dot" else -score / look.width

    def _ask(
        self,
        where: models.Filter | None,
        prefetch: Sequence[models.Prefetch],
        *,
        limit: int,
        params: models.SearchParams,
    ) -> None:
        """Send a query for every term, all as one request; the first brings what points hold."""
        requests = [
            self._request(i, where, list(prefetch), limit, params)
            for i in range(len(self._query.terms))
        ]
        for i, answer in enumerate(self._points.search(requests)):
            for point in answer:
                self._terms[i][str(point.id)] = point.score
                if i == 0:
                    self._payloads[str(point.id)] = point.payload or {}
        self._complete()

    def _complete(self) -> None:
        """Ask for what a term has not compared of those that others have."""
        known = set(self._payloads).union(*self._terms)
        bare = sorted(known - self._payloads.keys())
        for record in self._points.get(bare, self._keys.include):
            self._payloads[str(record.id)] = record.payload or {}
        lacking = [sorted(self._payloads.keys() - scores.keys()) for scores in self._terms]
        for start in range(0, max(map(len, lacking), default=0), MOST_IDS):
            asked = [
                (i, some)
                for i, points in enumerate(lacking)
                if (some := points[start : start + MOST_IDS])
            ]
            requests = [
                self._request(i, models.Filter(must=[has_ids(some)]), [], len(some), _EXACT, ())
                for i, some in asked
            ]
            for (i, _), answer in zip(asked, self._points.search(requests), strict=True):
                self._terms[i].update((str(point.id), point.score) for point in answer)

    def _request(
        self,
        i: int,
        where: models.Filter | None,
        prefetch: list[models.Prefetch],
        limit: int,
        params: models.SearchParams,
        keys: Sequence[str] | None = None,
    ) -> models.QueryRequest:
        term = self._query.terms[i]
        return models.QueryRequest(
            query=_numbers(term.vector),
            using=self._layout.looks[term.look].vector,
            prefetch=prefetch or None,
            filter=where,
            params=params,
            limit=limit,
            with_payload=self._keys if keys is None and i == 0 else False,
        )


def _numbers(vector: Floats) -> list[float]:
    return to_lists(vector[None])[0]
