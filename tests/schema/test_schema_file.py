"""Schemas: hierarchies and applicability against plain references, and words to filters."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gingham.errors import InputError
from gingham.results import Prediction
from gingham.schema.answers import deepest, inapplicable, settle
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue
from gingham.schema.words import understand

TEXT = """
[attributes.category]
synonyms = ["kind"]
translations = { de = ["Kategorie"] }

[attributes.category.values.clothing]
[attributes.category.values.dress]
parent = "clothing"
synonyms = ["gown"]
translations = { de = ["Kleid"], fr = ["robe d'été"] }
[attributes.category.values.top]
parent = "clothing"
[attributes.category.values.lamp]

[attributes.neckline]
when = { category = ["top", "dress"] }

[attributes.collar]
when = { neckline = ["round"] }

[attributes.pattern.values."polka dot"]
synonyms = ["spotted"]
"""

KNOWN = {
    "category": ["dress", "top", "lamp"],
    "colour": ["red", "blue"],
    "trim": ["red"],
    "pattern": ["polka dot", "striped"],
}


POLKA = "pattern=polka dot"


@pytest.fixture
def schema(tmp_path: Path) -> Schema:
    (tmp_path / "schema.toml").write_text(TEXT)
    return Schema.read(tmp_path / "schema.toml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[attributes.a.values.x]\nparent = 'y'", "parent 'y' is not in the schema"),
        ("[attributes.a]\nwhen = { b = ['x'] }", "when 'b' is not in the schema"),
        ("[attributes.a.values]\nx = {parent = 'x'}", "go round in a circle: 'x'"),
        ("[attributes]\na = {when = {b = []}}\nb = {when = {a = []}}", "round in a circle"),
        ("[attributes.a]\nwenn = 1", "wenn"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(InputError, match=reason):
        Schema.read(tmp_path / "s.toml")


TREES = st.lists(st.integers(-1, 6), min_size=1, max_size=8).map(
    lambda parents: {
        f"v{n}": SchemaValue(parent=f"v{p}" if 0 <= p < n else None) for n, p in enumerate(parents)
    }
)


@given(TREES, st.lists(st.floats(0, 1), min_size=8, max_size=8), st.floats(0.1, 1))
def test_the_deepest_sure_value_against_a_plain_reference(
    tree: dict[str, SchemaValue], weights: list[float], sure: float
) -> None:
    attribute = SchemaAttribute(values=tree)
    whole = sum(weights[: len(tree)]) or 1.0
    chances = {value: weight / whole for value, weight in zip(tree, weights, strict=False)}

    def is_below(value: str, other: str) -> bool:
        return value == other or (
            (parent := tree[value].parent) is not None and is_below(parent, other)
        )

    chance = {v: sum(chances[o] for o in tree if is_below(o, v)) for v in tree}
    depth = {v: sum(is_below(v, other) for other in tree) for v in tree}
    there = [value for value in tree if chance[value] >= sure + 1e-9]
    found, confidence = deepest(attribute, chances, sure)
    if found is None:
        assert not there
        return
    assert confidence == pytest.approx(min(chance[found], 1.0))
    assert chance[found] >= sure - 1e-9
    assert not [value for value in there if depth[value] > depth[found]]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
    st.dictionaries(st.integers(0, 5), st.sampled_from(["x", "y"])),
)
def test_what_applies_against_a_plain_reference(
    edges: list[tuple[int, int]], said: dict[int, str]
) -> None:
    attributes = {
        f"a{n}": SchemaAttribute(when={f"a{m}": ("x",) for k, m in edges if k == n and m < n})
        for n in range(6)
    }

    def applies(n: int) -> bool:
        others = [m for k, m in edges if k == n and m < n]
        return all(applies(m) and said.get(m, "x") == "x" for m in others)

    found = inapplicable(Schema(attributes), {f"a{n}": [value] for n, value in said.items()})
    assert found == {f"a{n}" for n in range(6) if not applies(n)}


def test_predictions_are_settled(schema: Schema) -> None:
    def predicted(**values: float) -> Prediction:
        best = max(values, key=values.__getitem__)
        return Prediction(best, values[best], values, ())

    neckline = predicted(round=0.9)
    sure = settle(schema, {"category": predicted(dress=0.7, top=0.2), "neckline": neckline})
    assert (sure["category"].value, sure["neckline"]) == ("dress", neckline)
    between = settle(schema, {"category": predicted(dress=0.45, top=0.4, lamp=0.15)})
    assert between["category"].value == "clothing"
    assert between["category"].confidence == pytest.approx(0.85)
    unsure = settle(schema, {"category": predicted(dress=0.4, lamp=0.4)}, 0.8)
    assert (unsure["category"].value, unsure["category"].best_guess) == (None, "dress")
    other = {"category": predicted(lamp=0.9), "neckline": neckline, "collar": neckline}
    assert settle(schema, other).keys() == {"category"}
    colour = {"colour": predicted(red=0.6, blue=0.4)}
    assert settle(schema, colour) == colour
    assert settle(schema, colour, 0.7)["colour"].best_guess == "red"
    # What is unlike all examples is no clothing either.
    novel = Prediction(None, None, {"dress": 0.6, "top": 0.4}, (), "dress")
    assert settle(schema, {"category": novel})["category"] == novel


@pytest.mark.parametrize(
    ("text", "where", "lost"),
    [
        ("red dress polka dots", ["colour=red", "category=dress", "pattern=polka dot"], []),
        ("Red DRESSES, with Polka-Dots!", ["colour=red", "category=dress", POLKA], []),
        ("gown without spotted", ["category=dress", "pattern!=polka dot"], []),
        ("rotes Kleid", ["category=dress"], ["rotes"]),
        ("robe d'ete", ["category=dress"], []),
        ("trim red", ["trim=red"], []),
        ("Kategorie top", ["category=top"], []),
        ("clothing not blue", ["category=dress", "category=top", "colour!=blue"], []),
        ("a shiny thing", [], ["shiny", "thing"]),
        ("kind red", ["colour=red"], ["kind"]),
        ("", [], []),
    ],
)
def test_words_become_filters(schema: Schema, text: str, where: list[str], lost: list[str]) -> None:
    found = understand(text, KNOWN, schema)
    assert list(found.where) == where
    assert list(found.not_understood) == lost


def test_a_colour_that_is_no_value_is_a_colour(schema: Schema) -> None:
    found = understand("navy red lamp", KNOWN)
    assert found.colours == {"navy": 1.0}
    assert found.meant["navy"] == "the colour navy"
    assert found.meant["red"] == "colour=red (also trim=red)"
    assert understand("not navy", KNOWN).not_understood == ("navy",)


@given(st.text(max_size=60))
def test_any_text_is_read_and_no_word_is_lost(text: str) -> None:
    found = understand(text, KNOWN)
    for one in found.where:
        name, _, value = one.replace("!=", "=").partition("=")
        assert value in KNOWN[name]
    assert all(word in text for word in found.not_understood)
