"""Table in, model folder out: read, store maps, learn, calibrate, export, measure."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gingham.backbones.openvino import save_graph
from gingham.errors import InputError, require_extra
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import BadRow, Failure, Result
from gingham.store.files import TEMPORARY_PREFIX, read_json, replace_file, write_json
from gingham.training import trained as names
from gingham.training.calibration import Calibration, calibrate
from gingham.training.config import TrainConfig
from gingham.training.data import read_samples
from gingham.training.metrics import measure
from gingham.training.samples import PARTS, Samples, image_ids
from gingham.training.trained import TrainedModel, write_config

if TYPE_CHECKING:
    from torch import nn

    from gingham.training.epoch_loop import LearnedModule
    from gingham.training.networks import Built, Network

logger = logging.getLogger(__name__)

WORK = "work"
"""The folder inside a model's, of what an unfinished training has come to."""
NOTE = Path(WORK, "training.json")
"""In a model's folder, which training was begun there."""


@dataclass(frozen=True)
class TrainResult(Result):
    """What `train` made.

    Attributes
    ----------
    model : its folder.
    head, backbone : as taken.
    attributes : attribute -> values it learned.
    images : training, validation and test images that could be read.
    epochs : run, on the frozen and on the whole network.
    metrics : part -> W_MAP, mean AP, AVGPREC, macro F1 and accuracy by attribute; all else is in
        the folder's metrics.json.
    dropped : attribute -> value -> rows, not learned because of too few training images.
    failures : images that could not be read.
    unlabelled : rows that name no image.
    bad_rows : rows of the table that were left out.
    """

    model: str
    head: str
    backbone: str
    attributes: dict[str, tuple[str, ...]]
    images: dict[str, int]
    epochs: dict[str, int]
    metrics: dict[str, Any]
    dropped: dict[str, dict[str, int]]
    failures: tuple[Failure, ...]
    seconds: float
    unlabelled: int = 0
    bad_rows: tuple[BadRow, ...] = ()


def train(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: TrainConfig | None = None,
    *,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    options: ReadOptions = DEFAULTS,
) -> TrainResult:
    """Train a network on a table of labels, into a folder.

    After an interruption, the same call with the same table and configuration resumes: from the
    maps read so far, then from the last epoch.

    Parameters
    ----------
    table : see `gingham.training.data.read_samples`.
    out : the model's folder; must not hold a model yet.
    config : see `TrainConfig`.
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out rows that cannot be used.
    options : see `gingham.ReadOptions`.

    Raises
    ------
    InputError
        If the table cannot be learned from, or `out` is taken.
    BackboneError
        If the backbone or its weights cannot be had.
    MissingExtraError
        If the extra `train` is not installed.
    """
    started = time.perf_counter()
    config = config or TrainConfig()
    folder = Path(out)
    samples = read_samples(
        Path(table),
        config.data,
        seed=config.training.seed,
        trust_predictions=trust_predictions,
        skip_bad_rows=skip_bad_rows,
    )
    for part in PARTS[:2]:
        if not len(samples.rows(part)):
            raise InputError(f"table {table} has no {part} rows: fix its `split` column")
    stamp = _stamp(config, samples)
    _check_folder(folder, stamp)
    require_extra("train", "torch", "timm", "lightning", "tensorboard", "torchmetrics")
    import torch

    from gingham.training.networks import assemble, build_trunk

    # The random numbers of whoever calls stay as they were.
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(config.training.seed)
        built = build_trunk(config.model)
        config = replace(config, model=replace(config.model, backbone=built.backbone.name))
        network = assemble(built, config.model, len(samples.vocabulary))
        # The folder is taken only now: what was refused before can be corrected and given again.
        write_json(folder / NOTE, {"stamp": stamp})
        failures, fitted = _learn(network, built, samples, config, folder, options)
    model = _write(network, built, samples, config, folder)
    metrics, images = _measure(model, samples, fitted, options)
    write_json(folder / names.METRICS, metrics)
    learned = image_ids(samples.images[row] for part in PARTS[:2] for row in samples.rows(part))
    write_json(folder / names.LEARNED, {"images": sorted({one for one in learned if one})})
    write_config(folder, config, built.features)
    shutil.rmtree(folder / WORK)
    return TrainResult(
        str(folder),
        config.model.head,
        built.backbone.name,
        {a.name: a.values for a in samples.vocabulary.attributes},
        images,
        {phase: one.epochs for phase, one in fitted.items()},
        {part: _brief(metrics[part]) for part in PARTS[1:] if part in metrics},
        {name: dict(values) for name, values in samples.dropped.items()},
        tuple(Failure(samples.images[row], why) for row, why in sorted(failures.items())),
        time.perf_counter() - started,
        samples.without_image,
        samples.bad_rows,
    )


