"""The look `text`: words find images, by a model of images and words."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("open_clip", reason="the extra text is not installed")

import open_clip
import torch
from PIL import Image

import gingham.errors
from conftest import FakeRuntime, draw
from gingham import Catalogue
from gingham.backbones.image_text import ImageTextModel, ModelName
from gingham.errors import BackboneError, CatalogueError, InputError, MissingExtraError
from gingham.operations.sliders import WORDS_SCALE
from gingham.upkeep_results import TextLookInfo
from helpers import run, smooth_pictures
from image_text import TIMM, VISION, save_model
from serving import examples, pictures

SENTENCE = "a red dress with a belt"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def loaded(model: Path) -> ImageTextModel:
    return ImageTextModel(ModelName.asked(str(model), None), "cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Path:
    """Eighteen pictures with a taught colour and the look."""
    folder = tmp_path_factory.mktemp("made")
    with Catalogue.create(folder / "shop", runtime=FakeRuntime()) as shop:
        shop.index([pictures(folder / "photos")])
        shop.teach("colour", examples(folder / "examples"))
        shop.tag()
        result = shop.text_look(model)
        assert (result.read, result.unchanged, result.failures) == (18, 0, ())
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Iterator[Catalogue]:
    shutil.copytree(made / "shop", tmp_path / "shop")
    shutil.copytree(made / "photos", tmp_path / "photos")
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as opened:
        yield opened


def reference(loaded: ImageTextModel, shop: Catalogue) -> dict[str, np.ndarray]:
    """Read every image of a catalogue by itself: id -> its vector."""
    found = {}
    for image_id, (file, *_) in shop.images().items():
        pixels = loaded.config.preprocess.apply(Image.open(file).convert("RGB"))
        ((_, made),) = loaded.stream([(0, pixels)])
        assert made is not None
        found[image_id] = made["text"]
    return found


@pytest.mark.parametrize("vision", [VISION, TIMM], ids=["open_clip", "timm"])
@pytest.mark.parametrize("how", [{}, {"resize_mode": "squash", "interpolation": "bilinear"}])
def test_images_and_words_get_the_vectors_that_open_clip_gives_them(
    tmp_path: Path, vision: dict[str, Any], how: dict[str, Any]
) -> None:
    folder = save_model(tmp_path / "model", vision=vision, **how)
    mine = ImageTextModel(ModelName.asked(str(folder), None), "cpu")
    theirs, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    theirs.eval()
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")([SENTENCE])
        words = theirs.encode_text(tokens, normalize=True)[0].numpy()
        assert np.allclose(mine.words(SENTENCE), words, atol=1e-6)
        for pixels in smooth_pictures(300, 2):
            picture = Image.fromarray(pixels[:, :240])
            asked = theirs.encode_image(transform(picture)[None], normalize=True)[0].numpy()
            ((_, found),) = mine.stream([(0, mine.config.preprocess.apply(picture))])
            assert found is not None
            assert found["text"] @ asked > 0.999


def test_words_rank_as_the_model_compares(shop: Catalogue, loaded: ImageTextModel) -> None:
    hits = shop.search(text="belt", n=18)
    words = loaded.words("belt")
    expected = {x: WORDS_SCALE * float(y @ words) for x, y in reference(loaded, shop).items()}
    assert [hit.id for hit in hits] == sorted(expected, key=lambda x: -expected[x])
    assert {hit.id: hit.looks["text"] for hit in hits} == pytest.approx(expected, abs=0.01)
    assert all(hit.score == pytest.approx(hit.looks["text"]) for hit in hits)
    assert hits.understood is not None
    assert hits.understood.ranked_by == "belt"
    assert len({hit.score for hit in hits}) == 18
    least = hits[4].score
    assert len(shop.search(text="belt", min_score=least, n=18)) == 5


def test_words_that_name_values_are_filters_and_all_of_them_rank(
    shop: Catalogue, loaded: ImageTextModel
) -> None:
    hits = shop.search(text=SENTENCE, n=18)
    assert {hit.attributes["colour"] for hit in hits} == {"red"}
    understood = hits.understood
    assert understood is not None
    assert understood.where == ("colour=red",)
    assert (understood.ranked_by, understood.not_understood) == (SENTENCE, ("dress", "belt"))
    vectors, words = reference(loaded, shop), loaded.words(SENTENCE)
    order = sorted((hit.id for hit in hits), key=lambda x: -float(vectors[x] @ words))
    assert [hit.id for hit in hits] == order
    without = shop.search(text=SENTENCE, looks={"text": 0}, n=18)
    assert without.understood is not None
    assert without.understood.ranked_by is None
    assert {hit.score for hit in without} == {0.0}
    assert {hit.id for hit in without} == {hit.id for hit in hits}


def test_words_and_images_are_mixed(shop: Catalogue, loaded: ImageTextModel) -> None:
    image = next(iter(shop.images()))
    mixed = shop.search(image, text="belt", looks={"semantic": 1, "text": 0.5}, n=18)
    alone = {hit.id: hit for hit in shop.search(text="belt", n=18)}
    looks = {hit.id: hit for hit in shop.search(image, looks={"semantic": 1}, n=18)}
    assert len(mixed) == 17
    for hit in mixed:
        expected = looks[hit.id].score + 0.5 * alone[hit.id].score
        assert hit.score == pytest.approx(expected, abs=1e-4)
    # Words count where no slider says otherwise, as colours do.
    assert shop.search(image, text="belt", looks={"semantic": 1}, n=1)[0].score == pytest.approx(
        max(looks[x].score + alone[x].score for x in looks), abs=1e-4
    )


def test_images_are_compared_in_the_look_of_words(
    shop: Catalogue, loaded: ImageTextModel, tmp_path: Path
) -> None:
    vectors = reference(loaded, shop)
    fresh = draw(tmp_path / "new.jpg", "green", 77)
    pixels = loaded.config.preprocess.apply(Image.open(fresh).convert("RGB"))
    ((_, made),) = loaded.stream([(0, pixels)])
    assert made is not None
    for hit in shop.search(fresh, looks={"text": 1}, n=18):
        assert hit.score == pytest.approx(float(vectors[hit.id] @ made["text"]), abs=0.01)
    first = next(iter(vectors))
    for hit in shop.search(first, looks={"text": 1}, n=18):
        assert hit.score == pytest.approx(float(vectors[hit.id] @ vectors[first]), abs=0.01)
    best = shop.search(first, looks={"text": 1}, with_self=True)[0]
    assert best.id == first
    assert best.score == pytest.approx(1.0, abs=0.01)
    assert shop.search(first, looks={"text": 1}, crop=(0, 0, 0.5, 0.5), n=18)
    assert shop.similar(tmp_path / "similar.csv", looks={"text": 1}, n=2) > 0


def test_what_is_indexed_later_joins_the_look(shop: Catalogue, tmp_path: Path) -> None:
    before = shop.search(text="belt", n=30)
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as reader:
        assert len(reader.search(text="belt", n=30)) == 18
        shop.index([draw(tmp_path / "more" / f"{n}.jpg", "blue", 40 + n) for n in range(3)])
        for one in (shop, reader):
            after = one.search(text="belt", n=30)
            assert len(after) == 21
            assert all(hit.score for hit in after)
            assert {hit.id: hit.score for hit in before}.items() <= {
                hit.id: hit.score for hit in after
            }.items()
    assert shop.text_look().unchanged == 21


def test_images_that_were_indexed_without_the_extra_come_when_it_is_there(
    shop: Catalogue,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop.search(text="belt")
    with monkeypatch.context() as patched:
        patched.setattr(
            gingham.errors, "find_spec", lambda name: None if name == "open_clip" else object()
        )
        with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as bare:
            file = draw(tmp_path / "more" / "late.jpg", "blue", 50)
            bare.index([file])
            assert "the look text needs open-clip-torch" in caplog.text
            assert "run gingham text-look" in caplog.text
            with pytest.raises(MissingExtraError, match=r"pip install 'gingham\[text\]'"):
                bare.search(text="belt")
            assert bare.search(text="red", looks={"text": 0}).understood is not None
    late = next(x for x, files in shop.images().items() if files == (str(file),))
    scores = {hit.id: hit.score for hit in shop.search(text="belt", n=30)}
    assert scores[late] == 0
    with pytest.raises(InputError, match="is not in the look text: run gingham text-look"):
        shop.search(late, looks={"text": 1})
    assert shop.text_look().read == 1
    scores = {hit.id: hit.score for hit in shop.search(text="belt", n=30)}
    assert scores[late] != 0
    assert shop.verify() == []


def test_an_interrupted_run_resumes(
    made: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        shop.index([made / "photos"])

        def stop(step: str, done: int, total: int) -> None:
            if done == 5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            shop.text_look(model, options=gingham.ReadOptions(progress=stop))
        result = shop.text_look()
        assert (result.read, result.unchanged) == (13, 5)
        assert result.model == str(model)


def test_another_model_reads_all_again_and_compact_deletes_what_the_former_made(
    shop: Catalogue, tmp_path: Path
) -> None:
    folder = tmp_path / "shop" / "text_features"
    (former,) = folder.iterdir()
    first = shop.search(text="belt", n=18)
    other = save_model(tmp_path / "other", seed=1)
    assert shop.text_look(other).read == 18
    assert [hit.id for hit in shop.search(text="belt", n=18)] != [hit.id for hit in first]
    assert len(list(folder.iterdir())) == 2
    gone = first[0].id
    shop.remove([gone])
    assert gone not in [hit.id for hit in shop.search(text="belt", n=18)]
    shop.compact()
    assert not list(former.glob("*.parquet"))
    (shard,) = (x for x in folder.rglob("*.parquet"))
    import pyarrow.parquet as pq

    ids = [one.hex() for one in pq.read_table(shard)["id"].to_pylist()]
    assert len(ids) == 17
    assert gone not in ids
    assert shop.verify() == []
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0xFF
    shard.write_bytes(bytes(data))
    assert any(shard.name in problem for problem in shop.verify())


def test_compact_deletes_the_vector_of_a_removed_example_from_the_index_too(
    shop: Catalogue, tmp_path: Path
) -> None:
    shop.search(text="belt")
    gone, (file, *_) = next(iter(shop.images().items()))
    (row,) = shop._truth.text.features.get([bytes.fromhex(gone)])["text"]  # type: ignore[union-attr]
    vector = np.asarray(row, np.float32)
    vector /= np.linalg.norm(vector)

    def holds() -> list[Path]:
        found = []
        for file in (tmp_path / "shop").rglob("*.f32"):
            rows = np.fromfile(file, np.float32)
            rows = rows.reshape(-1, 16 if rows.size % 16 == 0 else 1)
            if np.isclose(rows, vector, atol=1e-6).all(1).any():
                found.append(file)
        return found

    shop.teach("like", {file: "this", **{x[0]: "that" for x in list(shop.images().values())[1:6]}})
    shop.remove([gone])
    assert holds(), "an index leaves out what it no longer holds"
    shop.close()  # a reader holds the generation of the index that it reads
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as again:
        assert again.compact().dropped == 0, "an example keeps its features"
        assert bytes.fromhex(gone) in again._truth.features
        assert holds() == []
        assert len(again.search(text="belt", n=30)) == 17


def test_a_look_is_seen_in_the_summary_and_the_history(
    shop: Catalogue, model: Path, tmp_path: Path
) -> None:
    assert shop.info().text == TextLookInfo(model.name, 18)
    assert shop.history(n=1)[0].summary == f"set the model of the look text: {model.name}"
    count = len(shop.history(n=99))
    assert shop.text_look(model).unchanged == 18
    assert len(shop.history(n=99)) == count, "nothing was changed"
    shop.remove([next(iter(shop.images()))])
    assert shop.info().text == TextLookInfo(model.name, 17)
    shop.text_look(remove=True)
    assert shop.info().text is None
    (newest, *_) = shop.history()
    assert newest.summary == "set the model of the look text: none"
    assert not newest.undoable
    assert run("info", tmp_path / "shop").returncode == 0


def test_a_model_whose_weights_changed_does_not_spoil_indexing(
    shop: Catalogue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    own = save_model(tmp_path / "own", seed=5)
    shop.text_look(own)
    save_model(own, seed=6)
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as again:
        result = again.index([draw(tmp_path / "more" / "late.jpg", "blue", 50)])
        assert (result.added, again.info().text) == (1, TextLookInfo("own", 18))
    assert "is another than when the catalogue's look text was made" in caplog.text
    assert "the new images are not in the look text" in caplog.text


def test_a_look_is_taken_away(shop: Catalogue, tmp_path: Path) -> None:
    assert "text" in shop.info().looks
    shop.text_look(remove=True)
    assert "text" not in shop.info().looks
    with pytest.raises(InputError, match="no word of 'belt' is understood: use values of colour"):
        shop.search(text="belt")
    assert shop.search(text="red").understood is not None
    with pytest.raises(InputError, match="this catalogue has none; gingham text-look gives"):
        shop.search(next(iter(shop.images())), looks={"text": 1})
    with pytest.raises(InputError, match="has no look text: name its model"):
        shop.text_look()
    shop.compact()
    assert not list((tmp_path / "shop" / "text_features").rglob("*.parquet"))


def test_weights_that_were_changed_are_refused(made: Path, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model", seed=3)
    place = tmp_path / "shop"
    with Catalogue.create(place, runtime=FakeRuntime()) as shop:
        shop.index([made / "photos"])
        shop.text_look(model)
    save_model(model, seed=4)
    with Catalogue.open(place, runtime=FakeRuntime()) as shop:
        with pytest.raises(CatalogueError, match="is another than when the catalogue's look text"):
            shop.search(text="belt")
        # A folder that was moved holds the same model.
        save_model(tmp_path / "moved", seed=3)
        assert shop.text_look(tmp_path / "moved").unchanged == 18
        assert shop.search(text="belt")


@pytest.mark.parametrize(
    ("name", "weights", "said"),
    [
        ("ViT-B-3", None, "unknown text model 'ViT-B-3'; did you mean 'ViT-B-32'"),
        ("ViT-B-32", None, "needs weights, got None: give a file, or a tag: openai"),
        ("ViT-B-32", "no.pt", "needs weights, got no.pt: give a file, or a tag"),
        ("ViT-B-32", "laion2b_s34b_b79k", "connect to the hub once, or give a file or a folder"),
        ("hf-hub:nobody/nothing", None, "connect to the hub once, or give a file or a folder"),
        ("FOLDER", None, "open_clip_config.json cannot be read"),
    ],
)
def test_models_that_cannot_be_had_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, weights: str | None, said: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    name = str(tmp_path) if name == "FOLDER" else name
    with pytest.raises(BackboneError, match=said) as caught:
        ImageTextModel(ModelName.asked(name, weights), "cpu")
    assert "\n" not in str(caught.value)


def test_what_fits_no_model_is_refused(shop: Catalogue, model: Path, tmp_path: Path) -> None:
    broken = save_model(tmp_path / "broken")
    (broken / "open_clip_model.safetensors").write_bytes(b"no weights")
    odd = save_model(tmp_path / "odd", resize_mode="longest")
    for bad, said in [(broken, "cannot be loaded"), (odd, "in another way")]:
        with pytest.raises(BackboneError, match=said):
            shop.text_look(bad)
    with pytest.raises(InputError, match="has its own weights: leave"):
        shop.text_look(model, weights="laion2b")
    with pytest.raises(InputError, match="weights are those of a model: name it"):
        shop.text_look(weights="laion2b")
    with pytest.raises(InputError, match="text is empty"):
        shop.search(text=" ")
    with pytest.raises(InputError, match="the weight of look 'text' must be from 0"):
        shop.search(text="belt", looks={"text": -1})
    assert shop.search(text="belt"), "the look is what it was"


def test_the_commands(made: Path, model: Path, tmp_path: Path) -> None:
    place = tmp_path / "shop"
    shutil.copytree(made / "shop", place)
    done = run("text-look", place, "--model", model)
    assert done.returncode == 0, done.stderr
    assert "0 images read, 18 unchanged, 0 failed" in done.stdout
    found = run("search", place, "--text", SENTENCE, "-n", "3")
    assert found.returncode == 0, found.stderr
    assert "red: colour=red" in found.stderr
    assert f"ranked by the look text: {SENTENCE}" in found.stderr
    assert "not understood" not in found.stderr
    assert "text" in found.stdout.splitlines()[0]
    assert run("text-look", place, "--remove").stdout == f"{place} has no look text any more\n"


def test_without_such_a_look_nothing_of_it_is_loaded(made: Path, tmp_path: Path) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        shop.index([made / "photos"])
    code = f"""
import sys
from gingham import Catalogue
with Catalogue.open({str(tmp_path / "shop")!r}) as shop:
    shop.search(next(iter(shop.images())), n=3)
print([name for name in ("torch", "open_clip", "timm") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "[]\n", done.stderr
