"""How notebooks show results: pictures as thumbnails with bars, counts as bars, all text escaped.

What is shown is made when it is shown; an image that has left the disk is named only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from gingham.report.kit import data_uri, percent, render, short, thumbnail
from gingham.result import HTML
from gingham.results import (
    Facets,
    Hit,
    ImagePredictions,
    Prediction,
    TagResult,
    TeachResult,
    shown,
)
from gingham.review_results import ReviewItem, ReviewResult
from gingham.schema.words import Understood

THUMBNAIL = 120
MOST = 24
"""Cards that are shown of a longer list."""
_BARS = 4


class HitList(list[Hit]):
    """The results of a search, best first: a list that notebooks show with pictures.

    Attributes
    ----------
    understood : what the words of the search were taken for; None where there were none.
    """

    understood: Understood | None = None

    def __repr__(self) -> str:
        if not self:
            return "no hits"
        lines = [f"{hit.score:8.3f}  {hit.image}{_said(hit)}" for hit in self[:MOST]]
        more = [f"... and {len(self) - MOST} more"] if len(self) > MOST else []
        return "\n".join([*lines, *more])

    def _repr_html_(self) -> str:
        cards = [_hit(hit) for hit in self[:MOST]]
        return render("notebook.html", cards=cards, left=len(self) - len(cards))


def _said(hit: Hit) -> str:
    said = ", ".join(f"{name} {shown(value)}" for name, value in hit.attributes.items())
    return f"  ({said})" if said else ""


def _hit(hit: Hit) -> dict[str, Any]:
    looks = {name.removeprefix("attribute:"): similar for name, similar in hit.looks.items()}
    return _card(hit.image, looks, f"{hit.score:.3f}", hit.attributes)


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
    return f"{shown(prediction.value)}{sure}".replace(" %", "\N{NO-BREAK SPACE}%")


def _likeliest(one: Prediction | ReviewItem) -> Sequence[dict[str, Any]]:
    return [bar(value, share) for value, share in list(one.values.items())[:_BARS]]


def prediction_html(one: Prediction) -> str:
    """Show the likeliest values."""
    return render("notebook_bars.html", groups=[(_answer(one), _likeliest(one))])


def _review_item(one: ReviewItem) -> dict[str, Any]:
    taught = "taught" if one.example else "predicted"
    return _card(one.image, {}, one.reason, {taught: one.value}) | {"bars": _likeliest(one)}


def review_html(found: ReviewResult) -> str:
    """Show images to look at, and why."""
    cards = [_review_item(one) for one in found.items[:MOST]]
    return render("notebook.html", cards=cards, left=found.total - len(cards))


def taught_html(one: TeachResult) -> str:
    """Show how good an attribute is, and how many of the held-out examples of each value."""
    judged = one.verdict
    if judged is None:
        says = f"{len(one.values)} values, {one.examples} examples"
        return render("notebook_bars.html", groups=[(f"{one.attribute}: {says}", ())])
    bars = [
        bar(each.value, each.right / each.tested) | {"says": f"{each.right} of {each.tested}"}
        for each in judged.values
        if each.tested
    ]
    return render("notebook_bars.html", groups=[(f"{one.attribute}, {judged.sentence}", bars)])


def counts_html(one: TagResult | Facets) -> str:
    """Show the images of each value."""
    groups = [
        (
            name,
            [
                bar(value, count / max(one.images, 1)) | {"says": f"{count:,}"}
                for value, count in counts.items()
            ],
        )
        for name, counts in one.attributes.items()
    ]
    return render("notebook_bars.html", groups=groups)


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


HTML[Hit] = lambda hit: render("notebook.html", cards=[_hit(hit)], left=0)
HTML[Prediction] = prediction_html
HTML[ImagePredictions] = predictions_html
HTML[ReviewResult] = review_html
HTML[ReviewItem] = lambda one: render("notebook.html", cards=[_review_item(one)], left=0)
HTML[TeachResult] = taught_html
HTML[TagResult] = HTML[Facets] = counts_html
