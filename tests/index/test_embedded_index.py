"""What is particular to the index in a folder: codes, graphs, files, its lock, being killed."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gingham.errors import CatalogueBusyError, CatalogueError
from gingham.index.embedded.further import FurtherLooks
from gingham.index.embedded.graphs import Graphs
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.embedded.vectors import highest
from gingham.index.filters import parse_where
from gingham.index.index import Fill, Match, Metric, Query, Tag, Term, Upsert
from gingham.index.looks import unit
from gingham.store.ids import to_list

BIG = 3000
KEYS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(6000)]


def vectors(n: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


# Low rank, as real features are: in 1,920 dimensions at random no graph leads anywhere.
LARGE = vectors(BIG, 16, 1) @ vectors(16, 1920, 2)
LARGE[2000:2010] = LARGE[17]
SHAPE = vectors(BIG, 3, 3)
SHAPE[2900:] = 0
COLOURS = ["rare" if i % 100 == 0 else ("red", "green", "unknown")[i % 3] for i in range(BIG)]


@pytest.fixture(scope="module", params=["scanned", "graphs"])
def large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedIndex]:
    """Three thousand images of 1,920 numbers, scanned; or in graphs, and the last of them after."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "graphs":
            patched.setattr("gingham.index.embedded.vectors._COST", 0)
        most = 1000 if request.param == "graphs" else BIG
        index = EmbeddedIndex(tmp_path_factory.mktemp("large"), most_scanned=most)
        index.reset({"near": 1000, "far": 920})
        for some in (slice(0, 2600), slice(2600, BIG)):
            upserted = {"near": LARGE[some, :1000], "far": LARGE[some, 1000:]}
            index.apply([Upsert(KEYS[:BIG][some], upserted)])
            index.commit({})
        index.apply(
            [
                Tag.of("colour", dict(zip(KEYS[:BIG], COLOURS, strict=True))),
                Fill("shape", "dot", KEYS[:1500], SHAPE[:1500]),
                Fill("shape", "dot", KEYS[2899:1499:-1], SHAPE[2899:1499:-1]),
                Fill("rgb", "l1", KEYS[:BIG], SHAPE),
            ]
        )
        index.commit({})
        yield index
        index.close()


def terms(vector: NDArray[np.float32], weight: float = 1) -> list[Term]:
    return [Term("near", vector[:1000], weight), Term("far", vector[1000:], weight)]


def scan(scores: NDArray[np.floating], n: int, keep: NDArray[np.bool_]) -> list[tuple[str, float]]:
    pairs = [(KEYS[i], float(s)) for i, s in enumerate(scores) if keep[i]]
    return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:n]


@pytest.mark.parametrize("where", ["", "colour=red", "colour=rare", "colour!=red"])
@pytest.mark.parametrize("mixture", [(1, 0, 0), (0, 300, 0), (1, 300, 0), (1, 0, 600), (0, 9, 9)])
def test_query_equals_a_full_scan(
    large: EmbeddedIndex, where: str, mixture: tuple[float, float, float]
) -> None:
    filters = parse_where([where] if where else [], large.facets().attributes)
    keep = np.array([not where or (c == where.split("=")[1]) != ("!" in where) for c in COLOURS])
    built_in, shape, rgb = mixture
    for seed in range(4):
        apart = -np.abs(SHAPE - SHAPE[seed]).mean(axis=1)
        scores = built_in * (LARGE @ LARGE[seed]) + shape * (SHAPE @ SHAPE[seed]) + rgb * apart
        asked = [
            *terms(LARGE[seed], built_in),
            Term("shape", SHAPE[seed], shape),
            Term("rgb", SHAPE[seed], rgb),
        ]
        expected = scan(scores, 10, keep)
        found = large.query(Query(asked, 10, filters))
        # Vectors are rounded to 16 bits; their squared norms are about 14,000.
        within = 0.3 * built_in + 1e-4 * (shape + rgb)
        wanted = [score for _, score in expected]
        np.testing.assert_allclose([m.score for m in found], wanted, rtol=1e-4, atol=within)
        assert {match.id for match in found} == {key for key, _ in expected}
        for match in found:
            row = KEYS.index(match.id)
            parts = (
                LARGE[row, :1000] @ LARGE[seed, :1000],
                LARGE[row, 1000:] @ LARGE[seed, 1000:],
                SHAPE[row] @ SHAPE[seed],
                apart[row],
            )
            np.testing.assert_allclose(match.compared[:2], parts[:2], rtol=1e-4, atol=0.3)
            np.testing.assert_allclose(match.compared[2:], parts[2:], rtol=1e-4, atol=1e-4)


def names(found: list[Match]) -> list[str]:
    return [match.id for match in found]


