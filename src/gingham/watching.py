"""Folders that are watched: what arrives in them is indexed and tagged.

The catalogue is changed in rounds, each as short as what has arrived; between them it is free for
others to change.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from gingham.errors import CatalogueBusyError, InputError, require_extra
from gingham.formats.table import is_archive
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import Failure, Result
from gingham.sources import CLUTTER, find_images

if TYPE_CHECKING:
    from gingham.catalogue import Catalogue
    from gingham.client.remote import RemoteCatalogue

logger = logging.getLogger(__name__)

QUIET = 1.0
"""Seconds for which a file must not have changed before it is read."""
TRIES = 6
"""So often a file that cannot be read is tried: after 1, 2, 4, 8 and 16 seconds again."""

_POLL_MS = 500


@dataclass(frozen=True)
class WatchRound(Result):
    """What one round of watching did.

    Attributes
    ----------
    added, unchanged : images that are new, and files whose image was there; see `IndexResult`.
    failures : files that were given up, or not read when it ended: they are tried again when they
        change, or by the next watch.
    images : number of images now in the catalogue.
    tagged : whether the attributes were applied afterwards.
    """

    added: int
    unchanged: int
    failures: tuple[Failure, ...]
    images: int
    tagged: bool
    seconds: float


class _StoppedError(Exception):
    """Ends a call that reads images, from within its progress."""


@dataclass
class _Arrivals:
    """Files that wait to be read: each with how often it failed, and when it is due.

    Attributes
    ----------
    failures : why those that failed could not be read.
    """

    due: dict[str, tuple[int, float]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    untagged: bool = True  # there may be images without tags, from before, too

    def note(self, path: str) -> None:
        """Note that a file was written to: it is due once it is quiet."""
        self.due[path] = (0, time.monotonic() + QUIET)

    def failed(self, failure: Failure) -> bool:
        """Note that a file cannot be read; say whether it is given up."""
        path = failure.image
        tries, _ = self.due.get(path, (0, 0.0))
        if tries + 1 >= TRIES or not os.path.lexists(path):
            self.due.pop(path, None)
            return True
        self.due[path] = (tries + 1, time.monotonic() + QUIET * 2**tries)
        self.failures[path] = failure
        return False

    def unread(self) -> tuple[Failure, ...]:
        """Give the files that failed, are still there, and would be tried again."""
        return tuple(
            self.failures[path]
            for path, (tries, _) in self.due.items()
            if tries and os.path.lexists(path)
        )

    def ready(self) -> list[str]:
        """Give the files that are due and were not written to for a while."""
        now, settled = time.monotonic(), time.time() - QUIET
        ready = []
        for path, (tries, due) in list(self.due.items()):
            if due > now:
                continue
            try:
                changed = os.stat(path).st_mtime
            except OSError:
                if not os.path.lexists(path):
                    del self.due[path]  # it came and went
                    continue
                changed = 0.0
            # A time in the future is no sign of somebody writing.
            if settled < changed <= settled + QUIET:
                self.due[path] = (tries, now + QUIET)
            else:
                ready.append(path)
        return ready


def watch(
    catalogue: Catalogue | RemoteCatalogue,
    folders: Sequence[str | os.PathLike[str]],
    stop: Event,
    *,
    tag: bool = True,
    options: ReadOptions = DEFAULTS,
) -> Iterator[WatchRound]:
    """Index what is in folders, and then what arrives, until told to stop.

    A file is read once it has not been written to for a second. One that cannot be read then, say
    because its writer has paused, is tried again for half a minute, and whenever it changes.
    Where another process changes the catalogue, the round waits and is tried again. Files that
    leave stay in the catalogue; see `Catalogue.prune`.

    Parameters
    ----------
    catalogue : changed only during a round.
    folders : with all folders below them.
    stop : set from elsewhere, also in the middle of a round: what was read by then is kept.
    tag : apply the attributes after the first round, and after those that added images, if any is
        taught or attached.
    options : see `Catalogue.index`.

    Returns
    -------
    An iterator over the rounds in which something was read, the first with what was there; last of
    all, the files that could not be read and would have been tried again.

    Raises
    ------
    InputError
        If one of the folders is none.
    MissingExtraError
        If `watchfiles` is not installed.
    """
    require_extra("watch", "watchfiles", purpose="watching folders")
    tops = [os.path.abspath(folder) for folder in folders]
    for top in tops:
        if not Path(top).is_dir():
            raise InputError(f"{top} is no folder: give the folders that images arrive in")
    return _rounds(catalogue, tops, stop, tag, _stopping(options, stop))


def _rounds(
    catalogue: Catalogue | RemoteCatalogue,
    tops: Sequence[str],
    stop: Event,
    tag: bool,
    options: ReadOptions,
) -> Iterator[WatchRound]:
    from watchfiles import Change
    from watchfiles import watch as changes

    own = getattr(catalogue, "folder", None)
    left_out = None if own is None else os.path.realpath(own)
    arrivals = _Arrivals()
    # Watched from before the first look, so that nothing arrives unseen in between.
    events = changes(
        *tops,
        watch_filter=None,
        stop_event=stop,
        rust_timeout=_POLL_MS,
        yield_on_timeout=True,
        raise_interrupt=False,
        ignore_permission_denied=True,
    )
    next(events, None)
    for path in _below(tops, left_out):
        arrivals.due[path] = (0, 0.0)
    try:
        while not stop.is_set():
            if ready := arrivals.ready():
                try:
                    done = _index(catalogue, ready, arrivals, tag, options)
                except CatalogueBusyError as error:
                    logger.info("%s; trying again", error)
                else:
                    if done.added or done.unchanged or done.failures:
                        yield done
            for change, path in next(events, set()):
                if change is Change.deleted or _is_left_out(path, tops, left_out):
                    continue
                # Of a folder that was moved here nothing but its own name is told.
                inside = _below([path], left_out) if Path(path).is_dir() else [path]
                for one in inside:
                    arrivals.note(one)
    except _StoppedError:
        pass
    if unread := arrivals.unread():
        yield WatchRound(0, 0, unread, len(catalogue), tagged=False, seconds=0.0)


def _index(
    catalogue: Catalogue | RemoteCatalogue,
    paths: Sequence[str],
    arrivals: _Arrivals,
    tag: bool,
    options: ReadOptions,
) -> WatchRound:
    """Read files that are due; those that fail wait for their next try."""
    started = time.perf_counter()
    archives = [path for path in paths if is_archive(Path(path))]
    images = [path for path in paths if path not in set(archives)]
    failures: list[Failure] = []
    added = unchanged = 0
    results = [] if not images else [catalogue.index(images=images, options=options)]
    for archive in archives:
        try:
            results.append(catalogue.index([archive], options=options))
        except InputError as error:
            failures.append(Failure(archive, str(error)))
    for result in results:
        added, unchanged = added + result.added, unchanged + result.unchanged
        failures += result.failures
    failed = {failure.image for failure in failures}
    for path in set(paths) - failed:
        arrivals.due.pop(path, None)
    given_up = [
        failure
        for failure in failures
        if failure.image not in arrivals.due or arrivals.failed(failure)
        if os.path.lexists(failure.image) or failure.image not in paths
    ]
    arrivals.untagged |= added > 0
    tagged = False
    if tag and arrivals.untagged:
        tagged = any(not one.built_in for one in catalogue.info().attributes.values())
        if tagged:
            catalogue.tag(options=options)
        arrivals.untagged = False
    seconds = time.perf_counter() - started
    return WatchRound(added, unchanged, tuple(given_up), len(catalogue), tagged, seconds)


def _stopping(options: ReadOptions, stop: Event) -> ReadOptions:
    """End what is being read once `stop` is set."""
    before: Callable[[str, int, int], None] = options.progress

    def progress(step: str, done: int, total: int) -> None:
        if stop.is_set():
            raise _StoppedError
        before(step, done, total)

    return replace(options, progress=progress)


def _below(folders: Sequence[str], left_out: str | None) -> list[str]:
    """List the files of folders; one without any is no fault here."""
    found: list[str] = []
    for folder in folders:
        try:
            walk = find_images([folder], exclude=None if left_out is None else Path(left_out))
        except InputError:
            continue
        # A member of an archive is read with its archive.
        names = dict.fromkeys(_file_of(name) for name in walk.images)
        found += names
    return found


def _file_of(name: str) -> str:
    return name if os.path.lexists(name) else name.partition("#")[0]


def _is_left_out(path: str, tops: Sequence[str], left_out: str | None) -> bool:
    """Say whether a file is clutter, or of the catalogue itself; as `find_images` does."""
    if left_out is not None and (Path(left_out) in Path(os.path.realpath(path)).parents):
        return True
    top = next((one for one in tops if path.startswith(one)), "")
    parts = Path(path[len(top) :]).parts
    return any(part.startswith(".") or part.lower() in CLUTTER for part in parts)
