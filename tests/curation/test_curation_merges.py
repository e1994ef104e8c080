"""Values that may be one thing: which are proposed, and what a person's answer comes to."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.curation.config import LabelErrorsSection
from gingham.curation.label_errors import judge_labels
from gingham.curation.merges import (
    COLUMNS,
    near_names,
    propose_merges,
    read_merges,
    told_apart,
    write_proposals,
)
from gingham.curation.table import TableRows
from gingham.errors import InputError
from gingham.options import ReadOptions

NONE: tuple[Any, ...] = ((), np.zeros(0, np.intp), np.zeros((0, 0), np.float32))


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
    st.lists(st.integers(0, 5), min_size=1, max_size=9),
)
def test_the_share_of_pairs_is_the_slow_one(first: list[int], second: list[int]) -> None:
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a in first for b in second]
    share, error = told_apart(np.array(first), np.array(second))
    assert share == pytest.approx(np.mean(won))
    assert 0 <= error <= 1
    assert told_apart(np.array(second), np.array(first))[0] == pytest.approx(1 - share)


def test_the_error_is_how_much_the_share_varies_from_draw_to_draw() -> None:
    rng = np.random.default_rng(0)
    drawn = [told_apart(rng.normal(1, 1, 30), rng.normal(0, 1, 20)) for _ in range(400)]
    shares, errors = np.array(drawn).T
    assert errors.mean() == pytest.approx(shares.std(), rel=0.15)


def test_names_are_near_by_their_letters_not_by_their_numbers() -> None:
    names = ["T-shirt", "tshirts", "Flip Flops", "Navy", "Navy Blue", "size 38", "size 39", "Polka"]
    assert near_names([*names, "Polkas", "Striped", "Stripped", "!", "?"]) == {
        ("T-shirt", "tshirts"): 1.0,
        ("Polka", "Polkas"): 1.0,
        ("Striped", "Stripped"): pytest.approx(14 / 15),
    }
    assert near_names(["red", "Reds", "RED "]) == {
        ("RED ", "Reds"): 1.0,
        ("RED ", "red"): 1.0,
        ("Reds", "red"): 1.0,
    }


def test_of_very_many_names_only_equal_ones_are_near() -> None:
    names = [f"{chr(97 + i // 26)}{chr(97 + i % 26)} value" for i in range(600)]
    assert near_names([*names, "aa values"]) == {("aa value", "aa values"): 1.0}


def test_one_thing_under_two_names_is_proposed_and_no_other() -> None:
    rng = np.random.default_rng(1)
    kinds = np.repeat(np.arange(4), 60)
    X = (np.eye(4)[kinds] * 3 + rng.normal(size=(240, 4))).astype(np.float32)
    names = np.array(["red", "green", "blue", "black"])[kinds].astype(object)
    # A third of the blue ones were called "navy" by somebody else.
    names[180 - 60 : 180 - 40] = "navy"
    values: dict[str, Any] = {"hue": [(name,) for name in names]}
    paths = [f"{i}.jpg" for i in range(240)]
    samples = TableRows(paths, paths, values)
    everything = np.ones(240, bool), LabelErrorsSection()
    rare = {"hue": {"Blacks": 3, "odd": 2}}
    stage = judge_labels(samples, X, *everything, seed=0, options=ReadOptions(), rare=rare)
    named, seen = stage.summary["merges"]
    assert (named["value"], named["into"], named["images"]) == ("Blacks", "black", 3)
    assert (named["told_apart"], named["reason"]) == ("", "their names are nearly equal")
    assert (seen["value"], seen["into"], seen["accept"]) == ("navy", "blue", "")
    assert (seen["images"], seen["images_into"]) == (20, 40)
    assert 0.3 < float(seen["told_apart"]) < 0.65
    assert "of pairs of images (50% is chance)" in seen["reason"]


def test_names_that_are_near_are_not_proposed_where_the_images_differ() -> None:
    labels = np.repeat([0, 1], 30)
    told = np.where(np.eye(2)[labels] == 1, 0.9, 0.1).astype(np.float32)
    counts = {"striped": 30, "stripped": 40}
    known = ["striped", "stripped"], labels
    assert propose_merges("a", counts, *known, told) == []
    even = np.full((60, 2), 0.5, np.float32)
    (found,) = propose_merges("a", counts, *known, even)
    assert (found["value"], found["into"], found["told_apart"]) == ("striped", "stripped", "0.500")
    # Of too few images nothing is known but the names.
    few = slice(25, 35)
    (found,) = propose_merges("a", counts, known[0], labels[few], told[few])
    assert found["told_apart"] == ""


@settings(deadline=None)
@given(st.lists(st.text("abs -", min_size=1, max_size=4), unique=True, max_size=8), st.data())
def test_no_value_goes_in_one_proposal_and_stays_in_another(
    names: list[str], data: st.DataObject
) -> None:
    counts = {name: data.draw(st.integers(1, 9)) for name in names}
    found = propose_merges("a", counts, *NONE)
    going = [one["value"] for one in found]
    assert len(going) == len(set(going))
    assert not set(going) & {one["into"] for one in found}
    assert all(counts[one["value"]] <= counts[one["into"]] for one in found)


def test_what_a_rule_cannot_say_is_not_proposed() -> None:
    assert propose_merges("a", {"x->y": 3, "x->ys": 3}, *NONE) == []
    assert propose_merges("a", {"->x": 3, "->xs": 3}, *NONE) == []
    assert propose_merges("a:b", {"x": 3, "xs": 3}, *NONE) == []


def proposals(path: Path, *lines: tuple[str, str, str, str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS[:4], *lines])
    return path


def test_answers_are_read_and_what_was_decided_stays(tmp_path: Path) -> None:
    path = tmp_path / "merges.csv"
    assert read_merges(path, ["hue"]).accepted == ()
    proposals(path, ("Yes", "hue", "navy", "blue"), ("no", "hue", "a", "b"), ("", "hue", "c", "d"))
    said = read_merges(path, ["hue"])
    assert said.accepted == ("hue: navy -> blue",)
    assert [one["accept"] for one in said.rows] == ["Yes", "no"]
    again = {"attribute": "hue", "value": "b", "into": "a"}
    other = {"attribute": "hue", "value": "c", "into": "d"}
    assert said.left([again, other]) == [other]
    write_proposals(path, said.rows)
    assert read_merges(path, ["hue"]) == said
    write_proposals(path, [])
    assert not path.exists()


def test_an_answer_that_is_not_understood_is_refused_by_its_row(tmp_path: Path) -> None:
    path = proposals(
        tmp_path / "merges.csv",
        ("maybe", "hue", "a", "b"),
        ("yes", "size", "a", "b"),
        ("yes", "hue", "a", ""),
    )
    with pytest.raises(InputError) as raised:
        read_merges(path, ["hue"])
    assert "row 2: accept must be yes or no, got 'maybe'" in str(raised.value)
    assert "row 3: attribute 'size' is not curated: delete the row" in str(raised.value)
    assert "row 4: value and into must not be empty" in str(raised.value)
