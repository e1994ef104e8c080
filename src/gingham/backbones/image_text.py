"""Models of images and words, of open_clip: their vectors of both can be compared.

torch and open_clip are imported only where a model is loaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.preprocess import Preprocess
from gingham.backbones.runtime import Inputs, Key, Streamed, cuda_is_there
from gingham.backbones.table import FeatureConfig, Layer
from gingham.errors import BackboneError, InputError, require_extra
from gingham.images import INTERPOLATIONS
from gingham.names import did_you_mean

TEXT = "text"
"""The name of the look, and of its vectors in features."""

_HUB, _FOLDER = "hf-hub:", "local-dir:"
_DESCRIPTION = "open_clip_config.json"
_BATCH = 32


@dataclass(frozen=True)
class ModelName:
    """A model as a user names it.

    Attributes
    ----------
    model : a name that open_clip knows (`ViT-B-32`), `hf-hub:ORGANISATION/NAME`, or the absolute
        path of a folder with an `open_clip_config.json` and its weights.
    weights : of a name that open_clip knows: the absolute path of a file, or one of its tags
        (`laion2b_s34b_b79k`), whose weights it downloads once. None for the others.
    """

    model: str
    weights: str | None = None

    @property
    def called(self) -> str:
        """The model without the folders in which it and its weights lie."""
        model = Path(self.model).name if Path(self.model).is_absolute() else self.model
        return model if self.weights is None else f"{model}, {Path(self.weights).name}"

    @classmethod
    def asked(cls, model: str, weights: str | os.PathLike[str] | None) -> ModelName:
        """Take what a user gives; paths become absolute.

        Raises
        ------
        InputError
            If a folder or an address of the hub comes with other weights.
        """
        if (folder := Path(model)).is_dir():
            model = str(folder.absolute())
        elif weights is not None and (file := Path(weights)).is_file():
            weights = str(file.absolute())
        found = cls(model, None if weights is None else str(weights))
        if found.weights is not None and (model.startswith(_HUB) or Path(model).is_absolute()):
            raise InputError(f"text model {model} has its own weights: leave {weights} out")
        return found


class ImageTextModel:
    """A loaded model; threads may call all methods together.

    Attributes
    ----------
    config : all that decides the value of a vector; it has the one layer `TEXT`.
    """

    def __init__(self, name: ModelName, device: str = "auto") -> None:
        """Load a model.

        Raises
        ------
        BackboneError
            If it is unknown, cannot be had, does not fit its weights, or reads images in a way
            that is not known here.
        MissingExtraError
            If open_clip is not installed.
        InputError
            If the device is none of `auto`, `cpu` and `cuda`.
        """
        require_extra("text", "open_clip", purpose="the look text")
        if device not in ("auto", "cpu", "cuda"):
            raise InputError(f"device must be auto, cpu or cuda, got {device!r}")
        cuda = device != "cpu" and cuda_is_there(sure=device == "cuda")
        if device == "cuda" and not cuda:
            raise BackboneError("device cuda: torch finds no CUDA device here; use --device cpu")
        with _quiet():
            import torch

            model, self._tokenizer, described = _load(name)
        self._device = torch.device("cuda" if cuda else "cpu")
        self._model = model.eval().to(self._device)
        preprocess = _preprocess(name, model)
        self._images = _tower(model, preprocess).to(self._device)
        width = self.words("a").size
        digest = hashlib.sha256(json.dumps(described, sort_keys=True).encode())
        for key, value in sorted(model.state_dict().items()):
            digest.update(f"{key} {tuple(value.shape)} ".encode())
            digest.update(value.float().cpu().numpy().tobytes())
        # A folder may be moved: what is in it counts.
        called = "folder" if Path(name.model).is_absolute() else name.model
        self.config = FeatureConfig(
            called, digest.hexdigest(), preprocess, (Layer(TEXT, width),), "mean"
        )

    def stream(self, images: Inputs[Key], layers: Sequence[str] | None = None) -> Streamed[Key]:
        """Map images to `TEXT` -> (D,) float32 unit vector; see `Runtime.stream`."""
        from gingham.backbones.torch import in_batches

        yield from in_batches(self._images, (TEXT,), images, _BATCH)

    def words(self, text: str) -> NDArray[np.float32]:
        """Map words to a (D,) float32 unit vector; what is beyond the model's length is cut off."""
        import torch

        tokens = self._tokenizer([text]).to(self._device)
        with torch.inference_mode():
            found = self._model.encode_text(tokens, normalize=True)
        vector: NDArray[np.float32] = found[0].float().cpu().numpy()
        return vector


