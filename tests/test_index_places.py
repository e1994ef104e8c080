"""A catalogue whose index is in a database: the same answers, moved there and back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError, InputError, ServerError
from gingham.index.address import parse_address
from gingham.results import Hit
from helpers import run
from index_servers import IndexServer, in_postgres
from postgres_server import PASSWORD, PostgresServer


@pytest.fixture
def url(index_server: IndexServer) -> str:
    """An address with a password, of an index that is not there."""
    return index_server.url


@pytest.fixture
def plain(index_server: IndexServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same without it, which the environment gives."""
    for name, value in index_server.environment.items():
        monkeypatch.setenv(name, value)
    return index_server.plain


@pytest.fixture
def shop(tmp_path: Path, photos: Path, examples: Path, plain: str) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime(), index=plain) as made:
        made.index([photos])
        made.teach("colour", examples)
        made.tag()
        yield made


@pytest.fixture
def other(tmp_path: Path, photos: Path, examples: Path) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "embedded", runtime=FakeRuntime()) as made:
        made.index([photos])
        made.teach("colour", examples)
        made.tag()
        yield made


def ids(hits: list[Hit]) -> list[str]:
    return [hit.id for hit in hits]


def test_it_answers_as_the_one_in_the_folder(
    shop: Catalogue, other: Catalogue, photos: Path
) -> None:
    assert not (shop.folder / "index").exists()
    image = photos / "red3.jpg"
    asked: list[dict[str, Any]] = [
        {},
        {"looks": {"colour": 1.0, "attribute:colour": 0.5}},
        {"where": ["colour=red", "colour=blue"]},
        {"where": ["colour!=red"]},
        {"unlike": [photos / "blue1.jpg"]},
        {"where": ["colour=red"], "min_confidence": 0.9},
    ]
    for options in asked:
        found, expected = (one.search([image], n=40, **options) for one in (shop, other))
        assert found
        # float16 there, other 16 bits here
        there = {hit.id: hit for hit in expected}
        assert there.keys() == set(ids(found))
        for hit in found:
            assert hit.score == pytest.approx(there[hit.id].score, abs=4e-3)
            assert hit.looks == pytest.approx(there[hit.id].looks, abs=2e-3)
            assert hit.attributes == there[hit.id].attributes
    assert shop.facets() == other.facets()
    assert shop.facets(["colour!=red"]) == other.facets(["colour!=red"])
    for least in (0.5, 0.9, 0.95, 0.99, 0.999, 0.5):
        assert shop.facets(min_confidence=least) == other.facets(min_confidence=least)
    assert shop.verify() == []
    shop.remove([image])
    assert len(shop.search([photos / "red4.jpg"], n=50)) == 34


def test_processes_see_what_others_write_and_may_ask_for_different_cut_offs(
    shop: Catalogue, photos: Path, tmp_path: Path, plain: str
) -> None:
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as reader:
        assert reader.facets().images == 36
        draw(photos / "new.jpg", "red", 77)
        shop.index([photos])
        assert reader.facets().images == 37
        sure, unsure = shop.facets(min_confidence=0.999), shop.facets(min_confidence=0.1)
        assert sure != unsure
        for _ in range(3):
            assert shop.facets(min_confidence=0.999) == sure
            assert reader.facets(min_confidence=0.1) == unsure
        reader.remove([photos / "new.jpg"])
        assert shop.facets().images == 36


def test_a_server_that_is_killed_meanwhile_costs_an_answer_nothing(
    shop: Catalogue, index_server: IndexServer, photos: Path
) -> None:
    expected = ids(shop.search([photos / "red3.jpg"]))
    index_server.kill()
    index_server.start()
    assert ids(shop.search([photos / "red3.jpg"])) == expected
    draw(photos / "new.jpg", "red", 77)
    index_server.kill()
    index_server.start()
    shop.index([photos])
    assert shop.facets().images == 37


def test_no_file_of_the_catalogue_and_no_message_has_the_password(
    url: str,
    index_server: IndexServer,
    tmp_path: Path,
    photos: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG):
        with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime(), index=url) as shop:
            shop.index([photos])
            assert len(shop.search([photos / "red3.jpg"])) == 10
        with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime(), index=url) as shop:
            assert shop.facets().images == 36
        with (
            Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as shop,
            pytest.raises(ServerError, match=index_server.refused) as refused,
        ):
            shop.facets()
    assert "is not kept: set " in caplog.text
    kept = [path.read_bytes() for path in (tmp_path / "shop").rglob("*") if path.is_file()]
    for secret in index_server.secrets:
        assert secret not in caplog.text + str(refused.value)
        assert not any(secret.encode() in content for content in kept)


