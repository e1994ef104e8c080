"""Explaining a model that `gingham train` made, from its folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from helpers import run

pytest.importorskip("lightning", reason="lightning comes with the extra `train`")
pytest.importorskip("pytorch_grad_cam", reason="grad-cam comes with the extra `train`")

from gingham.training import train
from gingham.training.trained import TrainedModel
from helpers import BACKBONE, configure, weights_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    weights = weights_of(BACKBONE, folder / "tiny.safetensors")
    rows = []
    for i in range(48):
        colour, striped = sorted(COLOURS)[i % 3], i % 2 == 1
        image = draw(folder / "photos" / f"{i}.jpg", colour, i, striped=striped)
        part = ("test", "validation", "train", "train")[i // 6 % 4]
        rows.append((f"photos/{image.name}", colour, ["no", "yes"][striped], part))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "colour", "striped", "split"), *rows])
    train(folder / "labels.csv", folder / "model", configure(weights, epochs=2))
    return folder / "model"


def test_a_model_from_its_folder(model: Path, tmp_path: Path, runtime: FakeRuntime) -> None:
    trained = TrainedModel.load(model)
    images = [draw(tmp_path / f"{name}.jpg", name, 500) for name in COLOURS]
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([model.parent / "photos"])
        together = list(shop.explain(images, model=trained))
        for image, result in zip(images, together, strict=True):
            (alone,) = shop.explain([image], model=trained)
            (answer,) = shop.predict([image], model=trained)
            assert [e.attribute for e in result.explanations] == ["colour", "striped"]
            for one, other in zip(result.explanations, alone.explanations, strict=True):
                assert one.method == "grad-cam"
                np.testing.assert_allclose(one.heat, other.heat, atol=1e-4)
                assert one.prediction.values == answer.predictions[one.attribute].values
                assert one.confidence == one.prediction.values[one.value]
                assert len(one.prediction.evidence) == 5
                assert one.heat.min() >= 0
                assert one.heat.max() == 0 or one.heat.max() == pytest.approx(1, abs=1e-3)


def test_the_command_asks_a_model(model: Path, tmp_path: Path) -> None:
    image = draw(tmp_path / "new.jpg", "red", 501)
    with Catalogue.create(tmp_path / "shop") as shop:
        shop.index([image])
    chosen = ("--model", model, "--out", tmp_path / "out", "--json")
    done = run("explain", tmp_path / "shop", image, "--value", "no", *chosen)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(e["attribute"], e["method"]) for e in found["explanations"]] == [
        ("colour", "grad-cam"),
        ("striped", "grad-cam"),
    ]
    assert found["explanations"][1]["value"] == "no"
    # The only image of the catalogue is this one.
    assert found["explanations"][0]["prediction"]["evidence"] == []
    refused = run("explain", tmp_path / "shop", image, "--attribute", "size", *chosen)
    assert refused.returncode == 2
    assert "the model has no attribute 'size'" in json.loads(refused.stdout)["error"]["message"]
    refused = run("explain", tmp_path / "shop", image, "--model", tmp_path)
    assert refused.returncode == 2
    assert "is not a trained model" in refused.stderr
