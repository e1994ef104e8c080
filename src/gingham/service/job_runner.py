"""One thread that does jobs, one after the other, and goes on with them after a restart."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from gingham.errors import GinghamError
from gingham.options import PixelLimit, ReadOptions
from gingham.service.caller import CALLER, Caller
from gingham.service.job_kinds import JobAsked
from gingham.service.problems import as_problem
from gingham.service.served import ServedCatalogue
from gingham.service.work import GivenUpError
from gingham.store.jobs import Job, JobTable

logger = logging.getLogger(__name__)

NOTED = 0.2
"""Seconds between two notes of how far a job is."""


class JobRunner:
    """The jobs of a catalogue that is served, and the thread that does them.

    Parameters
    ----------
    catalogue : what they work on.
    max_pixels : of an image that they read.
    """

    def __init__(self, catalogue: ServedCatalogue, max_pixels: int) -> None:
        self._catalogue = catalogue
        self._max_pixels = max_pixels
        self._new = threading.Event()
        self._closing = threading.Event()
        self._cancelled: set[int] = set()
        self._thread: threading.Thread | None = None
        self.table = JobTable(None)

    def start(self, path: Path) -> None:
        """Take up the jobs that a database keeps, and do them."""
        self.table.close()
        self.table = JobTable(path)
        self._thread = threading.Thread(target=self._work, name="jobs")
        self._thread.start()

    @property
    def closing(self) -> bool:
        """Whether no job goes on any more, for now."""
        return self._closing.is_set()

    def close(self) -> None:
        """Interrupt the job that runs; it goes on after the next start."""
        self._closing.set()
        self._new.set()
        if self._thread is not None:
            self._thread.join()
        self.table.close()

    def add(self, asked: JobAsked, by: str) -> Job:
        """Let a job wait for its turn."""
        job = self.table.add(asked.root.kind, asked.model_dump(mode="json"), by)
        self._new.set()
        return job

    def cancel(self, number: int) -> None:
        """End a job at its next step; nothing happens to one that has ended."""
        if not self.table.cancel_waiting(number):
            self._cancelled.add(number)

    def _work(self) -> None:
        while not self.closing:
            self._new.clear()
            job = self.table.take()
            if job is None:
                self._new.wait()
            else:
                self._run(job)

    def _run(self, job: Job) -> None:
        CALLER.set(Caller(job.by, "admin"))
        progress = self._noting(job.id)
        try:
            asked = JobAsked.model_validate(job.asked).root
            result = asked.run(self._catalogue, ReadOptions(PixelLimit(self._max_pixels), progress))
        except GivenUpError:
            self.table.end(job.id, "cancelled" if job.id in self._cancelled else "interrupted")
        except GinghamError as error:
            self.table.end(job.id, "failed", error=as_problem(error).problem.detail)
        except Exception as error:
            # Its text could show what a caller should not see.
            self.table.end(job.id, "failed", error=as_problem(error).problem.detail)
        else:
            self.table.end(job.id, "done", result=result)
        self._cancelled.discard(job.id)

    def _noting(self, number: int) -> Callable[[str, int, int], None]:
        noted = 0.0

        def progress(step: str, done: int, total: int) -> None:
            nonlocal noted
            if self.closing or number in self._cancelled:
                raise GivenUpError
            if done == total or time.monotonic() - noted >= NOTED:
                noted = time.monotonic()
                self.table.note(number, step, done, total)

        return progress
