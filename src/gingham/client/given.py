"""Images as a caller gives them: ids are sent as ids, what lies here is read and uploaded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gingham.client.connection import Part
from gingham.decoding.signatures import LARGE
from gingham.errors import ImageError
from gingham.images import ImageSource, hash_source, open_image
from gingham.options import ReadOptions

MOST_IMAGES = 16
"""Images that one request may give."""
MOST_BYTES = LARGE
"""Bytes of an image that a server takes, its form included."""
BATCH_BYTES = 8 << 20
"""Bytes of the images of one request, where it has several: a slow line has 30 seconds for it."""
MOST_PIXELS = 50_000_000
"""Pixels of an image that a server decodes."""

_FORM_BYTES = 4096


@dataclass(frozen=True)
class GivenImage:
    """An image that lies here, or one of the server.

    Attributes
    ----------
    name : what results call it: its path as it was given, or its id.
    id : the SHA-256 of its bytes in hexadecimal.
    data : its bytes; None if it is known by its id alone.
    """

    name: str
    id: str
    data: bytes | None = None


def is_id(image: ImageSource) -> bool:
    """Tell whether an image is given by an id: 64 hexadecimal digits that are no file here."""
    return (
        isinstance(image, str)
        and len(image) == 64
        and not image.strip("0123456789abcdef")
        and not os.path.lexists(image)
    )


def read_given(image: ImageSource, options: ReadOptions) -> GivenImage:
    """Read an image that lies here; an id is left as it is.

    Raises
    ------
    ImageError
        If it cannot be read, or is larger than the options or a server allow; without its name.
    """
    if is_id(image):
        return GivenImage(str(image), str(image))
    digest, data = hash_source(image)
    if data is None or len(data) > MOST_BYTES - _FORM_BYTES:
        raise ImageError(
            f"a server takes no file larger than {MOST_BYTES >> 20} MiB: make it smaller, or save "
            "it as JPEG"
        )
    if options.max_pixels < MOST_PIXELS:
        # The server has a limit of its own, above this one.
        open_image(data, max_pixels=options.max_pixels, draft=1)
    name = os.fspath(image) if isinstance(image, (str, os.PathLike)) else digest.hex()
    return GivenImage(name, digest.hex(), data)


def name_of(image: ImageSource) -> str:
    """Name an image that cannot be read."""
    return (
        os.fspath(image) if isinstance(image, (str, os.PathLike)) else f"<{type(image).__name__}>"
    )


def form_of(field: str, images: Sequence[GivenImage], *, ids: str = "id") -> list[Part]:
    """Write images as fields of a form: ids as texts, the others as files."""
    return [(ids, one.id) if one.data is None else _part(field, one) for one in images]


def _part(field: str, one: GivenImage) -> Part:
    # Named by its id: a file's name need not be text, and the server keeps none.
    return field, (one.id, one.data or b"", "application/octet-stream")


@dataclass(frozen=True)
class Unread:
    """An image that cannot be read, and why."""

    name: str
    reason: str


def read_batches(
    images: Sequence[ImageSource], options: ReadOptions
) -> Iterator[list[GivenImage | Unread]]:
    """Read images a few at a time, in order; those of one batch fit into one request."""
    batch: list[GivenImage | Unread] = []
    size = 0
    for image in images:
        one: GivenImage | Unread
        try:
            one = read_given(image, options)
        except ImageError as error:
            one = Unread(name_of(image), str(error))
        more = len(one.data or b"") if isinstance(one, GivenImage) else 0
        if batch and (len(batch) == MOST_IMAGES or size + more > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += more
    if batch:
        yield batch
