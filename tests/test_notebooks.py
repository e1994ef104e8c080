"""The notebooks of the documentation run, and are committed with what they show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parents[1] / "docs" / "notebooks"
NAMES = ("field-biology", "museum", "shop")
LARGEST = 300_000


def read(folder: Path, name: str) -> Any:
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]


def kinds(cell: Any) -> list[tuple[str, ...]]:
    """Say what each output of a cell is; text that is printed in parts is one output."""
    found = [(o["output_type"], *sorted(o.get("data", {}))) for o in cell.get("outputs", ())]
    return list(dict.fromkeys(found))


def test_there_are_these_notebooks() -> None:
    assert sorted(one.stem for one in NOTEBOOKS.glob("*.py")) == list(NAMES)
    assert sorted(one.stem for one in NOTEBOOKS.glob("*.ipynb")) == list(NAMES)


def test_what_the_field_notebook_says_of_its_labels_is_what_it_shows() -> None:
    shown = [str(cell.get("outputs", "")) for cell in read(NOTEBOOKS, "field-biology").cells]
    assert any("96 of 96 labels are right" in one for one in shown), "six accepted corrections"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_is_committed_as_it_runs(name: str, tmp_path: Path) -> None:
    for part in ("home", "tmp", "made"):
        (tmp_path / part).mkdir()
    own = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    script = NOTEBOOKS.parent / "make_notebooks.py"
    done = subprocess.run(
        [sys.executable, str(script), "--only", name, str(tmp_path / "made")],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made, committed = read(tmp_path / "made", name), read(NOTEBOOKS, name)
    nbformat.validate(committed)
    assert [cell.source for cell in made.cells] == [cell.source for cell in committed.cells]
    for new, old in zip(made.cells, committed.cells, strict=True):
        assert kinds(new) == kinds(old), old.source
    file = NOTEBOOKS / f"{name}.ipynb"
    assert file.stat().st_size < LARGEST
    text = file.read_text(encoding="utf-8")
    assert "data:image/jpeg" in text
    assert all(f'"{kind}"' not in text for kind in ("error", "stderr"))
    # Nothing of the machine that made it.
    assert all(place not in text for place in ("/tmp/", "/home/", "/root/"))
