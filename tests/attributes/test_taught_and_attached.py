"""The same expectations of an attribute that is taught and of one that a trained model answers."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.backbones.runtime import Runtime, load_runtime
from gingham.backbones.table import DEFAULT_BACKBONE
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError, InputError
from gingham.options import ReadOptions
from helpers import BACKBONE, configure, run, weights_of

pytest.importorskip("lightning", reason="lightning comes with the extra `train`")
pytest.importorskip("pytorch_grad_cam", reason="grad-cam comes with the extra `train`")

from gingham.training import train
from gingham.training.exporting import ExportedRuntime
from gingham.training.trained import CONFIG, VOCABULARY, file_digest, fingerprint_of

KINDS = ("taught", "attached")
Answer = Callable[[Catalogue], object]
"""Makes a catalogue answer the attribute `colour`."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of `colour`, kind single, `look`, kind multi, and `striped`, yes or no."""
    folder = tmp_path_factory.mktemp("model")
    weights = weights_of(BACKBONE, folder / "tiny.safetensors")
    rows = []
    for i in range(72):
        colour, striped = sorted(COLOURS)[i % 3], i % 2 == 1
        image = draw(folder / "photos" / f"{i}.jpg", colour, 300 + i, striped=striped)
        part = ("validation", "train", "train")[i // 6 % 3]
        look = f"is {colour}|stripes" if striped else f"is {colour}"
        rows.append((f"photos/{image.name}", colour, look, ["no", "yes"][striped], part))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "colour", "look", "striped", "split"), *rows])
    train(folder / "labels.csv", folder / "model", configure(weights))
    return folder / "model"


@pytest.fixture(scope="module")
def backbone() -> Runtime:
    """The default network: explaining needs its maps."""
    return load_runtime(DEFAULT_BACKBONE)


@pytest.fixture(params=KINDS)
def answer(request: pytest.FixtureRequest, examples: Path, model: Path) -> Answer:
    if request.param == "taught":
        return lambda shop: shop.teach("colour", examples)
    return lambda shop: shop.attach(model, attributes=["colour"])


@pytest.fixture
def shop(tmp_path: Path, runtime: FakeRuntime, photos: Path) -> Catalogue:
    made = Catalogue.create(tmp_path / "shop", runtime=runtime)
    made.index([photos])
    return made


def table(shop: Catalogue, folder: Path) -> dict[str, dict[str, str]]:
    """What `export` writes, by the names of files."""
    shop.export(folder / "tags.csv")
    with (folder / "tags.csv").open() as file:
        return {Path(row["image"]).name: row for row in csv.DictReader(file)}


# the same for both


