"""What a served catalogue is asked that changes nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np

from gingham.attributes.attribute import Model
from gingham.client import answers
from gingham.client.connection import Connection, Part, Payload, Query, quoted
from gingham.client.cutting import cut_fields, cut_query
from gingham.client.given import GivenImage, Unread, form_of, name_of, read_batches, read_given
from gingham.cutoff import CutoffResult
from gingham.errors import ImageError, InputError
from gingham.explaining.explanation import ImageExplanations
from gingham.images import Box, ImageSource, open_image
from gingham.operations.choosing import By, Narrowed
from gingham.options import DEFAULTS, ReadOptions
from gingham.report.notebook import HitList
from gingham.results import Facets, Hit, ImagePredictions
from gingham.review_results import RecordedChange, ReviewOrder, ReviewResult
from gingham.schema.schema import Schema
from gingham.schema.words import Understood
from gingham.upkeep_results import Info

T = TypeVar("T")

PAGE = 500
"""Images that the server lists at once."""
_LARGEST = 1024
"""Pixels of a thumbnail's longer side, at most."""
_MOST_HITS = 1000
"""Hits that the server gives at once."""


class RemoteReading:
    """The methods of `RemoteCatalogue` that change nothing.

    Parameters
    ----------
    connection : to the server; it is closed with this.
    """

    def __init__(self, connection: Connection) -> None:
        self._server = connection
        self._ask = connection.ask

    @property
    def url(self) -> str:
        """Where the catalogue is served."""
        return self._server.url

    def close(self) -> None:
        """Close the connections to the server."""
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteCatalogue {self.url}>"

    def __len__(self) -> int:
        return int(self._described()["images"])

    def _described(self) -> dict[str, Any]:
        found = self._ask("GET", "/v1/catalogue")
        if not isinstance(found, dict) or "fingerprint" not in found:
            raise self._server.stranger("what this version does not know")
        return found

    def info(self) -> Info:
        """Say what the catalogue holds; of an attached model only the folder's name is known."""
        return Info.from_dict({**self._described(), "catalogue": self.url})

    @property
    def schema(self) -> Schema:
        """What attributes and values mean; see `Catalogue.schema`."""
        return Schema.from_dict(self._ask("GET", "/v1/schema"), where=f"the schema of {self.url}")

    def images(self) -> dict[str, tuple[str, ...]]:
        """Return the id of every image (64 hexadecimal digits) and its files on the server."""
        return {one["id"]: (one["image"], *one["copies"]) for one in self._listed()}

    def _listed(self, where: Sequence[str] = (), cutoff: Query = ()) -> Iterator[dict[str, Any]]:
        """List images in the order they were added; others may be added meanwhile."""
        return self._pages("/v1/images", "images", [*_repeated("where", where), *cutoff])

    def _pages(self, route: str, field: str, query: Query = ()) -> Iterator[dict[str, Any]]:
        """Give all that a route lists page by page, each id once."""
        seen = set()
        for offset in itertools.count(0, PAGE):
            page = self._ask("GET", route, [*query, ("offset", str(offset)), ("n", str(PAGE))])
            for one in page[field]:
                if one["id"] not in seen:
                    seen.add(one["id"])
                    yield one
            if offset + PAGE >= page["total"]:
                return

    def _find(self, image: str) -> dict[str, Any] | None:
        """Describe an image by its id; None if it is not in the catalogue."""
        try:
            found: dict[str, Any] = self._ask("GET", f"/v1/images/{image}")
        except InputError:
            return None
        return found

    def facets(
        self,
        where: Sequence[str] = (),
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> Facets:
        """Count images per value; see `Catalogue.facets`."""
        query = [*_repeated("where", where), *cut_query(min_confidence, at_precision)]
        return Facets.from_dict(self._ask("GET", "/v1/facets", query))

    def cutoff(
        self,
        attribute: str,
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
    ) -> CutoffResult:
        """Say how sure the answers of an attribute must be; see `Catalogue.cutoff`."""
        query = cut_query(min_confidence, at_precision)
        return CutoffResult(**self._ask("GET", f"/v1/attributes/{quoted(attribute)}/cutoff", query))

    def search(
        self,
        images: ImageSource | Sequence[ImageSource] = (),
        *,
        text: str | None = None,
        looks: Mapping[str, float] | None = None,
        colours: Mapping[str, float] | None = None,
        where: Sequence[str] = (),
        unlike: Sequence[ImageSource] = (),
        crop: Box | None = None,
        n: int = 10,
        min_score: float | None = None,
        with_self: bool = False,
        distinct: bool = False,
        by: By | None = None,
        min_confidence: float | None = None,
        at_precision: float | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> HitList:
        """Find the images most similar to given ones, words or colours; see `Catalogue.search`.

        Images that lie here are uploaded; 16 can be given at once.
        """
        if n < 1:
            raise InputError(f"n must be at least 1, got {n}")
        given: Sequence[ImageSource] = (
            images
            if isinstance(images, Sequence) and not isinstance(images, (str, bytes))
            else [images]
        )
        if text is not None and not text.strip():
            raise InputError("text is empty: give words to search by, or leave it out")
        if not given and not colours and not where and text is None:
            raise InputError("search needs at least one image, a colour or a filter")
        Narrowed(by=by)
        if crop is not None and len(given) != 1:
            raise InputError(f"crop is a box of one image: give one, not {len(given)}")
        like, others = ([_read(one, options) for one in side] for side in (given, unlike))
        said: dict[str, Any] = {"where": list(where), "n": min(n, _MOST_HITS)}
        said |= {} if text is None else {"text": text}
        said |= {} if looks is None else {"looks": dict(looks)}
        said |= {} if colours is None else {"colours": dict(colours)}
        said |= {} if min_score is None else {"min_score": min_score}
        said |= {} if crop is None else {"crop": tuple(crop)}
        said |= {"with_self": True} if with_self else {}
        said |= {"distinct": True} if distinct else {}
        said |= {} if by is None else {"by": by}
        said |= cut_fields(min_confidence, at_precision)
        form = [*form_of("image", like), *form_of("unlike", others, ids="unlike")]
        try:
            page = self._ask("POST", "/v1/search", body=_body(form, said))
            found = [Hit.from_dict(one) for one in page["hits"]]
            understood = page.get("understood")  # an older server says nothing
            while len(found) < n and page["cursor"] is not None:
                page = self._ask("POST", "/v1/search", body=Payload({"cursor": page["cursor"]}))
                found += [Hit.from_dict(one) for one in page["hits"]]
        except ImageError as error:
            raise ImageError(_renamed(str(error), [*like, *others])) from None
        hits = HitList(found[:n])
        hits.understood = None if understood is None else Understood.from_dict(understood)
        return hits

    def predict(
        self,
        images: Iterable[ImageSource],
        *,
        attributes: Sequence[str] | None = None,
        model: Model | None = None,
        min_confidence: float | None = None,
        at_precision: float | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> Iterator[ImagePredictions]:
        """Predict the attributes of images; see `Catalogue.predict`.

        Images that lie here are uploaded, a few at a time; the catalogue does not keep them.
        """
        self._refuse_model(model)
        said: dict[str, Any] = dict(cut_fields(min_confidence, at_precision))
        said |= {} if attributes is None else {"attributes": list(attributes)}
        return _begun(self._predict(list(images), said, options))

    def _predict(
        self, images: Sequence[ImageSource], said: Mapping[str, Any], options: ReadOptions
    ) -> Iterator[ImagePredictions]:
        done = 0
        for batch in read_batches(images, options):
            usable = [one for one in batch if isinstance(one, GivenImage)]
            found = iter(self._predict_some(usable, said) if usable else ())
            for one in batch:
                if isinstance(one, Unread):
                    yield ImagePredictions(one.name, error=one.reason)
                else:
                    yield next(found)
                done += 1
                options.progress("predict", done, len(images))

    def _predict_some(
        self, images: Sequence[GivenImage], said: Mapping[str, Any]
    ) -> list[ImagePredictions]:
        body = _body(form_of("image", images), said)
        try:
            results = self._ask("POST", "/v1/predict", body=body)["results"]
        except (ImageError, InputError) as error:
            if len(images) > 1:  # one of them, or all: each fails by itself
                return [one for image in images for one in self._predict_some([image], said)]
            (image,) = images
            if isinstance(error, ImageError):
                return [ImagePredictions(image.name, error=_renamed(str(error), images))]
            if image.data is None and self._find(image.id) is None:
                return [ImagePredictions(image.name, error="no image of the catalogue has this id")]
            raise
        # The server answers for those named first.
        order = [one for one in images if one.data is None]
        order += [one for one in images if one.data is not None]
        made = {
            id(one): answers.predictions_of(one.name, found)
            for one, found in zip(order, results, strict=True)
        }
        return [made[id(one)] for one in images]

    def explain(
        self,
        images: Iterable[ImageSource],
        *,
        attributes: Sequence[str] | None = None,
        values: Sequence[str] = (),
        model: Model | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> Iterator[ImageExplanations]:
        """Show where in images values were found; see `Catalogue.explain`.

        Only images that are in the catalogue can be explained, by their id or a file here.
        """
        self._refuse_model(model)
        query = [*_repeated("attribute", attributes or ()), *_repeated("value", values)]
        return _begun(self._explain(list(images), [*query, ("heat", "true")], options))

    def _explain(
        self, images: Sequence[ImageSource], query: Query, options: ReadOptions
    ) -> Iterator[ImageExplanations]:
        for done, image in enumerate(images, 1):
            try:
                one = read_given(image, options)
                if self._find(one.id) is None:
                    raise ImageError("it is not in the served catalogue: index it first")
                said = self._ask("GET", f"/v1/images/{one.id}/explain", query)
                data = one.data or self._server.fetch(
                    "GET", f"/v1/images/{one.id}/thumbnail", [("size", str(_LARGEST))]
                )
                picture = open_image(data, max_pixels=options.max_pixels, draft=_LARGEST)
            except ImageError as error:
                yield ImageExplanations(name_of(image), error=str(error))
            else:
                found = tuple(answers.explanation_of(why) for why in said["explanations"])
                yield ImageExplanations(one.name, found, np.asarray(picture))
            options.progress("explain", done, len(images))

    def examples(self) -> dict[str, frozenset[str]]:
        """Give the ids of the images that each taught attribute was taught with."""
        return {
            name: frozenset(one["id"] for one in self._examples(name))
            for name, one in self.info().attributes.items()
            if one.examples
        }

    def _examples(self, attribute: str) -> Iterator[dict[str, Any]]:
        """List what an attribute was taught with; others may teach it meanwhile."""
        return self._pages(f"/v1/attributes/{quoted(attribute)}/examples", "examples")

    @property
    def taught(self) -> Model:
        """Refuse: what a model needs is not here; see `Catalogue.taught`.

        Raises
        ------
        InputError
            Always.
        """
        raise self._no_model()

    def history(self, *, before: int | None = None, n: int = 50) -> list[RecordedChange]:
        """List what was changed, the newest first; see `Catalogue.history`."""
        query = [("n", str(n)), *([] if before is None else [("before", str(before))])]
        said = self._ask("GET", "/v1/history", query)
        return [RecordedChange.from_dict(one) for one in said["changes"]]

    def review(
        self,
        attribute: str,
        *,
        order: ReviewOrder = "useful",
        value: str | None = None,
        n: int = 50,
        offset: int = 0,
    ) -> ReviewResult:
        """List the images that somebody should look at; see `Catalogue.review`."""
        query = [("order", order), ("n", str(n)), ("offset", str(offset))]
        query += [] if value is None else [("value", value)]
        said = self._ask("GET", f"/v1/attributes/{quoted(attribute)}/review", query)
        return ReviewResult.from_dict(said)

    def _refuse_model(self, model: Model | None) -> None:
        if model is not None:
            raise self._no_model()

    def _no_model(self) -> InputError:
        return InputError(
            f"{self.url} answers with the attributes of its catalogue: use a model where the "
            "catalogue's folder is"
        )


def _body(form: Sequence[Part], said: Mapping[str, Any]) -> Payload:
    """Write images and what is said of them as a form or, where nothing is uploaded, as JSON."""
    if any(not isinstance(value, str) for _, value in form):
        fields: list[Part] = []
        for name, value in said.items():
            if isinstance(value, list):
                fields += [(name, str(one)) for one in value]
            else:
                fields.append((name, value if isinstance(value, str) else json.dumps(value)))
        return Payload(form=[*form, *fields])
    named: dict[str, Any] = {}
    for name, value in form:
        named.setdefault(name, []).append(value)
    return Payload({**named, **said})


def _read(image: ImageSource, options: ReadOptions) -> GivenImage:
    try:
        return read_given(image, options)
    except ImageError as error:
        raise ImageError(f"{name_of(image)}: {error}") from None


def _renamed(message: str, images: Sequence[GivenImage]) -> str:
    """Name uploads in a server's message as the caller does."""
    for one in images:
        if one.data is not None:
            message = message.replace(f"image {one.id}: ", f"{one.name}: ")
    return message


def _repeated(name: str, values: Sequence[str]) -> Query:
    return [(name, value) for value in values]


def _begun(results: Iterator[T]) -> Iterator[T]:
    """Ask for the first result now, so that what is wrong with the call is raised by it."""
    first = list(itertools.islice(results, 1))
    return itertools.chain(first, results)
