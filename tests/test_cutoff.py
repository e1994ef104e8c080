"""A cut-off means the same wherever it is given: in tag, facets, search, export and predict."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import COLOURS, FakeRuntime
from gingham.catalogue import Catalogue
from gingham.errors import InputError
from helpers import run


def mix(folder: Path, seed: str, share: float, named: str = "{}{}.jpg") -> Image.Image:
    red, blue = (Image.open(folder / named.format(colour, seed)) for colour in ("red", "blue"))
    return Image.blend(red, blue, share)


@pytest.fixture
def shop(tmp_path: Path, runtime: FakeRuntime, photos: Path, examples: Path) -> Catalogue:
    # Red and blue run into each other, so that answers are more or less sure.
    for seed in range(12):
        share = 0.1 + 0.07 * seed
        mix(photos, str(seed), share).save(photos / f"mixed{seed}.png")
        value = "blue" if share > 0.5 else "red"
        mixed = mix(examples, str(100 + seed % 6), share, named="{}/{}.jpg")
        mixed.save(examples / value / f"mixed{seed}.png")
    made = Catalogue.create(tmp_path / "shop", runtime=runtime)
    made.index([photos])
    made.teach("colour", examples)
    made.tag()
    return made


def table(shop: Catalogue, folder: Path, **cut: Any) -> list[dict[str, str]]:
    shop.export(folder / "tags.csv", **cut)
    with (folder / "tags.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def between(shop: Catalogue, folder: Path) -> float:
    """A confidence that some tags have and some lack."""
    shown = [row["colour_confidence"] for row in table(shop, folder)]
    found = sorted({float(one) for one in shown if one})
    at = max(range(1, len(found)), key=lambda i: found[i] - found[i - 1])
    return (found[at - 1] + found[at]) / 2


def test_all_agree_on_what_is_sure_enough(shop: Catalogue, photos: Path, tmp_path: Path) -> None:
    everything = {row["id"]: row for row in table(shop, tmp_path)}
    at = between(shop, tmp_path)
    wanted = {
        i: row["colour"] if float(row["colour_confidence"] or 0) >= at else "unknown"
        for i, row in everything.items()
    }
    counts = dict(Counter(wanted.values()))
    foreign = sum(row["colour"] == "unknown" for row in everything.values())
    assert foreign < counts["unknown"] < len(wanted)
    rows = table(shop, tmp_path, min_confidence=at)
    assert {row["id"]: row["colour"] for row in rows} == wanted
    for row in rows:
        unknown = row["colour"] == "unknown"
        assert (row["colour_confidence"] == "") == unknown
        before = everything[row["id"]]
        guess = before["colour_best_guess"] or before["colour"]
        assert row["colour_best_guess"] == (guess if unknown else "")
    facets = shop.facets(min_confidence=at)
    assert facets.attributes["colour"] == counts
    assert shop.facets(["colour=unknown"], min_confidence=at).images == counts["unknown"]
    hits = shop.search(next(iter(everything)), n=99, min_confidence=at, with_self=True)
    assert {hit.id: hit.attributes["colour"] for hit in hits} == wanted
    hits = shop.search(
        next(iter(everything)), n=99, where=["colour!=unknown"], min_confidence=at, with_self=True
    )
    assert {hit.id for hit in hits} == {i for i, value in wanted.items() if value != "unknown"}
    for one in shop.predict(wanted, min_confidence=at):
        said = one.predictions["colour"]
        assert (said.value or "unknown") == wanted[one.image]
        assert (said.confidence is None) == (said.value is None) == (said.best_guess is not None)
    # Nothing of that is kept.
    assert sum(shop.facets().attributes["colour"].values()) == 48
    assert shop.facets().attributes["colour"].get("unknown", 0) == foreign
    hits = shop.search(hits[0].id, n=99, where=["colour=unknown"], with_self=True)
    assert len(hits) == foreign


def test_the_cut_off_of_tag_holds_until_another_is_given(shop: Catalogue, tmp_path: Path) -> None:
    plain = shop.facets()
    at = between(shop, tmp_path)
    cut = shop.facets(min_confidence=at)
    tagged = shop.tag(["colour"], min_confidence=at)
    counts = {value: n for value, n in tagged.attributes["colour"].items() if n}
    assert counts == cut.attributes["colour"] == shop.facets().attributes["colour"]
    assert shop.facets(min_confidence=0.0) == plain
    with Catalogue.open(shop.folder) as again:
        assert again.facets() == cut
        assert {row["colour"] for row in table(again, tmp_path)} == {*COLOURS, "unknown"}
    shop.tag()
    assert shop.facets() == plain


def test_new_images_and_new_examples_are_cut_too(
    shop: Catalogue, photos: Path, examples: Path, tmp_path: Path
) -> None:
    at = between(shop, tmp_path)
    before = shop.facets(min_confidence=at)
    (photos / "red0.jpg").rename(tmp_path / "aside.jpg")
    shop.remove([str(photos / "red0.jpg")])
    after = shop.facets(min_confidence=at)
    assert after.images == before.images - 1
    shop.index([tmp_path / "aside.jpg"])
    assert shop.facets(min_confidence=at) != after
    shop.tag()
    assert shop.facets(min_confidence=at).images == before.images
    shop.forget("colour")
    assert shop.facets(min_confidence=at).attributes == {}


def test_it_says_how_much_is_answered(shop: Catalogue) -> None:
    everything = shop.cutoff("colour")
    assert everything.least == dict.fromkeys(sorted(COLOURS), 0.0)
    assert (everything.tested, everything.answered) == (30, 1.0)
    some = shop.cutoff("colour", at_precision=0.9)
    verdict = shop.info().attributes["colour"].verdict
    assert verdict is not None
    assert shop.cutoff("colour", at_precision=verdict.precision).answered == verdict.answered
    assert some.right is None or some.right >= 0.9
    nothing = shop.cutoff("colour", min_confidence=1.0)
    assert (nothing.answered, nothing.right) == (0.0, None)
    with pytest.raises(InputError, match="unknown attribute 'color'"):
        shop.cutoff("color")
    with pytest.raises(InputError, match="at_precision must be above 0 and below 1"):
        shop.facets(at_precision=1.5)


def test_the_command_line_says_so_too(shop: Catalogue, tmp_path: Path) -> None:
    at = between(shop, tmp_path)
    done = run("facets", shop.folder, "--min-confidence", str(at))
    assert done.returncode == 0
    assert "colour: of 30 held-out examples" in done.stdout
    done = run("tag", shop.folder, "--at-precision", "0.9", "--json")
    said = json.loads(done.stdout)
    assert said["cutoffs"]["colour"] == shop.cutoff("colour", at_precision=0.9).to_dict()
    done = run("tag", shop.folder, "--json")
    assert "cutoffs" not in json.loads(done.stdout)
    done = run("tag", shop.folder, "--at-precision", "95")
    assert done.returncode == 2
    assert "at_precision must be above 0 and below 1, as in 0.95; got 95.0" in done.stderr


def test_how_much_may_be_lost_to_unknown_is_kept(shop: Catalogue, examples: Path) -> None:
    before = shop._attributes.taught_stamp("colour")
    shop.teach("colour", examples, allowed_loss=0.05)
    after = shop._attributes.taught_stamp("colour")
    assert after != before
    assert shop._attributes.taught()["colour"].allowed_loss == 0.05
    # What is taught later keeps it.
    shop.correct("colour", {min(shop.examples()["colour"]): None})
    assert shop._attributes.taught()["colour"].allowed_loss == 0.05
    shop.undo(shop.history()[0].number)
    assert shop._attributes.taught_stamp("colour") == after
    for wrong, says in ((0.0, "allowed_loss must be above 0"), (0.6, "at most 0.5")):
        with pytest.raises(InputError, match=says):
            shop.teach("colour", examples, allowed_loss=wrong)
    with pytest.raises(InputError, match="allowed_loss goes with kind single"):
        shop.teach(
            "parts", {str(examples / "red" / "100.jpg"): ["red"]}, kind="multi", allowed_loss=0.02
        )
