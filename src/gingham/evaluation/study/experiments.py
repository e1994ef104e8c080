"""Every experiment of a study, in order, through the ledger; and its results put together."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gingham.backbones.runtime import Runtime, cpu_count
from gingham.evaluation.study import tables
from gingham.evaluation.study.accuracy import Accuracy
from gingham.evaluation.study.bench import Bench, Setting, deciding_protocol
from gingham.evaluation.study.confusion import confused_pairs, suspects
from gingham.evaluation.study.cost import Cost, choose_layer, layer_costs
from gingham.evaluation.study.examples import StudyAttribute
from gingham.evaluation.study.ledger import Ledger
from gingham.evaluation.study.reading import StudyFeatures, squares
from gingham.evaluation.study.reduction import neighbours_per_second, reduction_parts
from gingham.evaluation.study.sheets import draw_queries, search_sheets
from gingham.options import ReadOptions
from gingham.store.features import ImageId

TIMED_IMAGES = 32
PAIR_PICTURES = 4


def run_experiments(
    attributes: Sequence[StudyAttribute],
    features: Mapping[str, StudyFeatures],
    ids: Sequence[ImageId],
    files: Sequence[str],
    *,
    setting: Setting,
    groups: Sequence[int],
    gallery: Sequence[int],
    queries: Sequence[int],
    plain_runtime: Callable[[str], Runtime],
    cache: Path,
    options: ReadOptions,
) -> dict[str, Any]:
    """Run every experiment on every attribute and backbone.

    Parameters
    ----------
    attributes, features : what to study, the features by backbone.
    ids, files : of the study's images.
    setting : folds, seed and the like.
    groups : of each image; see `gingham.evaluation.study.examples.join_groups`.
    gallery : images that are examples; those that are only searched with are not.
    queries : images to search with; none means some are drawn.
    plain_runtime : loads a backbone as a catalogue would, to time it.
    cache : folder of the ledger.
    options : see `gingham.ReadOptions`.

    Returns
    -------
    Everything the report shows, as JSON.
    """
    benches = {
        (one.name, name): Bench(one, features[name], ids, setting)
        for one in attributes
        for name in features
    }
    joint = joint_attribute(attributes, groups)
    searched = [*attributes, *([joint] if joint else [])]
    steps = sum(
        len(one.rows) * (3 * len(stored.layers) + 3)
        for one in attributes
        for stored in features.values()
    )
    steps += len(features) * (2 * len(ids) + (len(joint.rows) if joint else 0))
    found: dict[str, Any] = {
        "setting": asdict(setting) | {"looks": dict(setting.looks)},
        "machine": _machine(),
        "backbones": {name: list(stored.layers) for name, stored in features.items()},
        "files": list(files),
        "images": len(gallery),
        "attributes": {
            one.name: {
                "rows": list(one.rows),
                "values": list(one.values),
                "counts": one.counts,
                "left_out": one.left_out,
                "copies": one.copies,
                "given": one.given,
                "grouped": one.groups is not None,
            }
            for one in attributes
        },
        "tables": {
            name: []
            for name in ("accuracy", "clustering", "reduction", "retrieval", "confusions", "cost")
        },
        **{name: [] for name in ("maps", "sheets", "pairs", "suspects")},
        **{name: {} for name in ("choices", "taught")},
    }
    ledger = Ledger(cache, options.progress, steps)
    costs = {
        name: _costs(ledger, name, stored, files, plain_runtime, options.max_pixels)
        for name, stored in features.items()
    }
    for name in features:
        found["tables"]["cost"] += tables.cost_rows(name, costs[name])
    for one in attributes:
        results: dict[str, Accuracy] = {}
        for name in features:
            results |= _bench(ledger, benches[one.name, name], name, found)
        found["choices"][one.name] = _choice(results, costs, found, one, setting)
    speeds: dict[int, float] = {}
    for one in attributes:
        for name in features:
            _reduction(ledger, benches[one.name, name], name, found, speeds)
    for one in searched:
        for name, stored in features.items():
            bench = Bench(one, stored, ids, setting)
            inputs = bench.inputs | {"searches": setting.searches}
            found["tables"]["retrieval"] += tables.retrieval_rows(
                one.name,
                name,
                ledger.get("retrieval", inputs, bench.retrieval, count=len(one.rows)),
            )
    drawn = list(queries) or draw_queries(attributes, setting.seed)
    for name, stored in features.items():
        found["sheets"] += ledger.get(
            "sheets",
            {
                "images": [image_id.hex() for image_id in ids],
                "groups": list(groups),
                "gallery": list(gallery),
                "features": stored.fingerprint,
                "searches": setting.searches,
                "queries": drawn,
                "backbone": name,
            },
            partial(
                search_sheets,
                stored,
                ids,
                groups,
                gallery,
                drawn,
                setting.searches,
                name,
            ),
            count=len(ids),
        )
    return found


def _machine() -> dict[str, Any]:
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text(errors="replace").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    return {"processor": processor, "cores": cpu_count(), "system": platform.system()}


def _costs(
    ledger: Ledger,
    backbone: str,
    stored: StudyFeatures,
    files: Sequence[str],
    plain_runtime: Callable[[str], Runtime],
    max_pixels: int,
) -> dict[str, Cost]:
    def compute() -> dict[str, Any]:
        runtime = plain_runtime(backbone)
        pictures = squares(files[:TIMED_IMAGES], runtime, max_pixels=max_pixels)
        return {layer: asdict(cost) for layer, cost in layer_costs(runtime, pictures).items()}

    inputs = {"features": stored.fingerprint, "machine": _machine(), "images": TIMED_IMAGES}
    result = ledger.get("cost", inputs, compute, count=len(files))
    return {layer: Cost(**cost) for layer, cost in result.items()}


def _bench(
    ledger: Ledger, bench: Bench, backbone: str, found: dict[str, Any]
) -> dict[str, Accuracy]:
    """Run what needs nothing of other layers; give "backbone layer" -> accuracy."""
    n, layers = len(bench.ids), bench.features.layers

    def each(name: str, compute: Callable[[str], Any]) -> dict[str, Any]:
        return {
            layer: ledger.get(
                name, bench.inputs | {"layer": layer}, partial(compute, layer), count=n
            )
            for layer in layers
        }

    accuracy = each("accuracy", bench.accuracy)
    clustering = each("clustering", bench.clustering)
    maps = each("map", bench.map)
    taught = ledger.get("taught", bench.inputs, bench.taught, count=n)
    about = {"attribute": bench.attribute.name, "backbone": backbone}
    found["maps"] += [about | {"layer": layer} | result for layer, result in maps.items()]
    found["tables"]["accuracy"] += tables.accuracy_rows(bench, backbone, accuracy, taught)
    found["tables"]["clustering"] += tables.clustering_rows(bench, backbone, clustering)

    own = {layer: result["mean"][bench.protocol] for layer, result in accuracy.items()}
    recipe = taught[bench.protocol]
    found["taught"].setdefault(bench.attribute.name, {})[backbone] = round(
        float(np.mean(recipe["folds"])), 4
    )
    for layer, result in {**own, tables.TAUGHT: recipe}.items():
        found["tables"]["confusions"] += tables.confusion_rows(bench, backbone, layer, result)
        predicted = np.array(result["predicted"], np.intp)
        found["pairs"] += [
            about
            | {"layer": layer, "first": pair.first, "second": pair.second, "count": pair.count}
            | {"images": [_images(bench, rows[:PAIR_PICTURES]) for rows in pair.rows]}
            for pair in confused_pairs(bench.y, predicted)
        ]
    found["suspects"] += [
        about | asdict(one) | {"image": bench.attribute.rows[one.row]}
        for one in suspects(bench.y, recipe["probabilities"])
    ]
    return {f"{backbone} {layer}": tables.scored(bench, result) for layer, result in own.items()}


def _images(bench: Bench, rows: Sequence[int]) -> list[int]:
    return [bench.attribute.rows[row] for row in rows]


def _choice(
    results: Mapping[str, Accuracy],
    costs: Mapping[str, Mapping[str, Cost]],
    found: Mapping[str, Any],
    attribute: StudyAttribute,
    setting: Setting,
) -> dict[str, Any]:
    priced = {f"{name} {layer}": cost for name in costs for layer, cost in costs[name].items()}
    choice = choose_layer(results, priced, level=setting.level, margin=setting.margin)
    protocol = deciding_protocol(attribute.groups is not None)
    accuracy = {
        f"{row['backbone']} {row['layer']}": row["accuracy"]
        for row in found["tables"]["accuracy"]
        if row["attribute"] == attribute.name
        and row["pooling"] == "mean"
        and row["protocol"] == protocol
    }
    backbone, _, layer = choice.name.partition(" ")
    best_backbone, _, best_layer = choice.best.partition(" ")
    return {
        "backbone": backbone,
        "layer": layer,
        "accuracy": accuracy[choice.name],
        "milliseconds": round(priced[choice.name].milliseconds, 2),
        "bytes": priced[choice.name].bytes,
        "best_backbone": best_backbone,
        "best_layer": best_layer,
        "best_accuracy": accuracy[choice.best],
        "best_milliseconds": round(priced[choice.best].milliseconds, 2),
        "best_bytes": priced[choice.best].bytes,
        "p": choice.no_worse[choice.name],
        "no_worse": sorted(choice.no_worse),
        "compared": len(results),
    }


def _reduction(
    ledger: Ledger, bench: Bench, backbone: str, found: dict[str, Any], speeds: dict[int, float]
) -> None:
    rows = found["tables"]["accuracy"]
    layer = next(
        row["layer"]
        for row in rows
        if row["best"]
        and row["attribute"] == bench.attribute.name
        and row["backbone"] == backbone
        and row["pooling"] == "mean"
        and row["protocol"] == bench.protocol
    )
    parts = reduction_parts(bench.means(layer).shape[1])
    n = len(bench.ids)
    results = [
        result
        for k, (method, dimensions) in enumerate(parts)
        for result in ledger.get(
            "reduction",
            bench.inputs | {"layer": layer, "method": method, "dimensions": dimensions},
            partial(bench.reduction, layer, method, dimensions),
            count=n * (k + 1) // len(parts) - n * k // len(parts),
        )
    ]
    for d in sorted({result["dimensions"] for result in results} - speeds.keys()):
        speeds[d] = ledger.get(
            "speed",
            {"dimensions": d, "machine": _machine()},
            partial(neighbours_per_second, d),
            count=0,
        )
    found["tables"]["reduction"] += tables.reduction_rows(bench, backbone, layer, results, speeds)


def joint_attribute(
    attributes: Sequence[StudyAttribute], groups: Sequence[int], *, least: int = 20
) -> StudyAttribute | None:
    """Join all attributes on the images that have each: agreement means all values agree.

    None where there is one attribute, or fewer than `least` images have them all.
    """
    common = sorted(set.intersection(*(set(one.rows) for one in attributes)))
    if len(attributes) < 2 or len(common) < least:
        return None
    values = [dict(zip(one.rows, one.values, strict=True)) for one in attributes]
    joined = tuple(" + ".join(value[row] for value in values) for row in common)
    if len(set(joined)) < 2:
        return None
    own = tuple(str(groups[row]) for row in common)
    return StudyAttribute(
        " + ".join(one.name for one in attributes), tuple(common), joined, own, {}, 0
    )
