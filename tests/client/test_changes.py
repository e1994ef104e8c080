"""What changes a served catalogue comes to the same as on a catalogue here."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.request import urlopen

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

import gingham
from conftest import draw
from gingham import Catalogue, InputError, RemoteCatalogue
from gingham.client.given import BATCH_BYTES, MOST_BYTES, MOST_IMAGES, MOST_PIXELS
from gingham.service.app import create_app
from gingham.service.limits import DEFAULT_LIMITS
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, examples, listening, pictures


@dataclass
class Pair:
    """An empty catalogue here, and one that is served."""

    folder: Path
    here: Catalogue
    there: RemoteCatalogue


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    runtime = MappingRuntime()
    with (
        Catalogue.create(tmp_path / "here", runtime=runtime) as here,
        ServedCatalogue.create(tmp_path / "there", runtime=runtime) as shop,
        listening(create_app(shop)) as address,
        gingham.connect(address) as there,
    ):
        yield Pair(tmp_path, here, there)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_limits_are_within_those_of_a_server() -> None:
    assert DEFAULT_LIMITS.images >= MOST_IMAGES
    assert BATCH_BYTES < MOST_BYTES <= DEFAULT_LIMITS.upload_bytes
    assert DEFAULT_LIMITS.max_pixels == MOST_PIXELS


def test_index_sends_what_is_new_and_says_what_failed(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos", 7)
    shutil.copy(photos / "red0.jpg", photos / "Kopie ü.jpg")
    (photos / "notes.txt").write_text("no image")
    half = draw(photos / "half.jpg", "red", 99)
    half.write_bytes(half.read_bytes()[:400])
    steps: list[tuple[str, int, int]] = []
    options = gingham.ReadOptions(progress=lambda *step: steps.append(step))
    for added in (21, 0):
        mine = pair.here.index([photos])
        theirs = pair.there.index([photos], options=options)
        assert theirs.added == added
        assert replace(mine, seconds=0, images_per_second=0) == replace(
            theirs, seconds=0, images_per_second=0
        )
        assert {Path(one.image).name for one in theirs.failures} == {"notes.txt", "half.jpg"}
    assert steps[-1] == ("index", 24, 24)
    assert pair.here.images().keys() == pair.there.images().keys()
    data = draw(pair.folder / "one.jpg", "blue", 500).read_bytes()
    assert pair.there.index(images=[data, data]).added == 1


def test_an_image_of_several_megabytes_arrives_whole(pair: Pair) -> None:
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (1800, 2000, 3), dtype=np.uint8)
    large = pair.folder / "groß.png"
    Image.fromarray(pixels).save(large)
    assert large.stat().st_size > BATCH_BYTES
    small = draw(pair.folder / "small.jpg", "red", 1)
    assert pair.there.index(images=[small, large, small]).added == 2
    assert pair.there.search(large, n=1, with_self=True)[0].score == pytest.approx(3, abs=1e-3)


@pytest.mark.parametrize("name", ["colour", "Farbe/Ton ä?#%"])
def test_teach_tag_and_forget(pair: Pair, name: str) -> None:
    photos, folder = pictures(pair.folder / "photos"), examples(pair.folder / "examples")
    # Here the examples are indexed, too: a server adds them to its catalogue.
    for shop in (pair.here, pair.there):
        shop.index([photos])
    mine, theirs = pair.here.teach(name, folder), pair.there.teach(name, folder)
    pair.here.index([folder])
    assert mine.values == theirs.values == ("blue", "green", "red")
    assert (mine.examples, mine.layers) == (theirs.examples, theirs.layers)
    assert (mine.accuracy, mine.folds) == (theirs.accuracy, theirs.folds)
    steps: list[tuple[str, int, int]] = []
    options = gingham.ReadOptions(progress=lambda *step: steps.append(step))
    tagged = pair.there.tag(options=options)
    assert tagged.attributes == pair.here.tag().attributes
    assert tagged.images == 36
    assert steps
    assert pair.there.facets([f"{name}=red"]) == pair.here.facets([f"{name}=red"])
    for shop in (pair.here, pair.there):
        shop.forget(name, "red")
    assert pair.here.info().attributes[name].values == ("blue", "green")
    assert pair.there.info().attributes[name].values == ("blue", "green")
    pair.there.forget(name)
    assert pair.there.info().attributes == {}
    for shop in (pair.here, pair.there):
        with pytest.raises(InputError):
            shop.forget("no such")


def test_teach_reads_tables_here_and_adds_to_what_was_taught(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos")
    pair.there.index([photos])
    table = pair.folder / "labels.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "tone"])
        for image in sorted(photos.iterdir())[:-1]:
            writer.writerow([image, image.stem.rstrip("0123456789")])
        writer.writerow([photos / "missing.jpg", "red"])
        writer.writerow([photos / "red0.jpg", "n/a"])
    found = pair.there.teach("colour", table, image_column="file", value_column="tone")
    assert found.examples == 17
    assert found.unlabelled == 1
    assert [Path(one.image).name for one in found.failures] == ["missing.jpg"]
    left = sha256(sorted(photos.iterdir())[-1])
    assert pair.there.teach("colour", {left: "red"}).examples == 18
    several = {i: ["a", "!b"] if n % 2 else ["b"] for n, i in enumerate(pair.there.images())}
    pair.there.teach("pattern", several, kind="multi")
    assert pair.there.info().attributes["pattern"].kind == "multi"


def test_many_examples_go_in_parts_of_all_values(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gingham.client.teaching._MOST_EXAMPLES", 5)
    found = pair.there.teach("colour", examples(pair.folder / "examples"))
    assert found.examples == 18
    assert found.values == ("blue", "green", "red")


def test_what_a_server_cannot_do_is_refused_before_anything_is_sent(pair: Pair) -> None:
    folder = examples(pair.folder / "examples")
    with pytest.raises(InputError, match="leave them out"):
        pair.there.teach("colour", folder, merge_variants=True)
    with pytest.raises(InputError, match="folder"):
        pair.there.attach("model")
    with pytest.raises(InputError, match="do not exist"):
        pair.there.teach("colour", pair.folder / "nothing")
    assert len(pair.there) == 0


def test_remove_by_id_by_the_servers_name_and_by_the_file_here(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos", 2)
    pair.there.index([photos])
    images = pair.there.images()
    first = next(iter(images))
    with pytest.raises(InputError, match="nothing was removed"):
        pair.there.remove([first, "missing.jpg"])
    assert len(pair.there) == 6
    assert pair.there.remove([first]) == 1
    (file,) = images[list(images)[1]]
    assert pair.there.remove([file]) == 1
    left = pair.there.images()
    here = next(path for path in photos.iterdir() if sha256(path) in left)
    assert pair.there.remove([here]) == 1
    assert len(pair.there) == 3


def test_a_job_is_cancelled_when_its_caller_gives_up(pair: Pair) -> None:
    pair.there.teach("colour", examples(pair.folder / "examples"))

    def stop(step: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pair.there.tag(options=gingham.ReadOptions(progress=stop))
    # What it does between two steps, it finishes.
    for _ in range(600):
        with urlopen(f"{pair.there.url}/v1/jobs") as answer:
            jobs = json.load(answer)["jobs"]
        if jobs[0]["state"] != "running":
            break
        time.sleep(0.1)
    assert jobs[0]["state"] in ("cancelled", "done")


def test_undo_brings_back_and_refuses_as_here(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos", 2)
    for shop in (pair.here, pair.there):
        shop.index([photos])
        shop.remove([next(iter(shop.images()))])
        assert len(shop) == 5
        number = shop.history(n=1)[0].number
        assert shop.undo(number).verb == "undo"
        assert len(shop) == 6
        with pytest.raises(gingham.errors.UndoError):
            shop.undo(number)
        with pytest.raises(InputError):
            shop.undo(999)


def taught(shop: Catalogue | RemoteCatalogue) -> dict[str, frozenset[str]]:
    return shop.examples()


def test_correct_adds_confirms_and_takes_out(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos")
    fresh = draw(pair.folder / "new.jpg", "red", 300)
    half = draw(pair.folder / "half.jpg", "red", 301)
    half.write_bytes(half.read_bytes()[:300])
    names = {name: photos / f"{name}.jpg" for name in ("red0", "red1", "blue0", "blue1", "green0")}
    first = {
        str(file): name.rstrip("01") for name, file in names.items() if not name.startswith("green")
    }
    later: dict[str | bytes, str | None] = {
        str(names["red1"]): None,
        sha256(names["blue0"]): "blue",
        str(names["green0"]): "green",
        fresh.read_bytes(): "red",
        str(half): "red",
    }
    for shop in (pair.here, pair.there):
        shop.index([photos])
        shop.teach("colour", first)
    mine, theirs = (shop.correct("colour", later) for shop in (pair.here, pair.there))
    assert replace(mine, seconds=0) == replace(theirs, seconds=0)
    assert theirs.values == ("blue", "green", "red")
    assert [one.image for one in theirs.failures] == [str(half)]
    assert taught(pair.here) == taught(pair.there)
    assert sha256(names["red1"]) not in taught(pair.there)["colour"]
    assert sha256(fresh) in pair.there.images(), "a server adds it to its catalogue"
    for shop in (pair.here, pair.there):
        shop.correct("colour", {sha256(names["green0"]): None})
    assert taught(pair.here) == taught(pair.there)
    assert pair.there.info().attributes["colour"].values == ("blue", "red")


def test_corrections_that_are_refused_change_nothing(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos")
    red, blue, green = (str(photos / f"{name}0.jpg") for name in ("red", "blue", "green"))
    for shop in (pair.here, pair.there):
        shop.index([photos])
        shop.teach("colour", {red: "red", blue: "blue"})
    before = taught(pair.there)
    wrong: list[dict[str | bytes, str | None]] = [
        {green: None},
        {sha256(photos / "green0.jpg"): None},
        {"missing.jpg": None},
        {red: None, blue: None},
        {red: None},
    ]
    for corrections in wrong:
        said = []
        for shop in (pair.here, pair.there):
            with pytest.raises(InputError) as refused:
                shop.correct("colour", corrections)
            said.append(str(refused.value))
        assert said[0] == said[1]
    assert taught(pair.here) == taught(pair.there) == before
    none: list[dict[str | bytes, str | None]] = [{}, {"missing.jpg": "red"}]
    for nothing in none:
        with pytest.raises(InputError, match="no example of 'colour' can be used"):
            pair.there.correct("colour", nothing)
    with pytest.raises(InputError, match="4000 at once"):
        pair.there.correct("colour", dict.fromkeys(map(str, range(5000)), "red"))


def test_correct_of_several_values(pair: Pair) -> None:
    photos = pictures(pair.folder / "photos")
    ids = [sha256(photos / f"{name}.jpg") for name in ("red0", "red1", "blue0", "blue1")]
    for shop in (pair.here, pair.there):
        shop.index([photos])
        shop.teach(
            "look",
            dict(zip(ids, (["warm"], ["warm", "plain"], ["plain"], ["!warm"]), strict=True)),
            kind="multi",
        )
    corrected: dict[str | bytes, list[str] | None] = {ids[0]: ["warm", "!plain"], ids[3]: None}
    mine, theirs = (shop.correct("look", corrected) for shop in (pair.here, pair.there))
    assert replace(mine, seconds=0) == replace(theirs, seconds=0)
    assert taught(pair.here) == taught(pair.there)
