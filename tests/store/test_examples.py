from __future__ import annotations

from pathlib import Path

from gingham.store.examples import Example, ExampleLog
from gingham.store.files import LocalFiles

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
