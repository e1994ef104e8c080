import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gingham.errors import CatalogueBusyError, CatalogueError, InputError, ShapeError
from gingham.index.embedded.index import VectorIndex
from gingham.index.filters import Condition, Where, parse_where

WIDTH = 12
BIG = 3000


def key(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


KEYS = [key(i) for i in range(6000)]


def vectors(n: int, width: int = WIDTH, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    with VectorIndex.create(tmp_path_factory.mktemp("index"), WIDTH) as index:
        yield index


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    """Three thousand images of 1,920 numbers: enough for a graph."""
    with VectorIndex.create(tmp_path_factory.mktemp("large"), 1920) as index:
        index.upsert(KEYS[:BIG], LARGE)
        index.set_tags("colour", dict(zip(KEYS[:BIG], COLOURS, strict=True)))
        index.set_look("shape", KEYS[:2900], SHAPE[:2900])
        assert index.optimise()
        assert not index.optimise()
        yield index


# Low rank, as real features are: in 1,920 dimensions at random no graph leads anywhere.
LARGE = vectors(BIG, 16, 1) @ vectors(16, 1920, 2)
LARGE[2000:2010] = LARGE[17]
SHAPE = vectors(BIG, 3, 3)
SHAPE[2900:] = 0
COLOURS = ["rare" if i % 100 == 0 else ("red", "green", "unknown")[i % 3] for i in range(BIG)]


def scan(
    scores: NDArray[Any], n: int, keep: NDArray[np.bool_] | None = None
) -> list[tuple[str, float]]:
    pairs = [(KEYS[i], float(s)) for i, s in enumerate(scores) if keep is None or keep[i]]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:n]


@pytest.mark.parametrize("where", ["", "colour=red", "colour=rare", "colour!=red"])
@pytest.mark.parametrize("mixture", ["looks", "taught", "both", "looks+added", "added"])
def test_query_equals_a_full_scan(large: VectorIndex, where: str, mixture: str) -> None:
    filters = parse_where([where] if where else [], large.facets())
    keep = np.array([not where or (c == where.split("=")[1]) != ("!" in where) for c in COLOURS])
    for seed in range(4):
        vector = LARGE[seed] * (mixture in ("looks", "both", "looks+added"))
        part = SHAPE[seed] * 300
        taught = {"shape": part} if mixture in ("taught", "both") else {}
        added = SHAPE @ part * 2 if "added" in mixture else None
        scores = LARGE @ vector + SHAPE @ part * bool(taught) + (0 if added is None else added)
        expected = scan(scores, 10, keep)
        hits = large.query(vector, 10, filters, taught=taught, added=added)
        np.testing.assert_allclose(hits.scores, [s for _, s in expected], rtol=1e-4)
        assert set(hits.ids) == {k for k, _ in expected}


def test_equal_scores_come_in_the_order_of_ids(large: VectorIndex) -> None:
    hits = large.query(LARGE[17], 5)
    same = sorted([KEYS[17], *KEYS[2000:2010]])
    assert list(hits.ids) == same[:5]
    assert large.query(LARGE[17], 11).ids == tuple(same)


def test_vectors_come_back(large: VectorIndex) -> None:
    some = [KEYS[5], KEYS[3], KEYS[5]]
    np.testing.assert_array_equal(large.vectors(some), LARGE[[5, 3, 5]])
    np.testing.assert_array_equal(
        large.look_vectors("shape", [KEYS[3], KEYS[2950]]), SHAPE[[3, 2950]]
    )
    assert large.vectors([]).shape == (0, 1920)
    assert large.looks == ("shape",)


def test_fewer_matches_than_asked_for(large: VectorIndex) -> None:
    only = Where((Condition("colour", "rare"),))
    assert len(large.query(LARGE[0], 100, only).ids) == 30
    assert large.query(LARGE[0], 5, Where((Condition("colour", "blue"),))).ids == ()


NAMES = ("colour", "sleeve length", "a.b=c!", "ткань", "Colour")
VALUES = ("red", "unknown", "a=b", "", "é\n", "0")
texts = st.sampled_from([v for v in VALUES if v])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.lists(st.integers(0, 30), max_size=8, unique=True)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 30), max_size=4)),
        st.tuples(
            st.just("tag"),
            st.sampled_from(NAMES),
            st.dictionaries(st.integers(0, 30), texts | st.lists(texts, max_size=3)),
        ),
        st.tuples(st.just("clear"), st.sampled_from(NAMES)),
        st.tuples(st.just("reopen")),
    ),
    max_size=14,
)
filters = st.lists(
    st.builds(Condition, st.sampled_from(NAMES), st.sampled_from(VALUES), st.booleans()),
    max_size=4,
)


def satisfies(tags: dict[str, set[str]], conditions: list[Condition]) -> bool:
    wanted = {c.attribute for c in conditions if not c.negated}
    return all(
        any(
            c.value in tags.get(attribute, ())
            for c in conditions
            if c.attribute == attribute and not c.negated
        )
        for attribute in wanted
    ) and not any(c.negated and c.value in tags.get(c.attribute, ()) for c in conditions)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=steps, conditions=filters)
