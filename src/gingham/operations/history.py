"""What was changed, by whom, and how it is undone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from gingham.attributes.attribute_fitting import fit
from gingham.attributes.registry import Attributes
from gingham.errors import InputError, UndoError
from gingham.images import ImageId
from gingham.names import check_attribute
from gingham.review_results import RecordedChange
from gingham.store.changes import Begun, ChangeEntry
from gingham.store.examples import Taught
from gingham.store.truth import Truth

_OF_EXAMPLES = {
    "teach": "taught",
    "examples": "corrected",
    "forget": "forgot",
    "undo": "put back",
}
_OF_IMAGES = {
    "index": "added",
    "upload": "uploaded",
    "remove": "removed",
    "prune": "removed",
    "undo": "brought back",
}
_OTHERS = {
    "attach": "attached the model",
    "relocate": "followed files that were moved",
    "schema": "set the schema",
    "text-look": "set the model of the look text",
}
_REMOVES = ("remove", "prune")


@contextlib.contextmanager
def recording(
    truth: Truth, verb: str, attribute: str | None = None, *, undoes: int = 0, detail: str = ""
) -> Iterator[None]:
    """Note in the log of changes what is done meanwhile, also if it fails on its way.

    Nothing is noted if nothing has changed.

    Parameters
    ----------
    verb : what is done.
    attribute : whose examples are changed, if any are.
    undoes : the number of the change that is undone.
    detail : added to the summary.
    """
    if attribute is not None:
        attribute = check_attribute(attribute, {*truth.log.read(), *truth.attached.current})
    said = truth.log.read().get(attribute or "")
    name, begun = truth.changes.begin(
        verb=verb,
        attribute=attribute,
        undoes=undoes,
        detail=detail,
        examples=truth.log.version,
        places=truth.locations.version,
        attached=truth.attached.version,
        images=len(truth.locations.images),
        schema=truth.schema.version,
        text=truth.text.version,
    )
    try:
        yield
    finally:
        _note(truth, begun, said)
        truth.changes.end(name)


def note_interrupted(truth: Truth) -> None:
    """Note the changes during which the process was killed, as far as they came."""
    for name, begun in truth.changes.begun():
        # It may have been killed after the note.
        if all((one.made, one.by) != (begun.made, begun.by) for one in truth.changes.entries()):
            said = truth.log.read_until(begun.examples).get(begun.attribute or "")
            _note(truth, begun, said)
        truth.changes.end(name)


def _note(truth: Truth, begun: Begun, said: Taught | None) -> None:
    """Note a change in the log, if anything was changed; of an attribute, what was said before."""
    attribute, examples, places = begun.attribute, truth.log.version, truth.locations.version
    before = (begun.examples, begun.places, begun.attached, begun.schema, begun.text)
    others = (truth.attached.version, truth.schema.version, truth.text.version)
    if before == (examples, places, *others):
        return
    count = abs(len(truth.locations.images) - begun.images)
    summary = _in_words(begun.verb, attribute, count)
    if attribute is not None:
        changed, out = _differences(said, truth.log.read().get(attribute))
        count = changed + out
        parts = [f"{_counted(changed, 'example')} added or changed"] if changed else []
        parts += [f"{_counted(out, 'example')} taken out"] if out else []
        summary += f": {', '.join(parts) or 'no example changed'}"
    truth.changes.append(
        made=begun.made,
        by=begun.by,
        verb=begun.verb,
        attribute=attribute,
        summary=f"{summary}{begun.detail}",
        images=count,
        examples_from=begun.examples,
        examples_to=begun.examples if attribute is None else examples,
        places_from=begun.places,
        places_to=places if attribute is None else begun.places,
        undoes=begun.undoes,
    )


def _in_words(verb: str, attribute: str | None, images: int) -> str:
    if attribute is not None:
        return f"{_OF_EXAMPLES[verb]} {attribute}"
    if verb in _OF_IMAGES:
        return f"{_OF_IMAGES[verb]} {_counted(images, 'image')}"
    return _OTHERS[verb]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _differences(before: Taught | None, after: Taught | None) -> tuple[int, int]:
    """Count the examples that are new or have other values, and those that are none any more."""
    old = {one.id: one.values for one in before.examples} if before else {}
    new = {one.id: one.values for one in after.examples} if after else {}
    changed = sum(old.get(image_id) != values for image_id, values in new.items())
    return changed, len(old.keys() - new.keys())


def history(truth: Truth, before: int | None, n: int) -> list[RecordedChange]:
    """List changes, newest first; see `Catalogue.history`."""
    if n < 1 or (before is not None and before < 1):
        raise InputError(f"expected n >= 1 and before >= 1, got {n} and {before}")
    entries = truth.changes.entries()
    undone, _ = _undone(entries)
    until = len(entries) if before is None else min(before - 1, len(entries))
    return [_recorded(entries, one, undone) for one in reversed(entries[max(0, until - n) : until])]


def undo(truth: Truth, attributes: Attributes, number: int) -> RecordedChange:
    """Undo a change; see `Catalogue.undo`."""
    entries = truth.changes.entries()
    if not 1 <= number <= len(entries):
        raise InputError(f"there is no change {number}: the last one is {len(entries)}")
    entry = entries[number - 1]
    undone, _ = _undone(entries)
    if (reason := _why_not(entries, entry, undone)) is not None:
        raise UndoError(f"change {number} ({entry.summary}) cannot be undone: {reason}")
    with recording(truth, "undo", entry.attribute, undoes=number, detail=f" (undid {number})"):
        if entry.attribute is None:
            removed = truth.locations.removed(entry.places_from, entry.places_to)
            known = truth.locations.files
            _check_features(truth, removed.values(), number)
            truth.locations.append([one for one in removed.items() if one[0] not in known])
        else:
            _put_back(truth, attributes, entry.attribute, entry)
    entries = truth.changes.entries()
    return _recorded(entries, entries[-1], _undone(entries)[0])


def _check_features(truth: Truth, ids: Iterable[ImageId], number: int) -> None:
    gone = [image_id for image_id in ids if image_id not in truth.features]
    if gone:
        raise UndoError(
            f"change {number} cannot be undone: gingham compact has deleted the features of "
            f"{_counted(len(gone), 'image')}; index the files again"
        )


def _put_back(truth: Truth, attributes: Attributes, attribute: str, entry: ChangeEntry) -> None:
    """Let the examples of an attribute be what they were before a change."""
    before = truth.log.read_until(entry.examples_from).get(attribute)
    if before is None:
        truth.log.forget(attribute, None)
        attributes.forget(attribute)
        return
    with attributes.keeping(fit(truth, attribute, before, attributes.background).attribute):
        truth.log.append(
            attribute,
            before.kind,
            before.layers,
            before.examples,
            replace=True,
            allowed_loss=before.allowed_loss,
        )
    old = {one.id: one.values for one in before.examples}
    said = truth.log.read_until(entry.examples_to).get(attribute)
    again = [one.id for one in said.examples if old.get(one.id) == one.values] if said else []
    confirmed = truth.confirmed.of(attribute)
    truth.confirmed.append(
        attribute,
        [one for one in again if one in confirmed],
        confirmed=False,
    )


def _undone(entries: Sequence[ChangeEntry]) -> tuple[dict[int, int], set[int]]:
    """Say which change is undone by which, and which two cancel each other."""
    undone: dict[int, int] = {}
    cancelled: set[int] = set()
    for one in reversed(entries):
        if one.undoes and one.number not in cancelled:
            undone[one.undoes] = one.number
            cancelled |= {one.number, one.undoes}
    return undone, cancelled


def _why_not(
    entries: Sequence[ChangeEntry], entry: ChangeEntry, undone: dict[int, int]
) -> str | None:
    """Say why a change cannot be undone; None if it can."""
    if entry.number in undone:
        return f"change {undone[entry.number]} has undone it already"
    if entry.attribute is None:
        return None if entry.verb in _REMOVES else "only removed images can be brought back"
    if entry.examples_from == entry.examples_to:
        return "it did not change what was taught"
    cancelled = _undone(entries)[1]
    later = [
        one.number
        for one in entries[entry.number :]
        if one.attribute == entry.attribute and one.number not in cancelled
    ]
    if later:
        return f"{entry.attribute!r} was changed since: undo change {later[-1]} first"
    return None


def _recorded(
    entries: Sequence[ChangeEntry], entry: ChangeEntry, undone: dict[int, int]
) -> RecordedChange:
    return RecordedChange(
        number=entry.number,
        made=datetime.fromtimestamp(entry.made, UTC).isoformat(timespec="seconds"),
        by=entry.by,
        verb=entry.verb,
        attribute=entry.attribute,
        summary=entry.summary,
        images=entry.images,
        undoable=_why_not(entries, entry, undone) is None,
        undone_by=undone.get(entry.number),
    )