def test_tags_are_counted_filtered_found_and_exported(
    answer: Answer, shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    answer(shop)
    steps: list[tuple[str, int, int]] = []
    progress = ReadOptions(progress=lambda *step: steps.append(step))
    result = shop.tag(["colour"], options=progress)
    assert steps[-1] == ("tag", 36, 36)
    assert (result.images, result.failures) == (36, ())
    counts = result.attributes["colour"]
    assert set(counts) == {*COLOURS, "unknown"}
    assert sum(counts.values()) == 36
    assert shop.facets().attributes == {"colour": {k: v for k, v in counts.items() if v}}
    exported = table(shop, tmp_path)
    files = sorted(photos.iterdir())
    for file, answered in zip(files, shop.predict(files, attributes=["colour"]), strict=True):
        prediction = answered.predictions["colour"]
        row = exported[file.name]
        assert (prediction.value or "unknown") == row["colour"]
        assert prediction.confidence == pytest.approx(float(row["colour_confidence"]), abs=1e-4)
        assert set(prediction.values) == set(COLOURS)
        assert sum(prediction.values.values()) == pytest.approx(1, abs=1e-4)
    right = [name.startswith(row["colour"]) for name, row in exported.items()]
    assert np.mean(right) > 0.8
    for where, wanted in (
        ("colour=red", {"red"}),
        ("colour!=red", {*COLOURS, "unknown"} - {"red"}),
    ):
        hits = shop.search(files[0], where=[where], n=36, with_self=True)
        names = {Path(hit.image).name for hit in hits}
        assert names == {name for name, row in exported.items() if row["colour"] in wanted}
        assert {hit.attributes["colour"] for hit in hits} <= wanted
        assert shop.facets([where]).images == len(hits)


def test_it_is_described(answer: Answer, shop: Catalogue) -> None:
    answer(shop)
    info = shop.info().attributes["colour"]
    assert (info.kind, set(info.values), info.tagged) == ("single", set(COLOURS), 0)
    shop.tag()
    assert shop.info().attributes["colour"].tagged == 36
    assert json.loads(json.dumps(shop.info().to_dict()))["attributes"]["colour"]["tagged"] == 36


def test_images_that_come_and_go(
    answer: Answer, shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    answer(shop)
    shop.tag()
    new = draw(tmp_path / "late" / "late.jpg", "red", 900)
    shop.index([new])
    assert shop.info().attributes["colour"].tagged == 36
    assert table(shop, tmp_path)["late.jpg"]["colour"] == ""
    assert shop.tag().images == 37
    assert table(shop, tmp_path)["late.jpg"]["colour"] != ""
    shop.remove([photos / "red0.jpg", new])
    assert shop.info().attributes["colour"].tagged == 35
    assert sum(shop.facets().attributes["colour"].values()) == 35
    assert shop.tag().images == 35


def test_it_survives_a_rebuild_a_check_and_the_loss_of_all_that_is_derived(
    answer: Answer, shop: Catalogue, runtime: FakeRuntime, photos: Path, tmp_path: Path
) -> None:
    answer(shop)
    shop.tag()
    facets, predicted = shop.facets(), list(shop.predict(sorted(photos.iterdir())))
    shop.rebuild()
    assert shop.verify() == []
    assert shop.facets() == facets
    shop.close()
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.facets() == facets
    for derived in ("attributes", "index"):
        shutil.rmtree(tmp_path / "shop" / derived)
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.verify() == []
        assert shop.facets().attributes == {}
        shop.tag()
        assert shop.facets() == facets
        for one, other in zip(shop.predict(sorted(photos.iterdir())), predicted, strict=True):
            assert one.predictions["colour"].value == other.predictions["colour"].value


def test_it_is_forgotten(
    answer: Answer, shop: Catalogue, runtime: FakeRuntime, photos: Path, tmp_path: Path
) -> None:
    answer(shop)
    shop.tag()
    shop.forget("colour")
    shop.close()
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.info().attributes == {}
        assert shop.facets().attributes == {}
        assert "colour" not in table(shop, tmp_path)["red0.jpg"]
        for refused in (
            lambda: shop.predict([photos / "red0.jpg"], attributes=["colour"]),
            lambda: shop.explain([photos / "red0.jpg"], attributes=["colour"]),
            lambda: shop.tag(["colour"]),
            lambda: shop.forget("colour"),
        ):
            with pytest.raises(InputError, match="no attribute is taught yet"):
                refused()
        answer(shop)
        assert shop.facets().attributes == {}
        assert shop.tag().images == 36


def test_what_is_not_there_is_refused(answer: Answer, shop: Catalogue, photos: Path) -> None:
    answer(shop)
    for refused in (
        lambda: shop.predict([photos / "red0.jpg"], attributes=["size"]),
        lambda: shop.tag(["size"]),
        lambda: shop.forget("size"),
    ):
        with pytest.raises(InputError, match="unknown attribute 'size'"):
            refused()
    with pytest.raises(InputError, match="colour"):
        shop.facets(["colour=mauve"])


def test_images_that_cannot_be_read_are_named(
    answer: Answer, shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    answer(shop)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    good, broken, absent = shop.predict([photos / "red0.jpg", bad, tmp_path / "none.jpg"])
    assert good.error is None
    assert broken.error is not None
    assert broken.error.startswith("not an image in a known format")
    assert (broken.image, broken.predictions) == (str(bad), {})
    assert absent.error == "no such file: check the path"


def test_bytes_open_files_and_ids_give_the_answer_of_the_file(
    answer: Answer, shop: Catalogue, photos: Path
) -> None:
    answer(shop)
    file = photos / "green3.jpg"
    (number,) = (key for key, files in shop.images().items() if files == (str(file),))
    data = file.read_bytes()
    answers = list(shop.predict([file, data, io.BytesIO(data), number]))
    assert [one.image for one in answers] == [str(file), number, number, number]
    for one in answers:
        assert one.error is None
        prediction, first = one.predictions["colour"], answers[0].predictions["colour"]
        assert prediction.value == first.value
        assert prediction.confidence == pytest.approx(first.confidence, abs=1e-3)


def test_an_empty_catalogue_is_tagged(answer: Answer, tmp_path: Path, runtime: FakeRuntime) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        answer(shop)
        result = shop.tag()
        assert (result.images, sum(result.attributes["colour"].values())) == (0, 0)


def test_it_is_explained(answer: Answer, backbone: Runtime, photos: Path, tmp_path: Path) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=backbone) as shop:
        shop.index([photos])
        answer(shop)
        images = [photos / "red1.jpg", tmp_path / "none.jpg", draw(tmp_path / "n.jpg", "blue", 70)]
        found, failed, new = shop.explain(images, values=["blue"])
        assert (failed.error, failed.explanations) == ("no such file: check the path", ())
        predicted = list(shop.predict([images[0], images[2]]))
        for result, prediction in zip((found, new), predicted, strict=True):
            (one,) = result.explanations
            assert (one.attribute, one.value) == ("colour", "blue")
            assert one.prediction.value == prediction.predictions["colour"].value
            assert one.confidence == one.prediction.values["blue"]
            assert one.heat.ndim == 2
            assert np.isfinite(one.heat).all()
            assert 0 < len(one.prediction.evidence) <= 5
        with pytest.raises(
            InputError, match="unknown value 'mauve'; known: colour: blue, green, red"
        ):
            shop.explain(images, values=["mauve"])


# what is attached


def test_a_model_in_place_of_a_taught_attribute(
    shop: Catalogue, examples: Path, model: Path, photos: Path
) -> None:
    shop.teach("colour", examples)
    taught = shop.tag()
    attached = shop.attach(model)
    assert {name: set(values) for name, values in attached.attributes.items()} == {
        "colour": set(COLOURS),
        "look": {"stripes", *(f"is {colour}" for colour in COLOURS)},
        "striped": {"yes", "no"},
    }
    # The tags of the taught one are no answers of this one; its look is still there.
    assert shop.facets().attributes == {}
    assert "attribute:colour" in shop.info().looks
    assert shop.search(photos / "red0.jpg", looks={"attribute:colour": 1}, n=3, with_self=True)
    (one,) = shop.predict([photos / "red0.jpg"])
    assert one.predictions["colour"].evidence == ()
    with pytest.raises(InputError, match="'colour' is answered by the attached model"):
        shop.teach("colour", examples)
    with pytest.raises(InputError, match="values cannot be forgotten one by one"):
        shop.forget("colour", "red")
    shop.tag(["look", "striped"])
    assert set(shop.facets().attributes) == {"look", "striped"}
    shop.forget("colour")
    (one,) = shop.predict([photos / "red0.jpg"])
    assert set(one.predictions) == {"colour", "look", "striped"}
    assert len(one.predictions["colour"].evidence) == 5
    assert shop.tag(["colour"]).attributes == taught.attributes
    assert set(shop.facets().attributes) == {"colour", "look", "striped"}


def test_attributes_of_one_model_share_one_pass_of_its_network(
    shop: Catalogue, model: Path, monkeypatch: pytest.MonkeyPatch, photos: Path
) -> None:
    read = 0
    stream = ExportedRuntime.stream

    def counted(self: ExportedRuntime, images: Any, layers: Any = None) -> Iterator[Any]:
        nonlocal read
        for row in stream(self, images, layers):
            read += 1
            yield row

    monkeypatch.setattr(ExportedRuntime, "stream", counted)
    shop.attach(model)
    result = shop.tag()
    assert set(result.attributes) == {"colour", "look", "striped"}
    assert read == 36
    list(shop.predict(sorted(photos.iterdir())[:5]))
    assert read == 41


def test_a_model_that_moved_is_refused_until_it_is_attached_again(
    shop: Catalogue, model: Path, photos: Path, examples: Path, tmp_path: Path
) -> None:
    here = tmp_path / "model"
    shutil.copytree(model, here)
    shop.attach(here)
    shop.teach("shade", examples)
    shop.tag()
    before = shop.facets()
    shop.close()
    here.rename(tmp_path / "elsewhere")
    with Catalogue.open(tmp_path / "shop", runtime=shop._loaded) as shop:
        image = photos / "red0.jpg"
        for refused in (
            lambda: shop.predict([image]),
            lambda: shop.tag(),
            lambda: shop.explain([image], attributes=["look"]),
        ):
            with pytest.raises(CatalogueError) as error:
                refused()
            said = str(error.value)
            assert str(here) in said
            assert "attach" in said
            assert "forget" in said
        # What does not ask the model goes on.
        (one,) = shop.predict([image], attributes=["shade"])
        assert one.error is None
        assert shop.facets() == before
        assert shop.info().attributes["look"].tagged == 36
        assert shop.search(image, where=["striped=yes"], with_self=True)
        assert table(shop, tmp_path)["red0.jpg"]["striped"] in {"yes", "no"}
        assert [str(here) in problem for problem in shop.verify()] == [True]
        shop.rebuild()
        # The same model from another place: its tags are still its own.
        shop.attach(tmp_path / "elsewhere")
        assert shop.verify() == []
        assert shop.facets() == before
        assert shop.tag(["look"]).images == 36


def reseal(folder: Path) -> None:
    """Write the config of a model whose vocabulary was edited, as training would have."""
    said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    said["files"][VOCABULARY] = file_digest(folder / VOCABULARY)
    (folder / CONFIG).write_text(json.dumps(said | {"fingerprint": fingerprint_of(said)}))


def rename(folder: Path, old: str, new: str) -> None:
    """Give an attribute or a value of a model another name, everywhere in its folder."""
    for name in (VOCABULARY, "thresholds.json"):
        text = (folder / name).read_text(encoding="utf-8")
        (folder / name).write_text(text.replace(json.dumps(old), json.dumps(new)))
    said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    said["files"]["thresholds.json"] = file_digest(folder / "thresholds.json")
    (folder / CONFIG).write_text(json.dumps(said))
    reseal(folder)


def test_a_model_that_changed_is_refused_until_it_is_attached_again(
    shop: Catalogue, model: Path, photos: Path, tmp_path: Path
) -> None:
    here = tmp_path / "model"
    shutil.copytree(model, here)
    shop.attach(here)
    shop.tag()
    shop.close()
    rename(here, "red", "scarlet")
    with Catalogue.open(tmp_path / "shop", runtime=shop._loaded) as shop:
        with pytest.raises(CatalogueError, match=f"{here}.*has changed since: attach it again"):
            shop.tag()
        assert "has changed since" in "".join(shop.verify())
        shop.attach(here)
        # Tags of the model before are none of this one.
        assert shop.facets().attributes == {}
        assert "scarlet" in shop.tag().attributes["colour"]
        (here / "model.bin").write_bytes(b"torn")
    with Catalogue.open(tmp_path / "shop", runtime=shop._loaded) as shop:
        with pytest.raises(CatalogueError, match=r"model\.bin is not the file that was trained"):
            shop.predict([photos / "red0.jpg"])
        with pytest.raises(CatalogueError, match=r"model\.bin is not the file that was trained"):
            shop.attach(here)
        for name in ("colour", "look", "striped"):
            shop.forget(name)
        assert shop.info().attributes == {}
        assert shop.verify() == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("look", "lo=ok", "attribute name 'lo=ok' cannot be used"),
        ("look", "", "attribute name '' cannot be used"),
    ],
)
def test_a_model_whose_names_cannot_be_used_attaches_nothing(
    old: str, new: str, words: str, shop: Catalogue, model: Path, tmp_path: Path
) -> None:
    here = tmp_path / "model"
    shutil.copytree(model, here)
    rename(here, old, new)
    with pytest.raises(InputError, match=words):
        shop.attach(here)
    assert shop.info().attributes == {}
    assert set(shop.attach(here, attributes=["striped"]).attributes) == {"striped"}


