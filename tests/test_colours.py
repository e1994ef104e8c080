"""Colours as they are written, and in CIE Lab."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gingham.colours import NAMED, TERMS, lab, parse_colours, rgb_of, srgb
from gingham.errors import InputError


def slow_lab(red: float, green: float, blue: float) -> list[float]:
    """The definition, a number at a time."""
    linear = [
        x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in (red, green, blue)
    ]
    weights = [(0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750)]
    weights += [(0.0193339, 0.1191920, 0.9503041)]
    f = []
    for row in weights:
        t = sum(w * x for w, x in zip(row, linear, strict=True)) / sum(row)
        f.append(t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29)
    return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]


shares = st.floats(0, 1, width=32)


@given(shares, shares, shares)
def test_lab_is_as_defined_and_goes_back(red: float, green: float, blue: float) -> None:
    colour = np.array([[red, green, blue]])
    assert lab(colour)[0] == pytest.approx(slow_lab(red, green, blue), abs=1e-4)
    assert srgb(lab(colour)) == pytest.approx(colour, abs=1e-4)


def test_lab_of_known_colours() -> None:
    # The values that colour tools give for sRGB red, green and blue.
    assert lab(np.eye(3)) == pytest.approx(
        np.array([[53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]), abs=0.02
    )
    assert np.isnan(srgb(np.array([50.0, 120.0, 120.0]))).all()


def test_a_colour_is_written_in_digits_or_by_name() -> None:
    assert (255 * rgb_of("#B03a2e")).tolist() == [0xB0, 0x3A, 0x2E]
    assert rgb_of("#fa0").tolist() == rgb_of("ffaa00").tolist()
    assert rgb_of("gray").tolist() == rgb_of(" Grey ").tolist() == rgb_of("#929591").tolist()
    assert parse_colours(["#b03a2e=2", "navy"]) == {"#b03a2e": 2, "navy": 1}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["nevy"], "did you mean 'navy'?"),
        (["#b03a2"], "unknown colour '#b03a2'"),
        (["#b03a2e=much"], "written COLOUR or COLOUR=WEIGHT"),
        (["#b03a2e="], "written COLOUR or COLOUR=WEIGHT"),
        (["red=-1"], "must be from 0 to 1,000,000, got -1"),
        (["red=nan"], "must be from 0"),
        (["red", "red=2"], "given twice"),
    ],
)
def test_what_is_no_colour_is_refused(texts: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_colours(texts)


def test_every_name_falls_under_a_term() -> None:
    assert all(one.term in TERMS for one in NAMED.values())
    assert list(dict.fromkeys(one.term for one in NAMED.values())) == list(TERMS)
    assert all(NAMED[term].term == term for term in TERMS)
