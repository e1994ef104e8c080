"""`kill -9` at random moments of a real `gingham index`; the end equals an uninterrupted run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import COLOURS, draw
from gingham.catalogue import Catalogue

KILLS = 20
# Small shards, so that a kill falls between two of them often enough.
INDEX = """
import sys
from gingham import extract
extract.KEEP_VIEWS = 16
from gingham.cli import app
app(sys.argv[1:])
"""


def vectors(folder: Path) -> dict[str, tuple[bytes, dict[str, np.ndarray]]]:
    with Catalogue.open(folder) as shop:
        files = dict(shop._truth.locations.files)
        features = shop._truth.features.get(list(files.values()))
    return {
        name: (image_id, {layer: block[row] for layer, block in features.items()})
        for row, (name, image_id) in enumerate(files.items())
    }


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    for number in range(240):
        colour = sorted(COLOURS)[number % 3]
        draw(tmp_path / "photos" / f"{number:03d}.jpg", colour, number)
    command = [sys.executable, "-c", INDEX, "index"]
    whole = [*command, str(tmp_path / "whole"), str(tmp_path / "photos"), "--json"]
    started = time.perf_counter()
    subprocess.run(whole, check=True, capture_output=True, timeout=300)
    length = time.perf_counter() - started

    rng = random.Random(0)
    target = [*command, str(tmp_path / "killed"), str(tmp_path / "photos"), "--json"]
    killed = 0
    counts = []
    while killed < KILLS:
        assert length > 0.1, "every run ends before it can be killed"
        process = subprocess.Popen(target, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            # Most moments fall into the reading of images, some into the start and the end.
            process.wait(rng.uniform(0.05, 1.0) * length)
            # The machine is quicker than it was: the next kills come earlier.
            length *= 0.9
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.communicate()
        if not (tmp_path / "killed" / "catalogue.json").exists():
            continue
        with Catalogue.open(tmp_path / "killed") as shop:
            assert shop.verify() == []
            counts.append(len(shop))
        if counts[-1] == 240:
            # All was read: start over, so that every kill has something to interrupt.
            (tmp_path / "killed").rename(tmp_path / f"done{len(counts)}")
    assert any(0 < count < 240 for count in counts), counts
    last = subprocess.run(target, capture_output=True, text=True, timeout=300)
    assert last.returncode == 0, last.stderr
    assert json.loads(last.stdout)["images"] == 240

    verified = subprocess.run(
        [sys.executable, "-m", "gingham", "verify", str(tmp_path / "killed"), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert json.loads(verified.stdout) == {"problems": [], "missing": []}

    expected = vectors(tmp_path / "whole")
    for folder in (tmp_path / "killed", *tmp_path.glob("done*")):
        got = vectors(folder)
        assert got.keys() == expected.keys()
        for name, (image_id, features) in expected.items():
            assert got[name][0] == image_id
            for layer, values in features.items():
                assert np.array_equal(got[name][1][layer], values)
