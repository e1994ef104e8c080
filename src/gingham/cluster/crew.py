"""The workers of a Ray cluster: actors on every node, started again where they die."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from gingham.cluster.dispatch import Done, Portion
from gingham.errors import GinghamError, ServerError
from gingham.store.ids import Ids

logger = logging.getLogger(__name__)

_CPUS = 4
"""Of one worker: with more, its one interpreter would be what is waited for."""
_LOOK = 2.0
_MOMENT = 1.0
_STARTS = 3
"""Workers of one node that may die one after the other before they are ready."""


@dataclass
class Member:
    """One actor.

    Attributes
    ----------
    actor : its handle.
    node, cpus : where it is, and how many CPUs it has.
    waited : for what it does: the reference of the answer, and the portion, if it is ready.
    """

    actor: Any
    node: str
    cpus: int
    waited: Any
    portion: Portion | None = None
    ready: bool = False


class RayWorkers:
    """The actors; see `gingham.cluster.dispatch.Workers`. Nodes that join get theirs.

    Parameters
    ----------
    worker : as `gingham.cluster.worker.ClusterWorker`: its class.
    plan : what they do.
    known : the sorted ids of images that need not be read; each node holds them once.
    """

    def __init__(self, worker: type[Any], plan: object, known: Ids) -> None:
        import ray

        self._plan, self._known = ray.put(plan), ray.put(known)
        self._remote: Any = ray.remote(worker)
        self._members: list[Member] = []
        self._failed: Counter[str] = Counter()
        self._looked = -_LOOK
        self._recruit()

    @property
    def count(self) -> int:
        """See `Workers.count`."""
        return len(self._members)

    @property
    def free(self) -> int:
        """See `Workers.free`."""
        return sum(one.waited is None for one in self._members)

    def start(self, portion: Portion) -> None:
        """See `Workers.start`."""
        one = next(one for one in self._members if one.waited is None)
        one.waited, one.portion = one.actor.read.remote(portion.images), portion

    def wait(self) -> list[Done]:
        """See `Workers.wait`."""
        import ray

        self._recruit()
        waited = {one.waited: one for one in self._members if one.waited is not None}
        if not waited:
            time.sleep(_MOMENT)
            return []
        found, _ = ray.wait(list(waited), num_returns=1, timeout=_MOMENT)
        return [done for answer in found if (done := self._ended(waited[answer])) is not None]

    def _ended(self, one: Member) -> Done | None:
        """Take in an answer; None of one that only said that it is ready."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        answer, portion = one.waited, one.portion
        one.waited = one.portion = None
        try:
            given = ray.get(answer)
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if portion is not None:
                return Done(portion, error=cause)
            self._dismiss(one)
            self._count_failure(one.node, cause)
            return None
        except RayError as error:
            self._dismiss(one)
            if portion is not None:
                return Done(portion)
            self._count_failure(one.node, error)
            return None
        self._failed.pop(one.node, None)
        one.ready = True
        return None if portion is None else Done(portion, results=given)

    def _dismiss(self, one: Member) -> None:
        import ray

        self._members.remove(one)
        with contextlib.suppress(Exception):
            ray.kill(one.actor)
        self._looked = -_LOOK

    def _count_failure(self, node: str, error: Exception) -> None:
        """Note that a worker could not start; none is tried on a node where that happens often."""
        cause = getattr(error, "cause", None) or error
        if isinstance(cause, GinghamError):
            raise cause
        self._failed[node] += 1
        if self._failed[node] < _STARTS:
            return
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[-1] if lines else type(error).__name__
        logger.warning("node %s is left out: its workers do not start: %s", node[:8], said)
        if not any(one.ready for one in self._members):
            raise ServerError(
                f"no worker of the Ray cluster starts ({said}): every node needs the same gingham, "
                "with the catalogue and its images where this machine has them"
            )

    def _recruit(self) -> None:
        """Start workers on nodes that have fewer than they could."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        from ray import nodes
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = Counter((one.node, one.cpus) for one in self._members)
        for found in nodes():
            node = found["NodeID"]
            if not found["Alive"] or self._failed[node] >= _STARTS:
                continue
            for cpus, count in Counter(_shares(int(found["Resources"].get("CPU", 0)))).items():
                for _ in range(count - there[node, cpus]):
                    actor = self._remote.options(
                        num_cpus=cpus,
                        max_restarts=0,
                        max_task_retries=0,
                        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                    ).remote(self._plan, self._known, cpus)
                    ready = actor.prepare.remote()
                    self._members.append(Member(actor, node, cpus, ready))

    def close(self) -> None:
        """End all, whatever they do."""
        while self._members:
            self._dismiss(self._members[0])


def _shares(cpus: int) -> list[int]:
    """Share out the CPUs of a node among workers."""
    whole, rest = divmod(cpus, _CPUS)
    return [_CPUS] * whole + [rest] * bool(rest)
