"""The service under load: requests a second from a second process on loopback, and memory.

Searches by id, then searches by uploads that the server has not seen, each by some clients at once;
beside it the images that the same machine extracts in a tight loop, before and after. Then
requests of all kinds, with the memory of the server at the quarters.

Usage: service.py [CATALOGUE] [--clients 16] [--seconds 60] [--soak 20000] [--images FOLDER]
Without CATALOGUE, the 16,000 products are indexed first, with one attribute taught.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import itertools
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gingham.catalogue import Catalogue
from gingham.options import DEFAULTS
from measure import DATA, machine, rows

Make = Callable[[], bytes]
"""Makes one request, as it is sent."""


def make_catalogue(folder: Path) -> Path:
    with Catalogue.create(folder / "shop") as shop:
        shop.index([DATA / "fashion_products" / "images"])
        table = folder / "examples.csv"
        products = rows("fashion_products/products.csv")
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("image", "baseColour"))
            for colour in ("Black", "White", "Blue", "Red", "Green", "Pink"):
                chosen = [r for r in products if r["baseColour"] == colour][:30]
                writer.writerows((DATA / "fashion_products" / r["image"], colour) for r in chosen)
        shop.teach("baseColour", table)
        shop.tag()
    return folder / "shop"


@contextmanager
def served(catalogue: Path) -> Iterator[tuple[int, int]]:
    """Give the port and the process id of a server that is ready."""
    server = subprocess.Popen(
        [sys.executable, "-m", "gingham", "serve", str(catalogue), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert found
        port = int(found[1])
        while asyncio.run(load(port, lambda: get("/readyz"), clients=1, count=1))[1]:
            time.sleep(0.2)
        yield port, server.pid
    finally:
        server.terminate()
        server.wait(60)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def post(path: str, kind: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def by_id(image: str, **more: object) -> bytes:
    return post("/v1/search", "application/json", json.dumps({"id": image, **more}).encode())


def by_upload(path: str, image: bytes) -> bytes:
    head = b"--b\r\nContent-Disposition: form-data; name=image; filename=a\r\n\r\n"
    return post(path, "multipart/form-data; boundary=b", head + image + b"\r\n--b--\r\n")


async def load(
    port: int, make: Make, *, clients: int, count: int | None = None, seconds: float = 1e9
) -> tuple[list[float], int]:
    """Send requests, each client one after the other; give their seconds, and how many failed."""
    until, left = time.perf_counter() + seconds, itertools.count()
    times: list[float] = []
    failed = 0

    async def one() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < until and (count is None or next(left) < count):
            sent = make()
            started = time.perf_counter()
            writer.write(sent)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            times.append(time.perf_counter() - started)
            failed += not head.startswith(b"HTTP/1.1 2")
        writer.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    return times, failed


def report(what: str, times: list[float], failed: int, took: float) -> float:
    ordered = sorted(times)
    p50, p95 = (1e3 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95))
    rate = len(times) / took
    print(
        f"{what}: {rate:.0f} requests/s, {len(times)} in {took:.0f} s, {failed} failed; "
        f"median {p50:.0f} ms, p95 {p95:.0f} ms, longest {1e3 * ordered[-1]:.0f} ms",
        flush=True,
    )
    return rate


def extraction_rate(catalogue: Path, images: list[bytes], seconds: float) -> float:
    """Give the images a second that one process reads and extracts, as `index` does."""
    with Catalogue.open(catalogue) as shop:
        layers, unseen = tuple(shop.config.widths), others(images)
        for warming in (True, False):
            started, done = time.perf_counter(), 0
            while time.perf_counter() - started < (1 if warming else seconds):
                batch = [next(unseen) for _ in range(128)]
                done += sum(1 for _ in shop._truth.features_of(batch, layers, DEFAULTS))
    return done / (time.perf_counter() - started)


def others(images: list[bytes]) -> Iterator[bytes]:
    """Give images that nobody has seen: bytes after the end of a JPEG do not change its picture."""
    for number in itertools.count(time.time_ns()):
        yield random.choice(images) + str(number).encode()


def memory(pid: int) -> float:
    """Give the memory of a process, in MB."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1e3


def mixed(ids: list[str], images: list[bytes]) -> Make:
    """Make requests of all kinds, mostly searches."""
    unseen = others(images)
    looks = ("colour", "texture", "semantic")
    some: list[tuple[int, Make]] = [
        (60, lambda: by_id(random.choice(ids), looks={look: random.random() for look in looks})),
        (10, lambda: get(f"/v1/images/{random.choice(ids)}/neighbours")),
        (10, lambda: get(f"/v1/images/{random.choice(ids)}/thumbnail?size=128")),
        (5, lambda: get(f"/v1/images?offset={random.randrange(len(ids))}")),
        (5, lambda: get("/v1/facets")),
        (5, lambda: by_upload("/v1/search", next(unseen))),
        (5, lambda: by_upload("/v1/predict", next(unseen))),
    ]
    weights = [weight for weight, _ in some]
    return lambda: random.choices(some, weights)[0][1]()


def main(catalogue: Path | None, folder: Path, clients: int, seconds: float, soak: int) -> None:
    print(machine())
    random.seed(0)
    images = [path.read_bytes() for path in sorted(folder.glob("*.jpg"))[:500]]
    with tempfile.TemporaryDirectory() as temporary:
        catalogue = catalogue or make_catalogue(Path(temporary))
        with Catalogue.open(catalogue) as shop:
            ids = list(shop.images())
        print(f"{len(ids)} images, {clients} clients, {seconds:.0f} s each")
        tight = [extraction_rate(catalogue, images, seconds / 4)]
        unseen = others(images)
        with served(catalogue) as (port, pid):
            rates = {}
            for what, make in (
                ("search by id", lambda: by_id(random.choice(ids))),
                ("search by upload", lambda: by_upload("/v1/search", next(unseen))),
            ):
                asyncio.run(load(port, make, clients=clients, count=10 * clients))
                started = time.perf_counter()
                found = asyncio.run(load(port, make, clients=clients, seconds=seconds))
                rates[what] = report(what, *found, time.perf_counter() - started)
            used = []
            make = mixed(ids, images)
            for _ in range(4 if soak else 0):
                started = time.perf_counter()
                found = asyncio.run(load(port, make, clients=clients, count=soak // 4))
                report("all kinds", *found, time.perf_counter() - started)
                used.append(memory(pid))
        tight.append(extraction_rate(catalogue, images, seconds / 4))
        share = rates["search by upload"] / statistics.mean(tight)
        print(f"a tight loop extracts {tight[0]:.0f}, later {tight[1]:.0f} images/s")
        print(f"search by upload reaches {share:.2f} of that")
        if used:
            print("memory at the quarters: " + ", ".join(f"{one:.0f} MB" for one in used))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", nargs="?", type=Path)
    parser.add_argument("--images", type=Path, default=DATA / "fashion_products" / "images")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--soak", type=int, default=20_000)
    given = parser.parse_args()
    main(given.catalogue, given.images, given.clients, given.seconds, given.soak)