@settings(deadline=None)
@given(
    scores=npst.arrays(np.float32, st.integers(1, 900), elements=st.integers(-9, 9).map(float)),
    count=st.integers(1, 12),
)
def test_the_highest_are_those_of_all(scores: NDArray[np.float32], count: int) -> None:
    places = highest(scores, count)
    assert len(set(places.tolist())) == len(places) == min(count, len(scores))
    assert scores[places].tolist() == sorted(scores.tolist(), reverse=True)[:count]


def test_equal_scores_come_in_the_order_of_ids(large: EmbeddedIndex) -> None:
    same = sorted([KEYS[17], *KEYS[2000:2010]])
    assert names(large.query(Query(terms(LARGE[17]), 5))) == same[:5]
    assert names(large.query(Query(terms(LARGE[17]), 11))) == same


def test_fewer_matches_than_asked_for(large: EmbeddedIndex) -> None:
    where = parse_where(["colour=rare"], {"colour": ["rare"]})
    assert len(large.query(Query(terms(LARGE[0]), 100, where))) == 30
    where = parse_where(["colour=blue"], {"colour": ["blue"]})
    assert large.query(Query(terms(LARGE[0]), 5, where)) == []


def test_vectors_come_back(large: EmbeddedIndex) -> None:
    found = large.vectors([KEYS[5], KEYS[2950], KEYS[5]], ["far", "shape"])
    np.testing.assert_allclose(found["far"], LARGE[[5, 2950, 5], 1000:], atol=1e-3)
    np.testing.assert_array_equal(found["shape"], SHAPE[[5, 2950, 5]])
    assert large.vectors([], ["near"])["near"].shape == (0, 1000)


def test_like_two_and_unlike_a_third_where_graphs_lead_astray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From far off a graph sees the first half alone; of a million images, ways end so."""
    found = Graphs.nearest

    def astray(
        graphs: Graphs, look: int, code: NDArray[np.int8], count: int
    ) -> tuple[NDArray[np.int64], float]:
        rows, distance = found(graphs, look, code, count)
        return (rows if distance == 0 else rows[rows < BIG // 2]), distance

    monkeypatch.setattr(Graphs, "nearest", astray)
    monkeypatch.setattr("gingham.index.embedded.vectors._COST", 0)
    monkeypatch.setattr("gingham.index.embedded.scattered._MOST", 500)
    index = EmbeddedIndex(tmp_path, most_scanned=1000)
    index.reset({"near": 1000, "far": 920})
    index.apply([Upsert(KEYS[:BIG], {"near": LARGE[:, :1000], "far": LARGE[:, 1000:]})])
    index.commit({})
    right = []
    for one in range(0, 60, 3):
        asked = unit(LARGE[one : one + 3])
        asked = asked[0] + asked[1] - asked[2] / 2
        best = {key for key, _ in scan(LARGE @ asked, 10, np.ones(BIG, bool))}
        right += [match.id in best for match in index.query(Query(terms(asked), 10))]
    index.close()
    assert np.mean(right) > 0.75  # about half, if nothing is asked for around good rows


def filled(folder: Path, count: int, most_scanned: int = BIG) -> EmbeddedIndex:
    index = EmbeddedIndex(folder, most_scanned=most_scanned)
    index.reset({"look": 2})
    index.apply([Upsert(KEYS[:count], {"look": vectors(count, 2)})])
    index.apply([Fill("rgb", "l1", KEYS[:count], vectors(count, 3))])
    index.commit({"count": count})
    return index


def test_thousands_of_values(tmp_path: Path) -> None:
    index = filled(tmp_path, 4000)
    index.apply([Tag.of("sku", {k: f"v{i % 3000}" for i, k in enumerate(KEYS[:4000])})])
    facets = index.facets().attributes["sku"]
    index.close()
    assert len(facets) == 3000
    assert list(facets.values()) == [2] * 1000 + [1] * 2000


def test_one_process_at_a_time(tmp_path: Path) -> None:
    index = EmbeddedIndex(tmp_path)
    with pytest.raises(CatalogueBusyError, match="another process"):
        EmbeddedIndex(tmp_path)
    code = f"""
    from pathlib import Path
    from gingham.index.embedded.index import EmbeddedIndex
    EmbeddedIndex(Path({str(tmp_path)!r}))
    """
    run = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(run, capture_output=True, text=True)
    assert "CatalogueBusyError" in done.stderr
    index.close()
    EmbeddedIndex(tmp_path).close()


@pytest.mark.parametrize("damage", ["table.npz", "vectors", "codes", "graphs", "directions.npz"])
def test_a_damaged_index_warns_and_is_empty(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 1500, 0).close()
    if damage.endswith(".npz"):
        (tmp_path / damage).write_bytes(b"PK\x03\x04")
    for file in (tmp_path / damage).glob("*"):
        file.write_bytes(b"{")
    index = EmbeddedIndex(tmp_path)
    assert "cannot be read" in caplog.text
    assert str(tmp_path) in caplog.text
    assert dict(index.state()) == {}
    assert index.facets().images == 0
    index.close()


def test_a_damaged_look_says_what_to_do(tmp_path: Path) -> None:
    index = filled(tmp_path, 9)
    (file,) = tmp_path.glob("looks/*")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(CatalogueError, match=r"107 bytes instead of 108.+ rebuild CATALOGUE"):
        index.query(Query([Term("rgb", vectors(1, 3)[0], 1)], 1))
    index.close()


def test_no_file_is_left_behind(tmp_path: Path) -> None:
    index = filled(tmp_path, 9)
    for seed in range(3):
        index.apply([Fill("rgb", "l1", KEYS[:9], vectors(9, 3, seed))])
    index.commit({})
    assert len(list(tmp_path.glob("looks/*"))) == 1
    index.apply([Fill("rgb", "l1", KEYS[:9], vectors(9, 3, 5))])
    index.close()
    index = EmbeddedIndex(tmp_path)
    assert len(list(tmp_path.glob("looks/*"))) == 1
    np.testing.assert_array_equal(index.vectors(KEYS[:9], ["rgb"])["rgb"], vectors(9, 3, 2))
    index.close()


def test_prints_nothing_and_exits_quietly(tmp_path: Path) -> None:
    code = f"""
    from pathlib import Path
    import numpy as np
    from gingham.index.embedded.index import EmbeddedIndex
    from gingham.index.index import Upsert
    index = EmbeddedIndex(Path({str(tmp_path)!r}))
    index.reset({{"look": 2}})
    index.apply([Upsert(["{KEYS[0]}"], {{"look": np.ones((1, 2), np.float32)}})])
    index.commit({{}})
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


