"""The index in Qdrant beyond its port: requests, lost servers, two clients, keys, addresses."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models
from reference_index import ReferenceIndex
from test_index import FURTHER, KEYS, LOOKS, check, upsert, vectors

from gingham.errors import CatalogueError, InputError, ServerError
from gingham.index.address import IndexAddress, parse_address
from gingham.index.checks import to_texts
from gingham.index.filters import Condition, Where
from gingham.index.index import Delete, Drop, Fill, Index, Query, Tag, Term, Untag
from gingham.index.qdrant import root
from gingham.index.qdrant.index import QdrantIndex
from gingham.index.remote import LockedError
from qdrant_server import KEY, LocalQdrant, QdrantServer

ASKED = Query([Term(look, np.ones(width, np.float32), 1) for look, width in LOOKS.items()], 3)
LOOK, (METRIC, WIDTH) = next(iter(FURTHER.items()))


def at(server: QdrantServer, rest: str = "/shop") -> IndexAddress:
    address = parse_address(server.url + rest)
    assert address is not None
    return address


def fill(index: Index) -> None:
    index.reset(LOOKS)
    index.apply([upsert([0, 1, 2]), Tag.of("colour", {KEYS[0]: "red", KEYS[1]: ["a", "b"]})])
    index.apply([Fill(LOOK, METRIC, KEYS[:2], vectors(2, WIDTH))])
    index.commit({"images": 3})


@pytest.fixture
def index(qdrant: QdrantServer) -> Iterator[QdrantIndex]:
    with closing(QdrantIndex(at(qdrant), "test", patience=5)) as index:
        fill(index)
        yield index


def seen(index: Index) -> Any:
    look = index.vectors(KEYS[:3], [*LOOKS, LOOK])
    rows = {name: found.tolist() for name, found in look.items()}
    return index.state(), index.facets(), index.query(ASKED), rows


def names(server: QdrantServer) -> list[str]:
    return sorted(one.name for one in server.held.client.get_collections().collections)


def test_a_search_is_one_request(qdrant: QdrantServer, index: QdrantIndex) -> None:
    qdrant.held.requests.clear()
    where = Where((Condition("colour", "a"), Condition("shape", "long", negated=True)))
    for query in (ASKED, Query(ASKED.terms[:1], 3), Query(ASKED.terms, 1, where)):
        assert index.query(query)
    asked = {route.rpartition("/")[2]: count for route, count in qdrant.held.requests.items()}
    # The other reads the number of the version.
    assert asked == {"batch": 3, "points": 3}


def test_what_a_shard_leaves_out_is_asked_for(local_qdrant: LocalQdrant) -> None:
    """Of several shards each gives its nearest; not every term then has a score of each."""
    address = parse_address("qdrant+http://local/shop?shards=3&replicas=3&quantization=scalar")
    assert address is not None
    rng, reference = np.random.default_rng(1), ReferenceIndex()
    queried = local_qdrant.client.query_batch_points

    def cut(name: str, requests: Any) -> Any:
        answers = queried(name, requests)
        for answer, request in zip(answers, requests, strict=True):
            if request.prefetch:
                answer.points = [one for one in answer.points if rng.random() < 0.7]
        return answers

    local_qdrant.client.query_batch_points = cut  # type: ignore[method-assign, assignment]
    with closing(QdrantIndex(address, "test", transport=local_qdrant.transport())) as index:
        for one in (reference, index):
            one.reset(LOOKS)
            one.apply([upsert(list(range(30))), Tag.of("colour", {KEYS[3]: "red"})])
            one.commit({})
        for seed in range(10):
            terms = [Term(look, vectors(1, w, seed)[0], 1 + seed) for look, w in LOOKS.items()]
            found = index.query(Query(terms, 30))
            for match in found:
                (other,) = (one for one in reference.query(Query(terms, 99)) if one.id == match.id)
                assert match.compared == pytest.approx(other.compared, abs=1e-4)
                assert dict(match.tags) == dict(other.tags)
            assert len(found) > 10
    made = local_qdrant.created["shop.1"]
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (3, 3, 2)
    assert isinstance(made.quantization_config, models.ScalarQuantization)


FAULTS: list[Any] = [
    503,
    502,
    500,
    429,
    (429, {"Retry-After": "1"}, {"status": {"error": "too many"}}),
    "tear",
    "lose",
    "hang",
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: str(one)[:12].strip("("))
def test_a_server_that_falters_costs_nothing_but_time(qdrant: QdrantServer, fault: Any) -> None:
    """Every fifth request goes wrong."""
    qdrant.hang = 1.2
    count = 0

    def now(path: str) -> bool:
        nonlocal count
        count += 1
        qdrant.faults.append(fault)
        return count % (25 if fault in ("hang", FAULTS[4]) else 5) == 0

    qdrant.faults, qdrant.fault_at = [fault], now
    with (
        closing(QdrantIndex(at(qdrant, "/other"), "test")) as plain,
        closing(QdrantIndex(at(qdrant, "/shop?timeout=1"), "test")) as index,
    ):
        expected = ReferenceIndex()
        for one in (expected, index, plain):
            fill(one)
            one.apply([upsert([2, 3]), Delete([KEYS[0]]), Tag.of("colour", {KEYS[1]: "green"})])
            one.commit({"images": 3})
        qdrant.faults = []
        check(index.query(ASKED), ASKED, expected)
        assert index.facets() == expected.facets()
        assert index.state() == {"images": 3}
        assert count > 30
        assert names(qdrant) == ["other", "other.1", "shop", "shop.1"]


CHANGES: list[Callable[[Index], None]] = [
    lambda index: index.apply([upsert([1, 3, 4])]),
    lambda index: index.apply([Delete([KEYS[0], KEYS[2]])]),
    lambda index: index.apply([Tag.of("colour", {KEYS[0]: "blue", KEYS[2]: "red"})]),
    lambda index: index.apply([Untag("colour"), Tag.of("colour", {KEYS[2]: "red"})]),
    lambda index: index.apply([Fill(LOOK, METRIC, KEYS[:3], vectors(3, WIDTH, 5))]),
    lambda index: index.apply([Drop(LOOK), Fill(LOOK, METRIC, KEYS[2:3], vectors(1, WIDTH, 5))]),
    lambda index: index.reset({"shape": 4}),
]


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_change_that_loses_its_server_nothing_is_left(
    local_qdrant: LocalQdrant, change: Callable[[Index], None]
) -> None:
    """At each of its requests in turn."""
    left = np.inf

    def fails(asked: str) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    address = parse_address("qdrant+http://local/shop")
    assert address is not None
    transport = local_qdrant.transport(fails)
    with closing(QdrantIndex(address, "test", patience=0, transport=transport)) as index:
        fill(index)
        before = seen(index)
        for most in range(1, 99):
            left = most
            try:
                change(index)
                index.commit({"images": 4})
            except ServerError as error:
                assert "cannot be reached (gone)" in str(error)  # noqa: PT017
                left = np.inf
                if index.state() == {"images": 3}:
                    assert seen(index) == before
                    continue
                # Committed; only the answer that says so was lost.
            break
        left = np.inf
        assert 10 < most < 98
        assert index.state() == {"images": 4}
        # What the other tries have left is gone.
        index.begin()
        index.commit({"images": 4})
        collections = sorted(local_qdrant.schemas)
        assert len(collections) == 2
        found, _ = local_qdrant.client.scroll(collections[1], limit=99)
        assert all("died" not in (one.payload or {}) for one in found)
        assert len(found) == index.facets().images


def test_a_server_that_is_killed_in_the_middle_of_a_build(
    qdrant: QdrantServer, index: QdrantIndex
) -> None:
    before = seen(index)
    with closing(QdrantIndex(at(qdrant), "test", patience=0.3)) as other:
        other.reset(LOOKS)
        other.apply([upsert([3, 4])])
        qdrant.kill()
        with pytest.raises(ServerError, match="cannot be reached"):
            other.apply([upsert([5])])
        qdrant.start()
        assert seen(index) == seen(other) == before
        other.apply([upsert([5])])
        other.commit({"images": 4})
        assert names(qdrant) == ["shop", "shop.1"]
    assert index.facets().images == 4


def test_of_a_killed_process_nothing_is_left(
    qdrant: QdrantServer, index: QdrantIndex, tmp_path: Path
) -> None:
    before = seen(index)
    code = f"""
        import os, sys
        sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
        from test_qdrant import *
        index = QdrantIndex(parse_address({at(qdrant).shown!r}), "test")
        index.apply([upsert([1, 5, 6]), Untag("colour"), Delete([KEYS[0]])])
        assert index.facets().images == 4
        os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == 9
    assert seen(index) == before
    assert index.begin(wait=False)  # its lock does not hold others up
    index.apply([upsert([7])])
    index.commit({"images": 4})
    assert to_texts(index.held()) == sorted(KEYS[i] for i in (0, 1, 2, 7))


