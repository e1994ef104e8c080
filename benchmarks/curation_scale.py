"""How `gingham curate` grows: seconds and memory of each step on up to 100,000 pictures made here.

The pictures are the 16,000 products, and blends of two of one article type that are zoomed,
shifted, leant, mirrored and tinted: skewed as product photos on white are. The products' features
are read by the network once, a blend's are blended as its pixels are (so reading 100,000 pictures
is not measured here; see start.py), and 200 re-encoded copies are planted and read. Beside it, what
a user would take instead for the copies, on 5,000 of them: imagededup's PHash (to be installed).

Usage: curation_scale.py [--images N] [--seed N] [--keep FOLDER] [--made FOLDER] [--beside 0 5]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageOps

from curation import ATTRIBUTES, plant_copies, read, write
from measure import DATA, machine, peak_mb, rows, run

Row = dict[str, str]
NOISE = 0.05
"""By how much of its length a blend's features are moved, for what blending does not explain."""
SHARD = 4000
PART = 5000
"""Pictures among which imagededup looks: every pair of them is compared."""


def blend(a: Image.Image, b: Image.Image, share: float, rng: np.random.Generator) -> Image.Image:
    """Lay two products over each other, then move and tint them; the ground stays white."""
    size = a.size
    made = (
        ImageChops.multiply(a, b) if rng.random() < 0.1 else Image.blend(b.resize(size), a, share)
    )
    if rng.random() < 0.5:
        made = ImageOps.mirror(made)
    zoom = rng.uniform(0.8, 1.25)
    x, y = ((side - side / zoom) / 2 + side * rng.uniform(-0.06, 0.06) for side in size)
    lean = rng.uniform(-0.12, 0.12)
    made = made.transform(
        size,
        Image.Transform.AFFINE,
        (1 / zoom, lean, x - lean * size[1] / 2, 0, 1 / zoom, y),
        Image.Resampling.BILINEAR,
        fillcolor=(255, 255, 255),
    )
    gain = rng.uniform(0.75, 1.0, 3)
    ink = 255 - np.asarray(made, np.float32)
    return Image.fromarray((255 - np.clip(ink * gain * rng.uniform(0.8, 1.2), 0, 255)).astype("u1"))


def make(folder: Path, images: int, source: Path, seed: int) -> Path:
    """Write pictures, their table, and a cache that holds their features; returns the table."""
    from gingham.backbones.runtime import load_runtime
    from gingham.curation.reduced import read_features
    from gingham.options import ReadOptions
    from gingham.store.features import FeatureStore
    from gingham.store.files import LocalFiles

    rng = np.random.default_rng(seed)
    products = [
        {"image": str(DATA / "fashion_products" / row["image"])} | {a: row[a] for a in ATTRIBUTES}
        for row in rows("fashion_products/products.csv")
    ]
    runtime = load_runtime("efficientnet_lite0", device="cpu")
    name = f"efficientnet_lite0-{runtime.config.fingerprint}"
    known = FeatureStore(LocalFiles(source / name), runtime.config, "")
    read_features(
        [row["image"] for row in products],
        runtime,
        known,
        ReadOptions(),
    )
    data = [Path(row["image"]).read_bytes() for row in products]
    ids = [hashlib.sha256(one).digest() for one in data]
    blocks = known.get(ids)
    files = LocalFiles(folder / "out" / "cache" / "features" / name)
    store = FeatureStore(files, runtime.config, "")
    kinds: dict[str, list[int]] = {}
    for i, row in enumerate(products):
        kinds.setdefault(row["articleType"], []).append(i)
    pictures = [Image.open(row["image"]).convert("RGB") for row in products]
    table: list[Row] = []
    waiting: dict[bytes, dict[str, NDArray[np.float16]]] = {}
    (folder / "images").mkdir(parents=True)
    for i in range(images):
        a = i if i < len(products) else int(rng.integers(len(products)))
        if i < len(products):
            table.append(products[a])
            waiting[ids[a]] = {layer: block[a] for layer, block in blocks.items()}
        else:
            b = int(rng.choice(kinds[products[a]["articleType"]]))
            share = rng.uniform(0.4, 0.8)
            path = folder / "images" / f"{i:06}.jpg"
            blend(pictures[a], pictures[b], share, rng).save(
                path, quality=int(rng.integers(75, 93))
            )
            table.append(products[a] | {"image": str(path)})
            features = {}
            for layer, block in blocks.items():
                mixed = share * block[a].astype(np.float32) + (1 - share) * block[b]
                noise = rng.standard_normal(mixed.shape, np.float32) * np.abs(mixed)
                features[layer] = (mixed + NOISE * noise).astype(np.float16)
            waiting[hashlib.sha256(path.read_bytes()).digest()] = features
        if len(waiting) >= SHARD or i == images - 1:
            new = [one for one in waiting if one not in store]
            store.append(new, [waiting[one] for one in new])
            waiting.clear()
    planted = plant_copies(table, folder / "images", rng)
    write(folder / "table.csv", table)
    (folder / "planted.json").write_text(json.dumps(planted))
    return folder / "table.csv"


def clear_peak() -> None:
    """Reset the peak memory that the system counts for this process, if possible."""
    refs = Path("/proc/self/clear_refs")
    if refs.exists():
        refs.write_text("5")


