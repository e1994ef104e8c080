"""The look `text` of a catalogue: which model of images and words it is of, and their vectors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from gingham.backbones.image_text import TEXT, ImageTextModel, ModelName
from gingham.backbones.table import FeatureConfig
from gingham.errors import CatalogueError
from gingham.store.columns import table
from gingham.store.compacting import Compacted
from gingham.store.features import FeatureStore
from gingham.store.files import Files
from gingham.store.ids import Ids
from gingham.store.locations import Locations
from gingham.store.shards import Log, Replayed

LOG, FEATURES = "text_model/", "text_features/"
_SCHEMA = pa.schema(
    # Nulls mean: none any more.
    [pa.field(name, pa.string()) for name in ("model", "weights", "config")]
)


@dataclass(frozen=True)
class TextModel:
    """The model of a catalogue.

    Attributes
    ----------
    name : as it was given.
    config : of its vectors.
    """

    name: ModelName
    config: FeatureConfig


class TextLook(Replayed):
    """The models that were set, of which the last counts, and the vectors that it made of images.

    The vectors lie in shards as features do, one folder for each model; those of former models are
    deleted by `compact`.

    Parameters
    ----------
    files : of the catalogue.
    load : loads a model.
    kept : a folder in which the places of vectors may be kept.

    Attributes
    ----------
    current : the model; None if there is none.
    features : of images; None without a model.
    """

    def __init__(
        self,
        files: Files,
        load: Callable[[ModelName], ImageTextModel] = ImageTextModel,
        kept: Path | None = None,
    ) -> None:
        self._files = files
        self._load = load
        self._folder = kept
        self._loading = threading.Lock()
        self._loaded: tuple[str, ImageTextModel] | None = None
        self._counted: tuple[tuple[str | None, list[str], int], int] | None = None
        self.current: TextModel | None = None
        self.features: FeatureStore | None = None
        super().__init__(Log(files, LOG, _SCHEMA))

    def _take_in(self, events: pa.Table) -> None:
        row = events.to_pylist()[-1]
        if row["model"] is None:
            self.current = self.features = None
            return
        try:
            config = FeatureConfig.from_dict(json.loads(row["config"]))
        except (ValueError, KeyError, TypeError) as error:
            raise CatalogueError(
                f"{self._files}/{LOG}: the text model cannot be read ({error!r})"
            ) from None
        if self.current is None or self.current.config != config:
            place = None if self._folder is None else self._folder / f"{_place(config)}.npz"
            self.features = vectors_in(self._files, config, place)
        self.current = TextModel(ModelName(row["model"], row["weights"]), config)

    @property
    def fingerprint(self) -> str | None:
        """Of the vectors; None without a model."""
        return None if self.current is None else self.current.config.fingerprint

    def set(self, name: ModelName) -> None:
        """Let another model count, which is loaded for it; on disk when this returns.

        Raises
        ------
        BackboneError, MissingExtraError
            See `ImageTextModel`; then nothing is changed.
        """
        loaded = self._load(name)
        said = {"model": name.model, "weights": name.weights}
        config = json.dumps(loaded.config.to_dict())
        with self._changing:
            current = self.current
            if current is None or current.config != loaded.config or current.name != name:
                self._log.append(table([said | {"config": config}], _SCHEMA))
                self._catch_up()
            self._loaded = loaded.config.fingerprint, loaded

    def drop(self) -> None:
        """Let no model count any more; on disk when this returns."""
        with self._changing:
            if self.current is not None:
                self._log.append(table([{}], _SCHEMA))
                self._catch_up()

    def model(self) -> ImageTextModel:
        """Give the model, loaded when it is first needed.

        Raises
        ------
        CatalogueError
            If there is none, or its weights are others than they were.
        BackboneError, MissingExtraError
            See `ImageTextModel`.
        """
        current = self.current
        if current is None:
            raise CatalogueError(
                f"{self._files} has no look {TEXT}: gingham text-look gives it one"
            )
        with self._loading:
            if self._loaded is None or self._loaded[0] != current.config.fingerprint:
                loaded = self._load(current.name)
                if loaded.config != current.config:
                    raise CatalogueError(
                        f"text model {current.name.model} is another than when the catalogue's "
                        f"look {TEXT} was made: bring its weights back, or run gingham text-look "
                        "with --model"
                    )
                self._loaded = current.config.fingerprint, loaded
            return self._loaded[1]

    def count(self, locations: Locations) -> int:
        """Count the images of a catalogue that were read; a million take a second, and only once.

        Parameters
        ----------
        locations : of the catalogue.
        """
        store = self.features
        if store is None:
            return 0
        state = (self.fingerprint, store.shards(), locations.version)
        if self._counted is None or self._counted[0] != state:
            self._counted = state, int(store.has(locations.ids()).sum())
        return self._counted[1]

    def refresh(self) -> bool:
        """Take in what other processes have added; say whether there was any."""
        changed = super().refresh()
        return (self.features is not None and self.features.refresh()) or changed

    def keep(self) -> None:
        """Keep the places of vectors for the next start."""
        if self.features is not None:
            self.features.keep()

    def compact(self, wanted: Ids) -> Compacted:
        """Do as `FeatureStore.compact`, and delete the vectors of former models."""
        own = None if self.current is None else f"{FEATURES}{self.fingerprint}/"
        for name in self._files.list(FEATURES):
            if own is None or not name.startswith(own):
                self._files.delete(name)
        return Compacted(0, 0, 0) if self.features is None else self.features.compact(wanted)

    def verify(self) -> list[str]:
        """Read every byte; say what is wrong, one line per problem."""
        return super().verify() + ([] if self.features is None else self.features.verify())


def vectors_in(files: Files, config: FeatureConfig, kept: Path | None = None) -> FeatureStore:
    """Open the vectors that a model made of images.

    Parameters
    ----------
    files : of the catalogue.
    config : of the vectors.
    kept : see `FeatureStore`.
    """
    return FeatureStore(files, config, f"{FEATURES}{config.fingerprint}/", kept)


def _place(config: FeatureConfig) -> str:
    return f"{TEXT}-{config.fingerprint}"
