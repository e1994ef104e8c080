"""The sections of the page, each from the study's results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gingham.evaluation.study.accuracy import least_difference
from gingham.evaluation.study.bench import PAPER, deciding_protocol
from gingham.evaluation.study.clustering import PAPER as PAPER_CLUSTERS
from gingham.evaluation.study.markup import cell, counted, pictures, table, text
from gingham.evaluation.study.plots import Series, line_plot, map_plot, matrix_plot
from gingham.evaluation.study.reading import POOLINGS
from gingham.evaluation.study.tables import TAUGHT, Row
from gingham.evaluation.study.tints import tints

Found = Mapping[str, Any]


def summary(found: Found) -> str:
    """What was studied, and which layer the study would choose."""
    images, machine = found["images"], found["machine"]
    lead = (
        f"<p class=soft>{counted(images, 'image')}; {text(', '.join(found['backbones']))}; "
        f"{found['setting']['folds']}-fold cross-validation; {text(machine['processor'])}, "
        f"{counted(machine['cores'], 'core')}.</p>"
    )
    cards = []
    for name, choice in found["choices"].items():
        about = found["attributes"][name]
        equals = len(choice["no_worse"]) - 1
        margin, level = found["setting"]["margin"], found["setting"]["level"]
        why = f"It is the most accurate of {choice['compared']} layers, and " + (
            f"of those statistically no worse ({equals}) none is clearly cheaper and loses "
            f"{margin:g} at most."
            if equals
            else "every other is statistically worse."
        )
        if (choice["backbone"], choice["layer"]) != (choice["best_backbone"], choice["best_layer"]):
            why = (
                f"The best is {text(choice['best_backbone'])} {text(choice['best_layer'])} with "
                f"{choice['best_accuracy']:.3f}, in {choice['best_milliseconds']:g} ms and "
                f"{choice['best_bytes']} bytes; this one is no worse in McNemar's test "
                f"(p = {choice['p']:.2f}), and the cheapest of those that are no worse and lose "
                f"{margin:g} at most; of about equal times, the most accurate."
            )
        least, images = least_difference(level), len(about["rows"])
        if least > margin * images:
            why += (
                f" On so few images the test is weak: layers that differ by fewer than {least} "
                f"images of {images} ({least / images:.3f}) always count as no worse."
            )
        recipe = ", ".join(
            f"{backbone} {value:.3f}" for backbone, value in found["taught"][name].items()
        )
        cards.append(
            f'<div class="choice"><h3>For {text(name)}, {counted(images, "image")} of '
            f"{counted(len(about['counts']), 'value')}, take</h3><b>{text(choice['backbone'])}, "
            f"{text(choice['layer'])}</b><p>{choice['accuracy']:.3f} right by nearest neighbours, "
            f"{choice['milliseconds']:g} ms per image, {choice['bytes']} bytes per vector. "
            f"{why}</p>"
            f"<p class=soft>Taught on all layers: {text(recipe)}.</p></div>"
        )
    return lead + f'<div class="choices">{"".join(cards)}</div>' + _notes(found)


def _notes(found: Found) -> str:
    notes = [
        f"{text(name)}: {text(repr(value))} has "
        f"{counted(count, 'group' if about['grouped'] else 'image')}, fewer than folds, and is "
        "left out"
        for name, about in found["attributes"].items()
        for value, count in about["left_out"].items()
    ]
    notes += [
        f"{text(name)}: copies of other files, byte for byte, which count once: {about['copies']}"
        for name, about in found["attributes"].items()
        if about["copies"]
    ]
    notes += [f"{text(one['image'])}: {text(one['reason'])}" for one in found["failures"]]
    if found["unlabelled"]:
        notes.append(f"rows of the tables that say nothing: {found['unlabelled']}")
    if not notes:
        return ""
    more = f"<li>and {len(notes) - 20} more, in results.json</li>" if len(notes) > 20 else ""
    items = "".join(f"<li>{note}</li>" for note in notes[:20])
    return f'<div class="note">Skipped<ul class="plain">{items}{more}</ul></div>'


def _pairs(found: Found) -> Iterable[tuple[str, str, Sequence[str]]]:
    """Each attribute with each backbone and its layers."""
    for name in found["attributes"]:
        for backbone, layers in found["backbones"].items():
            yield name, backbone, layers


def _rows(found: Found, table_name: str, name: str, backbone: str) -> list[Row]:
    return [
        row
        for row in found["tables"][table_name]
        if row["attribute"] == name and row["backbone"] == backbone
    ]


def accuracy(found: Found) -> str:
    """Table 1."""
    setting = found["setting"]
    parts = [
        f"<p>The share of images whose value the {setting['neighbours']} nearest others name "
        f"(Euclidean, stratified {setting['folds']}-fold, shuffled with seed {setting['seed']}), "
        "mean &plusmn; deviation over the folds. &#9733; is the best layer of its column and "
        "backbone, = one that is statistically no worse: McNemar's exact test on the held-out "
        f"predictions gives p &ge; {setting['level']:g} against the best. The last line is "
        "gingham's own recipe, which weighs means and deviations of all layers and of the pixels' "
        "colours, and learns a projection inside each training part.</p>"
    ]
    for name in found["attributes"]:
        plots = "".join(
            _accuracy_plot(found, name, backbone, layers)
            for backbone, layers in found["backbones"].items()
        )
        shown = _accuracy_table(found, name)
        parts.append(f'<h3>{text(name)}</h3><div class="beside">{plots}{shown}</div>')
    return "".join(parts)


def _accuracy_table(found: Found, name: str) -> str:
    protocol = deciding_protocol(found["attributes"][name]["grouped"])
    columns = [(pooling, protocol) for pooling in POOLINGS]
    heads = ["layer", *POOLINGS]
    if protocol != PAPER:
        columns.insert(0, ("mean", PAPER))
        heads[1:2] = ["mean, duplicates not grouped (as in the paper)", "mean"]
    body = []
    for backbone, layers in found["backbones"].items():
        rows = {
            (row["layer"], row["pooling"], row["protocol"]): row
            for row in _rows(found, "accuracy", name, backbone)
        }
        body.append(
            f'<tr class="group"><th scope="row">{text(backbone)}</th>'
            f'<td colspan="{len(columns)}"></td></tr>'
        )
        for layer in (*layers, TAUGHT):
            kind = ' class="taught"' if layer == TAUGHT else ""
            cells = "".join(_accuracy_cell(rows.get((layer, *column))) for column in columns)
            body.append(f'<tr{kind}><th scope="row">{text(layer)}</th>{cells}</tr>')
    head = "".join(f'<th scope="col">{text(one)}</th>' for one in heads)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}' + (
        "</tbody></table></div>"
    )


def _accuracy_cell(row: Row | None) -> str:
    if row is None:
        return "<td></td>"
    mark = ' class="best"' if row["best"] else ' class="equal"' if row["no_worse"] else ""
    return f"<td{mark}>{row['accuracy']:.3f} <small>&plusmn; {row['deviation']:.3f}</small></td>"


def _accuracy_plot(found: Found, name: str, backbone: str, layers: Sequence[str]) -> str:
    protocol = deciding_protocol(found["attributes"][name]["grouped"])
    rows = _rows(found, "accuracy", name, backbone)
    series = []
    for pooling in POOLINGS:
        chosen = {
            row["layer"]: row
            for row in rows
            if row["pooling"] == pooling and row["protocol"] == protocol
        }
        series.append(
            Series(
                pooling,
                range(len(layers)),
                [chosen[layer]["accuracy"] for layer in layers],
                [chosen[layer]["deviation"] for layer in layers] if pooling == "mean" else (),
                [f"{pooling}, {layer}: {chosen[layer]['accuracy']:.3f}" for layer in layers],
            )
        )
    return line_plot(
        series,
        title=f"Accuracy for {name} over the layers of {backbone}",
        x_name=f"layers of {backbone}",
        y_name="accuracy",
        ticks=dict(enumerate(layers)),
    )


def clustering(found: Found) -> str:
    """Figures 2 and 3."""
    parts = [
        "<p>HDBSCAN looks for dense groups in each layer without being told the values. The "
        "adjusted Rand index and the adjusted mutual information say how far its clusters are the "
        "values: 0 by chance, 1 if they are the same. Images in no cluster count as one more."
        "</p>"
    ]
    paper = PAPER_CLUSTERS
    for name in found["attributes"]:
        first = next(row for row in found["tables"]["clustering"] if row["attribute"] == name)
        used = (
            f"min_cluster_size {first['min_cluster_size']} and min_samples {first['min_samples']}"
        )
        if first["min_cluster_size"] == paper.min_cluster_size:
            said = f"With the paper's parameters: {used}."
        else:
            said = (
                f"The paper's min_cluster_size {paper.min_cluster_size} and min_samples "
                f"{paper.min_samples} are too large for this set: scaled to {used}."
            )
        plots = "".join(
            _cluster_plot(found, name, backbone, layers)
            for backbone, layers in found["backbones"].items()
        )
        body = [
            [
                text(f"{row['backbone']} {row['layer']}"),
                cell(row["adjusted_rand"]),
                cell(row["adjusted_mutual_information"]),
                str(row["clusters"]),
                f"{row['noise']:.0%}",
            ]
            for row in found["tables"]["clustering"]
            if row["attribute"] == name
        ]
        heads = ["layer", "adjusted Rand", "adjusted mutual information", "clusters", "in none"]
        parts.append(
            f"<h3>{text(name)}</h3><p class=soft>{said}</p>"
            f'<div class="beside">{plots}{table(heads, body)}</div>'
        )
    return "".join(parts)


def _cluster_plot(found: Found, name: str, backbone: str, layers: Sequence[str]) -> str:
    rows = _rows(found, "clustering", name, backbone)
    series = [
        Series(said, range(len(layers)), [row[key] for row in rows])
        for said, key in (
            ("adjusted Rand index", "adjusted_rand"),
            ("adjusted mutual information", "adjusted_mutual_information"),
        )
    ]
    return line_plot(
        series,
        title=f"Clusters and {name} over the layers of {backbone}",
        x_name=f"layers of {backbone}",
        y_name="agreement",
        ticks=dict(enumerate(layers)),
    )


def maps(found: Found) -> str:
    """Figures 4 and 5."""
    parts = [
        "<p>Each point is an image, laid out by UMAP so that neighbours in the layer are "
        "neighbours on the map. Point at one to see it; press a value to see it alone.</p>"
    ]
    for name, about in found["attributes"].items():
        values = sorted(about["counts"])
        number = {value: i for i, value in enumerate(values)}
        colours = tints(values)
        style = ";".join(f"--v{i}:{colour}" for i, colour in enumerate(colours))
        buttons = "".join(
            f'<button type="button" data-value="{i}" aria-pressed="false">'
            f'<i style="background:{colour}"></i>{text(value)} '
            f"<small>{about['counts'][value]}</small></button>"
            for i, (value, colour) in enumerate(zip(values, colours, strict=True))
        )
        body = []
        for backbone in found["backbones"]:
            plots = "".join(
                map_plot(
                    one["x"],
                    one["y"],
                    [number[about["values"][row]] for row in one["rows"]],
                    values,
                    title=f"{backbone}, {one['layer']}",
                    number=k,
                )
                for k, one in enumerate(found["maps"])
                if one["attribute"] == name and one["backbone"] == backbone
            )
            body.append(f'<div class="maps">{plots}</div>')
        parts.append(
            f'<div class="attribute" style="{style}"><h3>{text(name)}</h3>'
            f'<div class="values">{buttons}</div>{"".join(body)}</div>'
        )
    return "".join(parts)


def confusion(found: Found) -> str:
    """Confusions, the pictures behind them, and the examples that look mislabelled."""
    parts = [
        "<p>A row is a value, and its cells what it was taken for while held out. The taught "
        "recipe and each backbone's best layer are shown; the other layers unfold.</p>"
    ]
    for name, backbone, layers in _pairs(found):
        parts.append(f"<h3>{text(name)}, {text(backbone)}</h3>")
        protocol = deciding_protocol(found["attributes"][name]["grouped"])
        best = next(
            row["layer"]
            for row in _rows(found, "accuracy", name, backbone)
            if row["best"] and row["pooling"] == "mean" and row["protocol"] == protocol
        )
        shown = "".join(_matrix(found, name, backbone, layer) for layer in (best, TAUGHT))
        others = "".join(
            _matrix(found, name, backbone, layer)
            + _pair_tiles(found, name, backbone, layer, most=2)
            for layer in layers
            if layer != best
        )
        parts.append(
            f'<div class="grid">{shown}</div>'
            + _pair_tiles(found, name, backbone, best, most=5)
            + "<details><summary>Other layers</summary>"
            + f'<div class="grid">{others}</div></details>'
            + _suspects(found, name, backbone)
        )
    return "".join(parts)


def _matrix(found: Found, name: str, backbone: str, layer: str) -> str:
    values = sorted(found["attributes"][name]["counts"])
    number = {value: i for i, value in enumerate(values)}
    counts = np.zeros((len(values), len(values)), np.intp)
    for row in _rows(found, "confusions", name, backbone):
        if row["layer"] == layer:
            counts[number[row["value"]], number[row["taken_for"]]] = row["images"]
    title = f"{name}, {backbone}, {layer}"
    return matrix_plot(counts, values, title=title).replace(
        "<svg", f"<figcaption>{text(layer)}</figcaption><svg", 1
    )


def _pair_tiles(found: Found, name: str, backbone: str, layer: str, *, most: int) -> str:
    chosen = [
        pair
        for pair in found["pairs"]
        if (pair["attribute"], pair["backbone"], pair["layer"]) == (name, backbone, layer)
    ][:most]
    if not chosen:
        return ""
    strips = []
    for pair in chosen:
        tiles = "".join(
            pictures(found, rows, [f"{own} taken for {taken}"] * len(rows))
            for rows, own, taken in zip(
                pair["images"],
                (pair["first"], pair["second"]),
                (pair["second"], pair["first"]),
                strict=True,
            )
        )
        strips.append(
            f'<div class="strip"><span>{text(pair["first"])} / {text(pair["second"])}<br>'
            f'{counted(pair["count"], "image")}</span><div class="row">{tiles}</div></div>'
        )
    head = f"<p class=soft>Most confused in {text(layer)}</p>"
    return f'<div class="sheet">{head}{"".join(strips)}</div>'


def _suspects(found: Found, name: str, backbone: str) -> str:
    chosen = [
        one for one in found["suspects"] if one["attribute"] == name and one["backbone"] == backbone
    ]
    if not chosen:
        return ""
    words = [
        f"{one['value']} ({one['probability']:.2f}); looks {one['other']} "
        f"({one['other_probability']:.2f})"
        for one in chosen
    ]
    tiles = pictures(found, [one["image"] for one in chosen], words)
    return (
        '<div class="sheet"><p class=soft>Examples that look mislabelled: held out, another value '
        "is as probable for them as it is for its own examples (confident learning). Look at "
        f'these first.</p><div class="tiles">{tiles}</div></div>'
    )
