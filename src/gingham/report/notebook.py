"""How notebooks show results: hits and predictions as thumbnails with bars, all text escaped.

What is shown is made when it is shown; an image that has left the disk is named only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from gingham.report.kit import data_uri, percent, render, short, thumbnail
from gingham.results import HTML, Hit, ImagePredictions, Prediction, shown

THUMBNAIL = 120
MOST = 24
"""Cards that are shown of a longer list."""
_BARS = 4


class HitList(list[Hit]):
    """The results of a search, best first: a list that notebooks show with pictures."""

    def __repr__(self) -> str:
        if not self:
            return "no hits"
        lines = [f"{hit.score:8.3f}  {hit.image}{_said(hit)}" for hit in self[:MOST]]
        more = [f"... and {len(self) - MOST} more"] if len(self) > MOST else []
        return "\n".join([*lines, *more])

    def _repr_html_(self) -> str:
        cards = [
            _card(hit.image, hit.looks, f"{hit.score:.3f}", hit.attributes) for hit in self[:MOST]
        ]
        return render("notebook.html", cards=cards, left=len(self) - len(cards))


def _said(hit: Hit) -> str:
    said = ", ".join(f"{name} {shown(value)}" for name, value in hit.attributes.items())
    return f"  ({said})" if said else ""


def _card(
    image: str, bars: Mapping[str, float], says: str, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    lines = [f"{name}: {shown(value)}" for name, value in attributes.items()]
    return {
        "name": short(image),
        "picture": thumbnail(image, THUMBNAIL),
        "says": says,
        "lines": lines,
        "bars": [bar(name, value) for name, value in bars.items()],
    }


def bar(name: str, value: float) -> dict[str, Any]:
    """Make a bar for a share, 0 to 1; its label says the number itself."""
    return {
        "name": name,
        "width": round(100 * min(max(value, 0.0), 1.0), 1),
        "says": f"{value:.2f}",
    }


def predictions_html(one: ImagePredictions) -> str:
    """Show an image with the likeliest values of each attribute."""
    groups = [(name, _answer(p), _likeliest(p)) for name, p in one.predictions.items()]
    card = _card(one.image, {}, one.error or "", {})
    return render("notebook.html", cards=[card | {"groups": groups}], left=0)


def _answer(prediction: Prediction) -> str:
    sure = "" if prediction.confidence is None else f", {percent(prediction.confidence)}"
    return f"{shown(prediction.value)}{sure}"


def _likeliest(prediction: Prediction) -> Sequence[dict[str, Any]]:
    return [bar(value, share) for value, share in list(prediction.values.items())[:_BARS]]


def explanations_html(
    image: str,
    pictures: Sequence[tuple[str, Image.Image, Mapping[str, float]]],
    error: str | None,
) -> str:
    """Show a picture and its heat maps: what each is of, and the shares that it speaks for."""
    cards: list[dict[str, Any]] = [
        {
            "name": what or short(image),
            "picture": data_uri(picture, 2 * THUMBNAIL),
            "says": "",
            "lines": (),
            "bars": [bar(name, value) for name, value in shares.items()],
        }
        for what, picture, shares in pictures
    ]
    if error is not None:
        cards = [{"name": short(image), "picture": None, "says": error, "lines": (), "bars": ()}]
    return render("notebook.html", cards=cards, left=0)


HTML[ImagePredictions] = predictions_html
