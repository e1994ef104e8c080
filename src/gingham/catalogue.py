"""The facade over one catalogue: index, teach, tag, predict, search, facets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.attribute import Attribute, Model
from gingham.attributes.registry import Attributes, TaughtAttributes
from gingham.backbones.runtime import Runtime, load_runtime
from gingham.backbones.table import DEFAULT_BACKBONE, check_descriptors
from gingham.errors import CatalogueError, ImageError, InputError
from gingham.explaining.explanation import ImageExplanations
from gingham.extract import absolute
from gingham.images import ImageSource, in_memory
from gingham.labels import Teachable
from gingham.operations.export import export_table
from gingham.operations.ingest import ingest
from gingham.operations.predict import predict
from gingham.operations.search import Searcher
from gingham.operations.tag import tag
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import (
    AttachResult,
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

EVIDENCE = 5
"""Images shown next to the prediction of a model, which has no examples."""


def _is_foreign(path: Path) -> bool:
    """Tell whether a file is not just a leftover of a killed `create`."""
    return not path.name.startswith((TEMPORARY_PREFIX, "lock"))


def load_attributes(model: str, names: Sequence[str] | None = None) -> Sequence[Attribute]:
    """Open the folder of a trained model and give the attributes asked for, or all."""
    # Only a trained model needs what `training` imports.
    from gingham.training.trained import TrainedModel

    return TrainedModel.load(model).attributes(names)


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
        self._attributes = Attributes(folder / "attributes", self._truth, load_attributes)
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

        An attached attribute is detached; if one of its name is taught, that one answers again.

        Raises
        ------
        InputError
            If it is not there, or forgetting the value would leave fewer than two.
        """
        self._attributes.check([attribute])
        if attribute in self._truth.attached.current:
            if value is not None:
                raise InputError(
                    f"attribute {attribute!r} is answered by a trained model: its values cannot be "
                    "forgotten one by one; forget all of it"
                )
            self._truth.attached.detach(attribute)
            if attribute not in self._attributes.taught():
                self._attributes.forget(attribute)
            return
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
        model: Model | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> Iterator[ImagePredictions]:
        """Predict the attributes of images, in the catalogue or not; results keep the order.

        Parameters
        ----------
        images : paths, bytes or open files, or ids of images in the catalogue. In the results an
            image without a path is named by its id.
        attributes : only these; None means all.
        model : its attributes are asked instead of the catalogue's.
        options : see `index`.

        Returns
        -------
        An iterator. An image that only some attributes can read has their predictions, and the
        reason why the others have none.

        Raises
        ------
        InputError
            If an attribute asked for is not there.
        CatalogueError
            If the model of an attached attribute has moved or changed.
        """
        # Without any attribute an image is still read, to say whether it can be.
        asked = attributes or model or self._attributes.answering()
        chosen = self._chosen(attributes, model) if asked else []
        return predict(chosen, self._truth, list(images), options)

    def _chosen(self, names: Sequence[str] | None, model: Model | None) -> Sequence[Attribute]:
        """Give the attributes asked for, or all: of a model, or else the catalogue's."""
        if model is not None:
            return model.attributes(names)
        return [self._attributes.get(name) for name in self._attributes.check(names)]

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
        values : explain these instead, each of every attribute that has it.
        model : its attributes are explained instead of the catalogue's. Grad-CAM explains the
            attributes of a trained model, their own projection those that are taught.
        options : see `index`.

        Raises
        ------
        InputError
            If an attribute asked for is not there, none has one of the values, or the catalogue's
            runtime gives no maps.
        MissingExtraError
            If a trained model is to be explained and `grad-cam` is not installed.
        """
        # Explaining is rare, and what draws it is not needed by the rest.
        from gingham.explaining.explain import explain

        return explain(
            self._chosen(attributes, model),
            self._truth,
            self._attributes,
            self._load,
            self._most_alike,
            [in_memory(image) for image in images],
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
        """Apply attributes to every image of the catalogue.

        Taught attributes answer from the stored features, without reading an image; for attached
        ones the files are read again, once per model. Images indexed later have no tag until the
        next call.

        Raises
        ------
        InputError
            If there is no attribute, or one asked for is not there; or if files must be read again
            and not one can be.
        CatalogueError
            If the model of an attached attribute has moved or changed.
        """
        names = self._attributes.check(attributes)
        return tag(self._truth, self._attributes, names, options)

    def attach(
        self, model: str | os.PathLike[str], *, attributes: Sequence[str] | None = None
    ) -> AttachResult:
        """Make the attributes of a trained model attributes of this catalogue.

        They are tagged, predicted, explained, searched by filter, counted and exported like taught
        ones. Where an attribute of the same name is taught, the attached one answers in its place;
        nothing that was taught is lost: `forget` detaches, and the taught one answers again.
        Attaching a newer model replaces what an earlier one brought.

        Parameters
        ----------
        model : its folder; it stays where it is. If it moves or changes, attach it again.
        attributes : only these of it; None means all.

        Raises
        ------
        CatalogueError
            If it is not a trained model, or is damaged.
        InputError
            If the model has no attribute of a name, or a name cannot be used; then nothing is
            attached.
        """
        from gingham.operations.attach import attach

        folder = absolute(model)
        return attach(self._attributes, folder, load_attributes(folder, attributes))

    def images(self) -> dict[str, tuple[str, ...]]:
        """Return the id of every image (64 hexadecimal digits) and its files."""
        return {i.hex(): tuple(files) for i, files in self._truth.locations.images.items()}

    def examples(self) -> dict[str, frozenset[str]]:
        """Give the ids of the images that each taught attribute was taught with."""
        return {
            name: frozenset(example.id.hex() for example in taught.examples)
            for name, taught in self._attributes.taught().items()
        }

    @property
    def taught(self) -> Model:
        """The taught attributes alone, to be given to `predict` or `explain` as `model`.

        They answer even where a trained model is attached in their place.
        """
        return TaughtAttributes(self._attributes)

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
        """Say what the catalogue holds."""
        taught, attached = self._attributes.taught(), self._truth.attached.current
        attributes = {
            name: AttributeInfo(
                self._attributes.kind(name),
                self._attributes.values(name),
                len(taught[name].examples) if name in taught else 0,
                () if name in attached else self._attributes.get(name).layers,
                self._tagged(name),
                attached[name].model if name in attached else None,
            )
            for name in self._attributes.answering()
        }
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
