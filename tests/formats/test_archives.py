"""Archives are read without unpacking; what is wrong with a file of one is said of it alone."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.errors import ImageError, InputError
from gingham.formats import members, webdataset
from gingham.formats.inside import container
from gingham.formats.members import repeated, why_not
from gingham.images import read_file
from gingham.labels import read_labels
from gingham.sources import find_images
from gingham.store.locations import is_missing

Files = Mapping[str, bytes]


def zipped(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: Files) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


PACK = {"zip": zipped, "tar": tarred}


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, bytes]:
    """Eight pictures in folders of their colours, as members of an archive."""
    return {
        f"photos/{colour}/{seed}#é.jpg": draw(tmp_path / "x.jpg", colour, seed).read_bytes()
        for colour in ("red", "blue")
        for seed in range(4)
    }


@pytest.mark.parametrize("kind", PACK)
def test_an_archive_is_indexed_taught_shown_and_read_again(
    tmp_path: Path, runtime: FakeRuntime, photos: dict[str, bytes], kind: str
) -> None:
    archive = PACK[kind](tmp_path / f"photos.{kind}", photos)
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.index([archive]).added == 8
        assert {name for (name,) in shop.images().values()} == {f"{archive}#{x}" for x in photos}
        taught = shop.teach("colour", archive, value_column="folder", views=False)
        assert (taught.examples, taught.values) == (8, ("blue", "red"))
        shop.tag()
        hit = shop.search(photos["photos/red/1#é.jpg"], n=1, with_self=True)[0]
        assert read_file(hit.image) == photos["photos/red/1#é.jpg"]
        assert shop.sheet(tmp_path / "sheet.html", "colour") == 8
        assert 'src="data:image' in (tmp_path / "sheet.html").read_text()
        assert not next(iter(shop.predict([hit.image]))).error
        assert shop.index([archive]).unchanged == 8
    # Beside its archive a catalogue may be moved.
    moved = tmp_path.parent / f"{tmp_path.name}-moved"
    shutil.move(tmp_path, moved)
    with Catalogue.open(moved / "shop", runtime=runtime) as shop:
        names = [name for (name,) in shop.images().values()]
        assert read_file(names[0]) in photos.values()
        assert shop.missing() == []
        (moved / archive.name).unlink()
        assert len(shop.missing()) == 8
    shutil.move(moved, tmp_path)


@pytest.mark.parametrize("kind", PACK)
def test_archives_in_folders_are_read_and_clutter_is_not(
    tmp_path: Path, photos: dict[str, bytes], kind: str
) -> None:
    (tmp_path / "in").mkdir()
    data = next(iter(photos.values()))
    clutter = {"__MACOSX/a.jpg": data, ".hidden/b.jpg": data, "Thumbs.db": data}
    archive = PACK[kind](tmp_path / "in" / f"a.{kind}", {"a.jpg": data, "./b.jpg": data} | clutter)
    (tmp_path / "in" / f"broken.{kind}").write_bytes(b"no archive at all" * 100)
    walk = find_images([tmp_path / "in"])
    assert walk.images == [f"{archive}#a.jpg"]
    dotted, broken = walk.failures
    assert (dotted.image, dotted.reason[:27]) == (
        f"{archive}#./b.jpg",
        "its name is no plain path b",
    )
    assert broken.image.endswith(f"broken.{kind}")
    assert "it is no " in broken.reason
    with pytest.raises(InputError, match="it is no "):
        find_images([tmp_path / "in" / f"broken.{kind}"])


@pytest.mark.parametrize("kind", PACK)
def test_what_cannot_be_meant_is_refused_file_by_file(
    tmp_path: Path, photos: dict[str, bytes], kind: str
) -> None:
    data = next(iter(photos.values()))
    names = ("../up.jpg", "/root.jpg", "a//b.jpg", "new\nline.jpg", "a\\b.jpg", "..", "x/../y.jpg")
    archive = PACK[kind](tmp_path / f"a.{kind}", dict.fromkeys((*names, "good.jpg"), data))
    walk = find_images([archive])
    assert walk.images == [f"{archive}#good.jpg"]
    assert len(walk.failures) >= len(names) - 1  # ".." is hidden, too
    assert all("no plain path" in failure.reason for failure in walk.failures)


def test_of_two_files_of_one_name_neither_is_read(tmp_path: Path, photos: Files) -> None:
    data = list(photos.values())
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.jpg", data[0])
        archive.writestr("b.jpg", data[1])
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a.jpg", data[2])
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, one in zip(("a.jpg", "b.jpg", "a.jpg"), data, strict=False):
            entry = tarfile.TarInfo(name)
            entry.size = len(one)
            tar.addfile(entry, io.BytesIO(one))
    for archive_file in (tmp_path / "a.zip", tmp_path / "a.tar"):
        walk = find_images([archive_file])
        assert walk.images == [f"{archive_file}#b.jpg"]
        reasons = [failure.reason for failure in walk.failures]
        assert reasons == [members.TWICE] * 2


def test_bombs_lies_and_locks_are_refused(
    tmp_path: Path, photos: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = next(iter(photos.values()))
    monkeypatch.setattr(members, "MOST_BYTES", 1 << 20)
    bomb = zipped(tmp_path / "bomb.zip", {"bomb.jpg": data + bytes(2 << 20), "good.jpg": data})
    assert bomb.stat().st_size < 1 << 14
    walk = find_images([bomb])
    assert walk.images == [f"{bomb}#good.jpg"]
    assert "unpacks to" in walk.failures[0].reason
    with pytest.raises(ImageError, match="unpacks to"):
        read_file(f"{bomb}#bomb.jpg")
    # One that says it is small unpacks to what it says, and no further.
    honest = zipped(tmp_path / "lies.zip", {"lies.jpg": data + bytes(1 << 19)})
    packed = honest.read_bytes().replace(
        struct.pack("<I", len(data) + (1 << 19)), struct.pack("<I", len(data))
    )
    honest.write_bytes(packed)
    with pytest.raises(ImageError, match=r"lies\.jpg in .* is damaged"):
        read_file(f"{honest}#lies.jpg")
    # The flag of encryption, in both headers.
    locked = zipped(tmp_path / "locked.zip", {"a.jpg": data}, zipfile.ZIP_STORED).read_bytes()
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = locked.index(mark) + place
        locked = locked[:at] + b"\1\0" + locked[at + 2 :]
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(ImageError, match=r"a\.jpg is encrypted: unpack"):
        read_file(f"{tmp_path}/locked.zip#a.jpg")
    nested = zipped(tmp_path / "outer.zip", {"inner.zip": bomb.read_bytes()})
    with pytest.raises(ImageError, match=r"archive .*not an image"):
        read_file(f"{nested}#inner.zip")


@pytest.mark.parametrize("kind", PACK)
def test_a_changed_archive_says_what_is_gone(
    tmp_path: Path, photos: dict[str, bytes], kind: str
) -> None:
    archive = PACK[kind](tmp_path / f"a.{kind}", photos)
    name = next(iter(photos))
    assert read_file(f"{archive}#{name}") == photos[name]
    PACK[kind](archive, {"other.jpg": photos[name] * 3})
    with pytest.raises(ImageError, match="the archive has changed"):
        read_file(f"{archive}#{name}")
    archive.unlink()
    assert is_missing(f"{archive}#{name}")
    with pytest.raises(ImageError, match="no such file"):
        read_file(f"{archive}#{name}")


def test_of_a_tar_that_is_cut_off_what_is_whole_is_read(tmp_path: Path, photos: Files) -> None:
    whole = tarred(tmp_path / "a.tar", photos).read_bytes()
    with tarfile.open(tmp_path / "a.tar") as tar:
        ends = [one.offset_data + -(-one.size // 512) * 512 for one in tar]
    for cut, found in ((ends[2] + 600, 3), (ends[2] + 100, 3), (ends[2], 3), (ends[7] + 512, 8)):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        walk = find_images([tmp_path / "a.tar"])
        assert len(walk.images) == found, cut
        if cut < ends[7]:
            assert "copy" in walk.failures[0].reason
        assert [read_file(x) for x in walk.images] == list(photos.values())[:found]


def test_links_in_a_tar_are_not_followed(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            entry = tarfile.TarInfo(f"{kind!r}.jpg")
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    walk = find_images([tmp_path / "a.tar"])
    assert not walk.images
    assert ["link or a device" in x.reason for x in walk.failures] == [True] * 3


def test_webdataset_says_what_its_files_say(tmp_path: Path, photos: Files) -> None:
    files: dict[str, bytes] = {}
    for number, (name, data) in enumerate(photos.items()):
        said = {"colour": name.split("/")[1], "tags": ["a", "b"], "n": number}
        files |= {f"{number:04}.json": json.dumps(said).encode(), f"{number:04}.jpg": data}
        files |= {f"{number:04}.cls": b"%d\n" % (number % 2), f"{number:04}.npy": b"no image"}
    shard = tarred(tmp_path / "shard-0000.tar", files)
    assert len(find_images([shard]).images) == 8
    assert find_images([shard]).failures == []
    labels = read_labels(shard, kind="single", value_column="colour")
    assert [list(row.values) for row in labels.rows] == [["red"]] * 4 + [["blue"]] * 4
    numbers = read_labels(shard, kind="single", value_column="cls")
    assert [list(row.values) for row in numbers.rows] == [["0"], ["1"]] * 4
    tags = read_labels(shard, kind="multi", value_column="tags")
    assert tags.rows[0].values == {"a": True, "b": True}


def test_of_the_files_of_a_tar_none_is_held(tmp_path: Path) -> None:
    block = tarfile.TarInfo("x").tobuf()
    with (tmp_path / "a.tar").open("wb") as file:
        for number in range(20_000):
            name = f"photos/{number:09}.jpg".encode()
            entry = bytearray(block)
            entry[: len(name)] = name
            entry[148:156] = b"%06o\0 " % (sum(entry[:148]) + sum(entry[156:]) + 256)
            file.write(entry)
        file.write(bytes(1024))
    peaks = []
    for _ in range(3):  # threads that other tests have left may take memory meanwhile
        tracemalloc.start()
        rows = webdataset.read(tmp_path / "a.tar", None).rows
        assert sum(1 for row in rows if row.bad is None) == 20_000
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks) < 4_000_000  # as objects of tarfile they take 20


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_names_that_are_let_through_stay_as_they_are(name: str) -> None:
    if why_not(name, 1) is None:
        assert os.path.abspath(f"/in/a.zip#{name}") == f"/in/a.zip#{name}"
        assert container(f"/in/a.zip#{name}") == "/in/a.zip"


@given(st.lists(st.integers(0, 9), max_size=30))
def test_repeated_is_what_is_counted_twice(numbers: list[int]) -> None:
    assert repeated(numbers) == {n for n in numbers if numbers.count(n) > 1}
