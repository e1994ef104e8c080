"""An attribute that a trained model answers, as a catalogue asks it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from gingham.attributes.attribute import GRAD_CAM, Features, HeatMap, Picture, TagBatch
from gingham.attributes.cutoffs import cut_off
from gingham.cutoff import Cutoff, CutoffResult
from gingham.results import Prediction
from gingham.training.gradcam import grad_cam, import_grad_cam
from gingham.training.trained import OUTPUT
from gingham.training.vocabulary import NO, YES, ModelAttribute

if TYPE_CHECKING:
    from gingham.backbones.runtime import Runtime
    from gingham.training.trained import TrainedModel

_LOOKING = threading.Lock()  # Grad-CAM hooks into the network while it looks


@dataclass(frozen=True)
class TrainedAttribute:
    """One attribute of a trained model; see `gingham.attributes.attribute.Attribute`.

    A model reads maps at a size of its own, which a catalogue does not keep: images are read again.
    It has no examples to show: the evidence of its predictions is empty.

    Attributes
    ----------
    model : opened; it reads the images, once for all its attributes.
    outputs : the attribute in the model's vocabulary.
    """

    model: TrainedModel
    outputs: ModelAttribute

    needs: ClassVar[Literal["pixels"]] = "pixels"
    layers: ClassVar[tuple[str, ...]] = (OUTPUT,)
    method: ClassVar[str] = GRAD_CAM

    @property
    def name(self) -> str:
        """As in the table that the model was trained on."""
        return self.outputs.name

    @property
    def kind(self) -> str:
        """`multi`, or `single`, which the model's kind `binary` is too."""
        return "multi" if self.outputs.kind == "multi" else "single"

    @property
    def values(self) -> tuple[str, ...]:
        """Every value that an answer may hold."""
        return self.outputs.answers

    @property
    def stamp(self) -> str:
        """The fingerprint of the model."""
        return self.model.fingerprint

    @property
    def reader(self) -> TrainedModel:
        """Its model."""
        return self.model

    @property
    def _columns(self) -> slice:
        return self.model.vocabulary.columns[self.name]

    def answer(self, features: Features, *, evidence: int = 5) -> list[Prediction]:
        """Answer for N images; there are no examples to show, however many are asked for."""
        answers = self.model.calibration.answers(features[OUTPUT])
        confidence = answers.certainty(self.outputs.kind, self._columns).mean(1)
        found = []
        for row, given in enumerate(answers.given[:, self._columns]):
            probabilities = answers.probabilities[row, self._columns].tolist()
            values = dict(zip(self.outputs.values, probabilities, strict=True))
            if self.outputs.kind == "binary":
                values[NO] = 1 - values[YES]
            has, values = self.outputs.answered(given), _sorted(values)
            multi = self.kind == "multi"
            found.append(
                Prediction.of(
                    has if multi else next(iter(has or values)),
                    float(confidence[row]),
                    values,
                    (),
                    unknown=not multi and not has,
                )
            )
        return found

    def tags(self, features: Features) -> TagBatch:
        """Answer for N images."""
        answers = self.model.calibration.answers(features[OUTPUT])
        values = [self.outputs.answered(given) for given in answers.given[:, self._columns]]
        probabilities = answers.probabilities[:, self._columns]
        likeliest = probabilities.argmax(1).tolist()
        guesses = [
            [] if has or self.kind == "multi" else [self.outputs.values[best]]
            for has, best in zip(values, likeliest, strict=True)
        ]
        single = self.outputs.kind not in ("binary", "multi")
        return TagBatch(
            values,
            answers.certainty(self.outputs.kind, self._columns).mean(1),
            guesses,
            probabilities=probabilities if single else None,
        )

    def cut_off(self, cutoff: Cutoff) -> CutoffResult:
        """Say how sure its answers must be: as sure as they say themselves."""
        return cut_off(self.name, self.kind, self.values, cutoff, None)

    def mapped_layers(self) -> tuple[str, ...]:
        """None of the catalogue's: the model has a network of its own."""
        return ()

    def check_explainable(self, runtime: Runtime) -> None:
        """See `Attribute.check_explainable`."""
        import_grad_cam()

    def explain(self, picture: Picture, features: Features, values: Sequence[str]) -> list[HeatMap]:
        """Say by Grad-CAM where in a picture the model finds each of some values."""
        parts = self.model.torch_model
        square = picture.input(parts.preprocess)
        # Of kind `binary` one output means yes and, with the other sign, no.
        first, binary = self._columns.start, self.outputs.kind == "binary"
        outputs = [first + (0 if binary else self.values.index(value)) for value in values]
        signs = [-1 if binary and value == NO else 1 for value in values]
        with _LOOKING:
            heats = grad_cam(
                parts.network,
                [parts.last_convolution],
                np.repeat(square[None], len(values), axis=0),
                outputs,
                signs=signs,
                views=parts.views,
            )
        return [
            HeatMap(value, float(sign * features[OUTPUT][0, output]), heat, {})
            for value, output, sign, heat in zip(values, outputs, signs, heats, strict=True)
        ]


def _sorted(values: dict[str, float]) -> dict[str, float]:
    return dict(sorted(values.items(), key=lambda item: -item[1]))
