"""What every implementation of the port `Index` must do; a new one joins `IMPLEMENTATIONS`."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference_index import ReferenceIndex

from gingham.errors import InputError, ShapeError
from gingham.index.address import parse_address
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.filters import Condition, Where
from gingham.index.index import (
    Change,
    Delete,
    Drop,
    Fill,
    Index,
    Match,
    Metric,
    Query,
    Tag,
    Term,
    Untag,
    Upsert,
)
from gingham.store.ids import from_list, to_list

Opening = Callable[[Path], Index]


def in_folder(request: pytest.FixtureRequest, most_scanned: int = 50_000) -> Opening:
    return partial(EmbeddedIndex, most_scanned=most_scanned)


def in_postgres(request: pytest.FixtureRequest, most_scanned: int = 1_000_000) -> Opening:
    server = request.getfixturevalue("postgres")
    from gingham.index.postgres.index import PostgresIndex

    def opened(place: Path) -> Index:
        address = parse_address(server.url(_named(place)))
        assert address is not None
        return PostgresIndex(address, "test", most_scanned=most_scanned)

    return opened


def in_qdrant(request: pytest.FixtureRequest) -> Opening:
    """In the local mode of Qdrant's client, behind the requests that a server would get."""
    held = request.getfixturevalue("local_qdrant")
    from gingham.index.qdrant.index import QdrantIndex

    def opened(place: Path) -> Index:
        address = parse_address(f"qdrant+http://local/{_named(place)}")
        assert address is not None
        return QdrantIndex(address, "test", transport=held.transport())

    return opened


def in_qdrant_server(request: pytest.FixtureRequest) -> Opening:
    url = request.getfixturevalue("qdrant_url")
    from gingham.index.qdrant.index import QdrantIndex

    def opened(place: Path) -> Index:
        address = parse_address(url(f"test-{_named(place)}"))
        assert address is not None
        return QdrantIndex(address, "test")

    return opened


def _named(place: Path) -> str:
    return hashlib.sha256(str(place).encode()).hexdigest()[:20]


IMPLEMENTATIONS: dict[str, Callable[[pytest.FixtureRequest], Opening]] = {
    "scanned": in_folder,
    "graph": partial(in_folder, most_scanned=0),
    "postgres, scanned": in_postgres,
    "postgres, graph": partial(in_postgres, most_scanned=0),
    "qdrant, local": in_qdrant,
    "qdrant, server": in_qdrant_server,
}
"""Each opens the index at a place again after `close`, and makes one where there is none."""

LOOKS = {"colour": 3, "texture": 2}
FURTHER: dict[str, tuple[Metric, int]] = {"attribute:../ткань": ("dot", 2), "rgb": ("l1", 4)}
WIDTHS = LOOKS | {look: width for look, (_, width) in FURTHER.items()}
KEYS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(30)]


@pytest.fixture(params=IMPLEMENTATIONS)
def opened(request: pytest.FixtureRequest) -> Opening:
    return IMPLEMENTATIONS[request.param](request)


@pytest.fixture
def index(opened: Opening, tmp_path: Path) -> Iterator[Index]:
    index = opened(tmp_path / "index")
    index.reset(LOOKS)
    yield index
    index.close()


