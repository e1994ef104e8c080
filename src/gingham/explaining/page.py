"""A folder to look at: an overlay picture for each explanation, and one page with all of them."""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path
from string import Template

from PIL import Image

from gingham.attributes.attribute import GRAD_CAM, PROJECTION
from gingham.errors import ImageError, InputError
from gingham.explaining.explanation import Explanation, ImageExplanations
from gingham.explaining.overlay import SPEAKS_AGAINST, SPEAKS_FOR, draw_overlay
from gingham.images import open_image, read_file
from gingham.report.frame import STYLE, escaped, html_page
from gingham.results import Evidence, shown
from gingham.store.files import replace_file

PICTURE = 480
EXAMPLE = 120

METHODS = {
    PROJECTION: "Where the evidence was found",
    GRAD_CAM: "Where the trained model found it (Grad-CAM)",
}
BESIDE = {PROJECTION: "Nearest examples", GRAD_CAM: "Nearest in the catalogue"}


class ExplanationPage:
    """A folder that explanations are written to as they come; `close` writes its page.

    Parameters
    ----------
    folder : made if it is not there; `index.html` and pictures of the same names are replaced.

    Raises
    ------
    InputError
        If the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"folder {folder} cannot be made ({error.strerror}): give another"
            ) from None
        self._parts: list[str] = []
        self._examples: dict[str, str | None] = {}
        self._attributes: dict[str, None] = {}
        self._failed = 0

    @property
    def path(self) -> Path:
        """Where the page is."""
        return self.folder / "index.html"

    def add(self, result: ImageExplanations) -> list[Path]:
        """Write the overlays of one image; return their files, an explanation each."""
        name = escaped(Path(result.image).name)
        if result.picture is None:
            self._failed += 1
            self._parts.append(
                f'<article class="failed"><h2>{name}</h2>'
                f"<p>cannot be explained: {escaped(result.error or '')}</p></article>"
            )
            return []
        number = len(self._parts) + 1
        written, cards = [], []
        for explanation in result.explanations:
            self._attributes[explanation.attribute] = None
            overlay = draw_overlay(result.picture, explanation)
            path = self.folder / _file_name(number, result.image, explanation)
            replace_file(path, lambda temporary, one=overlay: one.save(temporary, "PNG"))  # type: ignore[misc]
            written.append(path)
            cards.append(self._card(explanation, overlay))
        self._parts.append(
            f'<article><div class="whole"><h2 title="{escaped(result.image)}">{name}</h2>'
            f'<img src="{_uri(Image.fromarray(result.picture), PICTURE)}" alt="{name}"></div>'
            f'<div class="cards">{"".join(cards)}</div></article>'
        )
        return written

    def close(self) -> Path:
        """Write the page, whole or not at all; return its path."""
        names = ", ".join(self._attributes)
        images = f"{len(self._parts)} image{'s' if len(self._parts) != 1 else ''}"
        if self._failed:
            images += f", {self._failed} of them cannot be explained"
        title = f"Why {names}, and where?" if names else "Nothing to explain"
        body = BODY.substitute(title=escaped(title), count=images, body="".join(self._parts))
        ramp = f".legend i {{ background: linear-gradient(90deg, {_ramp()}); }}"
        page = html_page(title, STYLE + PAGE_STYLE + ramp, body)
        replace_file(self.path, lambda temporary: temporary.write_text(page, encoding="utf-8"))
        return self.path

    def _card(self, explanation: Explanation, overlay: Image.Image) -> str:
        prediction = explanation.prediction
        said = prediction.value
        answer = f"{explanation.value} {explanation.confidence:.0%}"
        notes = []
        if said is None:
            notes.append("the prediction is unknown: this is the likeliest value")
        elif not explanation.answered:
            notes.append(f"the prediction is {shown(said)}")
        if explanation.example:
            notes.append(
                "this picture was used for teaching, so its result looks better than for a new "
                "picture"
            )
        if not explanation.heat.any():
            notes.append("no place is evidence for or against it")
        alt = f"{explanation.attribute}: {answer}; heat map"
        evidence = "".join(self._example(one) for one in prediction.evidence)
        layers = sorted(explanation.layers.items(), key=lambda item: -item[1])[:3]
        told = ", ".join(f"{layer} {share:.0%}" for layer, share in layers)
        return (
            f'<section class="card"><h3>{escaped(explanation.attribute)}: '
            f"<b>{escaped(explanation.value)}</b> <span>{explanation.confidence:.0%}</span></h3>"
            + "".join(f'<p class="note">{escaped(note)}</p>' for note in notes)
            + f'<img src="{_uri(overlay, PICTURE)}" alt="{escaped(alt)}">'
            f'<p class="how">{METHODS[explanation.method]}'
            + (f"; layers {escaped(told)}" if told else "")
            + "</p>"
            + (
                f'<p class="how">{BESIDE[explanation.method]}, and their distance</p>'
                f"<ul>{evidence}</ul>"
                if evidence
                else ""
            )
            + "</section>"
        )

    def _example(self, one: Evidence) -> str:
        if one.image not in self._examples:
            self._examples[one.image] = _example_uri(one.image)
        uri = self._examples[one.image]
        name = escaped(Path(one.image).name)
        picture = (
            f'<img src="{uri}" alt="{name}" title="{name}">'
            if uri
            else f'<div class="gone" role="img" aria-label="{name}: cannot be read">gone</div>'
        )
        return (
            f"<li>{picture}<b>{escaped(shown(one.value))}</b>"
            f"<span>{_distance(one.distance)}</span></li>"
        )


def _file_name(number: int, image: str, explanation: Explanation) -> str:
    parts = (Path(image).stem, explanation.attribute, explanation.value)
    # Any name can be told by its number; the rest is for people.
    words = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part)[:40].strip("_") for part in parts)
    return f"{number:04d}-{words}.png"


def _distance(distance: float) -> str:
    return "&lt; 0.01" if 0 < distance < 0.005 else f"{distance:.2f}"


def _example_uri(image: str) -> str | None:
    try:
        return _uri(open_image(read_file(image), draft=EXAMPLE), EXAMPLE)
    except ImageError:
        return None


def _uri(image: Image.Image, size: int) -> str:
    small = image.copy()
    small.thumbnail((size, size))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _ramp() -> str:
    """Write the legend's colours as the stops of a gradient, from against to for."""
    colours = [*SPEAKS_AGAINST[::-1], (0xB0, 0xB0, 0xB0), *SPEAKS_FOR]
    return ", ".join("#" + "".join(f"{part:02x}" for part in one) for one in colours)


