"""What the page of a study shows, section by section, as plain data for its template."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gingham.evaluation.study.accuracy import least_difference
from gingham.evaluation.study.bench import PAPER, deciding_protocol
from gingham.evaluation.study.clustering import PAPER as PAPER_CLUSTERS
from gingham.evaluation.study.reading import POOLINGS
from gingham.evaluation.study.reduction import METHODS
from gingham.evaluation.study.tables import TAUGHT, Row
from gingham.evaluation.study.tints import tints
from gingham.report.charts import Series, line_chart, map_chart, mark
from gingham.report.kit import Cell, counted, figure, short

Shown = dict[str, Any]

CLUSTERS = {
    "adjusted_rand": "adjusted Rand index",
    "adjusted_mutual_information": "adjusted mutual information",
}
REDUCED = {
    "umap on all": "UMAP on all data (as in the paper)",
    "umap in fold": "UMAP in fold",
    "pca": "PCA in fold",
    "taught": "taught projection in fold",
}


@dataclass(frozen=True)
class Panel:
    """A chart beside its table."""

    title: str
    chart: Shown
    heads: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    note: str = ""


class Sections:
    """The sections of a study's page.

    Parameters
    ----------
    found : see `gingham.evaluation.study.experiments.run_experiments`.
    places : image -> its place among the page's pictures.
    """

    def __init__(self, found: Mapping[str, Any], places: Mapping[int, int]) -> None:
        self.found, self.places = found, places
        self.tables: Mapping[str, list[Row]] = found["tables"]
        self.about: Mapping[str, Any] = found["attributes"]

    def choices(self) -> list[Shown]:
        """Which layer the study would choose for each attribute, and why."""
        setting, made = self.found["setting"], []
        for name, choice in self.found["choices"].items():
            images, least = len(self.about[name]["rows"]), least_difference(setting["level"])
            own = {key: choice[f"best_{key}"] for key in ("backbone", "layer")}
            more = {
                "name": name,
                "images": images,
                "values": len(self.about[name]["counts"]),
                "best": own.items() <= choice.items(),
                "least": least,
                "weak": least > setting["margin"] * images,
                "taught": self.found["taught"][name],
            }
            made.append(choice | more)
        return made

    def notes(self) -> list[str]:
        """What was skipped, and why."""
        said = []
        for name, about in self.about.items():
            unit = "group" if about["grouped"] else "image"
            said += [
                f"{name}: {value!r} has only {counted(n, unit)}, fewer than folds, and is left out"
                for value, n in about["left_out"].items()
            ]
            if about["given"]:
                said.append(
                    f"{name}: {len(about['rows']):,} of {about['given']:,} images are studied, "
                    "drawn at random (--max-images)"
                )
            if about["copies"]:
                said.append(f"{name}: exact copies of other files, counted once: {about['copies']}")
        said += [f"{one['image']}: {one['reason']}" for one in self.found["failures"]]
        if self.found["unlabelled"]:
            said.append(f"rows without a label: {self.found['unlabelled']}")
        told = ("hidden or system files left out", "links followed", "folders read once")
        for key, what in zip(("ignored", "followed", "repeated"), told, strict=True):
            said += [f"{what}: {', '.join(self.found[key])}"] if self.found[key] else []
        return said

    def accuracy(self) -> Iterator[Panel]:
        """Table 1."""
        for name, backbone, layers in self._pairs():
            own = self._rows("accuracy", name, backbone)
            rows = {(row["layer"], row["pooling"], row["protocol"]): row for row in own}
            protocol = deciding_protocol(self.about[name]["grouped"])
            columns = {pooling: (pooling, protocol) for pooling in POOLINGS}
            series = []
            for head, column in columns.items():
                line = [rows[layer, *column] for layer in layers]
                spread = [row["deviation"] for row in line] if head == "mean" else ()
                accuracies = [row["accuracy"] for row in line]
                series.append(Series(head, range(len(layers)), accuracies, layers, spread))
            if protocol != PAPER:
                paper = {"mean, duplicates not grouped (as in the paper)": ("mean", PAPER)}
                columns = paper | columns
            table: list[list[str | Cell]] = []
            for layer in (*layers, TAUGHT):
                first = Cell(layer, tone="taught" if layer == TAUGHT else "")
                table.append([first, *(_cell(rows.get((layer, *one))) for one in columns.values())])
            chart = _by_layer(series, f"Accuracy for {name}", "accuracy", backbone, layers)
            yield Panel(f"{name}, {backbone}", chart, ["layer", *columns], table)

    def clusters(self) -> Iterator[Panel]:
        """Figures 2 and 3."""
        paper = PAPER_CLUSTERS
        for name, backbone, layers in self._pairs():
            rows = self._rows("clustering", name, backbone)
            size = rows[0]["min_cluster_size"]
            note = f"min_cluster_size {size} and min_samples {rows[0]['min_samples']}."
            if size == paper.min_cluster_size:
                note = f"Parameters as in the paper: {note}"
            else:
                note = (
                    f"The paper's min_cluster_size {paper.min_cluster_size} and min_samples "
                    f"{paper.min_samples} are too large for this data: scaled to {note}"
                )
            series = [
                Series(said, range(len(layers)), [row[key] for row in rows], layers)
                for key, said in CLUSTERS.items()
            ]
            table = [
                [
                    row["layer"],
                    *(figure(row[key]) for key in CLUSTERS),
                    str(row["clusters"]),
                    f"{100 * row['noise']:.0f} %",
                ]
                for row in rows
            ]
            title = f"Agreement of clusters with {name}"
            chart = _by_layer(series, title, "agreement", backbone, layers)
            heads = ["layer", *CLUSTERS.values(), "clusters", "in no cluster"]
            yield Panel(f"{name}, {backbone}", chart, heads, table, note)

    def maps(self) -> Iterator[Shown]:
        """Figures 4 and 5."""
        for name, about in self.about.items():
            number = {value: i for i, value in enumerate(sorted(about["counts"]))}
            colours = enumerate(tints(list(number)))
            charts = []
            for k, one in enumerate(self.found["maps"]):
                if one["attribute"] == name:
                    labels = [number[about["values"][row]] for row in one["rows"]]
                    chart = map_chart(one["x"], one["y"], labels, list(number))
                    charts.append((chart, f"{one['backbone']}, {one['layer']}", k))
            yield {
                "name": name,
                "style": "; ".join(f"--v{i}: {colour}" for i, colour in colours),
                "values": [(value, about["counts"][value], mark(i)) for value, i in number.items()],
                "charts": charts,
            }

    def points(self) -> Iterator[Shown]:
        """The points of each map, for the page's script."""
        for one in self.found["maps"]:
            about = self.about[one["attribute"]]
            yield {
                "x": one["x"],
                "y": one["y"],
                "places": [self.places[about["rows"][row]] for row in one["rows"]],
                "values": [about["values"][row] for row in one["rows"]],
            }

    def dimensions(self) -> Iterator[Panel]:
        """Table 2."""
        for name, backbone, _ in self._pairs():
            rows = self._rows("reduction", name, backbone)
            by = {(row["method"], row["dimensions"]): row for row in rows}
            ladder = {row["dimensions"]: row for row in sorted(rows, key=lambda r: r["dimensions"])}
            whole = next(row["dimensions"] for row in rows if row["method"] == "none")
            said = {"none": f"the layer itself, all {whole} dimensions", **REDUCED}
            said = {m: said[m] for m in METHODS if any(row["method"] == m for row in rows)}
            series, table = [], []
            for method, label in said.items():
                own = [d for d in ladder if (method, d) in by]
                accuracies = [by[method, d]["accuracy"] for d in own]
                series.append(Series(label, [math.log2(d) for d in own], accuracies, own))
            for d, row in ladder.items():
                speed = f"{row['bytes_an_image']:,}", f"{row['neighbours_per_second']:,}"
                table.append([str(d), *(_cell(by.get((m, d))) for m in said), *speed])
            chart = line_chart(
                series,
                title=f"Accuracy for {name} by number of dimensions, {backbone}",
                x_name="dimensions, on a logarithmic scale",
                y_name="accuracy",
                ticks=_logarithmic(ladder),
            )
            heads = ["dimensions", *said.values(), "bytes per image", "searches per second"]
            yield Panel(f"{name}, {backbone} {rows[0]['layer']}", chart, heads, table)

    def retrieval(self) -> Iterator[list[str]]:
        """Figure 6 in numbers."""
        for row in self.tables["retrieval"]:
            measures = figure(row["mean_average_precision"]), figure(row["precision_at_10"])
            said = f"{row['attribute']} by {row['search']}, {row['backbone']}"
            yield [said, *measures, f"{row['queries']:,}"]

    def searches(self) -> Iterator[Shown]:
        """Figure 6: what each look finds for a few queries."""
        values: dict[int, dict[str, str]] = {}
        for name, about in self.about.items():
            for row, value in zip(about["rows"], about["values"], strict=True):
                values.setdefault(row, {})[name] = value
        for sheet in self.found["sheets"]:
            own = values.get(sheet["query"], {})
            said = ", ".join(own.values()) or short(self.found["files"][sheet["query"]])
            strips = []
            for search, rows in sheet["found"].items():
                tiles = []
                for row in rows:
                    other = values.get(row, {})
                    # What is said of an answer to a query without a value is all that is known.
                    asked = own or other
                    words = ", ".join(value for name, value in other.items() if name in asked)
                    words = words or f"no {' or '.join(own)} label"
                    tiles.append(self._tile(row, words, answer_tone(own, other)))
                tones = [tile["tone"] for tile in tiles if tile["tone"]]
                note = f"{tones.count('good')} of {len(tones)}" if tones else ""
                strips.append({"name": f"by {search}", "note": note, "tiles": tiles})
            query = self._tile(sheet["query"], said, "query")
            yield {"title": f"{said}, {sheet['backbone']}", "query": query, "strips": strips}

    def confusions(self) -> Iterator[Shown]:
        """Confusions, the pictures behind them, and the examples that look mislabelled."""
        for name, backbone, layers in self._pairs():
            means = self._means(name)
            best = next(layer for layer in layers if means[backbone, layer]["best"])
            suspects = [
                self._tile(
                    one["image"],
                    f"{one['value']} ({one['probability']:.2f}); looks {one['other']} "
                    f"({one['other_probability']:.2f})",
                )
                for one in _of(self.found["suspects"], name, backbone)
            ]
            yield {
                "title": f"{name}, {backbone}",
                "names": sorted(self.about[name]["counts"]),
                "shown": [self._confusion(name, backbone, layer, 5) for layer in (best, TAUGHT)],
                "others": [
                    self._confusion(name, backbone, layer, 2) for layer in layers if layer != best
                ],
                "suspects": suspects,
            }

    def cost(self) -> Iterator[Panel]:
        """Accuracy against time and bytes."""
        rows = self.tables["cost"]
        most = max(row["milliseconds_an_image"] for row in rows)
        step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, most) if most / s <= 6)
        ticks = {i * step: f"{i * step:g}" for i in range(math.ceil(most / step) + 1)}
        for name in self.about:
            means, series, table = self._means(name), [], []
            for backbone, layers in self.found["backbones"].items():
                times = [r["milliseconds_an_image"] for r in rows if r["backbone"] == backbone]
                accuracies = [means[backbone, layer]["accuracy"] for layer in layers]
                series.append(Series(backbone, times, accuracies, layers))
            for row in rows:
                time, size = f"{row['milliseconds_an_image']:.2f}", f"{row['bytes_a_vector']:,}"
                layer = row["backbone"], row["layer"]
                table.append([" ".join(layer), figure(means[layer]["accuracy"]), time, size])
            chart = line_chart(
                series,
                title=f"Accuracy for {name} against time",
                x_name="milliseconds per image",
                y_name="accuracy",
                ticks=ticks,
            )
            heads = ["layer", "accuracy", "milliseconds per image", "bytes per vector"]
            yield Panel(name, chart, heads, table)

    def _pairs(self) -> Iterator[tuple[str, str, Sequence[str]]]:
        """Each attribute with each backbone and its layers."""
        for name in self.about:
            for backbone, layers in self.found["backbones"].items():
                yield name, backbone, layers

    def _rows(self, table: str, name: str, backbone: str) -> list[Row]:
        return _of(self.tables[table], name, backbone)

    def _means(self, name: str) -> dict[tuple[str, str], Row]:
        """Accuracies by channel means, of the protocol that decides: (backbone, layer) -> row."""
        wanted = name, "mean", deciding_protocol(self.about[name]["grouped"])
        return {
            (row["backbone"], row["layer"]): row
            for row in self.tables["accuracy"]
            if (row["attribute"], row["pooling"], row["protocol"]) == wanted
        }

    def _confusion(self, name: str, backbone: str, layer: str, most: int) -> Shown:
        """One layer's matrix, and pictures of the pairs most confused."""
        number = {value: i for i, value in enumerate(sorted(self.about[name]["counts"]))}
        counts = np.zeros((len(number), len(number)), np.intp)
        for row in self._rows("confusions", name, backbone):
            if row["layer"] == layer:
                counts[number[row["value"]], number[row["taken_for"]]] = row["images"]
        strips = []
        pairs = [one for one in _of(self.found["pairs"], name, backbone) if one["layer"] == layer]
        for pair in pairs[:most]:
            first, second = pair["first"], pair["second"]
            words = f"{first} taken for {second}", f"{second} taken for {first}"
            sides = zip(pair["images"], words, strict=True)
            tiles = [self._tile(row, said) for rows, said in sides for row in rows]
            note = counted(pair["count"], "image")
            strips.append({"name": f"{first} / {second}", "note": note, "tiles": tiles})
        return {"layer": layer, "counts": counts.tolist(), "strips": strips}

    def _tile(self, row: int, words: str, tone: str = "") -> Shown:
        name = short(self.found["files"][row])
        return {"place": self.places[row], "name": name, "value": words, "tone": tone}


