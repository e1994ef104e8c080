"""A small Ray cluster on this machine: the catalogue is the local one, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import s3
from cluster_networks import Refusing, Watched
from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.cli import main
from gingham.curation.fingerprints import take_fingerprints
from gingham.errors import InputError
from gingham.options import ReadOptions
from gingham.results import IndexResult
from gingham.upkeep_results import TextLookInfo

pytest.importorskip("ray", reason="ray is not installed")

PATHS = {"PYTHONPATH": str(Path(__file__).parents[1])}
"""Where workers find the networks of tests."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Start one; it knows the server of object storage."""
    from gingham.cluster.connection import connected

    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**PATHS, **s3.environment(s3.shared())}.items():
            patch.setenv(name, value)
        with connected("local"):
            yield "auto"


def vectors(shop: Catalogue) -> dict[str, dict[str, np.ndarray]]:
    files = {name: image for image, names in shop._truth.locations.image_files() for name in names}
    blocks = shop._truth.features.get(list(files.values()))
    rows = {name: row for row, name in enumerate(files)}
    return {
        os.path.basename(name): {layer: block[row] for layer, block in blocks.items()}  # noqa: PTH119
        for name, row in rows.items()
    }


def assert_same(one: Catalogue, other: Catalogue) -> None:
    ours, theirs = vectors(one), vectors(other)
    assert ours.keys() == theirs.keys()
    for name, layers in ours.items():
        for layer, values in layers.items():
            assert np.array_equal(values, theirs[name][layer])


def counts(result: IndexResult) -> tuple[int, int, int, int]:
    return result.added, result.unchanged, result.failed, result.images


def test_the_catalogue_is_the_local_one(cluster: str, photos: Path, tmp_path: Path) -> None:
    (photos / "copy.jpg").write_bytes((photos / "red0.jpg").read_bytes())
    (photos / "broken.jpg").write_bytes((photos / "red0.jpg").read_bytes()[:300])
    (photos / "zz.txt").write_text("no image")
    data = (photos / "blue0.jpg").read_bytes() + b"more"
    made = {}
    for name, where in (("local", None), ("far", cluster)):
        with Catalogue.create(tmp_path / name, runtime=FakeRuntime()) as shop:
            steps: list[int] = []
            options = ReadOptions(progress=lambda step, done, total, to=steps: to.append(done))  # type: ignore[misc]
            result = shop.index([photos], images=[data], cluster=where, options=options)
            again = shop.index([photos], cluster=where)
            images = shop.images()
            made[name] = (counts(result), counts(again), result.failures, list(images.items()))
            assert steps == list(range(1, 41))
            assert shop.verify() == []
    assert made["far"] == made["local"]
    with Catalogue.open(tmp_path / "local") as one, Catalogue.open(tmp_path / "far") as other:
        assert_same(one, other)