PAGE_STYLE = """
header p { margin: 0 0 0.6rem; color: var(--soft); max-width: 75ch; }
.legend { display: grid; grid-template-columns: auto minmax(6rem, 16rem) auto; gap: 0.7rem;
 align-items: center; justify-content: start; font-size: 0.9rem; }
.legend i { height: 0.9rem; border-radius: 4px; }
article { display: grid; grid-template-columns: minmax(11rem, 15rem) 1fr; gap: 1.2rem;
 margin-top: 2rem; padding-top: 1.4rem; border-top: 1px solid var(--line); }
article.failed { display: block; color: var(--bad); overflow-wrap: anywhere; }
h2 { margin: 0 0 0.6rem; font-size: 1.1rem; overflow-wrap: anywhere; }
h3 { margin: 0; font-size: 1rem; font-weight: 400; overflow-wrap: anywhere; }
h3 span { color: var(--soft); }
.whole img, .card > img { display: block; width: 100%; border-radius: 8px; }
.cards { display: grid; gap: 1rem; align-items: start;
 grid-template-columns: repeat(auto-fit, minmax(min(17rem, 100%), 20rem)); }
.card { display: grid; gap: 0.5rem; padding: 0.8rem; background: var(--card); min-width: 0;
 border: 1px solid var(--line); border-radius: 10px; }
.card p { margin: 0; }
.note { color: var(--unknown); font-size: 0.9rem; }
.how { color: var(--soft); font-size: 0.82rem; overflow-wrap: anywhere; }
ul { display: grid; grid-template-columns: repeat(5, minmax(0, 1fr)); gap: 0.3rem; margin: 0;
 padding: 0; list-style: none; font-size: 0.7rem; line-height: 1.25; text-align: center; }
li b, li span { display: block; overflow-wrap: anywhere; font-weight: 500; }
li span { color: var(--soft); font-variant-numeric: tabular-nums; }
li img, .gone { display: block; width: 100%; aspect-ratio: 3 / 4; object-fit: cover;
 border-radius: 5px; margin-bottom: 0.2rem; }
.gone { display: grid; place-items: center; color: var(--soft);
 background: repeating-linear-gradient(45deg, var(--line) 0 1px, #0000 1px 9px); }
@media (max-width: 44rem) { article, .cards { grid-template-columns: minmax(0, 1fr); }
 .whole img { width: min(60%, 15rem); } }
@media print { .card { break-inside: avoid; } }
"""

BODY = Template("""
<header><h1>$title</h1>
<p>$count. Warm places speak for the value, cool ones against it; grey ones say nothing either way.
Each map has its own scale. What is hatched was not read.</p>
<div class="legend"><span>against</span><i></i><span>for</span></div></header>
<main>$body</main>
""")
