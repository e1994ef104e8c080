"""The page of a curation: distributions before and after, and pictures of what was flagged."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from gingham.curation.duplicates import conflicts_of
from gingham.curation.spreads import spread
from gingham.curation.table import Records, Stage, TableRows
from gingham.errors import ImageError
from gingham.evaluation.study.markup import table
from gingham.evaluation.study.page import asset, sectioned_page
from gingham.images import open_image, read_file
from gingham.options import ReadOptions
from gingham.report.frame import escaped
from gingham.store.files import replace_file

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

    Parameters
    ----------
    path : where to; a file there is replaced.
    samples : the table after curation.
    before : attribute -> value -> rows of the table as it came.
    stages : what was done.
    labels : what copies of a picture say of each other's labels: filled, or contradictory.
    summary : the figures, as `summary.json` has them.
    options : see `gingham.ReadOptions`.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    page = _Page(samples, options.max_pixels)
    done = {stage.name: stage for stage in stages}
    made: list[tuple[str, str, str]] = []
    sections: list[tuple[str, str, Callable[[], str]]] = [
        ("Distributions", "distributions", lambda: page.distributions(before, done)),
    ]
    for name, title, make in (
        ("invalid", "Invalid images", page.invalid),
        ("duplicates", "Duplicates", lambda stage: page.duplicates(stage, labels)),
        ("pictures", "Small, blank, extreme", page.pictures),
        ("values", "Values", page.values),
        ("unknown", "Missing labels", page.unknown),
        ("label_errors", "Probable label errors", page.label_errors),
        ("split", "Split", page.split),
        ("balance", "Balance", page.balance),
    ):
        if name in done:
            sections.append((title, name, lambda make=make, name=name: make(done[name])))  # type: ignore[misc]
    for number, (title, anchor, build) in enumerate(sections, 1):
        made.append((title, anchor, build()))
        options.progress("report", number, len(sections))
    title = f"{Path(summary['table']).name or summary['table']}, curated"
    html = sectioned_page(
        title, _figures(summary), made, style=asset("page.css", "gingham.curation")
    )
    replace_file(path, lambda temporary: temporary.write_text(html, encoding="utf-8"))


class _Page:
    """The sections; each is HTML."""

    def __init__(self, samples: TableRows, max_pixels: int) -> None:
        self.samples, self.max_pixels = samples, max_pixels

    def distributions(self, before: Mapping[str, Counter[str]], done: Mapping[str, Stage]) -> str:
        """Draw each attribute's values before, after, and as training sees them."""
        balanced = "balance" in done
        keys = [("before", "in the table as it came"), ("after", "in the clean table")]
        if balanced:
            keys.append(("shown", "shown per training epoch"))
        key = "".join(f'<span><i class="{name}"></i>{what}</span>' for name, what in keys)
        rows = self.samples.rows
        training = [row for row in rows if self.samples.split[row] == 0]
        spreads = []
        for name, column in self.samples.values.items():
            shown: Counter[str] = Counter()
            for row in training if balanced else ():
                for value in column[row] or ():
                    shown[value] += int(self.samples.repeat[row])
            unknown = sum(column[row] is None for row in rows)
            spreads.append(
                spread(name, before[name], self.samples.counts(name, rows), shown, unknown)
            )
        return (
            f'<p class="key">{key}</p><p>Bars are shares of all labels of an attribute; numbers '
            f"are labels.</p><div class='spreads'>{''.join(spreads)}</div>"
        )

    def invalid(self, stage: Stage) -> str:
        """List the files that could not be read."""
        if not stage.records:
            return "<p>Every picture can be read.</p>"
        rows = [
            [escaped(r["image"]), escaped(r["reason"])] for r in islice(stage.records, MOST_CARDS)
        ]
        return f"<p>{len(stage.records)} removed.{_more(stage.records)}</p>" + table(
            ["image", "reason"], rows
        )

    def duplicates(self, stage: Stage, labels: Records) -> str:
        """Show copies beside what they are copies of, and the contradictions among their labels."""
        found = stage.summary
        parts = [
            f"<p>Removed for having the same pixels as another: {found['removed_exact']}; for "
            f"being a re-encoded, resized or turned copy: {found['removed_near']}.</p>"
        ]
        for reason, heading in (
            ("a re-encoded, resized or turned copy", "Near copies"),
            ("the same pixels", "The same pixels"),
            ("alike, but no copy", "Similar: kept, always in the same split"),
        ):
            records = [r for r in stage.records if r["reason"] == reason]
            if records:
                cards = "".join(map(self._pair, islice(records, MOST_CARDS)))
                parts.append(
                    f"<h3>{heading}: {len(records)}</h3>{_more(records)}"
                    f'<div class="cards">{cards}</div>'
                )
        if found["filled_labels"]:
            parts.append(
                "<p>Unknown labels filled from copies that were removed: "
                f"{found['filled_labels']}; each is in <code>stages/2_labels.csv</code>.</p>"
            )
        conflicts = conflicts_of(labels)
        if conflicts:
            rows = [
                [
                    escaped(case[0]["attribute"]),
                    "; ".join(
                        f"{escaped(_short(r['image']))}: {escaped(r['value'])}" for r in case
                    ),
                    "; ".join(dict.fromkeys(escaped(r["resolved"]) for r in case)),
                ]
                for case in islice(conflicts, MOST_CARDS)
            ]
            parts.append(
                f"<h3>Copies labelled differently: {len(conflicts)}</h3>{_more(conflicts)}"
                + table(["attribute", "labels", "stands now"], rows)
            )
        return "".join(parts)

    def _pair(self, record: Mapping[str, Any]) -> str:
        turn = str(record["turn"]).replace("_", " ")
        far = (
            f"largest local difference: {record['block']} (of 255)" if record["block"] != "" else ""
        )
        lines = "".join(f"<span>{escaped(line)}</span>" for line in (turn, far) if line)
        return (
            f'<figure class="card pair"><div>{self._picture(record["of_row"])}'
            f"{self._picture(record['row'])}</div><figcaption>"
            f"<b>{escaped(_short(record['image']))}</b>"
            f"<span>of {escaped(_short(record['of_image']))}; {escaped(record['action'])}</span>"
            f"{lines}</figcaption></figure>"
        )

    def pictures(self, stage: Stage) -> str:
        """Show the pictures that show too little."""
        if not stage.records:
            return "<p>No picture is too small, blank or extremely long.</p>"
        cards = "".join(
            self._card(r["row"], f"<span>{escaped(r['reason'])}</span>")
            for r in islice(stage.records, MOST_CARDS)
        )
        return (
            f"<p>{len(stage.records)} removed.{_more(stage.records)}</p>"
            f'<div class="cards">{cards}</div>'
        )

    def values(self, stage: Stage) -> str:
        """Say what the rules did, and which values were too rare."""
        found = stage.summary
        parts = [f"<p>{found['changed']} labels changed.</p>"]
        if found["rules"]:
            rows = [[escaped(rule), str(count)] for rule, count in found["rules"].items()]
            parts.append(table(["rule", "images"], rows))
        rare = [
            [escaped(name), ", ".join(f"{escaped(v)} ({n})" for v, n in one.items())]
            for name, one in found["too_rare"].items()
        ]
        if rare:
            items = "".join(f"<li><b>{name}</b>: {what}</li>" for name, what in rare)
            parts.append(f'<h3>Too rare, now unknown</h3><ul class="plain">{items}</ul>')
        return "".join(parts)

    def unknown(self, stage: Stage) -> str:
        """Say what is unknown of each attribute."""
        found = stage.summary
        rows = [
            [
                escaped(name),
                str(count),
                ", ".join(
                    f"{escaped(word) or 'empty'} ({n})"
                    for word, n in found["spelled"].get(name, {}).items()
                ),
            ]
            for name, count in found["unknown"].items()
        ]
        return (
            "<p>A missing label is unknown: never a value, and never a negative. Rows are in "
            "<code>stages/5_unknown.csv</code>. "
            f"{found['unlabelled_rows']} rows have no label at all.</p>"
            + table(["attribute", "unknown in the clean table", "spelled, in the table"], rows)
        )

    def label_errors(self, stage: Stage) -> str:
        """Show the most doubtful labels of each attribute."""
        parts = [
            "<p>Each label's probability by a model that never saw it or its copies. "
            "<s>What the table says</s>, and <em>what the model says</em>.</p>"
        ]
        for name, one in stage.summary["attributes"].items():
            top = islice((r for r in stage.records if r["attribute"] == name), MOST_CARDS)
            cards = "".join(
                self._card(
                    r["row"],
                    f"<b><s>{escaped(r['value'])}</s> <em>{escaped(r['suggested'])}</em></b>"
                    f"<span>{r['probability']:.2g} against {r['suggested_probability']:.2g}</span>",
                )
                for r in top
            )
            parts.append(
                f"<h3>{escaped(name)}: {one['flagged']} of {one['labels']} labels flagged</h3>"
                + (f'<div class="cards">{cards}</div>' if cards else "")
                + (
                    f'<p class="soft">{one["not_judged"]} could not be judged: their value '
                    "has no second group of images.</p>"
                    if one["not_judged"]
                    else ""
                )
            )
        return "".join(parts)

    def split(self, stage: Stage) -> str:
        """Say how many rows and values each set got."""
        names = ("train", "validation", "test")
        rows = [["images", *(str(stage.summary[name]) for name in names)]]
        for attribute, column in self.samples.values.items():
            have = [
                {
                    v
                    for row in self.samples.rows
                    if self.samples.split[row] == i
                    for v in column[row] or ()
                }
                for i in range(len(names))
            ]
            rows.append([f"values of {escaped(attribute)}", *(str(len(one)) for one in have)])
        lost = stage.summary["values_without_training"]
        note = f"<p>No training image has {escaped(', '.join(lost))}.</p>" if lost else ""
        return table(["", *names], rows) + note

    def balance(self, stage: Stage) -> str:
        """Say how much each value is repeated, the most first."""
        found = stage.summary
        most = sorted(stage.records, key=lambda r: -r["shown"] / r["images"])
        rows = [
            [
                f"{escaped(r['attribute'])}: {escaped(r['value'])}",
                str(r["images"]),
                str(r["shown"]),
                f"{r['shown'] / r['images']:.2f}",
            ]
            for r in islice(most, MOST_CARDS)
        ]
        return (
            f"<p>{found['training_rows']} training images are shown {found['shown_an_epoch']} "
            "times an epoch; repeats are other views of an image, as many as training makes: its "
            "mirror image, and random boxes if asked for. The values repeated most:</p>"
            + table(["value", "images", "shown an epoch", "times"], rows)
        )

    def _card(self, row: int, words: str) -> str:
        name = escaped(_short(self.samples.names[row]))
        return (
            f'<figure class="card">{self._picture(row)}<figcaption>{words}'
            f"<span>{name}</span></figcaption></figure>"
        )

    def _picture(self, row: int) -> str:
        name = escaped(_short(self.samples.names[row]))
        try:
            data = read_file(self.samples.paths[row])
            picture = open_image(data, max_pixels=self.max_pixels, draft=THUMBNAIL)
        except ImageError:
            return '<div class="gone">cannot be read</div>'
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=72, optimize=True)
        encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
        return f'<img src="data:image/jpeg;base64,{encoded}" alt="{name}">'