def answer_tone(own: Mapping[str, str], other: Mapping[str, str]) -> str:
    """Mark an answer; without a value of the query's attributes it is neither right nor wrong."""
    if own.items() & other.items():
        return "good"
    return "bad" if own.keys() & other.keys() else ""


def _of(rows: Iterable[Row], name: str, backbone: str) -> list[Row]:
    return [row for row in rows if (row["attribute"], row["backbone"]) == (name, backbone)]


def _by_layer(
    series: Sequence[Series], title: str, y_name: str, backbone: str, layers: Sequence[str]
) -> Shown:
    return line_chart(
        series,
        title=f"{title} by layer of {backbone}",
        x_name=f"layers of {backbone}",
        y_name=y_name,
        ticks=dict(enumerate(layers)),
    )


def _cell(row: Row | None) -> str | Cell:
    if row is None:
        return ""
    tone = "best" if row.get("best") else "equal" if row.get("no_worse") else ""
    return Cell(figure(row["accuracy"]), f"\N{PLUS-MINUS SIGN} {figure(row['deviation'])}", tone)


def _logarithmic(dimensions: Iterable[int]) -> dict[float, str]:
    """Place dimensions on a logarithmic axis; labels that would touch are left out."""
    ticks: dict[float, str] = {}
    for d in dimensions:
        place = math.log2(d)
        near = any(label and place - at < 0.5 for at, label in ticks.items())
        ticks[place] = "" if near else str(d)
    return ticks
