"""A whole study, on a tiny fake backbone."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gingham.cli
import gingham.evaluation.study.bench as bench_module
from conftest import COLOURS, draw
from gingham.cli.study_output import split_weights
from gingham.errors import CatalogueError, InputError
from gingham.evaluation.study import (
    Setting,
    StudyResult,
    cluster_agreement,
    neighbours_per_second,
    study,
)
from gingham.evaluation.study.examples import (
    Labelled,
    join_groups,
    read_examples,
    sample,
    settle,
)
from gingham.evaluation.study.experiments import joint_attribute
from gingham.evaluation.study.ledger import Ledger
from gingham.evaluation.study.reading import POOLINGS
from gingham.evaluation.study.sections import answer_tone
from gingham.evaluation.study.tints import tints
from gingham.options import ReadOptions, silent
from helpers import Loader

# Not imported here: where no cache can be written, that takes what the study knows.
if importlib.util.find_spec("umap") is None:
    pytest.skip("umap-learn comes with the extra `study`", allow_module_level=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches a second are measured in one run, not in half a second of them."""
    once = partial(neighbours_per_second, gallery=100, seconds=0)
    monkeypatch.setattr("gingham.evaluation.study.experiments.neighbours_per_second", once)


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """The same 36 pictures by colour, with groups, and by pattern."""
    rows = []
    for colour in COLOURS:
        for seed in range(12):
            path = draw(tmp_path / "p" / f"{colour}{seed}.jpg", colour, seed, striped=seed % 2 == 1)
            rows.append((path.name, colour, ("plain", "striped")[seed % 2], f"{colour}{seed // 2}"))
    files = tmp_path / "p" / "colour.csv", tmp_path / "p" / "pattern.csv"
    for file, column in zip(files, (1, 2), strict=True):
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["image", file.stem, "product"])
            writer.writerows((row[0], row[column], row[3]) for row in rows)
    return files


@given(
    values=st.lists(st.sampled_from("aaaaaaaabbbc"), min_size=1, max_size=60),
    most=st.integers(0, 70),
    seed=st.integers(0, 3),
)
def test_a_sample_keeps_what_is_rare_and_the_same_images_of_every_attribute(
    values: list[str], most: int, seed: int
) -> None:
    images = tuple(f"{i}.jpg" for i in range(len(values)))
    whole = Labelled("letter", Path("t.csv"), images, tuple(values), None, 0)
    drawn = sample(whole, most, seed=seed)
    if not 0 < most < len(values):
        assert drawn is whole
        return
    assert (len(drawn.images), drawn.given) == (most, len(values))
    own = dict(zip(images, values, strict=True))
    assert [own[image] for image in drawn.images] == list(drawn.values)
    assert sorted(drawn.images, key=images.index) == list(drawn.images)
    for value in set(values):
        share = most // (2 * len(set(values)))
        assert drawn.values.count(value) >= min(values.count(value), share)
    # Of those that no value claims, an attribute of one value draws the first that this one does.
    one = sample(replace(whole, values=("a",) * len(values)), most, seed=seed)
    assert len(set(values)) > 1 or one.images == drawn.images


