"""What many images cost: measured curves, fitted, extrapolated, priced; docs/scale.md's tables.

What takes time is a power law, `a * images ** b`, fitted by least squares to the logarithms of
what was measured (docs/benchmarks.md); what takes memory is a line, `a + b * images`, fitted to
relative errors. Estimates elsewhere are drawn from the prediction of the fit, Student's t with
as many degrees of freedom as points are left over, so that few points, and far ones, make them
wide. What was measured at one size is drawn evenly from between its bounds. All draws go through
the same sums; tables give the median and, in brackets, where 90 % of them lie.

Usage: scale.py [--measure CATALOGUE [--images 60000 100000 200000]]

Without options it prints the tables. `--measure` measures points of the curves again, with vectors
mixed from those of a catalogue of the products, as index_scale.py does.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Draws = NDArray[np.float64]

DRAWS = 20_000
HOURS = 730  # of a month


@dataclass(frozen=True)
class Curve:
    """A cost measured at several sizes.

    Parameters
    ----------
    what : with its unit.
    law : `power` or `line`.
    points : images and cost.
    """

    what: str
    law: Literal["power", "line"]
    points: tuple[tuple[int, float], ...]

    def fit(self) -> tuple[Draws, Draws, float]:
        """Give the two numbers of the law, their covariance, and the spread about the law."""
        images, costs = np.array(self.points).T
        if self.law == "power":
            rows, aims = np.stack([np.ones_like(images), np.log(images)], 1), np.log(costs)
        else:
            rows = np.stack([np.ones_like(images), images], 1) / costs[:, None]
            aims = np.ones_like(images)
        found = np.linalg.lstsq(rows, aims)[0]
        variance = float(((rows @ found - aims) ** 2).sum() / (len(images) - 2))
        return found, variance * np.linalg.inv(rows.T @ rows), variance**0.5

    def at(self, images: float, rng: np.random.Generator) -> Draws:
        """Draw what it may cost with so many images; never less than nothing."""
        found, covariance, spread = self.fit()
        row = np.array([1.0, np.log(images) if self.law == "power" else images])
        middle, variance = row @ found, row @ covariance @ row
        error = stats.t.rvs(len(self.points) - 2, size=DRAWS, random_state=rng)
        if self.law == "power":
            return np.asarray(np.exp(middle + error * (variance + spread**2) ** 0.5))
        wide = (variance + (spread * middle) ** 2) ** 0.5
        return np.asarray(np.maximum(middle + error * wide, 0.0))


BUILD = Curve(
    "making the index, processor seconds",
    "power",
    ((60_000, 18), (100_000, 32), (200_000, 83), (200_000, 50), (1_000_000, 410)),
)
BUILD_MB = Curve(
    "memory while it is made, MB",
    "line",
    ((60_000, 373), (100_000, 376), (200_000, 441), (200_000, 448), (1_000_000, 1475)),
)
HELD_MB = Curve(
    "memory of a process that searches, MB",
    "line",
    ((60_000, 282), (100_000, 318), (200_000, 425), (200_000, 426), (1_000_000, 1511)),
)
SEARCH = Curve(
    "a search, all looks, processor ms",
    "power",
    ((60_000, 3.17), (100_000, 3.33), (200_000, 5.82), (200_000, 4.6), (1_000_000, 5.7)),
)
CURVES = (BUILD, BUILD_MB, HELD_MB, SEARCH)

EXTRACT_MS = (7.1, 11.4)
"""Processor time of an image of up to 0.2 megapixels: in a tight loop, and at worst by `index`."""

LARGE_MS = 13.8
"""More than that, for decoding 12 megapixels."""

READ_MS = 9.3
"""What a search by upload takes more than one by id: 11.5 and 2.2 ms, of 16,000 images."""

SERVED_MS = (0.7, 16.3)
"""What a server does around the index: of 16,000 images, and for the page of 1,000,000."""

TAG_MS = 0.0627
"""Processor time of tagging an image, stored features."""

FEATURES_KB, INDEX_KB = 6.0, 5.06
"""On disk per image."""

LARGEST = 10_000_000
"""Images of one catalogue in these plans."""

PRICES = {"c7a.4xlarge": 0.82112, "r7a.xlarge": 0.30430, "EKS": 0.10, "ALB": 0.0225}
"""Dollars an hour, on demand, Linux, us-east-1, as of early 2025."""
STORAGE = {"S3": 0.023, "gp3": 0.08}
"""Dollars a GB and month."""
GETS = 0.0004 / 1000

WORKER_CORES, SERVER_CORES = 16, 4
BUSY = 0.6
"""Of a server's cores at the most; the rest is for bursts and for a server that fails."""
READERS = 2
"""Of each catalogue."""


def shown(draws: Draws, scale: float = 1.0) -> str:
    """Write the median, and where 90 % lie."""
    low, middle, high = (_round(one / scale) for one in np.percentile(draws, (5, 50, 95)))
    return middle if low == high else f"{middle} ({low} to {high})"


