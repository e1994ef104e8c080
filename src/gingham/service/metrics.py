"""What the service counts, in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class ServiceMetrics:
    """The counters of one service; each service has its own.

    Parameters
    ----------
    images : gives the number of images of the catalogue.
    """

    def __init__(self, images: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.requests = Counter(
            "gingham_requests",
            "Requests that were answered.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "gingham_request_seconds",
            "From a request's first byte to the last of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.accepted = Gauge(
            "gingham_requests_accepted",
            "Requests that are accepted and not yet answered.",
            registry=self._registry,
        )
        self.waiting = Gauge(
            "gingham_requests_waiting",
            "Accepted requests that wait for a thread.",
            registry=self._registry,
        )
        self.refused = Counter(
            "gingham_requests_refused",
            "Requests refused because too many were waiting.",
            registry=self._registry,
        )
        self.left = Counter(
            "gingham_clients_left",
            "Requests given up because the client went away.",
            registry=self._registry,
        )
        self.batches = Histogram(
            "gingham_batch_images",
            "Images that were run through the network together.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self._registry,
        )
        Gauge(
            "gingham_catalogue_images", "Images in the catalogue.", registry=self._registry
        ).set_function(images)

    def text(self) -> bytes:
        """Write all of them."""
        written: bytes = generate_latest(self._registry)
        return written
