"""The runtime that reads a catalogue's images: chosen when it is made, the same ever after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.openvino import OpenVinoRuntime
from gingham.backbones.preprocess import Preprocess, Reading
from gingham.backbones.quantised import QuantisedRuntime, quantise
from gingham.backbones.runtime import Runtime, load_runtime
from gingham.backbones.table import (
    BFLOAT16,
    FLOAT32,
    INT8,
    FeatureConfig,
    check_descriptors,
)
from gingham.errors import CatalogueError, ImageError, InputError
from gingham.images import ImageSource, open_image, read_source
from gingham.names import did_you_mean
from gingham.options import ReadOptions
from gingham.store.files import Files
from gingham.store.network import read_network, write_network

PRECISIONS = (FLOAT32, BFLOAT16, INT8)

CALIBRATION = 200
"""Images by which a network is quantised."""
LEAST = 50
"""As many must be readable."""


def check_settings(
    path: str,
    config: FeatureConfig,
    backbone: str | None,
    descriptors: Sequence[str] | None,
    view: str | None,
    resolution: int | None,
    precision: str | None,
) -> None:
    """Refuse settings that are not those of a catalogue; None is any.

    Raises
    ------
    CatalogueError
        If one is another.
    InputError
        If there is no such view, resolution, descriptor or precision.
    """
    if backbone is not None and backbone != config.backbone:
        raise CatalogueError(
            f"catalogue {path} was made with backbone {config.backbone}, not {backbone}: leave "
            "--backbone out, or index into a new catalogue"
        )
    kept = tuple(x.name for x in config.descriptors)
    if descriptors is not None and check_descriptors(descriptors) != kept:
        raise CatalogueError(
            f"catalogue {path} stores {', '.join(kept) or 'no'} descriptors, not "
            f"{', '.join(descriptors)}: leave --descriptors out, or index into a new catalogue"
        )
    made = Reading.of(config.preprocess)
    asked = Reading.asked(view or made.view, resolution)
    if asked.view != made.view or asked.resolution not in (None, made.resolution):
        raise CatalogueError(
            f"catalogue {path} was made with {made}, not {asked}: leave --view and --resolution "
            "out, or index into a new catalogue"
        )
    if precision is not None:
        check_precision(precision)
        if precision != config.precision:
            raise CatalogueError(
                f"catalogue {path} was made with precision {config.precision}, not "
                f"{precision}: leave --precision out, or index into a new catalogue"
            )


def check_precision(precision: str) -> None:
    """Refuse what is no precision.

    Raises
    ------
    InputError
        If it is none.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"precision must be {FLOAT32}, {BFLOAT16} or {INT8}, got {precision!r}"
            + did_you_mean(precision, PRECISIONS)
        )


def open_runtime(files: Files, config: FeatureConfig, weights: str | None, device: str) -> Runtime:
    """Load the network of a catalogue.

    Raises
    ------
    BackboneError
        See `load_runtime`; also if a quantised network is to run on a GPU.
    CatalogueError
        If its quantised network is missing or damaged.
    """
    if config.quantised:
        check_device(device)
        return QuantisedRuntime(config, read_network(files))
    return load_runtime(
        config.backbone,
        weights,
        device=device,
        descriptors=[x.name for x in config.descriptors],
        reading=Reading.of(config.preprocess),
        precision=config.precision,
    )


def check_device(device: str) -> None:
    """Refuse a GPU for a quantised network.

    Raises
    ------
    InputError
        If one is asked for.
    """
    if device == "cuda":
        raise InputError("precision int8 runs on the CPU: use --device cpu")


def new_runtime(
    files: Files,
    backbone: str,
    weights: str | None,
    *,
    device: str,
    descriptors: Sequence[str],
    reading: Reading,
    precision: str,
    images: Iterable[ImageSource],
    options: ReadOptions,
) -> Runtime:
    """Load a backbone for a new catalogue; a quantised one is kept in its files.

    Parameters
    ----------
    files : of the catalogue.
    backbone, weights, device, descriptors, reading, precision : see `load_runtime`; `int8`, too.
    images : by which a network is quantised, see `CALIBRATION`; those that cannot be read are
        passed over.
    options : the largest image that is read, and progress.

    Raises
    ------
    InputError
        If fewer than `LEAST` images can be read, or a quantised network is to run on a GPU.
    """
    if precision != INT8:
        return load_runtime(
            backbone,
            weights,
            device=device,
            descriptors=descriptors,
            reading=reading,
            precision=precision,
        )
    check_device(device)
    runtime = OpenVinoRuntime(backbone, weights, descriptors=descriptors, reading=reading)
    quantised = quantise(runtime, _calibration(runtime.config.preprocess, images, options))
    write_network(files, quantised.network)
    return quantised


def _calibration(
    preprocess: Preprocess, images: Iterable[ImageSource], options: ReadOptions
) -> list[NDArray[np.uint8]]:
    given, read = list(images), []
    for place in np.random.default_rng(0).permutation(len(given)):
        try:
            picture = open_image(
                read_source(given[place]), max_pixels=options.max_pixels, draft=preprocess.size
            )
        except ImageError:
            continue  # `index` will say why
        read.append(preprocess.apply(picture))
        options.progress("calibrate", len(read), min(CALIBRATION, len(given)))
        if len(read) == CALIBRATION:
            break
    if len(read) < LEAST:
        raise InputError(
            f"precision int8 is set by at least {LEAST} images that can be read, got {len(read)}: "
            "give more when the catalogue is made, or leave --precision out"
        )
    return read