def test_filters_and_facets_equal_a_plain_scan(
    tmp_path: Path, steps: list[Any], conditions: list[Condition]
) -> None:
    truth: dict[str, dict[str, set[str]]] = {}
    index = VectorIndex.create(tmp_path / "i", WIDTH)
    try:
        for step in steps:
            if step[0] == "upsert":
                index.upsert([KEYS[i] for i in step[1]], vectors(31)[step[1]])
                for i in step[1]:
                    truth.setdefault(KEYS[i], {})
            elif step[0] == "delete":
                index.delete([KEYS[i] for i in step[1]])
                for i in step[1]:
                    truth.pop(KEYS[i], None)
            elif step[0] == "tag":
                chosen = {KEYS[i]: v for i, v in step[2].items() if KEYS[i] in truth}
                index.set_tags(step[1], chosen)
                for k, v in chosen.items():
                    truth[k][step[1]] = {v} if isinstance(v, str) else set(v)
            elif step[0] == "clear":
                index.clear_tags(step[1])
                for tags in truth.values():
                    tags.pop(step[1], None)
            else:
                index.close()
                index = VectorIndex.open(tmp_path / "i")
                assert not index.interrupted
        where = Where(tuple(conditions))
        matching = sorted(k for k, tags in truth.items() if satisfies(tags, conditions))
        assert index.ids(where) == matching
        assert index.count(where) == len(matching)
        assert index.count() == len(truth)
        counts: dict[str, Counter[str]] = {}
        for k in matching:
            for attribute, values in truth[k].items():
                if values:
                    counts.setdefault(attribute, Counter()).update(values)
        assert index.facets(where) == counts
        assert index.tags(matching) == [
            {a: tuple(sorted(v)) for a, v in truth[k].items() if v} for k in matching
        ]
        if truth:
            scores = {k: float(vectors(31)[KEYS.index(k)] @ vectors(31)[0]) for k in matching}
            expected = sorted(scores, key=lambda k: (-scores[k], k))[:5]
            assert list(index.query(vectors(31)[0], 5, where).ids) == expected
    finally:
        index.close()


def test_thousands_of_values(tmp_path: Path) -> None:
    with VectorIndex.create(tmp_path, 2) as index:
        index.upsert(KEYS[:4000], np.ones((4000, 2), np.float32))
        index.set_tags("sku", {k: f"v{i % 3000}" for i, k in enumerate(KEYS[:4000])})
        facets = index.facets()["sku"]
        assert len(facets) == 3000
        assert list(facets.values()) == [2] * 1000 + [1] * 2000
        # All scores are equal: the order by id needs every image.
        assert index.query(np.ones(2, np.float32), 7).ids == tuple(sorted(KEYS[:4000])[:7])


def test_taught_look_follows_its_images(tmp_path: Path) -> None:
    look = np.eye(3, dtype=np.float32)
    zero = np.zeros(WIDTH, np.float32)
    with VectorIndex.create(tmp_path, WIDTH) as index:
        index.upsert(KEYS[:3], vectors(3))
        index.set_look("../ткань", KEYS[:3], look)
        index.upsert(KEYS[3:5], vectors(2))
        index.delete(KEYS[:1])
        hits = index.query(zero, 9, taught={"../ткань": look[1]})
        assert dict(zip(hits.ids, hits.scores.tolist(), strict=True)) == {
            KEYS[1]: 1, KEYS[2]: 0, KEYS[3]: 0, KEYS[4]: 0,
        }  # fmt: skip
        index.drop_look("other")
    with VectorIndex.open(tmp_path) as index:
        assert index.query(zero, 1, taught={"../ткань": look[2]}).ids == (KEYS[2],)
        index.drop_look("../ткань")
        with pytest.raises(InputError, match=r"unknown taught look '../ткань'; known: none"):
            index.query(zero, 1, taught={"../ткань": look[2]})


def test_bad_arguments(index: VectorIndex) -> None:
    good = vectors(1)
    with pytest.raises(ShapeError, match=r"\(1, 12\), got \(1, 3\)"):
        index.upsert(KEYS[:1], good[:, :3])
    with pytest.raises(InputError, match="vectors must be finite"):
        index.upsert(KEYS[:1], good * np.nan)
    with pytest.raises(InputError, match="64 lower-case hex characters, got 'ABC'"):
        index.upsert(["ABC"], good)
    with pytest.raises(InputError, match="1 are repeated"):
        index.upsert([KEYS[0], KEYS[0]], vectors(2))
    with pytest.raises(InputError, match=f"{KEYS[0]}' is not in the index"):
        index.set_tags("colour", {KEYS[0]: "red"})
    with pytest.raises(InputError, match="n must be at least 1, got 0"):
        index.query(good[0], 0)
    with pytest.raises(ShapeError, match=r"vector .*\(12,\)"):
        index.query(good[0, :4], 1)
    with pytest.raises(ShapeError, match=r"added must have shape \(0,\), got \(3,\)"):
        index.query(good[0], 1, added=np.zeros(3, np.float32))
    with pytest.raises(InputError, match="width must be at least 1, got 0"):
        VectorIndex.create("unused", 0)
    assert index.count() == 0
    assert index.query(good[0], 3).ids == ()
    index.upsert(KEYS[:1], good)
    for attribute, value in (("", "red"), ("colour", ""), ("c\udcff", "red"), ("c", "\udcff")):
        with pytest.raises(InputError, match="text"):
            index.set_tags(attribute, {KEYS[0]: value})
    assert index.facets() == {}
    with pytest.raises(InputError, match="1 to 120 bytes"):
        index.set_look("x" * 200, KEYS[:1], good)
    index.delete(KEYS[:2])


