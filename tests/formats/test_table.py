"""One table of formats, and one page about them."""

from __future__ import annotations

import re
from pathlib import Path

from gingham.formats.inside import container
from gingham.formats.table import FORMATS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")


def test_the_page_names_every_format_in_the_order_of_the_table() -> None:
    table = PAGE.split("\n\n```")[0]
    assert re.findall(r"^\| ([^|]+?) \| ", table, re.MULTILINE)[1:] == [one.name for one in FORMATS]


def test_every_format_that_is_written_is_read_back_by_a_test() -> None:
    written = {one.slug for one in FORMATS if one.write}
    tests = (ROOT / "tests" / "formats" / "test_exports.py").read_text(encoding="utf-8")
    assert {slug for slug in written if f'"{slug}"' not in tests} == set()


def test_no_module_of_a_format_is_long() -> None:
    for path in (ROOT / "src" / "gingham" / "formats").glob("*.py"):
        assert len(path.read_text().splitlines()) < 100, path


def test_a_name_inside_a_file_is_split_where_the_file_ends(tmp_path: Path) -> None:
    (tmp_path / "a.zip#b").mkdir()
    (tmp_path / "a.zip#b" / "c.tar").write_bytes(b"")
    assert container("photos/a#b.jpg") is None
    assert container("photos/a.zip#b#c.jpg") == "photos/a.zip"
    assert container("photos/A.ZIP#b.zip#c.jpg") == "photos/A.ZIP"
    inside = f"{tmp_path}/a.zip#b/c.tar"
    assert container(f"{inside}#d.jpg") == inside
