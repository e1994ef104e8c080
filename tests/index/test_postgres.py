"""The index in PostgreSQL beyond its port: lost servers, two clients, views, passwords."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import psycopg
import pytest
from test_index import FURTHER, KEYS, LOOKS, upsert, vectors

from gingham.errors import CatalogueError, InputError, ServerError
from gingham.index.address import IndexAddress, parse_address
from gingham.index.checks import to_texts
from gingham.index.index import Drop, Fill, Query, Tag, Term, Untag
from gingham.index.postgres.index import PostgresIndex
from gingham.index.remote import LockedError
from postgres_server import PASSWORD, PostgresServer

ASKED = Query([Term("colour", np.ones(3, np.float32), 1)], 3)


@pytest.fixture
def address(postgres: PostgresServer, request: pytest.FixtureRequest) -> IndexAddress:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    found = parse_address(postgres.url(f'A "{name}"'))
    assert found is not None
    return found


@pytest.fixture
def index(address: IndexAddress) -> Iterator[PostgresIndex]:
    with closing(PostgresIndex(address, "test")) as index:
        index.reset(LOOKS)
        index.apply([upsert([0, 1, 2]), Tag.of("colour", {KEYS[0]: "red", KEYS[1]: ["a", "b"]})])
        index.commit({"images": 3})
        yield index


def test_a_killed_server_that_is_started_again_is_asked_again(
    postgres: PostgresServer, index: PostgresIndex
) -> None:
    found, facets = index.query(ASKED), index.facets()
    postgres.kill()
    postgres.start()
    assert index.query(ASKED) == found
    postgres.kill()
    postgres.start()
    assert index.state() == {"images": 3}
    assert index.facets() == facets


def test_of_a_change_that_loses_its_server_nothing_is_left(
    postgres: PostgresServer, index: PostgresIndex
) -> None:
    facets = index.facets()
    index.apply([upsert([3, 4]), Untag("colour")])
    assert index.facets().images == 5
    postgres.kill()
    postgres.start()
    with pytest.raises(ServerError, match="nothing of that is left: run the command again"):
        index.apply([upsert([5])])
    assert index.state() == {"images": 3}
    assert index.facets() == facets
    index.apply([upsert([5])])
    index.commit({"images": 4})
    assert len(to_texts(index.held())) == 4


def test_a_server_that_does_not_answer_is_named_without_the_password(
    postgres: PostgresServer, index: PostgresIndex, address: IndexAddress
) -> None:
    with closing(PostgresIndex(address, "test", patience=0.5)) as other:
        postgres.kill()
        try:
            with pytest.raises(
                ServerError, match=r"gingham@127.0.0.1.* cannot be reached"
            ) as refused:
                other.query(ASKED)
        finally:
            postgres.start()
        assert PASSWORD not in str(refused.value)
        assert other.query(ASKED) == index.query(ASKED)


def test_others_see_each_commit_as_a_whole(address: IndexAddress, index: PostgresIndex) -> None:
    with closing(PostgresIndex(address, "test")) as other:
        before = other.query(ASKED), other.facets()
        look, (metric, width) = next(iter(FURTHER.items()))
        index.apply([upsert([3, 4]), Untag("colour")])
        index.apply([Fill(look, metric, KEYS[:5], vectors(5, width))])
        assert index.facets().images == 5
        assert (other.query(ASKED), other.facets()) == before
        assert not other.begin(wait=False)
        index.commit({"images": 5})
        # It knew tables that are gone.
        assert len(to_texts(other.held())) == 5
        assert other.facets() == index.facets()
        assert other.state() == {"images": 5}
        assert other.begin(wait=False)
        other.apply([Drop(look)])
        with pytest.raises(LockedError, match="another process changes the index"):
            _begin_impatiently(index)
        other.commit({"images": 6})
        with pytest.raises(InputError, match="unknown look"):
            index.query(Query([Term(look, np.ones(width, np.float32), 1)], 1))


def _begin_impatiently(index: PostgresIndex) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gingham.index.postgres.connection.LOCK", 1)
        index.begin()


def test_a_reset_keeps_others_searching_until_it_is_committed(
    address: IndexAddress, index: PostgresIndex
) -> None:
    with closing(PostgresIndex(address, "test")) as other:
        found = other.query(ASKED)
        index.reset(LOOKS)
        index.apply([upsert([7])])
        assert other.query(ASKED) == found
        index.commit({})
        assert [match.id for match in other.query(ASKED)] == [KEYS[7]]


def test_users_ask_views_of_images_and_tags(
    postgres: PostgresServer, address: IndexAddress, index: PostgresIndex
) -> None:
    hidden = "colour\x1fcut 0.5"
    index.apply([Tag.of("Größe", {KEYS[2]: "XL"}), Tag.of(hidden, {KEYS[2]: "red"})])
    index.commit({})
    schema = psycopg.sql.Identifier(address.options["schema"])
    with psycopg.connect(address.client, autocommit=True) as user:

        def ask(statement: str) -> list[Any]:
            return user.execute(psycopg.sql.SQL(statement).format(schema)).fetchall()

        sizes = "SELECT image FROM {}.images WHERE 'XL' = ANY(\"Größe\")"
        assert ask(sizes) == [(KEYS[2],)]
        counted = "SELECT attribute, value, count(*) FROM {}.tags GROUP BY 1, 2 ORDER BY 1, 2"
        expected = [("Größe", "XL", 1), *(("colour", value, 1) for value in ("a", "b", "red"))]
        assert ask(counted) == expected
        # A grant and a view of the user's outlive what the index does.
        user.execute("DROP ROLE IF EXISTS reader")
        user.execute("CREATE ROLE reader")
        ask_for = "GRANT USAGE ON SCHEMA {0} TO reader; GRANT SELECT ON {0}.images TO reader"
        user.execute(psycopg.sql.SQL(ask_for).format(schema))
        index.apply([Untag("colour")])
        index.commit({})
        index.reset(LOOKS)
        index.apply([upsert([8])])
        index.commit({})
        user.execute("SET ROLE reader")
        assert ask("SELECT image, colour FROM {}.images") == [(KEYS[8], None)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask("SELECT * FROM {}.about")
        user.execute("RESET ROLE")


def test_a_long_query_of_a_user_holds_up_nobody(
    address: IndexAddress, index: PostgresIndex
) -> None:
    schema = psycopg.sql.Identifier(address.options["schema"])
    with psycopg.connect(address.client) as user:
        ask = psycopg.sql.SQL("SELECT count(*) FROM {}.images").format(schema)
        assert user.execute(ask).fetchone() == (3,)  # the transaction goes on
        index.reset(LOOKS)
        index.apply([upsert([7])])
        index.commit({})
        assert to_texts(index.held()) == [KEYS[7]]
        assert user.execute(ask).fetchone() == (3,)
        user.commit()
        index.apply([upsert([8])])
        index.commit({})
        assert user.execute(ask).fetchone() == (2,)


def test_the_index_of_another_catalogue_is_left_alone(
    address: IndexAddress, index: PostgresIndex
) -> None:
    with pytest.raises(CatalogueError, match=r"holds the index of another.*\?schema=NAME"):
        PostgresIndex(address, "another")
    assert len(to_texts(index.held())) == 3


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ("gingham:wrong", "password authentication failed.*set PGPASSWORD"),
        ("gingham", "no password supplied.*set PGPASSWORD"),
    ],
)
def test_a_wrong_password_is_refused_at_once(
    postgres: PostgresServer, login: str, words: str
) -> None:
    address = parse_address(postgres.url("any", login))
    assert address is not None
    with pytest.raises(ServerError, match=words):
        PostgresIndex(address, "test")


def test_a_user_without_rights_is_told_which_are_missing(
    postgres: PostgresServer, address: IndexAddress
) -> None:
    with psycopg.connect(address.client, autocommit=True) as user:
        user.execute("DROP ROLE IF EXISTS weak")
        user.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
    weak = parse_address(postgres.url("forbidden", "weak:weak"))
    assert weak is not None
    with pytest.raises(ServerError, match=r"permission denied.*grant the user CREATE"):
        PostgresIndex(weak, "test")


def test_vectors_beyond_float16_are_refused(index: PostgresIndex) -> None:
    with pytest.raises(InputError, match="'rgb' must be within 65,504"):
        index.apply([Fill("rgb", "l1", KEYS[:1], np.full((1, 4), 7e4, np.float32))])


def test_many_graphs_find_what_a_scan_finds(address: IndexAddress) -> None:
    """With filters that leave many, a few and hardly any, among mixed looks."""
    rng = np.random.default_rng(3)
    count, widths = 3_000, {"colour": 24, "texture": 16}
    keys = [hashlib.sha256(f"many {i}".encode()).hexdigest() for i in range(count)]
    stored = {}
    for look, width in widths.items():
        rows = (
            rng.normal(size=(count, width))
            + 3 * rng.normal(size=(40, width))[rng.integers(0, 40, count)]
        )
        stored[look] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)
    from gingham.index.filters import Condition, Where
    from gingham.index.index import Upsert

    drawn = rng.random(count)
    tags = np.select([drawn < 0.002, drawn < 0.1, drawn < 0.9], ["rare", "some", "most"], "rest")
    exact = {look: rows.astype(np.float32) for look, rows in stored.items()}
    with closing(PostgresIndex(address, "test", most_scanned=0)) as index:
        index.reset(widths)
        index.apply([Upsert(keys, exact), Tag.of("kind", dict(zip(keys, tags, strict=True)))])
        index.commit({})
        right, asked = 0, 0
        for i in range(20):
            weights = rng.random(2)
            terms = [
                Term(look, exact[look][i], float(weight))
                for look, weight in zip(widths, weights, strict=True)
            ]
            scores = sum(
                weight * (exact[look] @ exact[look][i])
                for look, weight in zip(widths, weights, strict=True)
            )
            for kind in ("rare", "some", "most", None):
                mask = np.ones(count, bool) if kind is None else tags == kind
                where = Where(() if kind is None else (Condition("kind", kind),))
                found = index.query(Query(terms, 10, where))
                best = np.sort(scores[mask])[::-1][:10]
                assert len(found) == len(best)
                right += sum(match.score >= best[-1] - 1e-3 for match in found)
                asked += len(best)
        assert right >= 0.98 * asked
