"""How often `unknown` finds other values of the same kind (near) and other pictures (far).

Attributes are taught with some of their values, 10 examples each, or all but a third; near are
photos with the other values, far are photos of objects (40 classes). Printed are, at several
allowed losses, the shares unknown, and the share of right answers that is lost; then the shares
unknown where exactly 2 % and 5 % are lost.

Usage: unknown.py [--draws 3] [--seed 0] [--products 6000]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.attribute import Features
from gingham.attributes.fitted_voters import SingleVoter
from gingham.catalogue import Catalogue
from measure import DATA, machine, rows

LOSSES = (0.02, 0.05)
Scores = NDArray[np.float64]


def read(shop: Catalogue, images: list[Path]) -> Features:
    """Give the stored features of images."""
    truth = shop._truth
    return truth.features.get([truth.locations.files[str(image)] for image in images])


def scores(shop: Catalogue, features: Features) -> tuple[Scores, Scores, list[str]]:
    """Give how foreign each image is, whether (1 or 0) it is unknown, and its likeliest value."""
    taught = shop._attributes.taught_attribute("attribute")
    assert isinstance(taught.voter, SingleVoter)
    votes = taught.voter.vote(features, 1)
    residual = taught.voter.projection.apply(features)[1]
    whitened = [one.whiten(features) for one in taught.voter.unknown.relatives]
    given = whitened, residual, votes.distance[:, 0]
    found = taught.voter.unknown.score(*given)
    unknown = (taught.voter.unknown.novelty(*given) > 1).astype(np.float64)
    return found, unknown, [taught.values[v] for v in votes.probabilities.argmax(axis=1)]


def measure(
    shop: Catalogue,
    train: list[tuple[Path, str]],
    test: list[tuple[Path, str]],
    near: list[Path],
    far: Features,
) -> list[float]:
    """Teach, and give what is printed."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder, "examples.csv")
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("image", "attribute"), *train])
        shop.teach("attribute", table)
    known, unknown, said = scores(shop, read(shop, [image for image, _ in test]))
    is_right = np.array([v == t for v, (_, t) in zip(said, test, strict=True)])
    right = known[is_right]
    (other, *near_unknown), (strange, *far_unknown) = (
        scores(shop, features)[:2] for features in (read(shop, near), far)
    )
    default = [float(one.mean()) for one in (unknown[is_right], *near_unknown, *far_unknown)]
    voter = shop._attributes.taught_attribute("attribute").voter
    limits = [voter.unknown.limit(loss) for loss in LOSSES]
    limits += [float(np.quantile(right, 1 - loss)) for loss in LOSSES]
    shop.forget("attribute")
    return default + [
        float((found > at).mean()) for at in limits for found in (right, other, strange)
    ]


def draw(
    labels: list[tuple[Path, str]], values: int, count: int | None, least: int, seed: list[int]
) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]], list[Path]]:
    """Choose values, their examples, other images of theirs, and images of other values."""
    rng = np.random.default_rng(seed)
    names, sizes = np.unique([value for _, value in labels], return_counts=True)
    chosen = set(rng.permutation(names[sizes >= least])[:values].tolist())
    train, test = [], []
    for value in sorted(chosen):
        own = [row for row in labels if row[1] == value]
        order = rng.permutation(len(own))
        most = 2 * len(own) // 3 if count is None else count
        train += [own[i] for i in order[:most]]
        test += [own[i] for i in order[most:]]
    near = [image for image, value in labels if value not in chosen]
    return train, [test[i] for i in rng.permutation(len(test))[:800]], [
        near[i] for i in rng.permutation(len(near))[:800]
    ]  # fmt: skip


def show(what: str, found: list[list[float]]) -> None:
    heads = ["default", *(f"{loss:.0%}" for loss in LOSSES)]
    heads += [f"{loss:.0%} exactly" for loss in LOSSES]
    cells = np.mean(found, axis=0).reshape(-1, 3)
    text = "; ".join(
        f"{head}: lost {lost:.3f}, near {near:.3f}, far {far:.3f}"
        for head, (lost, near, far) in zip(heads, cells, strict=True)
    )
    print(f"{what}: {text}", flush=True)


def main(draws: int, seed: int, products: int, work: Path) -> None:
    print(machine())
    objects = [DATA / "retrieval" / row["image"] for row in rows("retrieval/labels.csv")]
    with Catalogue.create(work / "photos") as shop:
        shop.index([DATA / "colour_texture", DATA / "retrieval"])
        far = read(shop, objects)
        for name in ("colour", "texture"):
            # Of photos that are near-duplicates only the first.
            distinct = {
                row["duplicate_group"]: row for row in rows(f"colour_texture/{name}.csv")[::-1]
            }
            labels = [
                (DATA / "colour_texture" / row["image"], row[name]) for row in distinct.values()
            ]
            for count in (10, None):
                found = []
                for number in range(draws):
                    chosen = draw(labels, 7, count, 1, [seed, number])
                    found.append(measure(shop, *chosen, far))
                show(f"{name}, {count or 'all'} per value", found)
    if not products:
        return
    table = rows("fashion_products/products.csv")
    order = np.random.default_rng(0).permutation(len(table))[:products]
    labels = [
        (DATA / "fashion_products" / table[i]["image"], table[i]["articleType"]) for i in order
    ]
    with Catalogue.create(work / "products") as shop:
        shop.index([image for image, _ in labels])
        found = []
        for number in range(draws):
            chosen = draw(labels, 12, 10, 60, [seed, number])
            found.append(measure(shop, *chosen, far))
        show("types of products, 10 per value", found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--products", type=int, default=6000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        main(options.draws, options.seed, options.products, Path(folder))
