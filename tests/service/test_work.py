"""Work in threads: given up when the client goes away or time is up, refused when closed."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")


from gingham.errors import StorageError
from gingham.service.limits import Limits
from gingham.service.metrics import ServiceMetrics
from gingham.service.problems import STORAGE, ProblemError, as_problem
from gingham.service.work import GivenUpError, Task, Work


class Asking:
    """A request whose client leaves when told."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


def test_a_result_and_an_error_come_back() -> None:
    async def ask() -> int:
        work = Work(Limits(workers=1), ServiceMetrics(lambda: 0))
        request: Any = Asking()
        with pytest.raises(KeyError, match="x"):
            await work.ask(request, lambda task: dict[str, int]()["x"])
        answer = await work.change(request, lambda task: 42)
        work.close()
        return answer

    assert asyncio.run(ask()) == 42


def test_a_client_that_goes_away_frees_its_work() -> None:
    begun, ended = threading.Event(), threading.Event()
    ran: list[str] = []

    def busy(task: Task) -> None:
        begun.set()
        try:
            while True:
                task.options.progress("predict", 0, 0)
        except GivenUpError:
            ended.set()
            raise

    async def ask() -> None:
        metrics = ServiceMetrics(lambda: 0)
        work = Work(Limits(workers=1), metrics)
        running: Any = Asking()
        waiting: Any = Asking()
        first = asyncio.create_task(work.ask(running, busy))
        await asyncio.to_thread(begun.wait, 10)
        second = asyncio.create_task(work.ask(waiting, lambda task: ran.append("second")))
        await asyncio.sleep(0.01)
        assert b"gingham_requests_waiting 1.0" in metrics.text()
        for request, asked in ((waiting, second), (running, first)):
            request.left.set()
            with pytest.raises(ProblemError) as left:
                await asked
            assert left.value.kind.status == 499
        assert b"gingham_clients_left_total 2.0" in metrics.text()
        assert b"gingham_requests_waiting 0.0" in metrics.text()
        work.close()

    asyncio.run(ask())
    assert ended.wait(10)
    assert ran == []


def test_what_takes_too_long_is_given_up() -> None:
    ended = threading.Event()

    def busy(task: Task) -> None:
        try:
            while True:
                task.check()
        except GivenUpError:
            ended.set()
            raise

    async def ask() -> None:
        work = Work(Limits(workers=1, seconds=0.05), ServiceMetrics(lambda: 0))
        request: Any = Asking()
        with pytest.raises(ProblemError, match=r"longer than 0\.05 seconds") as late:
            await work.ask(request, busy)
        assert late.value.headers["Retry-After"] == "10"
        work.close()

    asyncio.run(ask())
    assert ended.is_set()


def test_what_the_system_refuses_is_a_problem_that_shows_no_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    found = as_problem(StorageError(errno.ENOSPC, "No space left on device", "/secret/folder"))
    assert (found.problem.status, found.problem.title) == (507, STORAGE.title)
    assert "secret" not in found.problem.detail
    assert "/secret/folder cannot be written (No space left on device): free some" in caplog.text
