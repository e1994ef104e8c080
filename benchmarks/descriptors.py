"""What descriptors cost: reading images with and without, the function, and searching.

Both ways of reading run by turns in one process, and the fastest of each counts; the function is
compared with a plain loop; searches in a catalogue with descriptors with a scan that sees every
image.

Usage: descriptors.py [--images 64] [--runs 7] [--weights resnet50_keras_to_layer3.safetensors]
       [--catalogue FOLDER, made by: gingham index FOLDER IMAGES --descriptors fc,conv,rgb]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.descriptors import l1_distances, significant_activations
from gingham.backbones.openvino import OpenVinoRuntime
from gingham.catalogue import Catalogue
from gingham.evaluation.retrieval.methods import Gallery, Method, mix
from gingham.images import open_image, read_file, resize
from gingham.index.embedded.further import FurtherLooks
from measure import DATA, machine

VGG16 = ((64, 112), (128, 56), (256, 28), (512, 14), (512, 7))
SLIDERS: tuple[dict[str, float], ...] = (
    {"conv": 1},
    {"fc": 1},
    {"fc+conv": 1},
    {"conv": 1, "semantic": 1},
    {"conv": 0.25, "semantic": 1},
    {"conv": 1, "semantic": 1, "colour": 0.3},
    {"rgb": 1},
    {"rgb": 0.25, "semantic": 1},
)
Maps = NDArray[np.float32]


def plain_loop(blocks: list[Maps], threshold: float) -> Maps:
    """Do what `significant_activations` says, one position after another."""
    sides = [(b.shape[2], b.shape[3]) for b in blocks]
    described = []
    for image in range(len(blocks[0])):
        counts = [np.zeros(side, np.int64) for side in sides]
        last = blocks[-1][image]
        for channel in last:
            marked = {
                (k, m)
                for k in range(sides[-1][0])
                for m in range(sides[-1][1])
                if channel[k, m] > threshold
            }
            for block in reversed(range(len(blocks))):
                if block < len(blocks) - 1:
                    (fine_h, fine_w), (h, w) = sides[block], sides[block + 1]
                    marked = {
                        (k, m)
                        for k in range(fine_h)
                        for m in range(fine_w)
                        if (k * h // fine_h, m * w // fine_w) in marked
                    }
                for place in marked:
                    counts[block][place] += 1
        values = []
        for block, maps in enumerate(blocks):
            for channel in maps[image]:
                total = weight = 0.0
                for k in range(sides[block][0]):
                    for m in range(sides[block][1]):
                        if block == len(blocks) - 1:
                            share = float(channel[k, m] > threshold)
                        else:
                            share = float(counts[block][k, m])
                        total += share * float(channel[k, m])
                        weight += share
                values.append(total / weight if weight else 0.0)
        described.append(values)
    return np.array(described, np.float32)


def function(runs: int) -> None:
    """Time `significant_activations` on a batch of VGG16's shapes, and the loop on one of it."""
    rng = np.random.default_rng(0)
    batch = [
        np.maximum(rng.normal(size=(8, c, side, side)), 0).astype(np.float32) for c, side in VGG16
    ]
    ours = min(timed(lambda: significant_activations(batch)) for _ in range(runs))
    started = time.perf_counter()
    expected = plain_loop([block[:1] for block in batch], 0.5)
    loop = time.perf_counter() - started
    np.testing.assert_allclose(significant_activations(batch)[:1], expected, rtol=1e-4, atol=1e-6)
    print(
        f"significant_activations, VGG16's five blocks: {ours / 8 * 1e3:.2f} ms an image in a "
        f"batch of 8; plain loop {loop:.1f} s; {loop / (ours / 8):.0f} times"
    )
    for width in (512, 1472, 9664):
        rows = rng.normal(size=(16_000, width)).astype(np.float32)
        held = min(timed(lambda rows=rows: l1_distances(rows[0], rows)) for _ in range(runs))
        with tempfile.TemporaryDirectory() as folder:
            looks, every = FurtherLooks(Path(folder), {}), np.arange(len(rows))
            written = timed(lambda: looks.fill("conv", "l1", every, rows))  # noqa: B023
            read = min(
                timed(lambda: looks.compare("conv", rows[0], len(rows)))  # noqa: B023
                for _ in range(runs)
            )
        print(
            f"L1 to 16,000 x {width}: {held * 1e3:.0f} ms in memory, {read * 1e3:.0f} ms from the "
            f"file, which took {written:.1f} s to write"
        )