def test_rebuild_moves_the_index_there_and_back(
    other: Catalogue,
    plain: str,
    index_server: IndexServer,
    photos: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:

    def red(shop: Catalogue) -> set[str]:
        return set(ids(shop.search([photos / "red3.jpg"], where=["colour=red"], n=40)))

    with Catalogue.open(other.folder, runtime=FakeRuntime()) as reader:
        expected = red(reader)
        other.rebuild(index=plain)
        assert red(other) == expected
        assert red(reader) == expected
        assert json.loads((other.folder / "index.json").read_text())["index"] == plain
        with pytest.raises(CatalogueError, match=r"keeps its index at \w+.*rebuild --index"):
            Catalogue.open(other.folder, index="embedded")
        other.rebuild()
        other.rebuild(index="embedded")
        assert index_server.left in caplog.text
        assert red(other) == expected
        assert red(reader) == expected
        other.rebuild(index=plain)  # it knows its own
        assert red(other) == expected
    other.rebuild(index="embedded")
    other.rebuild(index=plain)
    assert not list((other.folder / "index").iterdir())


@pytest.mark.parametrize("index_server", ["qdrant"], indirect=True)
def test_rebuild_moves_the_index_from_one_server_to_another(
    shop: Catalogue, plain: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the command line, while another process has the catalogue open."""
    found = in_postgres(postgres)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    expected = shop.facets()
    for place in (found.plain, "embedded", plain):
        done = run("rebuild", shop.folder, "--index", place)
        assert done.returncode == 0, done.stderr
        assert json.loads(run("info", shop.folder, "--json").stdout)["index"] == place
        assert shop.facets() == expected


def test_who_may_only_read_searches(
    shop: Catalogue, photos: Path, index_server: IndexServer
) -> None:
    expected, facets = ids(shop.search([photos / "red3.jpg"], n=5)), shop.facets()
    place = index_server.reader()
    with Catalogue.open(shop.folder, runtime=FakeRuntime(), index=place) as reader:
        assert ids(reader.search([photos / "red3.jpg"], n=5)) == expected
        assert reader.facets(["colour=red"]).images == 12
        # The catalogue has one more image, which the index is told of by who may.
        draw(photos / "new.jpg", "red", 77)
        assert reader.index([photos]).added == 1
        assert ids(reader.search([photos / "red3.jpg"], n=5)) == expected
        assert reader.facets() == facets
        with pytest.raises(ServerError, match="refused"):
            reader.rebuild()


def test_two_catalogues_do_not_share_an_index(
    shop: Catalogue, other: Catalogue, plain: str, tmp_path: Path
) -> None:
    with pytest.raises(CatalogueError, match="index of another catalogue"):
        Catalogue.create(tmp_path / "new", runtime=FakeRuntime(), index=plain)
    assert not (tmp_path / "new").exists()
    with pytest.raises(CatalogueError, match="index of another catalogue"):
        other.rebuild(index=plain)
    assert other.facets().images == shop.facets().images == 36


@pytest.mark.parametrize("index_server", ["postgresql"], indirect=True)
def test_the_command_line_keeps_it_and_says_where_it_is(
    tmp_path: Path, photos: Path, plain: str, url: str
) -> None:
    for wrong in (
        "postgres",
        "mysql://a:geheim@b/c",
        "postgresql:/geheim",
        "postgresql://a#geheim",
    ):
        done = run("index", tmp_path / "none", photos, "--index", wrong)
        assert done.returncode == 2
        assert "place of the index cannot be read: give embedded" in done.stderr
        assert "geheim" not in done.stderr
    assert not (tmp_path / "none").exists()
    shop = tmp_path / "shop"
    done = run("index", shop, photos, "--index", url, env={"PGPASSWORD": ""})
    assert done.returncode == 0, done.stderr
    assert "is not kept: set PGPASSWORD" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout
    done = run("search", shop, photos / "red3.jpg", "--json", "-n", "3")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    assert f"index at {plain}" in run("info", shop).stdout
    assert json.loads(run("info", shop, "--json").stdout)["index"] == plain
    done = run("index", shop, photos, "--index", "embedded")
    assert (done.returncode, "rebuild --index" in done.stderr) == (2, True)
    assert run("rebuild", shop, "--index", "embedded").returncode == 0
    assert "index in the catalogue's folder" in run("info", shop).stdout


@pytest.mark.parametrize(
    ("given", "shown", "client", "options"),
    [
        ("postgres://h/d", "postgresql://h/d", "postgres://h/d", {}),
        (
            "postgresql://u:p%40@h:1,i:2/d?schema=a%20b&sslmode=require&password=x",
            "postgresql://u@h:1,i:2/d?schema=a%20b&sslmode=require",
            "postgresql://u:p%40@h:1,i:2/d?sslmode=require&password=x",
            {"schema": "a b"},
        ),
        (
            "postgresql:///d?host=/run/postgresql",
            "postgresql:///d?host=/run/postgresql",
            "postgresql:///d?host=/run/postgresql",
            {},
        ),
    ],
)
def test_addresses(given: str, shown: str, client: str, options: dict[str, str]) -> None:
    address = parse_address(given)
    assert address is not None
    assert (address.shown, address.client, address.options) == (shown, client, options)
    assert address.has_password == ("p%40" in given)
    assert "p%40" not in repr(address)
    assert parse_address(address.shown) is not None


@pytest.mark.parametrize(
    "given", ["", "postgresql:h", "mongo://h", "postgresql://h/d?schema", "postgresql://h/\n"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="place of the index cannot be read"):
        parse_address(given)
