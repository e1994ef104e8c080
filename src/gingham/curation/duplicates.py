"""Stage 2: copies of one picture, exact and near; and where their labels contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.space import unit
from gingham.curation.config import DuplicatesSection
from gingham.curation.copies import TURNS, Difference, is_readable_copy
from gingham.curation.fingerprints import Fingerprints
from gingham.curation.neighbours import (
    UNLIKE,
    Pairs,
    Thumbnails,
    best_turns,
    differences,
    nearest_pairs,
    perceptual_points,
)
from gingham.curation.table import Records, Stage, TableRows, written
from gingham.options import ReadOptions

COLUMNS = (
    "row", "image", "action", "reason", "of_row", "of_image", "turn", "block", "shift", "found_by",
    "group",
)  # fmt: skip
LABEL_COLUMNS = (
    "group", "row", "image", "action", "attribute", "value", "kept_row", "resolved",
)  # fmt: skip

ALIKE = (3.0, 14.0)
"""Thumbnails that differ by less are alike: no copies, but kept on one side of every split."""


@dataclass(frozen=True)
class Link:
    """Two rows that belong together.

    Attributes
    ----------
    a, b : rows.
    kind : `exact`, `near` or `alike`.
    found_by : `pixels`, `perceptual` or `features`, joined by +.
    turn : position in `TURNS` of what lays `a` like `b`.
    gap : None where they were not compared, their pixels being equal.
    """

    a: int
    b: int
    kind: str
    found_by: str
    turn: int = 0
    gap: Difference | None = None


def find_links(
    samples: TableRows,
    prints: Fingerprints,
    reduced: NDArray[np.float32] | None,
    section: DuplicatesSection,
    options: ReadOptions,
) -> list[Link]:
    """Find the copies among the rows that are left; `reduced` are the (N, d) features of all rows.

    Candidates are the nearest by look and by features (see `gingham.curation.neighbours`); only
    those whose thumbnails are alike are opened and compared (see `gingham.curation.copies`).
    """
    links: list[Link] = []
    first: dict[bytes, int] = {}
    for row in samples.rows:
        if prints.ids[row] is None:
            continue
        known = first.setdefault(bytes(prints.pixels[row]), row)
        if known != row:
            links.append(Link(known, row, "exact", "pixels"))
    rows = np.array(list(first.values()), np.int64)
    if len(rows) < 2:
        return links
    paths = samples.paths
    candidates = _candidates(rows, prints, reduced, section)
    # Pairs of one picture follow each other: it is decoded once for them.
    for done, (a, b, turn, like, said) in enumerate(candidates, 1):
        gap = is_readable_copy(paths[a], paths[b], TURNS[turn], options.max_pixels)
        if gap is not None and gap.is_copy:
            # A grey copy has lost what some attributes are about.
            links.append(Link(a, b, "alike" if gap.grey else "near", said, turn, gap))
        elif gap is not None and like:
            links.append(Link(a, b, "alike", said, turn, gap))
        options.progress("compare", done, len(candidates))
    return without_doubtful(links)


def without_doubtful(links: list[Link]) -> list[Link]:
    """Drop a link that rests on a guess, where one of the two is far closer to a third picture.

    Resized, a lipstick is nearly a copy of the same lipstick in the next shade; but it is closer to
    its own original, and the two originals are no copies of each other.
    """
    near = {frozenset((link.a, link.b)) for link in links if link.kind == "near"}
    guessed = [
        (link, link.gap.block)
        for link in links
        if link.kind == "near" and link.gap is not None and link.gap.guessed
    ]
    closest: dict[int, tuple[float, int]] = {}
    for link, block in guessed:
        for row, other in ((link.a, link.b), (link.b, link.a)):
            closest[row] = min(closest.get(row, (np.inf, -1)), (block, other))

    doubtful = {
        id(link)
        for link, block in guessed
        for row, other in ((link.a, link.b), (link.b, link.a))
        if block > 2 * closest[row][0] + 1 and frozenset((closest[row][1], other)) not in near
    }
    return [link for link in links if id(link) not in doubtful]


def _candidates(
    rows: NDArray[np.int64],
    prints: Fingerprints,
    reduced: NDArray[np.float32] | None,
    section: DuplicatesSection,
) -> list[tuple[int, int, int, bool, str]]:
    """List the pairs worth opening: two rows, the turn, whether alike, and what found them."""
    by_source: dict[str, Pairs] = {}
    if section.perceptual:
        points = perceptual_points(prints.thumbnails, rows, turns=section.flips)
        by_source["perceptual"] = nearest_pairs(points, rows, neighbours=section.neighbours)
    if section.features and reduced is not None:
        points = unit(reduced[rows])
        by_source["features"] = nearest_pairs(points, rows, neighbours=section.neighbours)
    if not by_source:
        return []
    thumbnails = Thumbnails.of(prints.thumbnails)
    n = len(prints.ids)
    sources = {name: pairs @ np.array([n, 1]) for name, pairs in by_source.items()}
    keys = np.unique(np.concatenate(list(sources.values())))
    pairs = np.stack(np.divmod(keys, n), axis=1)
    turns = best_turns(thumbnails, pairs) if section.flips else np.zeros(len(pairs), np.intp)
    mean, worst = differences(thumbnails, pairs, turns)
    near = np.flatnonzero((mean <= UNLIKE[0]) & (worst <= UNLIKE[1]))
    alike = (turns == 0) & (mean <= ALIKE[0]) & (worst <= ALIKE[1])
    found = {name: np.isin(keys[near], known) for name, known in sources.items()}
    said = ["+".join(name for name in found if found[name][i]) for i in range(len(near))]
    columns = (*pairs[near].T.tolist(), turns[near].tolist(), alike[near].tolist(), said)
    return list(zip(*columns, strict=True))


def settle_duplicates(
    samples: TableRows, prints: Fingerprints, links: list[Link], section: DuplicatesSection
) -> tuple[Stage, Records]:
    """Group copies, remove all but the best of each group, and merge what their rows say.

    The picture from which the others were plainly made stays, else the one with the most pixels,
    else the first in the table. Its unknown attributes are filled in from the copies that go; where
    labels contradict each other, the section says what holds. A copy that stays keeps its labels
    and gives none.

    Returns
    -------
    The stage, and a line for every label that was filled in and every one in a contradiction.
    """
    n = len(samples)
    together = [link for link in links if link.kind != "alike"]
    copies = _components(n, [(link.a, link.b) for link in together])
    known = enumerate(samples.group.tolist())
    samples.group = _components(n, [*((link.a, link.b) for link in links), *known])
    best: dict[int, int] = {}
    made = {row for link in together if (row := _made(link)) is not None}
    area = prints.size.prod(axis=1).tolist()
    for row in sorted(samples.rows, key=lambda row: (row in made, -area[row], row)):
        best.setdefault(int(copies[row]), row)
    members: dict[int, list[int]] = {}
    for row in samples.rows:
        members.setdefault(int(copies[row]), []).append(row)
    kinds = {
        row: "exact" if prints.pixels[row] == prints.pixels[best[number]] else "near"
        for number, rows in members.items()
        for row in rows
        if row != best[number]
    }
    goes = {row for row, kind in kinds.items() if section.remove in ("near", kind)}
    records: Records = []
    labels: Records = []
    removed = Counter(kinds[row] for row in goes)
    for number, rows in members.items():
        if len(rows) > 1:
            labels += _merge(samples, number, best[number], rows, goes, section.conflicts)
    told = _tell(links, best, copies)
    for row in samples.rows:
        if (link := told.get(row)) is None:
            continue
        kind, other = kinds.get(row, "alike"), best[int(copies[row])]
        if kind == "alike":
            other = link.b if link.a == row else link.a
        # A copy of a copy was not compared with the row that stays.
        direct = other in (link.a, link.b)
        gap = link.gap if direct else None
        turn = TURNS[link.turn] if direct else None
        records.append(
            samples.line(
                row,
                "removed" if row in goes else "grouped",
                reason=_REASONS[kind],
                of_row=other,
                of_image=samples.names[other],
                turn="" if turn is None else turn.name.lower(),
                block="" if gap is None else round(gap.block, 2),
                shift="" if gap is None else round(gap.shift, 2),
                found_by=link.found_by,
                group=int(samples.group[row]),
            )
        )
    samples.kept[[record["row"] for record in records if record["action"] == "removed"]] = False
    counts = Counter(record["reason"] for record in records)
    summary = {
        "removed": int(removed.total()),
        "removed_exact": removed["exact"],
        "removed_near": removed["near"],
        "listed": dict(counts),
        "filled_labels": sum(label["action"] == "filled" for label in labels),
        "conflicting_labels": len(conflicts_of(labels)),
    }
    return Stage("duplicates", records, summary), labels


def conflicts_of(labels: Records) -> list[Records]:
    """Pick the contradictions: the lines of the labels that copies say of one attribute."""
    cases: dict[tuple[int, str], Records] = {}
    for label in labels:
        cases.setdefault((label["group"], label["attribute"]), []).append(label)
    return [case for case in cases.values() if len(case) > 1]


_REASONS = {
    "exact": "the same pixels",
    "near": "a re-encoded, resized or turned copy",
    "alike": "alike, but no copy",
}


def _made(link: Link) -> int | None:
    """Name the row that was made from the other, where that can be told."""
    if link.gap is None or not link.gap.original:
        return None
    return link.b if link.gap.original < 0 else link.a


def _components(n: int, pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """Number the rows that pairs connect alike, by their first row."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(n, n))
    _, numbers = connected_components(graph, directed=False)
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)


