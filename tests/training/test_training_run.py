"""Training for real, on a tiny network with weights made here."""

from __future__ import annotations

import csv
import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import COLOURS, FakeRuntime, draw
from helpers import BACKBONE, SIZE, configure

pytest.importorskip("lightning", reason="lightning comes with the extra `train`")

from safetensors.torch import load_file, save_file

from gingham.catalogue import Catalogue
from gingham.errors import BackboneError, CatalogueError, InputError, StorageError
from gingham.evaluation.model import evaluate_model
from gingham.images import load_image, resize
from gingham.options import ReadOptions
from gingham.store.files import replacing
from gingham.training import TrainedModel, run, train
from gingham.training.networks import rebuild
from gingham.training.trained import OUTPUT, TorchModel


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import timm

    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(timm.create_model(BACKBONE, pretrained=False).state_dict(), file)
    return file


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety-six pictures: a colour, whether striped, and what of both is worth a label."""
    folder = tmp_path_factory.mktemp("table")
    rows = []
    for i in range(96):
        colour, striped = sorted(COLOURS)[i % 3], i % 2 == 1
        image = draw(folder / "photos" / f"{colour}{i}.jpg", colour, i, striped=striped)
        look = "|".join([f"is {colour}"] + (["stripes"] if striped else []))
        part = ("test", "validation", "train", "train")[i // 6 % 4]
        cells = {"colour": colour, "striped": ["no", "yes"][striped], "look": look}
        if i % 5 == 4:
            cells["colour"] = ""
        rows.append({"image": f"photos/{image.name}", **cells, "split": part, "repeat": 1 + i % 2})
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "labels.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, table: Path, weights: Path) -> TrainedModel:
    folder = tmp_path_factory.mktemp("model") / "multi"
    train(table, folder, configure(weights))
    return TrainedModel.load(folder)


def copy(model: TrainedModel, folder: Path) -> Path:
    return Path(shutil.copytree(model.folder, folder / "copy"))


# what comes of it


def test_multi_learns_and_the_folder_holds_all(trained: TrainedModel, table: Path) -> None:
    test = trained.metrics["test"]
    found = {one["name"]: one for one in test["attributes"]}
    assert found["colour"]["accuracy"] > 0.8
    assert found["striped"]["accuracy"] > 0.7
    assert test["overall"]["w_map"] > 0.8
    assert found["colour"]["images"] == 19  # of 24 test images five are unknown
    names = {path.name for path in trained.folder.iterdir()}
    assert names == {
        *("model.safetensors", "model.xml", "model.bin", "vocabulary.json", "thresholds.json"),
        *("metrics.json", "learned.json", "config.json", "logs"),
    }
    with next((trained.folder / "logs" / "frozen").glob("csv-*/metrics.csv")).open() as file:
        logged = list(csv.DictReader(file))
    assert [float(row["w_map"]) for row in logged if row["w_map"]]
    assert list((trained.folder / "logs" / "frozen" / "tensorboard").glob("events*"))


def test_the_model_reads_colours_and_one_of_an_earlier_version_still_does_what_it_did(
    trained: TrainedModel, table: Path, tmp_path: Path
) -> None:
    assert trained.features.layers[0].name == "pixels"
    stored = load_file(trained.folder / "model.safetensors")
    loud = stored.pop("head.loudness")
    old = rebuild(trained.config.model, trained.features, len(trained.vocabulary), stored).eval()
    images = torch.randint(0, 256, (2, *[trained.preprocess.size] * 2, 3), dtype=torch.uint8)
    with torch.inference_mode():
        head, layers = old.head, old.trunk(images)
        expected = head.output(head.norm(torch.cat(layers, 1)))
        assert torch.allclose(old(images), expected, atol=1e-5)
    parts = torch.split(loud, [layer.shape[1] for layer in layers])
    total = [float(part.square().sum()) for part in parts]
    assert total == pytest.approx([len(loud) / len(parts)] * len(parts))


@pytest.mark.parametrize("head", ["finetag", "rank"])
def test_the_ranking_heads_learn_too(head: str, tmp_path: Path, table: Path, weights: Path) -> None:
    rate = 0.02 if head == "finetag" else 3e-4
    config = configure(weights, head, learning_rate=rate, epochs=8)
    result = train(table, tmp_path / "model", config)
    assert result.metrics["test"]["w_map"] > 0.75
    assert result.images == {"train": 48, "validation": 24, "test": 24}


def planes_of(images: Sequence[str], parts: TorchModel) -> torch.Tensor:
    """Read images as the network takes them: (N, 3, S, S) float RGB."""
    how = parts.preprocess
    squares = [
        resize(
            Image.fromarray(load_image(image)),
            how.size,
            interpolation=how.interpolation,
            crop=how.crop,
        )
        for image in images
    ]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float()


def logits_of(model: TrainedModel, images: list[str]) -> np.ndarray:
    read = model.features_of(images, (OUTPUT,), ReadOptions())
    return np.concatenate([row[OUTPUT] for _, row, _ in read if row is not None])


def test_the_graph_answers_as_torch_does_and_needs_no_torch(
    trained: TrainedModel, table: Path
) -> None:
    images = [str(path) for path in sorted((table.parent / "photos").iterdir())[:5]]
    graph = logits_of(trained, images)
    parts = trained.torch_model
    planes = planes_of(images, parts)
    seen = []
    hook = parts.last_convolution.register_forward_hook(lambda *a: seen.append(a[2].shape))
    with torch.inference_mode():
        straight = parts.network(planes).numpy()
    hook.remove()
    np.testing.assert_allclose(graph, straight, atol=2e-3)
    assert len(seen) == 1
    assert len(seen[0]) == 4
    assert parts.vocabulary == trained.vocabulary
    code = (
        "import sys; from gingham.training import TrainedModel\n"
        f"m = TrainedModel.load({str(trained.folder)!r})\n"
        "from gingham import ReadOptions\n"
        f"(_, logits, _), = m.features_of([{images[0]!r}], ('logits',), ReadOptions())\n"
        "[one.answer(logits) for one in m.attributes()]\n"
        "wrong = {'torch', 'sklearn', 'scipy', 'lightning', 'timm'} & set(sys.modules)\n"
        "assert not wrong, wrong"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_the_graph_of_many_views_answers_as_torch_does(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    # Ten steps, which once made the schedule of the learning rate divide by zero.
    config = configure(weights, "finetag", epochs=2, views=1, rank_images=0)
    views = replace(config.model, both_sides=True, middle=0.75)
    train(table, tmp_path / "model", replace(config, model=views))
    model = TrainedModel.load(tmp_path / "model")
    images = [str(path) for path in sorted((table.parent / "photos").iterdir())[:5]]
    graph = logits_of(model, images)
    parts = model.torch_model
    with torch.inference_mode():
        straight = parts.network(planes_of(images, parts)).numpy()
        parts.network.network.middle = 0.0  # type: ignore[union-attr]
        whole = parts.network(planes_of(images, parts)).numpy()
    np.testing.assert_allclose(graph, straight, atol=2e-3)
    assert np.abs(graph - whole).max() > 0.01
    # What an explanation takes its maps from.
    quarter = (0.125, 0.125, 0.875, 0.875)
    assert [(view.box, view.mirror) for view in parts.views] == [
        ((0, 0, 1, 1), False),
        (quarter, False),
        ((0, 0, 1, 1), True),
        (quarter, True),
    ]


def test_predictions_read_as_those_of_a_taught_attribute(
    trained: TrainedModel, table: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    image = str(table.parent / "photos" / "red2.jpg")
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        good, failed = shop.predict([image, str(bad)], model=trained)
        with pytest.raises(InputError, match="no attribute 'cut'; it has colour, look, striped"):
            shop.predict([image], model=trained, attributes=["cut"])
    assert set(good.predictions) == {"colour", "striped", "look"}
    colour, striped, look = (good.predictions[name] for name in ("colour", "striped", "look"))
    assert set(colour.values) == set(COLOURS)
    assert colour.confidence == pytest.approx(max(colour.values.values()))
    assert sum(colour.values.values()) == pytest.approx(1)
    assert sum(striped.values.values()) == pytest.approx(1)
    assert striped.value in ("yes", "no")
    assert isinstance(look.value, list)
    assert (
        failed.error
        == "not an image in a known format: give JPEG, PNG, WebP, GIF, TIFF, BMP or the like"
    )
    json.dumps(good.to_dict())


def test_a_single_image_left_over_of_an_epoch_does_no_harm(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    # 48 rows, every second of them seen twice, are 72 images an epoch: one batch, and one image.
    before = torch.get_rng_state(), logging.getLogger("lightning.pytorch").level
    result = train(table, tmp_path / "model", configure(weights, epochs=1, batch_size=71))
    # Training leaves the random numbers and loggers of the process as they were.
    assert torch.equal(torch.get_rng_state(), before[0])
    assert logging.getLogger("lightning.pytorch").level == before[1]
    assert result.epochs == {"frozen": 1}


# unfreezing


def test_unfreezing_changes_the_backbone_and_nothing_it_normalises_by(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    config = configure(weights, epochs=1, unfreeze_epochs=1, unfreeze_learning_rate=1e-3)
    result = train(table, tmp_path / "model", config)
    assert result.epochs == {"frozen": 1, "all": 1}
    before, after = load_file(weights), load_file(tmp_path / "model" / "model.safetensors")
    prefix = "trunk.network.extractor."
    moved = {
        key.removeprefix(prefix): bool((value != before[key.removeprefix(prefix)]).any())
        for key, value in after.items()
        if key.startswith(prefix) and "num_batches" not in key
    }
    assert all(moved[key] for key in moved if key.endswith("conv_pw.weight"))
    assert not any(moved[key] for key in moved if "running" in key)


# stopping and going on


def test_killed_for_real_it_goes_on_and_ends_the_same(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    config = configure(weights, epochs=30, patience=30)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.to_dict()))
    out = tmp_path / "killed"
    code = (
        "import json, sys; from pathlib import Path\n"
        "from gingham.training import TrainConfig, train\n"
        f"config = TrainConfig.from_dict(json.loads(Path({str(file)!r}).read_text()))\n"
        f"train({str(table)!r}, {str(out)!r}, config)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    last = out / "work" / "frozen" / "last.ckpt"
    try:
        deadline = time.monotonic() + 120
        reached = 0
        while reached < 3:
            assert process.poll() is None, f"it ended before it could be killed, at {reached}"
            assert time.monotonic() < deadline
            if last.exists():
                reached = torch.load(last, weights_only=True)["epoch"]
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (out / "config.json").exists()
    reached = torch.load(last, weights_only=True)["epoch"]
    assert 3 <= reached < 29
    with pytest.raises(InputError, match="unfinished training on another table or configuration"):
        train(table, out, configure(weights, epochs=29, patience=30))
    train(table, out, config)
    with (out / "logs" / "frozen" / "csv-2" / "metrics.csv").open() as log:
        assert min(int(row["epoch"]) for row in csv.DictReader(log)) == reached + 1
    train(table, tmp_path / "whole", config)
    resumed, whole = (load_file(f / "model.safetensors") for f in (out, tmp_path / "whole"))
    for key, value in whole.items():
        torch.testing.assert_close(resumed[key], value, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="holds a trained model already"):
        train(table, out, config)


def test_a_phase_that_ended_learns_no_more(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    from gingham.training import run

    class StopHereError(Exception):
        pass

    def stop(*args: Any) -> None:
        raise StopHereError

    config = configure(weights, epochs=30, patience=1)
    with monkeypatch.context() as patched:
        patched.setattr(run, "_write", stop)
        with pytest.raises(StopHereError):
            train(table, tmp_path / "model", config)
    best = torch.load(tmp_path / "model" / "work" / "frozen" / "best.ckpt", weights_only=True)
    result = train(table, tmp_path / "model", config)
    logs = tmp_path / "model" / "logs" / "frozen"
    with (logs / "csv-1" / "metrics.csv").open() as log:
        epochs = 1 + max(int(row["epoch"]) for row in csv.DictReader(log))
    assert result.epochs == {"frozen": epochs}
    assert epochs < 30
    assert not (logs / "csv-2").exists()
    learned = load_file(tmp_path / "model" / "model.safetensors")["head.output.weight"]
    torch.testing.assert_close(learned, best["state_dict"]["module.output.weight"])


def test_maps_go_on_where_they_were(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    from gingham.training import feature_maps

    monkeypatch.setattr(feature_maps, "_NOTED", 8)
    asked: list[int] = []

    class StopHereError(Exception):
        pass

    def interrupt(step: str, done: int, total: int) -> None:
        asked.append(done)
        if done == 20:
            raise StopHereError

    config = configure(weights, epochs=1)
    with pytest.raises(StopHereError):
        train(table, tmp_path / "model", config, options=ReadOptions(progress=interrupt))
    said: dict[str, list[tuple[int, int]]] = {}

    def note(step: str, done: int, total: int) -> None:
        said.setdefault(step, []).append((done, total))

    train(table, tmp_path / "model", config, options=ReadOptions(progress=note))
    assert said["read"][0][0] == 17  # sixteen were on disk, noted every eight
    assert list(said)[:3] == ["read", "learn, frozen", "measure on validation"]
    assert said["learn, frozen"][-1][0] == said["learn, frozen"][-1][1] > 0


def test_images_that_cannot_be_read_are_left_out_and_told(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(table.parent, folder)
    gone = next(
        row["image"]
        for row in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
        if row["split"] == "train"
    )
    (folder / gone).unlink()
    result = train(folder / "labels.csv", tmp_path / "model", configure(weights, epochs=1))
    assert [Path(one.image).name for one in result.failures] == [Path(gone).name]
    assert result.failures[0].reason.startswith(f"no such file: {folder / gone} (relative to the")


# refusals


@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "model.bin", "model.xml", "vocabulary.json", "thresholds.json"],
)
def test_a_missing_or_changed_file_is_refused_by_name(
    name: str, trained: TrainedModel, tmp_path: Path
) -> None:
    folder = copy(trained, tmp_path)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CatalogueError, match=f"{name} is not the file that was trained"):
        TrainedModel.load(folder)
    (folder / name).unlink()
    with pytest.raises(CatalogueError, match=f"lacks {name}: restore it"):
        TrainedModel.load(folder)


def test_a_wrong_fingerprint_is_refused(trained: TrainedModel, tmp_path: Path) -> None:
    folder = copy(trained, tmp_path)
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    said["config"]["model"]["both_sides"] = True
    (folder / "config.json").write_text(json.dumps(said))
    with pytest.raises(CatalogueError, match=f"does not fit its fingerprint {trained.fingerprint}"):
        TrainedModel.load(folder)
    with pytest.raises(CatalogueError, match="is not a trained model"):
        TrainedModel.load(tmp_path)


@pytest.mark.parametrize("said", [[], {"format": 1}, {"format": 1, "files": []}])
def test_a_config_that_is_none_is_refused_by_name(said: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(CatalogueError, match=r"config\.json is damaged \(it lists no files\)"):
        TrainedModel.load(tmp_path)


def test_a_checkpoint_that_would_run_code_is_not_loaded(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path(tmp_path / "ran").touch, ())

    config = configure(weights, epochs=1)
    out = tmp_path / "model"
    from gingham.training import run

    def plant(*args: Any, **kwargs: Any) -> Any:
        folder = out / "work" / "frozen"
        folder.mkdir(parents=True)
        torch.save({"epoch": Evil()}, folder / "last.ckpt")
        return learn(*args, **kwargs)

    learn = run._learn
    run._learn = plant
    try:
        with pytest.raises(Exception, match=r"[Ww]eights"):
            train(table, out, config)
    finally:
        run._learn = learn
    assert not (tmp_path / "ran").exists()


def test_a_folder_with_something_in_it_is_refused(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not empty: choose another folder for the model"):
        train(table, tmp_path, configure(weights))


def test_a_training_whose_first_file_found_no_room_can_be_begun_again(
    tmp_path: Path, table: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, value: object) -> None:
        with replacing(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class BegunError(Exception):
        pass

    def begun(*_: object) -> None:
        raise BegunError

    with monkeypatch.context() as patched:
        patched.setattr(run, "write_json", full)
        with pytest.raises(StorageError, match=r"training\.json cannot be written \(No space"):
            train(table, tmp_path / "out", configure(weights))
    monkeypatch.setattr(run, "_learn", begun)
    with pytest.raises(BegunError):
        train(table, tmp_path / "out", configure(weights))


def test_missing_weights_are_refused_and_the_folder_is_not_taken(
    tmp_path: Path, table: Path
) -> None:
    with pytest.raises(BackboneError, match="no such file"):
        train(table, tmp_path / "model", configure(tmp_path / "absent.safetensors"))
    assert not (tmp_path / "model").exists()


# in a catalogue


def test_a_model_tags_filters_and_counts_like_a_taught_attribute(
    trained: TrainedModel, table: Path, tmp_path: Path, runtime: FakeRuntime, examples: Path
) -> None:
    photos = table.parent / "photos"
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([photos])
        attached = shop.attach(trained.folder)
        assert attached.fingerprint == trained.fingerprint
        assert set(attached.attributes) == {"colour", "striped", "look"}
        result = shop.tag()
        assert (result.images, result.failures) == (96, ())
        assert sum(result.attributes["colour"].values()) == 96
        assert shop.facets().attributes["striped"] == {
            k: v for k, v in result.attributes["striped"].items() if v
        }
        hits = shop.search(
            photos / "red2.jpg", where=["colour=red", "look=stripes"], n=5, with_self=True
        )
        assert hits
        for hit in hits:
            assert hit.attributes["colour"] == "red"
            assert "stripes" in hit.attributes["look"]
        info = shop.info().attributes["colour"]
        assert (info.kind, info.examples, info.tagged) == ("single", 0, 96)
        assert info.model == str(trained.folder)
        assert shop.export(tmp_path / "tags.csv") == 96
        assert "attribute:colour" not in shop.info().looks
        # What is attached answers until it is forgotten; nothing that was taught is lost.
        with pytest.raises(InputError, match="'colour' is answered by the attached model"):
            shop.teach("colour", examples)
        shop.forget("colour")
        shop.teach("colour", examples)
        assert "attribute:colour" in shop.info().looks
        taught = shop.tag(["colour"])
        assert shop.facets().attributes["colour"] == {
            k: v for k, v in taught.attributes["colour"].items() if v
        }
        shop.attach(trained.folder, attributes=["colour"])
        assert "colour" not in shop.facets().attributes
        shop.tag(["colour"])
        shop.forget("striped")
        assert set(shop.facets().attributes) == {"colour", "look"}
        shop.rebuild()
        assert shop.verify() == []
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.facets(["colour=red"]).images == result.attributes["colour"]["red"]
        shop.forget("colour")
        assert shop.info().attributes["colour"].examples == 18
        (answer,) = shop.predict([photos / "red2.jpg"], attributes=["colour"])
        assert answer.predictions["colour"].evidence


def test_evaluation_compares_with_what_was_taught(
    trained: TrainedModel, table: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    photos = table.parent / "photos"
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        train_rows = [
            r
            for r in csv.DictReader(table.read_text(encoding="utf-8").splitlines())
            if r["split"] == "train"
        ]
        shop.teach(
            "colour",
            {str(photos / Path(r["image"]).name): r["colour"] for r in train_rows if r["colour"]},
        )
        result = evaluate_model(trained, table, tmp_path / "out", catalogue=shop)
        (one,) = result.comparisons
        assert (one.attribute, one.images) == ("colour", 19)
        accuracy = next(a.accuracy for a in result.metrics.attributes if a.name == "colour")
        assert one.trained == pytest.approx(accuracy)
        assert one.taught > 0.8
        # What is attached answers for the catalogue, and is still compared with what was taught.
        shop.attach(trained.folder)
        again = evaluate_model(trained, table, tmp_path / "again", catalogue=shop)
        assert again.comparisons == result.comparisons
        # Images that were taught are no fair test.
        seen = evaluate_model(trained, table, tmp_path / "seen", part="train", catalogue=shop)
        assert seen.comparisons == ()
    said = json.loads((tmp_path / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert said["part"] == "test"
    assert said["metrics"]["attributes"] == trained.metrics["test"]["attributes"]
    with (tmp_path / "out" / "metrics.csv").open() as file:
        values = list(csv.DictReader(file))
    assert [(v["attribute"], v["value"]) for v in values] == list(trained.vocabulary.labels)


def test_a_table_without_split_is_judged_on_what_was_not_learned(
    trained: TrainedModel, table: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    whole, known = tmp_path / "whole.csv", tmp_path / "known.csv"
    for file, kept in ((whole, rows), (known, [row for row in rows if row["split"] != "test"])):
        with file.open("w", newline="") as opened:
            writer = csv.DictWriter(opened, ["image", "colour", "striped", "look"])
            writer.writeheader()
            for row in kept:
                cells = {name: row[name] for name in ("colour", "striped", "look")}
                writer.writerow({"image": str(table.parent / row["image"]), **cells})
    photos = table.parent / "photos"
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        taught = [row for row in rows if row["split"] == "test" and row["colour"]][::2]
        shop.teach("colour", {str(photos / Path(r["image"]).name): r["colour"] for r in taught})
        result = evaluate_model(trained, whole, tmp_path / "out", catalogue=shop)
    assert (result.part, result.learned, result.metrics.images) == ("all", 72, 24)
    assert json.loads(json.dumps(result.metrics.to_dict())) == trained.metrics["test"]
    assert result.comparisons[0].images == 19 - len(taught)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Left out: 72 images that the model learned from." in page
    with pytest.raises(InputError, match=f"learned from all 72 images of table {known}: give"):
        evaluate_model(trained, known, tmp_path / "out")
    assert evaluate_model(trained, table, tmp_path / "out", part="train").learned == 48


def test_a_model_that_does_not_say_what_it_learned_from(
    trained: TrainedModel, table: Path, tmp_path: Path
) -> None:
    from gingham.training.trained import fingerprint_of

    folder = copy(trained, tmp_path)
    (folder / "learned.json").unlink()
    with pytest.raises(CatalogueError, match=r"lacks learned\.json"):
        TrainedModel.load(folder)
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del said["files"]["learned.json"]
    said["fingerprint"] = fingerprint_of(said)
    (folder / "config.json").write_text(json.dumps(said))
    result = evaluate_model(TrainedModel.load(folder), table, tmp_path / "out")
    assert (result.learned, result.metrics.images) == (None, 24)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "does not say which images it learned from" in page


# the command line


def gingham(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gingham", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))


def test_the_command_line_trains_evaluates_tags_and_predicts(
    tmp_path: Path, table: Path, weights: Path
) -> None:
    toml = tmp_path / "train.toml"
    toml.write_text(
        f'[data]\nmin_count = 3\n[model]\nbackbone = "{BACKBONE}"\nweights = "{weights}"\n'
        f"size = {SIZE}\ncrop = 0\n[training]\nepochs = 2\nlearning_rate = 0.02\n"
    )
    model, shop = tmp_path / "model", tmp_path / "shop"
    done = gingham("train", table, "--config", toml, "--out", model, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)
    assert result["images"] == {"train": 48, "validation": 24, "test": 24}
    done = gingham("evaluate", "model", model, table, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "24 images (test): W_MAP" in done.stdout
    photos = table.parent / "photos"
    assert gingham("index", shop, photos).returncode == 0
    done = gingham("tag", shop, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 96
    done = gingham("predict", shop, photos / "red2.jpg", tmp_path / "no", "--model", model)
    assert done.returncode == 1
    assert "colour " in done.stdout
    assert "no such file" in done.stderr
    toml.write_text("[model]\nhed = 1\n")
    done = gingham("train", table, "--config", toml, "--out", tmp_path / "other")
    assert done.returncode == 2
    assert "unknown key 'model.hed', did you mean 'model.head'?" in done.stderr
