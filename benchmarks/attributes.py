"""Accuracy of taught attributes: grouped 5-fold, 40, 10 and 5 examples per value; unknown is wrong.

Through the catalogue, as a user would: teach a table, tag, compare; and how many photos of another
kind altogether, 40 classes of objects, are called unknown. Beside it what a user would
use instead on the same features: k nearest neighbours on one layer (the 2021 paper), and logistic
regression on the head (a linear probe).

Usage: attributes.py [--draws 5] [--seeds 0] [--resolution 224] [--view square]
    [--attributes colour texture]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gingham.catalogue import Catalogue
from measure import DATA, machine, rows

LAYER = {"colour": "stage1", "texture": "stage5"}


def teach_and_score(
    shop: Catalogue, attribute: str, table: list[dict[str, str]], train: list[int], test: list[int]
) -> dict[str, float]:
    """Teach on some rows, tag, and score the others."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "examples.csv")
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(
                [
                    ("image", attribute, "group"),
                    *(
                        (DATA / "colour_texture" / table[i]["image"], table[i][attribute],
                         table[i]["duplicate_group"])
                        for i in train
                    ),
                ]
            )  # fmt: skip
        taught = shop.teach(attribute, path, group_column="group")
    shop.tag([attribute])
    answers = {i: (v, c) for i, v, c, _ in shop._attributes.predictions(attribute)}
    ids = [
        shop._truth.locations.files[str(DATA / "colour_texture" / row["image"])] for row in table
    ]
    truth = [table[i][attribute] for i in test]
    said = [answers[ids[i]] for i in test]
    right = np.array([v == [t] for (v, _), t in zip(said, truth, strict=True)])
    confidence = np.array([c for _, c in said])
    foreign = [i for name, i in shop._truth.locations.files.items() if "/retrieval/" in name]
    bins = np.minimum((confidence * 10).astype(int), 9)
    gaps = [
        (bins == b).mean() * abs(right[bins == b].mean() - confidence[bins == b].mean())
        for b in range(10)
        if (bins == b).any()
    ]
    shop.forget(attribute)
    stored = shop._truth.features.get(ids, [LAYER[attribute], "head"])
    y = np.array([row[attribute] for row in table])
    knn = KNeighborsClassifier(5)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    plain = {}
    for name, model, layer in (("kNN", knn, LAYER[attribute]), ("probe", probe, "head")):
        X = stored[layer].astype(np.float32)
        X = X[:, : X.shape[1] // 2] if name == "kNN" else X
        plain[name] = float((model.fit(X[train], y[train]).predict(X[test]) == y[test]).mean())
    return {
        "accuracy": float(right.mean()),
        "unknown": float(np.mean([not v for v, _ in said])),
        "foreign unknown": float(np.mean([not answers[i][0] for i in foreign])),
        "calibration error": float(sum(gaps)),
        "cross-validated": float("nan") if taught.accuracy is None else taught.accuracy,
        "seconds": taught.seconds,
        **plain,
    }


def show(what: str, results: list[dict[str, float]]) -> None:
    means = {key: np.mean([r[key] for r in results]) for key in results[0]}
    print(what + ": " + ", ".join(f"{key} {value:.3f}" for key, value in means.items()), flush=True)


def main(draws: int, seeds: list[int], view: str, resolution: int, attributes: list[str]) -> None:
    print(machine())
    with (
        tempfile.TemporaryDirectory() as folder,
        Catalogue.create(Path(folder, "shop"), view=view, resolution=resolution) as shop,
    ):
        started = time.perf_counter()
        # The photos of objects are never taught: how many of them are called unknown?
        shop.index([DATA / "colour_texture", DATA / "retrieval"])
        print(f"{len(shop)} images indexed in {time.perf_counter() - started:.1f} s")
        for seed, attribute in product(seeds, attributes):
            table = rows(f"colour_texture/{attribute}.csv")
            values = np.array([row[attribute] for row in table])
            groups = np.array([row["duplicate_group"] for row in table])
            folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
            show(
                f"seed {seed}: {attribute}, 5-fold",
                [
                    teach_and_score(shop, attribute, table, train.tolist(), test.tolist())
                    for train, test in folds.split(values, values, groups)
                ],
            )
            for count in (40, 10, 5):
                results = []
                for draw in range(draws):
                    rng = np.random.default_rng([seed, draw, count])
                    train = [
                        int(i)
                        for value in np.unique(values)
                        for i in rng.permutation(np.flatnonzero(values == value))[:count]
                    ]
                    test = np.flatnonzero(~np.isin(groups, groups[train])).tolist()
                    results.append(teach_and_score(shop, attribute, table, train, test))
                show(f"seed {seed}: {attribute}, {count} a value", results)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--view", default="square")
    parser.add_argument("--resolution", type=int, default=224)
    parser.add_argument("--attributes", nargs="+", choices=LAYER, default=list(LAYER))
    options = parser.parse_args()
    main(options.draws, options.seeds, options.view, options.resolution, options.attributes)
