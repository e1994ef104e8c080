"""What `--at-precision` promises and keeps, and how calibrated confidences are, on products.

Types, colours and other attributes of products are taught with 10 or 40 examples of each value that
is frequent enough, or with 800 rows drawn by lot, and asked about rows that were never taught,
whose values were. Printed are: how many of the best guesses are right, the calibration error
(confidence of the best guess, ten bins), and at each precision the share of right answers and the
share that is answered, promised and kept, the largest share that a limit on the confidence could
answer, and the share of frequent answers (30 or more) that are right less often by more than 0.05.

Usage: cutoffs.py [--catalogue FOLDER] [--seeds 0 1 2]
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.measures import calibration_error
from gingham.catalogue import Catalogue
from measure import DATA, machine, rows

PRECISIONS = (0.95, 0.9)
TASKS = (
    # attribute, examples per value (None: 800 rows drawn by lot), images that a value must have
    ("articleType", 10, 100),
    ("articleType", 10, 50),
    ("articleType", 10, 14),
    ("articleType", 40, 60),
    ("articleType", None, 0),
    ("baseColour", 10, 100),
    ("baseColour", None, 0),
)
LOT = 800
TESTED = 5000
Labels = list[tuple[Path, str]]


def draw(labels: Labels, count: int | None, least: int, seed: list[int]) -> tuple[Labels, Labels]:
    """Choose examples, and other rows with the same values."""
    rng = np.random.default_rng(seed)
    order = [labels[i] for i in rng.permutation(len(labels))]
    often = Counter(value for _, value in labels)
    taken: Counter[str] = Counter()
    train: Labels = []
    rest: Labels = []
    for row in order:
        if count is None:
            chosen = len(train) < LOT
        else:
            chosen = often[row[1]] >= least and taken[row[1]] < count
        taken[row[1]] += chosen
        (train if chosen else rest).append(row)
    values = {value for _, value in train}
    return train, [row for row in rest if row[1] in values][:TESTED]


def measure(shop: Catalogue, train: Labels, test: Labels) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "examples.csv")
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("image", "attribute"), *train])
        shop.teach("attribute", table)
    files = [shop._truth.locations.files[str(image)] for image, _ in test]
    attribute = shop._attributes.taught_attribute("attribute")
    predictions = attribute.answer(shop._truth.features.get(files, attribute.layers), evidence=1)
    likeliest = [next(iter(one.values.items())) for one in predictions]
    sure = np.array([confidence for _, confidence in likeliest])
    right = np.array([v == t for (v, _), (_, t) in zip(likeliest, test, strict=True)])
    found = {
        "values": float(len(attribute.values)),
        "best guess right": float(right.mean()),
        "calibration error": calibration_error(sure, right),
        "over 0.9": float((sure > 0.9).mean()),
    }
    known = np.array([one.value is not None for one in predictions])
    guesses = np.array([v for v, _ in likeliest])
    for precision in PRECISIONS:
        limits = shop.cutoff("attribute", at_precision=precision)
        least = np.array(
            [limits.least[v] or 0 if limits.least[v] is not None else 2 for v in guesses]
        )
        kept = known & (sure >= least)
        own = [
            float(right[kept & (guesses == v)].mean())
            for v in np.unique(guesses)
            if (kept & (guesses == v)).sum() >= 30
        ]
        found |= {
            f"{precision}: right": float(right[kept].mean()) if kept.any() else float("nan"),
            f"{precision}: answered": float(kept.mean()),
            f"{precision}: promised": limits.answered or 0.0,
            f"{precision}: could be": _most(sure, right, precision),
            f"{precision}: values below": float(
                np.mean(np.array([*own, 1.0])[: len(own) or 1] < precision - 0.05)
            ),
        }
    shop.forget("attribute")
    return found


def _most(sure: NDArray[np.float64], right: NDArray[np.bool_], precision: float) -> float:
    hits = np.cumsum(right[np.argsort(-sure)]) / np.arange(1, len(right) + 1)
    enough = np.flatnonzero(hits >= precision)
    return float((enough[-1] + 1) / len(right)) if len(enough) else 0.0


def main(catalogue: Path | None, seeds: list[int], work: Path) -> None:
    print(machine())
    table = rows("fashion_products/products.csv")
    if catalogue is None:
        with Catalogue.create(work / "shop") as made:
            made.index([DATA / "fashion_products"])
    else:
        shutil.copytree(catalogue, work / "shop")
    with Catalogue.open(work / "shop") as shop:
        known = shop._truth.locations.files
        for name, count, least in TASKS:
            once = {known.get(str(DATA / "fashion_products" / row["image"])): row for row in table}
            labels = [
                (DATA / "fashion_products" / row["image"], row[name])
                for key, row in once.items()
                if key is not None and row[name] not in ("", "NA")
            ]
            results = [
                measure(shop, *draw(labels, count, least, [seed, count or 0])) for seed in seeds
            ]
            what = f"{LOT} rows" if count is None else f"{count} per value"
            print(f"{name}, {what}, {results[0]['values']:.0f} values")
            for key in results[0]:
                each = [one[key] for one in results]
                if key != "values":
                    said = " ".join(f"{one:.3f}" for one in each)
                    mean = np.nanmean(each) if not np.isnan(each).all() else np.nan
                    print(f"  {key:22} {mean:.3f} ({said})", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", type=Path, help="the products, indexed; it is copied")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        main(options.catalogue, options.seeds, Path(folder))
