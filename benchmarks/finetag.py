"""FineTag, the ranking baseline and a linear probe: one backbone, one grouped hold-out, one table.

The binary attributes of the Clothing Attribute Dataset (23 of its 26) are the labels; where the
annotators disagreed the label is unknown, left out of learning and of measuring. A quarter of the
images is held out, stratified, near-duplicates together; all that is chosen (the epoch, the probe's
C) is chosen on a sixth of the others. The probes read the pooled layers, mean and deviation.

Usage: finetag.py [--seeds 0 1 2] [--epochs 20] [--methods probe finetag rank]
"""

from __future__ import annotations

import argparse
import csv
import functools
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.sparse.csgraph import connected_components
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gingham.backbones.builders import sample_shape
from gingham.backbones.openvino import save_graph
from gingham.extract import PLAIN, extract, identify
from gingham.images import load_image
from gingham.training import TrainConfig, read_samples, train
from gingham.training.config import DataConfig, ModelConfig
from gingham.training.exporting import ExportedRuntime
from gingham.training.metrics import average_precision, ranking_precision, weighted_mean_precision
from gingham.training.networks import build_trunk
from gingham.training.samples import PARTS, split_rows
from measure import DATA, machine, rows

BACKBONE = "efficientnet_lite0"
SIZE, CROP = 320, 0.0  # all of the picture, stretched
MIDDLE = 0.65  # the networks answer with the mean over the whole and the middle, both mirrored
METHODS = ("probe", "finetag", "rank")
NUMBERED = ("category", "neckline", "sleevelength")
SAID = {"1": "no", "2": "yes", "": ""}
SETTINGS: dict[str, dict[str, float]] = {
    "finetag": {"learning_rate": 5e-3},
    "rank": {"learning_rate": 3e-4},
}


def near_duplicates(images: list[str]) -> NDArray[np.int64]:
    """Group images whose difference hashes (16 x 16 bits) differ in at most 16."""
    bits = []
    for image in images:
        grey = Image.fromarray(load_image(image)).convert("L").resize((17, 16))
        bits.append(np.diff(np.asarray(grey, np.int16), axis=1).ravel() > 0)
    signs = np.array(bits, np.float32) * 2 - 1
    close = (signs.shape[1] - signs @ signs.T) / 2 <= 16
    return np.asarray(connected_components(close)[1], np.int64)


def write_table(file: Path, seed: int) -> None:
    """Write the labels with their split."""
    table = rows("clothing_attributes/labels.csv")
    names = [name for name in table[0] if name not in ("image", *NUMBERED)]
    images = [str(DATA / "clothing_attributes" / row["image"]) for row in table]
    cells = [
        [None if not row[name] else (name,) if row[name] == "2" else () for row in table]
        for name in names
    ]
    groups = near_duplicates(images)
    part = split_rows(cells, groups, DataConfig(test=0.25, validation=0.125), seed)
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["image", *names, "group", "split"])
        for i, row in enumerate(table):
            writer.writerow(
                [images[i], *(SAID[row[name]] for name in names), groups[i], PARTS[part[i]]]
            )


@functools.cache
def features(images: tuple[str, ...], size: int, crop: float) -> tuple[NDArray[np.float32], float]:
    """Read every image through the frozen backbone: all layers, pooled; and the seconds it took."""
    started = time.perf_counter()
    built = build_trunk(ModelConfig(head="multi", backbone=BACKBONE, size=size, crop=crop))
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder, "trunk.xml")
        save_graph(built.trunk, sample_shape(built.features.preprocess), graph)
        found = [
            np.concatenate(list(item.features[PLAIN].values()))
            for item in extract(identify(images), ExportedRuntime(graph, built.features))
        ]
    return np.array(found), time.perf_counter() - started


def probe(
    X: NDArray[np.float32],
    y: NDArray[np.float32],
    train_rows: NDArray[np.int64],
    validation: NDArray[np.int64],
    test: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Logistic regression for each label; C by the validation images; scores of the test images."""
    Z = StandardScaler().fit(X[train_rows]).transform(X)

    def scores(C: float, of: NDArray[np.int64]) -> NDArray[np.float64]:
        columns = []
        for v in range(y.shape[1]):
            known = train_rows[~np.isnan(y[train_rows, v])]
            model = LogisticRegression(C=C, max_iter=500).fit(Z[known], y[known, v] == 1)
            columns.append(model.decision_function(Z[of]))
        return np.stack(columns, axis=1)

    best = max(
        (1e-4, 1e-3, 1e-2),
        key=lambda C: weighted_mean_precision(scores(C, validation), y[validation]) or 0.0,
    )
    return scores(best, test)


def measured(scores: NDArray[np.floating], y: NDArray[np.float32]) -> list[float]:
    """W_MAP, mean average precision, AVGPREC."""
    found = [average_precision(scores[:, v], y[:, v]) for v in range(y.shape[1])]
    return [
        weighted_mean_precision(scores, y) or 0.0,
        float(np.mean([one for one in found if one is not None])),
        ranking_precision(scores, y) or 0.0,
    ]


def one_seed(seed: int, epochs: int, methods: list[str], folder: Path) -> dict[str, list[float]]:
    """Every method on one split: W_MAP, mean AP, AVGPREC, seconds."""
    table = folder / "clothing.csv"
    write_table(table, seed)
    samples = read_samples(table)
    parts = [samples.rows(part) for part in PARTS]
    print(f"seed {seed}: " + ", ".join(f"{len(p)} {n}" for p, n in zip(parts, PARTS, strict=True)))
    results = {}
    inputs = (("224", 0, -1.0), (f"{SIZE}", SIZE, CROP)) if "probe" in methods else ()
    for name, size, crop in inputs:
        X, seconds = features(samples.images, size, crop)
        started = time.perf_counter()
        scores = probe(X, samples.targets, *parts)
        seconds += time.perf_counter() - started
        results[f"probe ({name})"] = [*measured(scores, samples.targets[parts[2]]), seconds]
        print(f"probe ({name}):", *(f"{one:.3f}" for one in results[f"probe ({name})"]), flush=True)
    for head, setting in SETTINGS.items():
        if head not in methods:
            continue
        config = TrainConfig.from_dict(
            {
                "model": {
                    "head": head,
                    "backbone": BACKBONE,
                    "size": SIZE,
                    "crop": CROP,
                    "dropout": 0.5 if head == "rank" else 0.0,
                    "both_sides": True,
                    "middle": MIDDLE,
                },
                # The rate falls to nothing by the last epoch: stopping before would cut that short.
                "training": {"seed": seed, "epochs": epochs, "patience": epochs, **setting},
            }
        )
        result = train(table, folder / f"{head}{seed}", config)
        metrics = (result.metrics["test"][key] for key in ("w_map", "map", "avgprec"))
        results[head] = [*metrics, result.seconds]
        print(f"{head}:", *(f"{one:.3f}" for one in results[head]), flush=True)
    return results


def main(seeds: list[int], epochs: int, methods: list[str]) -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        everything = [one_seed(seed, epochs, methods, Path(folder)) for seed in seeds]
    print(f"{'':22}{'W_MAP':>8}{'mean AP':>9}{'AVGPREC':>9}{'seconds':>9}")
    for name in everything[0]:
        means = np.mean([results[name] for results in everything], axis=0)
        each = ", ".join(f"{results[name][0]:.3f}" for results in everything)
        print(
            f"{name:22}{means[0]:8.3f}{means[1]:9.3f}{means[2]:9.3f}{means[3]:9.0f}"
            f"   W_MAP of each seed: {each}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    options = parser.parse_args()
    main(options.seeds, options.epochs, options.methods)
