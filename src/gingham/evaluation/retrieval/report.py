"""What an evaluation of retrieval leaves behind: JSON, a table, and a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gingham.evaluation.retrieval.measures import COLOUR_FIRST, FIRST
from gingham.evaluation.retrieval.result import MethodResult, RetrievalResult, Shown
from gingham.report.kit import Cell, counted, figure, percent, short, thumbnail, write_page
from gingham.store.files import write_csv, write_json

PAGE_NAME = "retrieval.html"
BASE = "fc"
_THUMBNAIL = 120


def write_report(folder: Path, result: RetrievalResult) -> None:
    """Write `retrieval.json`, `retrieval.csv` and `retrieval.html`, each whole or not at all."""
    write_json(folder / "retrieval.json", result.to_dict())
    rows = [flat(method) for method in result.methods]
    write_csv(folder / "retrieval.csv", list(rows[0]), rows)
    write_page(folder / PAGE_NAME, "retrieval.html", **_page(result))


def flat(method: MethodResult) -> dict[str, str | float]:
    """Write a method as one row: column -> value."""
    row: dict[str, str | float] = {"method": method.name}
    row |= {f"precision@{k}": value for k, value in method.precision.items()}
    row |= {f"recall@{k}": value for k, value in method.recall.items()}
    row["mean_average_precision"] = method.mean_average_precision
    colours = (
        ("colour", method.colour),
        ("colour_drawn", method.colour_drawn),
        ("colour_lab", method.colour_lab),
    )
    for name, spreads in colours:
        for k, spread in spreads.items():
            row[f"{name}@{k}"] = spread.mean
            row[f"{name}@{k}_deviation"] = spread.deviation
    return row


def against_base(result: RetrievalResult) -> dict[str, list[str]]:
    """Compare with `fc`: what is compared -> the change of each method; nothing without `fc`."""
    base = next((method for method in result.methods if method.name == BASE), None)
    if base is None:
        return {}
    points = [100 * (one.precision[10] - base.precision[10]) for one in result.methods]
    found = {"precision": [f"{change:+.1f}" for change in points]}
    for name, theirs, all_ours in (
        ("colours", base.colour, [one.colour for one in result.methods]),
        ("Lab", base.colour_lab, [one.colour_lab for one in result.methods]),
    ):
        mean = theirs[10].mean
        found[name] = [
            f"{100 * (ours[10].mean / mean - 1):+.1f} %" if mean else "" for ours in all_ours
        ]
    return found


def queries_of(result: RetrievalResult) -> str:
    """Say how many queries there were, and of how many they were drawn."""
    if result.queries == result.possible:
        return f"{result.queries:,} queries"
    return f"{result.queries:,} queries, drawn at random of {result.possible:,}"


def _page(result: RetrievalResult) -> dict[str, Any]:
    """Prepare what the template shows; thumbnails are there once each."""
    shown = sorted(
        {row for one in result.searches for rows in one.found.values() for row in rows}
        | {one.query for one in result.searches}
    )
    places = {row: place for place, row in enumerate(shown)}
    changes = against_base(result)
    heads, columns = _columns(result)
    more_heads, more = _more_columns(result)
    names = [method.name for method in result.methods]
    return {
        "title": "Retrieval",
        "winner": _winner(result),
        "sizes": f"{counted(len(result.images), 'image')} of "
        f"{len(set(result.classes))} classes, "
        f"{queries_of(result)}; {result.backbone}; {result.bins} bins per colour",
        "heads": ["method", *heads],
        "rows": list(zip(names, *columns, strict=True)),
        "more_heads": ["method", *more_heads, *(f"{one} @10 against {BASE}" for one in changes)],
        "more_rows": list(zip(names, *more, *changes.values(), strict=True)),
        "compared": bool(changes),
        "base": BASE,
        "drawn": result.drawn,
        "pictures": [thumbnail(result.images[row], _THUMBNAIL, quality=80) for row in shown],
        "most": max((len(r) for one in result.searches for r in one.found.values()), default=1),
        "searches": [_search(result, one, places) for one in result.searches],
    }


def _winner(result: RetrievalResult) -> str:
    best = max(result.methods, key=lambda one: one.precision[10])
    if len(result.methods) == 1:
        return f"{percent(best.precision[10])} of the first ten results have the query's class."
    closest = min(result.methods, key=lambda one: one.colour[10].mean)
    said = (
        f"{best.name} finds the query's class most often: {percent(best.precision[10])} of its "
        "first ten results"
    )
    base = next((one for one in result.methods if one.name == BASE), best)
    if base is not best:
        said += f" ({BASE}: {percent(base.precision[10])})"
    if closest is best:
        return f"{said}. Its results are also closest in colour."
    return f"{said}. The results of {closest.name} are closest in colour."


def _columns(result: RetrievalResult) -> tuple[list[str], list[list[Cell]]]:
    """Write the main figures: head -> a cell per method, the best of them bold."""
    more, less = " \N{UPWARDS ARROW}", " \N{DOWNWARDS ARROW}"
    values: dict[str, list[float]] = {
        f"precision @{k}{more}": [one.precision[k] for one in result.methods] for k in FIRST
    }
    values[f"recall @10{more}"] = [one.recall[10] for one in result.methods]
    values[f"mean average precision{more}"] = [one.mean_average_precision for one in result.methods]
    values[f"colour distance @10{less}"] = [one.colour[10].mean for one in result.methods]
    columns = []
    for head, column in values.items():
        said = [figure(value) for value in column]
        best = figure((min if head.endswith(less) else max)(column))
        columns.append([Cell(one, tone="top" if one == best else "") for one in said])
    return list(values), columns


def _more_columns(result: RetrievalResult) -> tuple[list[str], list[list[Cell]]]:
    heads, columns = [], []
    for name, each in (
        ("RGB", [one.colour for one in result.methods]),
        ("RGB, sampled,", [one.colour_drawn for one in result.methods]),
        ("Lab", [one.colour_lab for one in result.methods]),
    ):
        for k in COLOUR_FIRST:
            heads.append(f"{name} @{k} \N{DOWNWARDS ARROW}")
            columns.append(
                [
                    Cell(figure(one[k].mean), f"\N{PLUS-MINUS SIGN} {figure(one[k].deviation)}")
                    for one in each
                ]
            )
    return heads, columns


def _search(result: RetrievalResult, one: Shown, places: dict[int, int]) -> dict[str, Any]:
    value = result.classes[one.query]

    def tile(row: int, tone: str) -> dict[str, Any]:
        return {
            "place": places[row],
            "name": short(result.images[row]),
            "value": result.classes[row],
            "tone": tone,
        }

    strips = []
    for name, rows in one.found.items():
        tiles = [tile(row, "good" if result.classes[row] == value else "bad") for row in rows]
        same = sum(tile["tone"] == "good" for tile in tiles)
        strips.append({"name": name, "note": f"{same} of {len(tiles)}", "tiles": tiles})
    return {"query": tile(one.query, "query"), "strips": strips}
