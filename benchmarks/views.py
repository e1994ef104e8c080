"""What it costs and brings to read the whole of every image, or more finely: `index --view`.

Catalogues of the same images, each read in another way; attributes are taught on one half (of
products 800 rows) and by 10 examples a value, and tested on the other half, near-duplicates on one
side. `unknown` is wrong. The means of three halves.

Usage: views.py [square:224 whole:224 whole:320] [--sets colour_texture clothing products]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from gingham.catalogue import Catalogue
from measure import DATA, machine, rows

SEEDS = 3
FEW = 10
PRODUCTS = 3000
MANY = 800
LEAST = 24
"""Images of a product's value, for it to be taught."""

Task = list[tuple[str, str, str]]
"""File, value, group."""


def colour_texture() -> dict[str, Task]:
    """Read the clothing photos of one colour or texture each."""
    folder = DATA / "colour_texture"
    return {
        name: [
            (str(folder / row["image"]), row[name], row["duplicate_group"])
            for row in rows(f"colour_texture/{name}.csv")
        ]
        for name in ("colour", "texture")
    }


def clothing() -> dict[str, Task]:
    """Read the street photos; the pattern is the only one of six that is there."""
    table = rows("clothing_attributes/labels.csv")
    tasks: dict[str, Task] = {"pattern": []}
    for row in table:
        file = str(DATA / "clothing_attributes" / row["image"])
        for name in ("neckline", "sleevelength", "category"):
            if row[name]:
                tasks.setdefault(name, []).append((file, f"v{row[name]}", row["image"]))
        there = [name for name in row if name.startswith("pattern_") and row[name] == "2"]
        if len(there) == 1:
            tasks["pattern"].append((file, there[0], row["image"]))
    return tasks


def products() -> dict[str, Task]:
    """Read some of the products."""
    table = rows("fashion_products/products.csv")
    drawn = np.random.default_rng(7).permutation(len(table))[:PRODUCTS]
    some = [table[i] for i in sorted(drawn.tolist())]
    tasks = {}
    for name in ("articleType", "baseColour"):
        counts = Counter(row[name] for row in some)
        tasks[name] = [
            (str(DATA / "fashion_products" / row["image"]), row[name], row["image"])
            for row in some
            if row[name] not in ("", "NA") and counts[row[name]] >= LEAST
        ]
    return tasks


SETS = {"colour_texture": colour_texture, "clothing": clothing, "products": products}


def score(shop: Catalogue, name: str, task: Task, few: int | None, most: int | None) -> float:
    """Teach and test on three pairs of halves."""
    values, groups = (np.array([row[column] for row in task]) for column in (1, 2))
    files = shop._truth.locations.files
    scores = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        halves = StratifiedGroupKFold(2, shuffle=True, random_state=seed)
        train, test = next(halves.split(values, values, groups))
        if few is not None:
            own = [train[values[train] == value] for value in np.unique(values[train])]
            train = np.concatenate([rng.permutation(one)[:few] for one in own])
        elif most is not None:
            train = rng.permutation(train)[:most]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "examples.csv")
            with path.open("w", newline="") as file:
                lines = [("image", name, "group"), *(task[i] for i in train)]
                csv.writer(file).writerows(lines)
            shop.teach(name, path, group_column="group")
        attribute = shop._attributes.taught_attribute(name)
        # A copy of another file is not read again, and keeps no name of its own.
        tested = [i for i in test if task[i][0] in files]
        ids = [files[task[i][0]] for i in tested]
        tags = attribute.tags(shop._truth.features.get(ids, attribute.layers))
        right = [said == [values[i]] for said, i in zip(tags.values, tested, strict=True)]
        scores.append(float(np.mean(right)))
        shop.forget(name)
    return float(np.mean(scores))


def main(settings: list[str], sets: list[str]) -> None:
    print(machine())
    for name in sets:
        tasks = SETS[name]()
        images = list(dict.fromkeys(row[0] for task in tasks.values() for row in task))
        for setting in settings:
            view, _, resolution = setting.partition(":")
            with (
                tempfile.TemporaryDirectory() as folder,
                Catalogue.create(
                    Path(folder, "shop"), view=view, resolution=int(resolution)
                ) as shop,
            ):
                started = time.process_time()
                shop.index(images=images)
                seconds = 1000 * (time.process_time() - started) / len(images)
                print(f"{name}, {setting}: {seconds:.1f} s of processor time for 1,000 images")
                for one, task in tasks.items():
                    many = score(shop, one, task, None, MANY if name == "products" else None)
                    few = score(shop, one, task, FEW, None)
                    print(f"  {one}: all {many:.3f}, {FEW} a value {few:.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "settings", nargs="*", default=["square:224", "square:320", "whole:224", "whole:320"]
    )
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    options = parser.parse_args()
    main(options.settings, options.sets)
