"""The page of an evaluation: one file, nothing fetched, no script."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gingham.evaluation.study.markup import cell, counted, table, text
from gingham.evaluation.study.page import sectioned_page
from gingham.store.files import replace_file
from gingham.training.samples import PARTS
from gingham.training.trained import TrainedModel

MOST_VALUES = 25
"""A confusion matrix of more values is a list of its most frequent confusions."""
MOST_PAIRS = 20
MOST_NOTES = 20

STYLE = """.heat td { text-align: center; min-width: 2.6rem; }
.heat thead th { min-width: 2.6rem; text-align: center; }
.heat td.n { background: color-mix(in srgb, var(--hue) calc(var(--share) * 1%), var(--card)); }
"""


def write_page(file: Path, found: Mapping[str, Any], model: TrainedModel) -> None:
    """Write the page of what `evaluate_model` found (as plain values)."""
    sections = [("Attributes", "attributes", _attributes(found))]
    if found["comparisons"]:
        sections.insert(0, ("Trained or taught", "taught", _comparisons(found)))
    sections.append(("Confusions", "confusions", _confusions(found)))
    sections.append(("Values", "values", _values(found)))
    if notes := _left_aside(found):
        sections.append(("Skipped", "aside", notes))
    page = sectioned_page(
        f"Evaluation of {model.folder.name}", _summary(found, model), sections, style=STYLE
    )
    replace_file(file, lambda path: path.write_text(page, "utf-8", errors="backslashreplace"))


def _summary(found: Mapping[str, Any], model: TrainedModel) -> str:
    metrics, overall = found["metrics"], found["metrics"]["overall"]
    rows = "" if found["part"] == "all" else f"{text(found['part'])} rows of "
    lead = (
        f"<p class=soft>{counted(metrics['images'], 'image')}, {rows}"
        f"{text(Path(found['table']).name)}; head {text(model.config.model.head)} on "
        f"{text(model.config.model.backbone)}, {model.features.preprocess.size} pixels; model "
        f"{found['model']}.</p>"
    )
    if told := text(of_learned(found["part"], found["learned"])):
        lead += f'<div class="note">{told[0].upper()}{told[1:]}.</div>'
    cards = [
        ("W_MAP", overall["w_map"], "average precision, each value weighted by its images"),
        ("AVGPREC", metrics["avgprec"], "precision of each image's ranked values"),
        ("Macro F1", overall["macro_f1"], "mean over the values"),
        ("Micro F1", overall["micro_f1"], "over all answers together"),
        ("Calibration error", metrics["calibration_error"], "confidence against accuracy"),
    ]
    shown = "".join(
        f'<div class="choice"><h3>{name}</h3><b>{cell(value) or "not known"}</b>'
        f"<p class=soft>{what}</p></div>"
        for name, value, what in cards
    )
    return f'{lead}<div class="choices">{shown}</div>'


def of_learned(part: str, count: int | None) -> str:
    """Say what became of the images that the model learned from; nothing if there are none."""
    if count is None:
        return (
            "this model, of an earlier version, does not say which images it learned from: they "
            "may be among these"
        )
    if not count:
        return ""
    if part in PARTS[:2]:
        return f"the model learned from {count} of these images"
    return f"left out: {counted(count, 'image')} that the model learned from"


def _left_aside(found: Mapping[str, Any]) -> str:
    notes = [
        f"{text(name)}: {counted(count, 'row')} of the table {'says' if count == 1 else 'say'} "
        f"{text(value)}, which the model was not trained on"
        for name, values in found["dropped"].items()
        for value, count in values.items()
    ]
    notes += [f"{text(image)} cannot be read" for image in found["failed"]]
    if not notes:
        return ""
    more = f"<li>and {len(notes) - MOST_NOTES} more, in metrics.json</li>"
    items = "".join(f"<li>{note}</li>" for note in notes[:MOST_NOTES])
    return (
        f"<details><summary>{counted(len(notes), 'note')}</summary><ul>{items}"
        f"{more if len(notes) > MOST_NOTES else ''}</ul></details>"
    )


def _comparisons(found: Mapping[str, Any]) -> str:
    rows = []
    for one in found["comparisons"]:
        cells = [cell(one[key]) for key in ("trained", "taught")]
        if one["better"] != "equal":
            at = ("trained", "taught").index(one["better"])
            cells[at] = f"<b>\N{BLACK STAR}\N{NO-BREAK SPACE}{cells[at]}</b>"
        scores = [cell(one[key]) for key in ("trained_macro_f1", "taught_macro_f1")]
        rows.append([text(one["attribute"]), str(one["images"]), *cells, *scores, one["better"]])
    heads = ["attribute", "images", "trained", "taught", "trained, macro F1", "taught, macro F1"]
    whose = "which neither learned from"
    if found["learned"] is None:
        whose = "which none of the taught attributes learned from"
    return (
        f"<p>Accuracy on the same images, {whose}; an answer <i>unknown</i> is wrong.</p>"
        + table([*heads, "better"], rows)
    )


def _attributes(found: Mapping[str, Any]) -> str:
    rows = [
        [
            text(one["name"]),
            one["kind"],
            str(one["images"]),
            cell(one["accuracy"]),
            cell(one["answered"]),
            cell(one["summary"]["macro_f1"]),
            cell(one["summary"]["w_map"]),
            cell(one["calibration_error"]),
        ]
        for one in found["metrics"]["attributes"]
    ]
    heads = ["attribute", "kind", "images", "accuracy", "answered", "macro F1", "W_MAP"]
    return (
        "<p>Images whose label is unknown are left out. An answer <i>unknown</i> counts as wrong; "
        "of kind multi an answer is right if every value is.</p>"
        + table([*heads, "calibration error"], rows)
    )


def _confusions(found: Mapping[str, Any]) -> str:
    parts = []
    for one in found["metrics"]["attributes"]:
        if one["confusion"] is None or not one["images"]:
            continue
        names = [*one["names"], "unknown"]
        matrix = one["confusion"]
        parts.append(f"<h3>{text(one['name'])}</h3>")
        few = len(names) <= MOST_VALUES + 1
        parts.append(_matrix(names, matrix) if few else _pairs(names, matrix))
    what = "Rows are what the table says, columns what the model answered."
    return f"<p>{what}</p>{''.join(parts)}" if parts else "<p>No attribute has one value only.</p>"


def _matrix(names: list[str], matrix: Any) -> str:
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in names)
    body = []
    for truth, row in enumerate(matrix):
        total = max(sum(row), 1)
        cells = []
        for said, count in enumerate(row):
            hue = "--good" if said == truth else "--bad"
            style = f"--hue: var({hue}); --share: {60 * count / total:.0f}"
            cells.append(f'<td class="n" style="{style}">{count or ""}</td>')
        body.append(f'<tr><th scope="row">{text(names[truth])}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="heat"><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _pairs(names: list[str], matrix: Any) -> str:
    pairs = sorted(
        (
            (-count, truth, said)
            for truth, row in enumerate(matrix)
            for said, count in enumerate(row)
            if count and truth != said
        )
    )
    rows = [
        [text(names[truth]), text(names[said]), str(-count), f"{-count / sum(matrix[truth]):.0%}"]
        for count, truth, said in pairs[:MOST_PAIRS]
    ]
    return table(["is", "answered", "images", "of all that are"], rows)


def _values(found: Mapping[str, Any]) -> str:
    keys = ("precision", "recall", "f1", "average_precision")
    rows = [
        [
            f"{text(one['attribute'])} <b>{text(one['value'])}</b>",
            str(one["images"]),
            str(one["known"]),
            *(cell(one[key]) for key in keys),
        ]
        for one in found["metrics"]["values"]
    ]
    heads = ["value", "images", "of", "precision", "recall", "F1", "average precision"]
    shown = table(heads, rows)
    if len(rows) <= 60:
        return shown
    return f"<details><summary>{html.escape(str(len(rows)))} values</summary>{shown}</details>"
