"""The facade over one catalogue: index, teach, tag, predict, search, facets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes, TrainedTags
from gingham.backbones.runtime import Runtime, load_runtime
from gingham.backbones.table import DEFAULT_BACKBONE, check_descriptors
from gingham.errors import CatalogueError, ImageError, InputError
from gingham.explaining.explanation import ImageExplanations
from gingham.extract import absolute
from gingham.images import ImageSource, in_memory
from gingham.labels import Teachable
from gingham.operations.export import export_table
from gingham.operations.ingest import ingest
from gingham.operations.search import Searcher
from gingham.operations.tag import predict, tag
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import (
    AttributeInfo,
    Facets,
    Hit,
    ImagePredictions,
    IndexResult,
    Info,
    TagResult,
    TeachResult,
)
from gingham.sources import find_images
from gingham.store.features import ImageId
from gingham.store.files import TEMPORARY_PREFIX, LocalFiles
from gingham.store.header import Header, is_catalogue, migrate
from gingham.store.lease import CatalogueLock
from gingham.store.truth import Truth

if TYPE_CHECKING:
    from gingham.explaining.trained import Model

EVIDENCE = 5
"""Images shown next to the prediction of a model, which has no examples."""


def _is_foreign(path: Path) -> bool:
    """Tell whether a file is not just a leftover of a killed `create`."""
    return not path.name.startswith((TEMPORARY_PREFIX, "lock"))


class Catalogue:
    """A folder with everything about one collection of images.

    Make one with `create`, open it with `open`, and close it (it is a context manager): while
    it is open no other process can open it. Features, files and examples are append-only and
    survive a crash; attributes and the index are derived from them.

    Examples
    --------
    >>> import gingham
    >>> with gingham.Catalogue.create("shop") as shop:  # doctest: +SKIP
    ...     shop.index(["photos"])
    ...     shop.teach("colour", "examples")
    ...     shop.tag()
    ...     hits = shop.search("photos/1.jpg", looks={"colour": 1}, where=["colour=red"])
    """

    def __init__(self, folder: Path, lock: CatalogueLock, runtime: Runtime | None) -> None:
        self.folder = folder
        self._lock = lock
        self._loaded = runtime
        files = LocalFiles(folder)
        files.sweep()
        migrate(files)
        header = Header.read(files)
        self.config = header.config
        self._weights = header.weights
        self._device: str = "auto"
        if runtime is not None:
            self._check_runtime(runtime)
        self._truth = Truth(files, self.config, self._load)
        self._attributes = Attributes(folder / "attributes", self._truth)
        self._searcher = Searcher(folder / "index", self._truth, self._attributes)

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
                f"{path} is already a catalogue: open it, or choose another folder"
            )
        if path.exists() and (not path.is_dir() or any(map(_is_foreign, path.iterdir()))):
            raise CatalogueError(f"{path} exists but is not a catalogue: choose another folder")
        weights = None if weights is None else absolute(weights)
        runtime = runtime or load_runtime(backbone, weights, device=device, descriptors=descriptors)
        Header(runtime.config, weights).write(LocalFiles(path))
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
                f"{path} is not a catalogue: create one with gingham index {path} SOURCE"
            )
        lock = CatalogueLock(path)
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
                    f"catalogue {path} keeps {', '.join(kept) or 'no'} descriptors, not "
                    f"{', '.join(descriptors)}: leave --descriptors out, or index into a new "
                    "catalogue"
                )
            self._device = device
            if weights is not None:
                self._weights = absolute(weights)
                # Other weights make other features: refused now, not after a long walk.
                self._load()
        except BaseException:
            lock.release()
            raise
        return self

    def close(self) -> None:
        """Close the index and release the lock for other processes."""
        self._searcher.close()
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

    def _load(self) -> Runtime:
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

    def index(
        self,
        sources: Iterable[str | os.PathLike[str]] = (),
        *,
        images: Iterable[ImageSource] = (),
        options: ReadOptions = DEFAULTS,
    ) -> IndexResult:
        """Add images: read each through the backbone once and keep its features.

        An image is identified by the SHA-256 of its bytes: only new images are read, and a moved
        or renamed file only updates its path. Features are written every few hundred images, so
        an interrupted run resumes.

        Parameters
        ----------
        sources : folders (all files below), image files, or tables with an `image` column; each
            must exist.
        images : paths, bytes or open files, each of which may fail by itself. An image without a
            path is known by its id.
        options : the largest image that is read, and progress; see `gingham.ReadOptions`.

        Raises
        ------
        InputError
            If a source does not exist or contains no files.
        """
        walk = find_images(sources, exclude=self.folder)
        return ingest(self._truth, walk, list(images), options)

    def remove(self, images: Iterable[str | os.PathLike[str]]) -> int:
        """Remove images from the catalogue; files on disk are not touched.

        Parameters
        ----------
        images : files as they were indexed, or ids (64 hexadecimal digits: all files of it).

        Returns
        -------
        The number of files removed.

        Raises
        ------
        InputError
            If one is not in the catalogue; then none is removed.
        """
        names: dict[str, None] = {}
        for image in images:
            name = os.fspath(image)
            if (image_id := self._truth.image_id(name)) is not None:
                names |= dict.fromkeys(self._truth.locations.images[image_id])
            elif absolute(name) in self._truth.locations.files:
                names[absolute(name)] = None
            else:
                raise InputError(f"{name} is not in catalogue {self.folder}: nothing was removed")
        self._truth.locations.append([(name, None) for name in names])
        return len(names)

    def teach(
        self,
        attribute: str,
        examples: str | os.PathLike[str] | Teachable,
        *,
        image_column: str = "image",
        value_column: str | None = None,
        group_column: str | None = None,
        kind: str | None = None,
        layers: str | Sequence[str] = "auto",
        views: bool = True,
        options: ReadOptions = DEFAULTS,
    ) -> TeachResult:
        """Teach an attribute by examples, or add examples and values to it.

        Parameters
        ----------
        attribute : its name.
        examples : a folder with one subfolder per value; a table; or image -> value (for kind
            `multi` a list of values, where `!value` means absent). The images need not be in the
            catalogue; files of those that are may be gone.
        image_column, value_column, group_column : of the table; `value_column` is the attribute's
            name by default. Images of one group (say, near-duplicates) stay in the same fold.
        kind : `single` (one value per image) or `multi` (any number); by default the kind it has,
            or `single`.
        layers : the hidden layers to use; `auto` weighs them by cross-validation.
        views : also learn from mirrored and cropped views where a value has few examples.
        options : see `index`.

        Raises
        ------
        InputError
            If there are fewer than two values or two examples, or a column, layer or file is
            missing; then nothing is stored.
        """
        # Only teaching needs scikit-learn, which takes a second to import.
        from gingham.operations.teach import TableColumns, teach

        return teach(
            self._truth,
            self._attributes,
            attribute,
            examples if isinstance(examples, Mapping) else Path(examples),
            TableColumns(image_column, value_column or attribute, group_column),
            kind=kind,
            layers=layers,
            views=views,
            options=options,
        )

    def forget(self, attribute: str, value: str | None = None) -> None:
        """Delete an attribute, or one value of it, with its examples, tags and look.

        Raises
        ------
        InputError
            If it is not taught, or forgetting the value would leave fewer than two.
        """
        only_tagged = set(self._attributes.answering()) - set(self._attributes.names())
        if value is None and attribute in only_tagged:
            # Of an attribute that is not taught there is nothing but a trained model's tags.
            self._attributes.forget(attribute)
            return
        self._attributes.check([attribute])
        if value is not None:
            values = self._attributes.taught()[attribute].values
            if value not in values:
                raise InputError(
                    f"attribute {attribute!r} has no value {value!r}; it has {', '.join(values)}"
                )
            if len(values) <= 2:
                raise InputError(
                    f"attribute {attribute!r} needs two values: forget all of it, or teach another "
                    "value first"
                )
        self._truth.log.forget(attribute, value)
        if value is None:
            self._attributes.forget(attribute)

    def predict(
        self,
        images: Iterable[ImageSource],
        *,
        attributes: Sequence[str] | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> Iterator[ImagePredictions]:
        """Predict the attributes of images, in the catalogue or not; results keep the order.

        Parameters
        ----------
        images : paths, bytes or open files, or ids of images in the catalogue. In the results an
            image without a path is named by its id.
        attributes : only these; None means all.
        options : see `index`.

        Raises
        ------
        InputError
            If an attribute asked for is not taught.
        """
        names = self._attributes.check(attributes) if attributes else self._attributes.names()
        return predict(self._truth, self._attributes, list(images), names, options)

    def explain(
        self,
        images: Iterable[ImageSource],
        *,
        attributes: Sequence[str] | None = None,
        values: Sequence[str] = (),
        model: Model | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> Iterator[ImageExplanations]:
        """Show where in images the values of attributes were found; results keep the order.

        The likeliest value of an attribute is explained, even if the prediction is unknown.
        `gingham.explaining.ExplanationPage` writes heat maps and a page.

        Parameters
        ----------
        images : paths, bytes or open files, in the catalogue or not, or ids of images in it whose
            files are there.
        attributes : only these; None means all.
        values : explain these instead, for every attribute that has them.
        model : a trained one, whose answers are explained by Grad-CAM; None explains the taught
            attributes by their own projection.
        options : see `index`.

        Raises
        ------
        InputError
            If an attribute asked for is not there, none has one of the values, or the catalogue's
            runtime gives no maps.
        MissingExtraError
            If a trained model is to be explained and `grad-cam` is not installed.
        """
        paths = [in_memory(image) for image in images]
        if model is not None:
            from gingham.explaining.trained import explain_trained

            return explain_trained(
                self._truth,
                self._attributes,
                self._most_alike,
                model,
                paths,
                attributes,
                values,
                options,
            )
        from gingham.explaining.taught import explain_taught

        names = self._attributes.check(attributes)
        return explain_taught(
            self._truth,
            self._attributes,
            self._load(),
            paths,
            names,
            values,
            options,
        )

    def _most_alike(self, image: str | bytes) -> list[Hit]:
        """Find the images most similar to the image, excluding itself."""
        own = self._truth.find(image)
        hits = self.search(image, n=EVIDENCE + 1) if len(self) else []
        return [hit for hit in hits if own is None or hit.id != own.hex()][:EVIDENCE]

    def tag(
        self, attributes: Sequence[str] | None = None, *, options: ReadOptions = DEFAULTS
    ) -> TagResult:
        """Predict attributes for every image of the catalogue, from the stored features.

        No image is read. Images indexed later have no tags until the next call.

        Raises
        ------
        InputError
            If no attribute is taught, or one asked for is not.
        """
        names = self._attributes.check(attributes)
        return tag(self._truth, self._attributes, names, options)

    def images(self) -> dict[str, tuple[str, ...]]:
        """Return the id of every image (64 hexadecimal digits) and its files."""
        return {i.hex(): tuple(files) for i, files in self._truth.locations.images.items()}

    def examples(self) -> dict[str, frozenset[str]]:
        """Return the ids of the examples of each taught attribute."""
        return {
            name: frozenset(example.id.hex() for example in taught.examples)
            for name, taught in self._attributes.taught().items()
        }

    def put_tags(
        self,
        attribute: str,
        tags: Mapping[str, tuple[Sequence[str], float]],
        *,
        kind: str,
        values: Sequence[str],
        model: str,
    ) -> None:
        """Take the tags that a trained model gives, in place of any there are of the attribute.

        They are searched, filtered and counted as those of a taught attribute are; `tag` puts the
        taught attribute's in their place again.

        Parameters
        ----------
        attribute : its name; it may be taught, too.
        tags : id of an image (as `images` gives it) -> its values (none: unknown) and confidence.
        kind, values : `single` or `multi`, and all values there may be.
        model : what names the model that gave them.

        Raises
        ------
        InputError
            If an id is not in the catalogue, or a value is not one of `values`.
        """
        for name, (given, _) in tags.items():
            if self._truth.image_id(name) is None:
                raise InputError(f"image {name} is not in catalogue {self.folder}")
            if wrong := set(given) - set(values):
                raise InputError(f"{attribute}: {min(wrong)!r} is none of {', '.join(values)}")
        ids = [bytes.fromhex(name) for name in tags]
        said = [list(given) for given, _ in tags.values()]
        sure = np.array([confidence for _, confidence in tags.values()], np.float32)
        made = TrainedTags(kind, tuple(values), model)
        self._attributes.write_trained(attribute, made, iter([(ids, said, sure)]))

    def search(
        self,
        images: ImageSource | Sequence[ImageSource],
        *,
        looks: Mapping[str, float] | None = None,
        where: Sequence[str] = (),
        unlike: Sequence[ImageSource] = (),
        n: int = 10,
        options: ReadOptions = DEFAULTS,
    ) -> list[Hit]:
        """Find the images most similar to the given ones, best first.

        Parameters
        ----------
        images : one path, bytes, open file or id, or several whose looks are averaged; in the
            catalogue or not.
        looks : look -> weight; by default every built-in look with weight 1. A taught attribute
            NAME is the look `attribute:NAME`.
        where : filters such as `colour=red` and `colour!=red`; the same attribute again means or.
        unlike : images not to look like.
        n : how many to find.
        options : see `index`.

        Raises
        ------
        ImageError
            If an example image cannot be read.
        InputError
            If a look, an attribute or a value is not there, or `n` is below 1.
        """
        given = (
            list(images)
            if isinstance(images, Sequence) and not isinstance(images, (str, bytes))
            else [images]
        )
        if not given:
            raise InputError("search needs at least one image")
        weights = dict.fromkeys(self._searcher.space.names, 1.0) if looks is None else looks
        return self._searcher.search(
            self._examples(given, options),
            self._examples(unlike, options),
            weights,
            where,
            n,
        )

    def _examples(
        self, images: Sequence[ImageSource], options: ReadOptions
    ) -> list[ImageId | dict[str, NDArray[np.floating]]]:
        """Turn example images into ids of the catalogue, or into features of all layers."""
        examples: list[ImageId | dict[str, NDArray[np.floating]]] = []
        for image in map(in_memory, images):
            if (known := self._truth.find(image)) is not None:
                examples.append(known)
                continue
            ((name, features, reason),) = self._truth.features_of(
                [image], tuple(self.config.widths), options
            )
            if features is None:
                raise ImageError(f"{name}: {reason}")
            examples.append(features)
        return examples

    def facets(self, where: Sequence[str] = ()) -> Facets:
        """Count images per value, among those that match the filters.

        Raises
        ------
        InputError
            If a filter names an unknown attribute or value.
        """
        return self._searcher.facets(where)

    def info(self) -> Info:
        """Summarise the catalogue."""
        attributes = {}
        for name, taught in self._attributes.taught().items():
            attributes[name] = AttributeInfo(
                taught.kind,
                tuple(taught.values),
                len(taught.examples),
                self._attributes.get(name).layers,
                self._tagged(name),
            )
        for name in self._attributes.answering():
            if name not in attributes:
                kind, values = self._attributes.kind(name), self._attributes.values(name)
                attributes[name] = AttributeInfo(kind, values, 0, (), self._tagged(name))
        return Info(
            catalogue=str(self.folder),
            images=len(self),
            files=len(self._truth.locations.files),
            backbone=self.config.backbone,
            fingerprint=self.config.fingerprint,
            layers={layer.name: layer.channels for layer in self.config.layers},
            looks=self._searcher.looks,
            attributes=attributes,
            bytes=self._truth.size
            + sum(
                path.stat().st_size
                for derived in ("attributes", "index")
                for path in (self.folder / derived).rglob("*")
                if path.is_file()
            ),
        )

    def _tagged(self, name: str) -> int:
        live = self._truth.locations.images
        return sum(image_id in live for image_id, _, _ in self._attributes.predictions(name))

    def verify(self) -> list[str]:
        """Check every file of the catalogue; return what is damaged or inconsistent."""
        return self._truth.verify() or self._attributes.verify() + self._searcher.verify()

    def rebuild(self) -> None:
        """Rebuild everything derived: the attributes from the examples, and the index."""
        self._attributes.rebuild()
        self._searcher.rebuild()

    def export(self, file: str | os.PathLike[str]) -> int:
        """Write a table of all files with their id, and their tag and confidence per attribute.

        Parameters
        ----------
        file : `.parquet`, or `.csv` (where several values are joined by `|`).

        Returns
        -------
        The number of rows.

        Raises
        ------
        InputError
            If the suffix is another, or the file cannot be written.
        """
        return export_table(Path(file), self._truth.locations, self._attributes)
