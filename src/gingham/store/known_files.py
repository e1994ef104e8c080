"""The files of a catalogue and their images: arrays, and dicts of what came since."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gingham.images import ImageId
from gingham.store import ids as many
from gingham.store.ids import Ids
from gingham.store.settled import Settled


class Names(Protocol):
    """How names of files are stored."""

    def encode(self, name: str) -> bytes:
        """Give what is stored of a name."""

    def decode(self, name: bytes) -> str:
        """Give the name that was stored."""


class KnownFiles:
    """Files and images, of which changes since the arrays were made are kept in dicts.

    Parameters
    ----------
    load : gives the arrays, once, when they are first needed.
    counts : of files and of images in them.
    names : how their names are stored.

    Attributes
    ----------
    changed : file -> the id of its image, None: removed since.
    lists : of images whose files have changed, all their files.
    file_count, image_count : of all.
    """

    def __init__(self, load: Callable[[], Settled], counts: tuple[int, int], names: Names) -> None:
        self._load = load
        self._names = names
        self._turn = threading.Lock()
        self._settled: Settled | None = None
        self.changed: dict[str, ImageId | None] = {}
        self.lists: dict[ImageId, list[str]] = {}
        self.file_count, self.image_count = counts

    @property
    def settled(self) -> Settled:
        """The arrays."""
        if self._settled is None:
            with self._turn:
                if self._settled is None:
                    self._settled = self._load()
        return self._settled

    def file(self, name: str) -> ImageId | None:
        """Give the id of the image that a file holds; None if it is not known."""
        if name in self.changed:
            return self.changed[name]
        found = self.settled.file(self._names.encode(name))
        return None if found < 0 else self.settled.id_of(found)

    def image(self, image_id: object) -> list[str]:
        """List the files of an image; none if it is not known."""
        if isinstance(image_id, bytes) and (changed := self.lists.get(image_id)) is not None:
            return changed
        return self._files_of(self.settled.find(image_id))

    def images(self, image_ids: Sequence[ImageId]) -> list[list[str]]:
        """List the files of each of some images, as `image` does, with one look-up of their ids."""
        settled = self.settled
        places = many.find(settled.sorted_ids, many.from_list(image_ids))
        images = np.where(places < 0, -1, settled.by_id[places]) if len(settled.ids) else places
        changed = self.lists.get
        return [
            self._files_of(image) if (files := changed(image_id)) is None else files
            for image_id, image in zip(image_ids, images.tolist(), strict=True)
        ]

    def _files_of(self, image: int) -> list[str]:
        if image < 0:
            return []
        settled, decode = self.settled, self._names.decode
        return [decode(settled.name(file)) for file in settled.files_of(image)]

    def is_image(self, image_id: object) -> bool:
        """Say whether an image is known."""
        if isinstance(image_id, bytes) and (changed := self.lists.get(image_id)) is not None:
            return bool(changed)
        return self.settled.find(image_id) >= 0

    def apply(self, name: str, image_id: ImageId | None) -> None:
        """Take in an event."""
        old = self.file(name)
        if old == image_id:
            return
        # At the end of its dict, whatever there was before.
        self.changed.pop(name, None)
        if old is not None:
            files = self._own(old)
            files.remove(name)
            self.file_count -= 1
            self.image_count -= not files
        if image_id is not None:
            files = self._own(image_id)
            self.file_count += 1
            self.image_count += not files
            files.append(name)
        self.changed[name] = image_id

    def _own(self, image_id: ImageId) -> list[str]:
        if image_id not in self.lists:
            self.lists[image_id] = self.image(image_id)
        return self.lists[image_id]

    def file_ids(self) -> Iterator[tuple[str, ImageId]]:
        """Go through all files, with the ids of their images."""
        settled, decode = self.settled, self._names.decode
        ids = many.to_list(settled.ids)
        for name, image in zip(settled.names(), settled.image.tolist(), strict=True):
            if (file := decode(name)) not in self.changed:
                yield file, ids[image]
        for file, image_id in self.changed.items():
            if image_id is not None:
                yield file, image_id

    def copies(self) -> dict[ImageId, list[str]]:
        """Give the files of those images that have several."""
        settled = self.settled
        counts = np.bincount(settled.image, minlength=len(settled.ids))
        several = many.to_list(settled.ids[counts > 1])
        found = {key: self.image(key) for key in several if key not in self.lists}
        return found | {key: [*names] for key, names in self.lists.items() if len(names) > 1}

    def image_files(self) -> Iterator[tuple[ImageId, list[str]]]:
        """Go through all images, with their files."""
        settled, decode = self.settled, self._names.decode
        files: list[list[str]] = [[] for _ in settled.ids]
        for name, image in zip(settled.names(), settled.image.tolist(), strict=True):
            files[image].append(decode(name))
        for image_id, names in zip(many.to_list(settled.ids), files, strict=True):
            if image_id not in self.lists:
                yield image_id, names
        yield from ((image_id, names) for image_id, names in self.lists.items() if names)

    def ids(self) -> Ids:
        """Give the ids of all images."""
        if not self.lists:
            return self.settled.ids
        gone, there = self._changes()
        changed = many.are_in(np.concatenate([gone, there]), self.settled.ids)
        settled = self.settled.ids[~changed]
        return np.concatenate([settled, there])

    def has(self, ids: Ids) -> NDArray[np.bool_]:
        """Say which of N images are known."""
        found = many.find(self.settled.sorted_ids, ids) >= 0
        if self.lists:
            gone, there = self._changes()
            found &= ~many.are_in(gone, ids)
            found |= many.are_in(there, ids)
        return found

    def _changes(self) -> tuple[Ids, Ids]:
        gone = [image_id for image_id, files in self.lists.items() if not files]
        there = [image_id for image_id, files in self.lists.items() if files]
        return many.from_list(gone), many.from_list(there)


class FileIds(Mapping[str, ImageId]):
    """File name -> id, in the order they were added."""

    def __init__(self, known: Callable[[], KnownFiles]) -> None:
        self._known = known

    def __getitem__(self, name: str) -> ImageId:
        found = self._known().file(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._known().file_ids())

    def __len__(self) -> int:
        return self._known().file_count


class ImageFiles(Mapping[ImageId, list[str]]):
    """Image -> its files, in the order they were added."""

    def __init__(self, known: Callable[[], KnownFiles]) -> None:
        self._known = known

    def __getitem__(self, image_id: ImageId) -> list[str]:
        found = self._known().image(image_id)
        if not found:
            raise KeyError(image_id)
        return found

    def of(self, image_ids: Sequence[ImageId]) -> list[list[str]]:
        """List the files of some images; none of those that are not known."""
        return self._known().images(image_ids)

    def __contains__(self, image_id: object) -> bool:
        return self._known().is_image(image_id)

    def __iter__(self) -> Iterator[ImageId]:
        return iter(many.to_list(self._known().ids()))

    def __len__(self) -> int:
        return self._known().image_count
