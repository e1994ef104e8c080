import pytest

from gingham.errors import InputError
from gingham.index.filters import Condition, Where, parse_where
from gingham.index.sliders import parse_look


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


def test_names_and_values_are_found_in_either_unicode_form() -> None:
    known = {"t\u00e9": ["caf\u00e9", "the\u0301", "th\u00e9", "bl\u00e9"]}
    for text, value in (
        ("te\u0301=cafe\u0301", "caf\u00e9"),
        ("t\u00e9=caf\u00e9", "caf\u00e9"),
        ("t\u00e9=the\u0301", "the\u0301"),
        ("t\u00e9=th\u00e9", "th\u00e9"),
    ):
        assert parse_where([text], known).conditions == (Condition("t\u00e9", value),)
    assert parse_look("attribute:te\u0301=2") == ("attribute:t\u00e9", 2)


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
