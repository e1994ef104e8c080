"""Stage 6: labels that a model which never saw them finds improbable, and what it would say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.attributes.discriminant import blas_threads
from gingham.curation.config import LabelErrorsSection
from gingham.curation.decisions import NONE, LabelDecisions
from gingham.curation.merges import propose_merges
from gingham.curation.split import stratify
from gingham.curation.table import Records, Stage, TableRows, written
from gingham.errors import require_extra
from gingham.formats.content import heading
from gingham.options import ReadOptions

COLUMNS = (
    "rank", "attribute_rank", "row", "image", "attribute", "value", "suggested", "probability",
    "suggested_probability", "flagged", "action", "became",
)  # fmt: skip

LENGTH, WITNESS = 3.0, 0.3
"""Root mean square length to which features are scaled, and that of another attribute's label."""

HIDDEN, BATCH, EPOCHS, STEPS = 256, 256, 6, 150
"""Of the network that learns an attribute: one hidden layer, this many rows a step, and so often
over all rows; over fewer rows more often, for the steps are what it learns by."""


def judge_labels(
    samples: TableRows,
    reduced: NDArray[np.float32],
    has_features: NDArray[np.bool_],
    section: LabelErrorsSection,
    *,
    seed: int,
    options: ReadOptions,
    decisions: LabelDecisions = NONE,
    rare: Mapping[str, Mapping[str, int]] | None = None,
) -> Stage:
    """Rank every label by its out-of-sample probability, the most doubtful first.

    Each attribute is learned from the (N, d) features of the rows that have any, and from what the
    table says of the other attributes, by a small network, cross-validated with duplicate groups on
    one side. cleanlab scores the labels and says which are likely errors. For an attribute of kind
    multi each value is judged on its own.

    The same network says which values may be one thing: see `propose_merges`. `rare` are values
    that were dropped before, with their images, whose names may be nearly those of others.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed.

    References
    ----------
    Northcutt, Jiang, Chuang, *Confident Learning: Estimating Uncertainty in Dataset Labels* (2021).
    """
    require_extra("train", "cleanlab")
    names = tuple(map(heading, section.attributes)) or samples.seen
    found: Records = []
    judged: dict[str, Any] = {}
    merges: Records = []
    rows = np.flatnonzero(samples.kept & has_features)
    scale = LENGTH / np.sqrt(np.square(reduced[rows]).sum(axis=1).mean()) if len(rows) else 1.0
    for done, name in enumerate(names):
        column = samples.values[name]
        known = np.array([row for row in rows.tolist() if column[row] is not None], np.int64)
        X = reduced[known] * np.float32(scale)
        if section.context:
            X = np.concatenate([X, _others(samples, name, known)], axis=1)
        one, labels, probabilities = _judge(samples, name, known, X, section, seed)
        values = sorted(samples.counts(name, known.tolist()))
        counts = {**(rare or {}).get(name, {}), **samples.counts(name)}
        merges += propose_merges(name, counts, values, labels, probabilities)
        judged[name] = {
            "labels": len(one),
            "flagged": sum(record["flagged"] for record in one),
            "not_judged": len(known) - len({record["row"] for record in one}),
        }
        found += one
        options.progress("judge", done + 1, len(names))
    found.sort(key=lambda record: (record["probability"], record["row"], record["attribute"]))
    for rank, record in enumerate(found, 1):
        record["rank"] = rank
    accepted = decisions.settle(found)
    for name, counts in judged.items():
        counts["flagged"] = sum(r["flagged"] for r in found if r["attribute"] == name)
    decided = sum(record["action"] in ("accepted", "refused") for record in found)
    changed = _act(samples, [r for r in found if r["flagged"]], section.action)
    changed += _act(samples, accepted, "replace")
    summary = {"changed": changed, "decided": decided, "attributes": judged, "merges": merges}
    return Stage("label_errors", found, summary)


