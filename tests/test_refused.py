"""No space, no permission, no cache: one sentence that says what to do, and nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import COLOURS, MAY_SKIP, FakeRuntime, draw
from gingham import Catalogue
from gingham.errors import InputError, StorageError
from gingham.index.embedded.row_file import RowFile, Rows
from gingham.options import ReadOptions
from gingham.training.feature_maps import FeatureMaps, store_feature_maps, views_of
from helpers import CLI, run

CANNOT_MOUNT = MAY_SKIP[3]
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


ANOTHER = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]


def pictures(folder: Path) -> Path:
    for colour in COLOURS:
        for seed in range(4):
            draw(folder / colour / f"{seed}.jpg", colour, seed)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of twelve images by the fake backbone: taught, tagged and searched."""
    folder = tmp_path_factory.mktemp("refused")
    photos = pictures(folder / "photos")
    with Catalogue.create(folder / "shop", runtime=FakeRuntime()) as shop:
        shop.index([photos])
        shop.teach("colour", photos, layers=["stem"])
        shop.tag()
        shop.search(
            photos / "red" / "0.jpg", looks={"attribute:colour": 1.0, "colour": 1.0}, with_self=True
        )
    return folder


def copied(made: Path, to: Path) -> Path:
    # As it is on the disk: with the holes of files that are mapped.
    subprocess.run(["cp", "-r", "--sparse=always", made / "shop", to], check=True)
    return to


