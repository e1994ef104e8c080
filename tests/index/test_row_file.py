"""Rows in plain files against a plain array, and how many files there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gingham.errors import StorageError
from gingham.index.embedded.row_file import RowFile

WIDTH = 3


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_rows_come_back(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("rows")
    held = data.draw(st.sampled_from([0, 6 * 20, 1 << 20]), "bytes held in memory")
    file, rng = RowFile(folder, WIDTH, np.int16, held_bytes=held), np.random.default_rng(0)
    model = np.zeros((0, WIDTH), np.int16)
    for _ in range(data.draw(st.integers(1, 12))):
        added = data.draw(st.integers(0, 40))
        old = data.draw(st.lists(st.integers(0, max(0, len(model) - 1)), unique=True, max_size=5))
        replaced = np.array(old if len(model) else [], np.int64)
        rows = np.append(replaced, np.arange(len(model), len(model) + added))
        values = rng.integers(-99, 99, (len(rows), WIDTH), np.int16)
        model = np.concatenate([model, np.zeros((added, WIDTH), np.int16)])
        model[rows] = values
        file.put(rows, values)
        if data.draw(st.booleans()):  # as after the next start
            file.flush()
            file = RowFile(folder, WIDTH, np.int16, held_bytes=held)
            file.check(len(model))
        for _ in range(3):
            asked = rng.integers(0, len(model), 20) if len(model) else np.zeros(0, np.int64)
            np.testing.assert_array_equal(file.get(asked), model[asked])
            np.testing.assert_array_equal(file.get(asked, 2), model[asked, :2])
        first = data.draw(st.integers(0, len(model)))
        parts = [np.zeros((0, WIDTH), np.int16), *file.chunks(first)]
        np.testing.assert_array_equal(np.concatenate(parts), model[first:])


def test_a_thousand_small_additions_leave_few_files_and_the_large_one_alone(tmp_path: Path) -> None:
    RowFile(tmp_path, WIDTH, np.int16).put(np.arange(100_000), np.ones((100_000, WIDTH)))
    (large,) = tmp_path.iterdir()
    before = large.stat().st_ino
    for row in range(100_000, 101_000):
        file = RowFile(tmp_path, WIDTH, np.int16)
        file.put(np.array([row]), np.full((1, WIDTH), row % 999))
        file.flush()
        assert len(list(tmp_path.iterdir())) <= 33
    assert large.stat().st_ino == before
    rows = np.arange(99_990, 101_000)
    expected = np.where(rows < 100_000, 1, rows % 999)
    np.testing.assert_array_equal(file.get(rows)[:, 1], expected)


@pytest.mark.parametrize("held", [True, False])
def test_few_rows_are_held_once_as_many_were_read_as_there_are(tmp_path: Path, held: bool) -> None:
    file = RowFile(tmp_path, WIDTH, np.int16, held_bytes=2 * WIDTH * 9 if held else 0)
    file.put(np.arange(9), np.arange(9 * WIDTH).reshape(9, WIDTH))
    for rows in (np.arange(9), np.array([4, 2])):
        file.get(rows)
    (path,) = tmp_path.iterdir()
    path.rename(tmp_path / "away")
    if held:
        np.testing.assert_array_equal(file.get(np.array([4, 2]))[:, 0], [12, 6])
    else:
        with pytest.raises(StorageError):
            file.get(np.array([4, 2]))


def test_a_file_that_was_cut_short_is_said(tmp_path: Path) -> None:
    file = RowFile(tmp_path, WIDTH, np.int16)
    file.put(np.arange(9), np.ones((9, WIDTH)))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(StorageError, match="cut short"):
        file.get(np.array([3, 8]))
    with pytest.raises(StorageError, match="cut short"):
        list(file.chunks())
    with pytest.raises(ValueError, match="9 rows"):
        file.check(9)
