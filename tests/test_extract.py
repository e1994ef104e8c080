from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from conftest import FakeRuntime, draw
from gingham.extract import PLAIN, VIEWS, View, extract
from gingham.images import open_image, resize


def test_order_reasons_and_features(tmp_path: Path, runtime: FakeRuntime) -> None:
    good = [str(draw(tmp_path / f"{i}.jpg", "red", i)) for i in range(20)]
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    asked = [*good[:10], str(bad), str(tmp_path / "gone.jpg"), *good[10:]]
    got = list(extract(asked, runtime))
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
    got = list(extract(paths, runtime, views=lambda i: () if i in known else VIEWS))
    assert [bool(item.features) for item in got] == [False, False, False, True]
    assert runtime.images_read == 1


def test_several_views(tmp_path: Path, runtime: FakeRuntime) -> None:
    path = str(draw(tmp_path / "a.jpg", "green", 0))
    views = (View(PLAIN), View("mirror", mirror=True), View("middle", (0.2, 0.2, 0.8, 0.8)))
    (item,) = extract([path], runtime, views=lambda _: views, layers=("stem",))
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

    stream = extract(endless(), runtime, workers=2)
    for _ in range(50):
        next(stream)
    assert last < 50 + 40
    stream.close()
