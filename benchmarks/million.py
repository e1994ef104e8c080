"""A catalogue of a million images, made of the products' features: what whole commands take on it.

The ids are random, and there are no files: what is measured needs only the features. Each image has
those of a product with noise, a tenth of the spread of each number. Unless `--build` is given, the
commands leave out what each does at its end: bringing the search index up to date.

Usage: million.py --work FOLDER [--images 1000000] [--source CATALOGUE] [--all-examples] [--build]
       [--search]

A catalogue that is in the folder is used again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from gingham.catalogue import Catalogue
from gingham.store.features import FeatureStore
from gingham.store.files import LocalFiles
from gingham.store.header import Header, is_catalogue
from gingham.store.locations import Locations
from measure import DATA, GINGHAM, machine, peak_mb, rows, run

SHARD = 512
"""Images that `index` writes at once."""

WITHOUT_INDEX = """
import sys
from gingham.cli import app
from gingham.operations.opening import OpenCatalogue
OpenCatalogue._publish = lambda self, **_: None
app(sys.argv[1:])
"""

VALUES = 8
EXAMPLES = 30
MORE = 16_000
NOISE = 0.1


def make(folder: Path, source: Path, images: int) -> None:
    """Write the catalogue, and tables of examples beside it."""
    header = Header.read(LocalFiles(source))
    stored = FeatureStore(LocalFiles(source), header.config)
    with Catalogue.open(source) as products:
        names = {
            image_id: Path(file).name for file, image_id in products._truth.locations.files.items()
        }
    types = {
        Path(row["image"]).name: row["articleType"] for row in rows("fashion_products/products.csv")
    }
    ids = [image_id for batch, _ in stored.batches(["stem"]) for image_id in batch]
    features = stored.get(ids)
    labels = np.array([types.get(names.get(image_id, ""), "") for image_id in ids])
    spread = {
        layer: NOISE * block.std(axis=0, dtype=np.float32) for layer, block in features.items()
    }

    rng = np.random.default_rng(0)
    Header(header.config, header.weights, str(folder.parent)).write(LocalFiles(folder))
    store = FeatureStore(LocalFiles(folder), header.config)
    locations = Locations(LocalFiles(folder), str(folder.parent))
    frequent = [
        value
        for value, _ in sorted(
            ((v, int((labels == v).sum())) for v in set(labels) - {""}), key=lambda one: -one[1]
        )[:VALUES]
    ]
    few: dict[str, list[str]] = defaultdict(list)
    many: list[tuple[str, str]] = []
    for start in range(0, images, SHARD):
        count = min(SHARD, images - start)
        chosen = rng.integers(len(ids), size=count)
        blocks = {}
        for layer, block in features.items():
            noise = rng.standard_normal((count, block.shape[1]), np.float32)
            blocks[layer] = (block[chosen] + noise * spread[layer]).astype(np.float16)
        fresh = [rng.bytes(32) for _ in range(count)]
        files = [str(folder.parent / "images" / f"{start + row:08d}.jpg") for row in range(count)]
        store.append(fresh, [{k: v[row] for k, v in blocks.items()} for row in range(count)])
        locations.append(list(zip(files, fresh, strict=True)))
        for file, label in zip(files, labels[chosen], strict=True):
            many += [(file, str(label))] if label and rng.random() < 1.1 * MORE / images else []
            # A few of each shard, so that they are spread over the catalogue.
            if label in frequent and rng.random() < VALUES * EXAMPLES * 20 / images:
                few[str(label)].append(file)
    for name, examples in (
        ("few", [(file, v) for v in frequent for file in few[v][:EXAMPLES]]),
        ("many", many[:MORE]),
    ):
        with (folder.parent / f"{name}.csv").open("w", newline="") as table:
            csv.writer(table).writerows([("image", "type"), *examples])


def show(what: str, *command: str | Path, index: bool = False) -> None:
    """Run a command of gingham, and print a row of the table."""
    program = (GINGHAM,) if index else (sys.executable, "-c", WITHOUT_INDEX)
    before = os.times()
    done = run(*program, *command, "--json", codes=(0, 1))
    after = os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    print(f"| {what} | {done.seconds:.1f} | {cpu:.1f} | {done.peak_mb:.0f} |", flush=True)


def search(folder: Path) -> None:
    """Search in this process, with every image of a hundred as the example."""
    started = time.perf_counter()
    with Catalogue.open(folder) as shop:
        ids = sorted(shop._truth.locations.images)[::10_007][:100]
        shop.search(ids[0].hex())
        first = time.perf_counter() - started
        for looks in ({"colour": 1.0}, {"texture": 1.0}, {"colour": 1.0, "texture": 0.1}):
            taken = []
            for image_id in ids:
                began = time.perf_counter()
                shop.search(image_id.hex(), looks=looks)
                taken.append(1000 * (time.perf_counter() - began))
            print(f"search {json.dumps(looks)}: median {statistics.median(taken):.1f} ms")
    print(f"first search {first:.1f} s, peak {peak_mb():.0f} MB")


def main(arguments: argparse.Namespace) -> None:
    """Make the catalogue if it is not there, and measure."""
    work: Path = arguments.work
    folder = work / "million"
    if not is_catalogue(LocalFiles(folder)):
        started = time.perf_counter()
        make(folder, arguments.source, arguments.images)
        print(f"made in {time.perf_counter() - started:.0f} s", flush=True)
        # The peak memory of a process counts from what it was born with: that of its parent.
        os.execv(sys.executable, [sys.executable, *sys.argv])
    print(f"{machine()}; load {os.getloadavg()[0]:.1f}; {arguments.images:,} images\n")
    print("| whole command | seconds | CPU seconds | peak MB |\n|---|---|---|---|")
    show("info", "info", folder)
    show(f"teach {VALUES * EXAMPLES} known examples", "teach", folder, "type", work / "few.csv")
    show("info, one attribute", "info", folder)
    show("tag it", "tag", folder, "type")
    show("tag it again: nothing is new", "tag", folder, "type")
    show("info, tagged", "info", folder)
    if arguments.all_examples:
        show(
            f"teach {MORE:,} known examples",
            *("teach", folder, "all"),
            work / "many.csv",
            "--value-column",
            "type",
        )
    if arguments.build:
        show("build the search index", "rebuild", folder, index=True)
    if arguments.search:
        search(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--work", type=Path, required=True, help="where it is made, and kept")
    parser.add_argument("--source", type=Path, help="an indexed catalogue of the products")
    parser.add_argument("--all-examples", action="store_true", help=f"teach {MORE:,} examples, too")
    parser.add_argument("--build", action="store_true", help="build the search index, too")
    parser.add_argument("--search", action="store_true", help="search in the process, too")
    given = parser.parse_args()
    given.work = given.work.absolute()
    if given.source is None:
        given.source = given.work / "products"
        if not is_catalogue(LocalFiles(given.source)):
            run(GINGHAM, "index", given.source, DATA / "fashion_products" / "images")
    main(given)
