"""Images uploaded into a served catalogue, a few at a time; those that it has are not sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gingham.client.connection import Connection, Payload
from gingham.client.given import GivenImage, Unread, form_of, read_batches
from gingham.images import ImageSource
from gingham.options import ReadOptions
from gingham.results import Failure


@dataclass(frozen=True)
class Sent:
    """What became of images.

    Attributes
    ----------
    ids : of each image; None where it failed.
    added, unchanged : how many are new in the catalogue, and how many were there.
    failures : those that could not be read, and why.
    """

    ids: Sequence[str | None]
    added: int
    unchanged: int
    failures: tuple[Failure, ...]


def send_images(
    server: Connection,
    images: Sequence[ImageSource],
    is_there: Callable[[str], bool],
    options: ReadOptions,
    step: str,
) -> Sent:
    """Upload the images that are not in the catalogue.

    What was sent stays there if the call is interrupted, and is not sent again by the next.

    Parameters
    ----------
    is_there : tells whether an id is in the catalogue.
    step : for the progress.
    """
    ids: list[str | None] = []
    failures: list[Failure] = []
    there: dict[str, bool] = {}
    refused: dict[str, str] = {}
    added = done = 0
    for batch in read_batches(images, options):
        given = {one.id: one for one in batch if isinstance(one, GivenImage)}
        for image_id in given:
            if image_id not in there and image_id not in refused:
                there[image_id] = is_there(image_id)
        fresh = [one for i, one in given.items() if one.data is not None and not there.get(i, True)]
        new: set[str] = set()
        if fresh:
            body = Payload(form=form_of("image", fresh))
            said = server.ask("POST", "/v1/images", body=body, changes=True)
            refused |= {one["image"]: one["reason"] for one in said["failed"]}
            new = {one["id"] for one in said["added"]}
            there |= dict.fromkeys((one["id"] for one in said["added"] + said["unchanged"]), True)
        added += len(new)
        for one in batch:
            reason = _reason(one, there, refused)
            ids.append(one.id if isinstance(one, GivenImage) and reason is None else None)
            if reason is not None:
                failures.append(Failure(one.name, reason))
            done += 1
            options.progress(step, done, len(images))
    return Sent(ids, added, len(ids) - len(failures) - added, tuple(failures))


def _reason(
    one: GivenImage | Unread, there: dict[str, bool], refused: dict[str, str]
) -> str | None:
    if isinstance(one, Unread):
        return one.reason
    if one.id in refused:
        return refused[one.id]
    return None if there.get(one.id) else "no image of the catalogue has this id"