def _figures(summary: Mapping[str, Any]) -> str:
    stages = summary["stages"]
    shown = [("rows in the table", summary["rows"]), ("in the clean table", summary["kept"])]
    for name, what in (
        ("invalid", "invalid"),
        ("duplicates", "duplicates removed"),
        ("pictures", "poor pictures removed"),
    ):
        if name in stages:
            shown.append((what, stages[name]["removed"]))
    if "label_errors" in stages:
        flagged = sum(one["flagged"] for one in stages["label_errors"]["attributes"].values())
        shown.append(("labels flagged", flagged))
    items = "".join(f"<div><dt>{what}</dt><dd>{count:,}</dd></div>" for what, count in shown)
    off = summary["turned_off"]
    left = "".join(
        f"<p>Column {escaped(name)} is not used as an attribute: {escaped(why)}.</p>"
        for name, why in summary["ignored_columns"].items()
    )
    said = f"<p>Turned off: {', '.join(off)}.</p>" if off else ""
    return f'<dl class="figures">{items}</dl>{said}{left}'


def _more(records: Sequence[Any] | Mapping[Any, Any]) -> str:
    return f" The first {MOST_CARDS} are shown." if len(records) > MOST_CARDS else ""


def _short(image: str) -> str:
    return image.replace("\\", "/").rsplit("/", 1)[-1]
