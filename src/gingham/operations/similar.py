"""The neighbours of every image as a table, written in parts that an interrupted run keeps."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gingham.errors import CatalogueError, InputError
from gingham.options import Progress
from gingham.results import Hit
from gingham.store import ids as many
from gingham.store.files import make_folder, read_json, replace_file, write_json
from gingham.store.ids import Ids

SCHEMA = pa.schema(
    [
        pa.field("image", pa.string()),
        pa.field("id", pa.string()),
        pa.field("rank", pa.int32()),
        pa.field("similar", pa.string()),
        pa.field("similar_id", pa.string()),
        pa.field("score", pa.float32()),
    ]
)
PART = 1_000
"""Images whose neighbours are found before they are kept."""


def check_similar(file: Path, n: int) -> None:
    """Refuse a file that cannot be written, before the work begins.

    Raises
    ------
    InputError
        If its suffix is another than `.csv` or `.parquet`, its folder is not there, or n is below
        1.
    """
    if file.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(
            f"similar images to {file}: expected a name that ends in .parquet or .csv", path=file
        )
    if not file.parent.is_dir():
        raise InputError(
            f"similar images to {file}: there is no folder {file.parent}: make it first",
            path=file.parent,
        )
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")


def write_similar(
    file: Path,
    ids: Ids,
    find: Callable[[bytes], tuple[str, Sequence[Hit]] | None],
    asked: dict[str, Any],
    progress: Progress,
) -> int:
    """Write the neighbours of images to a `.csv` or `.parquet` file; return the number of rows.

    Every thousand images are kept in a folder beside it, `.NAME.parts`. A later run that asks the
    same goes on from there; the file appears whole, and then the folder goes.

    Parameters
    ----------
    find : gives an image's file and neighbours, best first; None if it is not there any more.
    asked : JSON of everything that decides the rows.
    """
    folder = file.with_name(f".{file.name}.parts")
    if _asked_before(folder) != json.loads(json.dumps(asked)):
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        write_json(folder / "asked.json", asked)
    parts = []
    for start in range(0, len(ids), PART):
        parts.append(folder / f"{start // PART:08d}.parquet")
        progress("similar", start, len(ids))
        if not parts[-1].is_file():
            rows = list(_rows(many.to_list(ids[start : start + PART]), find))
            replace_file(parts[-1], partial(pq.write_table, pa.Table.from_pylist(rows, SCHEMA)))
    progress("similar", len(ids), len(ids))
    join = _join_csv if file.suffix.lower() == ".csv" else _join_parquet
    replace_file(file, lambda path: join(path, parts))
    written = sum(int(pq.read_metadata(part).num_rows) for part in parts)
    shutil.rmtree(folder, ignore_errors=True)
    return written


def _asked_before(folder: Path) -> Any:
    try:
        return read_json(folder / "asked.json")
    except CatalogueError:
        return None


def _rows(
    ids: Sequence[bytes], find: Callable[[bytes], tuple[str, Sequence[Hit]] | None]
) -> Iterator[dict[str, Any]]:
    for image_id in ids:
        found = find(image_id)
        if found is None:
            continue
        image, hits = found
        for rank, hit in enumerate(hits, 1):
            yield {
                "image": _text(image),
                "id": image_id.hex(),
                "rank": rank,
                "similar": _text(hit.image),
                "similar_id": hit.id,
                "score": hit.score,
            }


def _text(name: str) -> str:
    # A name that is not UTF-8 cannot stand in a table of text as it is.
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _join_csv(path: Path, parts: Sequence[Path]) -> None:
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(SCHEMA.names)
        for part in parts:
            columns = pq.read_table(part).to_pydict()
            writer.writerows(zip(*columns.values(), strict=True))


def _join_parquet(path: Path, parts: Sequence[Path]) -> None:
    with pq.ParquetWriter(path, SCHEMA) as out:
        for part in parts:
            out.write_table(pq.read_table(part))
