"""What the command line prints: JSON, tables, and a progress bar."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from gingham.names import one_line
from gingham.options import MAX_PIXELS, PixelLimit, ReadOptions
from gingham.results import BadRow, Failure, Walked

if TYPE_CHECKING:
    from rich.table import Table

    from gingham.schema.schema import Schema


def print_json(value: Any) -> None:
    """Print one line of JSON."""
    # Escaped, so that file names that are not UTF-8 survive; NaN never comes out of the results.
    print(json.dumps(value, allow_nan=False), flush=True)  # noqa: T201


def say(*lines: str, error: bool = False) -> None:
    """Print lines for a person, on stderr if they are of an error; nothing in them acts."""
    for line in lines:
        print(one_line(line), file=sys.stderr if error else sys.stdout, flush=True)


def answer(as_json: bool, value: dict[str, Any], *lines: str) -> None:
    """Print a result as JSON, or as lines for a person."""
    if as_json:
        print_json(value)
    else:
        say(*lines)


def print_failures(failures: Iterable[Failure]) -> None:
    """Print on stderr which images could not be read, and why."""
    for failure in failures:
        say(f"failed: {failure.image}: {failure.reason}", error=True)


def print_walked(result: Walked) -> None:
    """Print how many files and folders a walk left out or followed, and the first of each."""
    for what, paths in (
        ("hidden or system files and folders left out", result.ignored),
        ("linked folders followed", result.followed),
        ("folders reached again and read once", result.repeated),
    ):
        if paths:
            say(f"{what}: {len(paths)}, first {paths[0]}", error=True)


def print_bad_rows(rows: Sequence[BadRow]) -> None:
    """Print how many rows of a table were left out, and on stderr which and why."""
    if rows:
        say(f"bad rows left out: {len(rows)}")
    for one in rows:
        say(f"left out: {one.table}, row {one.row}: {one.reason}", error=True)


def table(*columns: str) -> Table:
    """Make a table without borders."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_table(rows: Table) -> None:
    """Print a table; at full width if stdout is not a terminal."""
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = 10_000
    console.print(rows)


def print_counts(attributes: dict[str, dict[str, int]], schema: Schema) -> None:
    """Print attribute, value and number of images, the most frequent first; hierarchies as trees.

    A value of a hierarchy is counted with all below it.
    """
    from gingham.schema.hierarchy import as_tree

    rows = table("attribute", "value", "images")
    for name, counts in attributes.items():
        about = schema.attributes.get(name)
        for depth, value in as_tree(counts, about.parents if about else {}):
            rows.add_row(one_line(name), "  " * depth + one_line(value), str(counts[value]))
    print_table(rows)


@contextlib.contextmanager
def spinner(what: str, as_json: bool) -> Iterator[None]:
    """Show on a terminal that something is running."""
    if as_json or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def pixel_limit(max_megapixels: float) -> PixelLimit:
    """Take the limit that `--max-megapixels` gives."""
    return PixelLimit(int(max_megapixels * 1e6), "--max-megapixels")


@contextlib.contextmanager
def reading(what: str, as_json: bool, max_megapixels: float | None = None) -> Iterator[ReadOptions]:
    """Give the options of a command that reads images; on a terminal, with a bar.

    The bar shows one step at a time, with its rate and the time left. Where there is no terminal,
    only a step that is done once and takes long is named.
    """
    limit = PixelLimit(MAX_PIXELS) if max_megapixels is None else pixel_limit(max_megapixels)
    if as_json or not sys.stderr.isatty():
        with _long_steps(lambda step: None if as_json else say(step, error=True)):
            yield ReadOptions(limit)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task, shown = bar.add_task(what, total=None, rate=""), what

        def update(step: str, done: int, total: int) -> None:
            nonlocal task, shown
            if step != shown:
                bar.remove_task(task)
                task, shown = bar.add_task(step, total=None, rate=""), step
            speed = bar.tasks[0].speed
            rate = f"{speed:.0f}/s" if speed else ""
            bar.update(task, completed=done, total=total or None, rate=rate)

        with _long_steps(lambda step: update(step, 0, 0)):
            yield ReadOptions(limit, update)


@contextlib.contextmanager
def _long_steps(show: Callable[[str], None]) -> Iterator[None]:
    """Show the log of what is done only once, such as the conversion of a network."""
    logger = logging.getLogger("gingham.backbones.openvino")
    handler, level = logging.Handler(), logger.level
    handler.emit = lambda record: show(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
