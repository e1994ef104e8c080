"""Schema files: what they may say, applicability against a plain reference, words to filters."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.errors import InputError
from gingham.results import Prediction
from gingham.schema.answers import applied, inapplicable, needed
from gingham.schema.schema import Schema, SchemaAttribute, SchemaValue
from gingham.schema.words import in_own_words, understand

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
    "category": ["dress", "top", "lamp", "clothing"],
    "colour": ["red", "blue"],
    "trim": ["red"],
    "pattern": ["polka dot", "striped"],
}


POLKA = "pattern=polka dot"
NO_SLEEVES = ["without", "sleeves"]


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
        ("[attributes.a.values.unknown]", "'unknown' is what is answered where there is no value"),
        ("[attributes.a.values.'not applicable']", "'not applicable' is what is answered"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(InputError, match=reason):
        Schema.read(tmp_path / "s.toml")


@settings(deadline=None)
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


def test_what_does_not_apply_is_said_so(schema: Schema) -> None:
    def predicted(value: str) -> Prediction:
        return Prediction(value, 0.9, {value: 0.9}, ())

    found = {
        "category": predicted("lamp"),
        "neckline": predicted("round"),
        "colour": predicted("a"),
    }
    found["collar"] = replace(predicted("none"), value=None, confidence=None, best_guess="none")
    said = applied(schema, found)
    assert {name: one.applies for name, one in said.items()} == {
        "category": True,
        "neckline": False,
        "colour": True,
        "collar": False,
    }
    assert (said["neckline"].value, said["neckline"].confidence) == (None, None)
    assert said["collar"].best_guess is None
    assert (said["category"], said["colour"]) == (found["category"], found["colour"])
    top = found | {"category": predicted("top")}
    assert applied(schema, top)["neckline"] == found["neckline"]


def test_what_decides_is_found(schema: Schema) -> None:
    assert needed(schema, ["collar", "colour"]) == ["collar", "colour", "neckline", "category"]


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
        ("clothing not blue", ["category=clothing", "colour!=blue"], []),
        ("a shiny thing", [], ["shiny", "thing"]),
        ("kind red", ["colour=red"], ["kind"]),
        # What is not understood keeps its negation, which says nothing of the rest.
        ("red dress without sleeves, spotted", ["colour=red", "category=dress", POLKA], NO_SLEEVES),
        ("without a kind, red", ["colour=red"], ["without", "kind"]),
        ("not a navy dress", ["category=dress"], ["not", "navy"]),
        ("without the kind of a dress", ["category!=dress"], []),
        ("dress not", ["category=dress"], ["not"]),
        ("ohne rot, kein kind top", ["category!=top"], ["ohne", "rot"]),
        ("sans robe d'été", ["category!=dress"], []),
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
    assert understand("not navy", KNOWN).not_understood == ("not", "navy")


def test_plurals_are_what_they_are_of() -> None:
    known = {"kind": ["hoodie", "cherry", "tie", "box", "glass", "shoe"]}
    for text, value in [("hoodies", "hoodie"), ("Cherries", "cherry"), ("ties", "tie")]:
        assert understand(text, known).where == (f"kind={value}",)
    for text, value in [("boxes", "box"), ("glasses", "glass"), ("shoes", "shoe"), ("tie", "tie")]:
        assert understand(text, known).where == (f"kind={value}",)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_and_no_word_is_lost(text: str) -> None:
    found = understand(text, KNOWN)
    for one in found.where:
        name, _, value = one.replace("!=", "=").partition("=")
        assert value in KNOWN[name]
    assert all(word in text for word in found.not_understood)


@pytest.mark.parametrize(
    ("where", "written"),
    [
        ("category=gown", ["category=dress"]),
        ("Kategorie!=Kleid", ["category!=dress"]),
        ("KIND=Robe d'ete", ["category=dress"]),
        ("pattern=Spotted", [POLKA]),
        ("category=dress", ["category=dress"]),
        ("category=not there", ["category=not there"]),
        ("nothing=red", ["nothing=red"]),
        ("no filter", ["no filter"]),
        ("colour=a=b", ["colour=a=b"]),
        ("category=unknown", ["category=unknown"]),
    ],
)
def test_filters_may_say_other_names(schema: Schema, where: str, written: list[str]) -> None:
    assert in_own_words([where], KNOWN, schema) == written
    assert in_own_words([where], KNOWN, Schema()) == [where]


def test_a_word_for_several_values_means_any_of_them() -> None:
    one = SchemaValue(synonyms=("frock",))
    schema = Schema({"category": SchemaAttribute(values={"dress": one, "gown": one})})
    known = {"category": ["dress", "gown"]}
    assert in_own_words(["category=Frock"], known, schema) == ["category=dress", "category=gown"]


VALUES = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name not in ("unknown", "not applicable")),
    st.builds(
        SchemaValue,
        description=st.text(max_size=9),
        synonyms=st.lists(st.text(max_size=5), max_size=2).map(tuple),
        translations=st.dictionaries(
            st.text(max_size=3), st.lists(st.text(max_size=4), max_size=2).map(tuple), max_size=2
        ),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
def test_what_is_written_as_toml_is_read_back(values: dict[str, dict[str, SchemaValue]]) -> None:
    schema = Schema({x: SchemaAttribute(values=some) for x, some in values.items()})
    again = Schema.from_dict(tomllib.loads(schema.to_toml()))
    assert again.to_dict() == schema.to_dict() == Schema.from_dict(schema.to_dict()).to_dict()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"atributes": {}}, "did you mean 'attributes'? (known keys: attributes)"),
        (
            {"attributes": {"colour": {"synonym": ["x"]}}},
            "did you mean 'attributes.colour.synonyms'? "
            "(known keys: description, synonyms, translations, when, values)",
        ),
        (
            {"attributes": {"colour": {"values": {"red": {"above": "warm"}}}}},
            "(known keys: description, parent, synonyms, translations)",
        ),
    ],
)
def test_an_unknown_key_is_told_with_those_of_its_level(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        Schema.from_dict(given, where="schema")
    assert said in str(caught.value)
