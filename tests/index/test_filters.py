import pytest

from gingham.errors import InputError
from gingham.index.filters import Condition, Where, parse_where


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