def _stamp(config: TrainConfig, samples: Samples) -> str:
    text = json.dumps([config.to_dict(), samples.fingerprint], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_folder(folder: Path, stamp: str) -> None:
    """Refuse a folder that is not empty, unless the same training was begun in it."""
    note = folder / NOTE
    if (folder / names.CONFIG).exists():
        raise InputError(f"{folder} holds a trained model already: choose another folder")
    if note.exists():
        begun = read_json(note)
        if begun.get("stamp") != stamp:
            raise InputError(
                f"{folder} holds an unfinished training on another table or configuration: use "
                "those, delete it, or choose another folder"
            )
        logger.info("resuming the training in %s", folder)
        return
    # Where the very first file could not be written, it leaves an empty folder, or a part of it.
    there = (x for x in folder.rglob("*") if not x.name.startswith(TEMPORARY_PREFIX))
    if (folder.exists() and not folder.is_dir()) or any(not path.is_dir() for path in there):
        raise InputError(f"{folder} is not empty: choose another folder for the model")


def _learn(
    network: Network,
    built: Built,
    samples: Samples,
    config: TrainConfig,
    folder: Path,
    options: ReadOptions,
) -> tuple[dict[int, str], dict[str, LearnedModule]]:
    """Run the phases; give the rows that could not be read, and what each phase came to."""
    from gingham.training.epoch_loop import FeatureMapData, ImageData, Rates, fit
    from gingham.training.feature_maps import store_feature_maps, views_of
    from gingham.training.heads import default_views
    from gingham.training.losses import loss_for

    work, fitting = folder / WORK, config.training
    # Test images are not looked at before the model is done.
    rows = np.flatnonzero(samples.part != PARTS.index("test"))
    seen = samples.only(rows)
    further = default_views(config.model.head) if fitting.views < 0 else fitting.views
    views = partial(views_of, mirror=fitting.mirror, further=further, crop=fitting.views_crop)
    store = store_feature_maps(
        work / "maps",
        seen.images,
        _trunk_runtime(built, work),
        built.shapes,
        views=views,
        stamp=_stamp(config, samples),
        options=options,
    )
    readable = np.array([row not in store.failures for row in range(len(rows))], bool)
    kept = {part: seen.rows(part) for part in PARTS[:2]}
    kept = {part: those[readable[those]] for part, those in kept.items()}
    for part, those in kept.items():
        if not len(those):
            raise InputError(f"no {part} image can be read; the first: {store.failures[0]}")
    loss = loss_for(config.model.head, samples.vocabulary, fitting.rank_images)
    train_rows, repeat = kept["train"], seen.repeat[kept["train"]]
    if len(train_rows) == 1:
        raise InputError("only one train image can be read: a network learns from two or more")
    head: Rates = ((network.head, fitting.learning_rate),)
    maps = FeatureMapData(store, seen.targets)
    phases: list[tuple[str, nn.Module, FeatureMapData | ImageData, Rates, int]] = [
        ("frozen", network.head, maps, head, fitting.epochs)
    ]
    if fitting.unfreeze_epochs:
        images = ImageData(
            seen.images, seen.targets, built.features.preprocess, fitting, options.max_pixels
        )
        rate = fitting.unfreeze_learning_rate
        both: Rates = ((network.trunk, rate), (network.head, 10 * rate))
        phases.append(("all", network, images, both, fitting.unfreeze_epochs))
    fitted = {}
    for name, module, data, rates, epochs in phases:
        fitted[name] = fit(
            module,
            loss,
            rates,
            data,
            train_rows,
            repeat,
            kept["validation"],
            epochs=epochs,
            config=fitting,
            folder=work / name,
            logs=folder / "logs" / name,
            progress=partial(options.progress, f"learn, {name}"),
        )
    return {int(rows[row]): reason for row, reason in store.failures.items()}, fitted


def _trunk_runtime(built: Built, work: Path) -> Any:
    import torch

    from gingham.backbones.builders import sample_shape
    from gingham.training.exporting import ExportedRuntime, ModuleRuntime

    if torch.cuda.is_available():
        return ModuleRuntime(built.trunk, built.features, device="cuda")
    graph = work / "trunk.xml"
    save_graph(built.trunk, sample_shape(built.features.preprocess), graph)
    return ExportedRuntime(graph, built.features)


def _write(
    network: Network, built: Built, samples: Samples, config: TrainConfig, folder: Path
) -> TrainedModel:
    """Put weights, graph and vocabulary in the folder; the model is not calibrated yet."""
    from safetensors.torch import save_file

    from gingham.backbones.builders import sample_shape

    network.cpu().eval()
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    replace_file(folder / names.WEIGHTS, lambda path: save_file(state, path))
    save_graph(network, sample_shape(built.features.preprocess), folder / names.GRAPH)
    write_json(folder / names.VOCABULARY, samples.vocabulary.to_dict())
    size = len(samples.vocabulary)
    plain = Calibration(samples.vocabulary, np.ones(size), np.zeros(size), np.full(size, 0.5))
    return TrainedModel(folder, "", config, built.features, samples.vocabulary, plain, {})


def _measure(
    model: TrainedModel,
    samples: Samples,
    fitted: dict[str, LearnedModule],
    options: ReadOptions,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Calibrate on the validation images and measure, through the graph that will be used."""
    metrics: dict[str, Any] = {
        "phases": {
            name: {"epochs": one.epochs, "best_w_map": one.score} for name, one in fitted.items()
        }
    }
    images = {"train": len(samples.rows("train"))}
    for part in PARTS[1:]:
        rows = samples.rows(part)
        if not len(rows):
            continue
        step = f"measure on {part}"
        logits, readable = model_logits(model, samples.only(rows), options, step)
        targets = samples.targets[rows][readable]
        if part == "validation":
            calibration = calibrate(samples.vocabulary, logits, targets)
            model = replace(model, calibration=calibration)
            write_json(model.folder / names.THRESHOLDS, calibration.to_dict())
        images[part] = len(logits)
        metrics[part] = measure(samples.vocabulary, model.answers(logits), targets).to_dict()
    return metrics, images


def model_logits(
    model: TrainedModel, samples: Samples, options: ReadOptions, step: str
) -> tuple[Any, Any]:
    """Give (M, V) logits of the images that can be read, and the (N,) mask that says which.

    Raises
    ------
    InputError
        If none can be read.
    """
    found, readable = [], np.zeros(len(samples.images), bool)
    reason: str | None = ""
    for row, (image, features, why) in enumerate(
        model.features_of(samples.images, (names.OUTPUT,), options)
    ):
        if features is None:
            logger.warning("%s: %s", image, why)
            reason = f"{image}: {why}"
        else:
            found.append(features[names.OUTPUT])
            readable[row] = True
        options.progress(step, row + 1, len(samples.images))
    if not found:
        raise InputError(f"none of the {len(samples.images)} images can be read; {reason}")
    return np.concatenate(found), readable


def _brief(metrics: dict[str, Any]) -> dict[str, Any]:
    return {
        "w_map": metrics["overall"]["w_map"],
        "map": metrics["overall"]["map"],
        "avgprec": metrics["avgprec"],
        "macro_f1": metrics["overall"]["macro_f1"],
        "accuracy": {one["name"]: one["accuracy"] for one in metrics["attributes"]},
    }
