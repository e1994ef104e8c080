"""How often the built-in attribute `colours` names the right colour first, without an example.

Colour photos (10 colours; near-duplicates on one side of two halves) and products whose colour in
the shop's table is a basic colour term. The rules of naming were chosen on the first half of the
photos. Then how well a search by a colour finds the photos of that colour, and how fast it names.

Usage: colours.py [--products 4000] [--seed 0] [--catalogue FOLDER, kept and used again]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from gingham.attributes.colours import NAMES, Colours
from gingham.attributes.palette import LAYERS
from gingham.catalogue import Catalogue
from gingham.colours import NAMED, TERMS
from measure import DATA, machine, rows

SAID = {"gray": "grey"}


def photos() -> tuple[list[Path], list[str], list[str]]:
    """Give the colour photos, their colour and their group."""
    table = rows("colour_texture/colour.csv")
    files = [DATA / "colour_texture" / row["image"] for row in table]
    colours = [SAID.get(row["colour"], row["colour"]) for row in table]
    return files, colours, [row["duplicate_group"] for row in table]


def products(count: int, seed: int) -> tuple[list[Path], list[str]]:
    """Give some products whose colour is a basic term."""
    table = rows("fashion_products/products.csv")
    table = [row for row in table if row["baseColour"].lower() in TERMS]
    chosen = np.random.default_rng(seed).permutation(len(table))[:count]
    files = [DATA / "fashion_products" / table[i]["image"] for i in chosen]
    return files, [table[i]["baseColour"].lower() for i in chosen]


def first_half(groups: list[str]) -> np.ndarray:
    """Mark the photos of half of the groups, drawn with a fixed seed."""
    names = np.unique(groups)
    drawn = np.random.default_rng(0).permutation(names)[: len(names) // 2]
    return np.isin(groups, drawn)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--products", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--catalogue", type=Path)
    given = parser.parse_args()
    print(machine())
    files, colours, groups = photos()
    more, shop_colours = products(given.products, given.seed)
    half = first_half(groups)
    with tempfile.TemporaryDirectory() as folder:
        place = given.catalogue or Path(folder, "shop")
        opened = Catalogue.open(place) if place.is_dir() else Catalogue.create(place)
        with opened as shop:
            shop.index(images=[*files, *more])
            truth = shop._truth
            ids = [truth.locations.files[str(file)] for file in (*files, *more)]
            features = truth.features.get(ids, LAYERS)
            Colours().shares({name: block[:1] for name, block in features.items()})
            started = time.perf_counter()
            shares = Colours().shares(features)
            seconds = time.perf_counter() - started
            print(f"{len(ids) / seconds:,.0f} images a second")
            first = np.array(NAMES)[shares[:, : len(TERMS)].argmax(axis=1)]
            own, other = np.split(first, [len(files)])
            right = own == colours
            print(f"photos, the half chosen on: {right[half].mean():.3f} of {half.sum()}")
            print(f"photos, the other half: {right[~half].mean():.3f} of {(~half).sum()}")
            print(f"products: {(other == shop_colours).mean():.3f} of {len(other)}")
            for name, said, truly in (
                ("photos, the other half", own[~half], np.array(colours)[~half]),
                ("products", other, np.array(shop_colours)),
            ):
                wrong = Counter((a, b) for a, b in zip(truly, said, strict=True) if a != b)
                listed = ", ".join(f"{a} as {b} {n}" for (a, b), n in wrong.most_common(8))
                print(f"  {name}, most often wrong: {listed}")
            answers = Colours().answer(dict(features.items()))
            sure = np.array([one.confidence for one in answers])
            all_right = np.concatenate([right, other == shop_colours])
            for name, some in (
                ("photos", slice(None, len(files))),
                ("products", slice(len(files), None)),
            ):
                print(
                    f"  confidence of {name}: {sure[some].mean():.3f}, "
                    f"right: {all_right[some].mean():.3f}"
                )
            by_id = dict(zip((i.hex() for i in ids[: len(files)]), colours, strict=True))
            total = 0.0
            for term in sorted(set(colours)):
                hits = shop.search(colours={NAMED[term].written: 1}, n=len(shop))
                top = [by_id[hit.id] for hit in hits if hit.id in by_id][:10]
                total += top.count(term) / 10
            print(f"search by a colour: P@10 among the photos {total / len(set(colours)):.3f}")


if __name__ == "__main__":
    main()