def _load(name: ModelName) -> tuple[Any, Any, Any]:
    """Give the model, its tokenizer, and what describes it besides its weights."""
    import open_clip

    described: Any = name.model
    asked, tags = name.model, list[str]()
    if Path(asked).is_absolute():
        asked = f"{_FOLDER}{asked}"
        try:
            described = json.loads((Path(name.model) / _DESCRIPTION).read_text())["model_cfg"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackboneError(
                f"text model {name.model}: its {_DESCRIPTION} cannot be read "
                f"({type(error).__name__}: {error}): give a folder as open_clip saves one"
            ) from None
    elif not asked.startswith(_HUB):
        known = open_clip.list_models()
        if asked not in known:
            raise BackboneError(
                f"unknown text model {asked!r}{did_you_mean(asked, known)}: give a name of "
                "open_clip, as ViT-B-32, hf-hub:ORGANISATION/NAME, or the folder of a model"
            )
        tags = open_clip.list_pretrained_tags_by_model(asked)
        if name.weights not in tags and not Path(name.weights or "").is_file():
            raise BackboneError(
                f"text model {asked} needs weights, got {name.weights}: give a file"
                + (f", or a tag: {', '.join(tags)}" if tags else "")
            )
    try:
        model = open_clip.create_model(asked, pretrained=name.weights, require_pretrained=True)
        return model, open_clip.get_tokenizer(asked), described
    except ImportError as error:
        raise BackboneError(
            f"text model {name.model}: open_clip needs another package for it ({_first(error)})"
        ) from None
    except Exception as error:
        # Damaged files, other weights and the clients of hubs raise dozens of unrelated errors.
        from_hub = asked.startswith(_HUB) or name.weights in tags
        advice = (
            "connect to the hub once, or give a file or a folder"
            if from_hub
            else "give the weights of this model"
        )
        given = "" if name.weights is None else f" with weights {name.weights}"
        raise BackboneError(
            f"text model {name.model}{given} cannot be loaded ({_first(error)}): {advice}"
        ) from None


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], 160, placeholder=" ...").rstrip(":")


def _preprocess(name: ModelName, model: Any) -> Preprocess:
    """Say how a model reads images."""
    import open_clip

    how = open_clip.get_model_preprocess_cfg(model)
    size = how["size"]
    sides = {size} if isinstance(size, int) else set(size)
    mode, interpolation = how.get("resize_mode", "shortest"), how.get("interpolation", "bicubic")
    if len(sides) > 1 or mode not in ("shortest", "squash") or interpolation not in INTERPOLATIONS:
        raise BackboneError(
            f"text model {name.model} reads images in another way (size {size}, {mode}, "
            f"{interpolation}) than a square that is cut out or squeezed: give another model"
        )
    mean, std = (tuple(255.0 * x for x in how[key]) for key in ("mean", "std"))
    crop = 1.0 if mode == "shortest" else None
    return Preprocess(sides.pop(), crop, interpolation, mean, std)


def _tower(model: Any, preprocess: Preprocess) -> Any:
    """Make a module that maps (N, H, W, 3) uint8 to a tuple of one (N, D) tensor of unit rows."""
    import torch
    from torch import nn

    class Tower(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, 3, 1, 1))
            self.register_buffer("std", torch.tensor(preprocess.std).view(1, 3, 1, 1))

        def forward(self, images: Any) -> tuple[Any]:
            pixels = images.permute(0, 3, 1, 2).float()
            return (self.model.encode_image((pixels - self.mean) / self.std, normalize=True),)

    return Tower().eval()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what open_clip says on the root logger from the user's screen."""

    def foreign(record: logging.LogRecord) -> bool:
        return "open_clip" not in record.pathname

    root, nowhere = logging.getLogger(), logging.NullHandler()
    root.addHandler(nowhere)  # without one, logging would set up its own
    root.addFilter(foreign)
    try:
        yield
    finally:
        root.removeFilter(foreign)
        root.removeHandler(nowhere)
