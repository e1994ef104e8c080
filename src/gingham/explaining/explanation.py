"""What an explanation is: a value, its prediction, and a map of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.images import Box
from gingham.results import Prediction, Result


@dataclass(frozen=True)
class Explanation(Result):
    """Why one value, and where.

    Attributes
    ----------
    attribute, value : what is explained: the value asked for, else the likeliest.
    confidence : the value's calibrated probability, whether it is the answer or not.
    prediction : what the attribute answers, with its evidence, but for the picture itself; unknown
        stays unknown.
    method : `projection`, of a taught attribute, `grad-cam`, of a trained model, or `seen`, of the
        built-in `colours`.
    score : what the map explains. Of a taught attribute of kind `single` how far the picture lies
        from the mean of all examples towards the value's, in spreads within a value; of `colours`
        the share of the foreground; else log-odds.
    layers : hidden layer -> its share of the map.
    heat : (H, W) float32 over `box`; above 0 what speaks for the value, below 0 what speaks
        against it, in units of the score (`grad-cam`: 0 to 1, only what speaks for it).
    box : the part of the picture that was read, in fractions of its sides.
    example : whether the picture is an example that the taught attribute was fitted on.
    """

    attribute: str
    value: str
    confidence: float
    prediction: Prediction
    method: str
    score: float
    layers: dict[str, float]
    heat: NDArray[np.float32] = field(repr=False, compare=False)
    box: Box
    example: bool = False

    @property
    def answered(self) -> bool:
        """Whether the value is the answer, or among its values."""
        said = self.prediction.value
        return self.value in said if isinstance(said, list) else self.value == said

    @property
    def hottest(self) -> tuple[float, float]:
        """The place that speaks most for the value: fractions of the picture's width and height."""
        row, column = np.unravel_index(int(self.heat.argmax()), self.heat.shape)
        left, top, right, bottom = self.box
        high, wide = self.heat.shape
        return (
            left + (right - left) * (float(column) + 0.5) / wide,
            top + (bottom - top) * (float(row) + 0.5) / high,
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the map itself, and where it is hottest."""
        return {
            "attribute": self.attribute,
            "value": self.value,
            "confidence": self.confidence,
            "prediction": self.prediction.to_dict(),
            "example": self.example,
            "method": self.method,
            "score": self.score,
            "layers": self.layers,
            "box": list(self.box),
            "hottest": list(self.hottest),
        }


@dataclass(frozen=True)
class ImageExplanations(Result):
    """All explanations of one image, or the reason why there are none.

    `picture` is (H, W, 3) uint8 as it was read: upright, a large JPEG at a fraction of its size.
    """

    image: str
    explanations: tuple[Explanation, ...] = ()
    picture: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    error: str | None = None

    def _repr_html_(self) -> str:
        from PIL import Image

        from gingham.explaining.overlay import draw_overlay
        from gingham.report.notebook import explanations_html

        picture = self.picture
        shown: list[tuple[str, Image.Image, dict[str, float]]] = []
        if picture is not None:
            shown.append(("", Image.fromarray(picture), {}))
            for one in self.explanations:
                says = {one.value: one.confidence}
                shown.append((one.attribute, draw_overlay(picture, one), says))
        return explanations_html(self.image, shown, self.error)

    def to_dict(self) -> dict[str, Any]:
        """`image` and `explanations`, or `image` and `error`."""
        if self.error is not None:
            return {"image": self.image, "error": self.error}
        return {
            "image": self.image,
            "explanations": [explanation.to_dict() for explanation in self.explanations],
        }
