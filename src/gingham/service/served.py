"""The catalogue as the service uses it: one runtime for all threads."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image

from gingham.backbones.runtime import Runtime
from gingham.backbones.shared import SharedRuntime
from gingham.catalogue import Catalogue


class ServedCatalogue(Catalogue):
    """A catalogue whose threads share one runtime, which batches what they read."""

    _shared: SharedRuntime | None = None
    watch_batch: Callable[[int], None] = staticmethod(lambda images: None)
    """Called with the number of images of each batch."""

    def _load(self) -> Runtime:
        with self._loading:
            if self._shared is None:
                self._shared = SharedRuntime(super()._load(), lambda n: self.watch_batch(n))
            return self._shared

    def warm_up(self) -> None:
        """Load the network and the index, so that the first request need not.

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
        for _ in self.predict([buffer.getvalue()], attributes=()):
            pass
        self.facets()
