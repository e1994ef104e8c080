"""The results of experiments, kept as JSON by their inputs, so that interrupted runs resume."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gingham
from gingham.errors import CatalogueError
from gingham.options import Progress
from gingham.store.files import TEMPORARY_PREFIX, read_json, write_json

VERSION = 2
"""Version of the experiments; bump to force recomputing."""
MADE_BY = ("scikit-learn", "umap-learn")
"""Packages whose versions decide results, besides gingham's own."""

_STEP = "experiments"


class Ledger:
    """Remembers each experiment's result; asks for it only once.

    Parameters
    ----------
    folder : of the results, one file an experiment.
    progress : see `gingham.ReadOptions`.
    total : what all experiments together count.
    """

    def __init__(self, folder: Path, progress: Progress, total: int) -> None:
        self._folder = folder
        self._progress = progress
        self._done, self._total = 0, total
        self._versions = [gingham.__version__, *map(version, MADE_BY)]
        for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
            path.unlink(missing_ok=True)
        progress(_STEP, 0, total)

    def get(
        self, name: str, inputs: dict[str, Any], compute: Callable[[], Any], *, count: int
    ) -> Any:
        """Give the result of one experiment, from its file or by computing it now.

        Parameters
        ----------
        name : of the experiment; a part of its file's name.
        inputs : JSON of all that decides the result.
        compute : gives the result as JSON.
        count : what it counts in the progress.
        """
        text = json.dumps([VERSION, self._versions, name, inputs], sort_keys=True)
        path = self._folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
        try:
            result = read_json(path)["result"]
        except (CatalogueError, KeyError, TypeError):
            # Missing or damaged: either way it is recomputed.
            result = json.loads(json.dumps(compute(), allow_nan=False))
            write_json(path, {"inputs": inputs, "result": result})
        self._done += count
        self._progress(_STEP, min(self._done, self._total), self._total)
        return result
