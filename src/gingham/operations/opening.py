"""A catalogue's folder, created or opened: the lock, the truth, the backbone, what is derived."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Any, Concatenate, Self

from gingham.attributes.attribute import Attribute
from gingham.attributes.registry import Attributes
from gingham.backbones.runtime import Runtime, load_runtime
from gingham.backbones.table import DEFAULT_BACKBONE, check_descriptors
from gingham.errors import CatalogueError, StorageError
from gingham.extract import absolute
from gingham.index.index import Index
from gingham.operations.history import note_interrupted
from gingham.operations.review import Reviewer
from gingham.operations.search import Searcher
from gingham.store.files import TEMPORARY_PREFIX, LocalFiles, refusals
from gingham.store.header import Header, is_catalogue, migrate, move_home
from gingham.store.lease import CatalogueLock, lease
from gingham.store.locations import Locations
from gingham.store.truth import Truth
from gingham.turns import P, R, in_turn

logger = logging.getLogger(__name__)


def _is_foreign(path: Path) -> bool:
    """Tell whether a file is not just a leftover of a killed `create`."""
    return not path.name.startswith((TEMPORARY_PREFIX, "lock"))


def changing(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Do as `in_turn`; refuse where the catalogue's folder can only be read."""
    taken = in_turn(method)

    @functools.wraps(method)
    def checked(self: OpenCatalogue, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._check_writable()
        return taken(self, *args, **kwargs)

    return checked


class OpenCatalogue:
    """What every method of `gingham.Catalogue` works on.

    Attributes
    ----------
    folder : of the catalogue.
    config : what made its features.
    """

    _load_model: Callable[[str], Sequence[Attribute]]
    """Opens the folder of a trained model; set by the class above, which may import `training`."""

    def __init__(
        self, folder: Path, lock: CatalogueLock | StorageError, runtime: Runtime | None
    ) -> None:
        self.folder = folder
        self._lock = lock
        # Taken in this order; `_turn` by what changes the catalogue, `_searching` by what asks the
        # index.
        self._indexing, self._turn, self._searching, self._loading = (RLock() for _ in range(4))
        self._loaded = runtime
        files = LocalFiles(folder)
        if isinstance(lock, CatalogueLock):
            files.sweep()
            migrate(files)
        header = Header.read(files)
        self.config = header.config
        self._weights = header.weights
        self._device: str = "auto"
        if runtime is not None:
            self._check_runtime(runtime)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        locations = Locations.beside(files, header.home, folder)
        if locations.root is not None and locations.root != header.home:
            if header.home is not None:
                logger.warning(
                    "catalogue %s was moved together with its files: those that were below %s are "
                    "looked for below %s",
                    folder,
                    header.home,
                    locations.root,
                )
            if isinstance(lock, CatalogueLock):
                with contextlib.suppress(OSError):  # it is found again the next time
                    move_home(files, locations.root)
        self._truth = Truth(files, self.config, self._load, locations)
        if isinstance(lock, CatalogueLock):
            note_interrupted(self._truth)
        self._attributes = Attributes(folder / "attributes", self._truth, self._load_model)
        self._searcher = Searcher(self._open_index, self._truth, self._attributes)
        self._reviewer = Reviewer(self._truth, self._attributes, self._searcher)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        *,
        backbone: str = DEFAULT_BACKBONE,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        descriptors: Sequence[str] = (),
        runtime: Runtime | None = None,
    ) -> Self:
        """Create an empty catalogue.

        Parameters
        ----------
        folder : must not exist, or be empty.
        backbone, weights, device, descriptors : see `gingham.backbones.runtime.load_runtime`.
        runtime : used instead of loading one; for other ways to compute features.

        Raises
        ------
        CatalogueError
            If the folder is not empty.
        BackboneError
            If the backbone cannot be loaded.
        """
        path = Path(folder)
        if is_catalogue(LocalFiles(path)):
            raise CatalogueError(
                f"{path} is already a catalogue: open it, or choose another folder", path=path
            )
        if path.exists() and (not path.is_dir() or any(map(_is_foreign, path.iterdir()))):
            raise CatalogueError(
                f"{path} exists but is not a catalogue: choose another folder", path=path
            )
        weights = None if weights is None else absolute(weights)
        runtime = runtime or load_runtime(backbone, weights, device=device, descriptors=descriptors)
        home = str(Path(absolute(path)).parent)
        Header(runtime.config, weights, home).write(LocalFiles(path))
        return cls.open(path, runtime=runtime)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        backbone: str | None = None,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        descriptors: Sequence[str] | None = None,
        runtime: Runtime | None = None,
    ) -> Self:
        """Open a catalogue; no other process can open it until it is closed.

        Where its folder cannot be written to, any number of processes can open it, to read. What is
        derived and not there is then made in a temporary folder.

        Parameters
        ----------
        folder : of the catalogue.
        backbone, descriptors : if given, must be those of the catalogue.
        weights : new location of the weights, if they moved since `create`.
        device, runtime : as for `create`.

        Raises
        ------
        CatalogueError
            If it is missing or damaged, or has another backbone or other settings.
        CatalogueBusyError
            If another process has it open.
        """
        path = Path(folder)
        if not is_catalogue(LocalFiles(path)):
            raise CatalogueError(
                f"{path} is not a catalogue: create one with gingham index {path} SOURCE", path=path
            )
        lock = lease(path)
        try:
            self = cls(path, lock, runtime)
            if backbone is not None and backbone != self.config.backbone:
                raise CatalogueError(
                    f"catalogue {path} was made with backbone {self.config.backbone}, not "
                    f"{backbone}: leave --backbone out, or index into a new catalogue"
                )
            kept = tuple(x.name for x in self.config.descriptors)
            if descriptors is not None and check_descriptors(descriptors) != kept:
                raise CatalogueError(
                    f"catalogue {path} stores {', '.join(kept) or 'no'} descriptors, not "
                    f"{', '.join(descriptors)}: leave --descriptors out, or index into a new "
                    "catalogue"
                )
            self._device = device
            if weights is not None:
                self._weights = absolute(weights)
                # Other weights make other features: refused now, not after a long walk.
                self._load()
        except BaseException:
            if isinstance(lock, CatalogueLock):
                lock.release()
            raise
        return self

    def close(self) -> None:
        """Close the index and release the lock for other processes."""
        with self._searching:
            self._searcher.synced.close()
        if self._temporary is not None:
            self._temporary.cleanup()
        if isinstance(self._lock, CatalogueLock):
            self._lock.release()

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
        return len(self._truth.locations.images)

    def _check_writable(self) -> None:
        if isinstance(self._lock, StorageError):
            raise self._lock

    def _check_room(self) -> None:
        from gingham.index.embedded.copying import check_room

        self._check_writable()
        check_room(self.folder / "index")

    def _rebuild_index(self) -> None:
        with self._searching:
            self._searcher.synced.close()
            self._check_room()
            self._searcher.synced.rebuild()

    def _open_index(self) -> Index:
        # What it imports takes time that teaching and tagging need not spend.
        from gingham.index.embedded.copying import copy_index
        from gingham.index.embedded.index import EmbeddedIndex

        own = self.folder / "index"
        try:
            self._check_room()
        except StorageError as error:
            logger.warning("%s; meanwhile searching with a copy in a temporary folder", error)
            with refusals(Path(tempfile.gettempdir())):
                self._temporary = self._temporary or tempfile.TemporaryDirectory(prefix="gingham-")
            copy = Path(self._temporary.name) / "index"
            copy_index(own, copy)
            return EmbeddedIndex(copy)
        return EmbeddedIndex(own)

    def _load(self) -> Runtime:
        with self._loading:
            if self._loaded is None:
                runtime = load_runtime(
                    self.config.backbone,
                    self._weights,
                    device=self._device,
                    descriptors=[x.name for x in self.config.descriptors],
                )
                self._check_runtime(runtime)
                self._loaded = runtime
            return self._loaded

    def _check_runtime(self, runtime: Runtime) -> None:
        if runtime.config != self.config:
            raise CatalogueError(
                f"catalogue {self.folder} was made with other settings of {self.config.backbone} "
                f"(fingerprint {self.config.fingerprint}, now {runtime.config.fingerprint}): give "
                "the weights it was made with, or index into a new catalogue"
            )