WRITER = """
import sys
from pathlib import Path
from test_embedded_index import KEYS, vectors
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.index import Delete, Fill, Tag, Upsert

index = EmbeddedIndex(Path(sys.argv[1]), most_scanned=int(sys.argv[2]))
index.reset({"look": 256})
print("ready", flush=True)
stored = vectors(6000, 256)
for start in range(0, 6000, 100):
    batch = slice(start, start + 100)
    index.apply([
        Upsert(KEYS[batch], {"look": stored[batch]}),
        Tag.of("colour", dict.fromkeys(KEYS[batch], "red")),
        Fill("shape", "dot", KEYS[batch], stored[batch, :2]),
        Delete(KEYS[start : start + 5]),
    ])
    if start % 500 == 0:
        index.commit({"done": start + 100})
"""


@pytest.mark.parametrize("most_scanned", [6000, 700])
def test_kill_at_any_moment(tmp_path: Path, most_scanned: int) -> None:
    """After SIGKILL the index is as it was committed, or empty; and takes everything again."""
    folder = tmp_path / "index"
    stored = vectors(6000, 256)
    outcomes = set()
    for moment in np.random.default_rng(0).uniform(0, 0.8, 5):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder), str(most_scanned)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        index = EmbeddedIndex(folder)
        done = index.state().get("done", 0)
        outcomes.add(bool(done))
        expected = [i for i in range(done) if i % 100 >= 5]
        assert [one.hex() for one in to_list(index.held())] == sorted(KEYS[i] for i in expected)
        if done:
            found = index.vectors([KEYS[i] for i in expected], ["look", "shape"])
            np.testing.assert_allclose(found["look"], stored[expected], atol=2e-4)
            np.testing.assert_array_equal(found["shape"], stored[expected, :2])
            assert index.facets().attributes == {"colour": {"red": len(expected)}}
        index.reset({"look": 256})
        index.apply([Upsert(KEYS[:1500], {"look": stored[:1500]})])
        index.commit({})
        assert names(index.query(Query([Term("look", stored[7], 1)], 1))) == [KEYS[7]]
        index.close()
    assert False in outcomes


@pytest.mark.parametrize("metric", ["dot", "l1"])
def test_vectors_of_further_looks_are_the_same_read_one_by_one_and_at_once(
    tmp_path: Path, metric: Metric
) -> None:
    given_ = vectors(2000, 5)
    looks = FurtherLooks(tmp_path, {})
    looks.fill("look", metric, np.arange(2000), given_)
    for rows in (np.array([1999]), np.array([7, 2500, 3, 7]), np.arange(2100)[::-7]):
        expected = np.zeros((len(rows), 5), np.float32)
        expected[rows < 2000] = given_[rows[rows < 2000]]
        np.testing.assert_array_equal(looks.get("look", rows), expected)