def test_parse_where() -> None:
    known = {"a": ["b=c"], "a=b": ["c"], "sleeve length": ["long"]}
    found = parse_where(["a=b=c", "sleeve length!=long", "a!=b=c", "a=unknown"], known)
    assert found == Where(
        (
            Condition("a=b", "c"),
            Condition("sleeve length", "long", negated=True),
            Condition("a", "b=c", negated=True),
            Condition("a", "unknown"),
        )
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour", "ATTRIBUTE=VALUE.*got 'colour'"),
        ("shape=round", "unknown attribute 'shape'; known: 'colour'"),
        ("colour!=pink", "no image has colour 'pink'; there are 'blue', 'red'"),
    ],
)
def test_parse_where_refuses(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_where([text], {"colour": ["red", "blue"]})


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with VectorIndex.create(tmp_path, 2):
        with pytest.raises(CatalogueBusyError, match="another process"):
            VectorIndex.open(tmp_path)
        code = (
            "from gingham.index.embedded.index import VectorIndex; "
            f"VectorIndex.open({str(tmp_path)!r})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "CatalogueBusyError" in done.stderr
    VectorIndex.open(tmp_path).close()


@pytest.mark.parametrize("damage", ["table.npz", "graph", "nothing there"])
def test_damage_says_what_to_do(tmp_path: Path, damage: str) -> None:
    if damage != "nothing there":
        with VectorIndex.create(tmp_path, 2) as index:
            index.upsert(KEYS[:9], vectors(9, 2))
    if damage == "table.npz":
        (tmp_path / damage).write_bytes(b"PK\x03\x04")
    for file in (tmp_path / damage).rglob("*.*"):
        file.write_bytes(b"{")
    with pytest.raises(CatalogueError, match="gingham rebuild CATALOGUE"):
        VectorIndex.open(tmp_path)
    with VectorIndex.create(tmp_path, 3) as index:
        assert index.count() == 0


def test_prints_nothing_and_exits_quietly(tmp_path: Path) -> None:
    code = f"""
    import numpy as np
    from gingham.index.embedded.index import VectorIndex
    index = VectorIndex.create({str(tmp_path)!r}, 2)
    index.upsert(["{KEYS[0]}"], np.ones((1, 2), np.float32))
    index.optimise()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


WRITER = """
import sys
import numpy as np
from tests_index_keys import KEYS, WIDTH, vectors
from gingham.index.embedded.index import VectorIndex

index = VectorIndex.open(sys.argv[1])
print("ready", flush=True)
stored = vectors(6000, WIDTH)
for start in range(0, 6000, 100):
    batch = KEYS[start : start + 100]
    index.upsert(batch, stored[start : start + 100])
    index.set_tags("colour", {k: "red" for k in batch})
    index.delete(KEYS[start : start + 5])
    if start % 500 == 0:
        index.flush()
    if start % 1000 == 900:
        index.set_look("shape", KEYS[start + 5 : start + 50], stored[start + 5 : start + 50, :2])
        index.optimise()
"""


def test_kill_at_any_moment(tmp_path: Path) -> None:
    """After SIGKILL the index opens, holds no wrong vector, and takes everything again."""
    width = 256  # wide enough that the graph is being built at some of the moments
    (tmp_path / "tests_index_keys.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from test_index import KEYS, vectors\nWIDTH = {width}\n"
    )
    folder = tmp_path / "index"
    VectorIndex.create(folder, width).close()
    stored = vectors(6000, width)
    places = {k: i for i, k in enumerate(KEYS)}
    interrupted = 0
    for moment in np.random.default_rng(0).uniform(0, 0.8, 6):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        with VectorIndex.open(folder) as index:
            interrupted += index.interrupted
            ids = index.ids()
            np.testing.assert_array_equal(index.vectors(ids), stored[[places[k] for k in ids]])
            index.upsert(KEYS[:1500], stored[:1500])
            index.set_tags("colour", dict.fromkeys(KEYS[:1500], "blue"))
            assert index.facets()["colour"]["blue"] == 1500
            assert index.query(stored[7], 1).ids == (KEYS[7],)
            assert index.count() == len(set(ids) | set(KEYS[:1500]))
        with VectorIndex.open(folder) as index:
            assert not index.interrupted
            assert index.facets()["colour"]["blue"] == 1500
    assert interrupted
