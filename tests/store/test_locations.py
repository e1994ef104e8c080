from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.store.files import LocalFiles
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


@settings(max_examples=30, deadline=None)
@given(st.lists(events, max_size=4), st.sampled_from([None, "/", "/photos", "/photos/in"]))
def test_equals_a_plain_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[tuple[str, bytes | None]]],
    root: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("l")
    log = Locations(LocalFiles(folder), root)
    applied: dict[str, bytes | None] = {}
    for batch in batches:
        log.append(batch)
        applied.update(batch)
    plain = {name: i for name, i in applied.items() if i is not None}
    for reader in (log, Locations(LocalFiles(folder), root)):
        assert reader.files == plain
        assert {i: sorted(names) for i, names in reader.images.items()} == {
            i: sorted(n for n, j in plain.items() if j == i) for i in set(plain.values())
        }
