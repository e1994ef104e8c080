"""What the README and the how-to pages say is run as they say it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
from garments import draw_catalogue  # noqa: E402


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README has it: photos, labels.csv beside them, examples of colours."""
    folder = tmp_path_factory.mktemp("readme")
    garments = draw_catalogue(folder / "photos", images=88, seed=3)
    for garment in garments:
        (folder / "examples" / garment.colour).mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "photos" / garment.image, folder / "examples" / garment.colour)
    lines = (folder / "photos" / "labels.csv").read_text(encoding="utf-8").splitlines()
    table = [lines[0], *(f"photos/{line}" for line in lines[1:])]
    (folder / "labels.csv").write_text("\n".join(table))
    (folder / "photos" / "labels.csv").unlink()
    return folder


def shell(script: str, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def python(code: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_readme(place: Path) -> None:
    (code,) = blocks(ROOT / "README.md", "python")
    python(code, place)
    (script,) = blocks(ROOT / "README.md", "sh")
    assert len(script.splitlines()) == 5
    shell(script, place)


def test_python_page(place: Path) -> None:
    for number, code in enumerate(blocks(ROOT / "docs" / "python.md", "python")):
        python(code.replace('"shop"', f'"shop{number}"'), place)


def test_explain_page(place: Path) -> None:
    (code,) = blocks(ROOT / "docs" / "explain.md", "python")
    python(code.replace('"shop"', '"why"'), place)
    assert (place / "explained" / "index.html").exists()


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_cli_page.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == done.stdout


def test_links_and_pictures_of_the_pages_exist() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_make_demo_runs(tmp_path: Path) -> None:
    script = f"{sys.executable} -W error {ROOT / 'examples' / 'demo.py'} --folder demo --images 176"
    shell(script, tmp_path)
    for name, least in (("index", 40), ("colour", 100), ("pattern", 60)):
        page = (tmp_path / "demo" / f"{name}.html").read_text(encoding="utf-8")
        assert page.count("data:image/jpeg") > least
