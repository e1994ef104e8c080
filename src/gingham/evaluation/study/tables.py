"""The results as flat tables: rows of plain values, written as CSV and shown on the page."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gingham.evaluation.study.accuracy import Accuracy, no_worse
from gingham.evaluation.study.bench import Bench
from gingham.evaluation.study.confusion import confusions
from gingham.evaluation.study.cost import Cost
from gingham.evaluation.study.reading import POOLINGS
from gingham.store.files import replace_file

Row = dict[str, Any]
TAUGHT = "all layers, taught"


def accuracy_rows(
    bench: Bench, backbone: str, layers: Mapping[str, Any], taught: Mapping[str, Any]
) -> list[Row]:
    """Table 1: a row a layer, pooling and protocol; and gingham's recipe, a row a protocol."""
    rows: list[Row] = []
    for protocol in bench.protocols:
        for pooling in POOLINGS:
            results = {
                layer: scored(bench, result[pooling][protocol]) for layer, result in layers.items()
            }
            best, equals = no_worse(results, level=bench.setting.level)
            for layer, result in layers.items():
                folds = result[pooling][protocol]["folds"]
                rows.append(
                    _accuracy(bench, backbone, layer, pooling, protocol, folds)
                    | {
                        "best": layer == best,
                        "no_worse": layer in equals,
                        "p": equals.get(layer),
                    }
                )
        rows.append(
            _accuracy(
                bench, backbone, TAUGHT, "mean+deviation", protocol, taught[protocol]["folds"]
            )
            | {"best": False, "no_worse": False, "p": None}
        )
    return rows


def _accuracy(
    bench: Bench,
    backbone: str,
    layer: str,
    pooling: str,
    protocol: str,
    folds: Sequence[float],
) -> Row:
    return {
        "attribute": bench.attribute.name,
        "backbone": backbone,
        "layer": layer,
        "pooling": pooling,
        "protocol": protocol,
        "accuracy": round(float(np.mean(folds)), 4),
        "deviation": round(float(np.std(folds, ddof=1)), 4),
    }


def scored(bench: Bench, result: Mapping[str, Any]) -> Accuracy:
    """Rebuild an accuracy from the ledger's JSON."""
    predicted = np.array(result["predicted"], np.intp)
    return Accuracy(np.array(result["folds"]), predicted, predicted == bench.labels)


def clustering_rows(bench: Bench, backbone: str, layers: Mapping[str, Any]) -> list[Row]:
    """Figures 2 and 3: a row a layer."""
    return [
        {
            "attribute": bench.attribute.name,
            "backbone": backbone,
            "layer": layer,
            "adjusted_rand": round(result["adjusted_rand"], 4),
            "adjusted_mutual_information": round(result["adjusted_mutual_information"], 4),
            "clusters": result["clusters"],
            "noise": round(result["noise"], 4),
            **result["parameters"],
        }
        for layer, result in layers.items()
    ]


def reduction_rows(
    bench: Bench,
    backbone: str,
    layer: str,
    results: Sequence[Mapping[str, Any]],
    speeds: Mapping[int, float],
) -> list[Row]:
    """Table 2: a row a method and number of dimensions."""
    return [
        {
            "attribute": bench.attribute.name,
            "backbone": backbone,
            "layer": layer,
            "protocol": bench.protocol,
            "method": result["method"],
            "dimensions": result["dimensions"],
            "accuracy": round(float(np.mean(result["folds"])), 4),
            "deviation": round(float(np.std(result["folds"], ddof=1)), 4),
            "bytes_an_image": 2 * result["dimensions"],
            "neighbours_per_second": round(speeds[result["dimensions"]]),
        }
        for result in results
    ]


def retrieval_rows(attribute: str, backbone: str, result: Mapping[str, Any] | None) -> list[Row]:
    """Figure 6 in numbers: a row a search."""
    return [
        {
            "attribute": attribute,
            "backbone": backbone,
            "search": search,
            "queries": agreement["queries"],
            "mean_average_precision": round(agreement["mean_average_precision"], 4),
            "precision_at_10": round(agreement["precision_at_10"], 4),
        }
        for search, agreement in (result or {}).items()
    ]


def confusion_rows(bench: Bench, backbone: str, layer: str, result: Mapping[str, Any]) -> list[Row]:
    """The counts of a confusion matrix that are not zero."""
    counts = confusions(bench.y, np.array(result["predicted"], np.intp))
    return [
        {
            "attribute": bench.attribute.name,
            "backbone": backbone,
            "layer": layer,
            "value": str(bench.values[own]),
            "taken_for": str(bench.values[taken]),
            "images": int(counts[own, taken]),
        }
        for own, taken in np.argwhere(counts)
    ]


def cost_rows(backbone: str, costs: Mapping[str, Cost]) -> list[Row]:
    """What each layer costs."""
    return [
        {
            "backbone": backbone,
            "layer": layer,
            "milliseconds_an_image": round(cost.milliseconds, 2),
            "numbers_a_vector": cost.numbers,
            "bytes_a_vector": cost.bytes,
        }
        for layer, cost in costs.items()
    ]


def write_tables(folder: Path, tables: Mapping[str, Sequence[Row]]) -> None:
    """Write each table as NAME.csv, whole or not at all; a table without rows is left out."""
    for name, rows in tables.items():
        if rows:
            replace_file(folder / f"{name}.csv", partial(_write_csv, rows))


def _write_csv(rows: Sequence[Row], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
