"""Which worker reads which images: in batches, again where one dies, each by itself at last."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import InitVar, dataclass, field
from typing import Protocol

from gingham.extract import Extracted, absolute
from gingham.images import ImageSource, image_name

_PARTS = 8
"""Into so many parts goes a batch that killed a worker twice."""
_FAILURES = 3
"""Errors of one batch that are not put up with."""


@dataclass
class Batch:
    """Some images, and what came of them; results stand where their images do.

    Parameters
    ----------
    images : in order.
    known : place -> what is known of an image that need not be read.

    Attributes
    ----------
    asked : the places of those to be read.
    left : how many of them are still to come.
    """

    images: Sequence[ImageSource]
    known: InitVar[dict[int, Extracted]]
    results: list[Extracted | None] = field(init=False)
    asked: list[int] = field(init=False)
    left: int = field(init=False)

    def __post_init__(self, known: dict[int, Extracted]) -> None:
        places = range(len(self.images))
        self.results = [known.get(place) for place in places]
        self.asked = [place for place in places if place not in known]
        self.left = len(self.asked)

    def fill(self, start: int, results: Sequence[Extracted]) -> None:
        """Take in results of images that were asked for, from one on."""
        for place, one in zip(self.asked[start:], results, strict=False):
            self.results[place] = one
        self.left -= len(results)


@dataclass(frozen=True)
class Portion:
    """A part of a batch, for one worker.

    Attributes
    ----------
    batch : of which it is part.
    start, stop : which of those that are asked for.
    deaths : of workers that read it.
    errors : that workers raised.
    """

    batch: Batch
    start: int
    stop: int
    deaths: int = 0
    errors: int = 0

    @property
    def images(self) -> Sequence[ImageSource]:
        """The images to read."""
        return [self.batch.images[place] for place in self.batch.asked[self.start : self.stop]]

    def after_death(self) -> list[Portion]:
        """Give what is to be tried instead, once a worker died of it, or by chance meanwhile."""
        size = self.stop - self.start
        if size == 1 or not self.deaths:
            return [Portion(self.batch, self.start, self.stop, self.deaths + 1)]
        step = -(-size // _PARTS)
        # Of those each is suspect; one image is blamed only after a second death.
        ends = [min(start + step, self.stop) for start in range(self.start, self.stop, step)]
        starts = [self.start, *ends[:-1]]
        return [
            Portion(self.batch, start, stop, int(stop - start > 1))
            for start, stop in zip(starts, ends, strict=True)
        ]

    @property
    def hopeless(self) -> bool:
        """Whether it is one image that kills workers."""
        return self.stop - self.start == 1 and self.deaths >= 2


@dataclass(frozen=True)
class Done:
    """How a portion ended: with results, or an error, or the death of its worker (neither)."""

    portion: Portion
    results: list[Extracted] | None = None
    error: Exception | None = None


class Workers(Protocol):
    """Workers on other machines, or here."""

    @property
    def count(self) -> int:
        """How many there are, ready or not."""

    @property
    def free(self) -> int:
        """How many have nothing to do."""

    def start(self, portion: Portion) -> None:
        """Let a free one read a portion."""

    def wait(self) -> list[Done]:
        """Wait a moment; give what ended."""


def dispatch(workers: Workers, batches: Iterable[Batch]) -> Generator[Batch, None, None]:
    """Have batches read, and give them in order; a few more than there are workers are under way.

    A portion whose worker dies is tried once more, then in parts, down to one image: one that
    kills two workers by itself is recorded as failed. A portion that ends with an error is tried
    three times.

    Raises
    ------
    Exception
        What a worker raised three times, of one portion.
    """
    coming = iter(batches)
    under_way: deque[Batch] = deque()
    waiting: deque[Portion] = deque()
    exhausted = False
    while True:
        while not exhausted and len(under_way) < 4 * workers.count + 4:
            batch = next(coming, None)
            if batch is None:
                exhausted = True
            else:
                under_way.append(batch)
                if batch.left:
                    waiting.append(Portion(batch, 0, len(batch.asked)))
        while under_way and not under_way[0].left:
            yield under_way.popleft()
        if not under_way and exhausted:
            return
        while waiting and workers.free:
            workers.start(waiting.popleft())
        for done in workers.wait():
            again = _again(done)
            # Those first, so that what comes after need not wait for long.
            waiting.extendleft(reversed(again))


def _again(done: Done) -> list[Portion]:
    """Take in how a portion ended; give what is to be tried again."""
    one = done.portion
    if done.results is not None:
        one.batch.fill(one.start, done.results)
        return []
    if done.error is not None:
        if one.errors + 1 >= _FAILURES:
            raise done.error
        return [Portion(one.batch, one.start, one.stop, one.deaths, one.errors + 1)]
    if (next_one := one.after_death())[0].hopeless:
        one.batch.fill(one.start, [_blame(one.images[0])])
        return []
    return next_one


def _blame(image: ImageSource) -> Extracted:
    text = image if isinstance(image, (str, bytes)) else str(image)
    name = absolute(text) if isinstance(text, str) else image_name(text)
    reason = (
        "reading it ended the worker process twice (memory ran out, or a decoder crashed): leave "
        "it out, or save it anew"
    )
    return Extracted(image_name(text), name, None, {}, reason)
