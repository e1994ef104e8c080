from __future__ import annotations

import io
import pickle

import pytest

import gingham
from gingham.cli.console import reading
from gingham.errors import InputError
from gingham.options import MAX_PIXELS, silent


def test_options_are_checked_when_they_are_made() -> None:
    with pytest.raises(InputError, match="max_pixels must be 1 or more, got 0"):
        gingham.ReadOptions(max_pixels=0)


def test_options_travel_to_another_process_and_quiet_ones_keep_the_limit() -> None:
    assert pickle.loads(pickle.dumps(gingham.ReadOptions(7))) == gingham.ReadOptions(7)
    watched = gingham.ReadOptions(7, lambda step, done, total: None)
    assert watched.quiet == gingham.ReadOptions(7, silent)


def test_the_command_line_shows_a_bar_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with reading("index", as_json=False, max_megapixels=2.0) as options:
        assert options.max_pixels == 2_000_000
        options.progress("index", 1, 4)
        options.progress("reduce", 0, 0)
        options.progress("draw", 3, 9)
    assert all(shown in screen.getvalue() for shown in ("index", "draw", "3/9"))
    with reading("index", as_json=True) as options:
        assert options == gingham.ReadOptions(MAX_PIXELS, silent)
