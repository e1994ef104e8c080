"""The service on a catalogue of a million images: what a page asks for, by the clock and in all.

Each request is sent once after a start of the server, and then again and again, one at a time. The
processor time is that of the server's process, all threads together.

Usage: million_served.py CATALOGUE [--attribute type] [--times 20]
CATALOGUE is one that `million.py` made, with its search index, and the attribute tagged.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from gingham.catalogue import Catalogue
from measure import machine
from service import memory, served

Request = tuple[str, str, object]
"""Method, path, JSON."""


def processor_ms(pid: int) -> float:
    """Give the processor time that a process has taken, in ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return 1000 * (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak(pid: int) -> float:
    """Give the most memory that a process had, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (held,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(held) / 1e3


def requests(ids: list[str], name: str, values: list[str]) -> dict[str, Callable[[], Request]]:
    """Name what a page asks for, in the order in which somebody would."""
    looks = ("colour", "texture", "semantic")
    taught, last = quote(f"attribute:{name}"), len(ids) - 100

    def get(path: str) -> Callable[[], Request]:
        return lambda: ("GET", path, None)

    def filtered() -> str:
        return f"where={quote(f'{name}={random.choice(values)}')}"

    def search(**more: object) -> Request:
        return "POST", "/v1/search", {"id": random.choice(ids), "n": 60, **more}

    return {
        "catalogue": get("/v1/catalogue"),
        "facets": get("/v1/facets"),
        "first images": get("/v1/images?n=100"),
        "images further down": lambda: (
            "GET", f"/v1/images?n=100&offset={random.randrange(last)}", None
        ),
        "facets, filtered": lambda: ("GET", f"/v1/facets?{filtered()}", None),
        "images, filtered": lambda: ("GET", f"/v1/images?n=100&{filtered()}", None),
        "images, least sure first": get(f"/v1/images?n=100&order=confidence&attribute={name}"),
        "facets at precision 0.95": get("/v1/facets?at_precision=0.95"),
        "search": search,
        "search, other sliders": lambda: search(looks={x: random.random() for x in looks}),
        "search with a taught look": lambda: search(looks={f"attribute:{name}": 1, "colour": 1}),
        "search, filtered": lambda: search(where=[f"{name}={random.choice(values)}"]),
        "search at precision 0.95": lambda: search(at_precision=0.95),
        "one image": lambda: ("GET", f"/v1/images/{random.choice(ids)}", None),
        "neighbours": lambda: ("GET", f"/v1/images/{random.choice(ids)}/neighbours", None),
        "map": get("/v1/map?look=colour"),
        "map with values": get(f"/v1/map?look=colour&colour_by={name}"),
        "map of a taught look": get(f"/v1/map?look={taught}"),
        "values": get(f"/v1/attributes/{name}/values"),
        "review": get(f"/v1/attributes/{name}/review"),
        "review, suspicious": get(f"/v1/attributes/{name}/review?order=suspicious"),
    }  # fmt: skip


def main(catalogue: Path, name: str, times: int) -> None:
    print(machine(), f"load {os.getloadavg()[0]:.1f}", sep="; ")
    random.seed(0)
    with Catalogue.open(catalogue) as shop:
        held = shop._truth.locations.ids().tobytes()
        values = list(shop._attributes.values(name))
    ids = [held[start : start + 32].hex() for start in range(0, len(held), 32)]
    print(f"{len(ids):,} images\n")
    print("| request | first: ms, processor ms | then: median ms, processor ms | kB | MB |")
    print("|---|---|---|---|---|")
    with served(catalogue) as (port, pid):
        print(f"| (ready) | | {processor_ms(pid):.0f} | | {memory(pid):.0f} |", flush=True)
        link = http.client.HTTPConnection("127.0.0.1", port)

        def send(request: Request) -> tuple[float, int]:
            method, path, body = request
            sent = None if body is None else json.dumps(body)
            started = time.perf_counter()
            link.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            answer = link.getresponse()
            size = len(answer.read())
            assert answer.status == 200, (path, answer.status)
            return 1000 * (time.perf_counter() - started), size

        for what, make in requests(ids, name, values).items():
            before = processor_ms(pid)
            first, size = send(make())
            between = processor_ms(pid)
            taken = [send(make())[0] for _ in range(times)]
            after = (processor_ms(pid) - between) / times
            print(
                f"| {what} | {first:.0f}, {between - before:.0f} "
                f"| {statistics.median(taken):.0f}, {after:.0f} "
                f"| {size / 1e3:.0f} | {memory(pid):.0f} |",
                flush=True,
            )
        print(f"\npeak memory of the server {peak(pid):.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--attribute", default="type")
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    main(given.catalogue, given.attribute, given.times)
