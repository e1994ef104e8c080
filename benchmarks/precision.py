"""Attributes taught from features of a network in float32, bfloat16 and int8; and the time of each.

Every attribute of the shared data, taught by one half and asked of the other, in turns; groups are
not cut, and each seed has the same halves for all.

Usage: precision.py [--products 1500] [--seeds 2]
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from gingham.attributes.attribute_fitting import blocks, join
from gingham.attributes.estimators import AttributeClassifier
from gingham.catalogue import Catalogue
from measure import DATA, GINGHAM, machine, rows, run

FOLDS = 2
LEAST = 20  # images that a value must have
PRECISIONS = ("float32", "bfloat16", "int8")

Labelled = list[tuple[str, str, str]]
"""Image, value and group."""


def attributes(products: int) -> dict[str, Labelled]:
    """Give each attribute with its labelled images: all but the year, which no picture shows."""
    found: dict[str, Labelled] = {
        name: [
            (f"colour_texture/{row['image']}", row[name], row["duplicate_group"])
            for row in rows(f"colour_texture/{name}.csv")
        ]
        for name in ("colour", "texture")
    }
    for folder, table, leave in (
        ("clothing_attributes", rows("clothing_attributes/labels.csv"), {"image"}),
        (
            "fashion_products",
            rows("fashion_products/products.csv")[:products],
            {"image", "id", "year", "productDisplayName"},
        ),
    ):
        for name in table[0].keys() - leave:
            found[name] = [
                (f"{folder}/{row['image']}", row[name], row["image"])
                for row in table
                if row[name] not in ("", "NA")
            ]
    for name, labelled in found.items():
        count = Counter(value for _, value, _ in labelled)
        found[name] = [one for one in labelled if count[one[1]] >= LEAST]
    return {name: labelled for name, labelled in found.items() if len({x[1] for x in labelled}) > 1}


def accuracy(shop: Catalogue, labelled: Labelled, seeds: Sequence[int]) -> float:
    """Give the share of right answers, a mean over seeds."""
    files = shop._truth.locations.files
    known = [(files[str(DATA / image)], *rest) for image, *rest in labelled]
    ids, values, groups = zip(*known, strict=True)
    layers = shop.config.pooled
    X = join(shop._truth.features.get(ids, layers), layers)
    model = AttributeClassifier(blocks=blocks(shop.config, layers))
    right = []
    for seed in seeds:
        folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
        said = cross_val_predict(model, X, values, groups=groups, cv=folds)
        right.append(np.mean(said == np.array(values)))
    return float(np.mean(right))


def main(products: int, seeds: int) -> None:
    print(machine())
    tried = attributes(products)
    listed = "\n".join(
        str(DATA / x) for x in sorted({i for one in tried.values() for i, *_ in one})
    )
    with tempfile.TemporaryDirectory() as folder:
        run(GINGHAM, "index", Path(folder, "warm"), "-", stdin=listed.partition("\n")[0])
        for name in PRECISIONS:
            done = run(
                GINGHAM, "index", Path(folder, name), "-", "--precision", name, stdin=listed
            )  # fmt: skip
            print(f"{name}: {done.seconds:.1f} s, {done.peak_mb:.0f} MB; {done.stdout.strip()}")
        worst = dict.fromkeys(PRECISIONS, 0.0)
        for name, labelled in sorted(tried.items()):
            right = {}
            for precision in PRECISIONS:
                with Catalogue.open(Path(folder, precision)) as shop:
                    right[precision] = 100 * accuracy(shop, labelled, range(seeds))
                apart = right[precision] - right["float32"]
                worst[precision] = min(worst[precision], apart)
            said = ", ".join(f"{precision} {one:.2f}" for precision, one in right.items())
            print(f"{name} ({len(labelled)}): {said}", flush=True)
        for precision, apart in worst.items():
            print(f"{precision} loses {-apart:.2f} points at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    main(given.products, given.seeds)
