"""Values that may be the same thing: proposals to merge them, and those that a person accepted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.curation.table import Records
from gingham.curation.values import Rule
from gingham.errors import InputError
from gingham.names import same
from gingham.store.files import write_csv
from gingham.tables import read_table

FILE = "merges.csv"
COLUMNS = (
    "accept", "attribute", "value", "into", "images", "images_into", "told_apart", "reason",
)  # fmt: skip

ALIKE = 0.7
"""Values whose images are told apart in at most this share of pairs, the error added, may be one
thing; by chance it is half of them."""

NEAR_ALIKE = 0.85
"""The same for values whose names are nearly equal."""

FEWEST = 10
"""Images of a value, fewer of which say nothing."""

PARTNERS = 5
"""A value is compared with so many others, those that its images are taken for most often."""

NEAR = 0.9
"""Ratio of Ratcliff and Obershelp from which on names are nearly equal."""

MOST_NAMES = 500
"""Names, of more of which no such ratios are computed."""

YES, NO, UNDECIDED = {"yes", "y", "true", "1", "x"}, {"no", "n", "false", "0"}, {""}
"""What the column `accept` may hold, in upper or lower case."""


def propose_merges(
    attribute: str,
    counts: Mapping[str, int],
    values: Sequence[str],
    labels: NDArray[np.intp],
    probabilities: NDArray[np.floating],
) -> Records:
    """Say which values of one attribute may be the same thing, the likeliest first.

    Two values are compared by how often a model that never saw an image of either, nor its
    copies, finds the right one of a pair of images, one of each value; how frequent they are does
    not matter. Values whose names differ only in case, signs or a plural are proposed in any case.

    Parameters
    ----------
    attribute : its name.
    counts : value -> images, of every value.
    values : V of them, which the model knows.
    labels : (N,) int, the value of each image.
    probabilities : (N, V) that a model gives to the values of images held out.

    Returns
    -------
    Rows of `COLUMNS`, nothing accepted. The rarer value goes into the more frequent one; no value
    goes in one proposal and stays in another.

    References
    ----------
    Hanley, McNeil, *The Meaning and Use of the Area under a Receiver Operating Characteristic
    Curve* (1982), for the share of pairs and its standard error.
    """
    rows = {value: np.flatnonzero(labels == number) for number, value in enumerate(values)}
    logs = dict(zip(values, np.log(np.maximum(probabilities, 1e-12)).T, strict=True))
    near = near_names(list(counts))
    pairs = dict.fromkeys(near)
    for one, own in rows.items():
        taken = probabilities[own].mean(axis=0) if len(own) else np.zeros(0)
        for number in np.argsort(-taken)[: PARTNERS + 1].tolist():
            pairs[_pair(one, values[number])] = None
    found = []
    for one, other in pairs:
        likeness = near.get((one, other), 0.0)
        share = error = None
        if one == other or not _can_be_a_rule(attribute, one, other):
            continue
        if min(len(rows.get(one, ())), len(rows.get(other, ()))) >= FEWEST:
            lead = logs[one] - logs[other]
            share, error = told_apart(lead[rows[one]], lead[rows[other]])
            if share + error > (NEAR_ALIKE if likeness else ALIKE) and likeness < 1:
                continue
        elif not likeness:
            continue
        old, new = sorted((one, other), key=lambda value: (counts[value], value))
        found.append((likeness < 1, 1.0 if share is None else share, old, new, likeness))
    proposals: Records = []
    going: set[str] = set()
    staying: set[str] = set()
    for _, share, old, new, likeness in sorted(found):
        if old in going | staying or new in going:
            continue
        going.add(old)
        staying.add(new)
        proposals.append(_proposal(attribute, counts, old, new, likeness, share))
    return proposals


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _can_be_a_rule(attribute: str, one: str, other: str) -> bool:
    """Whether a rule of the config can say it, whose text has signs of its own."""
    rules = Rule(attribute, one, other), Rule(attribute, other, one)
    try:
        return all(Rule.parse(str(rule)) == rule for rule in rules)
    except InputError:
        return False


def _proposal(
    attribute: str, counts: Mapping[str, int], old: str, new: str, likeness: float, share: float
) -> dict[str, Any]:
    reasons = ["their names are nearly equal"] if likeness else []
    if share < 1:
        reasons.append(f"told apart in {share:.0%} of pairs of images (50% is chance)")
    return {
        "accept": "",
        "attribute": attribute,
        "value": old,
        "into": new,
        "images": counts[old],
        "images_into": counts[new],
        "told_apart": f"{share:.3f}" if share < 1 else "",
        "reason": "; ".join(reasons),
    }


def near_names(names: Sequence[str]) -> dict[tuple[str, str], float]:
    """Find pairs of names that are nearly equal: the pair in order -> how near, 1 or less.

    1 means that they differ only in case, signs or the plural of a word. Names with different
    numbers in them are not near. Of many names only such pairs are looked for.
    """
    forms: dict[tuple[str, str], list[str]] = {}
    for name in names:
        words = re.findall(r"\w+", same(name))
        form = "".join(word.removesuffix("s") or word for word in words)
        forms.setdefault((form, "".join(re.findall(r"\d+", name))), []).append(name)
    found = {
        _pair(one, other): 1.0
        for (form, _), alike in forms.items()
        for place, one in enumerate(alike)
        for other in alike[:place]
        if form
    }
    listed = list(forms) if len(forms) <= MOST_NAMES else []
    for place, (form, digits) in enumerate(listed):
        match = difflib.SequenceMatcher(None, b=form)
        for other, others in listed[:place]:
            match.set_seq1(other)
            if digits == others and match.quick_ratio() >= NEAR and match.ratio() >= NEAR:
                near = min(match.ratio(), 0.99)
                for one in forms[form, digits]:
                    found |= {_pair(one, name): near for name in forms[other, others]}
    return found


def told_apart(first: NDArray[np.floating], second: NDArray[np.floating]) -> tuple[float, float]:
    """Share of pairs, one of each, in which the first is larger; of equal ones half. And its error.

    `first` and `second` are (n,) and (m,), not empty; the standard error is Hanley and McNeil's.
    """
    n, m = len(first), len(second)
    order = np.sort(second)
    below = np.searchsorted(order, first, "left") + np.searchsorted(order, first, "right")
    share = float(below.mean() / (2 * m))
    one, two = share / (2 - share), 2 * share**2 / (1 + share)
    spread = share * (1 - share) + (n - 1) * (one - share**2) + (m - 1) * (two - share**2)
    return share, float(np.sqrt(max(spread, 0) / (n * m)))


@dataclass(frozen=True)
class MergeDecisions:
    """What a person wrote into the file of proposals.

    Attributes
    ----------
    rows : those with a decision, as they stand.
    accepted : the rules that follow, as the config has them.
    """

    rows: Records
    accepted: tuple[str, ...]

    def left(self, proposals: Records) -> Records:
        """Give the proposals that are not decided, whichever value would go."""
        decided = {_key(one) for one in self.rows}
        return [one for one in proposals if _key(one) not in decided]


def _key(row: Mapping[str, Any]) -> tuple[str, tuple[str, str]]:
    return row["attribute"], _pair(row["value"], row["into"])


def read_merges(path: Path, attributes: Collection[str]) -> MergeDecisions:
    """Read the file of proposals, if it is there, for what was accepted or refused in it.

    Raises
    ------
    InputError
        If it cannot be read, a cell of `accept` is neither yes nor no, or a row names an attribute
        that is not curated.
    """
    if not path.exists():
        return MergeDecisions([], ())
    table = read_table(path, COLUMNS[:4])
    decided: Records = []
    accepted = []
    bad = {}
    for number, row in table.good():
        word = same((row["accept"] or "").strip())
        if word in UNDECIDED:
            continue
        if word not in YES | NO:
            bad[number] = f"accept must be yes or no, got {row['accept']!r}"
        elif row["attribute"] not in attributes:
            bad[number] = f"attribute {row['attribute']!r} is not curated: delete the row"
        elif not row["value"] or not row["into"]:
            bad[number] = "value and into must not be empty"
        else:
            decided.append({name: row.get(name) or "" for name in COLUMNS})
            if word in YES:
                accepted.append(str(Rule(row["attribute"], row["value"], row["into"])))
    table.settle(bad, None)
    return MergeDecisions(decided, tuple(accepted))


def write_proposals(path: Path, rows: Records) -> None:
    """Write the file of proposals; without any there is none."""
    if rows:
        write_csv(path, COLUMNS, rows)
    else:
        path.unlink(missing_ok=True)
