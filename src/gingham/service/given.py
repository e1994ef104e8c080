"""What a request gives: images uploaded or named, and the query beside them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from gingham.errors import ImageError, InputError, StorageError
from gingham.service.limits import Limits
from gingham.service.problems import (
    INVALID,
    MALFORMED,
    MEDIA,
    Fault,
    ProblemError,
    invalid,
)
from gingham.service.schemas import ImageQuery, listed

Q = TypeVar("Q", bound=BaseModel)

FORM = "multipart/form-data"
JSON = "application/json"

_LISTS = ("id", "unlike", "where", "attributes", "value")
"""Fields of a form that may come several times."""
_TEXTS = ("cursor", "kind", "by", "text")
"""Fields of a form that are taken as they are; the others are written as JSON."""
_FILES = 1000


class Upload:
    """An uploaded image; its bytes are read in the thread that needs them.

    Parameters
    ----------
    file : holds it.
    name : what its sender calls it.
    """

    def __init__(self, file: BinaryIO, name: str = "") -> None:
        self._file = file
        self._data: bytes | None = None
        self.name = name

    def read(self) -> bytes:
        """Give its bytes.

        Raises
        ------
        ImageError
            If it is empty.
        """
        if not self.data:
            raise ImageError("an upload is empty: send the bytes of an image file")
        return self.data

    @property
    def data(self) -> bytes:
        """Its bytes, which may be none."""
        if self._data is None:
            self._file.seek(0)
            self._data = self._file.read()
        return self._data

    @property
    def id(self) -> str:
        """The SHA-256 of its bytes, in hexadecimal."""
        return hashlib.sha256(self.read()).hexdigest()


Given = str | Upload
"""An image by its id, or uploaded."""


@dataclass(frozen=True)
class Asked(Generic[Q]):
    """A query and the images given with it: those named first, then the uploads."""

    query: Q
    images: Sequence[Given] = ()
    unlike: Sequence[Given] = ()


@contextlib.asynccontextmanager
async def asked(request: Request, model: type[Q], limits: Limits) -> AsyncIterator[Asked[Q]]:
    """Read a request whose body is JSON, or a form with uploads, which last as long as this.

    Raises
    ------
    ProblemError
        If the body is neither, cannot be parsed, or says what it may not.
    """
    kind = type_of(request)
    if kind == JSON:
        yield _check(Asked(await read_json(request, model)), limits)
    elif kind == FORM:
        async with read_form(request, model) as found:
            yield _check(found, limits)
    else:
        raise ProblemError(
            MEDIA, f"send {FORM} with the field image, or {JSON} with an id; got {kind!a}"
        )


@contextlib.asynccontextmanager
async def read_form(request: Request, model: type[Q]) -> AsyncIterator[Asked[Q]]:
    """Read a form with uploads, which last as long as this.

    Raises
    ------
    ProblemError
        If it is of another type, cannot be parsed, or says what it may not.
    StorageError
        If there is no room for the uploads.
    """
    kind = type_of(request)
    if kind != FORM:
        raise ProblemError(MEDIA, f"send {FORM} with the field image; got {kind!a}")
    try:
        # Parts that are no files are held in memory.
        form = await request.form(max_files=_FILES, max_fields=_FILES, max_part_size=1 << 16)
    except OSError as error:  # large uploads wait in temporary files
        temporary = tempfile.tempdir or "the folder of temporary files"
        raise StorageError.of(error, temporary) from error
    try:
        yield _read_form(list(form.multi_items()), model)
    finally:
        await form.close()


async def read_json(request: Request, model: type[Q]) -> Q:
    """Read a body of JSON.

    Raises
    ------
    ProblemError
        If it is of another type, is no JSON, or says what it may not.
    """
    kind = type_of(request)
    if kind != JSON:
        raise ProblemError(MEDIA, f"send {JSON}; got {kind!a}")
    try:
        value = _parse(await request.body())
    except (ValueError, RecursionError) as error:
        raise ProblemError(MALFORMED, f"the body is no JSON: {error}") from None
    return _validate(model, value)


def type_of(request: Request) -> str:
    """Give the media type of a request's body, in lower case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _read_form(items: Sequence[tuple[str, Any]], model: type[Q]) -> Asked[Q]:
    values: dict[str, Any] = {}
    files: dict[str, list[Upload]] = {"image": [], "unlike": []}
    faults = []
    for name, value in items:
        if not isinstance(value, str):
            if name in files:
                files[name].append(Upload(value.file, value.filename or ""))
            else:
                faults.append(Fault(place=name, detail="this field takes no file"))
        elif name == "image":
            faults.append(Fault(place=name, detail="send it as a file, with a file name"))
        elif name in _LISTS:
            values.setdefault(name, []).append(value)
        elif name in values:
            faults.append(Fault(place=name, detail="it is given twice"))
        else:
            try:
                values[name] = value if name in _TEXTS else _parse(value)
            except (ValueError, RecursionError):
                faults.append(Fault(place=name, detail=f"this is no JSON: {value[:60]!a}"))
    if faults:
        detail = "; ".join(f"{fault.place}: {fault.detail}" for fault in faults[:5])
        raise ProblemError(INVALID, detail, errors=faults)
    return Asked(_validate(model, values), files["image"], files["unlike"])


def _parse(text: str | bytes) -> Any:
    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number of JSON")

    return json.loads(text, parse_constant=refuse)


def _validate(model: type[Q], value: Any) -> Q:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error) from None


def _check(found: Asked[Q], limits: Limits) -> Asked[Q]:
    """Put the images named before those uploaded, and count them."""
    query = found.query
    assert isinstance(query, ImageQuery)
    images = (*listed(query.id), *found.images)
    unlike = (*listed(getattr(query, "unlike", [])), *found.unlike)
    if len(images) + len(unlike) > limits.images:
        raise InputError(
            f"{len(images) + len(unlike)} images: give at most {limits.images} at once"
        )
    if query.crop is not None and len(images) != 1:
        raise InputError(f"crop is a box of one image: give one, not {len(images)}")
    return Asked(query, images, unlike)


def request_body(model: type[BaseModel], *, unlike: bool = False) -> dict[str, Any]:
    """Describe both forms of a body for the OpenAPI document."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    upload = {"type": "array", "items": {"type": "string", "format": "binary"}}
    fields = {"image": upload | {"description": "Image files."}, **schema["properties"]}
    for name in _LISTS:
        if name in fields:
            some = {"type": "array", "items": {"type": "string"}}
            fields[name] = some | {"description": schema["properties"][name].get("description", "")}
    if unlike:
        fields["unlike"] = upload | {"description": "Image files, or ids, not to look like."}
    form = {"type": "object", "properties": fields, "additionalProperties": False}
    return {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schema}, FORM: {"schema": form}},
        }
    }