def vectors(n: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    # Few different numbers: equal scores, zeros and opposite vectors are common.
    rng = np.random.default_rng(seed)
    return (rng.integers(-2, 3, (n, width)) / 2).astype(np.float32)


def upsert(ids: list[int], seed: int = 0) -> Upsert:
    return Upsert(
        [KEYS[i] for i in ids], {look: vectors(len(ids), w, seed) for look, w in LOOKS.items()}
    )


NAMES = ("colour", "sleeve length", "a.b=c!", "ткань", "Colour")
VALUES = ("red", "unknown", "a=b", "é\n", "0")
values = st.sampled_from(VALUES)
numbers = st.integers(0, len(KEYS) - 1)
seeds = st.integers(0, 9)


@st.composite
def changes(draw: st.DrawFn, there: set[int]) -> Change:
    """Draw a change of an index that holds some images, and keep track of them."""
    some = draw(st.lists(st.sampled_from(sorted(there)), unique=True)) if there else []
    match draw(st.sampled_from(("upsert", "upsert", "delete", "tag", "untag", "fill", "drop"))):
        case "upsert":
            ids = draw(st.lists(numbers, max_size=8, unique=True))
            there.update(ids)
            return upsert(ids, draw(seeds))
        case "delete":
            ids = draw(st.lists(numbers, max_size=4))
            there.difference_update(ids)
            return Delete([KEYS[i] for i in ids])
        case "tag":
            tag = values | st.lists(values, max_size=3)
            return Tag.of(draw(st.sampled_from(NAMES)), {KEYS[i]: draw(tag) for i in some})
        case "untag":
            return Untag(draw(st.sampled_from(NAMES)))
        case "fill":
            look = draw(st.sampled_from(sorted(FURTHER)))
            metric, width = FURTHER[look]
            rows = vectors(len(some), width, draw(seeds))
            return Fill(look, metric, [KEYS[i] for i in some], rows)
        case _:
            return Drop(draw(st.sampled_from(sorted(FURTHER))))


def in_arrays(change: Change) -> Change:
    if isinstance(change, Untag | Drop):
        return change
    return replace(change, ids=from_list(map(bytes.fromhex, change.ids)))


conditions = st.builds(Condition, st.sampled_from(NAMES), values, st.booleans())
wheres = st.builds(Where, st.lists(conditions, max_size=4).map(tuple))


@st.composite
def queries(draw: st.DrawFn, looks: list[str]) -> Query:
    terms = [
        Term(look, vectors(1, WIDTHS[look], draw(seeds))[0], draw(st.floats(0, 4, width=16)))
        for look in draw(st.lists(st.sampled_from(looks), max_size=4))
    ]
    floor = draw(st.just(-np.inf) | st.floats(-4, 4))
    without = draw(st.lists(st.sampled_from(KEYS), max_size=5))
    return Query(terms, draw(st.integers(1, 40)), draw(wheres), floor, without)


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_agrees_with_the_reference(
    opened: Opening, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("index")
    reference, index = ReferenceIndex(), opened(folder)
    assert dict(index.state()) == {}
    there: set[int] = set()
    further: set[str] = set()
    try:
        for one in (reference, index):
            one.reset(LOOKS)
        for turn in range(data.draw(st.integers(1, 5))):
            for _ in range(data.draw(st.integers(0, 4))):
                change = data.draw(changes(there))
                further |= {change.look} if isinstance(change, Fill) else set()
                further -= {change.look} if isinstance(change, Drop) else set()
                reference.apply([change])
                index.apply([change if data.draw(st.booleans()) else in_arrays(change)])
            if data.draw(st.booleans()):
                for one in (reference, index):
                    one.commit({"turn": turn, "of": {"colour": ["ü", None]}})
                index.close()
                index = opened(folder)
        assert dict(index.state()) == dict(reference.state())
        where = data.draw(wheres)
        assert to_list(index.held(where)) == to_list(reference.held(where))
        assert index.facets(where) == reference.facets(where)
        for counts in index.facets(where).attributes.values():
            assert list(counts.values()) == sorted(counts.values(), reverse=True)
        looks = [*LOOKS, *sorted(further)]
        ids = [KEYS[i] for i in sorted(there)]
        for look, rows in index.vectors(ids, looks).items():
            assert rows.shape == (len(ids), WIDTHS[look])
            if ids:
                np.testing.assert_array_equal(rows, reference.vectors(ids, [look])[look])
        query = data.draw(queries(looks))
        check(index.query(query), query, reference)
    finally:
        index.close()


def check(found: list[Match], query: Query, reference: Index) -> None:
    """Hold matches against a plain scan; scores may be rounded otherwise, by 1e-4."""
    every = reference.query(Query(query.terms, len(KEYS) + 1, query.where, without=query.without))
    expected = {match.id: match for match in every}
    for match in found:
        other = expected.pop(match.id)
        assert match.score == pytest.approx(other.score, abs=1e-4)
        assert match.compared == pytest.approx(other.compared, abs=1e-4)
        assert dict(match.tags) == dict(other.tags)
        assert match.score >= query.min_score
    assert found == sorted(found, key=lambda match: (-match.score, match.id))
    assert len(found) <= query.n
    floor = found[-1].score if len(found) == query.n else query.min_score
    assert all(match.score <= floor + 1e-4 for match in expected.values())


def test_what_was_not_committed_is_whole_or_gone(opened: Opening, tmp_path: Path) -> None:
    look, (metric, width) = next(iter(FURTHER.items()))
    for last in (
        upsert([3]),
        Delete([KEYS[0]]),
        Tag.of("colour", {KEYS[0]: "blue"}),
        Untag("colour"),
        Fill(look, metric, [KEYS[0]], vectors(1, width, 5)),
        Drop(look),
    ):
        reference, index = ReferenceIndex(), opened(tmp_path)
        for one in (reference, index):
            one.reset(LOOKS)
            one.apply([upsert([0, 1, 2]), Tag.of("colour", {KEYS[0]: "red"})])
            one.apply([Fill(look, metric, KEYS[:3], vectors(3, width))])
            one.commit({"last": str(last)})
        index.apply([last])
        index.close()
        index = opened(tmp_path)
        if index.state():
            assert dict(index.state()) == {"last": str(last)}
            assert index.facets() == reference.facets()
            found, expected = (one.vectors(KEYS[:3], [*LOOKS, look]) for one in (index, reference))
            for name, rows in expected.items():
                np.testing.assert_array_equal(found[name], rows)
        else:
            assert len(index.held()) == 0
        index.close()


def test_equal_scores_come_in_the_order_of_ids(index: Index) -> None:
    index.apply([Upsert(KEYS, {look: np.ones((30, w), np.float32) for look, w in LOOKS.items()})])
    found = index.query(Query([Term("colour", np.ones(3, np.float32), 1)], 7))
    assert [match.id for match in found] == sorted(KEYS)[:7]


def test_a_look_can_be_made_of_no_image(index: Index) -> None:
    index.apply([upsert([0, 1, 2]), Fill("words", "dot", [], np.empty((0, 4), np.float32))])
    index.commit({})
    found = index.query(Query([Term("words", np.ones(4, np.float32), 1.0)], 3))
    assert [match.score for match in found] == [0, 0, 0]
    assert not index.vectors(KEYS[:2], ["words"])["words"].any()
    index.apply([Fill("words", "dot", KEYS[1:2], np.ones((1, 4), np.float32))])
    (best,) = index.query(Query([Term("words", np.ones(4, np.float32), 1.0)], 1))
    assert (best.id, best.score) == (KEYS[1], 4)


def test_reset_forgets_everything(index: Index) -> None:
    look, (metric, width) = next(iter(FURTHER.items()))
    index.apply([upsert([0]), Tag.of("colour", {KEYS[0]: "red"})])
    index.apply([Fill(look, metric, KEYS[:1], vectors(1, width))])
    index.commit({"images": 1})
    index.reset({"shape": 5})
    assert dict(index.state()) == {}
    assert index.facets().images == 0
    assert index.facets().attributes == {}
    index.apply([Upsert(KEYS[:1], {"shape": vectors(1, 5)})])
    assert index.facets().attributes == {}
    for gone in (look, "colour"):
        with pytest.raises(InputError, match="unknown look"):
            index.query(Query([Term(gone, vectors(1, WIDTHS[gone])[0], 1)], 1))


def test_bad_changes_are_refused(index: Index) -> None:
    good = upsert([0])
    metric, width = FURTHER["rgb"]
    refused: list[tuple[Change, type[Exception], str]] = [
        (Upsert(KEYS[:1], {**good.vectors, "colour": vectors(1, 2)}), ShapeError, r"\(1, 3\)"),
        (Upsert(KEYS[:1], {"colour": vectors(1, 3)}), InputError, "colour.*texture"),
        (
            Upsert(KEYS[:1], {**good.vectors, "colour": np.full((1, 3), np.nan, np.float32)}),
            InputError,
            "finite",
        ),
        (Upsert(["ABC"], good.vectors), InputError, "64 lower-case hex characters, got 'ABC'"),
        (Upsert([KEYS[0]] * 2, upsert([0, 1]).vectors), InputError, "1 are repeated"),
        (Tag.of("colour", {KEYS[0]: "red"}), InputError, f"{KEYS[0]}' is not in the index"),
        (Fill("rgb", metric, KEYS[:1], vectors(1, width)), InputError, "is not in the index"),
        (in_arrays(Tag.of("colour", {KEYS[0]: "red"})), InputError, f"{KEYS[0]}' is not in the"),
    ]
    for change, error, words in refused:
        with pytest.raises(error, match=words):
            index.apply([change])
    assert len(index.held()) == 0
    index.apply([good, Fill("rgb", metric, KEYS[:1], vectors(1, width))])
    texts = (("", "red"), ("colour", ""), ("c\udcff", "red"), ("c", "\udcff"))
    refused = [(Tag.of(name, {KEYS[0]: value}), InputError, "text") for name, value in texts]
    refused += [
        (Fill("rgb", metric, KEYS[:1], vectors(1, width + 1)), ShapeError, rf"\(1, {width}\)"),
        (Fill("colour", "dot", KEYS[:1], vectors(1, 3)), InputError, "'colour' is built in"),
        (Fill("", "dot", KEYS[:1], vectors(1, 3)), InputError, "text"),
        (Fill("l", "dot", KEYS[:1], np.full((1, 3), np.inf, np.float32)), InputError, "finite"),
    ]
    for change, error, words in refused:
        with pytest.raises(error, match=words):
            index.apply([change])
    assert index.facets().attributes == {}


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"n": 0}, InputError, "n must be at least 1, got 0"),
        ({"min_score": float("nan")}, InputError, "min_score"),
        ({"terms": [Term("shape", vectors(1, 3)[0], 1)]}, InputError, "unknown look 'shape'"),
        ({"terms": [Term("colour", vectors(1, 2)[0], 1)]}, ShapeError, r"'colour'.*\(3,\)"),
        ({"terms": [Term("colour", vectors(1, 3)[0], np.inf)]}, InputError, "finite, got inf"),
    ],
)
def test_bad_queries_are_refused(
    index: Index, changed: dict[str, Any], error: type[Exception], words: str
) -> None:
    index.apply([upsert([0])])
    good: dict[str, Any] = {"terms": [Term("colour", vectors(1, 3)[0], 1)], "n": 1}
    assert len(index.query(Query(**good))) == 1
    with pytest.raises(error, match=words):
        index.query(Query(**(good | changed)))
    with pytest.raises(InputError, match="is not in the index"):
        index.vectors(KEYS[1:2], ["colour"])
    with pytest.raises(InputError, match="unknown look"):
        index.vectors(KEYS[:1], ["shape"])


@pytest.mark.parametrize("looks", [{}, {"colour": 0}])
def test_an_index_needs_looks(index: Index, looks: dict[str, int]) -> None:
    with pytest.raises(InputError, match="looks"):
        index.reset(looks)