def _others(samples: TableRows, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Write what is known of the other attributes: a column a value, above 0 where a row has it."""
    columns = [(a, v) for a in samples.values if a != name for v in sorted(samples.counts(a))]
    place = {column: i for i, column in enumerate(columns)}
    found = np.zeros((len(rows), len(columns)), np.float32)
    for i, row in enumerate(rows.tolist()):
        for other, column in samples.values.items():
            if other != name:
                found[i, [place[other, value] for value in column[row] or ()]] = WITNESS
    return found


def _judge(
    samples: TableRows,
    name: str,
    known: NDArray[np.int64],
    X: NDArray[np.float32],
    section: LabelErrorsSection,
    seed: int,
) -> tuple[Records, NDArray[np.intp], NDArray[np.float32]]:
    """Score what is known of one attribute, learned from X (N, D); the most doubtful first.

    Of an attribute with one value per image the values (M,) and probabilities (M, V) of the judged
    rows are given, too; of others none.
    """
    column = [samples.values[name][row] or () for row in known]
    multi = name in samples.multi
    values = sorted({value for said in column for value in said})
    place = {value: i for i, value in enumerate(values)}
    has = np.zeros((len(column), len(values)), bool)
    for row, said in enumerate(column):
        has[row, [place[value] for value in said]] = True
    groups = np.unique(samples.group[known], return_inverse=True)[1]
    probabilities, seen = _probabilities(has, X, groups, section.folds, seed, multi=multi)
    found: Records = []
    labels, told = np.zeros(0, np.intp), np.zeros((0, len(values)), np.float32)
    if multi:
        # Each value on its own: whether an image that is labelled at all has it or not.
        for i, value in enumerate(values):
            p, judged = probabilities[seen[:, i], i], seen[:, i]
            asked = has[judged, i].astype(np.intp), np.stack([1 - p, p], axis=1)
            found += _doubts([f"not {value}", value], known[judged], *asked, section)
    elif len(values) > 1:
        labels = has.argmax(axis=1)
        judged = seen[np.arange(len(labels)), labels]
        labels, told = labels[judged], probabilities[judged]
        found = _doubts(values, known[judged], labels, told.copy(), section)
    found.sort(key=lambda record: (record["probability"], record["row"]))
    for rank, record in enumerate(found, 1):
        image = samples.names[record["row"]]
        record |= {"attribute_rank": rank, "image": image, "attribute": name, "became": ""}
    return found, labels, told


def _doubts(
    values: list[str],
    rows: NDArray[np.int64],
    labels: NDArray[np.intp],
    probabilities: NDArray[np.float32],
    section: LabelErrorsSection,
) -> Records:
    """Score labels, unless all are of one value, by (N, V) probabilities; say which are errors."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    if len(np.unique(labels)) < 2:
        return []
    own = get_label_quality_scores(
        labels, probabilities, method="self_confidence", adjust_pred_probs=False
    )
    # cleanlab flags nothing of a value with one image, and warns; here it is asked all the same.
    flagged = find_label_issues(labels, probabilities, n_jobs=1, min_examples_per_class=-1)
    flagged &= np.bincount(labels)[labels] > 1
    flagged &= (own <= section.max_probability) & (probabilities.argmax(axis=1) != labels)
    probabilities[np.arange(len(labels)), labels] = -1
    best = probabilities.argmax(axis=1)
    columns = (rows, labels, best, own, probabilities.max(axis=1), flagged)
    return [
        {
            "row": row,
            "value": values[label],
            "suggested": values[other],
            "probability": float(f"{probability:.4g}"),
            "suggested_probability": float(f"{suggested:.4g}"),
            "flagged": error,
            "action": "reported" if error else "kept",
        }
        for row, label, other, probability, suggested, error in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _probabilities(
    has: NDArray[np.bool_],
    X: NDArray[np.float32],
    groups: NDArray[np.intp],
    folds: int,
    seed: int,
    *,
    multi: bool,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Learn (N, V) values, one a row unless `multi`, from (N, D) features by cross-validation.

    Returns
    -------
    (N, V) out-of-sample probabilities, and (N, V) which of them were learned at all: a value of one
    group only cannot be judged, nor wrongly suggested to its own images.
    """
    from sklearn.neural_network import MLPClassifier

    class Network(MLPClassifier):  # type: ignore[misc]
        # Stopped early on purpose, for what it would learn from then on is each label's noise; the
        # last epoch ends it as one without improvement would, which is no reason to warn.
        def _update_no_improvement_count(self, *args: Any) -> None:
            super()._update_no_improvement_count(*args)
            if self.n_iter_ == self.max_iter:
                self._no_improvement_count = self.n_iter_no_change + 1

    probabilities = np.zeros(has.shape, np.float32)
    seen = np.zeros(has.shape, bool)
    for part in _folds(has, groups, folds, seed):
        rest = np.setdiff1d(np.arange(len(has)), part)
        learned = has[rest].any(axis=0) & ~has[rest].all(axis=0)
        if not learned.any():
            continue
        target = has[rest][:, learned].astype(np.int8) if multi else has[rest].argmax(axis=1)
        one = multi and learned.sum() == 1
        batch = min(BATCH, len(rest))
        model = Network(
            (HIDDEN,),
            alpha=0.01,
            learning_rate_init=0.002,
            batch_size=batch,
            max_iter=max(EPOCHS, STEPS * batch // len(rest)),
            random_state=seed,
        )
        # A step is small: two threads at one would wait for each other longer than they work.
        with blas_threads(1):
            model.fit(X[rest], target[:, 0] if one else target)
        found = model.predict_proba(X[part])
        probabilities[np.ix_(part, learned)] = found[:, 1:] if one else found
        seen[part] = learned
    return probabilities, seen


def _folds(
    has: NDArray[np.bool_], groups: NDArray[np.intp], folds: int, seed: int
) -> list[NDArray[np.intp]]:
    """Share rows out, every value alike and groups undivided, in at most as many parts as groups.

    scikit-learn's StratifiedGroupKFold does so for single values, in 16 s for 100,000 groups.
    """
    of, value = np.nonzero(has)
    pairs = np.unique(np.stack([value, groups[of]]), axis=1)
    folds = min(folds, int(np.bincount(pairs[0]).max(initial=0)))
    if folds < 2:
        return []
    labels = [np.flatnonzero(row).tolist() for row in has]
    part = stratify(labels, groups, [1 / folds] * folds, seed=seed)
    return [np.flatnonzero(part == i) for i in range(folds) if (part == i).any()]


def _act(samples: TableRows, found: Records, action: str) -> int:
    """Do what was asked with some labels."""
    if action == "report":
        return 0
    changed = 0
    for record in found:
        name, row = record["attribute"], record["row"]
        column = samples.values[name]
        said = set(column[row] or ())
        lacking = name in samples.multi and record["value"].startswith("not ")
        if action == "unknown":
            # Of several values one cannot be unknown by itself, for without it they would say that
            # the image has it not. What is only perhaps missing is not worth those that are there.
            if lacking:
                continue
            column[row] = None
        elif name not in samples.multi:
            column[row] = (record["suggested"],)
        else:
            change = {record["suggested"]} if lacking else {record["value"]}
            column[row] = tuple(sorted(said | change if lacking else said - change)) or None
        record["action"] = "accepted" if record["action"] == "accepted" else "changed"
        changed += 1
    for record in found:
        if record["action"] in ("accepted", "changed"):
            record["became"] = written(samples.values[record["attribute"]][record["row"]])
    return changed
