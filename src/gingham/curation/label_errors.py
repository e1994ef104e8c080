"""Stage 6: labels that a model which never saw them finds improbable, and what it would say."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.curation.config import LabelErrorsSection
from gingham.curation.table import Records, Samples, Stage
from gingham.errors import MissingExtraError
from gingham.evaluate import grouped_folds
from gingham.extract import Progress

COLUMNS = (
    "rank", "attribute_rank", "row", "image", "attribute", "value", "suggested", "probability",
    "suggested_probability", "flagged", "action",
)  # fmt: skip

LENGTH = 10.0
"""Root mean square length to which features are scaled, so that a penalty of 1 suits them."""


def judge_labels(
    samples: Samples,
    reduced: NDArray[np.float32],
    has_features: NDArray[np.bool_],
    section: LabelErrorsSection,
    *,
    seed: int,
    progress: Progress,
) -> Stage:
    """Rank every label by its out-of-sample probability, the most doubtful first.

    Each attribute is learned from features, and from what the table says of the other attributes,
    by logistic regression, cross-validated with duplicate groups on one side. cleanlab scores the
    labels and says which are likely errors.

    Parameters
    ----------
    samples : the table.
    reduced : (N, d) features of all rows.
    has_features : (N,) which rows have any.
    section : what to judge, and what to do with what is flagged.
    seed : of the folds.
    progress : called with the number of models fitted and of all.

    Raises
    ------
    MissingExtraError
        If cleanlab is not installed.

    References
    ----------
    Northcutt, Jiang, Chuang, *Confident Learning: Estimating Uncertainty in Dataset Labels* (2021).
    """
    import_cleanlab()
    names = section.attributes or tuple(samples.values)
    found: Records = []
    judged: dict[str, Any] = {}
    rows = np.flatnonzero(samples.kept & has_features)
    scale = LENGTH / np.sqrt(np.square(reduced[rows]).sum(axis=1).mean()) if len(rows) else 1.0
    for done, name in enumerate(names):
        known = np.array([row for row in rows.tolist() if samples.values[name][row]], np.int64)
        X = reduced[known] * np.float32(scale)
        if section.context:
            X = np.concatenate([X, _others(samples, name, known)], axis=1)
        groups = np.unique(samples.group[known], return_inverse=True)[1]
        one = (_judge_multi if name in samples.multi else _judge_single)(
            samples, name, known, X, groups, section, seed
        )
        judged[name] = {
            "labels": len(one),
            "flagged": sum(record["flagged"] for record in one),
            "not_judged": len(known) - len({record["row"] for record in one}),
        }
        found += one
        progress(done + 1, len(names))
    found.sort(key=lambda record: (record["probability"], record["row"], record["attribute"]))
    for rank, record in enumerate(found, 1):
        record["rank"] = rank
    changed = _act(samples, found, section.action)
    return Stage("label_errors", found, {"changed": changed, "attributes": judged})


def _others(samples: Samples, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Write what is known of the other attributes: a column a value, 1 where a row has it."""
    columns = [(a, v) for a in samples.values if a != name for v in sorted(samples.counts(a))]
    place = {column: i for i, column in enumerate(columns)}
    found = np.zeros((len(rows), len(columns)), np.float32)
    for i, row in enumerate(rows.tolist()):
        for other, column in samples.values.items():
            if other != name:
                found[i, [place[other, value] for value in column[row]]] = 1
    return found


def _judge_single(
    samples: Samples,
    name: str,
    known: NDArray[np.int64],
    X: NDArray[np.float32],
    groups: NDArray[np.intp],
    section: LabelErrorsSection,
    seed: int,
) -> Records:
    given = [samples.values[name][row][0] for row in known]
    judged = _probabilities(given, X, groups, section.folds, seed)
    if judged is None:
        return []
    classes, labels, probabilities, seen = judged
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels, probabilities, known = labels[seen], probabilities[seen], known[seen]
    own = get_label_quality_scores(
        labels, probabilities, method="self_confidence", adjust_pred_probs=False
    )
    with warnings.catch_warnings():
        # Of values with few images it flags fewer; they are ranked all the same.
        warnings.simplefilter("ignore", UserWarning)
        flagged = find_label_issues(labels, probabilities, n_jobs=1)
    best = probabilities.argmax(axis=1)
    flagged &= (own <= section.max_probability) & (best != labels)
    other = probabilities.copy()
    other[np.arange(len(labels)), labels] = -1
    best = other.argmax(axis=1)
    order = np.argsort(own, kind="stable")
    return [
        _record(
            samples,
            name,
            int(known[i]),
            str(classes[labels[i]]),
            str(classes[best[i]]),
            float(own[i]),
            float(probabilities[i, best[i]]),
            bool(flagged[i]),
            rank,
        )
        for rank, i in enumerate(order.tolist(), 1)
    ]


