from __future__ import annotations

import hashlib
import io
import itertools
import multiprocessing
import pickle
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import FakeRuntime, draw
from gingham.backbones.runtime import Features, LazyRuntime
from gingham.extract import PLAIN, VIEWS, View, extract, identify, read_into
from gingham.images import ImageId, ImageSource, open_image, resize
from gingham.options import ReadOptions


def test_order_reasons_and_features(tmp_path: Path, runtime: FakeRuntime) -> None:
    good = [str(draw(tmp_path / f"{i}.jpg", "red", i)) for i in range(20)]
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    asked = [*good[:10], str(bad), str(tmp_path / "gone.jpg"), *good[10:]]
    got = list(extract(identify(asked), runtime))
    assert [item.image for item in got] == asked
    assert [item.reason is None for item in got] == [a in good for a in asked]
    assert "not an image" in str(got[10].reason)
    assert "no such file" in str(got[11].reason)
    data = Path(good[3]).read_bytes()
    assert got[3].id == hashlib.sha256(data).digest()
    square = resize(open_image(data), 16, interpolation="bicubic", crop=0.875)
    ((_, expected),) = FakeRuntime().stream([(0, square)])
    assert expected is not None
    for layer, values in got[3].features[PLAIN].items():
        assert np.array_equal(values, expected[layer])


def test_known_images_are_not_read_through_the_network(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    paths = [str(draw(tmp_path / f"{i}.jpg", "blue", i)) for i in range(4)]
    known = {hashlib.sha256(Path(p).read_bytes()).digest() for p in paths[:3]}
    got = list(extract(identify(paths, lambda i: () if i in known else VIEWS), runtime))
    assert [bool(item.features) for item in got] == [False, False, False, True]
    assert runtime.images_read == 1


def test_several_views(tmp_path: Path, runtime: FakeRuntime) -> None:
    path = str(draw(tmp_path / "a.jpg", "green", 0))
    views = (View(PLAIN), View("mirror", mirror=True), View("middle", (0.2, 0.2, 0.8, 0.8)))
    (item,) = extract(identify([path], lambda _: views), runtime, layers=("stem",))
    assert list(item.features) == ["plain", "mirror", "middle"]
    assert list(item.features["mirror"]) == ["stem"]
    assert not np.array_equal(item.features["plain"]["stem"], item.features["middle"]["stem"])


def test_it_streams(tmp_path: Path, runtime: FakeRuntime) -> None:
    path = str(draw(tmp_path / "a.jpg", "green", 0))
    taken = itertools.count()
    last = 0

    def endless() -> Iterator[str]:
        nonlocal last
        while True:
            last = next(taken)
            yield path

    stream = extract(identify(endless(), workers=2), runtime, workers=2)
    for _ in range(50):
        next(stream)
    assert last < 50 + 40
    stream.close()


def test_items_are_extracted_in_another_process_alike(tmp_path: Path, runtime: FakeRuntime) -> None:
    paths = [str(draw(tmp_path / f"{i}.jpg", "red", i)) for i in range(3)]
    items = list(identify([*paths, Path(paths[0]).read_bytes(), str(tmp_path / "gone.jpg")]))
    task = partial(extracted, runtime=LazyRuntime(runtime.config, FakeRuntime))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(task, [pickle.loads(pickle.dumps(items))])
    here = list(extract(items, runtime))
    assert [replace(item, features={}) for item in there] == [
        replace(item, features={}) for item in here
    ]
    for a, b in zip(there, here, strict=True):
        for layer, row in b.features.get(PLAIN, {}).items():
            assert np.array_equal(a.features[PLAIN][layer], row)


def extracted(items: list[Any], runtime: LazyRuntime) -> list[Any]:
    return list(extract(items, runtime))


def test_an_image_without_a_path_is_named_by_its_id(tmp_path: Path) -> None:
    data = draw(tmp_path / "a.jpg", "green", 0).read_bytes()
    with (tmp_path / "a.jpg").open("rb") as file:
        items = list(identify([tmp_path / "a.jpg", data, file, io.BytesIO(data), b"", file]))
    name = hashlib.sha256(data).hexdigest()
    path = str(tmp_path / "a.jpg")
    assert [item.image for item in items] == [path, *[name] * 3, "<bytes>", "<BufferedReader>"]
    assert [item.name for item in items[:2]] == [path, name]
    assert [item.reason for item in items[4:]] == [
        "it is empty: give the bytes of an image file"
    ] * 2


class Odd(FakeRuntime):
    """A network that overflows on images that are all white."""

    def stream(self, images: Any, layers: Any = None) -> Iterator[Any]:
        white = []

        def noted() -> Iterator[Any]:
            for key, square in images:
                if square is not None:
                    white.append(square.min() == 255)
                yield key, square

        for key, features in super().stream(noted(), layers):
            if features is not None and white.pop(0):
                features = {k: row * np.float32(1e6) + 70000 for k, row in features.items()}
            yield key, features


def test_read_into_stores_what_is_missing_once_and_nothing_that_failed(tmp_path: Path) -> None:
    paths = [str(draw(tmp_path / f"{i}.jpg", "red", i)) for i in range(4)]
    white = io.BytesIO()
    Image.new("RGB", (20, 20), "white").save(white, "PNG")
    store: dict[ImageId, dict[str, Features]] = {}
    odd, gone = white.getvalue(), str(tmp_path / "gone.jpg")
    images: list[ImageSource] = [*paths, odd, paths[1], odd, gone]
    known = hashlib.sha256(Path(paths[0]).read_bytes()).digest()
    said: list[tuple[str, int, int]] = []
    runtime = Odd()
    results = read_into(
        store.update,
        images,
        runtime,
        missing=lambda i: () if i == known else VIEWS,
        options=ReadOptions(progress=lambda *step: said.append(step)),
        step="read",
        total=len(images),
    )
    with closing(results):
        got = list(results)
    assert list(store) == [item.id for item in got[1:4]]
    reasons = [item.reason for item in got]
    assert reasons[:4] == [None] * 4
    assert "not finite in layer" in str(reasons[4])
    assert reasons[5:7] == [None, reasons[4]]
    assert "no such file" in str(reasons[7])
    assert said == [("read", i + 1, 8) for i in range(8)]


def test_a_loop_that_breaks_off_keeps_what_was_given_out(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    paths = [str(draw(tmp_path / f"{i}.jpg", "red", i)) for i in range(9)]
    store: dict[ImageId, dict[str, Features]] = {}
    results = read_into(
        store.update,
        paths,
        runtime,
        missing=lambda _: VIEWS,
        options=ReadOptions(),
        step="read",
        total=9,
    )

    def interrupted() -> None:
        with closing(results):
            for number, _ in enumerate(results, 1):
                assert not store
                if number == 5:
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(store) == 5