def timed(work: object) -> float:
    """Seconds of one call."""
    assert callable(work)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def extraction(backbone: str, weights: Path | None, count: int, runs: int) -> None:
    """Run the network, and nothing else, with and without descriptors by turns."""
    names: dict[str, tuple[str, ...]] = {
        "without": (),
        "fc": ("fc",),
        "rgb": ("rgb",),
        "fc and conv": ("fc", "conv"),
        "all three": ("fc", "conv", "rgb"),
    }
    runtimes = {
        name: OpenVinoRuntime(backbone, weights, descriptors=made) for name, made in names.items()
    }
    config = runtimes["without"].config.preprocess
    files = sorted((DATA / "retrieval" / "images").iterdir())[:count]
    squares = [
        resize(
            open_image(read_file(file), draft=config.size),
            config.size,
            interpolation=config.interpolation,
            crop=config.crop,
        )
        for file in files
    ]
    best = dict.fromkeys(names, np.inf)
    for _ in range(runs):
        for name, runtime in runtimes.items():
            # Processor time: other work on the machine makes the ratios of wall time useless.
            started = time.process_time()
            list(runtime.stream(enumerate(squares)))
            best[name] = min(best[name], time.process_time() - started)
    print(
        f"{backbone}, images a second of processor time: "
        + ", ".join(
            f"{name} {len(squares) / seconds:.1f} ({seconds / best['without']:.3f} times)"
            for name, seconds in best.items()
        )
    )


def search(folder: Path, count: int = 60, n: int = 10) -> None:
    """Time searches, and compare what they find with a scan of everything."""
    with Catalogue.open(folder) as shop:
        ids = list(shop._truth.locations.images)
        space, config = shop._searcher.space, shop.config
        methods = [Method(str(weights), weights) for weights in SLIDERS]
        gallery = Gallery(shop._truth.features, ids, space, config, methods)
        asked = np.random.default_rng(1).choice(len(ids), count, replace=False).tolist()
        similarities = [gallery.similarities([row]) for row in asked]
        for method in methods:
            shop.search(ids[0].hex(), looks=method.weights, n=n, with_self=True)
            times, recall = [], []
            for row, similarity in zip(asked, similarities, strict=True):
                started = time.perf_counter()
                hits = shop.search(ids[row].hex(), looks=method.weights, n=n, with_self=True)
                times.append(time.perf_counter() - started)
                scores = mix(method, similarity)[0]
                # Whoever scores no less than the n-th best belongs, ties included.
                good = {ids[i].hex() for i in np.flatnonzero(scores >= np.sort(scores)[-n] - 1e-5)}
                recall.append(np.mean([hit.id in good for hit in hits]))
            print(
                f"{len(ids)} images, {method.name}: recall@{n} {np.mean(recall):.4f}, "
                f"median {np.median(times) * 1e3:.0f} ms, "
                f"95 % {np.percentile(times, 95) * 1e3:.0f} ms"
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--weights", type=Path, default=None, help="of resnet50_keras")
    parser.add_argument("--catalogue", type=Path, default=None)
    options = parser.parse_args()
    print(machine())
    function(options.runs)
    extraction("efficientnet_lite0", None, options.images, options.runs)
    if options.weights:
        extraction("resnet50_keras", options.weights, options.images, options.runs)
    if options.catalogue:
        search(options.catalogue)
