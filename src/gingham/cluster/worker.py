"""What one worker of a cluster does: it reads images, and writes what is new of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from gingham.backbones.image_text import ImageTextModel, ModelName
from gingham.backbones.runtime import Features, Runtime, limit_cpus
from gingham.backbones.table import FeatureConfig
from gingham.errors import CatalogueError
from gingham.extract import PLAIN, VIEWS, Extracted, View, read_into
from gingham.images import ImageId, ImageSource
from gingham.operations.reader import open_runtime
from gingham.options import ReadOptions
from gingham.store import ids as many
from gingham.store.features import FeatureStore
from gingham.store.ids import Ids
from gingham.store.site import files_at
from gingham.store.text_look import vectors_in


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker must know; it is sent to other machines.

    Attributes
    ----------
    address : of the catalogue; a folder must be there on all machines.
    config : what makes its features.
    weights : see `gingham.operations.reader.open_runtime`.
    max_pixels : see `gingham.options.ReadOptions`.
    runtime : used instead of loading one.
    text : the model of images and words that reads instead of the backbone, for the look `text`.
    """

    address: str
    config: FeatureConfig
    weights: str | None
    max_pixels: int
    runtime: Runtime | None = None
    text: ModelName | None = None


class ClusterWorker:
    """Reads images and writes shards of features, one batch at a time.

    Parameters
    ----------
    plan : what to do.
    known : the sorted ids of images whose features are stored.
    cpus : threads that decode, and that compute.
    """

    def __init__(self, plan: WorkerPlan, known: Ids, cpus: int) -> None:
        self._plan, self._known, self._cpus = plan, known, cpus
        self._written: set[ImageId] = set()

    def prepare(self) -> None:
        """Load the network.

        Raises
        ------
        CatalogueError
            If this machine's network computes other features than the catalogue has.
        """
        limit_cpus(self._cpus)
        plan, files = self._plan, files_at(self._plan.address)
        self._runtime: Runtime
        if plan.text is not None:
            self._runtime = ImageTextModel(plan.text, "cpu")
        else:
            self._runtime = plan.runtime or open_runtime(files, plan.config, plan.weights, "cpu")
        if self._runtime.config != plan.config:
            raise CatalogueError(
                f"a worker computes features with the fingerprint "
                f"{self._runtime.config.fingerprint}, catalogue {plan.address} has "
                f"{plan.config.fingerprint}: give all machines the same gingham and weights"
            )
        opened = FeatureStore if plan.text is None else vectors_in
        self._store = opened(files, plan.config)

    def read(self, images: Sequence[ImageSource]) -> list[Extracted]:
        """Read images, and write the features of those that are new; they are durable afterwards.

        Returns
        -------
        What came of each, in order, without its features.
        """
        results = read_into(
            self._keep,
            images,
            self._runtime,
            missing=self._missing,
            options=ReadOptions(self._plan.max_pixels),
            step="",
            total=len(images),
        )
        with closing(results):
            return [replace(one, features={}) for one in results]

    def _missing(self, image_id: ImageId) -> tuple[View, ...]:
        known = image_id in self._written or many.find_one(self._known, image_id) >= 0
        return () if known else VIEWS

    def _keep(self, new: dict[ImageId, dict[str, Features]]) -> None:
        if new:
            self._store.write(list(new), [views[PLAIN] for views in new.values()])
        self._written.update(new)
