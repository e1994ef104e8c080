"""Work in threads, off the event loop; it ends when its client goes away or time is up."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fastapi import Request

from gingham.options import PixelLimit, ReadOptions
from gingham.service.limits import Limits
from gingham.service.metrics import ServiceMetrics
from gingham.service.problems import LEFT, ProblemError, busy

R = TypeVar("R")


class GivenUpError(Exception):
    """Nobody waits for this work any more."""


class Task:
    """What a piece of work knows of the request it is for.

    Parameters
    ----------
    limits : of the service.
    """

    def __init__(self, limits: Limits) -> None:
        self._given_up = threading.Event()
        self.limits = limits
        self.options = ReadOptions(PixelLimit(limits.max_pixels), self._progress)

    def give_up(self) -> None:
        """Let the work end at its next step."""
        self._given_up.set()

    def check(self) -> None:
        """End the work here if nobody waits for it.

        Raises
        ------
        GivenUpError
            If the client went away, or time is up.
        """
        if self._given_up.is_set():
            raise GivenUpError

    def _progress(self, step: str, done: int, total: int) -> None:
        self.check()


class Work:
    """Threads for requests: several that ask, one that changes the catalogue.

    Parameters
    ----------
    limits, metrics : of the service.
    before : called in the thread before each piece of work.
    """

    def __init__(
        self,
        limits: Limits,
        metrics: ServiceMetrics,
        before: Callable[[], object] = lambda: None,
    ) -> None:
        self._before = before
        self._limits = limits
        self._metrics = metrics
        self._asking = ThreadPoolExecutor(limits.workers, "ask")
        self._changing = ThreadPoolExecutor(1, "change")

    async def ask(self, request: Request, function: Callable[[Task], R]) -> R:
        """Run what changes nothing, and wait for it; see `_run`."""
        return await self._run(self._asking, self._limits.seconds, request, function)

    async def change(self, request: Request, function: Callable[[Task], R]) -> R:
        """Run what changes the catalogue, one after the other, and wait for it; see `_run`."""
        return await self._run(self._changing, self._limits.change_seconds, request, function)

    async def _run(
        self,
        pool: ThreadPoolExecutor,
        seconds: float,
        request: Request,
        function: Callable[[Task], R],
    ) -> R:
        """Run a function in a thread until it ends, the client goes away, or time is up.

        What has not begun then never begins; what has begun ends at its next `Task.check`.

        Raises
        ------
        ProblemError
            If the client went away or time is up.
        """
        task = Task(self._limits)

        def run() -> R:
            self._metrics.waiting.dec()
            task.check()
            self._before()
            return function(task)

        # The thread knows for whom it works.
        self._metrics.waiting.inc()
        queued = pool.submit(contextvars.copy_context().run, run)
        work = asyncio.wrap_future(queued)
        leaving = asyncio.create_task(_left(request))
        for one in (work, leaving):  # what it raises may be asked by nobody
            one.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.wait(
                (work, leaving), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if work.done():
                return work.result()
            if leaving.done():
                leaving.result()
                self._metrics.left.inc()
                raise ProblemError(LEFT, "nothing waits for the answer any more")
            raise busy(
                f"it took longer than {seconds:g} seconds and was given up: ask for less, or again "
                "later",
                after=10,
            )
        finally:
            task.give_up()
            if queued.cancel():  # it never begins
                self._metrics.waiting.dec()
            work.cancel()
            leaving.cancel()

    def close(self) -> None:
        """Wait for what runs; what has not begun never begins."""
        for pool in (self._asking, self._changing):
            pool.shutdown(cancel_futures=True)


async def _left(request: Request) -> None:
    """Wait until the client goes away; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
