"""A catalogue's folder, created or opened: the lease, the truth, the backbone, what is derived."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from threading import RLock
from types import TracebackType
from typing import Any, Concatenate, Self

from gingham.attributes.attribute import Attribute
from gingham.attributes.registry import Attributes
from gingham.backbones.image_text import ImageTextModel
from gingham.backbones.preprocess import SQUARE, Reading
from gingham.backbones.runtime import Runtime
from gingham.backbones.table import DEFAULT_BACKBONE, FLOAT32
from gingham.errors import CatalogueBusyError, CatalogueError, GinghamError, StorageError
from gingham.extract import absolute
from gingham.images import ImageSource
from gingham.index.address import EMBEDDED
from gingham.index.home import IndexHome
from gingham.operations.history import note_interrupted
from gingham.operations.kept_index import KeptIndex, new_place
from gingham.operations.reader import (
    check_precision,
    check_settings,
    new_runtime,
    open_runtime,
)
from gingham.operations.review import Reviewer
from gingham.operations.search import Searcher
from gingham.options import DEFAULTS, ReadOptions
from gingham.store.files import Files
from gingham.store.header import Header, check_catalogue, is_catalogue, is_older, migrate, move_home
from gingham.store.lease import Lease
from gingham.store.locations import Locations
from gingham.store.mirror import Mirror
from gingham.store.object_files import ObjectFiles
from gingham.store.site import derived_folder, files_at, is_taken, take_lock, taking_in
from gingham.store.truth import Truth
from gingham.turns import P, R, in_turn

logger = logging.getLogger(__name__)

PLACES = "places"
"""The folder of what need not be read from the truth again at every start."""


def changing(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Do as `in_turn`, and let no other process change the catalogue meanwhile."""
    taken = in_turn(method)

    @functools.wraps(method)
    def changed(self: OpenCatalogue, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._changing():
            return taken(self, *args, **kwargs)

    return changed


def asking(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Let a method see what other processes have written by now."""

    @functools.wraps(method)
    def asked(self: OpenCatalogue, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._refresh()
        return method(self, *args, **kwargs)

    return asked


class OpenCatalogue:
    """What every method of `gingham.Catalogue` works on.

    Attributes
    ----------
    address : of the catalogue, in the words of messages: its folder, or where it is in storage.
    folder : of what is derived: the catalogue's own or, of one in object storage, in the cache.
    config : what made its features.
    """

    _load_model: Callable[[str], Sequence[Attribute]]
    """Opens the folder of a trained model; set by the class above, which may import `training`."""

    def __init__(self, files: Files, wait: float, runtime: Runtime | None) -> None:
        header = Header.read(files)
        self.address = str(files)
        self.folder = folder = derived_folder(files, header)
        # Taken in this order, after the lease; `_turn` by what changes the catalogue, `_searching`
        # by what asks the index, or takes in what other processes have written.
        self._indexing, self._turn, self._searching, self._loading = (RLock() for _ in range(4))
        self._lease = Lease(partial(take_lock, files, folder), wait, self._begin)
        self._loaded = runtime
        self._is_given = runtime is not None
        self._files = files
        self._mirror = Mirror(files, folder) if isinstance(files, ObjectFiles) else None
        self.config = header.config
        self._weights = header.weights
        self._device: str = "auto"
        if runtime is not None:
            self._check_runtime(runtime)
        kept = folder / PLACES
        locations = Locations.beside(files, header.home, self.address, kept / "files.npz")
        if header.home is not None and locations.root != header.home:
            logger.warning(
                "catalogue %s was moved together with its files: those that were below %s are "
                "looked for below %s",
                self.address,
                header.home,
                locations.root,
            )
        self._truth = Truth(
            self._files,
            self.config,
            self._load,
            locations,
            kept,
            lambda name: ImageTextModel(name, self._device),
        )
        self._attributes = Attributes(
            folder / "attributes", self._truth, self._load_model, lambda: self._lease.held
        )
        self._kept = KeptIndex(self._files, folder)
        self._searcher = Searcher(
            self._searched,
            self._truth,
            self._attributes,
            lambda: None if self._lease.held else self._truth.refresh(),
        )
        self._reviewer = Reviewer(self._truth, self._attributes, self._searcher)
        if is_older(self._files):
            self._put_right()

    def _put_right(self) -> None:
        """Do what waits for the next process that changes the catalogue, if it may be done now."""
        with contextlib.suppress(StorageError, CatalogueBusyError), self._lease.taken():
            pass

    def _begin(self, abandoned: bool) -> None:
        """Put right what another process may have left, and take in what it has written.

        Parameters
        ----------
        abandoned : whether it was killed while it changed the catalogue.
        """
        if abandoned:
            self._files.sweep()
        migrate(self._files)
        with self._searching:
            self._truth.refresh()
            self._kept.follow(self._searcher.synced)
        if self._mirror is not None:
            self._mirror.pull()
        root = self._truth.locations.root
        if root is not None and root != Header.read(self._files).home:
            with contextlib.suppress(OSError):  # it is found again the next time
                move_home(self._files, root)
        note_interrupted(self._truth)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        backbone: str = DEFAULT_BACKBONE,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        descriptors: Sequence[str] = (),
        view: str = SQUARE,
        resolution: int | None = None,
        precision: str = FLOAT32,
        calibration: Iterable[ImageSource] = (),
        runtime: Runtime | None = None,
        options: ReadOptions = DEFAULTS,
        index: str = EMBEDDED,
    ) -> Self:
        """Create an empty catalogue.

        Parameters
        ----------
        folder : must not exist, or be empty; or an address in object storage, as in
            `s3://bucket/shop` (also `gs://` and `az://`), below which there is nothing.
        backbone, weights, device, descriptors : see `gingham.backbones.runtime.load_runtime`.
        view : what is read of each image: `square`, the backbone's own way, mostly the middle;
            `whole`, all of it, in a shape that keeps its aspect.
        resolution : side in pixels of the square that is read or, of `whole`, of a square with
            about as many pixels; a multiple of 32. None: the backbone's own.
        precision : `float32`; `bfloat16`, with which a CPU that has instructions for it computes
            nearly twice as fast; or `int8`: the network is quantised, which as many more CPUs can
            use, and loses more; it is kept in the catalogue.
        calibration : images by which it is quantised, best some hundreds of those that will be
            indexed.
        runtime : used instead of loading one; for other ways to compute features.
        options : for the images of `calibration`.
        index : where the search index is kept: `embedded`, in the catalogue's folder, or the
            address of a database; see docs/indexes.md. A password in it is used, and not kept.

        Raises
        ------
        CatalogueError
            If the folder is not empty, or the index is that of another catalogue.
        ServerError
            If the database cannot be used.
        BackboneError
            If the backbone cannot be loaded, or cannot read so.
        InputError
            If there is no such view, resolution or precision, or too few images to calibrate on.
        """
        files = files_at(folder)
        asked = Reading.asked(view, resolution)
        check_precision(precision)
        if is_catalogue(files):
            raise CatalogueError(
                f"{files} is already a catalogue: open it, or choose another folder", path=folder
            )
        if is_taken(files):
            raise CatalogueError(
                f"{files} exists but is not a catalogue: choose another folder", path=folder
            )
        place = new_place(index)
        weights = None if weights is None else absolute(weights)
        loaded = runtime or new_runtime(
            files,
            backbone,
            weights,
            device=device,
            descriptors=descriptors,
            reading=asked,
            precision=precision,
            images=calibration,
            options=options,
        )
        home = os.path.dirname(absolute(str(files)))  # noqa: PTH120
        Header(loaded.config, weights, home, secrets.token_hex(8)).write(files)
        if place.address is not None:
            place.write(files)
        self = cls.open(folder, runtime=loaded, index=index)
        self._is_given, self._device = runtime is not None, device
        return self

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        backbone: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        descriptors: Sequence[str] | None = None,
        view: str | None = None,
        resolution: int | None = None,
        precision: str | None = None,
        runtime: Runtime | None = None,
        wait: float = 0.0,
        index: str | None = None,
    ) -> Self:
        """Open a catalogue; any number of processes can have it open.

        What reads takes no lock. A method that changes the catalogue takes its lease for as long as
        it runs, and raises `CatalogueBusyError` if another process has it.

        Parameters
        ----------
        folder : of the catalogue, or its address in object storage, as in `s3://bucket/shop`.
        backbone, descriptors, view, resolution, precision : if given, must be those of the
            catalogue.
        weights : new location of the weights, if they moved since `create`.
        device, runtime : as for `create`.
        wait : seconds that a method that changes it waits for another process.
        index : if given, must be where the index is kept; `rebuild` moves it.

        Raises
        ------
        CatalogueError
            If it is missing or damaged, or has another backbone or other settings.
        InputError
            If `wait` is no number of seconds.
        """
        path = files_at(folder)
        check_catalogue(path)
        self = cls(path, wait, runtime)
        check_settings(str(path), self.config, backbone, descriptors, view, resolution, precision)
        if index is not None:
            self._kept.place = self._kept.place.check(index, str(path))
        self._device = device
        if weights is not None:
            self._weights = absolute(weights)
            # Other weights make other features: refused now, not after a long walk.
            self._load()
        return self

    def close(self) -> None:
        """Close the index, of which there is a copy in a temporary folder."""
        with self._searching:
            self._searcher.synced.close()

    def _refresh(self) -> None:
        """Take in what other processes have written; every method that reads does so first."""
        if not self._lease.held:
            with self._searching:
                if isinstance(self._files, ObjectFiles):
                    self._files.look_again()
                self._truth.refresh()
                self._kept.follow(self._searcher.synced)
            self._take_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        self._refresh()
        return len(self._truth.locations.images)

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Have the lease meanwhile; then the index that others search is brought up to date."""
        with self._lease.taken():
            yield
            try:
                self._publish()
            except GinghamError as error:
                logger.warning(
                    "%s; until the search index is up to date, each search does that for itself",
                    error,
                )
            self._truth.keep()
            if self._mirror is not None:
                self._mirror.push()

    def _take_in(self, *, searching: bool = False) -> None:
        """Bring what is derived of a catalogue in object storage up to date in the cache.

        While another process here does so, or changes the catalogue, what it has done counts;
        `searching` says whether the search index is wanted, too.
        """
        if self._mirror is not None and not self._lease.held:
            with taking_in(self.folder) as free:
                if free:
                    self._mirror.pull()
                if free and searching:
                    self._make_generation()

    def _publish(self, *, anew: bool = False) -> None:
        """Bring the index that others open up to date, if it lacks something.

        Parameters
        ----------
        anew : in any case, and from nothing.
        """
        with self._turn:
            self._make_generation(anew=anew)

    def _make_generation(self, *, anew: bool = False) -> None:
        home = self._kept.home()
        if anew or self._searcher.synced.lacks(home.state()):
            self._searcher.synced.publish(home, anew=anew)

    def _searched(self) -> IndexHome:
        """Give where the index is; that of a catalogue in object storage is made here first."""
        home = self._kept.home()
        if not home.shared:
            self._take_in(searching=True)
        return home

    def _load(self) -> Runtime:
        with self._loading:
            if self._loaded is None:
                runtime = open_runtime(self._files, self.config, self._weights, self._device)
                self._check_runtime(runtime)
                self._loaded = runtime
            return self._loaded

    def _unload(self) -> None:
        """Let go of the network, which is loaded again when it is needed."""
        with self._loading:
            if not self._is_given:
                self._loaded = None

    def _check_runtime(self, runtime: Runtime) -> None:
        if runtime.config != self.config:
            raise CatalogueError(
                f"catalogue {self.address} was made with other settings of {self.config.backbone} "
                f"(fingerprint {self.config.fingerprint}, now {runtime.config.fingerprint}): give "
                "the weights it was made with, or index into a new catalogue"
            )
