"""A whole evaluation: labels, colours and searches of a collection; a table and a page."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gingham.backbones.descriptors import rgb_histogram
from gingham.backbones.runtime import Runtime
from gingham.backbones.table import DEFAULT_BACKBONE, DESCRIPTORS
from gingham.catalogue import Catalogue
from gingham.errors import ImageError, InputError
from gingham.evaluation.retrieval.measures import (
    COLOUR_FIRST,
    FIRST,
    Judged,
    Rows,
    colour_distances,
    draw_queries,
    judge,
    to_lab,
)
from gingham.evaluation.retrieval.methods import Gallery, Method, mix, read_methods
from gingham.evaluation.retrieval.report import write_report
from gingham.evaluation.retrieval.result import MethodResult, RetrievalResult, Shown, Spread
from gingham.images import open_image, read_file
from gingham.labels import Label, read_labels
from gingham.names import UNKNOWN_WORDS
from gingham.options import DEFAULTS, Progress, ReadOptions
from gingham.results import Failure
from gingham.store.features import ImageId
from gingham.store.files import LocalFiles, make_folder
from gingham.store.header import is_catalogue

DRAWN = 10
"""How many queries the paper draws, of different classes."""

DRAWS = 1_000
QUERIES_AT_ONCE = 32

MAX_QUERIES = 5_000
"""A share of these is off by 0.007 with 68 %; all of a large collection take hours."""

SIDE = 256
"""Colours are counted in a picture whose sides are halved while both stay as long as this."""


def evaluate_retrieval(
    collection: str | os.PathLike[str],
    labels: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    descriptors: Sequence[str] = (),
    looks: Sequence[str] = (),
    class_column: str = "class",
    image_column: str = "image",
    group_column: str | None = None,
    trust_predictions: bool = False,
    skip_bad_rows: bool = False,
    unknown_words: Collection[str] = UNKNOWN_WORDS,
    bins: int = 16,
    seed: int = 0,
    max_queries: int = MAX_QUERIES,
    backbone: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    options: ReadOptions = DEFAULTS,
    runtime: Runtime | None = None,
) -> RetrievalResult:
    """Search labelled images with each of them, and say how alike the answers are.

    Writes `retrieval.json`, `retrieval.csv` and the page `retrieval.html` into `out`.

    Parameters
    ----------
    collection : a catalogue, or a folder of images, which is indexed below `out` first.
    labels : a table; its images are both queries and answers. Those of a class of one are only
        answers.
    descriptors, looks : what is compared; see `gingham.evaluation.retrieval.methods.read_methods`.
    class_column, image_column : of the table.
    group_column : images that share it are not answers to each other (near-duplicates).
    trust_predictions : take a table of predictions (with a column `X_confidence`), too.
    skip_bad_rows : leave out rows that cannot be used.
    unknown_words : classes and groups that mean that nothing is known; see `Catalogue.teach`.
    bins : of each of the histograms of red, green and blue.
    seed : of the drawn queries.
    max_queries : where more images could be queries, so many are drawn; 0: all. Answers are all.
    backbone, weights, device : see `Catalogue.create`; for a folder of images.
    options : see `gingham.ReadOptions`.
    runtime : used instead of loading one.

    Raises
    ------
    InputError
        If something asked for is not there, `out` cannot be made, `seed` or `max_queries` is
        negative, or no two images share a class.
    CatalogueError
        If the catalogue cannot be opened, or was made otherwise.
    """
    started = time.perf_counter()
    rgb_histogram(np.zeros((1, 1, 3), np.uint8), bins)
    if seed < 0:
        raise InputError(f"seed must be 0 or more, got {seed}")
    if max_queries < 0:
        raise InputError(f"max_queries must be 0 (all) or more, got {max_queries}")
    folder, table = Path(out), Path(labels)
    read = read_labels(
        table,
        kind="single",
        value_column=class_column,
        image_column=image_column,
        group_column=group_column,
        trust_predictions=trust_predictions,
        skip_bad_rows=skip_bad_rows,
        unknown_words=unknown_words,
    )
    rows = read.rows
    make_folder(folder)
    with _open(
        Path(collection), folder / "catalogue", backbone, weights, device, runtime
    ) as catalogue:
        if catalogue.folder != Path(collection):
            rows = [_beside(row, table.parent, Path(collection)) for row in rows]
            images = list(dict.fromkeys(row.image for row in rows))
            catalogue.index(images=images, options=options)
        truth, space = catalogue._truth, catalogue._searcher.space
        methods = read_methods(descriptors, looks, space, catalogue.config)
        kept: dict[ImageId, Label] = {}
        copies = 0
        histograms: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        settled, refused = _settle(rows, truth.find)
        for done, (row, image_id) in enumerate(settled, 1):
            if image_id in kept:
                copies += 1
            else:
                try:
                    picture = _picture(row.image, options.max_pixels)
                    # Why a file cannot be read is the better reason, where there is one.
                    if image_id is None:
                        raise ImageError("not in the catalogue: index it first")
                except ImageError as error:
                    refused.setdefault(row.image, str(error))
                else:
                    kept[image_id] = row
                    pixels = (np.asarray(picture), to_lab(picture))
                    rgb, lab = (rgb_histogram(x, bins) for x in pixels)
                    histograms.append((rgb, lab))
            options.progress("colours", done, len(settled))
        failures = (*read.failures, *(Failure(*one) for one in refused.items()))
        if not kept:
            first = f"; {failures[0].image}: {failures[0].reason}" if failures else ""
            raise InputError(f"none of the images of {table} can be compared{first}")
        gallery = Gallery(truth.features, list(kept), space, catalogue.config, methods)
        name = catalogue.config.backbone
    labelled = list(kept.values())
    values, classes = np.unique([next(iter(row.values)) for row in labelled], return_inverse=True)
    groups = np.unique(
        [f"group {row.group}" if row.group else f"image {i}" for i, row in enumerate(labelled)],
        return_inverse=True,
    )[1]
    all_rgb, all_lab = (np.stack(some) for some in zip(*histograms, strict=True))
    possible = _possible(classes, groups)
    if not len(possible):
        raise InputError(f"no two images of {table} share a value of {class_column!r}")
    queries = possible
    if 0 < max_queries < len(possible):
        chosen = np.random.default_rng([seed, max_queries]).permutation(len(possible))[:max_queries]
        queries = possible[np.sort(chosen)]
    judged = _search(gallery, methods, queries, classes, groups, options.progress)
    # (draws, 10) places among the queries.
    rng = np.random.default_rng(seed)
    draws = np.stack([draw_queries(classes[queries], DRAWN, rng) for _ in range(DRAWS)])
    result = RetrievalResult(
        backbone=name,
        images=tuple(row.image for row in labelled),
        classes=tuple(values[classes].tolist()),
        queries=len(queries),
        possible=len(possible),
        bins=bins,
        drawn=draws.shape[1],
        seed=seed,
        methods=tuple(
            _summarise(method, judged[method.name], all_rgb, all_lab, queries, draws)
            for method in methods
        ),
        searches=tuple(
            Shown(
                int(queries[place]),
                {
                    method.name: [
                        row for row in judged[method.name].best[place].tolist() if row >= 0
                    ]
                    for method in methods
                },
            )
            for place in draws[0].tolist()
        ),
        unlabelled=read.unlabelled,
        **read.listed,
        copies=copies,
        failed=len(failures),
        failures=failures,
        seconds=time.perf_counter() - started,
        bad_rows=read.bad_rows,
    )
    write_report(folder, result)
    return result


def _settle(
    rows: Sequence[Label], find: Callable[[str], ImageId | None]
) -> tuple[list[tuple[Label, ImageId | None]], dict[str, str]]:
    """Find the labelled images; give a reason for those of several classes, alone or as copies."""
    found = [(row, find(row.image)) for row in rows]
    given: dict[ImageId | str, set[str]] = {}
    for row, image_id in found:
        given.setdefault(image_id or row.image, set()).update(row.values)
    kept: list[tuple[Label, ImageId | None]] = []
    refused: dict[str, str] = {}
    for row, image_id in found:
        classes = sorted(given[image_id or row.image])
        if len(classes) == 1:
            kept.append((row, image_id))
        else:
            refused[row.image] = (
                f"given {len(classes)} classes ({', '.join(classes)}), here or as a copy of the "
                "same bytes: give it one"
            )
    return kept, refused


def _picture(image: str, max_pixels: int) -> Image.Image:
    """Read a picture as its colours are counted: of every format alike, see `SIDE`."""
    picture = open_image(read_file(image), max_pixels=max_pixels, draft=SIDE // 2)
    factor = 1
    while min(picture.size) // (2 * factor) >= SIDE:
        factor *= 2
    return picture.reduce(factor)


def _beside(row: Label, table: Path, folder: Path) -> Label:
    """Look for an image in the folder of images where there is none beside the table."""
    inside = os.path.join(folder, os.path.relpath(row.image, table))
    if os.path.lexists(row.image) or not os.path.lexists(inside):
        return row
    return Label(inside, row.values, row.group)


def _open(
    collection: Path,
    own: Path,
    backbone: str | None,
    weights: str | os.PathLike[str] | None,
    device: str,
    runtime: Runtime | None,
) -> Catalogue:
    """Open a catalogue; of a folder of images, the one below the output, made if need be."""
    if not collection.is_dir():
        raise InputError(f"{collection} is neither a catalogue nor a folder of images")
    for folder in (collection, own):
        if is_catalogue(LocalFiles(folder)):
            return Catalogue.open(
                folder, backbone=backbone, weights=weights, device=device, runtime=runtime
            )
    return Catalogue.create(
        own,
        backbone=backbone or DEFAULT_BACKBONE,
        weights=weights,
        device=device,
        descriptors=DESCRIPTORS,
        runtime=runtime,
    )


def _possible(classes: NDArray[np.intp], groups: NDArray[np.intp]) -> Rows:
    """List the images that have a right answer."""
    pairs = np.stack([classes, groups])
    of_class = np.bincount(classes)
    both, counts = np.unique(pairs, axis=1, return_counts=True)
    same = {(int(c), int(g)): int(n) for (c, g), n in zip(both.T, counts, strict=True)}
    return np.array(
        [i for i, (c, g) in enumerate(pairs.T.tolist()) if of_class[c] > same[c, g]], np.intp
    )


def _search(
    gallery: Gallery,
    methods: Sequence[Method],
    queries: Rows,
    classes: NDArray[np.intp],
    groups: NDArray[np.intp],
    progress: Progress,
) -> dict[str, Judged]:
    """Search with each query, a few at a time; no table of all pairs."""
    parts: dict[str, list[Judged]] = {method.name: [] for method in methods}
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        batch = queries[start : start + QUERIES_AT_ONCE]
        similarities = gallery.similarities(batch.tolist())
        relevant = classes == classes[batch][:, None]
        allowed = groups != groups[batch][:, None]
        for method in methods:
            parts[method.name].append(judge(mix(method, similarities), relevant, allowed))
        progress("search", start + len(batch), len(queries))
    return {
        name: Judged(*(np.concatenate(arrays) for arrays in zip(*some, strict=True)))
        for name, some in parts.items()
    }


def _summarise(
    method: Method,
    judged: Judged,
    rgb: NDArray[np.float32],
    lab: NDArray[np.float32],
    queries: Rows,
    draws: Rows,
) -> MethodResult:
    measured, measured_lab = (
        np.array(
            [
                colour_distances(histograms, query, found)
                for query, found in zip(queries.tolist(), judged.best, strict=True)
            ]
        )
        for histograms in (rgb, lab)
    )
    drawn = measured[draws].mean(axis=1)
    precision, recall = judged.precision.mean(axis=0), judged.recall.mean(axis=0)
    return MethodResult(
        method.name,
        dict(method.weights),
        {k: float(value) for k, value in zip(FIRST, precision, strict=True)},
        {k: float(value) for k, value in zip(FIRST, recall, strict=True)},
        float(judged.average_precision.mean()),
        _spreads(measured),
        _spreads(drawn),
        _spreads(measured_lab),
    )


def _spreads(values: NDArray[np.float64]) -> dict[int, Spread]:
    return {
        k: Spread(float(column.mean()), float(column.std()))
        for k, column in zip(COLOUR_FIRST, values.T, strict=True)
    }
