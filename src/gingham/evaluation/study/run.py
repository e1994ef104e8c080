"""A whole study: read the images once, run every experiment, write the report."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from gingham.backbones.runtime import Runtime, load_runtime
from gingham.backbones.table import DEFAULT_BACKBONE, DEFAULT_POOLING
from gingham.errors import CatalogueBusyError, InputError
from gingham.evaluation.study.bench import Setting, look_space
from gingham.evaluation.study.examples import (
    Labelled,
    StudyAttribute,
    contradictions,
    join_groups,
    read_examples,
    sample,
    settle,
)
from gingham.evaluation.study.experiments import run_experiments
from gingham.evaluation.study.reading import POOLING, StudyFeatures, read_images
from gingham.evaluation.study.reduction import import_umap
from gingham.evaluation.study.report import write_report
from gingham.evaluation.study.tables import write_tables
from gingham.names import UNKNOWN_WORDS
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import BadRow, Failure, Result, Walked
from gingham.store.features import ImageId
from gingham.store.files import make_folder, write_json
from gingham.store.lease import CatalogueLock

REPORT = "report.html"


class LoadPooled(Protocol):
    """What makes a runtime: `gingham.load_runtime`."""

    def __call__(
        self, backbone: str, weights: str | Path | None = None, *, device: str, pooling: str
    ) -> Runtime:
        """Load a backbone."""


@dataclass(frozen=True)
class AttributeSummary(Result):
    """What a study found out about one attribute.

    Attributes
    ----------
    images : studied.
    given : images that some were drawn of; 0 where all are studied. See `Setting.max_images`.
    values : value -> its number of images.
    left_out : value -> its number of images (groups), too few for the folds.
    backbone, layer : the choice; see `gingham.evaluation.study.choose_layer`.
    accuracy : of that layer alone, by nearest neighbours on channel means.
    best_backbone, best_layer, best_accuracy : the most accurate layer.
    taught_accuracy : backbone -> accuracy of gingham's own recipe on all its layers.
    """

    images: int
    given: int
    values: dict[str, int]
    left_out: dict[str, int]
    backbone: str
    layer: str
    accuracy: float
    best_backbone: str
    best_layer: str
    best_accuracy: float
    taught_accuracy: dict[str, float]


@dataclass(frozen=True)
class StudyResult(Walked):
    """What a study did.

    Attributes
    ----------
    report : the page to look at.
    images : that were studied; those that were only searched with do not count.
    failed, failures : files that could not be read or were given two values, with reasons.
    unlabelled : rows that say nothing.
    bad_rows : rows of the tables that were left out.
    """

    report: str
    attributes: dict[str, AttributeSummary]
    backbones: tuple[str, ...]
    images: int
    failed: int
    failures: tuple[Failure, ...]
    unlabelled: int
    seconds: float
    bad_rows: tuple[BadRow, ...] = ()


def study(
    examples: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    backbones: Sequence[str] = (DEFAULT_BACKBONE,),
    weights: Mapping[str, str | Path] | None = None,
    attributes: Sequence[str] = (),
    groups: str | None = None,
    image_column: str = "image",
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    unknown_words: Collection[str] = UNKNOWN_WORDS,
    queries: Sequence[str] = (),
    setting: Setting | None = None,
    device: str = "auto",
    options: ReadOptions = DEFAULTS,
    load: LoadPooled | None = None,
) -> StudyResult:
    """Find out which hidden layer sees which attribute, and write a report.

    Images are read once and every experiment's result is kept below `out`, so that an interrupted
    study resumes, and a study with one more backbone computes only that one.

    Parameters
    ----------
    examples : folders, tables, or NAME=PATH; see `gingham.evaluation.study.examples.read_examples`.
    out : folder of the report (`report.html`, `tables/*.csv`, `results.json`) and of what is kept
        (`cache/`).
    backbones : networks to compare.
    weights : backbone -> file of its weights.
    attributes : names to study; none means all.
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out rows of the tables that cannot be used.
    unknown_words : values that mean that nothing is known; see `Catalogue.teach`.
    groups : column of the tables; images that share its value stay on one side of every split.
    image_column : column of the tables.
    queries : images to search with in the contact sheets; none means some are drawn.
    setting : folds, seed and the like.
    device : see `gingham.load_runtime`.
    options : see `gingham.ReadOptions`.
    load : what loads a backbone; None means `gingham.load_runtime`.

    Raises
    ------
    InputError
        If the examples, a column or an option are not what they must be, or an attribute has too
        few examples; the message names it.
    BackboneError
        If a backbone or its weights cannot be had.
    MissingExtraError
        If umap-learn is not installed.

    References
    ----------
    Baloian, Murrugarra-Llerena, Saavedra, *Scalable Visual Attribute Extraction through Hidden
    Layers of a Residual ConvNet* (2021): Tables 1 and 2, Figures 2 to 6.
    """
    started = time.perf_counter()
    setting = setting or Setting()
    load = load or load_runtime
    weights = dict(weights or {})
    names = list(dict.fromkeys(backbones))
    if not names:
        raise InputError("no backbone is given")
    if unused := [name for name in weights if name not in names]:
        raise InputError(f"weights are given for {unused[0]!r}, which is not studied")
    labelled, failures = read_examples(
        examples,
        attributes=attributes,
        groups=groups,
        image_column=image_column,
        trust_predictions=trust_predictions,
        skip_bad_rows=skip_bad_rows,
        unknown_words=unknown_words,
    )
    labelled = [sample(one, setting.max_images, seed=setting.seed) for one in labelled]
    paths = list(dict.fromkeys(image for one in labelled for image in one.images))
    # What is too few, however well all images can be read, is told before any is.
    as_given = {path: row for row, path in enumerate(paths)}
    _settle(labelled, as_given, join_groups(labelled, as_given), (), setting)
    import_umap()  # which takes long
    folder = Path(out)
    make_folder(folder)
    lock = _lock(folder)
    try:
        runtimes = {
            name: load(name, weights.get(name), device=device, pooling=POOLING) for name in names
        }
        features = {
            name: StudyFeatures(folder / "cache" / "features", runtime.config)
            for name, runtime in runtimes.items()
        }
        for one in features.values():
            look_space(one).check(setting.looks)
        paths = list(dict.fromkeys([*paths, *queries]))
        rows, ids, failed = _read(paths, runtimes, features, options)
        for image in queries:
            if image not in rows:
                reason = next(one.reason for one in failed if one.image == image)
                raise InputError(f"query {image} cannot be used: {reason}")
        together = join_groups(labelled, rows)
        studied = _settle(labelled, rows, together, failed, setting)
        gallery = sorted({rows[i] for one in labelled for i in one.images if i in rows})
        for given in labelled:
            failed += contradictions(given, rows)
        failures += failed
        found = run_experiments(
            studied,
            features,
            ids,
            _files(paths, rows),
            setting=setting,
            groups=together,
            gallery=gallery,
            queries=list(dict.fromkeys(rows[image] for image in queries)),
            plain_runtime=lambda name: load(
                name, weights.get(name), device=device, pooling=DEFAULT_POOLING
            ),
            cache=folder / "cache" / "results",
            options=options,
        )
        found["failures"] = [failure.to_dict() for failure in failures]
        found["unlabelled"] = sum(one.unlabelled for one in labelled)
        found |= {
            key: [path for one in labelled for path in one.listed.get(key, ())]
            for key in Walked().to_dict()
        }
        write_tables(folder / "tables", found["tables"])
        write_json(folder / "results.json", found)
        write_report(folder / REPORT, found, options)
    finally:
        lock.release()
    return StudyResult(
        report=str(folder / REPORT),
        attributes={one.name: _summary(one, found["choices"][one.name], found) for one in studied},
        backbones=tuple(names),
        images=len(gallery),
        failed=len(failures),
        failures=tuple(failures),
        unlabelled=found["unlabelled"],
        seconds=time.perf_counter() - started,
        bad_rows=tuple(row for one in labelled for row in one.bad_rows),
        **{key: tuple(found[key]) for key in Walked().to_dict()},
    )


def _lock(folder: Path) -> CatalogueLock:
    try:
        return CatalogueLock(folder)
    except CatalogueBusyError as error:
        raise InputError(str(error).replace("catalogue", "study", 1)) from None


def _read(
    paths: list[str],
    runtimes: Mapping[str, Runtime],
    features: Mapping[str, StudyFeatures],
    options: ReadOptions,
) -> tuple[dict[str, int], list[ImageId], list[Failure]]:
    """Read every image with every backbone; what one of them cannot use, none gets."""
    ids: dict[str, ImageId] | None = None
    reasons: dict[str, Failure] = {}
    for name, runtime in runtimes.items():
        read, failures = read_images(paths, runtime, features[name], options=options)
        for failure in failures:
            reasons.setdefault(failure.image, failure)
        ids = {
            image: image_id
            for image, image_id in read.items()
            if ids is None or ids.get(image) == image_id
        }
    assert ids is not None
    order = {image_id: row for row, image_id in enumerate(dict.fromkeys(ids.values()))}
    rows = {image: order[image_id] for image, image_id in ids.items()}
    return rows, list(order), [reasons[path] for path in paths if path in reasons]


def _files(paths: Sequence[str], rows: Mapping[str, int]) -> list[str]:
    """The first file of each image."""
    first: dict[int, str] = {}
    for path in paths:
        if path in rows:
            first.setdefault(rows[path], path)
    return [first[row] for row in range(len(first))]


def _settle(
    labelled: Sequence[Labelled],
    rows: Mapping[str, int],
    together: Sequence[int],
    failed: Sequence[Failure],
    setting: Setting,
) -> list[StudyAttribute]:
    try:
        return [
            settle(one, rows, together, folds=setting.folds, neighbours=setting.neighbours)
            for one in labelled
        ]
    except InputError as error:
        if not failed:
            raise
        first = f"{failed[0].image}: {failed[0].reason}"
        raise InputError(f"{error}; {len(failed)} images failed, the first {first}") from None


def _summary(
    attribute: StudyAttribute, choice: Mapping[str, Any], found: Mapping[str, Any]
) -> AttributeSummary:
    return AttributeSummary(
        images=len(attribute.rows),
        given=attribute.given,
        values=attribute.counts,
        left_out=attribute.left_out,
        backbone=choice["backbone"],
        layer=choice["layer"],
        accuracy=choice["accuracy"],
        best_backbone=choice["best_backbone"],
        best_layer=choice["best_layer"],
        best_accuracy=choice["best_accuracy"],
        taught_accuracy=dict(found["taught"][attribute.name]),
    )