def _tell(
    links: Iterable[Link], best: dict[int, int], copies: NDArray[np.int64]
) -> dict[int, Link]:
    """Choose one link to tell of each row that has something to be told.

    Of a copy, that with the row that stays if there is one, else the closest; of any other row,
    the closest that it is alike with.
    """
    told: dict[int, Link] = {}
    for link in sorted(links, key=lambda k: k.gap.block if k.gap else 0.0):
        stays = {best[int(copies[link.a])], best[int(copies[link.b])]}
        for row in (link.a, link.b):
            if (row in stays) != (link.kind == "alike"):
                continue
            known = told.get(row)
            if known is None or (stays & {link.a, link.b} and not stays & {known.a, known.b}):
                told[row] = link
    return told


def _merge(
    samples: TableRows, group: int, kept: int, rows: list[int], goes: set[int], settle: str
) -> Records:
    """Write what the copies that go say to the kept row; list it, and all of a contradiction."""
    labels: Records = []
    for name, column in samples.values.items():
        own = column[kept]
        said = Counter(
            column[row] for row in rows if (row == kept or row in goes) and column[row] is not None
        )
        stands = own
        if len(said) == 1:
            stands = next(iter(said))
        elif said and settle == "unknown":
            stands = None
        elif said:
            top = max(said.values())
            winners = [values for values, count in said.items() if count == top]
            if own not in winners and (own is None or len(winners) == 1):
                stands = winners[0]
        conflict = len({column[row] for row in rows} - {None}) > 1
        changed = "filled" if len(said) == 1 else "resolved"
        for row in rows if conflict else [kept] if stands != own else []:
            if row == kept:
                action = changed if stands != own else "kept"
            else:
                action = "removed" if row in goes else "reported"
            resolved = written(column[row] if action == "reported" else stands)
            said_of = {"attribute": name, "value": written(column[row]), "resolved": resolved}
            labels.append(samples.line(row, action, group=group, kept_row=kept, **said_of))
        column[kept] = stands
    return labels
