from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from gingham.errors import CatalogueError
from gingham.store.files import TEMPORARY_PREFIX, Shards, read_json, replace_file, write_json

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False)], metadata={"made": "here"})


def table(*numbers: int) -> pa.Table:
    return pa.table({"n": pa.array(numbers, pa.int64())})


def test_shards_are_read_in_the_order_of_writing(tmp_path: Path) -> None:
    shards = Shards(tmp_path / "s", SCHEMA)
    assert list(shards.tables()) == []
    for number in range(12):
        shards.append(table(number))
    assert [t["n"].to_pylist() for t in Shards(tmp_path / "s", SCHEMA).tables()] == [
        [n] for n in range(12)
    ]
    assert shards.verify() == []


def test_replace_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_json(path, 1)

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError):
        replace_file(path, fail)
    assert read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]


def test_left_overs_are_not_shards_and_are_swept(tmp_path: Path) -> None:
    shards = Shards(tmp_path, SCHEMA)
    shards.append(table(1))
    (tmp_path / f"{TEMPORARY_PREFIX}x.parquet").write_bytes(b"half")
    assert len(list(shards.tables())) == 1
    shards.sweep()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("position", [5, 60, 300])
def test_a_flipped_byte_is_found(tmp_path: Path, position: int) -> None:
    shards = Shards(tmp_path, SCHEMA)
    shards.append(table(*range(100)))
    path = shards.paths()[0]
    data = bytearray(path.read_bytes())
    data[position] ^= 0xFF
    path.write_bytes(data)
    assert len(shards.verify()) == 1
    assert path.name in shards.verify()[0]
    with pytest.raises(CatalogueError, match=path.name):
        list(shards.tables())


def test_a_missing_shard_is_found_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    shards = Shards(tmp_path, SCHEMA)
    for number in range(3):
        shards.append(table(number))
    shards.paths()[1].unlink()
    assert "00000001.parquet is missing" in shards.verify()[0]
    shards.append(table(9))
    assert shards.paths()[-1].stem == "00000003"


def test_shards_of_other_settings_are_refused(tmp_path: Path) -> None:
    Shards(tmp_path, SCHEMA).append(table(1))
    other = Shards(tmp_path, SCHEMA.with_metadata({"made": "there"}))
    with pytest.raises(CatalogueError, match="other settings"):
        list(other.tables())


def test_damaged_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(CatalogueError, match=r"a\.json is damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(CatalogueError, match=r"b\.json is missing"):
        read_json(tmp_path / "b.json")
