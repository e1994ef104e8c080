"""The stages on tables made here: config, values, unknown, label errors, split, balance."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.curation import CurationConfig
from gingham.curation.balance import balance_samples
from gingham.curation.config import (
    BalanceSection,
    DuplicatesSection,
    LabelErrorsSection,
    SplitSection,
    TableSection,
    UnknownSection,
    ValuesSection,
)
from gingham.curation.duplicates import Link, settle_duplicates
from gingham.curation.label_errors import _folds, judge_labels
from gingham.curation.split import split_samples, stratify
from gingham.curation.table import GROUPS, TableRows, Values, read_samples, write_clean
from gingham.curation.unknown import NONE_IN_CSV, count_unknown
from gingham.curation.values import Rule, settle_values
from gingham.errors import InputError
from gingham.options import ReadOptions
from gingham.training.config import DataConfig
from gingham.training.data import read_samples as read_learned

SPECIAL: dict[str, Values] = {"": None, "-": ()}


def samples_of(multi: tuple[str, ...] = (), **columns: list[str]) -> TableRows:
    """Make a table; + separates values, an empty cell is unknown, - means none of them."""
    n = len(next(iter(columns.values())))
    names = [f"{i}.jpg" for i in range(n)]
    values: dict[str, list[Values]] = {
        name: [SPECIAL[c] if c in SPECIAL else tuple(sorted(c.split("+"))) for c in column]
        for name, column in columns.items()
    }
    return TableRows(names, list(names), values, frozenset(multi))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 1", r"unknown key 'sed', did you mean 'seed'\? \(known keys: seed, table"),
        ("[duplicate]\nenabled = true", "unknown key 'duplicate', did you mean 'duplicates'"),
        (
            "[duplicates]\nremov = 'near'",
            r"'duplicates\.remov', did you mean 'duplicates\.remove'\? .*: enabled",
        ),
        (
            "[duplicates]\nremove = 'all'",
            r"duplicates\.remove must be 'near', 'exact' or 'none', got 'all'",
        ),
        ("[values]\nmin_count = 0", r"values\.min_count must be at least 1 and at most .*, got 0"),
        ("[values]\nmin_count = 1.5", "min_count must be a whole number, got 1.5"),
        ("[values]\nmin_count = true", "min_count must be a whole number, got True"),
        ("[values]\nrules = 'a: b -> c'", "values.rules must be a list, got 'a: b -> c'"),
        ("[values]\nenabled = 1", "values.enabled must be true or false, got 1"),
        ("[pictures]\nmax_aspect = nan", "max_aspect must be at least 1.0 and .*, got nan"),
        ("[split]\ntest = 0.5\nvalidation = 0.5", "split: validation and test must add up to less"),
        ("[table]\nseparator = ' '", "table: separator must be visible text, got ' '"),
        ("values = 3", "values must be a table, got 3"),
        ("seed = [", "cannot be read: "),
        ("seed = 5000000000", "seed must be at least 0 and less than 4294967296, got 5000000000"),
        ("seed = 99999999999999999999", "seed must be .* got 99999999999999999999"),
        (
            "[invalid]\nmax_megapixels = inf",
            r"invalid\.max_megapixels must be at least 0.01 and at most 10000.0, got inf",
        ),
        ("[pictures]\nmax_aspect = inf", "max_aspect must be .* at most 1000000.0, got inf"),
    ],
)
def test_a_config_that_is_wrong_says_where(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "curate.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as raised:
        CurationConfig.read(path)
    assert str(path) in str(raised.value)


def test_the_effective_config_reads_back_the_same(tmp_path: Path) -> None:
    config = CurationConfig(
        seed=7,
        table=TableSection(attributes=('a "quoted"', "naïve\\"), separator="|"),
        values=ValuesSection(rules=("a: x -> y",), min_count=3),
        split=SplitSection(test=0, validation=0.25),
    )
    config.save(tmp_path / "curate.toml")
    assert CurationConfig.read(tmp_path / "curate.toml") == config
    with pytest.raises(InputError, match="does not exist"):
        CurationConfig.read(tmp_path / "none.toml")


def test_a_table_is_read_with_unknown_and_multiple_values(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    lines = ["image,colour,wear,note", "a.jpg,red,a| b,x", "b.jpg,NA,,y", "c.jpg, n/a ,b,z"]
    path.write_text("\n".join(lines))
    section = TableSection(attributes=("colour",), multi=("wear",))
    read = read_samples(path, section, UnknownSection())
    assert read.values == {"colour": [("red",), None, None], "wear": [("a", "b"), None, ("b",)]}
    assert read.spelled["colour"] == [(1, "NA"), (2, "n/a")]
    assert read.paths[0] == str(tmp_path / "a.jpg")
    off = read_samples(path, section, UnknownSection(enabled=False))
    assert off.values["colour"] == [("red",), ("NA",), ("n/a",)]
    assert off.values["wear"][1] is None
    with pytest.raises(InputError, match="no column 'size'; it has image, colour, wear, note"):
        read_samples(path, TableSection(attributes=("size",)), UnknownSection())
    with pytest.raises(InputError, match="no column 'file'"):
        read_samples(path, TableSection(image="file"), UnknownSection())


def test_columns_of_names_are_left_aside_and_written_columns_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{i}.jpg,{'red' if i % 2 else 'blue'},product {i}," for i in range(60)]
    path.write_text("\n".join(["image,colour,name,gone", *rows]))
    read = read_samples(path, TableSection(), UnknownSection())
    assert list(read.values) == ["colour"]
    assert read.ignored["gone"] == "it is empty"
    assert "60 values on 60 images" in read.ignored["name"]
    path.write_text("image,hue,split\na.jpg,red,train\nb.jpg,blue,test")
    assert read_samples(path, TableSection(), UnknownSection()).ignored == {
        "split": "curate replaces it"
    }
    with pytest.raises(InputError, match="column 'split' is written by curate itself"):
        read_samples(path, TableSection(attributes=("split",)), UnknownSection())
    path.write_text("image,colour\n")
    with pytest.raises(InputError, match="has a header and no rows"):
        read_samples(path, TableSection(), UnknownSection())


def test_the_clean_table_reads_back(tmp_path: Path) -> None:
    samples = samples_of(("wear",), colour=["red", "", "blue"], wear=["a+b", "b", ""])
    samples.kept[0] = False
    samples.split[:] = [0, 2, 1]
    samples.repeat[1] = 3
    samples.group[2] = 1
    written = write_clean(tmp_path, samples)
    assert written[0].read_text(encoding="utf-8").splitlines() == [
        "image,colour,wear,group,split,repeat",
        "1.jpg,,b,1,test,3",
        "2.jpg,blue,,1,validation,1",
    ]
    table = pq.read_table(written[1])
    assert table.schema.field("wear").type == pa.list_(pa.string())
    assert table.to_pylist()[0] == {
        "image": "1.jpg", "colour": None, "wear": ["b"], "group": 1, "split": "test", "repeat": 3,
    }  # fmt: skip
    samples.values["wear"][1] = ("a|b",)
    with pytest.raises(InputError, match=r"'a\|b' of wear contains '\|'.*rename it by a rule"):
        write_clean(tmp_path, samples)


def test_what_curate_writes_is_what_train_reads_whatever_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("image,wear\na.jpg,hat;scarf\nb.jpg,scarf\n")
    section = TableSection(multi=("wear",), separator=";")
    clean, _ = write_clean(tmp_path, read_samples(path, section, UnknownSection()))
    assert clean.read_text(encoding="utf-8").splitlines()[1].split(",")[1] == "hat|scarf"
    learned = read_learned(clean, DataConfig(min_count=1, validation=0.5), seed=0)
    assert [(a.name, a.kind) for a in learned.vocabulary.attributes] == [("wear", "multi")]


def test_groups_of_the_table_are_joined_with_those_found(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = ["a,1,red", "b,2,red", "c,1,blue", "d,,red", "e,,red", "f,NA,red", "g,NA,red"]
    path.write_text("\n".join(["image,product,hue", *rows]))
    samples = read_samples(path, TableSection(group="product"), UnknownSection())
    assert list(samples.values) == ["hue"]
    assert samples.ignored == {"product": GROUPS}
    assert samples.group.tolist() == [0, 1, 0, 3, 4, 5, 6]
    links = [Link(1, 2, "alike", "features"), Link(3, 4, "near", "features")]
    prints = cast(Any, SimpleNamespace(pixels=list(range(7)), size=np.ones((7, 2), int)))
    settle_duplicates(samples, prints, links, DuplicatesSection(remove="none"))
    assert samples.group.tolist() == [0, 0, 0, 3, 3, 5, 6]
    # The clean table's own column is understood without being named.
    clean, parquet = write_clean(tmp_path, samples)
    for written in (clean, parquet):
        again = read_samples(written, TableSection(), UnknownSection())
        assert again.group.tolist() == [0, 0, 0, 3, 3, 5, 6]
        assert list(again.ignored) == ["group", "split", "repeat"]
        again = read_samples(written, TableSection(attributes=("hue",)), UnknownSection())
        assert again.group.tolist() == [0, 0, 0, 3, 3, 5, 6]
    with pytest.raises(InputError, match="no column 'products'; it has image, product, hue"):
        read_samples(path, TableSection(group="products"), UnknownSection())


def test_parquet_lists_are_of_kind_multi(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    columns = {
        "image": ["a", "b", "c", "d"],
        "wear": [["x", "y"], None, [], ["NA", None]],
        "size": [1.5, float("nan"), None, 2.0],
    }
    pq.write_table(pa.table(columns), path)
    read = read_samples(path, TableSection(), UnknownSection())
    assert read.multi == {"wear"}
    assert read.values == {
        "wear": [("x", "y"), None, (), None],
        "size": [("1.5",), None, None, ("2",)],
    }


def test_none_of_them_stays_and_is_no_unknown(tmp_path: Path) -> None:
    samples = samples_of(("wear",), wear=["hat", "-", ""])
    stage = count_unknown(samples, UnknownSection(drop_unlabelled=True))
    assert stage.summary["unknown"] == {"wear": 1}
    assert samples.kept.tolist() == [True, True, False]
    # A CSV has no words for it.
    told = next(r for r in stage.records if r["row"] == 1)
    assert (told["before"], told["reason"]) == ("none of them", NONE_IN_CSV)
    written = write_clean(tmp_path, samples)
    assert pq.read_table(written[1])["wear"].to_pylist() == [["hat"], []]
    assert written[0].read_text(encoding="utf-8").splitlines()[2].startswith("1.jpg,,")


def test_rules_merge_in_order_and_rare_values_become_unknown() -> None:
    samples = samples_of(
        ("wear",),
        neck=["scoop neck", "round", "round neck", "scoop neck", "v", "odd"],
        wear=["hat+scarf", "hat", "hat", "hat", "", "scarf"],
    )
    rules = ("neck: scoop neck -> round neck", "neck: round -> round neck", "neck: v ->")
    stage = settle_values(samples, ValuesSection(rules=rules, min_count=2))
    assert samples.values["neck"] == [("round neck",)] * 4 + [None, None]
    assert samples.values["wear"][0] == ("hat", "scarf")
    assert stage.summary["rules"] == {rules[0]: 2, rules[1]: 1, rules[2]: 1}
    assert stage.summary["too_rare"] == {"neck": {"odd": 1}}
    said = [(r["row"], r["before"], r["after"], r["reason"]) for r in stage.records]
    assert (0, "scoop neck", "round neck", f"rule {rules[0]}") in said
    assert (5, "odd", "unknown", "1 images, fewer than 2") in said
    assert len(said) == stage.summary["changed"] == 5


@pytest.mark.parametrize("text", ["neck", "neck: a", "neck -> b", ": a -> b", "neck: -> b"])
def test_a_rule_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(repr(text))):
        Rule.parse(text)


def test_a_rule_names_an_attribute_that_is_there() -> None:
    with pytest.raises(InputError, match=r"unknown attribute 'nack'; known: neck"):
        settle_values(samples_of(neck=["a", "b"]), ValuesSection(rules=("nack: a -> b",)))


def test_missing_labels_are_counted_and_rows_without_any_listed() -> None:
    samples = samples_of(a=["x", "", ""], b=["", "y", ""])
    stage = count_unknown(samples, UnknownSection())
    assert stage.summary["unknown"] == {"a": 2, "b": 2}
    assert [(r["row"], r["action"]) for r in stage.records] == [(2, "kept")]
    samples.spelled["a"] = [(1, "NA"), (2, "")]
    told = count_unknown(samples, UnknownSection()).records[0]
    assert (told["row"], told["attribute"], told["before"]) == (1, "a", "NA")
    assert told["action"] == "read as unknown"
    assert samples.kept.all()
    count_unknown(samples, UnknownSection(drop_unlabelled=True))
    assert samples.kept.tolist() == [True, True, False]


def blobs(n: int, values: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(values, size=n)
    points = 4 * rng.normal(size=(values, 8))[labels] + rng.normal(size=(n, 8))
    return points.astype(np.float32), labels


@pytest.mark.parametrize("action", ["report", "unknown", "replace"])
def test_flipped_labels_come_first_with_the_right_suggestion(action: str) -> None:
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    X, labels = blobs(300, 3, seed=1)
    said = [f"v{label}" for label in labels]
    flipped = [3, 77, 150, 222, 290]
    for row in flipped:
        said[row] = f"v{(labels[row] + 1) % 3}"
    samples = samples_of(kind=[*said[:-1], ""])
    section = LabelErrorsSection(action=cast(Any, action))
    stage = judge_labels(samples, X, np.ones(300, bool), section, seed=0, options=ReadOptions())
    assert {r["row"] for r in stage.records[:5]} == set(flipped)
    assert len(stage.records) == 299
    for record in stage.records[:5]:
        assert record["flagged"]
        assert record["suggested"] == f"v{labels[record['row']]}"
        assert record["action"] == ("reported" if action == "report" else "changed")
    probabilities = [r["probability"] for r in stage.records]
    assert probabilities == sorted(probabilities)
    now = samples.values["kind"][3]
    assert now == {"report": (said[3],), "unknown": None, "replace": (f"v{labels[3]}",)}[action]
    assert samples.values["kind"][299] is None


def test_duplicates_never_vouch_for_each_other() -> None:
    """A flipped picture and its copy, flipped alike: apart, each would confirm the other."""
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 40)).astype(np.float32)
    X[1::2] = X[::2]
    said = [f"v{row // 2 % 2}" for row in range(60)]
    ranks = {}
    for grouped in (True, False):
        samples = samples_of(kind=said)
        if grouped:
            samples.group = np.arange(60) // 2 * 2
        stage = judge_labels(
            samples, X, np.ones(60, bool), LabelErrorsSection(), seed=0, options=ReadOptions()
        )
        ranks[grouped] = np.mean([r["probability"] for r in stage.records])
    assert ranks[False] > 0.7
    assert ranks[True] < 0.6


def test_other_attributes_are_witnesses_unless_turned_off() -> None:
    """What no picture shows, but another column tells."""
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    what = ["shoe", "hat", "", "shoe"] * 50
    where = ["feet" if one == "shoe" else "head" for one in what]
    where[0] = "head"
    ranks = {}
    for context in (True, False):
        samples = samples_of(what=what, where=where)
        stage = judge_labels(
            samples,
            X,
            np.ones(200, bool),
            LabelErrorsSection(context=context),
            seed=0,
            options=ReadOptions(),
        )
        ranks[context] = next(
            r["attribute_rank"]
            for r in stage.records
            if r["row"] == 0 and r["attribute"] == "where"
        )
    assert ranks[True] == 1
    assert ranks[False] > 10


def test_a_doubtful_value_among_several_leaves_the_whole_cell_unknown() -> None:
    """Without it alone the cell would say that the image has it not."""
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    X, labels = blobs(200, 2, seed=2)
    cells = ["hat+scarf" if label else "hat" for label in labels]
    wrong = int(np.flatnonzero(labels[20:] == 0)[0]) + 20
    lacking = int(np.flatnonzero(labels[20:])[0]) + 20
    for other, row, cell, value in (
        ("bag", wrong, "hat+scarf", "scarf"),
        ("scarf", lacking, "hat", "not scarf"),
    ):
        said = [*[other] * 20, *cells[20:]]
        said[row] = cell
        samples = samples_of(("wear",), wear=said)
        section = LabelErrorsSection(action="unknown")
        stage = judge_labels(samples, X, np.ones(200, bool), section, seed=0, options=ReadOptions())
        told = next(r for r in stage.records if r["row"] == row and r["value"] == value)
        assert told["flagged"]
        if row == wrong:
            assert (told["action"], told["became"]) == ("changed", "unknown")
            assert samples.values["wear"][row] is None
        else:
            # What is perhaps missing is reported: those that are there are not given up for it.
            assert (told["action"], told["became"]) == ("reported", "")
            assert samples.values["wear"][row] == ("hat",)


def test_values_of_kind_multi_are_judged_one_by_one() -> None:
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    X, labels = blobs(200, 2, seed=2)
    cells = ["hat+scarf" if label else "hat" for label in labels]
    cells[:20] = ["scarf"] * 20
    lacking = int(np.flatnonzero(labels[20:])[0]) + 20
    cells[lacking] = "hat"
    samples = samples_of(("wear",), wear=cells)
    stage = judge_labels(
        samples,
        X,
        np.ones(200, bool),
        LabelErrorsSection(action="replace"),
        seed=0,
        options=ReadOptions(),
    )
    found = next(r for r in stage.records if r["row"] == lacking and r["value"] == "not scarf")
    assert found["suggested"] == "scarf"
    assert found["flagged"]
    assert samples.values["wear"][lacking] == ("hat", "scarf")


@settings(max_examples=10, deadline=None)
@given(st.integers(2, 24), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_every_label_is_judged_once_or_counted(n: int, values: int, multi: bool, seed: int) -> None:
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    rng = np.random.default_rng(seed)
    cells = [
        "+".join(sorted({f"v{v}" for v in rng.integers(values, size=rng.integers(0, 3))}))
        for _ in range(n)
    ]
    kind = cells if multi else [cell.split("+")[0] for cell in cells]
    samples = samples_of(("kind",) if multi else (), kind=kind, empty=[""] * n)
    samples.group[:] = rng.integers(n, size=n)
    before = list(samples.values["kind"])
    X = rng.normal(size=(n, 5)).astype(np.float32)
    stage = judge_labels(
        samples, X, rng.random(n) < 0.9, LabelErrorsSection(), seed=seed, options=ReadOptions()
    )
    assert samples.values["kind"] == before
    ranks = [record["rank"] for record in stage.records]
    assert (
        ranks
        == list(range(1, len(ranks) + 1))
        == sorted(record["attribute_rank"] for record in stage.records)
    )
    questions = {(record["row"], record["value"].removeprefix("not ")) for record in stage.records}
    assert len(questions) == len(ranks)
    for record in stage.records:
        row, value, suggested = record["row"], record["value"], record["suggested"]
        assert 0 <= record["probability"] <= 1
        assert suggested != value
        if multi:
            has = not value.startswith("not ")
            assert (value.removeprefix("not ") in (before[row] or ())) == has
            assert suggested == (f"not {value}" if has else value.removeprefix("not "))
            assert record["suggested_probability"] + record["probability"] == pytest.approx(1, 1e-3)
        else:
            assert before[row] == (value,)
        assert not record["flagged"] or record["probability"] <= 0.05
    figures = stage.summary["attributes"]
    assert figures["empty"] == {"labels": 0, "flagged": 0, "not_judged": 0}
    assert figures["kind"]["labels"] == len(ranks)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 3), min_size=1), min_size=1, max_size=30),
    st.integers(1, 8),
    st.integers(2, 5),
)
def test_folds_part_no_group_and_hold_every_row_once(
    labels: list[set[int]], size: int, folds: int
) -> None:
    has = np.array([[v in said for v in range(4)] for said in labels])
    groups = np.unique(np.arange(len(labels)) // size, return_inverse=True)[1]
    parts = _folds(has, groups, folds, 0)
    most = max(len({int(groups[row]) for row in np.flatnonzero(has[:, v])}) for v in range(4))
    assert len(parts) <= min(folds, most)
    assert bool(parts) == (most > 1)
    if parts:
        assert sorted(np.concatenate(parts)) == list(range(len(labels)))
        for group in range(int(groups.max()) + 1):
            rows = set(np.flatnonzero(groups == group).tolist())
            assert sum(bool(rows & set(part.tolist())) for part in parts) == 1


def test_what_cannot_be_judged_is_counted() -> None:
    pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")
    X, _ = blobs(8, 2, seed=3)
    samples = samples_of(one=["a"] * 8, some=["a", "b"] * 4)
    samples.values["some"][7] = ("alone",)
    has = np.ones(8, bool)
    has[0] = False
    stage = judge_labels(samples, X, has, LabelErrorsSection(), seed=0, options=ReadOptions())
    figures = stage.summary["attributes"]
    assert figures["one"] == {"labels": 0, "flagged": 0, "not_judged": 7}
    assert figures["some"]["not_judged"] == 1
    assert all(r["row"] != 0 for r in stage.records)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 5), max_size=3), min_size=1, max_size=60),
    st.integers(1, 4),
    st.integers(0, 3),
)
def test_groups_are_never_parted(labels: list[list[int]], size: int, seed: int) -> None:
    groups = np.arange(len(labels)) // size
    sets = stratify(labels, groups, (0.6, 0.0, 0.4), seed=seed)
    assert len(sets) == len(labels)
    assert set(sets.tolist()) <= {0, 2}
    for group in np.unique(groups):
        assert len(set(sets[groups == group])) == 1
    again = stratify(labels, groups, (0.6, 0.0, 0.4), seed=seed)
    assert sets.tolist() == again.tolist()


def test_a_split_shares_out_rare_values_of_every_attribute() -> None:
    rng = np.random.default_rng(0)
    a = [f"a{min(int(v), 7)}" for v in rng.geometric(0.4, 1000)]
    b = [f"b{int(v)}" for v in rng.integers(5, size=1000)]
    samples = samples_of(a=a, b=b)
    samples.group = np.arange(1000) // 2
    stage = split_samples(samples, SplitSection(validation=0.1, test=0.2), seed=1)
    sizes = np.bincount(samples.split)
    assert abs(sizes - [700, 100, 200]).max() <= 6
    for name in ("a", "b"):
        whole = samples.counts(name)
        for number, share in enumerate((0.7, 0.1, 0.2)):
            part = samples.counts(name, np.flatnonzero(samples.split == number).tolist())
            for value, count in whole.items():
                assert abs(part[value] - share * count) <= max(2.5, 0.06 * count), (name, value)
    assert len(stage.records) == 1000
    assert stage.summary["values_without_training"] == []


def test_a_split_that_leaves_nothing_to_learn_from_is_refused() -> None:
    samples = samples_of(a=["x", "y", "x", "y", "x"])
    message = r"validation = 0.5 and test = 0.49 leave none of 5 rows in 5 groups for training"
    with pytest.raises(InputError, match=message):
        split_samples(samples, SplitSection(validation=0.5, test=0.49), seed=0)


def test_rare_values_are_shown_more_often_up_to_the_cap() -> None:
    samples = samples_of(a=["common"] * 90 + ["middle"] * 30 + ["rare"] * 3, b=["x"] * 123)
    samples.split[119] = 2
    stage = balance_samples(samples, BalanceSection(strength=1.0, max_repeat=4), seed=0)
    assert set(samples.repeat[:119].tolist()) == {1}
    assert samples.repeat[120:].tolist() == [4, 4, 4]
    assert samples.repeat[119] == 1
    rare = stage.records[0]
    assert (rare["value"], rare["images"], rare["factor"], rare["shown"]) == ("rare", 3, 4.0, 12)
    assert stage.summary == {"training_rows": 122, "shown_an_epoch": 131}
    balance_samples(samples, BalanceSection(strength=0.0), seed=0)
    assert set(samples.repeat.tolist()) == {1}


def test_a_repeat_between_two_numbers_is_right_on_average() -> None:
    samples = samples_of(a=["a"] * 1000 + ["b"] * 1000 + ["c"] * 400)
    stage = balance_samples(samples, BalanceSection(strength=0.5), seed=0)
    factor = (1000 / 400) ** 0.5
    assert stage.records[0]["factor"] == pytest.approx(factor, abs=1e-3)
    assert samples.repeat[2000:].mean() == pytest.approx(factor, abs=0.1)
    assert set(samples.repeat[2000:].tolist()) == {1, 2}


def test_variants_of_a_value_are_merged_before_they_are_counted() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    colour = ["red", "red", "Red", "RED", "navy  blue", "navy blue", "navy blue", apart, composed]
    samples = samples_of(colour=colour)
    stage = settle_values(samples, ValuesSection(min_count=2))
    assert samples.counts("colour") == {"red": 4, "navy blue": 3, apart: 2}
    merged = {"Red": "red", "RED": "red", "navy  blue": "navy blue", composed: apart}
    assert stage.summary["merged"] == {"colour": merged}
    assert stage.summary["too_rare"] == {}
    assert {(r["before"], r["after"]) for r in stage.records} == set(merged.items())
    kept = samples_of(colour=colour)
    stage = settle_values(kept, ValuesSection(min_count=2, merge_variants=False))
    assert stage.summary["merged"] == {}
    assert set(stage.summary["too_rare"]["colour"]) == {"Red", "RED", "navy  blue", apart, composed}
