"""What an evaluation of retrieval leaves behind: JSON, a table, and a page to look at."""

from __future__ import annotations

import base64
import csv
import io
from pathlib import Path
from string import Template

from PIL import Image

from gingham.errors import ImageError
from gingham.evaluation.retrieval.measures import COLOUR_FIRST, FIRST
from gingham.evaluation.retrieval.result import MethodResult, RetrievalResult, Shown
from gingham.images import load_image
from gingham.report.frame import STYLE, escaped, html_page
from gingham.store.files import replace_file, write_json

PAGE_NAME = "retrieval.html"
BASE = "fc"
_THUMBNAIL = 96


def write_report(folder: Path, result: RetrievalResult) -> None:
    """Write `retrieval.json`, `retrieval.csv` and `retrieval.html`, each whole or not at all."""
    write_json(folder / "retrieval.json", result.to_dict())

    def write_table(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = [flat(method) for method in result.methods]
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    replace_file(folder / "retrieval.csv", write_table)
    page = render(result)
    replace_file(folder / PAGE_NAME, lambda path: path.write_text(page, encoding="utf-8"))


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


def render(result: RetrievalResult) -> str:
    """Write the page; thumbnails are inside it, and each is there once."""
    shown = sorted(
        {row for one in result.searches for rows in one.found.values() for row in rows}
        | {one.query for one in result.searches}
    )
    pictures = [_thumbnail(result.images[row]) for row in shown]
    places = {row: place for place, row in enumerate(shown)}
    sizes = (
        f"{len(result.images)} images of {len(set(result.classes))} classes, {result.queries} "
        f"queries; {result.backbone}; {result.bins} bins a colour"
    )
    body = BODY.substitute(
        sizes=escaped(sizes),
        drawn=result.drawn,
        table=_table(result),
        searches="".join(_search(result, one, places) for one in result.searches),
    )
    # In a style sheet a picture that many searches find is written once.
    drawn = "".join(
        f".tile .p{place}{{background-image:url({uri})}}"
        for place, uri in enumerate(pictures)
        if uri
    )
    return html_page("Retrieval", STYLE + PAGE_STYLE + drawn, body)


def _table(result: RetrievalResult) -> str:
    changes = against_base(result)
    heads = ["", *(f"precision @{k}" for k in FIRST), "recall @10", "mAP"]
    heads += [f"{name} @{k}" for name in ("colours", "drawn") for k in COLOUR_FIRST]
    heads.append("Lab @10")
    heads += [f"{name} @10 against {BASE}" for name in changes]
    rows = []
    for number, method in enumerate(result.methods):
        cells = [f"{value:.3f}" for value in method.precision.values()]
        cells += [f"{method.recall[10]:.3f}", f"{method.mean_average_precision:.3f}"]
        for spreads in (method.colour, method.colour_drawn):
            cells += [
                f"{one.mean:.3f} <small>\N{PLUS-MINUS SIGN} {one.deviation:.3f}</small>"
                for one in spreads.values()
            ]
        cells.append(f"{method.colour_lab[10].mean:.3f}")
        cells += [change[number] for change in changes.values()]
        rows.append(
            f'<tr><th scope="row">{_breakable(method.name)}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + "</tr>"
        )
    head = "".join(f'<th scope="col">{escaped(one)}</th>' for one in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _search(result: RetrievalResult, one: Shown, places: dict[int, int]) -> str:
    value = result.classes[one.query]
    strips = []
    for name, rows in one.found.items():
        same = sum(result.classes[row] == value for row in rows)
        tiles = "".join(
            _tile(result, row, places, "good" if result.classes[row] == value else "bad")
            for row in rows
        )
        strips.append(
            f'<div class="strip"><span>{_breakable(name)} '
            f"<small>{same} of {len(rows)}</small></span>"
            f"<ol>{tiles}</ol></div>"
        )
    query = _tile(result, one.query, places, "query", tag="div")
    return f"<section><h2>{escaped(value)}</h2>{query}{''.join(strips)}</section>"


def _breakable(name: str) -> str:
    """Let a long name of a method break between its looks only."""
    return escaped(name).replace(",", ",<wbr>")


def _tile(
    result: RetrievalResult, row: int, places: dict[int, int], tone: str, tag: str = "li"
) -> str:
    said = escaped(result.classes[row])
    name = escaped(Path(result.images[row]).name)
    mark = {"good": "same class", "bad": "another class", "query": "query"}[tone]
    return (
        f'<{tag} class="tile {tone}"><i role="img" class="p{places[row]}" title="{name}" '
        f'aria-label="{said}, {mark}"></i><small>{said}</small></{tag}>'
    )


def _thumbnail(image: str) -> str | None:
    try:
        picture = Image.fromarray(load_image(image))
    except ImageError:
        # It was read a moment ago; a tile without a picture still says its class.
        return None
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


PAGE_STYLE = """
p { max-width: 75ch; margin: 0.2rem 0 0.9rem; color: var(--soft); }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
 border-radius: 10px; max-width: max-content; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.38rem 0.6rem; text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; vertical-align: bottom; }
thead th { white-space: normal; min-width: 4.2rem; line-height: 1.25; }
th[scope=row] { color: var(--ink); text-align: left; position: sticky; left: 0;
 background: var(--card); }
tbody tr { border-top: 1px solid var(--line); }
tbody th, td { vertical-align: top; line-height: 1.2; }
td small { display: block; }
small { color: var(--soft); }
section { margin-top: 2.5rem; }
h2 { margin: 0 0 0.5rem; font-size: 1.25rem; overflow-wrap: anywhere; }
.strip { display: grid; grid-template-columns: 9rem 1fr; gap: 0.4rem 0.8rem; align-items: center;
 margin-top: 0.5rem; }
.strip > span { font-size: 0.85rem; text-align: right; overflow-wrap: anywhere; line-height: 1.3; }
.strip > span small { display: block; }
ol { display: flex; gap: 0.35rem; overflow-x: auto; margin: 0; padding: 0 0 2px;
 list-style: none; }
.tile { flex: 0 0 76px; width: 76px; font-size: 0.72rem; line-height: 1.25; text-align: center;
 overflow-wrap: anywhere; }
.tile i { display: block; height: 76px; border-radius: 7px; border: 3px solid var(--tone);
 background: var(--card) center / contain no-repeat; }
.bad i { border-style: dashed; }
.good { --tone: var(--good); } .bad { --tone: var(--bad); } .query { --tone: var(--query); }
div.query, div.query i { width: 110px; } div.query i { height: 110px; }
@media (max-width: 34rem) { .strip { grid-template-columns: 1fr; }
 .strip > span { text-align: left; } .strip > span small { display: inline; }
 th, td { padding: 0.35rem 0.55rem; }
 th[scope=row] { white-space: normal; max-width: 44vw; overflow-wrap: break-word; } }
@media print { .tile i { print-color-adjust: exact; } section { break-inside: avoid; } }
"""

BODY = Template("""
<header><h1>Retrieval</h1><p>$sizes</p></header>
<main>
<p>Every image searches all others. Precision and recall count answers of the query's class;
mAP is the mean average precision. Colours: the mean distance per bin between the RGB histograms
of the query and its first 5 or 10 answers, 0 for the same colours, with its deviation over the
queries; drawn: the same over $drawn queries of different classes, with its deviation over a
thousand draws; Lab: between the histograms of lightness and the two colours of CIELAB. Against fc,
precision in points of a hundred.</p>
<div class="scroll">$table</div>
<p style="margin-top: 2rem">Below, the first of these draws. A dashed red frame marks an answer
of another class.</p>
$searches
</main>
""")