def peak_since() -> float:
    """Peak resident memory since it was cleared, in MB."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return peak_mb()


def stages(table: Path, out: Path) -> None:
    """Curate in this process, and print what each step took of time and memory, as JSON."""
    from gingham.curation import CurationConfig, balance, curate, duplicates, label_errors, split
    from gingham.curation import run as running
    from gingham.curation.config import TableSection

    told: list[dict[str, Any]] = []
    highest = 0.0

    def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal highest
            highest = max(highest, peak_since())
            clear_peak()
            started = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                line = {"what": what, "seconds": time.perf_counter() - started}
                told.append(line | {"peak_mb": peak_since()})

        return call

    for module, name, what in (
        (running, "take_fingerprints", "measure the files"),
        (running, "read_features", "read features (of the planted copies)"),
        (running, "reduce_features", "reduce features"),
        (duplicates, "perceptual_points", "frequencies of the thumbnails"),
        (duplicates, "nearest_pairs", "nearest"),
        (duplicates, "best_turns", "turns of the nearest"),
        (duplicates, "differences", "thumbnails compared"),
        (duplicates, "find_links", "find copies, all of it"),
        (label_errors, "judge_labels", "judge labels"),
        (split, "split_samples", "split"),
        (balance, "balance_samples", "balance"),
        (running, "_write_stages", "write the stages' tables"),
        (running, "write_report", "write the page"),
    ):
        setattr(module, name, timed(what, getattr(module, name)))
    config = CurationConfig(table=TableSection(attributes=ATTRIBUTES))
    started = time.perf_counter()
    result = curate(table, out, config)
    seconds = time.perf_counter() - started
    done = {"seconds": seconds, "peak_mb": max(highest, peak_since()), "told": told}
    print(json.dumps(done | {"stages": result.stages}))


def beside(table: Path, distances: list[int]) -> None:
    """Find copies among a part with imagededup, whose hash does not see mirrored ones."""
    from imagededup.methods import PHash

    listed = read(table)
    planted = json.loads((table.parent / "planted.json").read_text())
    # All that was planted, and others drawn at random.
    some = {*map(int, planted), *planted.values()}
    some |= set(np.random.default_rng(0).permutation(len(listed))[: PART - len(some)].tolist())
    hasher = PHash(verbose=False)
    started = time.perf_counter()
    hashes = {str(i): hasher.encode_image(listed[i]["image"]) for i in sorted(some)}
    seconds = time.perf_counter() - started
    print(f"imagededup PHash: {len(some)} pictures hashed in {seconds:.0f} s")
    for distance in distances:
        started = time.perf_counter()
        found = hasher.find_duplicates(encoding_map=hashes, max_distance_threshold=distance)
        seconds = time.perf_counter() - started
        pairs = sum(map(len, found.values())) // 2
        hit = sum(str(b) in found.get(a, ()) for a, b in planted.items())
        print(
            f"  up to {distance} bits: compared in {seconds:.0f} s, {peak_mb():.0f} MB; {pairs} "
            f"pairs called copies; planted copies found: {hit} of {len(planted)}",
            flush=True,
        )


def judge(table: Path, out: Path, planted: dict[int, int]) -> None:
    """Say how many of the planted copies were found, and what else was called a copy."""
    paths = [row["image"] for row in read(table)]
    called = [
        row
        for row in read(out / "stages" / "2_duplicates.csv")
        if row["reason"] != "alike, but no copy"
    ]
    group: dict[int, str] = {}
    other = []
    for row in called:
        pair = int(row["row"]), int(row["of_row"])
        group |= dict.fromkeys(pair, row["group"])
        # Copies of pictures of equal pixels are copies of each other.
        a, b = (Image.open(paths[planted.get(one, one)]).convert("RGB") for one in pair)
        if a.tobytes() != b.tobytes():
            other.append(tuple(Path(paths[one]).name for one in pair))
    found = sum(a in group and group[a] == group.get(b) for a, b in planted.items())
    print(f"planted copies found: {found} of {len(planted)}; rows called copies: {len(called)}")
    print(f"of these neither planted nor of equal pixels: {len(other)} {other[:20]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="where the products' features stay")
    parser.add_argument("--made", type=Path, help="where the pictures stay")
    parser.add_argument("--stages", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument(
        "--beside", type=int, nargs="*", default=(), help="distances to call a copy"
    )
    parser.add_argument("--deduplicate", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stages:
        stages(*given.stages)
        sys.exit()
    if given.deduplicate:
        beside(Path(given.deduplicate[0]), [int(one) for one in given.deduplicate[1:]])
        sys.exit()
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        place = given.made or Path(temporary)
        kept = given.keep or Path(temporary) / "kept"
        if not (place / "planted.json").exists():
            started = time.perf_counter()
            make(place, given.images, kept / "products" / "cache" / "features", given.seed)
            print(f"made {given.images} pictures in {time.perf_counter() - started:.0f} s")
        done = run(sys.executable, __file__, "--stages", place / "table.csv", place / "out")
        told = json.loads(done.stdout)
        for line in told["told"]:
            print(f"  {line['what']}: {line['seconds']:.1f} s, {line['peak_mb']:.0f} MB")
        print(f"all: {told['seconds']:.0f} s, {told['peak_mb']:.0f} MB")
        planted = json.loads((place / "planted.json").read_text())
        judge(place / "table.csv", place / "out", {int(a): b for a, b in planted.items()})
        if given.beside:
            distances = [str(one) for one in given.beside]
            args = ("--deduplicate", place / "table.csv", *distances)
            print(run(sys.executable, __file__, *args).stdout, end="")
