"""A catalogue in object storage: the same answers, from any machine, whatever is killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueBusyError, CatalogueError, InputError, StorageError
from gingham.options import DEFAULTS
from gingham.store.object_files import ObjectFiles
from helpers import run
from s3 import environment, files_at, shared

# With small shards, so that a kill falls between two of them; the network is a toy.
INDEX = """
import sys
sys.path.insert(0, sys.argv[3])
import time
from conftest import FakeRuntime
from gingham import Catalogue, extract
extract.KEEP_VIEWS = 8
class Slow(FakeRuntime):  # so that a kill finds it in the middle
    def stream(self, images, layers=None):
        for one in super().stream(images, layers):
            time.sleep(0.005)
            yield one
with Catalogue.open(sys.argv[1], runtime=Slow()) as shop:
    print("ready", flush=True)
    print(shop.index([sys.argv[2]]).images)
"""


def other_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str = "other") -> None:
    """Go on as one that has taken nothing in yet."""
    monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path / name))


def labels(photos: Path) -> dict[Path, str]:
    return {photos / f"{colour}{seed}.jpg": colour for colour in COLOURS for seed in range(6)}


def filled(place: str | Path, photos: Path) -> Catalogue:
    shop = Catalogue.create(place, runtime=FakeRuntime())
    shop.index([photos])
    shop.teach("colour", labels(photos), layers=["stem"])
    shop.tag()
    return shop


def answers(shop: Catalogue, photos: Path) -> dict[str, Any]:
    ids, features = next(iter(shop._truth.features.batches()))
    return {
        "images": shop.images(),
        "facets": shop.facets(),
        "search": shop.search(photos / "red1.jpg", where=["colour=red"], n=5),
        "look": shop.search(photos / "red1.jpg", looks={"attribute:colour": 1.0}, n=5),
        "predict": list(shop.predict([photos / "blue1.jpg", photos / "green2.jpg"])),
        "history": [(one.verb, one.images) for one in shop.history()],
        "features": [ids, {layer: block.tolist() for layer, block in features.items()}],
        "tagged": shop.info().attributes["colour"].tagged,
        "verify": shop.verify(),
    }


def test_all_is_answered_as_by_a_folder_and_on_other_machines(
    bucket: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(tmp_path / "shop", photos) as local:
        expected = answers(local, photos)
    with filled(f"{bucket}/shop", photos) as writer:
        assert answers(writer, photos) == expected
        other_machine(monkeypatch, tmp_path)
        with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as reader:
            assert answers(reader, photos) == expected
            draw(tmp_path / "new" / "red.jpg", "red", 99)
            writer.index([tmp_path / "new"])
            writer.tag()
            writer.remove([photos / "blue3.jpg"])
            assert reader.info().images == len(expected["images"])
            assert reader.facets() == writer.facets()
            assert reader.images() == writer.images()
            # Attributes come and go, there as here.
            writer.forget("colour")
            assert "colour" not in reader.info().attributes
            assert not list(reader.folder.glob("attributes/colour/*"))
        with pytest.raises(CatalogueError, match="already a catalogue"):
            Catalogue.create(f"{bucket}/shop", runtime=FakeRuntime())
    assert not list(files_at(f"{bucket}/shop").list("attributes/"))


def test_what_a_reader_has_taken_in_it_does_not_ask_for_again(
    bucket: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(f"{bucket}/shop", photos).close()
    other_machine(monkeypatch, tmp_path)
    asked: list[str] = []
    plain = ObjectFiles.reading

    def reading(self: ObjectFiles, name: str) -> Any:
        asked.append(name)
        return plain(self, name)

    with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as reader:
        answers(reader, photos)
    monkeypatch.setattr(ObjectFiles, "reading", reading)
    with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as reader:
        asked.clear()
        reader.search(next(iter(reader.images())), n=3)
        assert not [name for name in asked if name.startswith("derived/") and "list" not in name]
        asked.clear()
        for _ in range(5):
            reader.facets()
        assert set(asked) <= {"lease"}


def test_a_second_writer_on_another_machine_is_refused(
    bucket: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with filled(f"{bucket}/shop", photos) as first:
        other_machine(monkeypatch, tmp_path)
        with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as second:
            with first._lease.taken():
                with pytest.raises(CatalogueBusyError, match=f"{bucket}/shop is in use by"):
                    second.remove([photos / "red0.jpg"])
                assert second.info().images == 36
            second.remove([photos / "red0.jpg"])
        assert first.info().images == 35
        first.remove([photos / "red1.jpg"])


def test_uploads_are_kept_in_the_bucket_and_read_from_it(
    bucket: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gingham.service.served import ServedCatalogue

    filled(f"{bucket}/shop", photos).close()
    picture = draw(tmp_path / "new" / "red.jpg", "red", 99).read_bytes()
    with ServedCatalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as shop:
        shop.upload([("red.jpg", picture)], options=DEFAULTS)
    other_machine(monkeypatch, tmp_path)
    with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as reader:
        (name,) = [n for files in reader.images().values() for n in files if "uploads/" in n]
        assert name.startswith(f"{bucket}/shop/uploads/")
        assert reader.search(picture, n=1)
        (found,) = reader.predict([name])
        assert found.error is None
        assert reader.missing() == []
        assert reader.verify() == []
    files_at(f"{bucket}/shop").delete(name.removeprefix(f"{bucket}/shop/"))
    with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as reader:
        assert reader.missing() == [name]


def test_another_catalogue_at_the_same_address_is_another(
    bucket: str, photos: Path, tmp_path: Path
) -> None:
    with filled(f"{bucket}/shop", photos) as old:
        before = old.folder
    files = files_at(f"{bucket}/shop")
    for name in files.list():
        files.delete(name)
    with Catalogue.create(f"{bucket}/shop", runtime=FakeRuntime()) as new:
        assert new.folder != before
        assert new.facets().images == 0


def test_what_is_no_catalogue_is_refused_with_a_sentence(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=f"{bucket}/shop is not a catalogue: create one"):
        Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime())
    files_at(bucket).put("shop/other", lambda file: file.write(b"x"))
    with pytest.raises(CatalogueError, match="exists but is not a catalogue"):
        Catalogue.create(f"{bucket}/shop", runtime=FakeRuntime())
    with pytest.raises(StorageError, match="there is no such bucket"):
        Catalogue.open("s3://nowhere/shop", runtime=FakeRuntime())
    with pytest.raises(InputError, match="expected a bucket and a name in it"):
        Catalogue.open("s3://nowhere", runtime=FakeRuntime())
    with pytest.raises(InputError, match="give the address of a bucket as text"):
        Catalogue.open(Path("s3://nowhere/shop"), runtime=FakeRuntime())


@pytest.mark.slow
def test_a_writer_is_killed_again_and_again_and_nothing_is_lost(
    bucket: str, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    for number in range(120):
        draw(photos / f"{number:03d}.jpg", sorted(COLOURS)[number % 3], number)
    with Catalogue.create(tmp_path / "whole", runtime=FakeRuntime()) as whole:
        whole.index([photos])
        expected = vectors(whole)
    Catalogue.create(f"{bucket}/shop", runtime=FakeRuntime()).close()
    command = [
        sys.executable,
        "-c",
        INDEX,
        f"{bucket}/shop",
        str(photos),
        str(Path(__file__).parent),
    ]
    counts, rng = [], random.Random(0)
    for _ in range(8):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            process.wait(rng.uniform(0.02, 0.5))
        except subprocess.TimeoutExpired:
            process.kill()
        said = process.communicate()[1].decode()
        # Whoever follows on the same machine need not wait for the lease to end.
        assert "in use" not in said, said
        with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as shop:
            assert shop.verify() == []
            counts.append(len(shop))
    assert counts == sorted(counts)
    assert any(0 < count < 120 for count in counts), counts
    last = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert last.stdout.split() == ["ready", "120"], last.stderr
    with Catalogue.open(f"{bucket}/shop", runtime=FakeRuntime()) as shop:
        assert shop.verify() == []
        found = vectors(shop)
    assert found.keys() == expected.keys()
    for name, blocks in expected.items():
        assert all(np.array_equal(found[name][layer], block) for layer, block in blocks.items())


def vectors(shop: Catalogue) -> dict[str, dict[str, np.ndarray]]:
    files = dict(shop._truth.locations.files)
    features = shop._truth.features.get(list(files.values()))
    return {
        name: {layer: block[row] for layer, block in features.items()}
        for row, name in enumerate(files)
    }


@pytest.mark.slow
def test_every_command_takes_an_address_and_says_no_secret(
    bucket: str, photos: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = f"{bucket}/shop"
    said = ""

    def does(*command: str | Path) -> Any:
        nonlocal said
        done = run(*command)
        said += done.stdout + done.stderr
        assert done.returncode == 0, (command, done.stderr)
        return json.loads(done.stdout) if "--json" in command else done.stdout

    assert does("index", shop, photos, "--json")["added"] == 36
    does("teach", shop, "colour", examples)
    does("tag", shop)
    assert does("info", shop, "--json")["catalogue"] == shop
    other_machine(monkeypatch, tmp_path)
    assert does("facets", shop, "--json")["images"] == 36
    assert len(does("search", shop, photos / "red0.jpg", "-n", "3").splitlines()) >= 3
    assert "red" in does("predict", shop, photos / "red0.jpg")
    does("export", shop, tmp_path / "tags.csv")
    does("remove", shop, photos / "red0.jpg")
    does("compact", shop)
    does("rebuild", shop)
    assert does("verify", shop, "--json")["problems"] == []
    does("history", shop)
    assert (tmp_path / "tags.csv").read_text().count("red") >= 12
    refused = run("search", "s3://nowhere/shop", photos / "red0.jpg")
    assert refused.returncode == 2
    assert "there is no such bucket" in refused.stderr
    assert "Traceback" not in refused.stderr
    secret = environment(shared())["AWS_SECRET_ACCESS_KEY"]
    assert secret not in said + refused.stderr
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    files = files_at(shop)
    assert not any(secret.encode() in data for data in kept)
    assert not any(secret.encode() in files.open(name).read() for name in files.list())
    assert not os.path.exists("s3:")  # noqa: PTH110
