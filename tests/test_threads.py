"""Threads share one catalogue: the answers are those of one call after the other."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.operations.info import bytes_below
from gingham.results import ImagePredictions

THREADS = 8


def together(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run calls in eight threads, in a random order; give their results in the order given."""
    order = random.Random(0).sample(range(len(calls)), len(calls))
    with ThreadPoolExecutor(THREADS) as pool:
        futures = {i: pool.submit(calls[i]) for i in order}
        return [futures[i].result(timeout=120) for i in range(len(calls))]


def predicted(shop: Catalogue, image: Path) -> list[ImagePredictions]:
    return list(shop.predict([image], attributes=["colour"]))


@pytest.fixture
def shop(tmp_path: Path, runtime: FakeRuntime, photos: Path, examples: Path) -> Catalogue:
    shop = Catalogue.create(tmp_path / "shop", runtime=runtime)
    shop.index([photos])
    shop.teach("colour", examples)
    shop.tag()
    return shop


def test_searches_and_predictions_are_those_of_one_thread(shop: Catalogue, photos: Path) -> None:
    images = sorted(photos.iterdir())[:12]
    calls: list[Callable[[], Any]] = []
    for image in images:
        calls += [
            partial(shop.search, image, n=5),
            partial(shop.search, image, looks={"attribute:colour": 1}, n=5),
            partial(shop.search, image, where=["colour=red"], n=5),
            partial(predicted, shop, image),
            shop.facets,
            lambda: shop.info().attributes,
        ]
    expected = [call() for call in calls]
    shop.rebuild()
    assert together(calls) == expected


def test_everything_at_once_ends_as_one_after_the_other(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    new = [draw(tmp_path / "new" / f"{c}{n}.jpg", c, 300 + n) for c in COLOURS for n in range(16)]
    attributes = [f"colour{i}" for i in range(4)]
    folders = {
        name: {
            str(draw(tmp_path / name / f"{colour}{seed}.jpg", colour, 500 + 50 * i + seed)): colour
            for colour in COLOURS
            for seed in range(4)
        }
        for i, name in enumerate(attributes)
    }
    gone = sorted(photos.iterdir())[:4]
    calls: list[Callable[[], Any]] = [
        *(partial(shop.index, images=new[part::4]) for part in range(4)),
        *(partial(shop.teach, name, folders[name]) for name in attributes),
        *(partial(shop.remove, [image]) for image in gone),
        *(partial(shop.tag, ["colour"]) for _ in range(3)),
    ]
    for image in new:
        calls += [
            partial(shop.search, image, n=3),
            partial(predicted, shop, image),
            partial(shop.facets, ["colour=red"]),
            shop.info,
        ]
    together(calls)
    shop.tag()
    with Catalogue.create(tmp_path / "plain", runtime=runtime) as plain:
        plain.index([photos])
        plain.teach("colour", tmp_path / "examples")
        plain.index(images=new)
        for name in attributes:
            plain.teach(name, folders[name])
        plain.remove(gone)
        plain.tag()
        assert shop.images() == plain.images()
        assert shop.examples() == plain.examples()
        assert shop.facets() == plain.facets()
        for image in new[::7]:
            mine, theirs = (
                [
                    (hit.id, round(hit.score, 4), hit.attributes)
                    for hit in each.search(image, n=9, with_self=True)
                ]
                for each in (shop, plain)
            )
            assert mine == theirs
    assert shop.verify() == []
    shop.close()
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as again:
        assert again.verify() == []
        assert len(again.images()) == 36 + 48 - 4


def test_files_that_come_and_go_are_no_problem_for_their_size(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(bytes(100))
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            for number in range(20):
                (tmp_path / f"folder{number}").mkdir()
                (tmp_path / f"folder{number}" / "file").touch()
            for number in range(20):
                shutil.rmtree(tmp_path / f"folder{number}")

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        assert {bytes_below(tmp_path) for _ in range(300)} == {100}
    finally:
        ended.set()
        other.join()
