"""The sections of the page about dimensions, searches and cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gingham.evaluation.study.bench import deciding_protocol
from gingham.evaluation.study.markup import cell, pictures, table, text
from gingham.evaluation.study.plots import Series, line_plot
from gingham.evaluation.study.reduction import GALLERY, METHODS

Found = Mapping[str, Any]

_SAID = {
    "none": "all dimensions",
    "umap on all": "UMAP on all data (the paper)",
    "umap in fold": "UMAP in fold",
    "pca": "PCA in fold",
    "taught": "taught projection in fold",
}


def reduction(found: Found) -> str:
    """Table 2."""
    parts = [
        "<p>The best layer of each backbone in fewer dimensions. UMAP fitted on all data, as in "
        "the paper, has seen the images it is tested on; the other three are fitted inside each "
        "training part. The taught projection has at most one dimension fewer than there are "
        "values, and no more than the layer. A number takes two bytes (float16); the speed is that "
        f"of an exact search for five neighbours among {GALLERY:,} vectors on one core, and "
        "depends on the dimensions alone.</p>"
    ]
    for name in found["attributes"]:
        for backbone in found["backbones"]:
            rows = [
                row
                for row in found["tables"]["reduction"]
                if row["attribute"] == name and row["backbone"] == backbone
            ]
            dimensions = sorted({row["dimensions"] for row in rows})
            by = {(row["method"], row["dimensions"]): row for row in rows}
            used = [m for m in METHODS if any(row["method"] == m for row in rows)]
            body = []
            for d in dimensions:
                line = [by.get((method, d)) for method in used]
                some = next(row for row in line if row)
                body.append(
                    [
                        str(d),
                        *(
                            f"{row['accuracy']:.3f} <small>&plusmn; {row['deviation']:.3f}</small>"
                            if row
                            else ""
                            for row in line
                        ),
                        f"{some['bytes_an_image']:,}",
                        f"{some['neighbours_per_second']:,}",
                    ]
                )
            heads = [
                "dimensions",
                *(_SAID[m] for m in used),
                "bytes per image",
                "searches per second",
            ]
            series = [
                Series(
                    _SAID[m],
                    [math.log2(d) for d in dimensions if (m, d) in by],
                    [by[m, d]["accuracy"] for d in dimensions if (m, d) in by],
                    (),
                    [
                        f"{_SAID[m]}, {d}: {by[m, d]['accuracy']:.3f}"
                        for d in dimensions
                        if (m, d) in by
                    ],
                )
                for m in used
            ]
            plot = line_plot(
                series,
                title=f"Accuracy for {name} over dimensions, {backbone}",
                x_name="dimensions; the dashed line is the layer as it is",
                y_name="accuracy",
                ticks=_ticks(dimensions),
            )
            parts.append(
                f"<h3>{text(name)}, {text(backbone)} {text(rows[0]['layer'])}</h3>"
                f'<div class="beside">{plot}{table(heads, body)}</div>'
            )
    return "".join(parts)


def _ticks(dimensions: Sequence[int]) -> dict[float, str]:
    """Place dimensions on a logarithmic axis; labels that would touch are left out."""
    ticks: dict[float, str] = {}
    for d in dimensions:
        place = math.log2(d)
        near = any(label and place - at < 0.5 for at, label in ticks.items())
        ticks[place] = "" if near else str(d)
    return ticks


def retrieval(found: Found) -> str:
    """Figure 6."""
    weights = " and ".join(
        f"{look} {weight:g}" for look, weight in found["setting"]["looks"].items()
    )
    parts = [
        "<p>Every image searches among all others, its own group left out, by gingham's built-in "
        f"looks: colour (early layers), texture (middle layers), and both ({text(weights)}). An "
        "answer is right if its value is the query's.</p>"
    ]
    body = []
    for row in found["tables"]["retrieval"]:
        said = f"{row['attribute']} by {row['search']}, {row['backbone']}"
        body.append(
            [
                text(said),
                cell(row["mean_average_precision"]),
                cell(row["precision_at_10"]),
                str(row["queries"]),
            ]
        )
    parts.append(
        table(["agreement of", "mean average precision", "precision at 10", "queries"], body)
    )
    values: dict[int, list[tuple[str, str]]] = {}
    for name, about in found["attributes"].items():
        for row, value in zip(about["rows"], about["values"], strict=True):
            values.setdefault(row, []).append((name, value))
    sheets = []
    for sheet in found["sheets"]:
        own = values.get(sheet["query"], [])
        strips = []
        for search, rows in sheet["found"].items():
            asked = {name for name, _ in own}
            words = [
                ", ".join(v for name, v in values.get(row, []) if name in asked)
                or f"no {' or '.join(sorted(asked))} label"
                for row in rows
            ]
            tones = [answer_tone(own, values.get(row, [])) for row in rows]
            strips.append(
                f'<div class="strip"><span>by {text(search)}</span>'
                f'<div class="row">{pictures(found, rows, words, tones)}</div></div>'
            )
        said = ", ".join(value for _, value in own)
        query = pictures(found, [sheet["query"]], [said], ["query"])
        sheets.append(
            f'<div class="sheet"><div class="strip"><span>{text(sheet["backbone"])}<br>query</span>'
            f'<div class="row">{query}</div></div>{"".join(strips)}</div>'
        )
    parts.append(f'<div class="sheets">{"".join(sheets)}</div>')
    return "".join(parts)


def answer_tone(own: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> str:
    """Mark an answer; without a value of the query's attributes it is neither right nor wrong."""
    if set(own) & set(other):
        return "same"
    return "other" if {name for name, _ in own} & {name for name, _ in other} else ""


def cost(found: Found) -> str:
    """Accuracy against time and bytes."""
    parts = [
        "<p>Milliseconds per image through the network cut after each layer, decoding not counted, "
        "measured on the machine named above; bytes of the channel means as float16.</p>"
    ]
    costs = {(row["backbone"], row["layer"]): row for row in found["tables"]["cost"]}
    most = max(row["milliseconds_an_image"] for row in costs.values())
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, most) if most / s <= 6)
    ticks = {i * step: f"{i * step:g}" for i in range(int(-(-most // step)) + 1)}
    plots, body, heads = [], {}, ["layer", "milliseconds per image", "bytes per vector"]
    for key, row in costs.items():
        body[key] = [
            text(" ".join(key)),
            f"{row['milliseconds_an_image']:.2f}",
            f"{row['bytes_a_vector']:,}",
        ]
    for name, about in found["attributes"].items():
        protocol = deciding_protocol(about["grouped"])
        accuracy = {
            (row["backbone"], row["layer"]): row["accuracy"]
            for row in found["tables"]["accuracy"]
            if row["attribute"] == name and row["pooling"] == "mean" and row["protocol"] == protocol
        }
        heads.append(f"accuracy for {name}")
        for key in costs:
            body[key].append(cell(accuracy[key]))
        series = []
        for backbone, layers in found["backbones"].items():
            points = [(costs[backbone, x], accuracy[backbone, x]) for x in layers]
            series.append(
                Series(
                    backbone,
                    [row["milliseconds_an_image"] for row, _ in points],
                    [value for _, value in points],
                    (),
                    [f"{backbone} {row['layer']}: {value:.3f}" for row, value in points],
                )
            )
        plots.append(
            line_plot(
                series,
                title=f"Accuracy for {name} against time",
                x_name="milliseconds per image",
                y_name=f"accuracy, {name}",
                ticks=ticks,
            )
        )
    return f'{parts[0]}<div class="grid">{"".join(plots)}</div>{table(heads, list(body.values()))}'
