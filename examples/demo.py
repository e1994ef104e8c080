"""Draw a catalogue of garments, index it, teach colour and pattern, tag, search, and show it all.

Run by `make demo`; leaves pages to look at in build/demo: index.html with what is not right and
searches, colour.html and pattern.html with the images by value.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import gingham
from garments import Garment, draw_catalogue
from gingham.report.kit import percent
from gingham.report.sheet import Section, Tile, write_contact_sheet
from gingham.results import Hit, Prediction

ATTRIBUTES = ("colour", "pattern")
TAUGHT = 10


def split(garments: Sequence[Garment], attribute: str) -> dict[str, str]:
    """Take the first ten garments of every value as examples: image -> value."""
    examples: dict[str, str] = {}
    for garment in garments:
        value = getattr(garment, attribute)
        if list(examples.values()).count(value) < TAUGHT:
            examples[garment.image] = value
    return examples


def tile(garment: Garment, attribute: str, prediction: Prediction, photos: Path) -> Tile:
    """Show one answer that is not right beside the truth."""
    truth = getattr(garment, attribute)
    said = prediction.value
    if said is None:
        return Tile(str(photos / garment.image), "unknown", [f"truth: {truth}"], "unknown")
    lines = [f"truth: {truth}", f"confidence {percent(prediction.confidence)}"]
    return Tile(str(photos / garment.image), str(said), lines, "bad")


def hit_tile(hit: Hit) -> Tile:
    """Show one image found, with the similarity in each look."""
    looks = [f"{name} {similarity:.2f}" for name, similarity in hit.looks.items()]
    tags = " ".join(str(hit.attributes.get(name, "")) for name in reversed(ATTRIBUTES))
    return Tile(hit.image, tags, looks)


def main(folder: Path, images: int, seed: int) -> None:
    """Do what the module says."""
    shutil.rmtree(folder, ignore_errors=True)
    photos = folder / "photos"
    started = time.perf_counter()
    garments = draw_catalogue(photos, images=images, seed=seed)
    print(f"drew {images} garments in {time.perf_counter() - started:.1f} s")

    summary: list[tuple[str, str, str]] = []
    sections: list[Section] = []
    with gingham.Catalogue.create(folder / "catalogue") as shop:
        indexed = shop.index(images=[photos / garment.image for garment in garments])
        print(f"indexed {indexed.added} images, {indexed.images_per_second:.0f} a second")
        summary.append(("images", f"{indexed.images}", "read once"))
        for attribute in ATTRIBUTES:
            examples = split(garments, attribute)
            taught = shop.teach(attribute, {photos / k: v for k, v in examples.items()})
            print(
                f"taught {attribute}: {len(taught.values)} values, {taught.examples} examples, "
                f"cross-validated accuracy {taught.accuracy:.3f}, {taught.seconds:.1f} s"
            )
            rest = [garment for garment in garments if garment.image not in examples]
            answers = [
                result.predictions[attribute]
                for result in shop.predict([photos / g.image for g in rest], attributes=[attribute])
            ]
            pairs = list(zip(rest, answers, strict=True))
            right = sum(p.value == getattr(g, attribute) for g, p in pairs)
            unknown = sum(p.value is None for _, p in pairs)
            score = f"{right} of {len(rest)} right, {unknown} unknown"
            taught_by = f"from {TAUGHT} examples per value"
            print(
                f"{attribute} on the rest: {score} ({100 * right / len(rest):.1f} %), {taught_by}"
            )
            summary.append(
                (attribute, f"{100 * right / len(rest):.1f} % right", f"{score}, {taught_by}")
            )
            wrong = [pair for pair in pairs if pair[1].value != getattr(pair[0], attribute)]
            tiles = [tile(g, attribute, p, photos) for g, p in wrong[:16]]
            caption = "The answer, and the truth under it."
            sections.append(Section(f"Not right: {attribute}", caption, tiles))
        tagged = shop.tag()
        for attribute in ATTRIBUTES:
            shop.sheet(folder / f"{attribute}.html", attribute)
        print(
            f"tagged {tagged.images} images with {len(ATTRIBUTES)} attributes "
            f"in {tagged.seconds:.1f} s"
        )
        query = photos / next(g.image for g in garments if g.pattern == "gingham")
        for heading, looks in (
            ("Search by colour", {"colour": 1.0}),
            ("Search by texture", {"texture": 1.0}),
            ("Search by both", {"colour": 1.0, "texture": 1.0}),
            ("Search by the taught pattern", {"attribute:pattern": 1.0}),
        ):
            hits = shop.search(query, looks=looks, n=11)
            tiles = [Tile(str(query), "query", ["what was asked"], "query")]
            caption = "Sliders: " + ", ".join(f"{k} {v:g}" for k, v in looks.items())
            sections.append(Section(heading, caption, tiles + [hit_tile(h) for h in hits]))
        print("like the first gingham, by texture, but red:")
        for hit in shop.search(query, looks={"texture": 1}, where=["colour=red"], n=3):
            print(f"  {Path(hit.image).name}  {hit.score:.3f}  {hit.attributes}")
    page = folder / "index.html"
    write_contact_sheet(
        page, title="gingham: the demo catalogue", summary=summary, sections=sections
    )
    print(f"look at {page}, and at colour.html and pattern.html beside it")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/demo"))
    parser.add_argument("--images", type=int, default=352)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    main(options.folder, options.images, options.seed)
