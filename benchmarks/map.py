"""The map of a large catalogue: seconds and memory of the projection at once, and of UMAP.

Features are random numbers around some centres, in the layers of a made network.

Usage: map.py [--images 100000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curation_scale import peak_since
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.runtime import Key
from gingham.backbones.table import FeatureConfig, Layer
from gingham.images import ImageId
from gingham.operations.map import ImageMap
from gingham.options import silent
from gingham.service.map import pack
from gingham.service.served import ServedCatalogue
from measure import machine

BATCH = 5_000
CENTRES = 40


class MadeNetwork:
    """The settings of a small network that reads nothing."""

    config = FeatureConfig(
        backbone="made",
        weights="made",
        preprocess=Preprocess(size=16),
        layers=tuple(Layer(f"layer{n}", 2**n) for n in (4, 5, 6, 7)),
    )

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        """Read nothing."""
        yield from ()


def fill(shop: ServedCatalogue, count: int) -> None:
    """Store the features of so many images that there are not."""
    rng = np.random.default_rng(0)
    widths = shop.config.widths
    centres = {name: rng.normal(size=(CENTRES, width)) for name, width in widths.items()}
    for start in range(0, count, BATCH):
        ids = [ImageId(rng.bytes(32)) for _ in range(min(BATCH, count - start))]
        near = rng.integers(CENTRES, size=len(ids))
        made = {
            k: c[near] + 0.3 * rng.normal(size=(len(ids), c.shape[1])) for k, c in centres.items()
        }
        rows = [{k: v[row].astype(np.float32) for k, v in made.items()} for row in range(len(ids))]
        shop._truth.features.append(ids, rows)
        shop._truth.locations.append([(f"/made/{one.hex()}.jpg", one) for one in ids])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    count = parser.parse_args().images
    print(f"{machine()}; {count:,} images")
    with tempfile.TemporaryDirectory() as folder:
        made = MadeNetwork()
        with ServedCatalogue.create(Path(folder) / "shop", runtime=made) as shop:
            fill(shop, count)
        with ServedCatalogue.open(Path(folder) / "shop", runtime=made) as shop:
            look = shop._searcher.looks[0]

            def timed(what: str, draw: Callable[[], ImageMap]) -> None:
                started = time.perf_counter()
                drawn = draw()
                seconds = time.perf_counter() - started
                started = time.perf_counter()
                size = len(pack(drawn, None, None)) / 1e6
                packed = time.perf_counter() - started
                print(
                    f"{what}: {seconds:.2f} s, packed in {packed:.2f} s ({size:.1f} MB), "
                    f"peak {peak_since():,.0f} MB"
                )

            started = time.perf_counter()
            shop.facets()
            print(f"index: {time.perf_counter() - started:.1f} s, peak {peak_since():,.0f} MB")
            timed("projection", lambda: shop.map(look, None, silent)[0])
            timed("again", lambda: shop.map(look, None, silent)[0])
            timed("umap", lambda: shop.arrange_map(look, silent))


if __name__ == "__main__":
    main()
