"""Every cell of the clean table that is not the table's is told by a line of some stage."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.curation.config import (
    DuplicatesSection,
    TableSection,
    UnknownSection,
    ValuesSection,
)
from gingham.curation.duplicates import Link, settle_duplicates
from gingham.curation.label_errors import _act
from gingham.curation.table import Records, Stage, TableRows, read_samples, write_clean
from gingham.curation.unknown import count_unknown
from gingham.curation.values import settle_values

Cells = dict[tuple[int, str], str]
"""Row and attribute -> the cell's parts, sorted and joined by |; empty: unknown."""

CELLS = st.tuples(
    st.sampled_from(["", "NA", "autumn", "fall", "spring", "odd"]),
    st.sampled_from(["", "hat", "bag|hat", "scarf|hat", "hat|NA", "unknown", "bag"]),
)
DUPLICATES = st.builds(
    DuplicatesSection,
    remove=st.sampled_from(["near", "exact", "none"]),
    conflicts=st.sampled_from(["majority", "unknown"]),
)


def joined(parts: set[str]) -> str:
    return "|".join(sorted(parts - {""}))


def parted(listed: str) -> set[str]:
    """Read a cell as stages list it."""
    return set() if listed in ("unknown", "none of them") else set(listed.split(" + "))


def doubts(samples: TableRows, chance: np.random.Generator) -> Records:
    """Flag labels at random, as if a model had doubted them."""
    return [
        {
            "row": row, "attribute": name, "value": value, "action": "reported", "became": "",
            "flagged": chance.random() < 0.4,
            "suggested": f"not {value}" if name in samples.multi else "autumn",
        }
        for name, column in samples.values.items()
        for row in samples.rows
        for value in column[row] or ()
    ]  # fmt: skip


def told(cells: Cells, stages: list[Stage], labels: Records) -> Cells:
    """Do to a table's cells what the lines say, and nothing else."""
    lines = {stage.name: stage.records for stage in stages}
    for line in lines["unknown"]:
        if line["action"] == "read as unknown":
            key = line["row"], line["attribute"]
            cells[key] = joined(set(cells[key].split("|")) - {line["before"]})
    for line in labels:
        key = line["row"], line["attribute"]
        if line["action"] in ("filled", "resolved"):
            cells[key] = joined(parted(line["resolved"]))
        if line["action"] in ("kept", "reported"):
            assert line["value"] == line["resolved"]
    for line in lines["values"]:
        key = line["row"], line["attribute"]
        parts = set(cells[key].split("|")) - {line["before"]}
        cells[key] = joined(parts | parted(line["after"]))
    for line in lines["label_errors"]:
        if line["action"] == "changed":
            cells[line["row"], line["attribute"]] = joined(parted(line["became"]))
    return cells


@settings(max_examples=60, deadline=None)
@given(
    st.lists(CELLS, min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8), st.booleans()), max_size=8),
    DUPLICATES,
    st.sampled_from(["report", "unknown", "replace"]),
    st.integers(0, 99),
)
def test_every_difference_is_listed(
    table: list[tuple[str, str]],
    links: list[tuple[int, int, bool]],
    duplicates: DuplicatesSection,
    action: str,
    seed: int,
) -> None:
    chance = np.random.default_rng(seed)
    table = [("fall", "hat"), *table]  # so that both are attributes
    n = len(table)
    prints = SimpleNamespace(
        pixels=chance.integers(3, size=n).tolist(), size=chance.integers(1, 4, (n, 2))
    )
    found = [
        Link(a, b, "near" if near else "alike", "features") for a, b, near in links if a < b < n
    ]
    with TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "t.csv").open("w", newline="") as file:
            rows = [(f"{i}.jpg", *cells) for i, cells in enumerate(table)]
            csv.writer(file).writerows([("image", "season", "wear"), *rows])
        samples = read_samples(folder / "t.csv", TableSection(multi=("wear",)), UnknownSection())
        stage, labels = settle_duplicates(samples, cast(Any, prints), found, duplicates)
        rules = tuple(
            rule
            for rule in ("season: autumn -> fall", "season: spring ->", "wear: bag -> hat")
            if rule.split(":")[0] in samples.values
        )
        stages = [stage, settle_values(samples, ValuesSection(rules=rules, min_count=2))]
        doubted = doubts(samples, chance)
        if action != "report":
            _act(samples, doubted, action)
        stages += [count_unknown(samples, UnknownSection()), Stage("label_errors", doubted, {})]
        clean = pq.read_table(write_clean(folder, samples)[1]).to_pylist()
    gone = {r["row"] for stage in stages for r in stage.records if r["action"] == "removed"}
    left = [row for row in range(n) if row not in gone]
    assert [Path(row["image"]).name for row in clean] == [f"{row}.jpg" for row in left]
    given_cells = {
        (row, name): joined(set(table[row][i].split("|")))
        for row in left
        for i, name in enumerate(("season", "wear"))
    }
    lines = [Stage(s.name, [r for r in s.records if r["row"] in left], {}) for s in stages]
    expected = told(given_cells, lines, [r for r in labels if r["row"] in left])
    for row, said in zip(left, clean, strict=True):
        for name in samples.values:
            cell = said[name] or ()
            got = joined({cell} if isinstance(cell, str) else set(cell))
            assert got == expected[row, name], (row, name)


def test_copies_that_stay_keep_their_labels_and_change_no_others(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,season\na.png,Fall\nb.png,Summer\nc.png,Summer\nd.png,\ne.png,Fall\n")
    links = [Link(0, 1, "near", "features"), Link(0, 2, "near", "features")]
    links.append(Link(3, 4, "exact", "pixels"))
    prints = cast(Any, SimpleNamespace(pixels=[1, 2, 3, 4, 4], size=np.ones((5, 2), int)))
    for remove, season, actions in (
        ("near", ["Summer", "Fall"], ["resolved", "removed", "removed", "filled"]),
        ("exact", ["Fall", "Summer", "Summer", "Fall"], ["kept", "reported", "reported", "filled"]),
        ("none", ["Fall", "Summer", "Summer", None, "Fall"], ["kept", "reported", "reported"]),
    ):
        samples = read_samples(path, TableSection(), UnknownSection())
        section = DuplicatesSection(remove=cast(Any, remove))
        stage, labels = settle_duplicates(samples, prints, links, section)
        column = samples.values["season"]
        assert [(column[row] or (None,))[0] for row in samples.rows] == season
        assert [label["action"] for label in labels] == actions
        assert stage.summary["conflicting_labels"] == 1
        assert stage.summary["filled_labels"] == (remove != "none")
