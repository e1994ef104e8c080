"""One curation from a table to a clean one: the stages in their order, and what they wrote."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import Runtime, load_runtime
from gingham.cluster.connection import find_cluster
from gingham.curation import (
    balance,
    duplicates,
    label_errors,
    pictures,
    split,
    unknown,
    values,
)
from gingham.curation.catalogue import copy_features, read_catalogue
from gingham.curation.config import CurationConfig
from gingham.curation.decisions import NONE, LabelDecisions, read_decisions
from gingham.curation.fingerprints import Fingerprints, take_fingerprints
from gingham.curation.merges import FILE as MERGES
from gingham.curation.merges import MergeDecisions, read_merges, write_proposals
from gingham.curation.reduced import read_features, reduce_features
from gingham.curation.report import write_report
from gingham.curation.result import CurationResult
from gingham.curation.table import (
    SPLITS,
    Records,
    Stage,
    TableRows,
    read_samples,
    write_clean,
)
from gingham.errors import CatalogueBusyError, InputError, require_extra
from gingham.formats.content import heading
from gingham.options import DEFAULTS, PixelLimit, ReadOptions
from gingham.store.features import FeatureStore
from gingham.store.files import LocalFiles, make_folder, write_csv, write_json
from gingham.store.header import is_catalogue
from gingham.store.lease import CatalogueLock

STAGES: dict[str, tuple[str, ...]] = {
    "invalid": pictures.INVALID_COLUMNS,
    "duplicates": duplicates.COLUMNS,
    "pictures": pictures.COLUMNS,
    "values": values.COLUMNS,
    "unknown": unknown.COLUMNS,
    "label_errors": label_errors.COLUMNS,
    "split": split.COLUMNS,
    "balance": balance.COLUMNS,
}
REPORT = "report.html"


class LoadRuntime(Protocol):
    """What loads a backbone, as `gingham.load_runtime` does."""

    def __call__(self, backbone: str, weights: str | Path | None = None, *, device: str) -> Runtime:
        """Load it."""


def curate(
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: CurationConfig | None = None,
    *,
    device: str = "auto",
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    decisions: str | os.PathLike[str] | None = None,
    cluster: str | None = None,
    options: ReadOptions = DEFAULTS,
    load: LoadRuntime = load_runtime,
) -> CurationResult:
    """Turn a table of images and labels into a clean one, and say all that was done to it.

    Parameters
    ----------
    table : a `.csv` or `.parquet` file, or a catalogue's folder.
    out : folder of the clean table (`clean.csv`, `clean.parquet`), of what each stage did
        (`stages/*.csv`, `summary.json`), of the page (`report.html`), of the config with all
        defaults (`curate.toml`), of values that may be one thing (`merges.csv`), and of what is
        kept for a second run (`cache/`). What a person accepted in `merges.csv` is merged.
    config : what to do; None means the defaults.
    device : see `gingham.load_runtime`.
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out rows of the table that cannot be used.
    decisions : a table of what was decided about flagged labels, as the page makes it: accepted
        suggestions are labels from now on, refused ones are not flagged again.
    cluster : decode and measure the pictures on a Ray cluster, see `Catalogue.index`. The network
        reads them here: those of a catalogue need not be read again.
    options : only its progress is used; the largest picture is a setting, `[invalid]
        max_megapixels`.
    load : what loads the backbone.

    Raises
    ------
    InputError
        If the table, a column or the config is not what it must be.
    MissingExtraError
        If a package of the extra `train`, or Ray, is not installed.
    ServerError
        If there is no such cluster.
    """
    started = time.perf_counter()
    config = config or CurationConfig()
    cluster = cluster and find_cluster(cluster)
    source, folder = Path(table), Path(out)
    if config.duplicates.enabled:
        require_extra("train", "faiss", "sklearn")
    if config.label_errors.enabled:
        require_extra("train", "cleanlab")
    in_catalogue = is_catalogue(LocalFiles(source))
    if source.is_dir() and not in_catalogue:
        raise InputError(
            f"{source} is a folder but not a catalogue: give a catalogue, or a .csv or "
            ".parquet table"
        )
    decided = NONE if decisions is None else read_decisions(Path(decisions))
    samples = (
        read_catalogue(source)
        if in_catalogue
        else read_samples(
            source,
            config.table,
            config.unknown,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
        )
    )
    values.parse_rules(config.values.rules, list(samples.values))
    merged = read_merges(folder / MERGES, samples.values)
    config = _with_rules(config, merged.accepted)
    for name in map(heading, config.label_errors.attributes + config.balance.attributes):
        if name not in samples.values:
            raise InputError(
                f"the config names attribute {name!r}, which is not curated; there are "
                + ", ".join(samples.values)
            )
    make_folder(folder)
    try:
        lock = CatalogueLock(folder)
    except CatalogueBusyError as error:
        raise InputError(str(error).replace("catalogue", "folder", 1)) from None
    try:
        before = {name: samples.counts(name) for name in samples.values}
        limit = PixelLimit(int(config.invalid.max_megapixels * 1e6), "[invalid] max_megapixels")
        options = replace(options, max_pixels=limit)
        places = (folder / "cache", source if in_catalogue else None)
        work = _Work(samples, config, *places, options, load, device, decided, merged, cluster)
        stages, labels = work.run()
        paths = write_clean(folder, samples)
        _write_stages(folder / "stages", stages, labels)
        proposed: Records = next(
            (s.summary["merges"] for s in stages if s.name == "label_errors"), []
        )
        write_proposals(folder / MERGES, merged.rows + proposed)
        config.save(folder / "curate.toml")
        summary = _summary(source, samples, stages, config)
        write_json(folder / "summary.json", summary)
        write_report(folder / REPORT, samples, before, stages, labels, summary, options)
    finally:
        lock.release()
    figures = {stage.name: dict(stage.summary) for stage in stages}
    judged = figures.get("label_errors", {}).get("attributes", {})
    return CurationResult(
        table=str(paths[0]),
        parquet=str(paths[1]),
        report=str(folder / REPORT),
        rows=len(samples),
        kept=len(samples.rows),
        removed={name: done["removed"] for name, done in figures.items() if "removed" in done},
        flagged=sum(one["flagged"] for one in judged.values()),
        splits=summary["splits"],
        failed=len(work.prints.reasons),
        ignored=samples.ignored,
        stages=figures,
        seconds=time.perf_counter() - started,
        bad_rows=samples.bad_rows,
        unseen=_not_judged(samples, config),
    )


@dataclass
class _Work:
    """The stages' common ground: what was measured of the pictures, each when first needed."""

    samples: TableRows
    config: CurationConfig
    cache: Path
    catalogue: Path | None
    options: ReadOptions
    load: LoadRuntime
    device: str
    decided: LabelDecisions
    merged: MergeDecisions
    cluster: str | None

    @cached_property
    def prints(self) -> Fingerprints:
        """What was measured of the picture files."""
        return take_fingerprints(self.samples.paths, self.cache, self.options, self.cluster)

    def run(self) -> tuple[list[Stage], Records]:
        """Run the stages that are turned on; gives that, and the labels of copies."""
        samples, config, prints = self.samples, self.config, self.prints
        stages: list[Stage] = []
        labels: Records = []

        def done(stage: Stage) -> None:
            stages.append(stage)
            if not samples.kept.any():
                raise InputError(_nothing_left(stages))

        if config.invalid.enabled:
            done(pictures.remove_invalid(samples, prints))
        if config.duplicates.enabled:
            section = config.duplicates
            reduced = self.reduced if section.features else None
            links = duplicates.find_links(samples, prints, reduced, section, self.options)
            stage, labels = duplicates.settle_duplicates(samples, prints, links, section)
            done(stage)
        if config.pictures.enabled:
            done(pictures.remove_poor_pictures(samples, prints, config.pictures))
        if config.values.enabled:
            done(values.settle_values(samples, config.values))
        if config.unknown.enabled:
            done(unknown.count_unknown(samples, config.unknown))
        if config.label_errors.enabled:
            reduced = self.reduced
            rare: dict[str, dict[str, int]] = next(
                (s.summary["too_rare"] for s in stages if s.name == "values"), {}
            )
            known = np.array([image_id is not None for image_id in prints.ids])
            judged = label_errors.judge_labels(
                samples,
                reduced,
                known,
                config.label_errors,
                rare=rare,
                seed=config.seed,
                options=self.options,
                decisions=self.decided,
            )
            left = self.merged.left(judged.summary["merges"])
            done(replace(judged, summary={**judged.summary, "merges": left}))
        if config.split.enabled:
            done(split.split_samples(samples, config.split, seed=config.seed))
        if config.balance.enabled:
            done(balance.balance_samples(samples, config.balance, seed=config.seed))
        return stages, labels

    @cached_property
    def reduced(self) -> NDArray[np.float32]:
        """The reduced features of all rows: (N, d); of a picture without any, zeros."""
        section = self.config.features
        runtime = self.load(section.backbone, section.weights or None, device=self.device)
        name = f"{section.backbone}-{runtime.config.fingerprint}"
        files = LocalFiles(self.cache / "features" / name)
        files.sweep()
        store = FeatureStore(files, runtime.config, "")
        if self.catalogue is not None:
            copy_features(self.catalogue, store, runtime.config)
        first: dict[bytes, str] = {}
        for image_id, path in zip(self.prints.ids, self.samples.paths, strict=True):
            if image_id is not None and image_id not in store:
                first.setdefault(image_id, path)
        failed = read_features(list(first.values()), runtime, store, self.options)
        reasons = {one.image: one.reason for one in failed}
        for row, image_id in enumerate(self.prints.ids):
            # Readable, but not by the network: from here on like a picture that cannot be read.
            if image_id is not None and (reason := reasons.get(first.get(image_id, ""))):
                self.prints.ids[row], self.prints.reasons[row] = None, reason
        known = [row for row, image_id in enumerate(self.prints.ids) if image_id is not None]
        if len({self.prints.ids[row] for row in known}) < 2:
            raise InputError("fewer than two pictures can be read: check the image column")
        self.options.progress("reduce", 0, 0)
        found = reduce_features(
            store,
            [self.prints.ids[row] or b"" for row in known],
            runtime.config,
            dimensions=section.dimensions,
            seed=self.config.seed,
        )
        reduced = np.zeros((len(self.samples), found.shape[1]), np.float32)
        reduced[known] = found
        return reduced