def mounted(folder: Path, *options: str) -> None:
    done = subprocess.run(["mount", *options, str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(CANNOT_MOUNT)


@pytest.fixture
def read_only(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A catalogue whose folder cannot be written to, not even by root."""
    shop = copied(made, tmp_path / "shop")
    if ROOT:
        mounted(shop, "--bind", str(shop))
        mounted(shop, "-o", "remount,bind,ro")
        yield shop
        subprocess.run(["umount", shop], check=True)
        return
    folders = [shop, *(path for path in shop.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield shop
    for folder in folders:
        folder.chmod(0o755)


def answers(shop: Catalogue, image: Path) -> tuple[object, ...]:
    looks = {"attribute:colour": 1.0, "colour": 1.0}
    return (
        shop.search(image, looks=looks, where=["colour=red"], with_self=True),
        shop.facets(),
        list(shop.predict([image])),
        shop.verify(),
        shop.images(),
    )


def test_a_folder_that_can_only_be_read_answers_as_before_and_refuses_the_rest(
    made: Path, read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    image = made / "photos" / "red" / "0.jpg"
    before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
    with Catalogue.open(made / "shop", runtime=FakeRuntime()) as shop:
        expected = answers(shop, image)
    with (
        Catalogue.open(read_only, runtime=FakeRuntime()) as shop,
        Catalogue.open(read_only, runtime=FakeRuntime()) as another,
    ):
        assert answers(shop, image) == answers(another, image) == expected
        assert shop.info().images == 12
        assert shop.export(tmp_path / "out.csv") == 12
        assert shop.sheet(tmp_path / "out.html", "colour") == 12
        writing: list[Callable[[], object]] = [
            lambda: shop.index([made / "photos"]),
            lambda: shop.remove([image]),
            lambda: shop.teach("colour", made / "photos"),
            lambda: shop.forget("colour"),
            lambda: shop.tag(),
            lambda: shop.attach(made),
            lambda: shop.rebuild(),
            lambda: shop.export(read_only / "out.csv"),
        ]
        for refused in writing:
            with pytest.raises(StorageError, match=f"^{read_only}.* cannot be .*: .*choose"):
                refused()
    assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before
    assert not list(tmp_path.glob("gingham-*"))


def test_where_the_index_has_no_room_each_search_does_without(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shop, photos = copied(made, tmp_path / "shop"), tmp_path / "more"
    draw(photos / "new.jpg", "red", 77)
    behind = [path.name for path in (shop / "index").iterdir()]

    def full(file: RowFile, rows: Rows, values: Any) -> None:
        if file._folder.is_relative_to(shop):
            raise StorageError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file._folder))
        put(file, rows, values)

    def check() -> None:
        with Catalogue.open(shop, runtime=FakeRuntime()) as open_shop:
            assert open_shop.search(photos / "new.jpg", n=1, with_self=True)[0].image == str(
                photos / "new.jpg"
            )
            assert open_shop.facets().images == 13

    put = RowFile.put
    monkeypatch.setattr(RowFile, "put", full)
    with Catalogue.open(shop, runtime=FakeRuntime()) as open_shop:
        assert open_shop.index([photos]).added == 1
        assert "(No space left on device): free some space there" in caplog.text
        assert "until the search index is up to date, each search does that" in caplog.text
        with pytest.raises(StorageError, match=r"No space left on device\): free some"):
            open_shop.rebuild()
    check()
    assert [path.name for path in (shop / "index").iterdir()] == behind
    monkeypatch.undo()
    with Catalogue.open(shop, runtime=FakeRuntime()) as open_shop:
        assert open_shop.index([photos]).added == 0
    assert [path.name for path in (shop / "index").iterdir()] > behind
    check()


@pytest.mark.skipif(not ROOT, reason=CANNOT_MOUNT)
def test_a_disk_that_is_full_kills_no_process(made: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted(disk, "-t", "tmpfs", "-o", "size=400m", "tmpfs")
    code = """
import sys
from conftest import FakeRuntime
from gingham import Catalogue
from gingham.errors import StorageError
photos, folder = sys.argv[1:]
with Catalogue.open(folder, runtime=FakeRuntime()) as shop:
    for change in (lambda: shop.teach("other", photos), shop.tag, shop.rebuild):
        try:
            change()
        except StorageError as error:
            assert str(error).startswith(folder), error
            print("No space" in str(error) or "MB are needed" in str(error))
        else:
            print("done")
    assert shop.verify() == []
    print(shop.search(photos + "/red/0.jpg", n=1, with_self=True)[0].image)
"""
    try:
        for indexed in (True, False):
            folder = copied(made, disk / f"indexed{indexed}")
            if not indexed:
                shutil.rmtree(folder / "index")
            with (disk / "fill").open("wb", buffering=0) as fill, contextlib.suppress(OSError):
                while fill.write(bytes(4096)):
                    pass
            done = subprocess.run(
                [sys.executable, "-c", code, str(made / "photos"), str(folder)],
                capture_output=True,
                text=True,
                timeout=100,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
            assert done.returncode == 0, done.stderr
            taught, _, rebuilt, found = done.stdout.split()  # there is nothing to tag
            assert (taught, rebuilt) == ("True", "True")
            assert found == str(made / "photos" / "red" / "0.jpg")
            (disk / "fill").unlink()
            with Catalogue.open(folder, runtime=FakeRuntime()) as shop:
                assert shop.verify() == []
                shop.rebuild()
                assert shop.teach("other", made / "photos").examples == 12
    finally:
        subprocess.run(["umount", disk], check=True)


def test_maps_have_their_room_first_and_a_file_cut_short_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, photo = FakeRuntime(), str(draw(tmp_path / "a.jpg", "red", 0))
    shapes = [(runtime.config.widths[layer.name],) for layer in runtime.config.layers]

    def store(folder: Path) -> FeatureMaps:
        return store_feature_maps(
            folder,
            [photo] * 3,
            runtime,
            shapes,
            views=partial(views_of, mirror=True, further=0, crop=0.5),
            stamp="x",
            options=ReadOptions(10**6),
        )

    maps = store(tmp_path / "maps")
    whole = maps.read([0, 2, 1], [0, 1, 1])
    path = maps.path(next(iter(maps.shapes)))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StorageError, match=rf"{path} cannot be used \(it was cut short\)"):
        maps.read([0, 2], [0, 1])
    # It is not taken for what was there.
    for one, other in zip(store(tmp_path / "maps").read([0, 2, 1], [0, 1, 1]), whole, strict=True):
        np.testing.assert_array_equal(one, other)
    (tmp_path / "more").mkdir()
    Fault(monkeypatch).at = 0
    with pytest.raises(StorageError, match=r"more/.*\.maps cannot be written \(No space left"):
        store(tmp_path / "more")


class Fault:
    """Makes the n-th call of what writes to a disk fail, counted from 0."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.calls = -1, 0
        for owner, name in (
            (os, "fsync"),
            (os, "posix_fallocate"),
            (os, "link"),
            (Path, "touch"),
            (Path, "mkdir"),
            (Path, "replace"),
        ):
            monkeypatch.setattr(owner, name, self._failing(getattr(owner, name)))

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def failing(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls - 1 == self.at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(*args, **kwargs)

        return failing


CHANGES: dict[str, Callable[[Catalogue, Path], object]] = {
    "index": lambda shop, here: shop.index([here / "more"]),
    "teach": lambda shop, here: shop.teach("kind", here / "photos", layers=["head"], views=False),
    "tag": lambda shop, here: shop.tag(),
    "remove": lambda shop, here: shop.remove([here / "photos" / "red" / "1.jpg"]),
    "forget": lambda shop, here: shop.forget("colour", "green"),
    "rebuild": lambda shop, here: shop.rebuild(),
    "search": lambda shop, here: shop.search(
        here / "photos" / "red" / "0.jpg", looks={"attribute:colour": 1.0}, with_self=True
    ),
    "export": lambda shop, here: shop.export(here / "out.parquet"),
    "sheet": lambda shop, here: shop.sheet(here / "out.html", "colour"),
}


def state(shop: Catalogue, photos: Path) -> object:
    assert shop.verify() == []
    image = photos / "red" / "0.jpg"
    hits = shop.search(image, looks={"attribute:colour": 1.0, "colour": 1.0}, with_self=True)
    return shop.images(), shop.examples(), shop.facets(), hits, list(shop.predict([image]))


@pytest.mark.parametrize("command", CHANGES)
def test_every_write_of_a_command_fails_once(
    made: Path, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(made / "more" / "new.jpg", "blue", 99)
    start = tmp_path / "start"
    shutil.copytree(made / "shop", start, ignore=shutil.ignore_patterns("index"))
    # What the command finds to be done: an attribute to be fitted again, an index to be made.
    (start / "attributes" / "colour" / "attribute.npz").unlink()
    fault = Fault(monkeypatch)

    def once(folder: Path) -> None:
        with Catalogue.open(folder, runtime=FakeRuntime()) as shop:
            CHANGES[command](shop, made)

    once(shutil.copytree(start, tmp_path / "whole"))
    writes, fault.at = fault.calls, -1
    with Catalogue.open(tmp_path / "whole", runtime=FakeRuntime()) as shop:
        expected = state(shop, made / "photos")
    assert writes > 2
    said: list[str] = []
    for at in range(writes):
        folder = shutil.copytree(start, tmp_path / f"at{at}")
        fault.calls, fault.at = 0, at
        try:
            once(folder)
        except StorageError as error:
            said.append(str(error))
        fault.at = -1
        # What was done before the fault, at its very end, is not there to be done again.
        with contextlib.suppress(InputError):
            once(folder)
        with Catalogue.open(folder, runtime=FakeRuntime()) as shop:
            assert state(shop, made / "photos") == expected
        shutil.rmtree(folder)
    assert said
    for sentence in said:
        path, _, rest = sentence.partition(" cannot be written ")
        copy = f"{tempfile.gettempdir()}/gingham-"  # of the index
        assert path.startswith((str(made), str(tmp_path), copy))
        assert (
            rest == "(No space left on device): free some space there, then run the command again"
        )


SURROUNDINGS: dict[str, tuple[list[str], dict[str, str]]] = {
    "no home": (["env", "-u", "HOME"], {}),
    "no cache": ([], {"GINGHAM_CACHE": os.devnull + "/cache"}),
    "plain locale": ([], {"LC_ALL": "C"}),
    "another user": (["env", "-u", "HOME", *(ANOTHER if ROOT else [])], {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("surrounding", SURROUNDINGS)
def test_the_command_line_in_every_surrounding(surrounding: str) -> None:
    before, changed = SURROUNDINGS[surrounding]
    # Not below pytest's own folder, which another user may not enter.
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        here.chmod(0o777)
        photos, shop = pictures(here / "photos"), here / "shop"
        for command in (
            ("index", shop, photos),
            ("teach", shop, "colour", photos),
            ("tag", shop),
            ("search", shop, photos / "red" / "0.jpg", "--where", "colour=red"),
            ("predict", shop, photos / "blue" / "0.jpg"),
            ("explain", shop, photos / "blue" / "0.jpg", "--out", here / "out"),
            ("export", shop, here / "out.csv"),
            ("verify", shop),
        ):
            done = subprocess.run(
                [*before, *CLI, *map(str, command)],
                capture_output=True,
                text=True,
                timeout=100,
                env=os.environ | changed,
                cwd=here,
            )
            assert done.returncode == 0, (command, done.stderr)
            assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_no_file_may_grow(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos")
    shop = tmp_path / "shop"
    assert run("index", shop, photos).returncode == 0

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    for command in (
        ("index", tmp_path / "new", photos),
        ("teach", shop, "colour", photos),
        ("rebuild", shop),
    ):
        done = subprocess.run(
            [*CLI, *map(str, command)],
            capture_output=True,
            text=True,
            timeout=100,
            preexec_fn=limit,
        )
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1].endswith(
            "(File too large): raise the limit on the size of a file (ulimit -f)"
        )
        assert "Traceback" not in done.stderr
    assert run("verify", shop).returncode == 0
    assert run("teach", shop, "colour", photos).returncode == 0
    assert run("search", shop, photos / "red" / "0.jpg").returncode == 0
