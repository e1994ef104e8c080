"""The index of a folder by itself, with more images than there are products: time, bytes, recall.

Its vectors are mixtures of those of the 15,882 products, so they spread as real ones do. Recall is
measured against a scan of all full vectors. With `--peers` an exact NumPy scan, faiss (HNSW, IVF),
usearch and, where it is installed, LanceDB search the same vectors, all looks joined.

Usage: index_scale.py [--images 200000] [--queries 40] [--source CATALOGUE] [--peers]
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from usearch.index import Index as Usearch

from gingham.catalogue import Catalogue
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.filters import EVERYWHERE, Condition, Where
from gingham.index.index import Query, Tag, Term, Upsert
from measure import DATA, machine

Floats = NDArray[np.float32]

N = 10
CHUNK = 4096
SLIDERS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (1, 0.1, 0))
SHARES = {"1 %": 0.01, "10 %": 0.1, "50 %": 0.5}
WIDTHS = {"colour": 288, "texture": 384, "semantic": 1280}
SCALES = {"colour": 4.0, "texture": 1.5, "semantic": 1.0}
COLUMN_SCALES = np.repeat(np.array(list(SCALES.values()), np.float32), list(WIDTHS.values()))
WIDTH = sum(WIDTHS.values())


def product_vectors(source: Path | None) -> dict[str, Floats]:
    """Give the unit vectors of the products in each look."""
    with tempfile.TemporaryDirectory() as folder:
        if source is None:
            with Catalogue.create(Path(folder, "shop")) as shop:
                shop.index([DATA / "fashion_products" / "images"])
        with Catalogue.open(source or Path(folder, "shop")) as shop:
            index = shop._searcher.synced.get()
            found = index.vectors(index.held(), list(WIDTHS))
    assert {look: rows.shape[1] for look, rows in found.items()} == WIDTHS
    return {look: rows / np.float32(SCALES[look]) for look, rows in found.items()}


def mix(products: dict[str, Floats], images: int, path: Path) -> None:
    """Write (images, WIDTH) float16: mixtures of two products, a little off towards a third."""
    rng = np.random.default_rng(1)
    count = len(products["colour"])
    with path.open("wb") as file:
        for start in range(0, images, CHUNK):
            size = min(CHUNK, images - start)
            one, two, three = rng.integers(0, count, (3, size))
            part = rng.uniform(0.1, 0.5, (size, 1)).astype(np.float32)
            looks = []
            for rows in products.values():
                mixed = rows[one] * (1 - part) + rows[two] * part + 0.1 * (rows[three] - rows[one])
                looks.append(mixed / np.linalg.norm(mixed, axis=1, keepdims=True))
            file.write(np.concatenate(looks, axis=1).astype(np.float16).tobytes())


def chunks(path: Path, images: int) -> Iterator[tuple[int, Floats]]:
    """Read them again, with the scales of the looks."""
    for start in range(0, images, CHUNK):
        count = min(CHUNK, images - start) * WIDTH
        rows = np.fromfile(path, np.float16, count, offset=2 * WIDTH * start)
        yield start, rows.reshape(-1, WIDTH).astype(np.float32) * COLUMN_SCALES


def split(rows: Floats) -> dict[str, Floats]:
    ends = np.cumsum(list(WIDTHS.values()))
    return dict(zip(WIDTHS, np.split(rows, ends[:-1], axis=-1), strict=True))


def name(row: int) -> str:
    return f"{row * 0x9E3779B97F4A7C15 % 2**64:016x}{row:048x}"


def tags(images: int) -> NDArray[np.str_]:
    drawn = np.random.default_rng(2).random(images)
    return np.select([drawn < 0.01, drawn < 0.11, drawn < 0.61], list(SHARES), "rest")


def peak() -> str:
    """Say how much memory this process had at most; `getrusage` counts what started it, too."""
    status = Path("/proc/self/status").read_text().splitlines()
    (held,) = (line.split()[1] for line in status if line.startswith("VmHWM"))
    return f"peak {int(held) / 1024:.0f} MB"


def build(path: Path, folder: Path, images: int) -> str:
    index, started, spent = EmbeddedIndex(folder), time.perf_counter(), time.process_time()
    index.reset(WIDTHS)
    for start, rows in chunks(path, images):
        ids = [name(row) for row in range(start, start + len(rows))]
        index.apply([Upsert(ids, split(rows))])
    told = dict(zip(map(name, range(images)), tags(images).tolist(), strict=True))
    index.apply([Tag.of("share", told)])
    index.commit({})
    took, spent = time.perf_counter() - started, time.process_time() - spent
    index.close()
    size = {part.name: _size(part) for part in folder.iterdir()}
    parts = ", ".join(f"{part} {size / 1e6:.0f}" for part, size in size.items() if size > 1e6)
    return f"built in {took:.0f} s, {spent:.0f} s of processor time; MB: {parts}; {peak()}"


def grow(path: Path, folder: Path, images: int) -> str:
    """Add 1 %."""
    index, started = EmbeddedIndex(folder), time.perf_counter()
    added = max(1, images // 100)
    _, rows = next(chunks(path, images))
    for start in range(0, added, CHUNK):
        ids = [name(images + row) for row in range(start, min(start + CHUNK, added))]
        index.apply([Upsert(ids, split(rows[: len(ids)]))])
    index.commit({})
    index.close()
    return f"1 % more added in {time.perf_counter() - started:.1f} s"


def ask(path: Path, folder: Path, images: int, queries: int) -> str:
    """Search, and compare with a scan of everything."""
    asked = np.sort(np.random.default_rng(5).choice(images, queries, replace=False))
    parts = []
    for start, rows in chunks(path, images):
        here = asked[(asked >= start) & (asked < start + len(rows))]
        parts.append(rows[here - start])
    units = np.concatenate(parts) / COLUMN_SCALES
    weighed = [
        np.repeat(np.array(weights, np.float32), list(WIDTHS.values())) * units
        for weights in SLIDERS
    ]
    kinds, vectors = tags(images), np.concatenate(weighed)
    filters = {"none": EVERYWHERE} | {
        share: Where((Condition("share", share),)) for share in SHARES
    }
    best = {share: np.full((len(vectors), N), -np.inf, np.float32) for share in filters}
    for start, rows in chunks(path, images):
        scores = vectors @ rows.T
        for share in filters:
            there = slice(None) if share == "none" else kinds[start : start + len(rows)] == share
            found = np.concatenate([best[share], scores[:, there]], axis=1)
            best[share] = -np.partition(-found, N - 1, axis=1)[:, :N]
    stored = np.memmap(path, np.float16, "r", shape=(images, WIDTH))
    started = time.perf_counter()
    index = EmbeddedIndex(folder)
    said = [f"opened in {time.perf_counter() - started:.2f} s"]
    for share, where in filters.items():
        for k, weights in enumerate(SLIDERS):
            times, spent, right, wrong = [], [], [], []
            for i in range(queries):
                vector = split(weighed[k][i])
                terms = [Term(look, vector[look], 1.0) for look in WIDTHS if vector[look].any()]
                started, used = time.perf_counter(), time.process_time()
                matches = index.query(Query(terms, N, where))
                times.append(time.perf_counter() - started)
                spent.append(time.process_time() - used)
                worst = best[share][k * queries + i].min()
                there = [int(match.id[16:], 16) for match in matches]
                scores = stored[there].astype(np.float32) * COLUMN_SCALES @ weighed[k][i]
                right.append(np.mean(scores >= worst - 1e-4))
                wrong.append(np.abs(scores - [match.score for match in matches]).mean())
            said.append(
                f"filter {share}, sliders {weights}: recall@{N} {np.mean(right):.4f}, median "
                f"{np.median(times) * 1e3:.1f} ms, 95 % {np.percentile(times, 95) * 1e3:.1f} ms, "
                f"median processor time {np.median(spent) * 1e3:.1f} ms, scores off by "
                f"{np.mean(wrong):.5f}"
            )
    index.close()
    return "\n".join([*said, peak()])


def peers(path: Path, folder: Path, images: int, queries: int) -> Iterator[str]:
    """Search the joined vectors; sliders weigh the query, which gives the same scores."""
    stored = np.concatenate([rows for _, rows in chunks(path, images)])
    chosen = np.sort(np.random.default_rng(5).choice(images, queries, replace=False))
    units = stored[chosen] / COLUMN_SCALES
    asked = {
        weights: units * np.repeat(np.array(weights, np.float32), list(WIDTHS.values()))
        for weights in SLIDERS
    }
    best = {
        weights: -np.partition(-(vectors @ stored.T), N - 1, axis=1)[:, N - 1]
        for weights, vectors in asked.items()
    }
    for what, make in PEERS.items():
        started, spent = time.perf_counter(), time.process_time()
        made = make(stored, folder)
        if made is None:
            yield f"{what}: not installed"
            continue
        search, size = made
        took, spent = time.perf_counter() - started, time.process_time() - spent
        yield f"{what}: built in {took:.0f} s, {spent:.0f} s of processor time; {size / 1e6:.0f} MB"
        for weights, vectors in asked.items():
            times, used, right = [], [], []
            search(vectors[0])
            for vector, worst in zip(vectors, best[weights], strict=True):
                started, before = time.perf_counter(), time.process_time()
                found = search(vector)
                used.append(time.process_time() - before)
                times.append(time.perf_counter() - started)
                scores = stored[np.asarray(found, np.int64)] @ vector
                right.append((scores >= worst - 1e-4).sum() / N)
            yield (
                f"{what}, sliders {weights}: recall@{N} {np.mean(right):.4f}, median "
                f"{np.median(times) * 1e3:.1f} ms, median processor time "
                f"{np.median(used) * 1e3:.1f} ms"
            )
        del search, made
    yield peak()


Made = tuple[Callable[[Floats], Any], int]
"""Finds the N best rows of a vector; bytes."""


def scan(stored: Floats, folder: Path) -> Made:
    return lambda q: np.argpartition(-(stored @ q), N)[:N], stored.nbytes


def faiss_ivf(stored: Floats, folder: Path) -> Made:
    coarse = faiss.IndexFlatIP(WIDTH)
    lists = int(2 * len(stored) ** 0.5)
    index = faiss.IndexIVFFlat(coarse, WIDTH, lists, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = 32
    index.train(stored[:: max(1, len(stored) // 20_000)])
    index.add(stored)
    return lambda q: index.search(q[None], N)[1][0], _written(faiss.write_index, index, folder)


def faiss_hnsw(stored: Floats, folder: Path) -> Made:
    index = faiss.IndexHNSWFlat(WIDTH, 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = 128
    index.add(stored)
    return lambda q: index.search(q[None], N)[1][0], _written(faiss.write_index, index, folder)


def usearch(stored: Floats, folder: Path) -> Made:
    index = Usearch(ndim=WIDTH, metric="ip", dtype="f16", expansion_search=128)
    index.add(np.arange(len(stored)), stored)
    return lambda q: index.search(q, N).keys, index.serialized_length


def lance(stored: Floats, folder: Path) -> Made | None:
    try:
        import lancedb
        import pyarrow as pa
    except ImportError:
        print("LanceDB is not installed: pip install lancedb")
        return None
    rows = pa.FixedSizeListArray.from_arrays(pa.array(stored.reshape(-1)), WIDTH)
    given = pa.table({"row": np.arange(len(stored)), "vector": rows})
    table = lancedb.connect(folder / "lance").create_table("vectors", given)
    table.create_index(metric="dot", vector_column_name="vector", index_type="IVF_HNSW_SQ")

    def search(q: Floats) -> Any:
        asked: Any = table.search(q)
        asked = asked.distance_type("dot").nprobes(32).refine_factor(5).limit(N)
        return asked.select(["row", "_distance"]).to_arrow()["row"].to_numpy()

    return search, _size(folder / "lance")


PEERS: dict[str, Callable[[Floats, Path], Made | None]] = {
    "NumPy scan": scan,
    "faiss IVF": faiss_ivf,
    "usearch, float16": usearch,
    "LanceDB": lance,
    "faiss HNSW": faiss_hnsw,
}


def _written(write: Callable[[Any, str], None], index: Any, folder: Path) -> int:
    write(index, str(folder / "written"))
    size = (folder / "written").stat().st_size
    (folder / "written").unlink()
    return size


def show_peers(path: Path, folder: Path, images: int, queries: int) -> str:
    for line in peers(path, folder, images, queries):
        print(line, flush=True)
    return ""


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(images: int, queries: int, source: Path | None, beside: bool) -> None:
    print(machine(), f"{images:,} images", sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as work:
        path, folder = Path(work, "vectors"), Path(work, "index")
        mix(product_vectors(source), images, path)

        def apart(function: Callable[..., str], *more: int) -> None:
            spawned = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(1, mp_context=spawned) as pool:
                print(pool.submit(function, path, folder, images, *more).result(), flush=True)

        apart(build)
        apart(ask, queries)
        apart(grow)
        if beside:
            apart(show_peers, queries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--source", type=Path, help="an indexed catalogue of the products")
    parser.add_argument("--peers", action="store_true")
    options = parser.parse_args()
    main(options.images, options.queries, options.source, options.peers)
