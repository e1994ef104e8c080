"""The gate of settings: what it takes, what it refuses and how it says so."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from gingham.errors import InputError
from gingham.evaluation.study import Setting
from gingham.settings import Seed, SettingsFile, Texts, settings


@settings
class Bowl:
    """A group with one of everything."""

    size: int = Field(default=3, ge=1, le=9)
    weight: float = Field(default=1.0, gt=0.0)
    lid: bool = False
    glaze: Literal["matt", "gloss"] = "matt"
    marks: Texts = ()
    tints: Mapping[str, Literal["red", "blue"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lid and self.size == 1:
            raise ValueError("size must be more than 1 with a lid")
        return self


@settings
class Shelf(SettingsFile):
    """A file: a key of its own and two sections."""

    seed: Seed = 0
    bowl: Bowl = Bowl()
    spare: Bowl = Bowl(size=2)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": 1}, "unknown key 'sed', did you mean 'seed'? (known keys: seed, bowl, spare)"),
        ({"cup": {}}, "unknown key 'cup' (known keys: seed, bowl, spare)"),
        ({"glaze": "matt"}, "unknown key 'glaze', did you mean 'bowl.glaze'? (known keys: seed, "),
        ({"spare": {"sise": 1}}, "unknown key 'spare.sise', did you mean 'spare.size'? (known"),
        ({"bowl": 3}, "bowl must be a table, got 3"),
        ({"bowl": {"size": "3"}}, "bowl.size must be a whole number, got '3'"),
        ({"bowl": {"size": 3.0}}, "bowl.size must be a whole number, got 3.0"),
        ({"bowl": {"size": True}}, "bowl.size must be a whole number, got True"),
        ({"bowl": {"size": 0}}, "bowl.size must be at least 1 and at most 9, got 0"),
        ({"bowl": {"size": 10**30}}, f"at least 1 and at most 9, got {10**30}"),
        ({"bowl": {"weight": 0}}, "bowl.weight must be more than 0.0, got 0"),
        ({"bowl": {"weight": float("nan")}}, "bowl.weight must be more than 0.0, got nan"),
        ({"bowl": {"weight": "1"}}, "bowl.weight must be a number, got '1'"),
        ({"bowl": {"lid": 1}}, "bowl.lid must be true or false, got 1"),
        ({"bowl": {"lid": True, "size": 1}}, "bowl: size must be more than 1 with a lid"),
        ({"bowl": {"glaze": "mat"}}, "bowl.glaze must be 'matt' or 'gloss', got 'mat'"),
        ({"bowl": {"marks": "a"}}, "bowl.marks must be a list, got 'a'"),
        ({"bowl": {"marks": ["a", 1]}}, "bowl.marks[1] must be text, got 1"),
        ({"bowl": {"tints": ["red"]}}, "bowl.tints must be a table, got ['red']"),
        ({"bowl": {"tints": {"rim": "tan"}}}, "bowl.tints.rim must be 'red' or 'blue', got 'tan'"),
        ({"seed": 2**32}, "seed must be at least 0 and less than 4294967296, got 4294967296"),
        ({"seed": -1, "bowl": {"lid": 0}}, "got -1; bowl.lid must be true or false, got 0"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        Shelf.from_dict(values, where="shelf.toml")
    assert str(raised.value).startswith("shelf.toml: ")
    assert message in str(raised.value)


def test_what_python_builds_passes_the_same_gate() -> None:
    with pytest.raises(InputError, match=r"^size must be at least 1 and at most 9, got 0$"):
        Bowl(size=0)
    with pytest.raises(InputError, match=r"^unknown key 'sise', did you mean 'size'\?"):
        Bowl(sise=1)  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"^size must be .* got 10$"):
        dataclasses.replace(Bowl(), size=10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Bowl().size = 4  # type: ignore[misc]
    assert Bowl(weight=2, marks=["a"]) == Bowl(weight=2.0, marks=("a",))  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(Shelf(seed=3))) == Shelf(seed=3)


texts = st.text(st.characters(exclude_categories=["Cs"]))
bowls = st.builds(
    Bowl,
    size=st.integers(2, 9),
    weight=st.floats(0.0, exclude_min=True, allow_infinity=False),
    lid=st.booleans(),
    glaze=st.sampled_from(["matt", "gloss"]),
    marks=st.lists(texts).map(tuple),
    tints=st.dictionaries(texts, st.sampled_from(["red", "blue"])),
)


@given(st.builds(Shelf, seed=st.integers(0, 2**32 - 1), bowl=bowls, spare=bowls))
def test_what_is_written_reads_back_the_same(tmp_path_factory: Any, shelf: Shelf) -> None:
    path = tmp_path_factory.mktemp("shelf") / "shelf.toml"
    path.write_text(shelf.to_toml(), encoding="utf-8", newline="")
    assert Shelf.read(path) == shelf
    assert Shelf.from_dict(shelf.to_dict()) == shelf


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shelf.toml"
    with pytest.raises(InputError, match=r"shelf\.toml does not exist: check the path"):
        Shelf.read(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"shelf\.toml cannot be read: "):
        Shelf.read(path)
    path.write_text("seed = 1\nseed = 2")
    with pytest.raises(InputError, match=r"shelf\.toml cannot be read: "):
        Shelf.read(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, "folds must be at least 2, got 1"),
        ({"level": 1.0}, "level must be more than 0.0 and less than 1.0, got 1.0"),
        ({"margin": -0.1}, "margin must be at least 0.0, got -0.1"),
        ({"max_images": -1}, "max_images must be at least 0, got -1"),
        ({"neighbors": 3}, "unknown key 'neighbors', did you mean 'neighbours'?"),
        ({"looks": {"colour": "much"}}, "looks.colour must be a number, got 'much'"),
    ],
)
def test_the_options_of_a_study_pass_it_too(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as raised:
        Setting(**options)
    assert message in str(raised.value)
