"""How many examples the order of `gingham review` saves, beside examples drawn by lot.

A few examples of each value are taught, all images of the pool are tagged, and the first images of
the review, with their true values, are taught too; again and again. Beside it the same with images
drawn by lot. Printed are the accuracies of the best guesses on images outside the pool by the
number of examples, means of three seeds, and how many examples reach the accuracy that those drawn
by lot have at the end. Copies and near-duplicates are not on both sides.

Usage: review.py [--catalogue FOLDER] [--seeds 0 1 2] [--tasks texture colour articleType]
"""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from gingham.catalogue import Catalogue
from gingham.review_results import ReviewOrder
from measure import DATA, machine, rows

TASKS = {
    # examples per value at the start, images at once, rounds
    "texture": (2, 10, 9),
    "colour": (2, 10, 9),
    "articleType": (2, 30, 9),
}
ORDERS: tuple[ReviewOrder, ...] = ("random", "useful", "uncertain")
LEAST = 60
"""Products that a type must have, so that others of it are left to test on."""
Labels = dict[Path, str]


def split(task: str, seed: int) -> tuple[Labels, Labels]:
    """Give the pool and the images to test on."""
    rng = np.random.default_rng([seed, 7])
    if task == "articleType":
        folder = DATA / "fashion_products"
        table = rows("fashion_products/products.csv")
        often = Counter(row[task] for row in table)
        table = [table[i] for i in rng.permutation(len(table)) if often[table[i][task]] >= LEAST]
        sides = table[:3000], table[3000:5000]
    else:
        folder = DATA / "colour_texture"
        table = rows(f"colour_texture/{task}.csv")
        groups = sorted({row["duplicate_group"] for row in table})
        first = {groups[i] for i in rng.permutation(len(groups))[: len(groups) // 2]}
        sides = (
            [row for row in table if row["duplicate_group"] in first],
            [row for row in table if row["duplicate_group"] not in first],
        )
    pool, test = ({folder / row["image"]: row[task] for row in side} for side in sides)
    return pool, test


def teach(shop: Catalogue, examples: Labels) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "examples.csv")
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("image", "attribute"), *examples.items()])
        shop.teach("attribute", table, views=False)


def accuracy(shop: Catalogue, test: Labels) -> float:
    attribute = shop._attributes.taught_attribute("attribute")
    files = shop._truth.locations.files
    known = {image: value for image, value in test.items() if str(image) in files}
    features = shop._truth.features.get([files[str(image)] for image in known], attribute.layers)
    found = attribute.answer(features, evidence=1)
    return float(
        np.mean([next(iter(f.values)) == v for f, v in zip(found, known.values(), strict=True)])
    )


def curve(
    shop: Catalogue, task: str, order: ReviewOrder, seed: int
) -> tuple[list[int], list[float]]:
    """Give the numbers of examples, and the accuracies."""
    pool, test = split(task, seed)
    start, batch, rounds = TASKS[task]
    rng = np.random.default_rng([seed, 3])
    images, taken = list(pool), Counter[str]()
    first = {}
    for i in rng.permutation(len(images)):
        if taken[pool[images[i]]] < start:
            first[images[i]] = pool[images[i]]
            taken[pool[images[i]]] += 1
    teach(shop, first)
    shown = set(first)
    counts, found = [len(shown)], [accuracy(shop, test)]
    for _ in range(rounds):
        if order == "random":
            left = [image for image in images if image not in shown]
            chosen = [left[i] for i in rng.permutation(len(left))[:batch]]
        else:
            shop.tag(["attribute"])
            items = shop.review("attribute", order=order, n=10**6).items
            chosen = [Path(one.image) for one in items if Path(one.image) in pool][:batch]
        # An example that is shown again counts, too: somebody has looked at it.
        teach(shop, {image: pool[image] for image in chosen})
        shown |= set(chosen)
        counts.append(counts[-1] + len(chosen))
        found.append(accuracy(shop, test))
    shop.forget("attribute")
    return counts, found


def main(tasks: list[str], seeds: list[int], catalogue: Path | None, work: Path) -> None:
    print(machine())
    for task in tasks:
        folder = work / ("products" if task == "articleType" else "photos")
        if not folder.exists():
            if task == "articleType" and catalogue is not None:
                shutil.copytree(catalogue, folder)
            else:
                data = "fashion_products" if task == "articleType" else "colour_texture"
                with Catalogue.create(folder) as made:
                    made.index([DATA / data])
        with Catalogue.open(folder) as shop:
            for order in ORDERS:
                runs = [curve(shop, task, order, seed) for seed in seeds]
                counts = np.mean([numbers for numbers, _ in runs], axis=0)
                means = np.mean([found for _, found in runs], axis=0)
                if order == "random":
                    goal = means[-1]
                reached = counts[np.flatnonzero(means >= goal)[:1]]
                said = " ".join(f"{n:.0f}:{a:.3f}" for n, a in zip(counts, means, strict=True))
                at = f"{reached[0]:.0f}" if len(reached) else "not"
                print(f"{task}, {order}: {said}; {goal:.3f} reached at {at}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--catalogue", type=Path, help="the products, indexed; it is copied")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        main(options.tasks, options.seeds, options.catalogue, Path(folder))
