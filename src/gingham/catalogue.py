"""The facade over one catalogue: index, teach, tag, predict, search, facets."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from gingham.attributes.attribute import Attribute, Model
from gingham.attributes.taught_model import TaughtAttributes
from gingham.attributes.teachable import DataFrame, Pairs
from gingham.cutoff import Cutoff
from gingham.errors import InputError
from gingham.explaining.explanation import ImageExplanations
from gingham.extract import absolute
from gingham.images import ImageSource, in_memory
from gingham.labels import Teachable
from gingham.names import UNKNOWN_WORDS
from gingham.operations.attach import attach
from gingham.operations.finding import Finding
from gingham.operations.forget import forget
from gingham.operations.history import recording
from gingham.operations.ingest import ReadImages, ingest
from gingham.operations.opening import asking, changing
from gingham.operations.predict import predict
from gingham.operations.tag import tag
from gingham.operations.teach import TableColumns, given_examples, teach
from gingham.operations.text_look import ReadTexts, follow_texts
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import (
    AttachResult,
    ImagePredictions,
    IndexResult,
    TagResult,
    TeachResult,
)
from gingham.sources import Walk, find_images
from gingham.store.features import FeatureStore
from gingham.store.text_look import TextModel

_MANY = 500  # new images, beside whose reading loading the network again takes no time


class Catalogue(Finding):
    """A folder with everything about one collection of images.

    Make one with `create`, open it with `open`, and close it (it is a context manager). Any number
    of processes can have it open: what reads takes no lock, and sees what others have written by
    then; what changes it takes its lease, which one process has at a time, for as long as the
    method runs. What is truth is append-only and survives a crash.

    Threads may call all methods together, except `close`. Those that read do not wait for `index`,
    and see what it has written so far. Searches take turns, and so do `teach`, `forget`, `attach`,
    `tag` and what changes files or derived data, whose effect is that of one after the other.
    """

    @staticmethod
    def _load_model(folder: str) -> Sequence[Attribute]:
        # Only a trained model needs what `training` imports.
        from gingham.training.trained import TrainedModel

        return TrainedModel.load(folder).attributes()

    def index(
        self,
        sources: Iterable[str | os.PathLike[str]] | Walk = (),
        *,
        images: Iterable[ImageSource] = (),
        skip_bad_rows: bool = False,
        product_column: str | None = None,
        cluster: str | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> IndexResult:
        """Add images: read each through the backbone once and keep its features.

        An image is identified by the SHA-256 of its bytes: only new images are read, and of a
        moved or renamed file only the path is added (see `relocate`, `prune`). Features are
        written every few hundred images, so an interrupted run resumes.

        Parameters
        ----------
        sources : folders (all files below), image files, or what `gingham.formats` reads (archives,
            tables with an `image` column); each must exist. Addresses in object storage, as in
            `s3://bucket/photos`, mean all objects below; one that was read before is read again
            only when the storage lists another version. Or what `find_images` found of them.
        images : paths, bytes or open files, each of which may fail by itself. An image without a
            path is known by its id.
        skip_bad_rows : leave out rows of tables that cannot be used.
        product_column : of tables, the product that an image shows, which `search` groups by; by
            default `product`, where there is one.
        cluster : read on a Ray cluster, by workers that write the features themselves: `local`
            starts one on this machine, `auto` takes the one that it belongs to or RAY_ADDRESS
            names, `any` that or else a local one, `HOST:PORT` another. Its machines must reach the
            catalogue and the images.
        options : the largest image that is read, and progress; see `gingham.ReadOptions`.

        Raises
        ------
        InputError
            If a source does not exist, contains no files, or is a table with bad rows; or if
            images lie where only this machine of a cluster finds them.
        ServerError
            If there is no such cluster, or no worker starts.
        """
        reading, texts = (None, None) if cluster is None else self._read_on(cluster, options)
        with self._changing():
            if not isinstance(sources, Walk):
                sources = find_images(
                    sources,
                    exclude=self.address,
                    skip_bad_rows=skip_bad_rows,
                    product_column=product_column,
                )
            with self._indexing, recording(self._truth, "index"):
                result = ingest(self._truth, sources, list(images), options, reading)
                follow_texts(self._truth, options, texts)
            if result.added > _MANY:
                # It need not lie in memory beside the search index that is made now.
                self._unload()
            return result

    def _read_on(self, cluster: str, options: ReadOptions) -> tuple[ReadImages, ReadTexts]:
        from gingham.cluster.connection import find_cluster
        from gingham.cluster.reading import read_on_cluster
        from gingham.cluster.worker import WorkerPlan

        if self._device == "cuda":
            raise InputError("workers of a cluster read on CPUs: use device cpu or auto")
        plan = WorkerPlan(
            absolute(self.address),
            self.config,
            self._weights,
            options.max_pixels,
            self._loaded if self._is_given else None,
        )
        address = find_cluster(cluster)

        def texts(current: TextModel, store: FeatureStore) -> ReadImages:
            own = replace(plan, config=current.config, text=current.name, runtime=None)
            return read_on_cluster(address, own, store)

        return read_on_cluster(address, plan, self._truth.features), texts

    @changing
    def teach(
        self,
        attribute: str,
        examples: str | os.PathLike[str] | Teachable | Pairs | DataFrame,
        *,
        image_column: str = "image",
        value_column: str | None = None,
        group_column: str | None = None,
        kind: str | None = None,
        layers: str | Sequence[str] = "auto",
        views: bool = True,
        allowed_loss: float | None = None,
        trust_predictions: bool = False,
        skip_bad_rows: bool = False,
        merge_variants: bool = False,
        unknown_words: Collection[str] = UNKNOWN_WORDS,
        options: ReadOptions = DEFAULTS,
    ) -> TeachResult:
        """Teach an attribute by examples, or add examples and values to it.

        Parameters
        ----------
        attribute : its name.
        examples : a folder with one subfolder per value; a table, on disk or a DataFrame of pandas
            or polars; image -> value (for kind `multi` a list of values, where `!value` means
            absent); or pairs of these. The images need not be in the
            catalogue; those that are may be given by id, and their files may be gone.
        image_column, value_column, group_column : of the table; `value_column` is the attribute's
            name by default. Images of one group (say, near-duplicates) stay in the same fold.
        kind : `single` (one value per image) or `multi` (any number); by default the kind it has,
            or `single`.
        layers : the hidden layers to use; `auto` weighs them by cross-validation.
        views : also learn from mirrored and cropped views where a value has few examples.
        allowed_loss : the share of right answers that may become `unknown`, so that other values
            are found, as in 0.02; by default what it has, or 0.002. It needs a catalogue of 300
            images or more.
        trust_predictions : take a table of predictions (with a column `VALUE_confidence`), too.
        merge_variants : give values that differ only in case, spaces or Unicode form the name of
            the most frequent one, also in what was taught before.
        unknown_words : values that mean, in any case, that nothing is known, as an empty one does.
        skip_bad_rows, options : leave out rows that cannot be used; see `index`.

        Raises
        ------
        InputError
            If there are fewer than two values or two examples, or a column, layer or file is
            missing, or columns are named and there is no table; then nothing is stored.
        """
        with recording(self._truth, "teach", attribute):
            return teach(
                self._truth,
                self._attributes,
                attribute,
                *given_examples(
                    examples, attribute, TableColumns(image_column, value_column, group_column)
                ),
                kind=kind,
                layers=layers,
                views=views,
                allowed_loss=allowed_loss,
                trust_predictions=trust_predictions,
                skip_bad_rows=skip_bad_rows,
                merge_variants=merge_variants,
                unknown_words=unknown_words,
                options=options,
            )

    @changing
    def forget(self, attribute: str, value: str | None = None) -> None:
        """Delete an attribute, or one value of it, with its examples, tags and look.

        An attached attribute is detached; if one of its name is taught, that one answers again.

        Raises
        ------
        InputError
            If it is not there, or forgetting the value would leave fewer than two.
        """
        with self._searching, recording(self._truth, "forget", attribute):
            forget(self._truth, self._attributes, attribute, value)

    @asking
    def predict(
        self,
        images: Iterable[ImageSource],
        *,
        attributes: Sequence[str] | None = None,
        model: Model | None = None,
        min_confidence: float | None = None,
        at_precision: float | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> Iterator[ImagePredictions]:
        """Predict the attributes of images, in the catalogue or not; results keep the order.

        Parameters
        ----------
        images : paths, bytes or open files, or ids of images in the catalogue. In the results an
            image without a path is named by its id.
        attributes : only these; None means all.
        model : its attributes are asked instead of the catalogue's, and the schema is not followed.
        min_confidence, at_precision : how sure an answer must be; what is less sure is unknown,
            with its value as the best guess. See `gingham.cutoff.Cutoff`.
        options : see `index`.

        Returns
        -------
        An iterator. An image that only some attributes can read has their predictions, and the
        reason why the others have none.

        Raises
        ------
        InputError
            If an attribute asked for is not there, or none is.
        CatalogueError
            If the model of an attached attribute has moved or changed.
        """
        chosen = (model or self._attributes).attributes(attributes)
        return predict(
            chosen,
            self._truth,
            list(images),
            options,
            registry=self._attributes,
            follow=model is None,
            cutoff=Cutoff.asked(min_confidence, at_precision),
        )

    @asking
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
        images, attributes, options : see `predict`; the files of ids must be there.
        values : explain these instead, each of every attribute that has it.
        model : its attributes are explained instead of the catalogue's.

        Raises
        ------
        InputError
            If an attribute asked for is not there, none has one of the values, or the catalogue's
            runtime gives no maps.
        MissingExtraError
            If a trained model is to be explained and `grad-cam` is not installed.
        """
        from gingham.explaining.explain import Explainer

        chosen, truth = (model or self._attributes).attributes(attributes), self._truth
        explainer = Explainer(chosen, truth, self._attributes, self._load, self.search, options)
        given = [in_memory(image) for image in images]
        explainer.check(values)
        return explainer.explain(given, values)

    @changing
    def tag(
        self,
        attributes: Sequence[str] | None = None,
        *,
        min_confidence: float | None = None,
        at_precision: float | None = None,
        options: ReadOptions = DEFAULTS,
    ) -> TagResult:
        """Apply attributes to every image of the catalogue.

        Taught attributes answer from the stored features; for attached ones the files are read
        again, once per model. Images that have a tag of the attribute as it is now keep it. Images
        indexed later have no tag until the next call. What is less
        sure than a cut-off (`min_confidence`, `at_precision`; see `gingham.cutoff.Cutoff`) is
        unknown wherever the tags are used, unless another cut-off is given there.

        Raises
        ------
        InputError
            If an attribute is not there, or files must be read again and not one can be.
        CatalogueError
            If the model of an attached attribute has moved or changed.
        """
        cutoff = Cutoff.asked(min_confidence, at_precision)
        return tag(self._truth, self._attributes, attributes, options, cutoff)

    @changing
    def attach(
        self, model: str | os.PathLike[str], *, attributes: Sequence[str] | None = None
    ) -> AttachResult:
        """Make the attributes of a trained model attributes of this catalogue.

        They are used like taught ones, and answer in place of taught ones of the same name; nothing
        taught is lost: `forget` detaches, and the taught one answers again. Attaching a newer model
        replaces what an earlier one brought.

        Parameters
        ----------
        model : its folder; it stays where it is. If it moves or changes, attach it again.
        attributes : only these of it; None means all.

        Raises
        ------
        CatalogueError
            If it is not a trained model, or is damaged.
        InputError
            If the model has no such attribute, or a name cannot be used; then none is attached.
        """
        folder = absolute(model)
        with recording(self._truth, "attach", detail=f" {Path(folder).name}"):
            return attach(self._attributes, folder, self._load_model(folder), attributes)

    @asking
    def images(self) -> dict[str, tuple[str, ...]]:
        """Return the id of every image (64 hexadecimal digits) and its files."""
        return {i.hex(): tuple(files) for i, files in self._truth.locations.image_files()}

    @asking
    def examples(self) -> dict[str, frozenset[str]]:
        """Give the ids of the images that each taught attribute was taught with."""
        return {
            name: frozenset(example.id.hex() for example in taught.examples)
            for name, taught in self._attributes.taught().items()
        }

    @property
    @asking
    def taught(self) -> Model:
        """The taught attributes, even where a model answers: a `model` to `predict`, `explain`."""
        return TaughtAttributes(self._attributes)
