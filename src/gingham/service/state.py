"""What all routes of one application share."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from gingham.service.access import Access
from gingham.service.job_runner import JobRunner
from gingham.service.limits import Limits
from gingham.service.metrics import ServiceMetrics
from gingham.service.problems import FORBIDDEN, ProblemError
from gingham.service.served import ServedCatalogue
from gingham.service.work import Work


@dataclass
class Service:
    """One catalogue, served.

    Attributes
    ----------
    not_ready : why requests may be answered late or not at all; None if they are not.
    """

    catalogue: ServedCatalogue
    access: Access
    limits: Limits
    work: Work
    metrics: ServiceMetrics
    jobs: JobRunner
    read_only: bool
    not_ready: str | None = "the network and the index are being loaded: ask again soon"

    def check_writable(self) -> None:
        """Refuse a change where the server is read-only.

        Raises
        ------
        ProblemError
            If it is.
        """
        if self.read_only:
            raise ProblemError(
                FORBIDDEN, "nothing can be changed here: ask a server started without --read-only"
            )


def service_of(request: Request) -> Service:
    """Give the service that a request is for."""
    service: Service = request.app.state.service
    return service
