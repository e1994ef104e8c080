"""The page of a curation: what was flagged, with pictures, and distributions before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from gingham.curation.decisions import COLUMNS
from gingham.curation.duplicates import conflicts_of
from gingham.curation.pictures import FAULTS
from gingham.curation.spreads import spread
from gingham.curation.table import SPLITS, Records, Stage, TableRows
from gingham.options import ReadOptions
from gingham.report.kit import percent, short, thumbnail, write_page

THUMBNAIL = 136
MOST_CARDS = 24


def write_report(
    path: Path,
    samples: TableRows,
    before: Mapping[str, Counter[str]],
    stages: Sequence[Stage],
    labels: Records,
    summary: Mapping[str, Any],
    options: ReadOptions,
) -> None:
    """Write the page, whole or not at all; everything is inside it, nothing is fetched.

    `before` counts the values of each attribute in the table as it came; `labels` lists what copies
    of a picture say of each other's labels; `summary` holds the figures of `summary.json`.
    """
    page = _Page(samples, options.max_pixels)
    done = {stage.name: stage for stage in stages}
    makers: list[tuple[str, str, Callable[[Stage], dict[str, Any]]]] = [
        ("label_errors", "Probable label errors", page.label_errors),
        ("invalid", "Invalid images", page.invalid),
        ("duplicates", "Duplicates", lambda stage: page.duplicates(stage, labels)),
        ("pictures", "Small, blank, extreme", page.pictures),
        ("unknown", "Missing labels", page.unknown),
        ("values", "Values", page.values),
        ("split", "Split", page.split),
        ("balance", "Balance", page.balance),
    ]
    made = [(title, name, make) for name, title, make in makers if name in done]
    # Bad news first.
    made.sort(key=lambda one: one[1] in _WITH_NEWS and not _has_news(done[one[1]]))
    parts = {}
    for number, (_, name, make) in enumerate(made, 1):
        parts[name] = make(done[name])
        options.progress("report", number, len(made) + 1)
    parts["distributions"] = page.distributions(before, balanced="balance" in done)
    sections = [(title, name) for title, name, _ in made]
    last = [i for i, (_, name) in enumerate(sections) if name in ("split", "balance")]
    sections.insert(last[0] if last else len(sections), ("Distributions", "distributions"))
    options.progress("report", len(made) + 1, len(made) + 1)
    write_page(
        path,
        "curation.html",
        title=f"{Path(summary['table']).name or summary['table']}, curated",
        shown=_figures(summary),
        off=summary["turned_off"],
        ignored=list(summary["ignored_columns"].items()),
        unseen=list(summary["unseen"].items()),
        sections=sections,
        parts=parts,
        most=MOST_CARDS,
    )


_WITH_NEWS = ("label_errors", "invalid", "duplicates", "pictures")


def _has_news(stage: Stage) -> bool:
    """Say whether a stage found something that somebody should look at."""
    if stage.name == "label_errors":
        return any(one["flagged"] for one in stage.summary["attributes"].values())
    return bool(stage.records)


class _Page:
    """The sections; each is what the template shows."""

    def __init__(self, samples: TableRows, max_pixels: int) -> None:
        self.samples, self.max_pixels = samples, max_pixels

    def distributions(
        self, before: Mapping[str, Counter[str]], *, balanced: bool
    ) -> dict[str, Any]:
        """Count each attribute's values before, after, and as training sees them."""
        key = [("before", "in the original table"), ("after", "in the clean table")]
        if balanced:
            key.append(("shown", "shown per training epoch"))
        rows = self.samples.rows
        training = [row for row in rows if self.samples.split[row] == 0]
        spreads = []
        for name, column in self.samples.values.items():
            shown = self.samples.counts(name, training if balanced else [], repeated=True)
            unknown = sum(column[row] is None for row in rows)
            after = self.samples.counts(name, rows)
            spreads.append(spread(name, before[name], after, shown, unknown))
        return {"key": key, "spreads": spreads}

    def invalid(self, stage: Stage) -> dict[str, Any]:
        """List the files that could not be read."""
        rows = [[r["image"], r["reason"]] for r in islice(stage.records, MOST_CARDS)]
        return {"total": len(stage.records), "rows": rows}

    def duplicates(self, stage: Stage, labels: Records) -> dict[str, Any]:
        """Show copies beside what they are copies of, and the contradictions among their labels."""
        kinds = []
        for reason, heading in (
            ("a re-encoded, resized or turned copy", "Near copies"),
            ("the same pixels", "The same pixels"),
            ("alike, but no copy", "Similar: kept, always in the same split"),
        ):
            records = [r for r in stage.records if r["reason"] == reason]
            if records:
                cards = [self._pair(r) for r in records[:MOST_CARDS]]
                kinds.append({"heading": heading, "total": len(records), "cards": cards})
        conflicts = conflicts_of(labels)
        return {
            "exact": stage.summary["removed_exact"],
            "near": stage.summary["removed_near"],
            "kinds": kinds,
            "filled": stage.summary["filled_labels"],
            "conflicts": len(conflicts),
            "rows": [
                [
                    case[0]["attribute"],
                    "; ".join(f"{short(r['image'])}: {r['value']}" for r in case),
                    "; ".join(dict.fromkeys(r["resolved"] for r in case)),
                ]
                for case in islice(conflicts, MOST_CARDS)
            ],
        }

    def _pair(self, record: Mapping[str, Any]) -> dict[str, Any]:
        lines = [f"of {short(record['of_image'])}; {record['action']}"]
        if record["turn"]:
            lines.append(str(record["turn"]).replace("_", " "))
        if record["block"] != "":
            lines.append(f"largest local difference: {record['block']} (of 255)")
        other = {
            "name": short(record["of_image"]),
            "picture": self._picture(record["of_row"]),
        }
        return self._card(record["row"], lines) | {"of": other}

    def pictures(self, stage: Stage) -> dict[str, Any]:
        """Show the pictures that show too little."""
        found = {}
        for action in ("reported", "removed"):
            records = [r for r in stage.records if r["action"] == action]
            cards = [self._card(r["row"], [r["reason"]]) for r in records[:MOST_CARDS]]
            found[action] = {"total": len(records), "cards": cards}
        return found

    def values(self, stage: Stage) -> dict[str, Any]:
        """Say what the rules did, and which values were too rare."""
        found = stage.summary
        return {
            "changed": found["changed"],
            "rules": [[rule, str(count)] for rule, count in found["rules"].items()],
            "merged": [
                (name, ", ".join(f"{old} \u2192 {new}" for old, new in one.items()))
                for name, one in found["merged"].items()
            ],
            "rare": [
                (name, ", ".join(f"{v} ({n})" for v, n in one.items()))
                for name, one in found["too_rare"].items()
                if one
            ],
        }

    def unknown(self, stage: Stage) -> dict[str, Any]:
        """Say what is unknown of each attribute."""
        found = stage.summary
        rows = [
            [
                name,
                str(count),
                ", ".join(
                    f"{word or 'empty'} ({n})" for word, n in found["spelled"].get(name, {}).items()
                ),
            ]
            for name, count in found["unknown"].items()
        ]
        return {"unlabelled": found["unlabelled_rows"], "rows": rows}

    def label_errors(self, stage: Stage) -> dict[str, Any]:
        """Show the most doubtful of each attribute's flagged labels."""
        judged = stage.summary["attributes"]
        attributes = []
        for name, one in judged.items():
            flagged = (r for r in stage.records if r["attribute"] == name and r["flagged"])
            cards = [self._doubtful(r) for r in islice(flagged, MOST_CARDS)]
            if cards:
                about = {"name": name, "flagged": one["flagged"], "labels": one["labels"]}
                attributes.append(about | {"cards": cards})
        return {
            "attributes": attributes,
            "clean": [name for name, one in judged.items() if not one["flagged"]],
            "decided": stage.summary["decided"],
            "not_judged": [
                (n, one["not_judged"]) for n, one in judged.items() if one["not_judged"]
            ],
            "merges": len(stage.summary["merges"]),
            "merge_cards": [
                card
                for record in stage.summary["merges"][:MOST_CARDS]
                if (card := self._merge(record))
            ],
        }

    def _merge(self, record: Mapping[str, Any]) -> dict[str, Any] | None:
        """Show an image of each of two values that may be one; None if one has no image left."""
        name, old, new = (record[key] for key in ("attribute", "value", "into"))
        column, rows = self.samples.values[name], self.samples.rows
        shown = [next((row for row in rows if v in (column[row] or ())), None) for v in (old, new)]
        if None in shown:
            return None
        counted = f"{record['images']:,} and {record['images_into']:,} images"
        one, other = (
            {"name": value, "picture": self._picture(row)}
            for value, row in zip((old, new), shown, strict=True)
            if row is not None
        )
        lines = [name, record["reason"], counted]
        return one | {"of": other, "lines": lines, "says": old, "suggested": new}

    def _doubtful(self, record: Mapping[str, Any]) -> dict[str, Any]:
        own, other = percent(record["probability"]), percent(record["suggested_probability"])
        card = self._card(record["row"], [f"{own} against {other}"])
        card["lines"].append(card["name"])
        doubt = {name: record[name] for name in COLUMNS[:-1]}
        return card | {"says": record["value"], "suggested": record["suggested"], "doubt": doubt}

    def split(self, stage: Stage) -> dict[str, Any]:
        """Say how many rows and values each set got."""
        parts = [
            [row for row in self.samples.rows if self.samples.split[row] == i]
            for i in range(len(SPLITS))
        ]
        rows = [["images", *(str(stage.summary[name]) for name in SPLITS)]]
        for name in self.samples.values:
            counts = (str(len(self.samples.counts(name, part))) for part in parts)
            rows.append([f"values of {name}", *counts])
        lost = stage.summary["values_without_training"]
        return {"heads": ["", *SPLITS], "rows": rows, "lost": lost}

    def balance(self, stage: Stage) -> dict[str, Any]:
        """Say how much each value is repeated, the most first."""
        most = sorted(stage.records, key=lambda r: -r["shown"] / r["images"])
        return {
            "training": stage.summary["training_rows"],
            "shown": stage.summary["shown_an_epoch"],
            "rows": [
                [
                    f"{r['attribute']}: {r['value']}",
                    str(r["images"]),
                    str(r["shown"]),
                    f"{r['shown'] / r['images']:.2f}",
                ]
                for r in islice(most, MOST_CARDS)
            ],
        }

    def _card(self, row: int, lines: list[str]) -> dict[str, Any]:
        name = short(self.samples.names[row])
        return {"name": name, "picture": self._picture(row), "lines": lines}

    def _picture(self, row: int) -> str | None:
        path = self.samples.paths[row]
        return thumbnail(path, THUMBNAIL, max_pixels=self.max_pixels, quality=72)


def _figures(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    stages = summary["stages"]
    shown = [("rows in the clean table", summary["kept"], f"of {summary['rows']:,} in the table")]
    if "label_errors" in stages:
        flagged = sum(one["flagged"] for one in stages["label_errors"]["attributes"].values())
        shown.insert(0, ("labels flagged", flagged, "probably wrong"))
    for name, what in (
        ("invalid", "invalid images"),
        ("duplicates", "duplicates removed"),
        ("pictures", "poor pictures removed"),
    ):
        if name in stages:
            shown.append((what, stages[name]["removed"], ""))
    if faults := sum(stages.get("pictures", {}).get(kind, 0) for kind in FAULTS):
        shown.append(("pictures dark or blurred", faults, ""))
    return [(name, f"{count:,}", what) for name, count, what in shown]
