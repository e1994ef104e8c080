"""The tags of many images in a table: what is counted and coded is what its rows say."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.attributes.attribute import TagBatch
from gingham.attributes.cutoffs import EVERY, NEVER, Floors
from gingham.attributes.predictions import PredictionsFile, TagTable
from gingham.attributes.tags import rising
from gingham.store.ids import from_list

names = st.sampled_from(("red", "navy blue", "ü"))
sure = st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0))
limits = st.just(EVERY) | st.builds(
    Floors, st.dictionaries(names, sure | st.just(NEVER), max_size=3), sure
)


def table(rows: list[tuple[list[str], float]]) -> TagTable:
    ids = from_list(hashlib.sha256(str(i).encode()).digest() for i in range(len(rows)))
    values = [value for value, _ in rows]
    confidence = np.array([confidence for _, confidence in rows], np.float64)
    looks = np.arange(2.0 * len(rows)).reshape(-1, 2)
    return TagTable.of(ids, TagBatch(values, confidence, [[] for _ in rows], looks))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(names, max_size=1), sure))
    | st.lists(st.tuples(st.lists(names, max_size=3, unique=True), sure)),
    limits,
    st.integers(0, 3),
)
def test_codes_and_counts_are_those_of_the_rows(
    rows: list[tuple[list[str], float]], limits: Floors, cut: int
) -> None:
    one = TagTable.joined([table(rows[:cut]), table(rows[cut:])] if rows else [])
    expected = [tuple(values) or ("unknown",) for _, values, *_ in one.rows(limits)]
    sets, which = one.coded("unknown", limits)
    assert [sets[code] for code in which] == expected
    assert sets[0] == ("unknown",)
    assert len(set(sets)) == len(sets)
    assert one.counts("unknown", limits) == Counter(x for values in expected for x in values)
    sets, which, guesses, _ = one.numbered(limits)
    assert sets[0] == ()
    said = [(tuple(values), tuple(guess)) for _, values, _, guess in one.rows(limits)]
    assert [(sets[i], sets[j]) for i, j in zip(which, guesses, strict=True)] == said


def test_looks_come_back_where_they_are_asked_for(tmp_path: Path) -> None:
    file, one = PredictionsFile(tmp_path), table([(["red"], 1.0)] * 5)
    with file.writing("stamp", EVERY, 1) as writer:
        writer.put(one.only(np.arange(5) != 1))
        writer.put(table([]))
    (tags,) = file.read("stamp", looks=True)
    assert tags.looks is not None
    assert tags.looks.tolist() == [[0, 1], [4, 5], [6, 7], [8, 9]]
    (without,) = file.read("stamp")
    assert "look" not in without.table.column_names
    assert list(without.rows(EVERY)) == list(tags.rows(EVERY))
    no_looks = TagTable.of(tags.ids, TagBatch([["red"]] * 4, np.ones(4), [[]] * 4))
    assert no_looks.looks is None


def test_a_file_of_before_doubts_were_kept_is_read(tmp_path: Path) -> None:
    file, one = PredictionsFile(tmp_path), table([(["red"], 0.75), ([], 0.5)])
    with file.writing("stamp", EVERY, 1) as writer:
        writer.put(one)
    with pq.ParquetFile(tmp_path / "predictions.parquet") as now:
        (doubts,) = (tags.in_numbers().doubts for tags in file.read("stamp"))
        before = now.read().drop_columns(["doubt"])
    assert doubts.tolist() == [0.25, 0.5]
    pq.write_table(before, tmp_path / "predictions.parquet")
    (tags,) = file.read("stamp", looks=True)
    assert np.isnan(tags.in_numbers().doubts).all()
    assert list(tags.rows(EVERY)) == list(one.rows(EVERY))
    with file.writing("again", EVERY, 1) as writer:
        writer.put(tags)
    whole = file.read_all("again")
    assert whole is not None
    assert np.isnan(whole.in_numbers().doubts).all()


@given(st.lists(st.floats(width=32, allow_nan=False) | st.sampled_from((0.0, -0.0, np.inf))))
def test_rising_is_a_stable_sort(numbers: list[float]) -> None:
    some = np.array(numbers, np.float32)
    assert rising(some).tolist() == np.argsort(some, kind="stable").tolist()
