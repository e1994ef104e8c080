"""One call of `teach`: labels -> features of the examples -> a fitted attribute, all or nothing."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gingham.attributes.attribute_fitting import fit, view_id, views_for
from gingham.attributes.registry import Attributes
from gingham.attributes.teachable import DataFrame, Pairs, as_mapping
from gingham.backbones.runtime import Features
from gingham.errors import InputError
from gingham.extract import PLAIN, VIEWS, View, read_into
from gingham.formats.table import is_plain_folder
from gingham.labels import Labels, Teachable, label_images, read_labels
from gingham.names import (
    UNKNOWN_WORDS,
    check_attribute,
    check_value,
    did_you_mean,
    variants,
)
from gingham.options import ReadOptions
from gingham.results import Failure, TeachResult, Variant
from gingham.store.examples import Example, Taught, add_examples
from gingham.store.features import ImageId
from gingham.store.truth import Truth

KINDS = ("single", "multi")


@dataclass(frozen=True)
class TableColumns:
    """Which columns of a table of examples are read.

    Attributes
    ----------
    image, group : of the images, and of the groups where there are any.
    value : of the values; None: the column with the attribute's name.
    """

    image: str = "image"
    value: str | None = None
    group: str | None = None


def teach(
    truth: Truth,
    attributes: Attributes,
    attribute: str,
    examples: Path | Teachable,
    columns: TableColumns,
    *,
    kind: str | None,
    layers: str | Sequence[str],
    views: bool,
    allowed_loss: float | None = None,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    merge_variants: bool = False,
    unknown_words: Collection[str] = UNKNOWN_WORDS,
    options: ReadOptions,
    replace: bool = False,
    without: Collection[ImageId] = (),
) -> TeachResult:
    """Add examples to an attribute and fit it; see `Catalogue.teach`.

    With `replace` they stand in place of all that it was taught before; `without` takes examples
    out of that.
    """
    started = time.perf_counter()
    attribute = check_attribute(attribute, attributes.answering())
    if attribute in attributes.attached:
        raise InputError(
            f"attribute {attribute!r} is answered by the attached model "
            f"{attributes.attached[attribute].model}: forget it first, or teach another name"
        )
    before = None if replace else attributes.taught().get(attribute)
    kind = _kind(before, attribute, kind)
    _check_loss(allowed_loss, kind)
    chosen: str | tuple[str, ...] = layers if isinstance(layers, str) else tuple(layers)
    if chosen != "auto":
        chosen = (chosen,) if isinstance(chosen, str) else chosen
        for name in chosen:
            if name not in truth.layers:
                raise InputError(
                    f"unknown layer {name!r}; known: {', '.join(truth.layers)}"
                    + did_you_mean(name, truth.layers)
                )
    labels, images = read_teachable(
        examples,
        attribute,
        kind,
        columns,
        trust_predictions=trust_predictions,
        skip_bad_rows=skip_bad_rows,
        unknown_words=unknown_words,
    )
    values = {value for row in labels.rows for value in row.values}
    wanted = views_for(len(labels.rows), len(values)) if views else ()
    found, failed = _read_examples(truth, images, wanted, options)
    fresh = [
        Example(
            known[1],
            known[0],
            row.values,
            known[1].hex() if row.group is None else f"group {row.group}",
        )
        for row, known in zip(labels.rows, found, strict=True)
        if known is not None
    ]
    if before is not None and without:
        left = [example for example in before.examples if example.id not in without]
        before = dataclasses.replace(before, examples=left)
    taught = add_examples(before, kind, chosen, fresh, allowed_loss)
    alike = _variants(taught)
    if merge_variants and alike:
        taught = _merged(taught, {one.value: one.like for one in alike})
    if without or (merge_variants and alike):
        # In one entry of the log: what was taught before is changed, too.
        fresh, replace = taught.examples, True
    failures = (*labels.failures, *failed)
    if not taught.examples:
        raise InputError(f"no example of {attribute!r} can be used{Failure.told(failures)}")
    try:
        fitted = fit(truth, attribute, taught, attributes.background)
    except InputError as error:
        raise InputError(f"{error}{Failure.told(failures)}") from error
    # The examples are truth only where what is derived of them has found its place.
    with attributes.keeping(fitted.attribute):
        truth.log.append(
            attribute, kind, chosen, fresh, replace=replace, allowed_loss=taught.allowed_loss
        )
    scores = fitted.learner
    return TeachResult(
        attribute=attribute,
        kind=kind,
        values=fitted.attribute.values,
        examples=fitted.attribute.count,
        layers=tuple(scores.layers_),
        accuracy=_finite(scores.cv_accuracy_),
        macro_f1=_finite(scores.cv_macro_f1_),
        folds=scores.folds_,
        unlabelled=labels.unlabelled,
        failures=failures,
        contradictions=fitted.contradictions,
        variants=alike,
        merged=merge_variants and bool(alike),
        seconds=time.perf_counter() - started,
        bad_rows=labels.bad_rows,
        verdict=fitted.attribute.verdict,
        **labels.listed,
    )


def given_examples(
    examples: str | os.PathLike[str] | Teachable | Pairs | DataFrame,
    attribute: str,
    columns: TableColumns,
) -> tuple[Path | Teachable, TableColumns]:
    """Take what `Catalogue.teach` is given as a path or a mapping, with the columns to read of it.

    Raises
    ------
    InputError
        See `as_mapping`.
    """
    if isinstance(examples, Mapping):
        return examples, columns
    if isinstance(examples, (str, os.PathLike)):
        return Path(examples), columns
    value = columns.value or attribute
    made = as_mapping(examples, columns.image, value, columns.group)
    return made, TableColumns() if isinstance(examples, DataFrame) else columns


def read_teachable(
    examples: Path | Teachable,
    attribute: str,
    kind: str,
    columns: TableColumns,
    *,
    trust_predictions: bool,
    skip_bad_rows: bool,
    unknown_words: Collection[str],
) -> tuple[Labels, Sequence[str | bytes]]:
    """Read what `Catalogue.teach` is given, but for the images.

    Returns
    -------
    The labels, and the image of each of their rows.

    Raises
    ------
    InputError
        See `Catalogue.teach`.
    """
    if columns != TableColumns() and (isinstance(examples, Mapping) or is_plain_folder(examples)):
        given = "a mapping" if isinstance(examples, Mapping) else f"folder {examples}"
        raise InputError(
            "--image-column, --value-column and --group-column go with a table, and "
            f"{given} has no columns: leave them out"
        )
    images: Sequence[str | bytes]
    if isinstance(examples, Mapping):
        labels, images = label_images(examples, kind, unknown_words)
    else:
        labels = read_labels(
            examples,
            kind=kind,
            value_column=columns.value or attribute,
            image_column=columns.image,
            group_column=columns.group,
            trust_predictions=trust_predictions,
            skip_bad_rows=skip_bad_rows,
            unknown_words=unknown_words,
        )
        images = [row.image for row in labels.rows]
    for value in sorted({value for row in labels.rows for value in row.values}):
        check_value(attribute, value, kind)
    return labels, images


def _variants(taught: Taught) -> tuple[Variant, ...]:
    """List values that look like a more frequent one."""
    counts: Counter[str] = Counter()
    for example in taught.examples:
        counts.update({value: int(present) for value, present in example.values.items()})
    return tuple(
        Variant(value, counts[value], like, counts[like])
        for value, like in sorted(variants(counts).items())
    )


def _merged(taught: Taught, likes: Mapping[str, str]) -> Taught:
    """Rename values; where an example has two that become one, it has it if it has either."""
    examples = []
    for example in taught.examples:
        values: dict[str, bool] = {}
        for value, present in example.values.items():
            name = likes.get(value, value)
            values[name] = present or values.get(name, False)
        examples.append(dataclasses.replace(example, values=values))
    return dataclasses.replace(taught, examples=examples)


def _check_loss(allowed_loss: float | None, kind: str) -> None:
    if allowed_loss is None:
        return
    if kind != "single":
        raise InputError(
            "allowed_loss goes with kind single: of kind multi it is not known what other values "
            "look like; leave it out"
        )
    if not 0 < allowed_loss <= 0.5:
        raise InputError(
            f"allowed_loss must be above 0 and at most 0.5, as in 0.02; got {allowed_loss}"
        )


def _kind(before: Taught | None, attribute: str, kind: str | None) -> str:
    if kind is None:
        return before.kind if before else KINDS[0]
    if kind not in KINDS:
        raise InputError(f"kind must be {' or '.join(KINDS)}, got {kind!r}")
    if before and before.kind != kind:
        raise InputError(
            f"attribute {attribute!r} is of kind {before.kind}: forget it first, to teach it "
            f"as {kind}"
        )
    return kind


def _read_examples(
    truth: Truth, images: Sequence[str | bytes], wanted: Sequence[View], options: ReadOptions
) -> tuple[list[tuple[str, ImageId] | None], list[Failure]]:
    """Find the name and id of each example, and put the features that are missing in the truth."""

    def missing(image_id: ImageId) -> tuple[View, ...]:
        own = () if image_id in truth.features else VIEWS
        return own + tuple(v for v in wanted if view_id(image_id, v) not in truth.views)

    def keep(new: dict[ImageId, dict[str, Features]]) -> None:
        plain = {i: views[PLAIN] for i, views in new.items() if PLAIN in views}
        altered = {
            view_id(i, view): views[view.name]
            for i, views in new.items()
            for view in wanted
            if view.name in views
        }
        truth.features.append(list(plain), list(plain.values()))
        truth.views.append(list(altered), list(altered.values()))

    found: list[tuple[str, ImageId] | None] = []
    failed: list[Failure] = []
    # By its id an image is read from whichever of its files still holds it.
    results = read_into(
        keep,
        [truth.source_of(image) for image in images],
        truth.runtime,
        missing=missing,
        options=options,
        step="teach",
        total=len(images),
    )
    with closing(results):
        for image, item in zip(images, results, strict=True):
            listed = truth.image_id(image)
            name = truth.locations.images[listed][0] if listed else item.name
            # What is stored can be used, even where its file is gone.
            known = item.id or listed or truth.locations.files.get(name)
            if known is not None and (item.reason is None or known in truth.features):
                found.append((name, known))
            else:
                found.append(None)
                failed.append(Failure(item.image, item.reason or "cannot be read"))
    return found, failed


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
