"""What a review says of how sure an answer is."""

from __future__ import annotations

import pytest

from gingham.operations.review import _unsure


@pytest.mark.parametrize(
    ("values", "unknown", "said"),
    [
        ({"red": 0.99, "blue": 0.01}, False, "sure: 99 % red, 1 % blue"),
        ({"red": 0.6, "blue": 0.4}, False, "unsure: 60 % red, 40 % blue"),
        ({"lace": 0.97, "dots": 0.95, "belt": 0.5}, False, "unsure: 97 % lace, 95 % dots"),
        ({"lace": 0.97, "dots": 0.03}, False, "sure: 97 % lace, 3 % dots"),
        ({}, False, "unsure"),
        ({"red": 0.99, "blue": 0.01}, True, "unlike the examples; most like red or blue"),
    ],
)
def test_only_what_is_unsure_is_called_so(
    values: dict[str, float], unknown: bool, said: str
) -> None:
    assert _unsure(values, unknown) == said