def test_the_look_of_words_is_read_by_workers_too(
    cluster: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("open_clip", reason="the extra text is not installed")
    from gingham.store.text_look import TextLook
    from image_text import save_model

    model = save_model(tmp_path / "model")
    with Catalogue.create(tmp_path / "far", runtime=FakeRuntime()) as shop:
        shop.index([photos / "red0.jpg"])
        shop.text_look(model)

        def here(self: TextLook) -> None:
            raise AssertionError("this process reads")

        with monkeypatch.context() as patched:
            patched.setattr(TextLook, "model", here)
            assert shop.index([photos], cluster=cluster).added == 35
        assert shop.info().text == TextLookInfo("model", 36)
        found = {hit.id: hit.score for hit in shop.search(text="belt", n=40)}
        assert len(found) == 36
        shop.text_look(save_model(tmp_path / "other", seed=1))
        shop.text_look(model)
        shop.compact()
        again = {hit.id: hit.score for hit in shop.search(text="belt", n=40)}
        assert again == pytest.approx(found, abs=1e-3), "workers compute what this process does"
        # Its weights are not where the workers look for them.
        model.rename(tmp_path / "moved")
        more = draw(tmp_path / "more" / "late.jpg", "blue", 50)
        assert shop.index([more], cluster=cluster).added == 1
        assert "the new images are not in the look text: run gingham text-look" in caplog.text
        assert shop.text_look(tmp_path / "moved").read == 1
        assert shop.verify() == []


def test_from_object_storage_to_object_storage(
    cluster: str, bucket: str, photos: Path, tmp_path: Path
) -> None:
    files = s3.files_at(f"{bucket}/photos")
    for path in photos.iterdir():
        files.put(path.name, lambda file, path=path: file.write(path.read_bytes()))  # type: ignore[misc]
    with (
        Catalogue.create(tmp_path / "local", runtime=FakeRuntime()) as local,
        Catalogue.create(f"{bucket}/shop", runtime=FakeRuntime()) as far,
    ):
        local.index([photos])
        assert counts(far.index([f"{bucket}/photos"], cluster=cluster)) == (36, 0, 0, 36)
        assert counts(far.index([f"{bucket}/photos"], cluster=cluster)) == (0, 36, 0, 36)
        assert_same(local, far)
        assert far.verify() == []


def test_a_killed_worker_is_replaced_and_an_image_that_kills_is_named(
    cluster: str, photos: Path, tmp_path: Path
) -> None:
    for path in photos.glob("*1.jpg"):
        path.unlink()
    with Catalogue.create(tmp_path / "local", runtime=FakeRuntime()) as local:
        local.index([photos])
    Image.new("RGB", (20, 20)).save(photos / "black.png")
    runtime = Watched(tmp_path / "notes", 0.05)

    def kill() -> None:
        while len(runtime.readers) < 10:
            time.sleep(0.02)
        os.kill(runtime.readers[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    with Catalogue.create(tmp_path / "far", runtime=runtime) as far:
        result = far.index([photos], cluster=cluster)
        killer.join()
        (failure,) = result.failures
        assert failure.image == str(photos / "black.png")
        assert "ended the worker process twice" in failure.reason
        assert len(set(runtime.readers)) >= 5
        assert far.verify() == []
        with Catalogue.open(tmp_path / "local") as local:
            assert_same(local, far)


def test_an_interrupted_run_keeps_what_was_read_and_leaves_no_worker(
    cluster: str, photos: Path, tmp_path: Path
) -> None:
    import ray

    def stop(step: str, done: int, total: int) -> None:
        if done == 12:
            raise KeyboardInterrupt

    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        with pytest.raises(KeyboardInterrupt):
            shop.index([photos], cluster=cluster, options=ReadOptions(progress=stop))
        assert 12 <= len(shop) < 36
        assert shop.verify() == []
        assert counts(shop.index([photos], cluster=cluster))[3] == 36
    for _ in range(100):
        if ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"]:
            break
        time.sleep(0.1)
    else:
        pytest.fail("workers are still there")


DRIVER = """
import sys
from pathlib import Path
from gingham import Catalogue
from cluster_networks import Watched
with Catalogue.open(sys.argv[1], runtime=Watched(Path(sys.argv[3]), 0.05)) as shop:
    shop.index([sys.argv[2]], cluster="local")
"""


def test_a_run_whose_driver_is_killed_goes_on(cluster: str, tmp_path: Path) -> None:
    for number in range(64):
        draw(tmp_path / "photos" / f"{number}.jpg", sorted(COLOURS)[number % 3], number)
    runtime = Watched(tmp_path / "notes")
    with Catalogue.create(tmp_path / "shop", runtime=runtime):
        pass
    arguments = [tmp_path / "shop", tmp_path / "photos", runtime.notes]
    command = [sys.executable, "-c", DRIVER, *map(str, arguments)]
    driver = subprocess.Popen(command, env=os.environ | PATHS)
    while len(runtime.readers) < 40:
        assert driver.poll() is None
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    workers = set(runtime.readers)
    for _ in range(200):
        if not any(Path(f"/proc/{worker}").exists() for worker in workers):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the killed driver's workers live on")
    before = len(runtime.readers)
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert counts(shop.index([tmp_path / "photos"], cluster=cluster))[3] == 64
        assert shop.verify() == []
        # The worker had one batch in hand, of a quarter of the images.
        assert before < len(runtime.readers) <= 64 + 16
        with Catalogue.create(tmp_path / "local", runtime=FakeRuntime()) as local:
            local.index([tmp_path / "photos"])
            assert_same(local, shop)


def test_workers_with_another_network_and_what_names_no_cluster_are_refused(
    cluster: str, photos: Path, tmp_path: Path
) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=Refusing()) as shop:
        with pytest.raises(RuntimeError, match="give all machines the same gingham and weights"):
            shop.index([photos], cluster=cluster)
        with pytest.raises(InputError, match=r"local .*, auto .* or HOST:PORT, got 'photos'"):
            shop.index([photos], cluster="photos")
        assert len(shop) == 0


def test_the_fingerprints_of_curate_are_the_local_ones(
    cluster: str, photos: Path, tmp_path: Path
) -> None:
    (photos / "copy.jpg").write_bytes((photos / "red0.jpg").read_bytes())
    (photos / "broken.jpg").write_bytes((photos / "red0.jpg").read_bytes()[:300])
    paths = [str(path) for path in (*sorted(photos.iterdir()), photos / "gone.jpg")]
    made = {
        name: take_fingerprints(paths, tmp_path / name, ReadOptions(), where)
        for name, where in (("local", None), ("far", cluster), ("far", cluster))
    }
    one, other = made["local"], made["far"]
    assert (one.ids, one.reasons) == (other.ids, other.reasons)
    assert {Path(paths[row]).name for row in one.reasons} == {"broken.jpg", "gone.jpg"}
    for name in ("size", "pixels", "thumbnails", "sharpness"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    assert np.ptp(other.thumbnails) > 100
    # The second run on the cluster found all that the first had measured.
    assert len(list((tmp_path / "far" / "fingerprints2").iterdir())) == 1


def test_a_bare_ray_takes_the_cluster_that_is_there(
    cluster: str,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    create = staticmethod(partial(Catalogue.create, runtime=FakeRuntime()))
    monkeypatch.setattr(Catalogue, "create", create)
    words = ["gingham", "index", str(tmp_path / "shop"), str(photos), "--json", "--ray"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="0"):
        main()
    assert json.loads(capsys.readouterr().out)["added"] == 36
