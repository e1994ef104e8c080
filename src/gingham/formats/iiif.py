"""IIIF manifests of museums and libraries (Presentation API 2 and 3): an image a canvas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gingham.formats.content import Content, Row, heading
from gingham.formats.json_file import begins, load

recognised = begins(r"{", r"iiif\.io/api/presentation/[23]/")


def read(path: Path, wanted: Sequence[str] | None) -> Content:
    """Read canvases: `image` (its address), `label`, and what the metadata say of the whole."""
    manifest = load(path)
    pairs = [(_text(x.get("label")), _text(x.get("value"))) for x in manifest.get("metadata", ())]
    about = {heading(name): value for name, value in pairs if name and name != "image"}
    about = {"title": _text(manifest.get("label"))} | about
    names = ["label", *(name for name in about if name != "label")]

    def rows() -> Iterator[Row]:
        for number, (canvas, image) in enumerate(_images(manifest), 1):
            cells = about | {"label": _text(canvas.get("label")), "image": image}
            yield Row(number, {name: cells.get(name) for name in ["image", *names]})

    return Content(["image", *names], rows())


def _images(manifest: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str | None]]:
    for sequence in manifest.get("sequences", ()):
        for canvas in sequence.get("canvases", ()):
            for one in canvas.get("images", ()):
                shown = one["resource"].get("default", one["resource"])  # of a choice
                yield canvas, shown.get("@id")
    for canvas in manifest.get("items", ()):
        for page in canvas.get("items", ()):
            for one in page.get("items", ()):
                body = one.get("body", {})
                # A choice, or several: the first is shown.
                bodies = body.get("items", [body]) if isinstance(body, dict) else body
                first: Any = next(iter([bodies] if isinstance(bodies, str) else bodies), {})
                yield canvas, first if isinstance(first, str) else first.get("id")


def _text(value: Any) -> str | None:
    """Give a text in the first of its languages, whichever way it is written."""
    if isinstance(value, dict):
        value = value.get("@value", next(iter(value.values()), None))
    if isinstance(value, list):
        texts = [text for one in value if (text := _text(one))]
        return ", ".join(texts) or None
    return None if value is None else str(value)