def test_files_that_left_or_changed_are_named_and_have_no_tag(
    shop: Catalogue, model: Path, photos: Path, tmp_path: Path
) -> None:
    shop.attach(model)
    copy = tmp_path / "copies" / "copy.jpg"
    copy.parent.mkdir()
    shutil.copy(photos / "blue0.jpg", copy)
    shop.index([copy.parent])
    (photos / "blue0.jpg").unlink()
    (photos / "red0.jpg").unlink()
    shutil.copy(photos / "green1.jpg", photos / "red1.jpg")
    result = shop.tag()
    found = {Path(failure.image).name: failure.reason for failure in result.failures}
    assert found == {
        "red0.jpg": "no such file: check the path",
        "red1.jpg": "has changed since it was indexed: index it again",
    }
    assert result.images == 34
    assert sum(result.attributes["striped"].values()) == 34
    assert table(shop, tmp_path)["red0.jpg"]["colour"] == ""
    assert table(shop, tmp_path)["copy.jpg"]["colour"] != ""
    # By its id an image is read again, too, and never another picture.
    by_file = {Path(files[0]).name: key for key, files in shop.images().items()}
    left, changed = shop.predict([by_file["red0.jpg"], by_file["red1.jpg"]])
    for one, name in ((left, "red0.jpg"), (changed, "red1.jpg")):
        assert one.error == f"{photos / name}: {found[name]}"
        assert one.image == by_file[name]


