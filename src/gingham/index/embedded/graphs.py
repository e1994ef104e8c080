"""A graph for each look, over the codes of its vectors: which rows are near to a code.

One graph over joined looks finds badly as soon as one slider is up: it was built for another
metric. So each look has a small graph of its own (Malkov and Yashunin, *Efficient and Robust
Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World Graphs*, 2018, by
usearch), and the union of what they find is scored.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gingham.backbones.runtime import cpu_count
from gingham.errors import StorageError
from gingham.index.embedded.directions import Codes
from gingham.store.files import make_folder, read_json, replace_file, reserve, write_json

Rows = NDArray[np.int64]

SUFFIX = ".usearch"
_LINKS = 16
_WIDTH_OF_BUILDING = 64
_BATCH = 20_000  # rows between two looks at whether the user wants to stop


class Graphs:
    """Graphs over the first rows of an index; files that are never written to again.

    Parameters
    ----------
    folder : of the graphs.

    Raises
    ------
    ValueError
        If one is not there whole.

    Attributes
    ----------
    rows : how many rows are in the graphs.
    """

    def __init__(self, folder: Path) -> None:
        noted = read_json(folder / "graphs.json")
        self.rows: int = noted["rows"]
        paths = [folder / name for name in noted["files"]]
        for path, size in zip(paths, noted["files"].values(), strict=True):
            if path.stat().st_size != size:
                raise ValueError(f"{path.stat().st_size:,} bytes of {size:,} in {path.name}")
        self._graphs = [_opened(path, view=True) for path in paths]

    @classmethod
    def build(cls, folder: Path, codes: Codes, looks: Sequence[slice]) -> Graphs:
        """Make graphs over all rows, from those over the first rows if there are any.

        Parameters
        ----------
        codes : (rows, width).
        looks : the columns of each look.

        Raises
        ------
        StorageError
            If there is no room.
        """
        from usearch.index import Index  # loads in a fifth of a second

        make_folder(folder)
        noted = read_json(folder / "graphs.json") if (folder / "graphs.json").is_file() else {}
        done = noted.get("rows", 0)
        files = {}
        for k, (columns, old) in enumerate(
            zip(looks, noted.get("files") or [None] * len(looks), strict=True)
        ):
            graph = (
                _opened(folder / old, view=False)
                if old
                else Index(
                    ndim=columns.stop - columns.start,
                    metric="l2sq",
                    dtype="i8",
                    connectivity=_LINKS,
                    expansion_add=_WIDTH_OF_BUILDING,
                )
            )
            for start in range(done, len(codes), _BATCH):
                rows = np.arange(start, min(start + _BATCH, len(codes)))
                some = np.ascontiguousarray(codes[start : start + _BATCH, columns])
                graph.add(rows, some, threads=cpu_count())
            # Another name each time: a link to the old file may be read elsewhere.
            name = f"{k}-{len(codes)}{SUFFIX}"
            _save(graph, folder / name)
            files[name] = (folder / name).stat().st_size
            del graph
        write_json(folder / "graphs.json", {"rows": len(codes), "files": files})
        for path in folder.glob(f"*{SUFFIX}"):
            if path.name not in files:
                path.unlink()
        return cls(folder)

    def nearest(self, look: int, code: Codes, count: int) -> tuple[Rows, float]:
        """Give about the `count` rows nearest to a code, and the least squared distance."""
        graph = self._graphs[look]
        graph.expansion_search = count
        found = graph.search(code, count, threads=1)
        return found.keys.astype(np.int64), float(found.distances[0])


def _opened(path: Path, *, view: bool) -> Any:
    from usearch.index import Index

    graph = Index.restore(path, view=view)
    if graph is None:
        raise ValueError(f"{path.name} is no graph")
    return graph


def _save(graph: Any, path: Path) -> None:
    reserve(path.parent, graph.serialized_length)

    def write(temporary: Path) -> None:
        try:
            graph.save(temporary)
        except RuntimeError as error:  # all that it says of a disk that became full
            said = f"{os.strerror(errno.ENOSPC)}; {error}"
            raise StorageError(errno.ENOSPC, said, os.fspath(path)) from error

    replace_file(path, write)
