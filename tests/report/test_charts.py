"""Charts as plain data, and the SVG that the templates draw of them."""

from __future__ import annotations

import re
from itertools import pairwise

from gingham.report.charts import MARKS, Series, line_chart, map_chart, mark
from gingham.report.kit import _environment


def test_axes_and_bands_of_shares_end_at_one() -> None:
    one = Series("mean", [0, 1], [0.3, 0.97], ["a", "b"], [0.05, 0.08])
    chart = line_chart([one], title="t", x_name="x", y_name="y", ticks={0: "a", 1: "b"})
    top, label = chart["rules"][-1]
    assert label == "1.00"
    heights = [float(y) for y in re.findall(r" ([0-9.]+)", chart["lines"][0]["band"])]
    assert min(heights) == top


def test_a_single_point_gets_a_level_line_and_a_name() -> None:
    ladder = Series("PCA", [1, 2, 3], [0.5, 0.6, 0.7], [2, 4, 8])
    whole = Series("all 16", [4], [0.8], [16])
    ticks = {1.0: "2", 2.0: "4", 3.0: "8", 4.0: "16"}
    chart = line_chart([whole, ladder], title="t", x_name="x", y_name="y", ticks=ticks)
    level, steps = chart["lines"]
    assert (level["level"], steps["level"]) == (True, False)
    assert re.fullmatch(r"M56 [0-9.]+H446", level["path"])
    assert level["dots"][0][1] == "all 16, 16: 0.800"
    # Equal ratios are equal steps.
    gaps = [b - a for (a, _), (b, _) in pairwise(chart["ticks"])]
    assert max(gaps) - min(gaps) < 0.2


def test_neighbouring_values_have_shapes_of_their_own() -> None:
    assert len({mark(kind) for kind in range(len(MARKS))}) == len(MARKS)
    chart = map_chart([0.1, 0.1, 0.9], [0.5, 0.5, 0.2], [0, 1, 1], ["one", "two"])
    paths = dict(chart["groups"])
    assert [paths[value].count("M") for value in (0, 1)] == [1, 2]
    assert paths[0].count("h") != paths[1].count("h")


def test_names_on_a_map_neither_meet_nor_leave_it() -> None:
    names = [f"a rather long name {i}" for i in range(8)]
    chart = map_chart([0.0] * 8, [0.5] * 8, list(range(8)), names)
    places = chart["names"]
    assert len({name for _, _, name in places}) == 8
    heights = sorted(y for _, y, _ in places)
    assert min(b - a for a, b in pairwise(heights)) >= 12
    assert all(3 * len(name) <= x <= chart["side"] - 3 * len(name) for x, _, name in places)


def test_charts_escape_what_users_wrote() -> None:
    one = Series("<b>&", [0], [0.5], ["<u>"])
    chart = line_chart([one], title='"x"', x_name="<i>", y_name="y", ticks={0: "<s>"})
    page = '{% from "charts.html" import lines %}{{ lines(one) }}'
    drawn = _environment().from_string(page).render(one=chart)
    for odd in ("<b>", "<u>", "<i>", "<s>", '""x""'):
        assert odd not in drawn
    assert "&lt;s&gt;" in drawn
