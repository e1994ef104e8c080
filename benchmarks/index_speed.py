"""`gingham index` against the plain way, whole processes on the same 1,000 files; and its memory.

Usage: index_speed.py [--rounds 2] [--memory]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from gingham.attributes.attribute_fitting import blocks, join
from gingham.attributes.estimators import AttributeClassifier
from gingham.catalogue import Catalogue
from measure import DATA, GINGHAM, machine, rows, run

COUNT = 1000


def accuracy(features: dict[str, np.ndarray], paths: list[str], shop: Catalogue) -> str:
    """Grouped 5-fold accuracy of the taught classifier on some features of the same files."""
    place = {path: row for row, path in enumerate(paths)}
    said = []
    for attribute in ("colour", "texture"):
        labels = [
            (place[path], row[attribute], row["duplicate_group"])
            for row in rows(f"colour_texture/{attribute}.csv")
            if (path := str(DATA / "colour_texture" / row["image"])) in place
        ]
        index, values, groups = zip(*labels, strict=True)
        layers = tuple(layer.name for layer in shop.config.hidden)
        X = join({name: features[name][list(index)] for name in layers}, layers)
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        model = AttributeClassifier(blocks=blocks(shop.config, layers))
        predicted = cross_val_predict(model, X, values, groups=groups, cv=folds)
        said.append(f"{attribute} {np.mean(predicted == np.array(values)):.3f}")
    return ", ".join(said)


def speed(rounds: int) -> None:
    print(machine())
    paths = sorted(str(p) for p in (DATA / "colour_texture").rglob("*.jpg"))[:COUNT]
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder, "list.txt")
        listing.write_text("\n".join(paths))
        plain_script = Path(__file__).with_name("plain_way.py")
        # Once without a clock: the network is converted, files are in the page cache.
        run(GINGHAM, "index", Path(folder, "warm"), paths[0])
        ratios = []
        for number in range(rounds):
            shop_folder, out = Path(folder, f"shop{number}"), Path(folder, f"{number}.npz")
            plain = run(sys.executable, plain_script, listing, out)
            ours = run(GINGHAM, "index", shop_folder, "-", "--json", stdin="\n".join(paths))
            ratios.append(plain.seconds / ours.seconds)
            print(
                f"plain {plain.seconds:.1f} s ({plain.peak_mb:.0f} MB), "
                f"gingham {ours.seconds:.1f} s ({ours.peak_mb:.0f} MB): {ratios[-1]:.1f} times"
            )
        print(f"median ratio {np.median(ratios):.1f}")
        with np.load(out) as file, Catalogue.open(shop_folder) as shop:
            plain_features = dict(file)
            ids = [shop._truth.locations.files[path] for path in paths]
            our_features = shop._truth.features.get(ids)
            for layer in plain_features:
                a, b = (x[layer].astype(np.float32) for x in (plain_features, our_features))
                cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
                print(f"  {layer}: least cosine to the plain way's features {cosine.min():.5f}")
            print("accuracy, plain:  ", accuracy(plain_features, paths, shop))
            print("accuracy, gingham:", accuracy(our_features, paths, shop))


def memory() -> None:
    images = sorted(str(p) for p in (DATA / "fashion_products" / "images").iterdir())
    with tempfile.TemporaryDirectory() as folder:
        for count in (1000, 4000, 16000):
            done = run(
                GINGHAM, "index", Path(folder, str(count)), "-", stdin="\n".join(images[:count])
            )
            print(
                f"{count} images: peak {done.peak_mb:.0f} MB, {done.seconds:.1f} s, "
                f"{count / done.seconds:.0f} images/s"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of speed")
    options = parser.parse_args()
    if options.memory:
        memory()
    else:
        speed(options.rounds)