def test_taught_and_attached_together(
    shop: Catalogue, model: Path, photos: Path, examples: Path
) -> None:
    shop.teach("shade", examples)
    shop.attach(model, attributes=["striped"])
    file = photos / "green3.jpg"
    alone, opened = shop.predict([file]), shop.predict([io.BytesIO(file.read_bytes())])
    for (one,) in (alone, opened):
        assert set(one.predictions) == {"shade", "striped"}
    # An open file that cannot be read is one failure, however many read it.
    closed = io.BytesIO()
    closed.close()
    failed, good = shop.predict([closed, file])
    assert (failed.error, good.error) == ("cannot be read: I/O operation on closed file.", None)
    (before,) = shop.predict([file])
    file.unlink()
    # The features of a file that has left the disk are kept; a model reads pixels.
    (one,) = shop.predict([file])
    assert one.predictions == {"shade": before.predictions["shade"]}
    assert one.error == "no such file: check the path"
    assert set(one.to_dict()) == {"image", "predictions", "error"}
    result = shop.tag()
    assert sum(result.attributes["shade"].values()) == 36
    assert sum(result.attributes["striped"].values()) == 35


def test_attaching_the_same_again_writes_nothing(shop: Catalogue, model: Path) -> None:
    shop.attach(model)
    written = sorted((shop.folder / "attached").iterdir())
    shop.attach(model, attributes=["look"])
    assert sorted((shop.folder / "attached").iterdir()) == written


