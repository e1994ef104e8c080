"""Images -> features as a scikit-learn transformer, the first step of a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Runtime, load_runtime
from gingham.errors import ImageError, InputError, MissingExtraError
from gingham.extract import PLAIN, VIEWS, extract, identify
from gingham.images import ImageSource

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ModuleNotFoundError as error:
    raise MissingExtraError("scikit-learn", extra="study", purpose="a transformer") from error


class ImageFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Read images through a backbone, as a catalogue does.

    In a pipeline before `AttributeClassifier`, whose `blocks` are this one's, or any classifier.

    Parameters
    ----------
    backbone, weights, device : see `gingham.load_runtime`.
    layers : hidden layers, joined side by side; None means all.

    Attributes
    ----------
    blocks_ : (layer, first column, end column), once fitted.
    """

    def __init__(
        self,
        backbone: str = "efficientnet_lite0",
        *,
        weights: str | None = None,
        device: str = "auto",
        layers: Sequence[str] | None = None,
    ) -> None:
        self.backbone = backbone
        self.weights = weights
        self.device = device
        self.layers = layers

    def fit(self, X: Sequence[ImageSource], y: Any = None) -> Self:
        """Load the backbone; nothing is learned.

        Raises
        ------
        InputError
            If a layer is not there.
        """
        self._runtime: Runtime = load_runtime(self.backbone, self.weights, device=self.device)
        widths = self._runtime.config.widths
        names = tuple(self._runtime.config.pooled) if self.layers is None else tuple(self.layers)
        if unknown := [name for name in names if name not in widths]:
            raise InputError(f"unknown layer {unknown[0]!r}; known: {', '.join(widths)}")
        ends = list(accumulate((widths[name] for name in names), initial=0))
        self.blocks_ = tuple(
            (name, start, end) for name, (start, end) in zip(names, pairwise(ends), strict=True)
        )
        return self

    def transform(self, X: Sequence[ImageSource]) -> NDArray[np.float32]:
        """Give (N, D) float32 features of N images: paths, bytes or open files.

        Raises
        ------
        ImageError
            If one cannot be read.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self, "blocks_")
        names = tuple(name for name, _, _ in self.blocks_)
        rows = []
        for item in extract(identify(list(X), lambda _: VIEWS), self._runtime, layers=names):
            if not item.features:
                raise ImageError(f"{item.image}: {item.reason}")
            read = item.features[PLAIN]
            # As a catalogue stores them.
            rows.append(np.concatenate([read[name].astype(np.float16) for name in names]))
        width = self.blocks_[-1][2] if self.blocks_ else 0
        return np.array(rows, np.float32).reshape(len(rows), width)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the network out: `fit` loads it again."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_runtime"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the network again if it was loaded."""
        super().__setstate__(state)
        if hasattr(self, "blocks_"):
            self.fit([])