def _not_judged(samples: TableRows, config: CurationConfig) -> dict[str, str]:
    """Name the attributes that pictures do not show and whose labels nobody asked to judge."""
    named = set(map(heading, config.label_errors.attributes))
    return {name: what for name, what in samples.unseen.items() if name not in named}


def _with_rules(config: CurationConfig, rules: Sequence[str]) -> CurationConfig:
    """Add rules that the config does not have yet."""
    section = config.values
    further = tuple(rule for rule in rules if rule not in section.rules)
    return replace(config, values=replace(section, rules=section.rules + further))


def _nothing_left(stages: Sequence[Stage]) -> str:
    """Say what removed all rows."""
    removed = [stage for stage in stages if stage.summary.get("removed")]
    if not removed:
        return "no row is left: all are bad"
    counts = ", ".join(f"[{stage.name}] removed {stage.summary['removed']}" for stage in removed)
    last = next(record for record in removed[-1].records if record["action"] == "removed")
    return f"no row is left: {counts}; {last['image']}: {last['reason']}"


def _write_stages(folder: Path, stages: Sequence[Stage], labels: Records) -> None:
    """Write a CSV for each stage; that of a stage turned off is taken away, for it would lie."""
    done = {stage.name: stage.records for stage in stages}
    for number, (name, columns) in enumerate(STAGES.items(), 1):
        files = {f"{number}_{name}.csv": (columns, done.get(name))}
        if name == "duplicates":
            found = labels if name in done else None
            files[f"{number}_labels.csv"] = (duplicates.LABEL_COLUMNS, found)
        for file, (heads, records) in files.items():
            if records is None:
                (folder / file).unlink(missing_ok=True)
            else:
                write_csv(folder / file, heads, records)


def _summary(
    source: Path, samples: TableRows, stages: Sequence[Stage], config: CurationConfig
) -> dict[str, Any]:
    sizes = np.bincount(samples.split[samples.kept], minlength=3).tolist()
    off = [one.name for one in fields(config) if one.name in STAGES]
    done = [stage.name for stage in stages]
    return {
        "table": str(source),
        "rows": len(samples),
        "kept": len(samples.rows),
        "attributes": {
            name: {
                "kind": "multi" if name in samples.multi else "single",
                "values": dict(sorted(samples.counts(name).items())),
                "unknown": sum(samples.values[name][row] is None for row in samples.rows),
            }
            for name in samples.values
        },
        "bad_rows": [one.to_dict() for one in samples.bad_rows],
        "ignored_columns": samples.ignored,
        "unseen": _not_judged(samples, config),
        "splits": dict(zip(SPLITS, sizes, strict=True)),
        "stages": {stage.name: dict(stage.summary) for stage in stages},
        "turned_off": [name for name in off if name not in done],
    }
