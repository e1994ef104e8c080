from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from gingham.store.examples import Example, ExampleLog
from gingham.store.files import LocalFiles
from gingham.store.shards import Log

A, B, C = (c * 32 for c in (b"a", b"b", b"c"))


def example(image_id: bytes, group: str = "g", **values: bool) -> Example:
    return Example(image_id, f"/{image_id[:1].decode()}.jpg", values, group)


def test_more_examples_are_added_and_later_words_replace_earlier(tmp_path: Path) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("colour", "single", "auto", [example(A, red=True), example(B, blue=True)])
    log.append(
        "colour", "single", ("stem", "head"), [example(C, green=True), example(A, pink=True)]
    )
    for reader in (log, ExampleLog(LocalFiles(tmp_path))):
        taught = reader.read()["colour"]
        assert taught.layers == ("stem", "head")
        assert taught.values == ["blue", "green", "pink"]
        assert [e.id for e in taught.examples] == [A, B, C]
        assert taught.examples[0].values == {"pink": True}
    assert log.verify() == []


def test_one_image_twice_in_one_call_keeps_both_values(tmp_path: Path) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("colour", "single", "auto", [example(A, red=True), example(A, blue=True)])
    assert log.read()["colour"].examples[0].values == {"red": True, "blue": True}


def test_multi_adds_values_and_keeps_what_was_said_absent(tmp_path: Path) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("has", "multi", "auto", [example(A, collar=True, belt=False)])
    log.append("has", "multi", "auto", [example(A, belt=True, zip=False)])
    assert log.read()["has"].examples[0].values == {"collar": True, "belt": True, "zip": False}


def test_forget_a_value_then_the_attribute(tmp_path: Path) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("colour", "single", "auto", [example(A, red=True), example(B, blue=True)])
    log.append("style", "single", "auto", [example(A, sport=True)])
    log.forget("colour", "red")
    assert log.read()["colour"].values == ["blue"]
    log.forget("colour", None)
    assert set(log.read()) == {"style"}
    log.append("colour", "single", "auto", [example(C, red=True)])
    assert [e.id for e in log.read()["colour"].examples] == [C]


def test_of_many_calls_each_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    read: list[str] = []
    table = Log.table

    def counted(self: Log, name: str) -> pa.Table:
        read.append(name)
        return table(self, name)

    monkeypatch.setattr(Log, "table", counted)
    for number in range(20):
        log.append(f"a{number}", "single", "auto", [example(A, red=True)])
        assert len(log.read()) == number + 1
    assert len(read) == len(set(read)) == 20


def test_what_is_known_of_an_attribute_stays_the_same_object_while_another_is_taught(
    tmp_path: Path,
) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("colour", "single", "auto", [example(A, red=True)])
    before = log.read()
    log.append("style", "single", "auto", [example(A, sport=True)])
    assert log.read()["colour"] is before["colour"]
    assert "style" not in before


def test_an_attribute_with_no_value_left_is_not_known_and_may_be_taught_anew(
    tmp_path: Path,
) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("colour", "single", "auto", [example(A, red=True)])
    log.forget("colour", "red")
    assert log.read() == {}
    log.append("colour", "multi", ("stem",), [example(B, blue=True)])
    for reader in (log, ExampleLog(LocalFiles(tmp_path))):
        assert reader.read()["colour"].kind == "multi"
        assert [e.id for e in reader.read()["colour"].examples] == [B]


def test_the_allowed_loss_is_kept_until_all_is_forgotten(tmp_path: Path) -> None:
    log = ExampleLog(LocalFiles(tmp_path))
    log.append("colour", "single", "auto", [example(A, red=True)])
    assert log.read()["colour"].allowed_loss is None
    log.append("colour", "single", "auto", [example(B, blue=True)], allowed_loss=0.05)
    log.append("colour", "single", "auto", [Example(C, "/c.jpg", {"0.05": True}, "g")])
    log.forget("colour", "red")
    taught = ExampleLog(LocalFiles(tmp_path)).read()["colour"]
    assert (taught.allowed_loss, taught.values) == (0.05, ["0.05", "blue"])
    log.append("colour", "single", "auto", taught.examples, replace=True, allowed_loss=0.02)
    assert log.read()["colour"].allowed_loss == 0.02
    log.append("colour", "single", "auto", taught.examples, replace=True)
    assert log.read()["colour"].allowed_loss is None
