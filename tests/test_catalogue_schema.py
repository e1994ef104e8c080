"""A schema that is kept with a catalogue: tag, facets, search, predict, export follow it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.cli.options import app
from gingham.errors import InputError
from gingham.schema.schema import Schema

TEXT = """
[attributes.colour]
translations = { de = ["Farbe"] }
[attributes.colour.values.any]
[attributes.colour.values.warm]
parent = "any"
[attributes.colour.values.red]
parent = "warm"
synonyms = ["crimson"]
translations = { de = ["Rot"] }
[attributes.colour.values.green]
parent = "any"

[attributes.pattern]
when = { colour = ["warm"] }
"""
MOVED = [
    f"{one} is below {other}, was below none"
    for one, other in (("green", "any"), ("red", "warm"), ("warm", "any"))
]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Catalogue]:
    """Twelve photos, red, green and blue, half of them striped; tagged before there is a schema."""
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as made:
        colours, patterns = {}, {}
        for number in range(12):
            colour, striped = ("red", "green", "blue")[number % 3], number % 2 == 1
            path = draw(tmp_path / "photos" / f"{number}.jpg", colour, number, striped=striped)
            colours[str(path)], patterns[str(path)] = colour, "striped" if striped else "plain"
        made.index([tmp_path / "photos"])
        made.teach("colour", colours, views=False)
        made.teach("pattern", patterns, views=False)
        made.tag(["colour", "pattern"])
        (tmp_path / "schema.toml").write_text(TEXT)
        yield made


def test_everything_follows_it(shop: Catalogue, tmp_path: Path) -> None:
    assert shop.schema == Schema()
    before = shop.facets()
    assert before.attributes["colour"] == {"red": 4, "green": 4, "blue": 4}
    hits = shop.search(where=["pattern=plain", "pattern=striped"], n=12)
    pattern = {Path(hit.image).stem: hit.attributes["pattern"] for hit in hits}
    assert len(pattern) == 12

    untagged = shop.set_schema(tmp_path / "schema.toml")
    assert untagged == {"colour": MOVED}, "its tags have no levels yet"
    assert shop.set_schema(tmp_path / "schema.toml") == {}
    assert [one.verb for one in shop.history(n=2)] == ["schema", "teach"], "set once"
    assert shop.history(n=1)[0].summary == "set the schema"
    assert not shop.history(n=1)[0].undoable
    assert "colour" not in shop.facets().attributes

    counts = shop.tag().attributes
    assert counts["colour"] == {
        **{"any": 8, "warm": 4, "red": 4, "green": 4, "blue": 4, "unknown": 0},
    }
    assert counts["pattern"]["not applicable"] == 8
    facets = shop.facets().attributes
    assert facets["colour"] == {"any": 8, "warm": 4, "red": 4, "green": 4, "blue": 4}
    assert facets["pattern"]["not applicable"] == 8
    assert sum(facets["pattern"].values()) == 12
    assert shop.facets(["Farbe=Rot"]).images == shop.facets(["colour=warm"]).images == 4
    assert shop.facets(["colour!=any"]).attributes["colour"] == {"blue": 4}
    assert shop.facets(["pattern=not applicable"]).attributes["colour"]["green"] == 4

    for hit in shop.search(where=["colour=any"], n=12):
        red = hit.attributes["colour"] == "red"
        assert hit.attributes["colour"] in ("red", "green"), "the deepest alone"
        expected = pattern[Path(hit.image).stem] if red else "not applicable"
        assert hit.attributes["pattern"] == expected
    with pytest.raises(InputError, match="no image has colour 'Gelb'"):
        shop.search(where=["Farbe=Gelb"])

    photos = [tmp_path / "photos" / f"{number}.jpg" for number in range(3)]
    for found, colour in zip(shop.predict(photos), ("red", "green", "blue"), strict=True):
        assert found.predictions["colour"].value == colour
        assert found.predictions["pattern"].applies == (colour == "red")
    # What decides is asked, too, where it is not asked for.
    (alone,) = shop.predict(photos[1:2], attributes=["pattern"])
    assert alone.predictions.keys() == {"pattern"}
    assert not alone.predictions["pattern"].applies
    (raw,) = shop.predict(photos[1:2], attributes=["pattern"], model=shop.taught)
    assert raw.predictions["pattern"].applies

    shop.export(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            assert (row["pattern"] == "not applicable") == (row["colour"] != "red")
            assert (row["pattern_confidence"] == "") == (row["colour"] != "red")
    assert shop.sheet(tmp_path / "sheet.html", "pattern", n=16) == 4
    assert all(one.value == "red" or one.example for one in shop.review("colour").items)
    assert len(shop.review("pattern", order="random").items) == 0, "all are examples"


def test_levels_that_are_sure(shop: Catalogue, tmp_path: Path) -> None:
    shop.set_schema(tmp_path / "schema.toml")
    shop.tag()
    everything = shop.facets(min_confidence=0.0).attributes["colour"]
    assert everything == shop.facets().attributes["colour"]
    # Where not even the leaves are sure, what is above them may be: their probabilities add up.
    (one,) = shop.predict([tmp_path / "photos" / "0.jpg"], attributes=["colour"])
    confidence = one.predictions["colour"].confidence
    assert confidence is not None
    hard = min(1.0, confidence + 1e-6)
    cut = shop.facets(min_confidence=hard).attributes["colour"]
    (found,) = shop.predict([tmp_path / "photos" / "0.jpg"], min_confidence=hard)
    said = found.predictions["colour"]
    assert said.value in ("warm", "any", None)
    assert cut.get("red", 0) < 4
    ids = {Path(files[0]).stem: image for image, files in shop.images().items()}
    hits = shop.search(where=[f"colour={said.value or 'unknown'}"], n=12, min_confidence=hard)
    assert ids["0"] in {hit.id for hit in hits}
    # At a precision nothing is known of the levels above: they must be as sure as that.
    at = shop.facets(at_precision=0.9).attributes["colour"]
    assert at["any"] >= at["warm"] >= at.get("red", 0)


def test_it_is_kept_and_seen_by_others(shop: Catalogue, tmp_path: Path) -> None:
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as other:
        assert not other.schema.attributes
        shop.set_schema(tmp_path / "schema.toml")
        assert other.schema == shop.schema == Schema.read(tmp_path / "schema.toml")
        shop.tag()
        assert other.facets().attributes == shop.facets().attributes
        # Images that come later are found by their levels once they are tagged.
        draw(tmp_path / "more" / "later.jpg", "red", 40)
        shop.index([tmp_path / "more"])
        assert other.facets(["colour=warm"]).images == 4
        shop.tag()
        assert other.facets(["colour=warm"]).images == 5
        assert shop.verify() == []
        shop.rebuild()
        assert other.facets(["colour=warm"]).images == 5
        shop.set_schema(Schema())
        assert "warm" not in other.facets().attributes.get("colour", {})
        assert other.facets().attributes["pattern"].get("not applicable") is None
    damaged = next((tmp_path / "shop" / "schema").iterdir())
    damaged.write_bytes(b"nothing")
    assert "schema/00000000.parquet is damaged" in shop.verify()[0]


def test_the_command_sets_and_prints_it(shop: Catalogue, tmp_path: Path) -> None:
    def run(*args: str | Path) -> str:
        done = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    place = tmp_path / "shop"
    assert run("schema", place) == ""
    said = run("schema", place, tmp_path / "schema.toml")
    assert "2 attributes" in said
    assert f"run gingham tag {place} colour:" in said
    assert "colour: its tags are of another hierarchy (green is below any, was below none; " in said
    (tmp_path / "again.toml").write_text(run("schema", place))
    assert Schema.read(tmp_path / "again.toml") == shop.schema
    assert Schema.from_dict(json.loads(run("schema", place, "--json"))) == shop.schema
    shop.tag()
    lines = [
        line.split("colour", 1)[1]
        for line in run("facets", place).splitlines()
        if line.startswith("colour")
    ]
    assert [line.strip().split()[0] for line in lines] == ["any", "green", "warm", "red", "blue"]
    indents = [len(line) - len(line.lstrip()) for line in lines]
    assert [x - indents[0] for x in indents] == [0, 2, 2, 4, 0]
    (tmp_path / "bad.toml").write_text("[attributes.a.values.b]\nparent = 'x'")
    with pytest.raises(InputError, match="parent 'x' is not in the schema"):
        run("schema", place, tmp_path / "bad.toml")
    assert "pattern not applicable" in run("predict", place, tmp_path / "photos" / "1.jpg")
