"""Grad-CAM of a trained network, by the library `grad-cam`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gingham.errors import ShapeError, require_extra
from gingham.extract import VIEWS, View

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 16


def import_grad_cam() -> Any:
    """Import the library, which brings matplotlib and OpenCV along.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    require_extra("train", "torch", "timm", "pytorch_grad_cam")
    import pytorch_grad_cam

    return pytorch_grad_cam


def grad_cam(
    network: nn.Module,
    layers: Sequence[nn.Module],
    images: NDArray[np.uint8],
    outputs: Sequence[int],
    *,
    signs: Sequence[int] | None = None,
    views: Sequence[View] = VIEWS,
    batch_size: int = BATCH,
) -> NDArray[np.float32]:
    """Map where a network sees one of its outputs in each image.

    Parameters
    ----------
    network : maps (N, 3, S, S) float32 RGB of 0 to 255 to (N, V) logits; it is used in
        evaluation mode, in which an image's map does not depend on its neighbours.
    layers : the convolutional layers to look into; their maps are averaged.
    images : (N, S, S, 3) uint8.
    outputs : which of the V to explain, one per image; to explain several of one image, repeat it.
    signs : 1 to map what speaks for the output, -1 what speaks against it, one per image; None
        means 1.
    views : which parts of each image the network sends through its layers, one after another; each
        adds to the map, where it lies in the image, as much as it adds to the output.
    batch_size : images that go through the network together.

    Returns
    -------
    (N, S, S) float32 from 0 to 1, 1 where the output is seen most; all 0 where nothing in the
    layers speaks for it.

    Raises
    ------
    MissingExtraError
        If `grad-cam` is not installed.
    ShapeError
        If `images` are not (N, S, S, 3), or `outputs` or `signs` do not have one entry per image.

    References
    ----------
    Selvaraju et al., *Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization* (2017), eq. 1 and 2; the library scales each map to 0 to 1. The sum over views is
    ours.
    """
    if images.ndim != 4 or images.shape[3] != 3:
        raise ShapeError("images", expected="(N, S, S, 3)", got=images.shape)
    wanted = list(signs) if signs is not None else [1] * len(images)
    for name, given in (("outputs", outputs), ("signs", wanted)):
        if len(given) != len(images):
            raise ShapeError(name, expected=f"({len(images)},)", got=(len(given),))
    library = import_grad_cam()
    import torch

    network.eval()
    # A rectifier that works in place would overwrite the activations that are looked into.
    overwriting: list[Any] = [part for part in network.modules() if getattr(part, "inplace", False)]
    device = next(network.parameters()).device
    maps = np.zeros(images.shape[:3], np.float32)
    try:
        for part in overwriting:
            part.inplace = False
        looking = _over_views(library, views)
        with looking(model=network, target_layers=list(layers)) as cam, torch.enable_grad():
            for start in range(0, len(images), batch_size):
                rows = slice(start, start + batch_size)
                planes = np.ascontiguousarray(images[rows].transpose(0, 3, 1, 2), np.float32)
                # A frozen network would keep no gradients of its layers.
                batch = torch.from_numpy(planes).to(device).requires_grad_()
                targets = [
                    partial(_signed, output=output, sign=sign)
                    for output, sign in zip(outputs[rows], wanted[rows], strict=True)
                ]
                maps[rows] = cam(input_tensor=batch, targets=targets)
    finally:
        for part in overwriting:
            part.inplace = True
        network.zero_grad(set_to_none=True)
    return maps


def _over_views(library: Any, views: Sequence[View]) -> Any:
    """The library's Grad-CAM sees only one pass through a layer; this, a pass for each view."""
    import cv2
    from pytorch_grad_cam.utils.image import scale_cam_image

    class OverViews(library.GradCAM):  # type: ignore[misc]
        def compute_cam_per_layer(
            self, input_tensor: torch.Tensor, targets: list[Any], eigen_smooth: bool
        ) -> list[NDArray[np.float32]]:
            count, size = len(self.target_layers), input_tensor.shape[-1]
            found = np.zeros((count, len(input_tensor), size, size), np.float32)
            seen = self.activations_and_grads
            for turn, (maps, slopes) in enumerate(
                zip(seen.activations, seen.gradients, strict=True)
            ):
                number, view = turn % count, views[turn // count]
                left, top, right, bottom = (round(size * part) for part in view.box)
                cams = self.get_cam_image(
                    input_tensor, self.target_layers[number], targets, maps.numpy(), slopes.numpy()
                )
                for row, cam in enumerate(np.maximum(cams, 0)):
                    cam = cam[:, ::-1] if view.mirror else cam
                    laid = cv2.resize(cam.astype(np.float32), (right - left, bottom - top))
                    found[number, row, top:bottom, left:right] += laid
            return [scale_cam_image(one)[:, None] for one in found]

    return OverViews


def _signed(logits: torch.Tensor, *, output: int, sign: int) -> torch.Tensor:
    return sign * logits[output]
