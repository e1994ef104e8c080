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
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gingham.catalogue import Catalogue
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.index import Index, Match, Query
from gingham.store import ids as many
from gingham.store.features import FeatureStore
from gingham.store.files import LocalFiles
from gingham.store.header import Header, is_catalogue
from gingham.store.ids import Ids
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
QUERIES = 20
N = 10
CHUNK = 8192
ALL = {"colour": 1.0, "texture": 1.0, "semantic": 1.0}
TAUGHT = {"attribute:type": 1.0}
# Name -> looks, whether two images are to be like and one unlike, whether a value is filtered by.
SEARCHES: dict[str, tuple[dict[str, float], bool, bool]] = {
    "colour": ({"colour": 1.0}, False, False),
    "texture": ({"texture": 1.0}, False, False),
    "semantic": ({"semantic": 1.0}, False, False),
    "all alike": (ALL, False, False),
    "colour, 0.1 texture": ({"colour": 1.0, "texture": 0.1}, False, False),
    "a taught look": (TAUGHT, False, False),
    "a taught look, colour": (TAUGHT | {"colour": 1.0}, False, False),
    "a taught look, all": (TAUGHT | ALL, False, False),
    "all, two images like and one unlike": (ALL, True, False),
    "all, of one value": (ALL, False, True),
}


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
    """Search in this process by some images; compare with a scan of all vectors of the index."""
    started = time.perf_counter()
    with Catalogue.open(folder) as shop:
        held = np.sort(shop._truth.locations.ids())
        some = held[:: max(1, len(held) // (QUERIES + 2))]
        examples = [image_id.hex() for image_id in many.to_list(some)]
        shop.search(examples[0])
        first = time.perf_counter() - started
        index = shop._searcher.synced.get()
        asked: list[tuple[Query, list[Match]]] = []
        query = index.query

        def watched(given: Query) -> list[Match]:
            asked.append((given, query(given)))
            return asked[-1][1]

        setattr(index, "query", watched)  # noqa: B010
        times = {}
        for what, (looks, several, filtered) in SEARCHES.items():
            where = [f"type={next(iter(shop.facets().attributes['type']))}"] if filtered else []
            shop.search(examples[0], looks=looks, where=where)
            asked.pop()
            taken = []
            for number in range(QUERIES):
                like, unlike = (
                    examples[number : number + 1 + several],
                    examples[number + 2 :][:several],
                )
                began, spent = time.perf_counter(), time.process_time()
                shop.search(like, unlike=unlike, looks=looks, where=where, n=N)
                taken.append((time.perf_counter() - began, time.process_time() - spent))
            times[what] = np.median(taken, axis=0) * 1000
        print(f"first search {first:.1f} s, peak {peak_mb():.0f} MB, {mapped()}")
        assert isinstance(index, EmbeddedIndex)
        # In the order in which they lie on the disk.
        written = index._table._ids[index._table._live]
        right = np.reshape(recalls(index, written, asked), (len(SEARCHES), QUERIES)).mean(axis=1)
        print("| search by | recall@10 | median ms | processor ms |\n|---|---|---|---|")
        for (what, (wall, cpu)), share in zip(times.items(), right, strict=True):
            print(f"| {what} | {share:.4f} | {wall:.1f} | {cpu:.1f} |")


def mapped() -> str:
    """Say how much of the memory is files that others could have, too."""
    status = Path("/proc/self/status").read_text().splitlines()
    (held,) = (line.split()[1] for line in status if line.startswith("RssFile"))
    return f"of which now {int(held) / 1024:.0f} MB are files"


def recalls(index: Index, held: Ids, asked: Sequence[tuple[Query, list[Match]]]) -> list[float]:
    """Say of each query what share of its matches is as good as the best of all images."""
    looks = sorted({term.look for query, _ in asked for term in query.terms})
    best = np.full((len(asked), N), -np.inf, np.float32)
    vectors = {
        look: np.zeros((len(asked), rows.shape[1]), np.float32)
        for look, rows in index.vectors(held[:1], looks).items()
    }
    for number, (query, _) in enumerate(asked):
        for term in query.terms:
            vectors[term.look][number] += np.float32(term.weight) * term.vector
    passing = {query.where: index.held(query.where) for query, _ in asked}
    for start in range(0, len(held), CHUNK):
        ids = held[start : start + CHUNK]
        stored = index.vectors(ids, looks)
        scores = np.sum([vectors[look] @ stored[look].T for look in looks], axis=0)
        there = {where: many.find(some, ids) >= 0 for where, some in passing.items()}
        for number, (query, _) in enumerate(asked):
            scores[number, ~there[query.where]] = -np.inf
            for one in query.without:
                own = bytes.fromhex(one) if isinstance(one, str) else one.ljust(32, b"\0")
                scores[number, ids == own.rstrip(b"\0")] = -np.inf
        joined = np.concatenate([best, scores], axis=1)
        best = -np.partition(-joined, N - 1, axis=1)[:, :N]
    return [
        float(np.mean([match.score >= row.min() - 1e-4 for match in matches]))
        for row, (_, matches) in zip(best, asked, strict=True)
    ]


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