KILLED = """
import os, sys
from gingham.catalogue import Catalogue
left, folder, model = int(sys.argv[1]), *sys.argv[2:]
def killing(place):
    def wrapped(*names):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), 9)
        place(*names)
    return wrapped
with Catalogue.open(folder) as shop:
    os.replace, os.link = killing(os.replace), killing(os.link)
    shop.attach(model)
    shop.tag()
"""


@pytest.mark.slow
def test_a_kill_at_any_write_leaves_all_attached_or_nothing(
    model: Path, photos: Path, tmp_path: Path, backbone: Runtime
) -> None:
    with Catalogue.create(tmp_path / "whole", runtime=backbone) as shop:
        shop.index([photos])
        shop.attach(model)
        expected = shop.tag().attributes
        shop.forget("colour")
        shop.forget("look")
        shop.forget("striped")
    seen = []
    for number in range(1, 8):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        shutil.rmtree(folder / "attributes")
        command = [sys.executable, "-c", KILLED, str(number), str(folder), str(model)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        with Catalogue.open(folder, runtime=backbone) as shop:
            assert shop.verify() == []
            there = {k: a for k, a in shop.info().attributes.items() if not a.built_in}
            assert set(there) in (set(), {"colour", "look", "striped"})
            seen.append((done.returncode, len(there), sum(a.tagged for a in there.values())))
            shop.attach(model)
            assert shop.tag().attributes == expected
    # The change is announced, made and noted; then each attribute has its tags by one rename, and
    # the index a generation that has them.
    assert seen == [
        *[(-9, 0, 0)] * 2,
        *[(-9, 3, 0)] * 2,
        (-9, 3, 36),
        (-9, 3, 72),
        (-9, 3, 108),
    ]


# the command line


def test_the_commands(model: Path, photos: Path, tmp_path: Path, examples: Path) -> None:
    shop = tmp_path / "shop"
    assert run("index", shop, photos).returncode == 0
    assert run("teach", shop, "colour", examples).returncode == 0
    refused = run("attach", shop, tmp_path)
    assert refused.returncode == 2
    assert "is not a trained model" in refused.stderr
    done = run("attach", shop, model, "--attribute", "striped")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "attached striped: yes, no\n"
    done = run("attach", shop, model)
    assert "attached colour: blue, green, red (in place of what is taught)\n" in done.stdout
    done = run("attach", shop, model, "--json")
    said = json.loads(done.stdout)
    assert said["model"] == str(model)
    assert said["replaces"] == ["colour"]
    assert set(said["attributes"]["colour"]) == set(COLOURS)
    assert run("tag", shop).returncode == 0
    done = run("info", shop)
    assert f"striped (single): yes, no; model {model}; 36 of 36 images tagged" in done.stdout
    found = json.loads(run("facets", shop, "--where", "striped=yes", "--json").stdout)
    assert found["attributes"]["striped"] == {"yes": found["images"]}
    assert run("forget", shop, "striped").returncode == 0
    refused = run("predict", shop, photos / "red0.jpg", "--attribute", "striped")
    assert refused.returncode == 2
    done = run("predict", shop, photos / "red0.jpg", "--attribute", "striped", "--model", model)
    assert done.returncode == 0
    # The short cut: attached, then tagged.
    assert run("tag", shop, "striped", "--model", model).returncode == 0
    assert "striped (single)" in run("info", shop).stdout
