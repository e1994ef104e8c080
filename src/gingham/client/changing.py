"""What changes a served catalogue."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gingham.client.connection import Payload
from gingham.client.cutting import cut_fields
from gingham.client.given import is_id
from gingham.client.sending import send_images
from gingham.client.teaching import RemoteTeaching
from gingham.errors import (
    CatalogueError,
    GinghamError,
    ImageError,
    InputError,
    ServerError,
    UndoError,
)
from gingham.images import ImageSource, hash_source
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import (
    Failure,
    IndexResult,
    TagResult,
)
from gingham.review_results import RecordedChange
from gingham.schema.schema import Schema
from gingham.sources import Walk, find_images

_LONGEST_WAIT = 2.0
"""Seconds between two questions how far a job is, at most."""


class RemoteChanging(RemoteTeaching):
    """The methods of `RemoteCatalogue` that change the catalogue."""

    def index(
        self,
        sources: Iterable[str | os.PathLike[str]] | Walk = (),
        *,
        images: Iterable[ImageSource] = (),
        skip_bad_rows: bool = False,
        product_column: str | None = None,
        cluster: str | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> IndexResult:
        """Add images that lie here; see `Catalogue.index`.

        The server keeps the bytes of those that it has not yet; an interrupted run resumes. It
        takes no products: `product_column` is refused, and so is `cluster`.
        """
        if cluster is not None:
            raise InputError(
                f"{self.url} reads by itself: index on a cluster where the catalogue's folder is"
            )
        if product_column is not None:
            raise InputError(
                f"{self.url} takes no products: index the table where the catalogue's folder is"
            )
        started = time.perf_counter()
        if not isinstance(sources, Walk):
            sources = find_images(sources, skip_bad_rows=skip_bad_rows)
        given = [*sources.images, *images]
        sent = send_images(self._server, given, self._looks_up(len(given)), options, "index")
        seconds = time.perf_counter() - started
        failures = (*sources.failures, *sent.failures)
        return IndexResult(
            added=sent.added,
            unchanged=sent.unchanged,
            failed=len(failures),
            failures=failures,
            **sources.listed,
            unused_profiles=(),
            images=len(self),
            seconds=seconds,
            images_per_second=len(given) / seconds,
            bad_rows=tuple(sources.bad_rows),
        )

    def tag(
        self,
        attributes: Sequence[str] | None = None,
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> TagResult:
        """Apply attributes to every image; see `Catalogue.tag`. It is a job of the server.

        If the call is interrupted, the job is cancelled.
        """
        started = time.perf_counter()
        asked: dict[str, Any] = {"kind": "tag", **cut_fields(min_confidence, at_precision)}
        if attributes is not None:
            asked["attributes"] = list(attributes)
        job = self._ask("POST", "/v1/jobs", body=Payload(asked), changes=True, repeatable=False)
        route, wait = f"/v1/jobs/{job['id']}", 0.02
        try:
            while job["state"] in ("waiting", "running", "interrupted"):
                options.progress(job["step"] or "tag", job["done"], job["total"])
                time.sleep(wait)
                wait = min(1.5 * wait, _LONGEST_WAIT)
                job = self._ask("GET", route)
        except BaseException:
            with contextlib.suppress(GinghamError):
                self._ask("DELETE", route, changes=True)
            raise
        if job["state"] != "done":
            raise CatalogueError(
                f"{self.url} has not applied the attributes: "
                f"{job['error'] or 'the job was cancelled'}"
            )
        return TagResult(
            attributes=job["result"]["attributes"],
            images=len(self),
            seconds=time.perf_counter() - started,
            failures=tuple(Failure(**one) for one in job["result"]["failed"]),
        )

    def set_schema(self, schema: Schema | str | os.PathLike[str]) -> dict[str, list[str]]:
        """Set what attributes and values mean; see `Catalogue.set_schema`."""
        given = schema if isinstance(schema, Schema) else Schema.read(Path(schema))
        said = self._ask("PUT", "/v1/schema", body=Payload(given.to_dict()), changes=True)
        untagged: dict[str, list[str]] = said["untagged"]
        return untagged

    def undo(self, number: int) -> RecordedChange:
        """Undo a change; see `Catalogue.undo`. A server applies its attribute again."""
        route = f"/v1/history/{int(number)}/undo"
        try:
            return RecordedChange(**self._ask("POST", route, changes=True, repeatable=False))
        except ServerError:
            raise
        except CatalogueError as error:
            raise UndoError(str(error)) from None

    def remove(self, images: Iterable[str | os.PathLike[str]]) -> int:
        """Remove images; return the number of files removed; see `Catalogue.remove`.

        Parameters
        ----------
        images : ids, files as the server knows them, or files here with the same bytes. Of an image
            with several files all are removed.
        """
        found: dict[str, int] = {}
        names: dict[str, str] | None = None
        for image in images:
            name = os.fspath(image)
            if not is_id(name):
                if names is None:
                    names = {file: i for i, files in self.images().items() for file in files}
                name = names.get(name) or _hashed(name) or name
            one = self._find(name) if is_id(name) else None
            if one is None:
                raise InputError(
                    f"{os.fspath(image)} is not in catalogue {self.url}: nothing was removed"
                )
            found[name] = 1 + len(one["copies"])
        for name in found:
            self._ask("DELETE", f"/v1/images/{name}", changes=True, repeatable=False)
        return sum(found.values())


def _hashed(file: str) -> str | None:
    try:
        return hash_source(file)[0].hex()
    except ImageError:
        return None