def test_a_study_of_some_of_the_images_says_so(tables: tuple[Path, Path], tmp_path: Path) -> None:
    loader, out = Loader(), tmp_path / "out"
    setting = Setting(folds=3, max_images=21)
    result = study(tables[:1], out, groups="product", setting=setting, load=loader)
    one = result.attributes["colour"]
    assert (one.images, one.given, result.images, loader.read) == (21, 36, 21, 21)
    said = "colour: 21 of 36 images are studied, drawn at random (--max-images)"
    assert said in (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def done(tables: tuple[Path, Path], tmp_path: Path) -> tuple[StudyResult, Path, Loader]:
    loader = Loader()
    result = study(
        tables,
        tmp_path / "out",
        backbones=["fake_a", "fake_b"],
        groups="product",
        setting=Setting(folds=3),
        load=loader,
    )
    return result, tmp_path / "out", loader


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_study_writes_page_tables_and_json(
    done: tuple[StudyResult, Path, Loader], tables: tuple[Path, Path]
) -> None:
    result, out, loader = done
    assert result.images == 36
    assert result.failed == 0
    assert set(result.attributes) == {"colour", "pattern"}
    assert result.attributes["colour"].values == dict.fromkeys(sorted(COLOURS), 12)
    assert result.attributes["colour"].best_accuracy > 0.9
    assert loader.read == 72
    found = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert found["choices"]["colour"]["backbone"] == result.attributes["colour"].backbone
    for name in ("accuracy", "clustering", "reduction", "retrieval", "confusions", "cost"):
        assert len(rows_of(out / "tables" / f"{name}.csv")) == len(found["tables"][name]) > 0
    accuracy = rows_of(out / "tables" / "accuracy.csv")
    # Attributes, backbones, protocols; four layers in four poolings and the recipe.
    assert len(accuracy) == 2 * 2 * 2 * (4 * 4 + 1)
    for pooling in ("mean", "mean+deviation", "generalised mean", "maximum"):
        best = [
            row
            for row in accuracy
            if row["pooling"] == pooling
            and row["best"] == "True"
            and row["protocol"] == "groups kept together"
        ]
        assert len(best) == 4
    assert {row["attribute"] for row in rows_of(out / "tables" / "retrieval.csv")} == {
        "colour",
        "pattern",
        "colour + pattern",
    }
    page = (out / "report.html").read_text(encoding="utf-8")
    for word in ("http://", "https://", "<link", 'src="/'):
        assert word not in page
    assert len(page) < 15e6
    assert "scaled to min_cluster_size 6 and min_samples 1." in page
    assert "layers that differ on fewer than 6 of 36 images (0.167)" in page
    # The recipe stands where the poolings are that it reads, and nowhere else.
    lines = re.findall(r'<tr><th scope="row" class="taught">.*?</tr>', page)
    assert len(lines) == 4
    for line in lines:
        assert [bool(cell) for cell in re.findall(r"<td>(.*?)</td>", line)] == [
            pooling == "mean+deviation" for pooling in ("paper", *POOLINGS)
        ]
    assert len(list((out / "cache" / "results").glob("reduction-*"))) >= 4 * 5


def test_a_study_goes_on_where_it_was_interrupted(
    tables: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real = cluster_agreement

    def counted(X: Any, y: Any, *, parameters: Any) -> Any:
        calls.append("clustering")
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(X, y, parameters=parameters)

    monkeypatch.setattr(bench_module, "cluster_agreement", counted)
    first, again = Loader(), Loader()
    arguments: dict[str, Any] = {"setting": Setting(folds=3), "attributes": ["colour"]}
    with pytest.raises(KeyboardInterrupt):
        study(tables[:1], tmp_path / "out", load=first, **arguments)
    result = study(tables[:1], tmp_path / "out", load=again, **arguments)
    assert (first.read, again.read) == (36, 0)
    assert len(calls) == 5  # Two before the interruption, and the other two after it.
    before = (tmp_path / "out" / "results.json").read_bytes()
    study(tables[:1], tmp_path / "out", load=again, **arguments)
    assert len(calls) == 5
    assert (tmp_path / "out" / "results.json").read_bytes() == before
    # A damaged result is recomputed.
    next((tmp_path / "out" / "cache" / "results").glob("clustering-*")).write_text("{")
    study(tables[:1], tmp_path / "out", load=again, **arguments)
    assert len(calls) == 6
    assert result.images == 36


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from helpers import Loader
from gingham.evaluation.study import Setting, study
study(
    [Path(sys.argv[2])],
    Path(sys.argv[3]),
    attributes=["colour"],
    setting=Setting(folds=3),
    load=Loader(),
)
"""


@pytest.mark.slow
def test_a_killed_study_goes_on(tables: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "killed"
    results = out / "cache" / "results"
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(Path(__file__).parents[1]),
        str(tables[0]),
        str(out),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(results.glob("[!.]*"))) < 4:
        time.sleep(0.005)
    process.kill()
    assert process.wait(30) == -signal.SIGKILL
    assert not (out / "report.html").exists()
    before = {path: path.stat().st_mtime_ns for path in results.glob("[!.]*")}
    loader = Loader()
    arguments: dict[str, Any] = {"attributes": ["colour"], "setting": Setting(folds=3)}
    study(tables[:1], out, load=loader, **arguments)
    assert loader.read == 0
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    study(tables[:1], tmp_path / "whole", load=Loader(), **arguments)
    for table in ("accuracy", "clustering", "retrieval", "confusions"):
        killed, whole = (d / "tables" / f"{table}.csv" for d in (out, tmp_path / "whole"))
        assert killed.read_bytes() == whole.read_bytes()


def test_progress_ends_where_it_said(tables: tuple[Path, Path], tmp_path: Path) -> None:
    said: dict[str, list[tuple[int, int]]] = {}

    def show(step: str, done: int, total: int) -> None:
        said.setdefault(step, []).append((done, total))

    options = ReadOptions(progress=show)
    study(tables, tmp_path / "out", setting=Setting(folds=3), load=Loader(), options=options)
    assert list(said) == ["read efficientnet_lite0", "experiments", "draw"]
    for steps in said.values():
        assert steps[-1][0] == steps[-1][1] > 0
        assert steps == sorted(steps)


def test_bad_images_and_rare_values_are_reported_by_name(
    tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tables[0].parent
    (folder / "cut.jpg").write_bytes((folder / "red0.jpg").read_bytes()[:200])
    (folder / "copy.jpg").write_bytes((folder / "red1.jpg").read_bytes())
    (folder / "other.jpg").write_bytes((folder / "red2.jpg").read_bytes())
    Image.new("RGB", (9, 9), "white").save(folder / "nan.png")
    draw(folder / "rare.jpg", "blue", 77)
    with tables[0].open("a", newline="") as file:
        csv.writer(file).writerows(
            [
                ("missing.jpg", "red", ""),
                ("cut.jpg", "red", ""),
                ("copy.jpg", "red", ""),
                ("other.jpg", "blue", ""),
                ("nan.png", "red", ""),
                ("rare.jpg", "rare", ""),
                ("red3.jpg", "", ""),
            ]
        )
    result = study(
        tables[:1], tmp_path / "out", groups="product", setting=Setting(folds=3), load=Loader()
    )
    reasons = {Path(f.image).name: f.reason for f in result.failures}
    assert set(reasons) == {"missing.jpg", "cut.jpg", "nan.png", "other.jpg"}
    assert "no such file" in reasons["missing.jpg"]
    assert "not finite in layer stem" in reasons["nan.png"]
    assert "'blue' here and 'red' of the same image" in reasons["other.jpg"]
    assert result.attributes["colour"].left_out == {"rare": 1}
    assert result.attributes["colour"].images == 36
    assert result.unlabelled == 1
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "nan.png" in page
    assert "left out" in page


def test_copies_in_two_groups_make_them_one(tmp_path: Path) -> None:
    """The tables' names are their own, and what any of them puts together stays together."""
    rows = {"a": 0, "copy of a": 0, "b": 1, "c": 2, "d": 3, "e": 4}
    colour = Labelled(
        "colour",
        Path("c.csv"),
        ("a", "copy of a", "b", "c", "d", "a", "missing"),
        ("red", "red", "red", "blue", "blue", "red", "red"),
        ("1", "2", "2", "3", None, "1", "9"),
        0,
    )
    pattern = Labelled(
        "pattern",
        Path("p.csv"),
        ("c", "d", "e", "b"),
        ("plain", "plain", "dots", "dots"),
        ("1", "1", None, "3"),
        0,
    )
    together = join_groups([colour, pattern], rows)
    assert [together[row] == together[0] for row in range(5)] == [True, True, False, False, False]
    assert together[2] == together[3] != together[4]
    settled = settle(colour, rows, together, folds=1, neighbours=0)
    assert settled.groups == ("group 1", "group 1", "group 3", "group 3")
    assert settled.copies == 1
    joint = joint_attribute(
        [settled, settle(pattern, rows, together, folds=1, neighbours=0)], together, least=2
    )
    assert joint is not None
    assert joint.rows == (1, 2, 3)
    assert joint.groups is not None
    assert joint.groups[0] != joint.groups[1] == joint.groups[2]


def test_what_is_too_few_is_told_before_images_are_read(
    tables: tuple[Path, Path], tmp_path: Path
) -> None:
    few = tmp_path / "few.csv"
    lines = tables[0].read_text(encoding="utf-8").splitlines()
    for rows, said in (
        ([*range(1, 4), *range(13, 16)], "5 neighbours vote, and of its 6 images in 3 folds .* 4"),
        ([1, 2, 13, 14], r"it has 'red' \(2\), 'green' \(2\)"),
    ):
        few.write_text("\n".join(["image,few,product", *(f"p/{lines[row]}" for row in rows)]))
        loader = Loader()
        with pytest.raises(InputError, match=f"attribute 'few' has too few examples.*{said}"):
            study([f"few={few}"], tmp_path / "out", setting=Setting(folds=3), load=loader)
        assert loader.loaded == []
    few.write_text("image,few\n" + "".join(f"{i}.jpg,value {i}\n" for i in range(30)))
    with pytest.raises(InputError, match=r"'value 4' \(1\) and 25 more$"):
        study([few], tmp_path / "out", load=Loader())
    few.write_text("image,few\na.jpg,red|blue\nb.jpg,red\n")
    with pytest.raises(InputError, match=r"a\.jpg has several values \(red\|blue\).*\(1 in "):
        study([few], tmp_path / "out", load=Loader())


def test_a_query_is_no_answer_and_counts_once(examples: Path, tmp_path: Path) -> None:
    query = str(draw(tmp_path / "query.jpg", "red", 7))
    result = study(
        [examples],
        tmp_path / "out",
        queries=[query, query, str(examples / "blue" / "100.jpg")],
        setting=Setting(folds=3),
        load=Loader(),
    )
    assert result.images == 18
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert found["images"] == 18
    row = found["files"].index(query)
    assert [sheet["query"] == row for sheet in found["sheets"]] == [True, False]
    for sheet in found["sheets"]:
        assert all(row not in rows for rows in sheet["found"].values())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<p class="soft">18 images;' in page
    assert page.count('aria-label="query.jpg, query"') == 1
    assert "no  label" not in page


def test_a_damaged_shard_is_mended_by_the_advice_given(examples: Path, tmp_path: Path) -> None:
    arguments: dict[str, Any] = {"setting": Setting(folds=3)}
    study([examples], tmp_path / "out", load=Loader(), **arguments)
    shard = next((tmp_path / "out" / "cache").rglob("mean-std/*.parquet"))
    shard.write_bytes(shard.read_bytes()[:200])
    with pytest.raises(CatalogueError, match=r"delete it and run .*study"):
        study([examples], tmp_path / "out", load=Loader(), **arguments)
    shard.unlink()
    again = Loader()
    assert study([examples], tmp_path / "out", load=again, **arguments).failed == 0
    assert again.read == 18


def test_examples_name_their_attributes(tables: tuple[Path, Path], examples: Path) -> None:
    colour, pattern = tables

    def names(*given: object, **options: Any) -> list[str]:
        return [one.name for one in read_examples([str(g) for g in given], **options)[0]]

    assert names(colour, groups="product") == ["colour"]
    assert names(colour) == ["colour"]  # Two columns, but one has the file's name.
    assert names(colour, pattern, groups="product") == ["colour", "pattern"]
    assert names(colour, pattern, attributes=["pattern"]) == ["pattern"]
    assert names(examples) == ["examples"]
    assert names(f"shade={examples}") == ["shade"]
    assert names(f"shade={colour}", groups="product") == ["shade"]
    assert names(f"product={colour}") == ["product"]
    moved = colour.rename(colour.with_name("x.csv"))
    for written, options, said in (
        ([moved], {}, "which column is the attribute"),
        ([f"shade={moved}"], {}, "no column 'shade'"),
        ([pattern, f"pattern={examples}"], {}, "defined twice"),
        ([pattern], {"attributes": ["neckline"]}, "no examples of attribute 'neckline'"),
        ([moved], {"attributes": ["neckline"]}, "'neckline'; there are colour, product"),
        ([pattern], {"groups": "family"}, "no column 'family'"),
        ([examples], {"groups": "product"}, "--groups goes with tables"),
        ([examples / "no"], {}, "do not exist"),
        ([], {}, "no examples are given"),
    ):
        with pytest.raises(InputError, match=said):
            names(*written, **options)


def test_a_missing_path_is_told_before_anything_slow_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match="nowhere do not exist"):
        study([str(tmp_path / "nowhere")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"examples": "one"}, "attribute 'one' has too few examples.*'red'"),
        ({"folds": "1"}, "folds must be at least 2, got 1"),
        ({"seed": str(10**14)}, "seed must be at least 0 and less than 4294967296, got 1000"),
        (
            {"out": "/proc/here"},
            "/proc/here cannot be found .No such file or directory.: check that it exists",
        ),
        ({"query": "nowhere.jpg"}, "query nowhere.jpg cannot be used: no such file"),
        ({"weights": "other=w.pt"}, "weights are given for 'other'"),
        ({"look": "colour"}, "LOOK=WEIGHT"),
        ({"look": "shine=1"}, "unknown look 'shine'"),
        ({"backbone": "no_such_net"}, "no_such_net"),
    ],
)
def test_the_command_refuses_with_a_reason(
    change: dict[str, str],
    said: str,
    examples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "backbone" not in change:
        monkeypatch.setattr("gingham.evaluation.study.run.load_runtime", Loader())
    for seed in range(6):
        draw(tmp_path / "one" / "red" / f"{seed}.jpg", "red", seed)
    options = {"out": str(tmp_path / "out"), **change}
    source = str(tmp_path / options.pop("examples", "examples"))
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", ["gingham", "study", source, *words])
    with pytest.raises(SystemExit) as stopped:
        gingham.cli.main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(said, error), error


def test_the_command_prints_a_table_or_json(
    examples: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("gingham.evaluation.study.run.load_runtime", Loader())
    command = ["gingham", "study", f"colour={examples}", "--out", str(tmp_path / "out")]
    command += ["--query", str(examples / "red" / "100.jpg"), "--look", "colour=1"]
    printed = []
    for extra in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", [*command, *extra])
        with pytest.raises(SystemExit) as stopped:
            gingham.cli.main()
        assert stopped.value.code == 0
        printed.append(capsys.readouterr().out)
    assert "18 images, 0 failed" in printed[0]
    said = json.loads(printed[1])
    assert said["attributes"]["colour"]["images"] == 18
    assert said["report"] == str(tmp_path / "out" / "report.html")


def test_two_studies_never_share_a_folder(examples: Path, tmp_path: Path) -> None:
    from gingham.store.lease import CatalogueLock

    (tmp_path / "out").mkdir()
    lock = CatalogueLock(tmp_path / "out")
    with pytest.raises(InputError, match="in use by this process"):
        study([examples], tmp_path / "out", load=Loader())
    lock.release()


def test_weights_belong_to_a_backbone(tmp_path: Path) -> None:
    assert split_weights(["w.pt"], ["a"]) == {"a": "w.pt"}
    assert split_weights(["b=w.pt", "a=v.pt"], ["a", "b"]) == {"b": "w.pt", "a": "v.pt"}
    with pytest.raises(InputError, match="for which backbone"):
        split_weights(["w.pt"], ["a", "b"])
    with pytest.raises(InputError, match="two files of weights"):
        split_weights(["w.pt", "a=v.pt"], ["a"])


def test_values_get_colours_of_their_own() -> None:
    assert tints(["black", "Red"]) == ["#1b1b1b", "#d92b2b"]
    for count in (3, 12, 60):
        colours = tints([f"v{i}" for i in range(count)])
        assert len(set(colours)) == count


def test_answers_without_a_value_are_not_marked_as_wrong() -> None:
    query = {"colour": "red", "pattern": "dots"}
    for answer, tone in (
        ({"colour": "red"}, "good"),
        ({"colour": "blue"}, "bad"),
        ({"neckline": "round"}, ""),
        ({}, ""),
    ):
        assert answer_tone(query, answer) == tone


def test_results_of_other_versions_are_recomputed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def compute() -> int:
        made.append(1)
        return len(made)

    def get() -> int:
        ledger = Ledger(tmp_path, silent, 1)
        result: int = ledger.get("count", {}, compute, count=1)
        return result

    assert [get(), get()] == [1, 1]
    monkeypatch.setattr("gingham.evaluation.study.ledger.version", lambda package: f"{package} 99")
    assert [get(), get()] == [2, 2]
    monkeypatch.setattr("gingham.__version__", "99")
    assert get() == 3
