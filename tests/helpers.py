"""What several test modules share: the command line, made weights, and a browser."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from conftest import FakeRuntime, Key
from gingham.backbones.table import DEFAULT_POOLING
from gingham.evaluation.study.reading import POOLING
from gingham.training import TrainConfig


def weights_of(architecture: str, path: Path, *, drop: str = "\0") -> Path:
    """Write a file of seeded weights of a timm network, without the tensors below `drop`."""
    torch.manual_seed(0)
    state = timm.create_model(architecture).state_dict()
    save_file({k: v for k, v in state.items() if not k.startswith(drop)}, path)
    return path


def smooth_pictures(size: int, count: int = 3) -> list[NDArray[np.uint8]]:
    """Smooth random pictures: activations like those of photos, unlike noise."""
    return smooth_shapes([(size, size)] * count)


def smooth_shapes(shapes: Sequence[tuple[int, int]]) -> list[NDArray[np.uint8]]:
    """Smooth random pictures of some (width, height)."""
    rng = np.random.default_rng(7)
    small = rng.integers(0, 256, (len(shapes), 12, 12, 3), dtype=np.uint8)
    return [
        np.asarray(Image.fromarray(p).resize(shape, Image.Resampling.BICUBIC))
        for p, shape in zip(small, shapes, strict=True)
    ]


CLI = [sys.executable, "-m", "gingham"]


def run(
    *args: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*CLI, *map(str, args)],
        input=stdin,
        capture_output=True,
        timeout=300,
        env=os.environ | (env or {}),
    )
    text = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
    assert "Traceback" not in text.stderr
    return text


BACKBONE = "test_efficientnet"


SIZE = 32


def configure(weights: Path, head: str = "multi", **training: Any) -> TrainConfig:
    return TrainConfig.from_dict(
        {
            "data": {"min_count": 3},
            "model": {
                "head": head,
                "backbone": BACKBONE,
                "weights": str(weights),
                "size": SIZE,
                "crop": 0,
            },
            "training": {"epochs": 6, "learning_rate": 0.02, "batch_size": 16} | training,
        }
    )


class FourStatistics(FakeRuntime):
    """The fake backbone, with any pooling."""

    def __init__(self, pooling: str, weights: str = "fake") -> None:
        super().__init__(weights)
        self.config = replace(self.config, pooling=pooling)

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        for key, rows in super().stream(images, layers):
            if rows is not None and self.config.pooling == POOLING:
                rows = {k: np.concatenate([row, row + row**2]) for k, row in rows.items()}
                if np.isclose(rows["stem"][0], 1.0):
                    rows["stem"] = rows["stem"] * np.nan
            yield key, rows


class Loader:
    """Loads the fake backbone, and remembers the runtimes it gave."""

    def __init__(self) -> None:
        self.loaded: list[FourStatistics] = []

    def __call__(
        self, backbone: str, weights: str | Path | None = None, *, device: str, pooling: str
    ) -> FourStatistics:
        runtime = FourStatistics(pooling, backbone)
        runtime.config = replace(runtime.config, backbone=backbone)
        self.loaded.append(runtime)
        return runtime

    @property
    def read(self) -> int:
        """Images read for their features."""
        return sum(r.images_read for r in self.loaded if r.config.pooling != DEFAULT_POOLING)
