"""Every write of the truth fails once, in every way: nothing is lost or half visible."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham import extract
from gingham.catalogue import Catalogue
from gingham.store.examples import Example
from gingham.store.files import Files, LocalFiles
from gingham.store.header import FORMAT, Header, is_catalogue, migrate
from gingham.store.truth import Truth
from memory_files import FailingFiles, InjectedError, MemoryFiles
from s3 import new_files

CONFIG = FakeRuntime().config
WAYS = ["before", "middle", "end", "after"]
every_place = pytest.mark.parametrize(
    "make", [LocalFiles, lambda folder: MemoryFiles(), lambda folder: new_files()]
)
every_way = pytest.mark.parametrize("how", WAYS)


def image(number: int) -> bytes:
    return bytes([number]) * 32


def features(number: int) -> dict[str, Any]:
    return {layer: np.full(width, number, np.float32) for layer, width in CONFIG.widths.items()}


def example(number: int, value: str) -> Example:
    return Example(image(number), f"/{number}.jpg", {value: True}, "")


Step = Callable[[Truth], None]
# In the order of a real run: features before what names them.
STEPS: list[Step] = [
    lambda t: t.features.append([image(0), image(1)], [features(0), features(1)]),
    lambda t: t.locations.append([("/0.jpg", image(0)), ("/1.jpg", image(1))]),
    lambda t: t.features.append([image(2)], [features(2)]),
    lambda t: t.locations.append([("/2.jpg", image(2)), ("/0.jpg", None)]),
    lambda t: t.views.append([image(9)], [features(9)]),
    lambda t: t.log.append("colour", "single", "auto", [example(0, "red"), example(1, "blue")]),
    lambda t: t.log.append("colour", "single", "auto", [example(2, "green")]),
    lambda t: t.log.forget("colour", "red"),
]


def truth(files: Files) -> Truth:
    def load() -> FakeRuntime:
        raise AssertionError("no image is read here")

    return Truth(files, Header.read(files).config, load)


def seen(files: Files) -> tuple[object, ...]:
    """All that a new reader sees."""
    found = truth(files)
    assert found.verify() == []
    return (
        found.locations.files,
        found.locations.images,
        found.log.read(),
        *(
            {
                image_id: [tuple(block[row]) for block in blocks.values()]
                for ids, blocks in store.batches()
                for row, image_id in enumerate(ids)
            }
            for store in (found.features, found.views)
        ),
    )


@every_place
@every_way
def test_a_reader_sees_all_of_a_failed_write_or_nothing(
    make: Callable[[Path], Files], how: str, tmp_path: Path
) -> None:
    plain = MemoryFiles()
    Header(CONFIG, None).write(plain)
    states = [seen(plain)]
    for step in STEPS:
        step(truth(plain))
        states.append(seen(plain))
    for at, step in enumerate(STEPS):
        files = make(tmp_path / str(at))
        Header(CONFIG, None).write(files)
        for earlier in STEPS[:at]:
            earlier(truth(files))
        writer = truth(FailingFiles(files, 0, how))
        with pytest.raises(InjectedError):
            step(writer)
        assert seen(files) == states[at + (how == "after")]
        # The writer itself sees what the others see, and can go on.
        assert writer.locations.files == truth(files).locations.files
        assert writer.log.read() == truth(files).log.read()
        step(writer)
        assert seen(files) == states[at + 1]
        for later in STEPS[at + 1 :]:
            later(truth(files))
        assert seen(files) == states[-1]


@every_place
@every_way
def test_a_failed_header_leaves_a_catalogue_or_none(
    make: Callable[[Path], Files], how: str, tmp_path: Path
) -> None:
    files = make(tmp_path / "new")
    with pytest.raises(InjectedError):
        Header(CONFIG, "w").write(FailingFiles(files, 0, how))
    assert is_catalogue(files) == (how == "after")
    if how != "after":
        Header(CONFIG, "w").write(files)
    assert Header.read(files) == Header(CONFIG, "w")


@every_way
def test_a_failed_migration_is_done_again(how: str) -> None:
    files = MemoryFiles()
    Header(CONFIG, "w").write(files)
    with files.open("catalogue.json") as file:
        old = file.read().replace(f'"format": {FORMAT}'.encode(), b'"format": 1')
    files.put("catalogue.json", lambda file: file.write(old))
    with pytest.raises(InjectedError):
        migrate(FailingFiles(files, 0, how))
    migrate(files)
    assert Header.read(files) == Header(CONFIG, "w")


@every_way
def test_a_whole_catalogue_comes_through_every_failed_write(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: FakeRuntime
) -> None:
    monkeypatch.setattr(extract, "KEEP_VIEWS", 4)
    photos = tmp_path / "photos"
    for number in range(12):
        draw(photos / f"{number}.jpg", sorted(COLOURS)[number % 3], number)
    labels = {photos / f"{number}.jpg": sorted(COLOURS)[number % 3] for number in range(6)}
    put = LocalFiles.put
    plan: list[int] = []

    def patched(
        self: LocalFiles, name: str, write: Callable[[BinaryIO], object], *, if_absent: bool = False
    ) -> None:
        class Unpatched(LocalFiles):
            put = _put

        plan.append(len(plan))
        FailingFiles(Unpatched(str(self)), at - plan[-1], how).put(name, write, if_absent=if_absent)

    _put = put
    monkeypatch.setattr(LocalFiles, "put", patched)

    def run(folder: Path) -> None:
        if is_catalogue(LocalFiles(folder)):
            shop = Catalogue.open(folder, runtime=runtime)
        else:
            shop = Catalogue.create(folder, runtime=runtime)
        with shop:
            shop.index([photos])
            shop.teach("colour", labels, layers=["stem"])

    def result(folder: Path) -> object:
        with Catalogue.open(folder, runtime=runtime) as shop:
            assert shop.verify() == []
            return shop.images(), shop._truth.log.read(), list(shop.predict(sorted(labels)))

    at = -1
    run(tmp_path / "whole")
    writes = len(plan)
    expected = result(tmp_path / "whole")
    assert writes >= 8
    for at in range(writes):
        plan.clear()
        folder = tmp_path / f"failed{at}"
        with pytest.raises(InjectedError):
            run(folder)
        at = -1
        if is_catalogue(LocalFiles(folder)):
            with Catalogue.open(folder, runtime=runtime) as shop:
                assert shop.verify() == []
        run(folder)
        assert result(folder) == expected


def test_a_reader_that_is_open_takes_in_what_is_added() -> None:
    files = MemoryFiles()
    Header(CONFIG, None).write(files)
    reader = truth(files)
    assert len(reader.features) == 0
    for step in STEPS:
        step(truth(files))
        assert reader.refresh()
        assert not reader.refresh()
        fresh = truth(files)
        assert reader.locations.files == fresh.locations.files
        assert reader.locations.version == fresh.locations.version
        assert reader.log.read() == fresh.log.read()
        assert len(reader.features) == len(fresh.features)
        assert all(image_id in reader.features for image_id in reader.locations.images)
    assert reader.size == sum(len(files.open(name).read()) for name in files.list())
