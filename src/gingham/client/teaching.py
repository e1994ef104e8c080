"""Attributes of a served catalogue: taught, corrected, forgotten."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from gingham.attributes.teachable import DataFrame, Pairs
from gingham.client import answers
from gingham.client.connection import Payload, quoted
from gingham.client.given import is_id
from gingham.client.reading import PAGE
from gingham.client.sending import Sent, send_images
from gingham.client.writing import RemoteWriting
from gingham.errors import ImageError, InputError
from gingham.images import ImageSource, hash_source
from gingham.labels import Label, Labels, Teachable
from gingham.names import UNKNOWN_WORDS, check_attribute
from gingham.operations.correct import Corrections
from gingham.operations.teach import TableColumns, given_examples, read_teachable
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import Failure, TeachResult

_MOST_EXAMPLES = 4000
"""Examples of one request, whose body may have 1 MiB."""

Said = dict[str, str | list[str] | None]
"""Id -> what is said of it."""


class RemoteTeaching(RemoteWriting):
    """The methods of `RemoteCatalogue` that teach."""

    def teach(
        self,
        attribute: str,
        examples: str | os.PathLike[str] | Teachable | Pairs | DataFrame,
        *,
        image_column: str = "image",
        value_column: str | None = None,
        group_column: str | None = None,
        kind: str | None = None,
        layers: str | Sequence[str] = "auto",
        views: bool = True,
        allowed_loss: float | None = None,
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
            Also for `group_column`, `layers`, `views`, `allowed_loss` and `merge_variants`, which
            a server does not take.
        """
        started = time.perf_counter()
        plain = layers == "auto" and views and allowed_loss is None and not merge_variants
        if group_column is not None or not plain:
            raise InputError(
                f"{self.url} takes no group column, layers, views, allowed loss or merged "
                "variants: leave them out, or teach where the catalogue's folder is"
            )
        attribute = check_attribute(attribute)
        kind = self._kind(attribute, kind)
        given, columns = given_examples(
            examples, attribute, TableColumns(image_column, value_column)
        )
        labels, images = read_teachable(
            given,
            attribute,
            kind,
            columns,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=unknown_words,
        )
        said, sent = self._send(attribute, labels, images, kind, options)
        answer: Mapping[str, Any] = {}
        rows = list(said.items())
        parts = -(-len(rows) // _MOST_EXAMPLES)
        for part in range(parts):
            # Every part has something of all values: each is taught as it arrives.
            answer = self._say(attribute, dict(rows[part::parts]), kind)
        return answers.taught_of(answer, labels, sent.failures, time.perf_counter() - started)

    def correct(
        self,
        attribute: str,
        corrections: Corrections,
        *,
        kind: str | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> TeachResult:
        """Add examples to an attribute, and take examples out of it; see `Catalogue.correct`.

        Examples that the catalogue has not are added to it, even if nothing is taught in the end.

        Raises
        ------
        InputError
            Also if there are more than 4,000 corrections, which a server does not take at once.
        """
        started = time.perf_counter()
        if len(corrections) > _MOST_EXAMPLES:
            raise InputError(
                f"{len(corrections)} corrections: a server takes {_MOST_EXAMPLES} at once, so give "
                "them in parts"
            )
        attribute = check_attribute(attribute)
        kind = self._kind(attribute, kind)
        out = {}
        for image in (one for one, value in corrections.items() if value is None):
            try:
                out[str(image) if is_id(image) else hash_source(image)[0].hex()] = image
            except ImageError:
                raise InputError(
                    f"{image!r} is no example of {attribute!r}: nothing was changed"
                ) from None
        given = {image: value for image, value in corrections.items() if value is not None}
        labels, sent, said = Labels([], 0), Sent([], 0, 0, ()), Said()
        if given or not out:
            labels, images = read_teachable(
                given,
                attribute,
                kind,
                TableColumns(),
                trust_predictions=False,
                skip_bad_rows=False,
                unknown_words=UNKNOWN_WORDS,
            )
            said, sent = self._send(attribute, labels, images, kind, options)
        try:
            answer = self._say(attribute, {**said, **dict.fromkeys(out)}, kind)
        except InputError as error:
            message = str(error)
            for image_id, image in out.items():
                message = message.replace(repr(image_id), repr(image))
            raise InputError(message) from None
        return answers.taught_of(answer, labels, sent.failures, time.perf_counter() - started)

    def forget(self, attribute: str, value: str | None = None) -> None:
        """Delete an attribute, or one value of it; see `Catalogue.forget`."""
        query = [] if value is None else [("value", value)]
        route = f"/v1/attributes/{quoted(attribute)}"
        self._ask("DELETE", route, query, changes=True, repeatable=False)

    def _looks_up(self, count: int) -> Callable[[str], bool]:
        """Give what tells whether an id is there: one question each, or one for all of many."""
        if count * PAGE > len(self):
            there = {one["id"] for one in self._listed()}
            return there.__contains__
        return lambda image: self._find(image) is not None

    def _kind(self, attribute: str, kind: str | None) -> str:
        known = self._described()["attributes"].get(attribute)
        return kind or (known["kind"] if known else "single")

    def _send(
        self,
        attribute: str,
        labels: Labels,
        images: Sequence[ImageSource],
        kind: str,
        options: ReadOptions,
    ) -> tuple[Said, Sent]:
        """Upload the examples that the catalogue has not; give what is said of them by id.

        Raises
        ------
        InputError
            If none can be used.
        """
        sent = send_images(self._server, images, self._looks_up(len(images)), options, "teach")
        said: Said = {
            image: _value(row, kind)
            for image, row in zip(sent.ids, labels.rows, strict=True)
            if image is not None
        }
        if not said:
            told = Failure.told(sent.failures)
            raise InputError(f"no example of {attribute!r} can be used{told}")
        return said, sent

    def _say(self, attribute: str, said: Said, kind: str) -> dict[str, Any]:
        body = {"examples": said, "kind": kind, "apply": False}
        route = f"/v1/attributes/{quoted(attribute)}/examples"
        found: dict[str, Any] = self._ask("POST", route, body=Payload(body), changes=True)
        return found


def _value(row: Label, kind: str) -> str | list[str]:
    """Write what a label says as the server reads it."""
    said = [value if has else f"!{value}" for value, has in row.values.items()]
    return said if kind == "multi" else said[0]
