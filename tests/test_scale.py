"""The laws of benchmarks/scale.py, and that docs/scale.md shows what it prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scale import CURVES, Curve, curves, plans, shown

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_page_shows_the_tables() -> None:
    page = (DOCS / "scale.md").read_text(encoding="utf-8")
    for table in (curves(), plans()):
        assert f"\n\n{table}\n\n" in page


def test_the_benchmarks_name_every_point() -> None:
    page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    (section,) = [part for part in page.split("\n## ") if part.startswith("Scale\n")]
    for curve in CURVES:
        (row,) = [line for line in section.splitlines() if line.startswith(f"| {curve.what} |")]
        cells = [cell.strip() for cell in row.split("|")]
        named = [cost for cell in cells[2:-1] for cost in cell.replace(",", "").split("; ")]
        assert [float(cost) for cost in named] == [cost for _, cost in curve.points]


@pytest.mark.parametrize("law", ["power", "line"])
def test_a_law_that_holds_is_found_and_predicts(law: str) -> None:
    images = (1_000, 5_000, 20_000, 80_000)
    power = law == "power"
    points = tuple((n, 0.003 * n**1.2 if power else 40 + 0.002 * n) for n in images)
    curve = Curve("", "power" if power else "line", points)
    found, _, spread = curve.fit()
    assert found == pytest.approx([np.log(0.003), 1.2] if power else [40, 0.002], rel=1e-6)
    assert spread == pytest.approx(0, abs=1e-6)
    draws = curve.at(10_000_000, np.random.default_rng(0))
    assert draws == pytest.approx(0.003 * 1e7**1.2 if power else 20_040, rel=1e-3)


@pytest.mark.parametrize("law", ["power", "line"])
def test_nine_of_ten_predictions_hold(law: str) -> None:
    """Simulated: points that scatter by a tenth about a law, and a further one to be predicted."""
    rng, right = np.random.default_rng(1), 0
    images = np.array([60_000, 100_000, 200_000, 200_000, 1_000_000])

    def cost(n: float) -> float:
        true = 0.003 * n**1.1 if law == "power" else 200 + 1e-3 * n
        return float(true * np.exp(rng.normal(0, 0.1)))

    for _ in range(200):
        curve = Curve(
            "", "power" if law == "power" else "line", tuple((n, cost(n)) for n in images.tolist())
        )
        low, high = np.percentile(curve.at(10_000_000, rng), (5, 95))
        right += low <= cost(10_000_000) <= high
    assert 0.83 <= right / 200 <= 0.96


def test_farther_is_less_certain() -> None:
    rng = np.random.default_rng(0)
    for curve in CURVES:
        widths = []
        for images in (300_000, 3_000_000, 30_000_000):
            low, middle, high = np.percentile(curve.at(images, rng), (5, 50, 95))
            widths.append((high - low) / middle)
        assert widths == sorted(widths)


def test_numbers_are_shown_with_what_is_known_of_them() -> None:
    assert shown(np.full(10, 1234.5)) == "1,230"
    assert shown(np.linspace(0.1, 0.3, 1001)) == "0.20 (0.11 to 0.29)"
