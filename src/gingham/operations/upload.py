"""Images handed over as bytes: kept in the catalogue's folder, then read like any other file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from gingham.decoding.signatures import HEAD, check_head, suffix_of
from gingham.errors import ImageError
from gingham.images import ImageId
from gingham.operations.ingest import ingest
from gingham.options import ReadOptions
from gingham.results import Failure, Uploaded, UploadResult
from gingham.sources import Walk
from gingham.store.locations import is_missing
from gingham.store.truth import Truth


def upload(truth: Truth, images: Sequence[tuple[str, bytes]], options: ReadOptions) -> UploadResult:
    """Add images by their bytes.

    An image that is in the catalogue, with a file that is there, is not kept once more. What is in
    the result is durable.

    Parameters
    ----------
    images : (what it is called, its bytes).
    """
    kept: dict[str, tuple[str, ImageId]] = {}
    added: list[Uploaded] = []
    unchanged: list[Uploaded] = []
    failures: list[Failure] = []
    try:
        for image, data in images:
            image_id = hashlib.sha256(data).digest()
            files = truth.locations.images.get(image_id, [])
            if any(not is_missing(file) for file in files):
                unchanged.append(Uploaded(image_id.hex(), image))
                continue
            try:
                check_head(data[:HEAD])
            except ImageError as error:
                failures.append(Failure(image, str(error)))
                continue
            # The bytes come first: whoever is told that an image is there must find it.
            file = truth.uploads.put(image_id, suffix_of(data[:HEAD]), data)
            one = Uploaded(image_id.hex(), image)
            (unchanged if files or file in kept else added).append(one)
            kept.setdefault(file, (image, image_id))
        reasons = {
            one.image: one.reason for one in ingest(truth, Walk(), list(kept), options).failures
        }
    finally:
        for file, (_, image_id) in kept.items():
            if truth.locations.files.get(file) != image_id:
                truth.uploads.delete(file)
    bad = {kept[file][1].hex(): reason for file, reason in reasons.items()}
    failures += [Failure(one.image, bad[one.id]) for one in added + unchanged if one.id in bad]
    return UploadResult(
        added=tuple(one for one in added if one.id not in bad),
        unchanged=tuple(one for one in unchanged if one.id not in bad),
        failures=tuple(failures),
        images=len(truth.locations.images),
    )
