"""The page of an evaluation: one file, nothing fetched, no script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gingham.report.kit import Cell, counted, figure, percent
from gingham.report.kit import write_page as write
from gingham.training.samples import PARTS
from gingham.training.trained import TrainedModel

MOST_VALUES = 12
"""From so many values a confusion matrix is a list of its most frequent confusions."""
MOST_PAIRS = 20
MOST_NOTES = 20

UP, DOWN = " \N{UPWARDS ARROW}", " \N{DOWNWARDS ARROW}"


def write_page(file: Path, found: Mapping[str, Any], model: TrainedModel) -> None:
    """Write the page of what `evaluate_model` found (as plain values)."""
    metrics, overall = found["metrics"], found["metrics"]["overall"]
    rows = "" if found["part"] == "all" else f"{found['part']} rows of "
    learned = of_learned(found["part"], found["learned"])
    notes = _skipped(found)
    sections = [("Trained or taught", "taught")] if found["comparisons"] else []
    sections += [("Attributes", "attributes"), ("Confusions", "confusions"), ("Values", "values")]
    unseen = "which neither learned from"
    if found["learned"] is None:
        unseen = "which none of the taught attributes learned from"
    judged = [one for one in metrics["attributes"] if one["images"]]
    answers = sum(one["images"] for one in judged)
    right = sum(one["images"] * one["accuracy"] for one in judged)
    write(
        file,
        "model.html",
        title=f"Evaluation of {model.folder.name}",
        lead=f"{counted(metrics['images'], 'image')}, {rows}{Path(found['table']).name}; head "
        f"{model.config.model.head} on {model.config.model.backbone}, "
        f"{model.features.preprocess.size} pixels; model {found['model']}.",
        learned=learned[:1].upper() + learned[1:],
        cards=[
            ("Accuracy", percent(right / answers) if answers else "not known", "of all answers"),
            _card("Macro F1", overall["macro_f1"], "mean over the values"),
            _card("Micro F1", overall["micro_f1"], "over all answers together"),
            _card(
                "Calibration error" + DOWN,
                metrics["calibration_error"],
                "confidence against accuracy",
            ),
            _card(
                "W_MAP", overall["w_map"], "average precision, each value weighted by its images"
            ),
            _card("AVGPREC", metrics["avgprec"], "precision of each image's ranked values"),
        ],
        sections=[*sections, ("Skipped", "aside")] if notes else sections,
        unseen=unseen,
        comparison_heads=[
            "attribute",
            "images",
            "trained",
            "taught",
            "trained, macro F1",
            "taught, macro F1",
            "better",
        ],
        comparisons=[_comparison(one) for one in found["comparisons"]],
        attribute_heads=[
            "attribute",
            "kind",
            "images",
            f"accuracy{UP}",
            f"answered{UP}",
            f"macro F1{UP}",
            f"W_MAP{UP}",
            f"calibration error{DOWN}",
        ],
        attributes=[
            [
                one["name"],
                one["kind"],
                f"{one['images']:,}",
                *map(figure, (one["accuracy"], one["answered"])),
                *map(figure, (one["summary"]["macro_f1"], one["summary"]["w_map"])),
                figure(one["calibration_error"]),
            ]
            for one in metrics["attributes"]
        ],
        most_values=MOST_VALUES,
        confusions=[
            _confusions(one) for one in metrics["attributes"] if one["confusion"] and one["images"]
        ],
        pair_heads=["is", Cell("answered", tone="text"), "images", "of all that are"],
        value_heads=[
            "value",
            Cell("attribute", tone="text"),
            "images",
            "of",
            "precision",
            "recall",
            "F1",
            "average precision",
        ],
        values=[
            [
                one["value"],
                Cell(one["attribute"], tone="text"),
                str(one["images"]),
                str(one["known"]),
                *(figure(one[key]) for key in ("precision", "recall", "f1", "average_precision")),
            ]
            for one in metrics["values"]
        ],
        notes=notes,
        most_notes=MOST_NOTES,
    )


def _card(name: str, value: float | None, what: str) -> tuple[str, str, str]:
    return name, figure(value) or "not known", what


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


def _skipped(found: Mapping[str, Any]) -> list[str]:
    notes = [
        f"{name}: {counted(count, 'row')} of the table {'says' if count == 1 else 'say'} "
        f"{value}, which the model was not trained on"
        for name, values in found["dropped"].items()
        for value, count in values.items()
    ]
    return notes + [f"{image} cannot be read" for image in found["failed"]]


def _comparison(one: Mapping[str, Any]) -> list[str | Cell]:
    return [
        one["attribute"],
        str(one["images"]),
        *(
            Cell(figure(one[key]), tone="best" if one["better"] == key else "")
            for key in ("trained", "taught")
        ),
        *(figure(one[key]) for key in ("trained_macro_f1", "taught_macro_f1")),
        one["better"],
    ]


def _confusions(one: Mapping[str, Any]) -> dict[str, Any]:
    names, counts = [*one["names"], "unknown"], one["confusion"]
    pairs = sorted(
        (-count, truth, said)
        for truth, row in enumerate(counts)
        for said, count in enumerate(row)
        if count and truth != said
    )
    listed = [
        [
            names[truth],
            Cell(names[said], tone="text"),
            str(-count),
            f"{-100 * count / sum(counts[truth]):.0f} %",
        ]
        for count, truth, said in pairs[:MOST_PAIRS]
    ]
    many = len(one["names"]) >= MOST_VALUES
    return {
        "name": one["name"],
        "names": names,
        "counts": counts,
        "pairs": listed if many else None,
    }
