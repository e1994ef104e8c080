"""Networks of tests for workers, which import no more than these need."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from conftest import FakeRuntime


class Watched(FakeRuntime):
    """Notes which process reads, and when; an image that is nearly black kills it."""

    def __init__(self, notes: Path, pause: float = 0.0) -> None:
        super().__init__()
        self.notes, self.pause = notes, pause

    def stream(self, images: Any, layers: Sequence[str] | None = None) -> Iterator[Any]:
        def watched() -> Iterator[Any]:
            for key, image in images:
                if image is not None:
                    with self.notes.open("a") as file:
                        file.write(f"{os.getpid()}\n")
                    time.sleep(self.pause)
                    if image.mean() < 5:
                        os.kill(os.getpid(), signal.SIGKILL)
                yield key, image

        yield from super().stream(watched(), layers)

    @property
    def readers(self) -> list[int]:
        return [int(x) for x in self.notes.read_text().split()] if self.notes.exists() else []


class Refusing(FakeRuntime):
    """Is another network where the workers are."""

    def __getstate__(self) -> dict[str, Any]:
        return vars(FakeRuntime("others"))
