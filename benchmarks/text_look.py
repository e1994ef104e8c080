"""The look `text` of a large catalogue: processor time and memory of making it, and of searches.

Vectors are random unit vectors of 512 numbers, as a model of images and words would give; none is
loaded, so the time that it takes to read an image, or the words of a search, is not in here.
Features are those of `map.py`. Each search is run with and without the look, in turns.

Usage: text_look.py [--images 100000] [--width 512] [--times 30]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation_scale import clear_peak, peak_since
from gingham import Catalogue
from gingham.backbones.image_text import TEXT, ImageTextModel, ModelName
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.table import FeatureConfig, Layer
from gingham.store import ids as many
from map import BATCH, MadeNetwork, fill
from measure import machine


class MadeModel(ImageTextModel):
    """Has a vector for every text, and reads no images."""

    def __init__(self, width: int) -> None:
        self.config = FeatureConfig(
            "made", "made", Preprocess(size=16), (Layer(TEXT, width),), "mean"
        )

    def words(self, text: str) -> NDArray[np.float32]:
        """Draw a vector."""
        (drawn,) = unit(np.random.default_rng(len(text)), 1, self.config.widths[TEXT])
        vector: NDArray[np.float32] = drawn
        return vector


def unit(rng: np.random.Generator, count: int, width: int) -> NDArray[np.float32]:
    drawn = rng.normal(size=(count, width)).astype(np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def give_look(shop: Catalogue, model: MadeModel) -> None:
    """Store a vector for each image, as `text_look` would have read them."""
    text, rng = shop._truth.text, np.random.default_rng(1)
    text._load = lambda name: model
    text.set(ModelName("made"))
    ids = many.to_list(shop._truth.locations.ids())
    assert text.features is not None
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        rows = unit(rng, len(some), model.config.widths[TEXT])
        text.features.append(some, [{TEXT: row} for row in rows])


def used(what: str, work: Callable[[], object]) -> None:
    clear_peak()
    started, clock = time.process_time(), time.perf_counter()
    work()
    seconds, wall = time.process_time() - started, time.perf_counter() - clock
    print(f"{what}: {seconds:.1f} s of processor time ({wall:.1f} s), peak {peak_since():,.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--times", type=int, default=30)
    given = parser.parse_args()
    print(f"{machine()}; {given.images:,} images, {given.width} numbers")
    model = MadeModel(given.width)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "shop"
        with Catalogue.create(place, runtime=MadeNetwork()) as shop:
            fill(shop, given.images)  # type: ignore[arg-type]
            used("the index without the look", shop.rebuild)
            give_look(shop, model)
            used("the look is added to the index", lambda: shop.remove([first(shop)]))
            used("the index with the look", shop.rebuild)
            used("compact", shop.compact)
            size = sum(one.stat().st_size for one in place.rglob("*.parquet")) / 1e6
            texts = sum(one.stat().st_size for one in (place / "text_features").rglob("*")) / 1e6
            print(f"the truth: {size:,.0f} MB, of which the look {texts:,.0f} MB")
        with Catalogue.open(place, runtime=MadeNetwork()) as shop:
            shop._truth.text._load = lambda name: model
            images = list(shop.images())[: given.times]
            searches: dict[str, Callable[[int], object]] = {
                "words": lambda n: shop.search(text="belt" * n),
                "words and an image": lambda n: shop.search(images[n], text="belt" * (n + 1)),
                "an image, without the look": lambda n: shop.search(images[n]),
            }
            times: dict[str, list[float]] = {name: [] for name in searches}
            used("the first search", lambda: shop.search(text="first"))
            for n in range(given.times):
                for name, search in searches.items():
                    started = time.process_time()
                    search(n + 1 if name == "words" else n)
                    times[name].append(1000 * (time.process_time() - started))
            for name, found in times.items():
                print(
                    f"{name}: median {statistics.median(found):.1f} ms of processor time, "
                    f"worst {max(found):.1f}"
                )
            print(f"peak of searches {peak_since():,.0f} MB")


def first(shop: Catalogue) -> str:
    return next(iter(shop.images()))


if __name__ == "__main__":
    main()
