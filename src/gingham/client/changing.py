"""What changes a served catalogue."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gingham.client.connection import Payload, quoted
from gingham.client.given import is_id
from gingham.client.reading import PAGE, RemoteReading
from gingham.client.sending import send_images
from gingham.errors import (
    CatalogueError,
    GinghamError,
    ImageError,
    InputError,
    ServerError,
    UndoError,
)
from gingham.images import ImageSource, hash_source
from gingham.labels import Label, Teachable
from gingham.names import UNKNOWN_WORDS
from gingham.operations.teach import TableColumns, read_teachable
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import (
    AttachResult,
    Confusion,
    Contradiction,
    Failure,
    IndexResult,
    TagResult,
    TeachResult,
)
from gingham.review_results import RecordedChange
from gingham.sources import Walk, find_images

_MOST_EXAMPLES = 4000
"""Examples of one request, whose body may have 1 MiB."""
_LONGEST_WAIT = 2.0
"""Seconds between two questions how far a job is, at most."""


class RemoteChanging(RemoteReading):
    """The methods of `RemoteCatalogue` that change the catalogue."""

    def index(
        self,
        sources: Iterable[str | os.PathLike[str]] | Walk = (),
        *,
        images: Iterable[ImageSource] = (),
        skip_bad_rows: bool = False,
        options: ReadOptions = DEFAULTS,
    ) -> IndexResult:
        """Add images that lie here; see `Catalogue.index`.

        The server keeps the bytes of those that it has not yet; an interrupted run resumes.
        """
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

    def _looks_up(self, count: int) -> Callable[[str], bool]:
        """Give what tells whether an id is there: one question each, or one for all of many."""
        if count * PAGE > len(self):
            there = {one["id"] for one in self._listed()}
            return there.__contains__
        return lambda image: self._find(image) is not None

    def teach(
        self,
        attribute: str,
        examples: str | os.PathLike[str] | Teachable,
        *,
        image_column: str = "image",
        value_column: str | None = None,
        group_column: str | None = None,
        kind: str | None = None,
        layers: str | Sequence[str] = "auto",
        views: bool = True,
        trust_predictions: bool = False,
        skip_bad_rows: bool = False,
        merge_variants: bool = False,
        unknown_words: Collection[str] = UNKNOWN_WORDS,
        options: ReadOptions = DEFAULTS,
    ) -> TeachResult:
        """Teach an attribute by examples, or add examples to it; see `Catalogue.teach`.

        Tables and folders are read here. Examples that the catalogue has not are added to it.

        Raises
        ------
        InputError
            Also for `group_column`, `layers`, `views` and `merge_variants`, which a server does not
            take.
        """
        started = time.perf_counter()
        if group_column is not None or layers != "auto" or not views or merge_variants:
            raise InputError(
                f"{self.url} takes no group column, layers, views or merged variants: leave them "
                "out, or teach where the catalogue's folder is"
            )
        known = self._described()["attributes"].get(attribute)
        kind = kind or (known["kind"] if known else "single")
        labels, images = read_teachable(
            examples if isinstance(examples, Mapping) else Path(examples),
            attribute,
            kind,
            TableColumns(image_column, value_column),
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=unknown_words,
        )
        sent = send_images(self._server, images, self._looks_up(len(images)), options, "teach")
        said = [
            (image, _value(row, kind))
            for image, row in zip(sent.ids, labels.rows, strict=True)
            if image is not None
        ]
        if not said:
            reason = f"; the first failed: {sent.failures[0].reason}" if sent.failures else ""
            raise InputError(f"no example of {attribute!r} can be used{reason}")
        answer: Mapping[str, Any] = {}
        parts = -(-len(said) // _MOST_EXAMPLES)
        for part in range(parts):
            # Every part has something of all values: each is taught as it arrives.
            body = {"examples": dict(said[part::parts]), "kind": kind, "apply": False}
            route = f"/v1/attributes/{quoted(attribute)}/examples"
            answer = self._ask("POST", route, body=Payload(body), changes=True)
        return TeachResult(
            attribute=answer["attribute"],
            kind=answer["kind"],
            values=tuple(answer["values"]),
            examples=answer["examples"],
            layers=tuple(answer["layers"]),
            accuracy=answer["accuracy"],
            macro_f1=answer["macro_f1"],
            folds=answer["folds"],
            unlabelled=labels.unlabelled,
            failures=(*labels.failures, *sent.failures),
            contradictions=tuple(Contradiction(**one) for one in answer["contradictions"]),
            variants=(),
            merged=False,
            seconds=time.perf_counter() - started,
            bad_rows=labels.bad_rows,
            confusions=tuple(Confusion(**one) for one in answer["confusions"]),
            **labels.listed,
        )

    def tag(
        self, attributes: Sequence[str] | None = None, *, options: ReadOptions = DEFAULTS
    ) -> TagResult:
        """Apply attributes to every image; see `Catalogue.tag`. It is a job of the server.

        If the call is interrupted, the job is cancelled.
        """
        started = time.perf_counter()
        asked: dict[str, Any] = {"kind": "tag"}
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

    def attach(
        self, model: str | os.PathLike[str], *, attributes: Sequence[str] | None = None
    ) -> AttachResult:
        """Refuse: a server takes no model; see `Catalogue.attach`.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"{self.url} takes no model: attach {os.fspath(model)} where the catalogue's folder is"
        )

    def forget(self, attribute: str, value: str | None = None) -> None:
        """Delete an attribute, or one value of it; see `Catalogue.forget`."""
        query = [] if value is None else [("value", value)]
        route = f"/v1/attributes/{quoted(attribute)}"
        self._ask("DELETE", route, query, changes=True, repeatable=False)

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


def _value(row: Label, kind: str) -> str | list[str]:
    """Write what a label says as the server reads it."""
    said = [value if has else f"!{value}" for value, has in row.values.items()]
    return said if kind == "multi" else said[0]


def _hashed(file: str) -> str | None:
    try:
        return hash_source(file)[0].hex()
    except ImageError:
        return None
