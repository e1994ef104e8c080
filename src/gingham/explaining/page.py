"""A folder to look at: an overlay picture for each explanation, and one page with all of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from PIL import Image

from gingham.attributes.attribute import GRAD_CAM, PROJECTION, SEEN
from gingham.explaining.explanation import Explanation, ImageExplanations
from gingham.explaining.overlay import SPEAKS_AGAINST, SPEAKS_FOR, draw_overlay
from gingham.images import WHOLE
from gingham.report.kit import counted, data_uri, percent, thumbnail, write_page
from gingham.results import Evidence, shown
from gingham.store.files import make_folder, replace_file

PICTURE = 480
EXAMPLE = 240

METHODS = {
    PROJECTION: "Where the evidence was found",
    GRAD_CAM: "Where the trained model found it (Grad-CAM)",
    SEEN: "Where it has this colour",
}
BESIDE = {PROJECTION: "Nearest examples", GRAD_CAM: "Nearest in the catalogue", SEEN: ""}


class ExplanationPage:
    """A folder that explanations are written to as they come; `close` writes its page.

    Parameters
    ----------
    folder : made if it is not there; `index.html` and pictures of the same names are replaced.

    Raises
    ------
    StorageError
        If the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        make_folder(self.folder)
        self._parts: list[dict[str, Any]] = []
        self._examples: dict[str, str | None] = {}
        self._attributes: dict[str, None] = {}
        self._failed = 0
        self._hatched = False

    @property
    def path(self) -> Path:
        """Where the page is."""
        return self.folder / "index.html"

    def add(self, result: ImageExplanations) -> list[Path]:
        """Write the overlays of one image; return their files, an explanation each."""
        about = {"name": Path(result.image).name, "image": result.image, "error": None}
        if result.picture is None:
            self._failed += 1
            self._parts.append(about | {"error": result.error or ""})
            return []
        number = len(self._parts) + 1
        written, cards = [], []
        for explanation in result.explanations:
            self._attributes[explanation.attribute] = None
            self._hatched |= explanation.box != WHOLE
            overlay = draw_overlay(result.picture, explanation)
            path = self.folder / _file_name(number, result.image, explanation)
            replace_file(path, lambda temporary, one=overlay: one.save(temporary, "PNG"))  # type: ignore[misc]
            written.append(path)
            cards.append(self._card(explanation, overlay))
        picture = data_uri(Image.fromarray(result.picture), PICTURE, quality=85)
        self._parts.append(about | {"picture": picture, "cards": cards})
        return written

    def close(self) -> Path:
        """Write the page, whole or not at all; return its path."""
        names = ", ".join(self._attributes)
        images = counted(len(self._parts), "image")
        if self._failed:
            images += f", {self._failed} of them cannot be explained"
        write_page(
            self.path,
            "explain.html",
            title=f"Why {names}, and where?" if names else "Nothing to explain",
            count=images,
            parts=self._parts,
            hatched=self._hatched,
            ramp=_ramp(),
        )
        return self.path

    def _card(self, explanation: Explanation, overlay: Image.Image) -> dict[str, Any]:
        prediction = explanation.prediction
        said = prediction.value
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
        layers = sorted(explanation.layers.items(), key=lambda item: -item[1])[:3]
        return {
            "attribute": explanation.attribute,
            "value": explanation.value,
            "confidence": "" if said is None else f"confidence {percent(explanation.confidence)}",
            "notes": notes,
            "overlay": data_uri(overlay, PICTURE, quality=85),
            "method": METHODS[explanation.method],
            "beside": BESIDE[explanation.method],
            "layers": ", ".join(f"{layer} {100 * share:.0f} %" for layer, share in layers),
            "evidence": [self._example(one) for one in prediction.evidence],
        }

    def _example(self, one: Evidence) -> dict[str, Any]:
        if one.image not in self._examples:
            self._examples[one.image] = thumbnail(one.image, EXAMPLE, quality=85)
        return {
            "picture": self._examples[one.image],
            "name": Path(one.image).name,
            "value": shown(one.value),
            "distance": _distance(one.distance),
        }


def _file_name(number: int, image: str, explanation: Explanation) -> str:
    parts = (Path(image).stem, explanation.attribute, explanation.value)
    # Any name can be told by its number; the rest is for people.
    words = "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part)[:40].strip("_") for part in parts)
    return f"{number:04d}-{words}.png"


def _distance(distance: float) -> str:
    return "< 0.01" if 0 < distance < 0.005 else f"{distance:.2f}"


def _ramp() -> str:
    """Write the legend's colours as the stops of a gradient, from against to for."""
    colours = [*SPEAKS_AGAINST[::-1], (0xB0, 0xB0, 0xB0), *SPEAKS_FOR]
    return ", ".join("#" + "".join(f"{part:02x}" for part in one) for one in colours)
