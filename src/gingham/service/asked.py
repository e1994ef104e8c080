"""What the service asks of its catalogue, with one runtime for all, and what was made recently."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from gingham.attributes.tags import Column, ImageTags, TagReader
from gingham.backbones.runtime import Runtime
from gingham.backbones.shared import SharedRuntime
from gingham.cutoff import Cutoff
from gingham.errors import GinghamError
from gingham.images import open_image
from gingham.names import did_you_mean
from gingham.operations.info import attribute_info, info
from gingham.operations.map import ImageMap
from gingham.operations.past import past_tags, taught_at
from gingham.options import DEFAULTS, Progress, ReadOptions
from gingham.recent import Recent
from gingham.report.kit import small_jpeg
from gingham.service.caller import CALLER
from gingham.service.compared import ComparedCatalogue
from gingham.service.listings import Listed, Listings
from gingham.service.maps import Maps
from gingham.service.priority import give_way
from gingham.service.problems import NOT_FOUND, ProblemError
from gingham.service.work import Task
from gingham.store import ids as many
from gingham.store.examples import Example as TaughtExample
from gingham.store.features import ImageId
from gingham.store.ids import Ids
from gingham.upkeep_results import AttributeInfo, Info

THUMBNAILS = 64 << 20
"""Bytes of thumbnails that are remembered."""
MANY = 20_000
"""Images of fewer are listed and drawn at once."""
PAUSE = 0.05
"""Seconds for requests between two parts of what nobody waits for."""
PAST = 32 << 20
"""Bytes of tags of earlier times that are remembered: some of 100,000 images."""


class AskedCatalogue(ComparedCatalogue):
    """A catalogue whose threads share one runtime.

    No method takes a path: images are given by their id, or uploaded.
    """

    writable = False
    """Whether this process alone can change the catalogue, until it is closed."""
    _shared: SharedRuntime | None = None
    watch_batch: Callable[[int], None] = staticmethod(lambda images: None)
    """Called with the number of images of each batch."""

    def __init__(self, *given: object, **more: object) -> None:
        super().__init__(*given, **more)
        self._thumbnails: Recent[tuple[str, int], bytes] = Recent(THUMBNAILS, len)
        self._past: Recent[tuple[object, ...], Column] = Recent(PAST, lambda tags: tags.nbytes)
        self._tags = TagReader(self._attributes)
        self._maps = Maps(
            self._truth,
            self._attributes,
            self._searcher,
            self._searching,
            self.folder / "maps",
            lambda: self.writable,
        )
        self._truth.changes.caller = lambda: CALLER.get().name
        self._listings = Listings(self._truth, self._attributes, self._searcher, self._tags)

    def _load(self) -> Runtime:
        with self._loading:
            if self._shared is None:
                self._shared = SharedRuntime(super()._load(), lambda n: self.watch_batch(n))
            return self._shared

    def warm_up(self) -> None:
        """Load the network and the index, so that the first request need not.

        The network's threads give way to those of Python: of these one runs at a time, and while it
        waits for a core, so do all others.

        Raises
        ------
        BackboneError
            If the network cannot be loaded.
        CatalogueError
            If the weights are others than the catalogue's.
        """
        buffer = io.BytesIO()
        side = self.config.preprocess.size
        Image.new("RGB", (side, side)).save(buffer, "BMP")
        layers = tuple(self.config.widths)
        with ThreadPoolExecutor(1, initializer=give_way) as giving_way:
            read = self._truth.features_of([buffer.getvalue()], layers, DEFAULTS)
            giving_way.submit(list, read).result()
        self.browse((), None, 0, 1)
        self.facets()

    def warm_further(self, ending: threading.Event) -> None:
        """Read the tags and draw the maps of many images, so that who first asks need not wait.

        It gives up when the service ends; what cannot be read is said to whoever asks for it.
        """

        def go_on(*_: object) -> None:
            if ending.wait(PAUSE):
                raise GinghamError("the service ends")

        with contextlib.suppress(GinghamError):
            if len(self._truth.locations.images) < MANY:
                return
            for name in self._attributes.used():
                go_on()
                with self._searching:
                    self._tags.column(name)
            for look in self._searcher.space.names:
                self._maps.draw(look, go_on)

    def has_attribute(self, name: str) -> bool:
        """Tell whether there is such an attribute."""
        return name in self._attributes.answering()

    def is_tagged(self, name: str) -> bool:
        """Tell whether images have tags of an attribute, as it is now or once was."""
        return self._attributes.written(name) is not None

    def map(
        self, look: str, colour_by: str | None, progress: Progress
    ) -> tuple[ImageMap, Column | None]:
        """Give all images as points, see `Maps.draw`, and the tags of an attribute.

        Raises
        ------
        InputError
            If the look or the attribute is not there.
        """
        if colour_by is not None:
            self._attributes.check([colour_by])
        drawn = self._maps.draw(look, progress)
        with self._searching:
            if colour_by is None or not self.has_attribute(colour_by):
                return drawn, None
            return drawn, self._tags.column(colour_by)

    @property
    def count(self) -> int:
        """The number of images that are known by now."""
        return len(self._truth.locations.images)

    def check_attributes(self, names: Sequence[str] | None) -> list[str]:
        """Return the attributes asked for, or all.

        Raises
        ------
        InputError
            If one is not there, or there is none.
        """
        return self._attributes.check(names)

    def check_attribute(self, name: str) -> str:
        """Return the name of an attribute if it is there.

        Raises
        ------
        ProblemError
            If it is not.
        """
        if not self.has_attribute(name):
            known = self._attributes.answering()
            raise ProblemError(
                NOT_FOUND, f"there is no attribute {name!r}{did_you_mean(name, known)}"
            )
        return name

    def file_of(self, image: str) -> tuple[str, list[str]]:
        """Give the file of an id of the catalogue, and other files with the same bytes.

        Raises
        ------
        ProblemError
            If it is not there.
        """
        first, *copies = self.stored(image).files
        return first, copies

    def tags_of(self, images: Sequence[str], cutoff: Cutoff | None = None) -> list[ImageTags]:
        """Give the tags of each id."""
        with self._searching:
            return self._tags.of([bytes.fromhex(image) for image in images], cutoff)

    def evidence_image(self, name: str) -> tuple[str, str | None]:
        """Name an example for a caller: its file and its id, or only the end of a foreign path."""
        image_id = self._truth.image_id(name) or self._truth.locations.files.get(name)
        if image_id is not None and (files := self._truth.locations.images.get(image_id)):
            return files[0], image_id.hex()
        return Path(name).name, None

    def thumbnail(self, image: str, size: int, options: ReadOptions) -> bytes:
        """Make a JPEG of an id of the catalogue, its longer side `size` pixels at most.

        Raises
        ------
        ImageError
            If none of its files holds it any more.
        """
        if (made := self._thumbnails.get((image, size))) is not None:
            return made
        data = self.stored(image).read()
        made = small_jpeg(open_image(data, max_pixels=options.max_pixels, draft=size), size)
        self._thumbnails.put((image, size), made)
        return made

    def taught_with(self, name: str) -> list[TaughtExample]:
        """Give the examples of an attribute, in the order they were taught.

        Raises
        ------
        ProblemError
            If there is no such attribute.
        """
        taught = self._attributes.taught().get(self.check_attribute(name))
        return taught.examples if taught else []

    def latest_changes(self) -> dict[str, int]:
        """Give, for each attribute, the number of the latest change of what it was taught."""
        return self._truth.changes.latest()

    def values_at(self, name: str, number: int | None, task: Task) -> Column | None:
        """Give the tags of an attribute as they are or, as it was taught at a change, would be.

        None: it is not applied, or was not taught then.

        Raises
        ------
        InputError
            If there is no such change.
        ProblemError
            If there is no such attribute.
        """
        self.check_attribute(name)
        if number is None:
            with self._searching:
                return self._tags.column(name)
        version, taught = taught_at(self._truth, name, number)
        if taught is None:
            return None
        key = (name, version, self._truth.locations.version)
        if (made := self._past.get(key)) is None:
            made = past_tags(self._truth, self._attributes, name, taught, task.check)
            self._past.put(key, made)
        return made

    def image_order(self) -> Ids:
        """Give the ids of all images in the order they were added."""
        return self._listings.ids((), None)

    def attribute_infos(self) -> dict[str, AttributeInfo]:
        """Describe every attribute."""
        with self._searching:
            return {
                name: attribute_info(name, self._attributes, self._listings.tagged(name))
                for name in self._attributes.answering()
            }

    def info(self) -> Info:
        """Say what the catalogue holds; the tags are counted once."""
        with self._searching:
            looks, count = self._searcher.looks, self._listings.tagged
            return info(self.address, self.folder, self._truth, self._attributes, looks, count)

    def browse(
        self,
        where: Sequence[str],
        unsure_of: str | None,
        offset: int,
        n: int,
        cutoff: Cutoff | None = None,
    ) -> tuple[int, list[Listed]]:
        """List a part of the images that match filters.

        Parameters
        ----------
        where, unsure_of, cutoff : see `Listings.ids`.
        offset, n : how many to pass over, and how many to give at most.

        Returns
        -------
        The number of all that match, and the part.

        Raises
        ------
        InputError
            See `Listings.ids`.
        """
        with self._searching:
            ids = self._listings.ids(where, unsure_of, cutoff)
            return len(ids), self.listed(many.to_list(ids[offset : offset + n]), cutoff)

    def listed(self, ids: Sequence[ImageId], cutoff: Cutoff | None = None) -> list[Listed]:
        """Give the file and the tags of images; one that is not there any more is left out."""
        with self._searching:
            images = self._truth.locations.images
            there = [image_id for image_id in ids if image_id in images]
            return [
                Listed(
                    image_id.hex(), images[image_id][0], tuple(images[image_id][1:]), **vars(tags)
                )
                for image_id, tags in zip(there, self._tags.of(there, cutoff), strict=True)
            ]
