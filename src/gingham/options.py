"""The options of every call that reads images: how large they may be, and who watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from gingham.errors import InputError

MAX_PIXELS = 100_000_000

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and the total (0: not known)."""


class PixelLimit(int):
    """The most pixels an image may have, and how whoever asks allows more.

    Parameters
    ----------
    pixels : the limit.
    raised_by : the name of the option or setting; "" if it cannot be raised.
    """

    raised_by = ""

    def __new__(cls, pixels: int, raised_by: str = "") -> Self:
        """Make one."""
        made = super().__new__(cls, pixels)
        made.raised_by = raised_by
        return made


def silent(step: str, done: int, total: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class ReadOptions:
    """How a call reads images.

    Parameters
    ----------
    max_pixels : an image whose header announces more pixels is not decoded; it fails. A
        `PixelLimit` says in the message how the limit is raised.
    progress : see `Progress`. What it raises ends the call.

    Raises
    ------
    InputError
        If `max_pixels` is below 1.
    """

    max_pixels: int = MAX_PIXELS
    progress: Progress = silent

    def __post_init__(self) -> None:
        if self.max_pixels < 1:
            raise InputError(f"max_pixels must be 1 or more, got {self.max_pixels}")

    @property
    def quiet(self) -> ReadOptions:
        """The same without progress, for a step inside another."""
        return replace(self, progress=silent)


DEFAULTS = ReadOptions()
