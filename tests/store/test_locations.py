from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.store.files import LocalFiles
from gingham.store.ids import from_list, to_list
from gingham.store.locations import Locations

A, B = b"a" * 32, b"b" * 32


def test_moves_copies_and_removals(tmp_path: Path) -> None:
    log = Locations(LocalFiles(tmp_path))
    log.append([("/x", A), ("/y", A), ("/z", B)])
    log.append([("/x", B), ("/y", None)])
    for reader in (log, Locations(LocalFiles(tmp_path))):
        assert reader.files == {"/z": B, "/x": B}
        assert reader.images == {B: ["/z", "/x"]}
    assert log.verify() == []


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"/photos/\xff.jpg")
    Locations(LocalFiles(tmp_path)).append([(name, A)])
    assert Locations(LocalFiles(tmp_path)).files == {name: A}


NAMES = ("/photos/a", "/photos/in/a", "/photosb", "/photos/in/\udcff", "a" * 64)
events = st.lists(
    st.tuples(st.sampled_from(NAMES), st.none() | st.sampled_from([A, B])), max_size=12
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(events, max_size=4),
    st.sampled_from([None, "/", "/photos", "/photos/in"]),
    st.sampled_from([None, "/", "/photos", "/elsewhere"]),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from([0, 2, 20_000]),
)
def test_equals_a_plain_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[str, bytes | None]]],
    root: str | None,
    later: str | None,
    kept: list[bool],
    many: int,
) -> None:
    folder = tmp_path_factory.mktemp("l")
    file = folder / "places" / "files.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gingham.store.locations._MANY", many)
        patch.setattr("gingham.store.locations.lasting", lambda known, new: True)
        log = Locations(LocalFiles(folder), root, file)
        applied: dict[str, bytes | None] = {}
        for batch, keep in zip(batches, kept, strict=False):
            log.append(batch)
            for name, image_id in batch:
                # What is said again changes nothing; what changes comes last.
                if applied.get(name) != image_id:
                    applied.pop(name, None)
                    applied[name] = image_id
            if keep:
                log.keep()
                log = Locations(LocalFiles(folder), root, file)
        plain = {name: i for name, i in applied.items() if i is not None}
        for reader in (
            log,
            Locations(LocalFiles(folder), root, file),
            Locations(LocalFiles(folder), root),
        ):
            assert reader.files == plain
            assert {i: sorted(names) for i, names in reader.images.items()} == {
                i: sorted(n for n, j in plain.items() if j == i) for i in set(plain.values())
            }
            assert (len(reader.files), len(reader.images)) == (len(plain), len(set(plain.values())))
            for name in NAMES:
                assert reader.files.get(name) == plain.get(name)
            for image_id in (A, B):
                assert (image_id in reader.images) == (image_id in plain.values())
                assert list(map(bool, reader.has(from_list([image_id])))) == [
                    image_id in plain.values()
                ]
            assert [i for i, _ in reader.image_files()] == to_list(reader.ids())
            assert reader.copies() == {i: f for i, f in reader.image_files() if len(f) > 1}
        # Another root, by which other names are relative: as if nothing had been kept.
        moved = Locations(LocalFiles(folder), later, file)
        anew = Locations(LocalFiles(folder), later)
    assert dict(moved.files) == dict(anew.files)
    assert all(anew.files[name] == moved.files[name] for name in anew.files)


def names_of(log: Locations) -> list[str]:
    return list(log.files)


def test_what_is_kept_is_not_believed_when_it_is_stale(tmp_path: Path) -> None:
    file = tmp_path / "places" / "files.npz"
    log = Locations(LocalFiles(tmp_path), None, file)
    for number in range(20):
        log.append([(f"/{number}", A)])
    log.keep()
    assert file.exists()
    # The last shard was damaged, deleted, and written again with another content.
    (tmp_path / "locations" / "00000019.parquet").unlink()
    assert names_of(Locations(LocalFiles(tmp_path), None, file)) == [f"/{n}" for n in range(19)]
    again = Locations(LocalFiles(tmp_path))
    again.append([("/other", B)])
    for reader in (Locations(LocalFiles(tmp_path), None, file), again):
        assert names_of(reader) == [*(f"/{n}" for n in range(19)), "/other"]
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[:-1], b"x" + content[1:], content[::-1]):
        file.write_bytes(damaged)
        assert names_of(Locations(LocalFiles(tmp_path), None, file)) == names_of(again)


def test_the_arrays_of_a_file_that_is_damaged_inside_are_read_from_the_log(tmp_path: Path) -> None:
    file = tmp_path / "places" / "files.npz"
    log = Locations(LocalFiles(tmp_path), None, file)
    for number in range(20):
        log.append([(f"/{number}", A if number % 2 else B)])
    log.keep()
    content = bytearray(file.read_bytes())
    content[content.index(b"/0/1/2")] ^= 1
    file.write_bytes(content)
    reader = Locations(LocalFiles(tmp_path), None, file)
    assert (len(reader.files), len(reader.images)) == (20, 2)
    assert names_of(reader) == names_of(log)


def test_only_shards_that_are_new_are_read(tmp_path: Path) -> None:
    file = tmp_path / "places" / "files.npz"
    log = Locations(LocalFiles(tmp_path), None, file)
    for number in range(20):
        log.append([(f"/{number}", A)])
    log.keep()
    (tmp_path / "locations" / "00000003.parquet").write_bytes(b"damaged")
    assert len(Locations(LocalFiles(tmp_path), None, file).files) == 20


def test_the_version_is_told_once_all_that_it_stands_for_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Locations(LocalFiles(tmp_path))
    seen, go_on = threading.Event(), threading.Event()
    apply = log._known.apply

    def slowly(name: str, image_id: bytes | None) -> None:
        apply(name, image_id)
        seen.set()
        assert go_on.wait(60)

    monkeypatch.setattr(log._known, "apply", slowly)
    with ThreadPoolExecutor(2) as pool:
        adding = pool.submit(log.append, [("/x", A), ("/y", B)])
        assert seen.wait(60)
        assert A in log.images
        asking = pool.submit(log.complete_version)
        with pytest.raises(TimeoutError):
            asking.result(0.2)
        go_on.set()
        adding.result()
        assert asking.result() == log.version == 1
    assert set(log.images) == {A, B}