def _round(value: float) -> str:
    digits = max(0, 1 - int(np.floor(np.log10(abs(value))))) if value else 0
    whole = float(f"{value:.2g}") if value < 100 else float(f"{value:.3g}")
    return f"{whole:,.{digits}f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def curves() -> str:
    """What was measured, and what it leads to."""
    rng = np.random.default_rng(0)
    rows = []
    for curve in CURVES:
        measured = "; ".join(f"{images // 1000:,}k: {cost:g}" for images, cost in curve.points)
        (first, second), _, _ = curve.fit()
        law = (
            f"images^{second:.2f}"
            if curve.law == "power"
            else f"{first:.0f} + {1e6 * second:.0f} per million"
        )
        rows.append([curve.what, measured, law, shown(curve.at(LARGEST, rng))])
    return table(["", "measured, by images", "law", "10,000k"], rows)


def plan(images: int, rng: np.random.Generator) -> dict[str, str]:
    """Say what so many images need and cost."""
    parts = -(-images // LARGEST)
    each = images / parts
    extract = rng.uniform(*EXTRACT_MS, DRAWS) * images / 3.6e6
    large = extract + LARGE_MS * images / 3.6e6
    build, search = BUILD.at(each, rng) / 3600, SEARCH.at(each, rng)
    held = HELD_MB.at(each, rng) / 1000
    cores = READERS * SERVER_CORES * BUSY * 1000
    served = rng.uniform(*SERVED_MS, DRAWS)
    # Of several catalogues each is asked; in front of them the picture is read once.
    uploads = cores / (served + search + (READ_MS if parts == 1 else 0))
    servers = parts * (READERS + 1)
    machines = 8 if parts == 1 else 100
    once = extract / WORKER_CORES * PRICES["c7a.4xlarge"]
    features, index = images * FEATURES_KB / 1e6, images * INDEX_KB / 1e6
    disks = (READERS + 1) * index * 1.5  # a new generation of the index lies beside the old one
    monthly = {
        "servers": servers * PRICES["r7a.xlarge"] * HOURS,
        "disks": disks * STORAGE["gp3"],
        "storage": features * STORAGE["S3"],
        "cluster": (PRICES["EKS"] + PRICES["ALB"]) * HOURS,
    }
    return {
        "catalogues": f"{parts:,}",
        "reading all images: core hours": shown(extract),
        "the same, photos of 12 megapixels": shown(large),
        f"on {machines} c7a.4xlarge: hours": shown(extract / machines / WORKER_CORES),
        "that costs once: machines, requests": f"${shown(once)}, ${_round(images * GETS)}",
        "tagging an attribute: core hours": f"{_round(images * TAG_MS / 3.6e6)}",
        "features in object storage": f"{features:,.0f} GB",
        "search index on disk, per reader": f"{index / parts:,.0f} GB",
        "making it, per reader: core hours": shown(build),
        "memory while it is made, GB": shown(BUILD_MB.at(each, rng) / 1000),
        "memory of a reader, GB": shown(held),
        "a search: processor ms of the index": shown(search * parts),
        "searches by picture a second": shown(uploads),
        "servers (2 readers, 1 writer per catalogue)": f"{servers:,} r7a.xlarge",
        "a month: servers": f"${_round(monthly['servers'])}",
        "a month: disks of indexes, features, cluster": ", ".join(
            f"${_round(monthly[name])}" for name in ("disks", "storage", "cluster")
        ),
        "a month, together": f"${_round(sum(monthly.values()))}",
    }


def plans() -> str:
    """What ten million and a thousand million images need."""
    rng = np.random.default_rng(0)
    small, large = plan(10_000_000, rng), plan(1_000_000_000, rng)
    rows = []
    for (name, one), (other, two) in zip(small.items(), large.items(), strict=True):
        if name == other:
            rows.append([name, one, two])
        else:
            rows.append([f"{name}; {other.split(':')[0]}", one, two])
    return table(["", "10 million images", "1 billion"], rows)


def _searched(path: Path, folder: Path, images: int) -> str:
    import index_scale as scale
    from gingham.index.embedded.index import EmbeddedIndex
    from gingham.index.filters import EVERYWHERE
    from gingham.index.index import Query, Term

    asked = np.sort(np.random.default_rng(5).choice(images, 60, replace=False))
    units = [
        rows[asked[(asked >= start) & (asked < start + len(rows))] - start]
        for start, rows in scale.chunks(path, images)
    ]
    index, spent = EmbeddedIndex(folder), []
    for one in np.concatenate(units) / scale.COLUMN_SCALES:
        terms = [Term(look, vector, 1.0) for look, vector in scale.split(one).items()]
        started = time.process_time()
        index.query(Query(terms, scale.N, EVERYWHERE))
        spent.append(1e3 * (time.process_time() - started))
    index.close()
    return f"search, all looks: median {np.median(spent):.2f} processor ms; {scale.peak()}"


def measure(source: Path, sizes: list[int]) -> None:
    """Measure points of the curves, and print them."""
    import index_scale as scale

    vectors = scale.product_vectors(source)
    for images in sizes:
        with tempfile.TemporaryDirectory() as work:
            path, folder = Path(work, "vectors"), Path(work, "index")
            scale.mix(vectors, images, path)
            for function in (scale.build, _searched):
                apart = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
                with apart as pool:
                    said = pool.submit(function, path, folder, images).result()
                print(f"{images:,}: {said}", flush=True)


def main() -> None:
    """Print the tables, or measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", type=Path, metavar="CATALOGUE")
    parser.add_argument("--images", type=int, nargs="+", default=[60_000, 100_000, 200_000])
    asked = parser.parse_args()
    if asked.measure:
        measure(asked.measure, asked.images)
    else:
        print(curves(), plans(), sep="\n\n")


if __name__ == "__main__":
    main()
