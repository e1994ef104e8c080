"""The truth of one catalogue: features, files and examples, and the backbone that reads images."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.image_text import ImageTextModel, ModelName
from gingham.backbones.preprocess import Preprocess
from gingham.backbones.runtime import LazyRuntime, Runtime
from gingham.backbones.table import FeatureConfig
from gingham.errors import ImageError
from gingham.extract import PLAIN, VIEWS, absolute, extract, identify
from gingham.images import ImageSource, read_file, read_source
from gingham.options import ReadOptions
from gingham.store import ids as many
from gingham.store.attached import AttachedLog
from gingham.store.changes import ChangeLog
from gingham.store.confirmed import ConfirmedLog
from gingham.store.examples import ExampleLog
from gingham.store.features import FeatureStore, ImageId
from gingham.store.files import Files
from gingham.store.header import NAME as HEADER
from gingham.store.locations import Locations, is_missing
from gingham.store.network import NAME as NETWORK
from gingham.store.objects import KnownObjects
from gingham.store.products import ProductLog
from gingham.store.schema import SchemaLog
from gingham.store.text_look import FEATURES as TEXTS
from gingham.store.text_look import LOG as TEXT_MODEL
from gingham.store.text_look import TextLook
from gingham.store.uploads import UploadedFiles

_FOLDERS = (
    *("features/", "views/", "locations/", "uploads/"),
    *("examples/", "attached/", "confirmed/", "changes/", "products/", "schema/", "objects/"),
    *(TEXT_MODEL, TEXTS),
)


@dataclass(frozen=True)
class StoredImage:
    """An image of the catalogue, read from the first of its files that still holds it."""

    id: ImageId
    files: tuple[str, ...]

    def read(self) -> bytes:
        """Read its bytes.

        Raises
        ------
        ImageError
            If no file holds it any more; the message says what is wrong with the first.
        """
        reasons = []
        for file in self.files:
            try:
                data = read_file(file)
            except ImageError as error:
                reasons.append(str(error))
                continue
            if hashlib.sha256(data).digest() == self.id:
                return data
            reasons.append("has changed since it was indexed: index it again")
        raise ImageError(reasons[0])


class Truth:
    """What only ever grows in a catalogue, and from which everything else can be rebuilt.

    Parameters
    ----------
    files : of the catalogue; all of the truth is read and written through it.
    config : of its features.
    load : gives the backbone.
    locations : which file holds which image; None: as the log says, with no root.
    kept : a folder for the places of features, so that the next start is quick; see `keep`.
    load_text : loads a model of images and words.

    Attributes
    ----------
    config : what made the features.
    runtime : the backbone, loaded when the first image must be read.
    features : of every image read as it is, in the catalogue or taught.
    views : of the mirrored and cropped views of examples; without descriptors.
    locations : which file holds which image: the images of the catalogue.
    log : the examples.
    attached : which attributes trained models answer.
    changes : who changed what.
    confirmed : which examples need not be looked at again.
    products : which product each image shows.
    schema : what attributes and values mean.
    text : the look of words, where the catalogue has one.
    uploads : the images that the catalogue keeps itself.
    objects : which objects in object storage were read.
    """

    def __init__(
        self,
        files: Files,
        config: FeatureConfig,
        load: Callable[[], Runtime],
        locations: Locations | None = None,
        kept: Path | None = None,
        load_text: Callable[[ModelName], ImageTextModel] = ImageTextModel,
    ) -> None:
        self.config = config
        self.runtime = LazyRuntime(config, load)
        self._files = files
        self.features = FeatureStore(files, config, kept=kept and kept / "features.npz")
        plain = replace(config, descriptors=())
        self.views = FeatureStore(files, plain, "views/", kept and kept / "views.npz")
        self.locations = locations or Locations(files)
        self.log = ExampleLog(files)
        self.attached = AttachedLog(files)
        self.confirmed = ConfirmedLog(files)
        self.changes = ChangeLog(files)
        self.products = ProductLog(files)
        self.schema = SchemaLog(files)
        self.text = TextLook(files, load_text, kept)
        self.uploads = UploadedFiles(files)
        self.objects = KnownObjects(files)
        self._logs = (
            *(self.log, self.attached, self.confirmed, self.changes, self.products, self.schema),
            self.text,
        )

    def refresh(self) -> bool:
        """Take in what other processes have added; say whether there was any."""
        # Features last: they are written first, so every image that a log names has its own.
        parts = (*self._logs, self.locations, self.views, self.features)
        changed = [part.refresh() for part in parts]
        return any(changed)

    def keep(self) -> None:
        """Write down where everything is, for the next start; the caller must hold the lease."""
        for part in (self.locations, self.features, self.views, self.text):
            part.keep()

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        size = 0
        for prefix in (HEADER, NETWORK, *_FOLDERS):
            for name in self._files.list(prefix):
                # A note of a change that has just ended is no longer there.
                with contextlib.suppress(FileNotFoundError):
                    size += self._files.size(name)
        return size

    @property
    def preprocess(self) -> Preprocess:
        """How an image becomes the input of the backbone."""
        return self.config.preprocess

    @property
    def layers(self) -> tuple[str, ...]:
        """The pooled hidden layers: those over the foreground first, then all."""
        return self.config.pooled

    def features_of(
        self, images: Sequence[ImageSource], layers: tuple[str, ...], options: ReadOptions
    ) -> Iterator[tuple[str, dict[str, NDArray[np.floating]] | None, str | None]]:
        """Give (name, layer -> (1, 2C), None), or (name, None, reason), in order.

        Images with stored features are not decoded again; those of the catalogue may have left
        the disk, and may be given by id.
        """
        listed = [self.image_id(image) for image in images]
        # Threads would cost a single image more than they save.
        workers = 0 if len(images) == 1 else None
        items = identify(
            (image for image, known in zip(images, listed, strict=True) if known is None),
            lambda image_id: () if image_id in self.features else VIEWS,
            workers=workers,
        )
        results = extract(items, self.runtime, layers=layers, options=options, workers=workers)
        for known in listed:
            if known is not None:
                yield known.hex(), dict(self.features.get([known], layers)), None
                continue
            item = next(results)
            image, known = item.image, item.id or self.locations.files.get(item.name)
            if item.features:
                # Stored features are float16: an image must get the same answer either way.
                yield (
                    image,
                    {k: v[None].astype(np.float16) for k, v in item.features[PLAIN].items()},
                    None,
                )
            elif known is not None and known in self.features:
                yield image, dict(self.features.get([known], layers)), None
            else:
                yield image, None, item.reason

    def image_id(self, image: ImageSource) -> ImageId | None:
        """Parse the id of an image in the catalogue (64 hexadecimal digits); None if it is not."""
        if not isinstance(image, str) or len(image) != 64 or image.strip("0123456789abcdef"):
            return None
        image_id = bytes.fromhex(image)
        return image_id if image_id in self.locations.images else None

    def source_of(self, image: ImageSource) -> ImageSource:
        """Give the files of an id in the catalogue; what is not an id is returned as it is."""
        image_id = self.image_id(image)
        return image if image_id is None else self.stored(image_id)

    def stored(self, image_id: ImageId) -> StoredImage:
        """Give the files of an image of the catalogue, those that are there first."""
        (found,) = self.stored_if_there([image_id])
        if found is None:
            raise KeyError(image_id)
        return found

    def stored_if_there(self, image_ids: Sequence[ImageId]) -> list[StoredImage | None]:
        """Give the files of each of some images; None for one that the catalogue does not have."""
        return [
            StoredImage(image_id, tuple(sorted(files, key=is_missing) if files[1:] else files))
            if files
            else None
            for image_id, files in zip(image_ids, self.locations.images.of(image_ids), strict=True)
        ]

    def living(self, file: str, image_id: ImageId | None) -> str:
        """Name the file of an example, or another file of its image if that one is missing."""
        if image_id is not None and image_id in self.locations.images and is_missing(file):
            return self.stored(image_id).files[0]
        return file

    def find(self, image: ImageSource) -> ImageId | None:
        """Find the image of the catalogue that an id or a file refers to; None if there is none.

        A file is recognized by its bytes or, if it has left the disk, by its name.
        """
        if (image_id := self.image_id(image)) is not None:
            return image_id
        try:
            found = hashlib.sha256(read_source(image)).digest()
        except ImageError:
            if not isinstance(image, (str, os.PathLike)):
                return None
            return self.locations.files.get(absolute(image))
        return found if found in self.locations.images else None

    def verify(self) -> list[str]:
        """Read every byte; say what is damaged, or which images have no features."""
        problems = [
            problem
            for store in (
                *(self.features, self.views, self.locations),
                *self._logs,
                self.objects,
            )
            for problem in store.verify()
        ]
        if problems:
            return problems
        ids = self.locations.ids()
        return [
            f"image {one.hex()} ({self.locations.images[one][0]}) has no features: index it again"
            for one in many.to_list(ids[~self.features.has(ids)])
        ]
