"""Maps that keep neighbours together, by UMAP, in a process of its own."""

from __future__ import annotations

import multiprocessing
from importlib.util import find_spec
from multiprocessing.connection import Connection

import numpy as np

from gingham.errors import InputError, require_extra
from gingham.operations.layout import Floats, arranged
from gingham.operations.map import ImageMap, LookVectors, place_all, sampled
from gingham.options import Progress
from gingham.service.problems import FAILED, ProblemError

SAMPLE = 10_000
"""Images that are arranged; the others lie among those that are nearest to them."""
WIDTH = 32
"""The directions in which they are compared."""
FEWEST = 16
"""Images; fewer have no neighbourhoods."""
LOOKED = 0.2
"""Seconds between two looks at whether it was cancelled."""


def can_be_better(drawn: ImageMap) -> bool:
    """Tell whether `arrange_map` would make a better map."""
    flat = drawn.layout.directions.shape[0] <= 2
    enough = drawn.total >= FEWEST and not flat and find_spec("umap") is not None
    return enough and (drawn.method != "umap" or drawn.grown)


def check_arrangeable(count: int) -> None:
    """Refuse what cannot be arranged.

    Raises
    ------
    InputError
        If there are too few images.
    MissingExtraError
        If umap-learn is not installed.
    """
    require_extra("study", "umap", "sklearn", purpose="a map of neighbours")
    if count < FEWEST:
        raise InputError(f"a map of neighbours needs {FEWEST} images or more, there are {count}")


def arrange_map(vectors: LookVectors, progress: Progress) -> ImageMap:
    """Arrange a sample of the images by UMAP and place the others among them.

    Memory does not grow with the number of images, but for their points.

    Parameters
    ----------
    vectors : of the look.
    progress : told how far it is; may raise to give up, and then the process is ended.

    Raises
    ------
    InputError, MissingExtraError
        See `check_arrangeable`; also if the look is changed meanwhile.
    ProblemError
        If the process ends without an answer.
    """
    ids, total = vectors.ids()
    check_arrangeable(total)
    there, sample = vectors.rows(sampled(ids, SAMPLE))
    check_arrangeable(len(there))
    layout = arranged(total, sample, WIDTH, lambda rows: in_own_process(rows, progress))
    return place_all(vectors, layout, ids, total, progress)


def in_own_process(rows: Floats, progress: Progress) -> Floats:
    """Give (S, K) rows their (S, 2) points by UMAP, while other threads go on."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_arrange, args=(theirs, rows), daemon=True)
    process.start()
    theirs.close()
    try:
        while not ours.poll(LOOKED):
            progress("arrange", 0, 0)
        points: Floats = ours.recv()
    except EOFError:
        raise ProblemError(
            FAILED,
            "the map could not be arranged, perhaps for want of memory: the server's log may say "
            "why",
        ) from None
    finally:
        process.terminate()
        process.join()
        ours.close()
    return points


def _arrange(answer: Connection, rows: Floats) -> None:
    from gingham.evaluation.study.reduction import umap_map

    answer.send(umap_map(rows).astype(np.float32))
    answer.close()
