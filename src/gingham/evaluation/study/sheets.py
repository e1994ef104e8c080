"""Searches to look at: what each look finds for a few queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gingham.evaluation.study.bench import look_space
from gingham.evaluation.study.examples import StudyAttribute
from gingham.evaluation.study.reading import StudyFeatures
from gingham.evaluation.study.retrieval import look_vectors, most_alike
from gingham.store.features import ImageId

DRAWN = 3
FOUND = 8


def draw_queries(attributes: Sequence[StudyAttribute], seed: int) -> list[int]:
    """Draw a few images of each attribute, of different values where there are enough."""
    rng = np.random.default_rng(seed)
    drawn: list[int] = []
    for one in attributes:
        values = rng.permutation(sorted(set(one.values)))[:DRAWN]
        for value in values.tolist():
            rows = [row for row, own in zip(one.rows, one.values, strict=True) if own == value]
            drawn.append(int(rng.choice(rows)))
    return list(dict.fromkeys(drawn))


def search_sheets(
    features: StudyFeatures,
    ids: Sequence[ImageId],
    groups: Sequence[int],
    gallery: Sequence[int],
    queries: Sequence[int],
    searches: Mapping[str, Mapping[str, float]],
    backbone: str,
) -> list[dict[str, Any]]:
    """Search all images of the study with each query, by each combination of looks.

    Parameters
    ----------
    features, ids : of the study's images.
    groups : of each image; the query's own group is left out.
    gallery : rows of the images that may be found.
    queries : rows of the images to search with.
    searches : name -> look -> weight.
    backbone : named in the result.

    Returns
    -------
    One {"backbone", "query", "found": {search: rows}} a query, as JSON.
    """
    space = look_space(features)
    pooled = features.pooled(ids)
    group = np.array(groups)
    excluded = ~np.isin(np.arange(len(ids)), gallery)
    sheets: list[dict[str, Any]] = [
        {"backbone": backbone, "query": query, "found": {}} for query in queries
    ]
    for name, weights in searches.items():
        vectors, stored = look_vectors(space, pooled, weights)
        for sheet in sheets:
            query = sheet["query"]
            own = group == group[query]
            rows = most_alike(vectors[query], stored, excluded | own, count=FOUND)
            sheet["found"][name] = rows.tolist()
    return sheets
