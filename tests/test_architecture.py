"""docs/architecture.md names every room, and nothing that does not exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "gingham"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

rooms = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path / "__init__.py").exists() or (path.suffix == ".py" and path.stem != "__init__")
}


def described() -> list[str]:
    """Give the rooms of the page's table, in its order."""
    table = PAGE.split("## Rooms")[1].split("## ")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_every_room_is_described_once() -> None:
    assert sorted(described()) == sorted(rooms)


def test_every_module_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)`", PAGE)
    assert len(named) > 10
    for name in named:
        assert (PACKAGE / name).exists() or (ROOT / name).exists() or name == "config.py", name
    for folder in re.findall(r"`(\w+(?:/\w+)*)/`", PAGE):
        assert (PACKAGE / folder).is_dir() or (ROOT / folder).is_dir(), folder


def test_the_rooms_are_in_the_order_that_is_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    height = {
        room.strip(): place
        for place, layer in enumerate(reversed(layers))
        for room in re.split("[|:]", layer)
    }
    assert set(height) == rooms
    heights = [height[room] for room in described()]
    assert heights == sorted(heights)


def test_a_room_imports_no_more_than_its_row_names() -> None:
    table = PAGE.split("## Rooms")[1].split("## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \| ((?:`\w+`(?:, )?)+|nothing) \|$", table, re.MULTILINE)
    assert len(rows) > 10
    for room, named in rows:
        text = (PACKAGE / room).with_suffix(".py")
        files = [text] if text.exists() else (PACKAGE / room).rglob("*.py")
        code = "\n".join(path.read_text(encoding="utf-8") for path in files)
        found = set(re.findall(r"^ *from gingham\.(?!store\.files)(\w+)", code, re.MULTILINE))
        assert found - {room} <= set(re.findall(r"\w+", named)), room


def test_a_class_name_means_one_thing() -> None:
    """Only the schemas of HTTP are called as the results that they show."""
    places: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for name in re.findall(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            if not name.startswith("_") and not path.name.endswith("schemas.py"):
                places.setdefault(name, []).append(str(path.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_is_long() -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in PACKAGE.rglob("*.py")}
    assert {path: count for path, count in lines.items() if count > 400} == {}
