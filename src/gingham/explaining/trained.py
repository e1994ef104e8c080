"""A trained model explained: Grad-CAM of its outputs, and pictures of the catalogue beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.registry import Attributes
from gingham.backbones.table import Preprocess
from gingham.errors import ImageError
from gingham.explaining.explanation import GRAD_CAM, Explanation, ImageExplanations
from gingham.explaining.gradcam import grad_cam, import_grad_cam
from gingham.explaining.reading import (
    EVIDENCE,
    box_read,
    check_values,
    chosen_values,
    read_picture,
    without_itself,
)
from gingham.extract import View
from gingham.images import ImageSource, image_name, resize
from gingham.operations.tag import predict
from gingham.options import ReadOptions
from gingham.results import Evidence, Hit, Prediction
from gingham.store.truth import Truth

if TYPE_CHECKING:
    from torch import nn

UNTAGGED = "no tag"


class Vocabulary(Protocol):
    """Which output is which: see `gingham.training.vocabulary`."""

    @property
    def columns(self) -> dict[str, slice]:
        """Attribute -> its outputs."""

    def chosen(self, names: Sequence[str] | None) -> Sequence[Any]:
        """The attributes asked for, or all: each has a `name`, a `kind` and `values`."""


class Parts(Protocol):
    """What a Grad-CAM takes: see `gingham.training.trained.TorchModel`."""

    @property
    def network(self) -> nn.Module:
        """Maps (N, 3, S, S) float32 RGB of 0 to 255 to (N, V) logits."""

    @property
    def last_convolution(self) -> nn.Module:
        """The module of it to look into."""

    @property
    def preprocess(self) -> Preprocess:
        """How an image becomes its input."""

    @property
    def views(self) -> Sequence[View]:
        """The parts of it that the network reads, one after another; see `grad_cam`."""


class Model(Protocol):
    """A trained model: see `gingham.training.trained.TrainedModel`."""

    @property
    def vocabulary(self) -> Vocabulary:
        """What its outputs mean."""

    def logits(
        self, images: Iterable[ImageSource], *, options: ReadOptions
    ) -> Iterator[tuple[str, NDArray[np.float32] | None, str | None]]:
        """Give (image, (V,) logits, None), or (image, None, reason), in order."""

    def predictions(
        self, logits: NDArray[np.floating], names: Sequence[str] | None
    ) -> list[dict[str, Prediction]]:
        """Answer for (N, V) logits."""

    def torch_model(self) -> Parts:
        """Build the network in torch."""


def explain_trained(
    truth: Truth,
    attributes: Attributes,
    search: Callable[[str | bytes], Sequence[Hit]],
    model: Model,
    paths: Sequence[str | bytes],
    names: Sequence[str] | None,
    values: Sequence[str],
    options: ReadOptions,
) -> Iterator[ImageExplanations]:
    """Explain images by a model, one after another; see `Catalogue.explain`.

    A trained model has no examples of its own. Beside its map stand the nearest examples of the
    taught attribute of the same name; without one, the images of the catalogue that look most
    alike, with their tags.

    Parameters
    ----------
    search : the most alike images of the catalogue, without the image itself.
    """
    chosen = [attribute.name for attribute in model.vocabulary.chosen(names)]
    known = {attribute.name: _values(attribute) for attribute in model.vocabulary.chosen(names)}
    check_values(known, values)
    # Refused before anything is written, as an attribute that there is not.
    import_grad_cam()
    return _explain_all(truth, attributes, search, model, paths, chosen, values, options)


def _explain_all(
    truth: Truth,
    attributes: Attributes,
    search: Callable[[str | bytes], Sequence[Hit]],
    model: Model,
    paths: Sequence[str | bytes],
    names: Sequence[str],
    values: Sequence[str],
    options: ReadOptions,
) -> Iterator[ImageExplanations]:
    parts = model.torch_model()
    how = parts.preprocess
    files = [_file(truth, path) for path in paths]
    for done, (path, (_, logits, reason)) in enumerate(
        zip(paths, model.logits(files, options=options), strict=True), 1
    ):
        try:
            if logits is None:
                raise ImageError(reason or "cannot be read")
            picture = read_picture(truth, path, how.size, options)
            predictions = model.predictions(logits[None], names)[0]
            wanted = [
                (name, value)
                for name in names
                for value in chosen_values(predictions[name], values)
            ]
            square = resize(picture, how.size, interpolation=how.interpolation, crop=how.crop)
            outputs = [_output(model.vocabulary, name, value) for name, value in wanted]
            heats = grad_cam(
                parts.network,
                [parts.last_convolution],
                np.repeat(square[None], len(wanted), axis=0),
                [output for output, _ in outputs],
                signs=[sign for _, sign in outputs],
                views=parts.views,
            )
            shown = _evidence(truth, attributes, search, path, names, options)
            explanations = tuple(
                Explanation(
                    name,
                    value,
                    predictions[name].values[value],
                    replace(predictions[name], evidence=shown[name]),
                    GRAD_CAM,
                    float(sign * logits[output]),
                    {},
                    heat,
                    box_read(picture, how.crop),
                )
                for (name, value), (output, sign), heat in zip(wanted, outputs, heats, strict=True)
            )
            yield ImageExplanations(image_name(path), explanations, np.asarray(picture))
        except ImageError as error:
            yield ImageExplanations(image_name(path), error=str(error))
        options.progress("explain", done, len(paths))


def _values(attribute: Any) -> tuple[str, ...]:
    """List what an attribute may answer; of kind `binary` one output is yes and no."""
    return ("yes", "no") if attribute.kind == "binary" else tuple(attribute.values)


def _output(vocabulary: Vocabulary, name: str, value: str) -> tuple[int, int]:
    """Say which output tells of a value, and its sign: -1 for the no of kind `binary`."""
    columns = vocabulary.columns[name]
    (attribute,) = vocabulary.chosen([name])
    if attribute.kind == "binary":
        return columns.start, 1 if value == "yes" else -1
    return columns.start + attribute.values.index(value), 1


def _file(truth: Truth, image: str | bytes) -> str | bytes:
    image_id = truth.image_id(image)
    return image if image_id is None else truth.locations.images[image_id][0]


def _evidence(
    truth: Truth,
    attributes: Attributes,
    search: Callable[[str | bytes], Sequence[Hit]],
    image: str | bytes,
    names: Sequence[str],
    options: ReadOptions,
) -> dict[str, tuple[Evidence, ...]]:
    shown: dict[str, tuple[Evidence, ...]] = {}
    taught = [name for name in names if name in attributes.names()]
    if taught:
        for answer in predict(
            truth, attributes, [image], taught, options.quiet, evidence=EVIDENCE + 1
        ):
            for name, one in answer.predictions.items():
                one, _ = without_itself(truth, one, attributes.taught()[name], image)
                shown[name] = one.evidence
    rest = [name for name in names if name not in shown]
    hits = search(image) if rest else ()
    for name in rest:
        shown[name] = tuple(
            Evidence(
                hit.image,
                hit.attributes.get(name, UNTAGGED),
                1 - sum(hit.looks.values()) / max(len(hit.looks), 1),
            )
            for hit in hits
        )
    return shown
