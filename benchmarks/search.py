"""Search over the 16,000 products: recall against an exact scan, and time inside the process.

The exact scan and scikit-learn's brute-force neighbours (what a user would use instead) work on
the same vectors; the scan sees every image.

Usage: search.py [--queries 200] [--seed 0]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.neighbors import NearestNeighbors

from gingham.catalogue import Catalogue
from gingham.index.filters import Condition, Where
from gingham.index.looks import unit
from gingham.store.ids import to_list
from measure import DATA, machine, rows

SLIDERS: tuple[dict[str, float], ...] = (
    {"colour": 1},
    {"texture": 1},
    {"colour": 1, "texture": 1},
    {"colour": 1, "texture": 0.1},
    {"colour": 1, "texture": 1, "semantic": 1},
    {"attribute:baseColour": 1, "semantic": 1},
)
N = 10


def main(queries: int, seed: int) -> None:
    print(machine())
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, Catalogue.create(Path(folder, "shop")) as shop:
        shop.index([DATA / "fashion_products" / "images"])
        table = Path(folder, "examples.csv")
        products = rows("fashion_products/products.csv")
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "baseColour"))
            for colour in ("Black", "White", "Blue", "Red", "Green", "Pink"):
                chosen = [r for r in products if r["baseColour"] == colour][:30]
                writer.writerows((DATA / "fashion_products" / r["image"], colour) for r in chosen)
        shop.teach("baseColour", table)
        shop.tag()
        files = shop._truth.locations.files
        ids = list(dict.fromkeys(files.values()))
        started = time.perf_counter()
        index = shop._searcher.synced.get()
        print(f"first search brings the index up to date: {time.perf_counter() - started:.1f} s")
        shop.search(next(iter(files)), looks={"attribute:baseColour": 1}, with_self=True)
        space = shop._searcher.space
        keys = [i.hex() for i in ids]
        looks = [*space.names, "attribute:baseColour"]
        stored = index.vectors(keys, looks)
        units = {look: unit(stored[look]) for look in looks}
        vectors = np.concatenate([stored[look] for look in space.names], axis=1)
        place, tags = {key: i for i, key in enumerate(keys)}, [""] * len(keys)
        for value in shop.facets().attributes["baseColour"]:
            for image_id in to_list(index.held(Where((Condition("baseColour", value),)))):
                tags[place[image_id.hex()]] = value
        asked = rng.choice(len(ids), queries, replace=False)
        first = {i: name for name, i in reversed(list(files.items()))}
        for weights in SLIDERS:
            for where in ([], ["baseColour=Black"], ["baseColour!=Black", "baseColour!=White"]):
                allowed = np.array(
                    [
                        not where
                        or (t == "Black" if where[0] == "baseColour=Black"
                            else t not in ("Black", "White"))
                        for t in tags
                    ]
                )  # fmt: skip
                recall, times = [], []
                for row in asked:
                    started = time.perf_counter()
                    hits = shop.search(
                        first[ids[row]], looks=weights, where=where, n=N, with_self=True
                    )
                    times.append(time.perf_counter() - started)
                    scores = np.zeros(len(ids))
                    for name, weight in weights.items():
                        cosines = units[name] @ units[name][row]
                        scores += weight * space.similarity(name, cosines)
                    scores[~allowed] = -np.inf
                    worst = np.sort(scores)[-N]
                    # Whoever scores no less than the N-th best belongs, ties included.
                    good = {keys[i] for i in np.flatnonzero(scores >= worst - 1e-6)}
                    recall.append(np.mean([hit.id in good for hit in hits]))
                print(
                    f"{weights} {' '.join(where) or 'no filter'}: recall@{N} "
                    f"{np.mean(recall):.4f}, median {np.median(times) * 1e3:.2f} ms, "
                    f"95 % {np.percentile(times, 95) * 1e3:.2f} ms",
                    flush=True,
                )
        brute = NearestNeighbors(n_neighbors=N, algorithm="brute").fit(vectors)
        times = []
        for row in asked:
            started = time.perf_counter()
            brute.kneighbors(vectors[row : row + 1])
            times.append(time.perf_counter() - started)
        print(f"scikit-learn, brute force, one weighting: median {np.median(times) * 1e3:.2f} ms")
        counts = {value: tags.count(value) for value in set(tags)}
        facets = shop.facets().attributes["baseColour"]
        print("facets equal a plain count:", facets == counts)
        for value, count in counts.items():
            hits = shop.search(
                first[ids[0]], where=[f"baseColour={value}"], n=len(ids), with_self=True
            )
            exact = {key for key, tag in zip(keys, tags, strict=True) if tag == value}
            assert {hit.id for hit in hits} == exact
            assert len(hits) == count
        print("filters give exactly the images of a plain scan, for every value")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    main(options.queries, options.seed)