def _judge_multi(
    samples: Samples,
    name: str,
    known: NDArray[np.int64],
    X: NDArray[np.float32],
    groups: NDArray[np.intp],
    section: LabelErrorsSection,
    seed: int,
) -> Records:
    """Judge each value on its own: whether an image that is labelled at all has it or not."""
    found: Records = []
    for value in sorted({v for row in known for v in samples.values[name][row]}):
        given = ["yes" if value in samples.values[name][row] else "no" for row in known]
        judged = _probabilities(given, X, groups, section.folds, seed)
        if judged is None:
            continue
        classes, labels, probabilities, seen = judged
        for i in np.flatnonzero(seen).tolist():
            own = float(probabilities[i, labels[i]])
            has = classes[labels[i]] == "yes"
            found.append(
                _record(
                    samples,
                    name,
                    int(known[i]),
                    value if has else f"not {value}",
                    f"not {value}" if has else value,
                    own,
                    1 - own,
                    own <= section.max_probability,
                    0,
                )
            )
    found.sort(key=lambda record: (record["probability"], record["row"]))
    for rank, record in enumerate(found, 1):
        record["attribute_rank"] = rank
    return found


def _probabilities(
    given: Sequence[str], X: NDArray[np.float32], groups: NDArray[np.intp], folds: int, seed: int
) -> tuple[NDArray[np.str_], NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]] | None:
    """Cross-validate: the values, each label's place in them, (N, V) probabilities, who was judged.

    A value of one group only cannot be judged, nor wrongly suggested to its own images. None where
    there are not two values in two groups.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    if len(given) < 2:
        return None
    classes, labels = np.unique(np.array(given, np.str_), return_inverse=True)
    parts = grouped_folds(labels, groups, folds=folds, seed=seed) if len(classes) > 1 else []
    probabilities = np.zeros((len(labels), len(classes)))
    seen = np.zeros(len(labels), bool)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(labels)), part)
        present = np.unique(labels[rest])
        if len(present) < 2:
            continue
        with warnings.catch_warnings():
            # Stopped early it ranks as well; see docs/curation.md.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=1.0, max_iter=60).fit(X[rest], labels[rest])
        probabilities[np.ix_(part, model.classes_)] = model.predict_proba(X[part])
        seen[part] = np.isin(labels[part], present)
    return (classes, labels, probabilities, seen) if seen.any() else None


def _record(
    samples: Samples,
    name: str,
    row: int,
    value: str,
    suggested: str,
    probability: float,
    suggested_probability: float,
    flagged: bool,
    rank: int,
) -> dict[str, Any]:
    return {
        "rank": 0,
        "attribute_rank": rank,
        "row": row,
        "image": samples.names[row],
        "attribute": name,
        "value": value,
        "suggested": suggested,
        "probability": float(f"{probability:.4g}"),
        "suggested_probability": float(f"{suggested_probability:.4g}"),
        "flagged": flagged,
        "action": "reported" if flagged else "kept",
    }


def _act(samples: Samples, found: Records, action: str) -> int:
    """Do what was asked with the flagged labels."""
    if action == "report":
        return 0
    changed = 0
    for record in found:
        if not record["flagged"]:
            continue
        name, row = record["attribute"], record["row"]
        column = samples.values[name]
        new = set(column[row])
        if name not in samples.multi:
            new = {record["suggested"]} if action == "replace" else set()
        elif record["value"].startswith("not "):
            # That a value is missing cannot be unknown by itself: only adding it says more.
            if action != "replace":
                continue
            new.add(record["suggested"])
        else:
            new.discard(record["value"])
        column[row] = tuple(sorted(new))
        record["action"] = "changed"
        changed += 1
    return changed


def import_cleanlab() -> None:
    """Import cleanlab, or say how to install it."""
    try:
        import cleanlab  # noqa: F401
    except ImportError:
        raise MissingExtraError("cleanlab", extra="train") from None
