"""A trained model judged on a table: figures as JSON and CSV, and a page to look at."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.catalogue import Catalogue
from gingham.errors import InputError
from gingham.evaluation.model_page import write_page
from gingham.options import DEFAULTS, ReadOptions
from gingham.results import BadRow, Result
from gingham.store.files import make_folder, write_csv, write_json
from gingham.tables import columns
from gingham.training.data import read_samples
from gingham.training.metrics import Metrics, ValueMetrics, measure
from gingham.training.run import model_logits
from gingham.training.samples import PARTS, Samples, image_ids
from gingham.training.trained import TrainedModel

COLUMNS = tuple(one.name for one in fields(ValueMetrics))


@dataclass(frozen=True)
class Comparison(Result):
    """A trained attribute beside the taught one of the same name, on the same images.

    Attributes
    ----------
    images : those that both were asked about and, as far as can be told, neither learned from.
    trained, taught : accuracy; an answer `unknown` is wrong.
    trained_macro_f1, taught_macro_f1 : over the values that one of the images has.
    better : `trained`, `taught`, or `equal` where the accuracies are.
    """

    attribute: str
    images: int
    trained: float
    taught: float
    trained_macro_f1: float
    taught_macro_f1: float
    better: str


@dataclass(frozen=True)
class EvaluateResult(Result):
    """What `evaluate_model` found.

    Attributes
    ----------
    model : its fingerprint.
    part : the rows that were taken, or `all`.
    learned : images among them that the model learned from: left out, unless `train` or
        `validation` was asked for. None: a model of an earlier version, which cannot tell.
    metrics : see `gingham.training.metrics`.
    dropped : attribute -> value -> rows whose value the model does not know; they are left out.
    comparisons : with the taught attributes of a catalogue.
    failed : images that could not be read.
    bad_rows : rows of the table that were left out.
    """

    model: str
    table: str
    part: str
    learned: int | None
    metrics: Metrics
    dropped: dict[str, dict[str, int]]
    comparisons: tuple[Comparison, ...]
    failed: tuple[str, ...]
    bad_rows: tuple[BadRow, ...] = ()


def evaluate_model(
    model: TrainedModel,
    table: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    part: str | None = None,
    catalogue: Catalogue | None = None,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    unknown_words: Collection[str] | None = None,
    options: ReadOptions = DEFAULTS,
) -> EvaluateResult:
    """Judge a model on the rows of a table, and write metrics.json, metrics.csv and report.html.

    Parameters
    ----------
    model : opened.
    table : as for `gingham.training.train`.
    out : folder of what is written.
    part : `train`, `validation` or `test` of the column `split`; by default `test`. A table
        without the column is taken whole. Images that the model learned from, in training or
        validation, are left out, unless one of these two parts is asked for.
    catalogue : its taught attributes of the same names are asked about the same images; those
        that they were taught with, and those that the model learned from, are left out of the
        comparison.
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out rows that cannot be used.
    unknown_words : cells that mean unknown; None: those that the model was trained with.
    options : see `gingham.ReadOptions`.

    Raises
    ------
    InputError
        If the table does not fit, or has no such rows, or none but those learned from.
    """
    chosen = part or "test"
    if chosen not in PARTS:
        raise InputError(f"the part must be one of {', '.join(PARTS)}, got {part!r}")
    data = model.config.data
    if unknown_words is not None:
        data = replace(data, unknown_words=tuple(unknown_words))
    samples = read_samples(
        Path(table),
        data,
        seed=model.config.training.seed,
        vocabulary=model.vocabulary,
        trust_predictions=trust_predictions,
        skip_bad_rows=skip_bad_rows,
    )
    rows = samples.rows(chosen)
    if not len(rows):
        raise InputError(f"table {table} has no row whose split is {chosen}: choose another part")
    samples = samples.only(rows)
    ids, known = np.array(image_ids(samples.images), object), model.learned()
    learned = np.array([one in (known or ()) for one in ids], bool)
    if chosen == "test":
        if learned.all():
            raise InputError(
                f"model {model.folder} learned from all {len(rows)} images of table {table}: give "
                "images that it has not seen"
            )
        samples, ids = samples.only(np.flatnonzero(~learned)), ids[~learned]
    logits, readable = model_logits(model, samples, options, "evaluate")
    failed = tuple(i for i, good in zip(samples.images, readable, strict=True) if not good)
    samples, ids = samples.only(np.flatnonzero(readable)), ids[readable]
    answers = model.answers(logits)
    metrics = measure(model.vocabulary, answers, samples.targets)
    comparisons: tuple[Comparison, ...] = ()
    if catalogue is not None:
        comparisons = _compare(samples, ids, known or frozenset(), answers.given, catalogue)
    whole = part is None and not Path(table).is_dir() and "split" not in columns(Path(table))
    result = EvaluateResult(
        model.fingerprint,
        os.fspath(table),
        "all" if whole else chosen,
        None if known is None else int(learned.sum()),
        metrics,
        {name: dict(values) for name, values in samples.dropped.items()},
        comparisons,
        failed,
        samples.bad_rows,
    )
    make_folder(folder := Path(out))
    write_json(folder / "metrics.json", result.to_dict())
    write_csv(folder / "metrics.csv", COLUMNS, map(asdict, result.metrics.values))
    write_page(folder / "report.html", result.to_dict(), model)
    return result


def _compare(
    samples: Samples,
    ids: NDArray[Any],
    learned: frozenset[str],
    given: NDArray[np.bool_],
    catalogue: Catalogue,
) -> tuple[Comparison, ...]:
    """Ask the taught attributes of the model's names about the same images, with `ids`."""
    taught = catalogue.examples()
    comparisons = []
    for attribute in samples.vocabulary.attributes:
        if attribute.name not in taught:
            continue
        columns = samples.vocabulary.columns[attribute.name]
        known = ~np.isnan(samples.targets[:, columns]).any(1)
        seen = [one in learned or one in taught[attribute.name] for one in ids]
        asked = np.flatnonzero(known & ~np.array(seen, bool))
        names = [samples.images[row] for row in asked]
        right: dict[str, list[bool]] = defaultdict(list)
        pairs: dict[str, list[tuple[frozenset[str], frozenset[str]]]] = defaultdict(list)
        for row, said in zip(
            asked,
            catalogue.predict(names, attributes=[attribute.name], model=catalogue.taught),
            strict=True,
        ):
            if said.error is not None:
                continue
            value = said.predictions[attribute.name].value
            other = frozenset([value] if isinstance(value, str) else value or ())
            truth = frozenset(attribute.answered(samples.targets[row, columns] == 1))
            ours = frozenset(attribute.answered(given[row, columns]))
            for who, answer in (("trained", ours), ("taught", other)):
                right[who].append(answer == truth)
                pairs[who].append((truth, answer))
        if not right["trained"]:
            continue
        trained, taught_ = (float(np.mean(right[who])) for who in ("trained", "taught"))
        better = "equal" if trained == taught_ else "trained" if trained > taught_ else "taught"
        f1, taught_f1 = (_macro_f1(pairs[who]) for who in ("trained", "taught"))
        count = len(right["trained"])
        comparisons.append(
            Comparison(attribute.name, count, trained, taught_, f1, taught_f1, better)
        )
    return tuple(comparisons)


def _macro_f1(pairs: list[tuple[frozenset[str], frozenset[str]]]) -> float:
    """Mean over the values that hold somewhere of 2 hits / (true + answered)."""
    scores = []
    for value in sorted({value for truth, _ in pairs for value in truth}):
        hits = sum(value in truth and value in answer for truth, answer in pairs)
        total = sum((value in truth) + (value in answer) for truth, answer in pairs)
        scores.append(2 * hits / total)
    return float(np.mean(scores)) if scores else 0.0