def test_others_see_each_commit_as_a_whole(qdrant: QdrantServer, index: QdrantIndex) -> None:
    with closing(QdrantIndex(at(qdrant), "test")) as other:
        before = seen(other)
        index.apply([upsert([1, 3, 4]), Untag("colour"), Drop(LOOK)])
        assert index.facets().images == 5
        assert seen(other) == before
        assert not other.begin(wait=False)
        index.commit({"images": 5})
        assert len(to_texts(other.held())) == 5
        assert other.facets() == index.facets()
        assert other.state() == {"images": 5}
        with pytest.raises(InputError, match="unknown look"):
            other.vectors(KEYS[:1], [LOOK])
        assert other.begin(wait=False)
        other.reset(LOOKS)
        other.apply([upsert([7])])
        assert len(index.query(ASKED)) == 3
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(root, "LOCK", 0.1)
            with pytest.raises(LockedError, match="another process changes the index"):
                index.begin()
        other.commit({"images": 1})
        assert [match.id for match in index.query(ASKED)] == [KEYS[7]]
        assert names(qdrant) == ["shop", "shop.3"]


def test_who_does_not_renew_its_lock_is_overtaken(
    qdrant: QdrantServer, index: QdrantIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(QdrantIndex(at(qdrant), "test")) as other:
        index.apply([upsert([5])])
        assert not other.begin(wait=False)
        monkeypatch.setattr(root, "SECONDS", 0.01)
        other.begin()
        other.apply([upsert([6])])
        with pytest.raises(LockedError, match="nothing of this change is left"):
            index.apply([upsert([7])])
        other.commit({"images": 4})
        assert to_texts(index.held()) == sorted(KEYS[i] for i in (0, 1, 2, 6))


def test_a_commit_that_comes_too_late_is_refused(
    qdrant: QdrantServer, index: QdrantIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.apply([upsert([5])])
    with closing(QdrantIndex(at(qdrant), "test")) as other:
        with monkeypatch.context() as patch:
            patch.setattr(root, "SECONDS", -1.0)
            other.begin()
        other.apply([upsert([6])])
        other.commit({"images": 4})
        with pytest.raises(LockedError, match="run the command again"):
            index.commit({"images": 9})
        assert index.state() == {"images": 4}


def test_a_server_that_is_away_is_named_in_a_sentence(
    qdrant: QdrantServer, index: QdrantIndex
) -> None:
    with closing(QdrantIndex(at(qdrant), "test", patience=0.5)) as other:
        qdrant.kill()
        with pytest.raises(ServerError, match=r"127.0.0.1:\d+/shop cannot be reached"):
            other.query(ASKED)
        qdrant.start()
        assert other.query(ASKED) == index.query(ASKED)


def test_what_is_not_the_index_of_a_catalogue_is_left_alone(
    qdrant: QdrantServer, index: QdrantIndex
) -> None:
    with pytest.raises(CatalogueError, match=r"another catalogue.*qdrant\+http://HOST:6333/NAME"):
        QdrantIndex(at(qdrant), "another")
    qdrant.held.create(models.CreateCollection(vectors={}), "mine")
    with pytest.raises(CatalogueError, match=r"collection mine .* is not an index of gingham"):
        QdrantIndex(at(qdrant, "/mine"), "test")
    qdrant.held.create(models.CreateCollection(vectors={}), "shop.77")
    index.reset(LOOKS)
    index.commit({})
    assert "shop.77" in names(qdrant)


def test_a_server_that_is_too_old_is_refused(qdrant: QdrantServer) -> None:
    qdrant.held.version = "1.17.3"
    with pytest.raises(ServerError, match=r"needs Qdrant 1\.18 or newer, not 1\.17\.3"):
        QdrantIndex(at(qdrant), "test")


def test_what_is_no_qdrant_server_is_named(qdrant: QdrantServer) -> None:
    qdrant.faults = [(200, {}, "hello")] * 9
    with pytest.raises(ServerError, match="is not a Qdrant server"):
        QdrantIndex(at(qdrant), "test")


def test_keys(qdrant: QdrantServer, index: QdrantIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    qdrant.held.key = KEY
    for given in ({}, {"QDRANT_API_KEY": "wrong"}):
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ServerError, match=r"is refused.*set QDRANT_API_KEY") as refused:
            QdrantIndex(at(qdrant), "test")
        assert "wrong" not in str(refused.value)
    monkeypatch.setenv("QDRANT_API_KEY", KEY)
    with closing(QdrantIndex(at(qdrant), "test")) as other:
        assert other.facets().images == 3
        qdrant.held.read_only = True
        assert other.facets().images == 3
        assert len(other.query(ASKED)) == 3
        assert not other.begin(wait=False)
        with pytest.raises(ServerError, match="with the right to write"):
            other.begin()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("qdrant+http://", "names a host and no user"),
        ("qdrant+http://me:geheim@host", "no user.*set QDRANT_API_KEY"),
        ("qdrant+http://host:port", "names a host"),
        ("qdrant+http://host?shards=0", "shards must be at least 1 and at most 10000, got 0"),
        ("qdrant+http://host?shards=two", "shards must be a whole number, got 'two'"),
        ("qdrant+http://host?replica=2", "unknown key 'replica', did you mean 'replicas'"),
        ("qdrant+http://host?quantization=int8", "quantization must be 'none', 'scalar'"),
        ("qdrant+http://host?timeout=0.5", "timeout must be a whole number"),
        ("qdrant+http://host/a:b", "collection.* got 'a:b'"),
        ("qdrant+http://host/" + "a" * 201, "at most 200 characters"),
        ("qdrant+ftp://host/shop", "place of the index cannot be read"),
        ("qdrant://host/shop", "place of the index cannot be read"),
    ],
)
def test_what_is_no_address_is_refused(given: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        parse_address(given)
    assert "geheim" not in str(refused.value)


def test_addresses() -> None:
    address = parse_address("qdrant+https://host:443/behind/shop?shards=2&api_key=geheim")
    assert address is not None
    assert address.shown == "qdrant+https://host:443/behind/shop?shards=2"
    assert address.has_password
    assert "geheim" not in repr(address)
    assert dict(address.options) == {"shards": "2"}
    again = parse_address(address.shown)
    assert again is not None
    assert not again.has_password


def test_vectors_beyond_float16_are_refused_where_it_is_asked_for(
    local_qdrant: LocalQdrant,
) -> None:
    address = parse_address("qdrant+http://local/shop?datatype=float16&vectors=disk")
    assert address is not None
    with closing(QdrantIndex(address, "test", transport=local_qdrant.transport())) as index:
        fill(index)
        large = Fill("rgb", "l1", KEYS[:1], np.full((1, 4), 7e4, np.float32))
        with pytest.raises(InputError, match="'rgb' must be within 65,504"):
            index.apply([large])
    made: Any = local_qdrant.created["shop.1"].vectors
    assert {(one.datatype, one.on_disk) for one in made.values()} == {("float16", True)}


def test_numbers_are_sent_with_the_precision_of_float32() -> None:
    from gingham.index.qdrant.points import to_lists

    rng = np.random.default_rng(0)
    for scale in (1e-6, 1, 300):
        rows = (scale * rng.normal(size=(50, 40))).astype(np.float32)
        sent = np.array(to_lists(rows))
        assert np.abs(sent - rows).max() < 1e-7 * np.abs(rows).max()
        assert max(len(repr(number)) for number in sent.ravel().tolist()) < 18
    assert to_lists(np.zeros((1, 2), np.float32)) == [[0.0, 0.0]]
