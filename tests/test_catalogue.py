from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from conftest import COLOURS, FakeRuntime, draw
from gingham.attributes.attribute import Features, TagBatch
from gingham.attributes.taught import TaughtAttribute
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError, ImageError, InputError, StorageError
from gingham.index.embedded.index import EmbeddedIndex
from gingham.index.index import Change, Tag, Untag, Upsert
from gingham.options import ReadOptions
from gingham.store.features import FeatureStore
from gingham.store.header import FORMAT
from gingham.store.ids import to_list


@pytest.fixture
def shop(tmp_path: Path, photos: Path, runtime: FakeRuntime) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as catalogue:
        catalogue.index([photos])
        yield catalogue


def colour_of(image: str) -> str:
    return Path(image).stem.rstrip("0123456789")


# index


def test_index_again_reads_nothing(shop: Catalogue, photos: Path, runtime: FakeRuntime) -> None:
    assert len(shop) == 36
    read = runtime.images_read
    result = shop.index([photos])
    assert (result.added, result.unchanged, result.failed, result.images) == (0, 36, 0, 36)
    assert runtime.images_read == read


def test_moved_renamed_and_copied_files_are_not_read_again(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    read = runtime.images_read
    (photos / "red0.jpg").rename(photos / "renamed.jpg")
    shutil.copy(photos / "red1.jpg", photos / "copy.jpg")
    shutil.move(photos, tmp_path / "moved")
    result = shop.index([tmp_path / "moved"])
    assert (result.added, result.unchanged, result.images) == (0, 37, 36)
    assert runtime.images_read == read


def test_changed_bytes_replace_the_image(shop: Catalogue, photos: Path) -> None:
    before = shop.search(photos / "red0.jpg", n=1, with_self=True)[0].id
    draw(photos / "red0.jpg", "blue", 77)
    result = shop.index([photos])
    assert (result.added, result.images) == (1, 36)
    hit = shop.search(photos / "red0.jpg", n=1, with_self=True)[0]
    assert hit.image == str(photos / "red0.jpg")
    assert hit.id != before
    assert before not in {h.id for h in shop.search(photos / "red1.jpg", n=100, with_self=True)}


def test_two_files_of_the_same_bytes_are_one_image(tmp_path: Path, runtime: FakeRuntime) -> None:
    first = draw(tmp_path / "a" / "1.jpg", "red", 1)
    shutil.copy(first, tmp_path / "a" / "2.jpg")
    draw(tmp_path / "a" / "3.jpg", "red", 2)
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        result = shop.index([tmp_path / "a"])
        assert (result.added, result.unchanged, result.images) == (2, 1, 2)
        hits = shop.search(first, with_self=True)
        assert hits[0].image == str(first)
        assert hits[0].copies == (str(tmp_path / "a" / "2.jpg"),)


def test_bad_files_are_listed_and_their_copies_too(
    shop: Catalogue, tmp_path: Path, runtime: FakeRuntime
) -> None:
    folder = tmp_path / "new"
    draw(folder / "a.jpg", "red", 900)
    data = (folder / "a.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "cut2.jpg").write_bytes(data[: len(data) // 2])
    (folder / "text.txt").write_text("hello")
    (folder / "empty.png").touch()
    (folder / "link.jpg").symlink_to(folder / "nowhere")
    name = os.fsdecode(b"\xff\xfe.jpg")
    draw(folder / "named.jpg", "blue", 901).rename(folder / name)
    result = shop.index([folder], images=[folder / "gone.jpg"])
    assert result.added == 2
    reasons = {Path(f.image).name: f.reason for f in result.failures}
    assert set(reasons) == {"cut.jpg", "cut2.jpg", "text.txt", "empty.png", "link.jpg", "gone.jpg"}
    assert reasons["cut.jpg"] == reasons["cut2.jpg"]
    assert result.added + result.unchanged + result.failed == 8
    assert shop.search(folder / name, n=1, with_self=True)[0].image == str(folder / name)


def test_an_interrupted_run_keeps_what_was_read(
    tmp_path: Path, photos: Path, runtime: FakeRuntime
) -> None:
    def interrupt(step: str, done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        with pytest.raises(KeyboardInterrupt):
            shop.index([photos], options=ReadOptions(progress=interrupt))
        assert len(shop) == 10
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.verify() == []
        result = shop.index([photos])
        assert (result.added, result.unchanged) == (26, 10)


def test_remove_and_index_back(shop: Catalogue, photos: Path, runtime: FakeRuntime) -> None:
    read = runtime.images_read
    key = shop.search(photos / "red3.jpg", n=1, with_self=True)[0].id
    with pytest.raises(InputError, match=r"nowhere\.jpg is not in catalogue"):
        shop.remove([photos / "red3.jpg", "nowhere.jpg"])
    assert len(shop) == 36
    assert shop.remove([key, photos / "blue3.jpg"]) == 2
    assert len(shop) == 34
    assert key not in {h.id for h in shop.search(photos / "red4.jpg", n=100, with_self=True)}
    assert shop.index([photos]).added == 2
    assert runtime.images_read == read


# teach, predict, tag


def test_teach_tag_and_facets(shop: Catalogue, examples: Path) -> None:
    result = shop.teach("colour", examples)
    assert result.values == ("blue", "green", "red")
    assert result.examples == 18
    assert result.accuracy == 1.0
    assert result.folds == 5
    tagged = shop.tag()
    assert tagged.images == 36
    assert sum(tagged.attributes["colour"].values()) == 36
    exported = {
        h.image: h.attributes["colour"]
        for h in shop.search(next(iter_images(shop)), n=36, with_self=True)
    }
    known = {k: v for k, v in exported.items() if v != "unknown"}
    assert len(known) >= 33
    assert all(colour_of(image) == value for image, value in known.items())
    facets = shop.facets()
    assert facets.images == 36
    assert facets.attributes["colour"] == {
        k: v for k, v in tagged.attributes["colour"].items() if v
    }
    for value, count in facets.attributes["colour"].items():
        assert shop.facets([f"colour={value}"]).images == count
        assert shop.facets([f"colour!={value}"]).images == 36 - count


def iter_images(shop: Catalogue) -> Iterator[str]:
    yield from shop._truth.locations.files


def test_predict_gives_evidence_and_does_not_need_the_catalogue(
    shop: Catalogue, examples: Path, tmp_path: Path
) -> None:
    shop.teach("colour", examples)
    new = draw(tmp_path / "new.jpg", "green", 555)
    (tmp_path / "bad.jpg").write_text("no")
    good, bad = shop.predict([new, tmp_path / "bad.jpg"])
    prediction = good.predictions["colour"]
    assert prediction.value == "green"
    assert prediction.confidence is not None
    assert 0.5 < prediction.confidence <= 1
    assert next(iter(prediction.values)) == "green"
    assert sum(prediction.values.values()) == pytest.approx(1)
    assert prediction.evidence[0].value == "green"
    assert Path(prediction.evidence[0].image).parent.name == "green"
    distances = [e.distance for e in prediction.evidence]
    assert distances == sorted(distances)
    assert bad.error is not None
    assert bad.to_dict() == {"image": str(tmp_path / "bad.jpg"), "error": bad.error}


def test_a_picture_of_another_kind_is_unknown(
    shop: Catalogue, examples: Path, tmp_path: Path
) -> None:
    from PIL import Image

    shop.teach("colour", examples)
    halves = np.zeros((40, 40, 3), np.uint8)
    halves[:20] = (255, 255, 0)
    Image.fromarray(halves).save(tmp_path / "halves.png")
    (result,) = shop.predict([tmp_path / "halves.png"])
    assert result.predictions["colour"].value is None


def test_known_and_new_images_get_the_same_answer(
    shop: Catalogue, examples: Path, photos: Path, runtime: FakeRuntime, tmp_path: Path
) -> None:
    shop.teach("colour", examples)
    (stored,) = shop.predict([photos / "red5.jpg"])
    with Catalogue.create(tmp_path / "other", runtime=runtime) as other:
        other.teach("colour", examples)
        (fresh,) = other.predict([photos / "red5.jpg"])
    assert fresh == stored


def test_teach_and_tag_with_the_folder_moved_away(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    table = photos.parent / "labels.csv"
    with table.open("w", newline="") as file:
        rows = [(f"photos/{p.name}", colour_of(p.name)) for p in sorted(photos.glob("*[0-5].jpg"))]
        csv.writer(file).writerows([("image", "hue"), *rows])
    photos.rename(tmp_path / "elsewhere")
    read = runtime.images_read
    result = shop.teach("colour", table, value_column="hue")
    assert result.examples == len(rows)
    assert not result.failures
    shop.tag()
    assert next(shop.predict([photos / "red0.jpg"])).predictions["colour"].value == "red"
    assert shop.search(photos / "red0.jpg", looks={"attribute:colour": 1}, with_self=True)
    assert runtime.images_read == read


def test_more_examples_and_new_values_are_added(shop: Catalogue, examples: Path) -> None:
    shop.teach("colour", {examples / c / "100.jpg": c for c in ("red", "green")})
    result = shop.teach("colour", {str(examples / "blue" / "100.jpg"): "blue"})
    assert result.values == ("blue", "green", "red")
    assert result.examples == 3
    corrected = shop.teach("colour", {str(examples / "blue" / "100.jpg"): "green"})
    assert corrected.values == ("green", "red")


def test_tags_of_an_attribute_taught_again_are_stale_until_tagged(
    shop: Catalogue, examples: Path
) -> None:
    shop.teach("colour", examples)
    shop.tag()
    assert shop.info().attributes["colour"].tagged == 36
    shop.teach("colour", {str(examples / "blue" / "100.jpg"): "red"})
    assert shop.info().attributes["colour"].tagged == 0
    assert shop.facets().attributes == {}
    with pytest.raises(InputError, match="not tagged yet"):
        shop.facets(["colour=red"])


def test_images_indexed_later_are_not_tagged_yet(
    shop: Catalogue, examples: Path, tmp_path: Path
) -> None:
    shop.teach("colour", examples)
    shop.tag()
    new = draw(tmp_path / "late" / "a.jpg", "red", 321)
    shop.index([new])
    assert shop.info().attributes["colour"].tagged == 36
    assert sum(shop.facets().attributes["colour"].values()) == 36
    assert shop.search(new, n=1, with_self=True)[0].attributes == {}
    assert sum(shop.tag().attributes["colour"].values()) == 37


def test_only_images_without_a_tag_are_tagged(
    shop: Catalogue,
    examples: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered: list[int] = []
    answer = TaughtAttribute.tags

    def counted(one: TaughtAttribute, features: Features) -> TagBatch:
        found = answer(one, features)
        answered.append(len(found.values))
        return found

    monkeypatch.setattr(TaughtAttribute, "tags", counted)
    shop.teach("colour", examples)
    whole = shop.tag()
    file = shop.folder / "attributes" / "colour" / "predictions.parquet"
    written, state = file.stat().st_ino, shop._attributes.tagged("colour")
    again = shop.tag()
    # As it was: not even the index has anything to do.
    assert (file.stat().st_ino, shop._attributes.tagged("colour")) == (written, state)
    assert (again.attributes, again.images) == (whole.attributes, whole.images)
    assert sum(answered) == 36
    shop.index([draw(tmp_path / "late" / f"{n}.jpg", "red", 321 + n) for n in range(3)])
    shop.remove([photos / "red0.jpg"])
    partly = shop.tag()
    assert sum(answered) == 39
    tags = sorted(shop._attributes.predictions("colour"))
    assert len(tags) == shop.info().attributes["colour"].tagged == 38
    # A file that is damaged is made anew, of all images.
    file.write_bytes(file.read_bytes()[:-50])
    assert shop.tag().attributes == partly.attributes
    assert sorted(shop._attributes.predictions("colour")) == tags
    assert sum(answered) == 39 + 38
    content = bytearray(file.read_bytes())
    content[200] ^= 1
    file.write_bytes(content)
    assert shop.tag().attributes == partly.attributes
    assert sum(answered) == 39 + 2 * 38
    shop.teach("colour", {str(examples / "blue" / "100.jpg"): "red"})
    shop.tag()
    assert sum(answered) == 39 + 3 * 38


def test_tags_come_back_with_an_image_that_comes_back(
    shop: Catalogue, examples: Path, photos: Path
) -> None:
    shop.teach("colour", examples)
    shop.tag()
    shop.remove([photos / "red0.jpg"])
    assert sum(shop.facets().attributes["colour"].values()) == 35
    shop.index([photos])
    assert sum(shop.facets().attributes["colour"].values()) == 36


def test_an_image_more_changes_the_index_for_itself_alone(
    shop: Catalogue, examples: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.teach("colour", examples)
    shop.tag()
    (back,) = (hit.id for hit in shop.search(photos / "red0.jpg", n=1, with_self=True))
    shop.remove([photos / "red0.jpg"])
    shop.facets()
    changes: list[Change] = []
    apply = EmbeddedIndex.apply

    def noted(index: EmbeddedIndex, given: Iterable[Change]) -> None:
        for change in given:
            changes.append(change)
            apply(index, [change])

    read: list[int] = []
    block = FeatureStore._block

    def counted(store: FeatureStore, *where: Any) -> Any:
        read.append(len(where[-1]))
        return block(store, *where)

    monkeypatch.setattr(EmbeddedIndex, "apply", noted)
    monkeypatch.setattr(FeatureStore, "_block", counted)
    draw(photos / "new.jpg", "blue", 99)
    shop.index([photos / "new.jpg", photos / "red0.jpg"])
    assert shop.facets().attributes["colour"]["red"] == 12
    assert sum(len(change.ids) for change in changes if isinstance(change, Upsert)) == 2
    tagged = [to_list(np.asarray(change.ids)) for change in changes if isinstance(change, Tag)]
    assert tagged == [[bytes.fromhex(back)]]
    assert not any(isinstance(change, Untag) for change in changes)
    assert set(read) == {1}


@pytest.mark.parametrize("is_given", [False, True])
def test_after_many_images_a_network_of_its_own_is_let_go_and_loaded_again(
    is_given: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(*_: Any, **options: Any) -> FakeRuntime:
        loaded.append(options["device"])
        return FakeRuntime()

    monkeypatch.setattr("gingham.operations.reader.load_runtime", load)
    monkeypatch.setattr("gingham.catalogue._MANY", 20)
    given = FakeRuntime() if is_given else None
    with Catalogue.create(tmp_path / "many", device="cpu", runtime=given) as shop:
        shop.index([photos])
        assert (shop._loaded is None) == (not is_given)
        draw(tmp_path / "more" / "new.jpg", "blue", 99)
        assert shop.index([tmp_path / "more"]).images == 37
        assert shop._loaded is not None
    assert loaded == ([] if is_given else ["cpu", "cpu"])


def test_contradictions_are_reported(shop: Catalogue, examples: Path) -> None:
    shutil.copy(examples / "red" / "100.jpg", examples / "blue" / "copy.jpg")
    result = shop.teach("colour", examples)
    names = {Path(c.image).name for c in result.contradictions}
    assert names & {"100.jpg", "copy.jpg"}
    assert {"red", "blue"} <= {c.value for c in result.contradictions}


def test_failed_examples_are_listed(shop: Catalogue, examples: Path) -> None:
    (examples / "red" / "bad.jpg").write_text("no")
    result = shop.teach("colour", examples)
    assert [Path(f.image).name for f in result.failures] == ["bad.jpg"]
    assert result.examples == 18


def test_what_cannot_be_taught_is_refused_and_nothing_is_kept(
    shop: Catalogue, examples: Path, tmp_path: Path
) -> None:
    red = str(examples / "red" / "100.jpg")
    with pytest.raises(InputError, match="need at least two values"):
        shop.teach("colour", {red: "red"})
    gone = tmp_path / "gone.jpg"
    with pytest.raises(InputError, match=f"no example of .* read: {gone}: no such file"):
        shop.teach("colour", {str(gone): "red"})
    # A value whose images cannot be read is not passed over.
    with pytest.raises(
        InputError, match=rf"two values.*; could not be read: {gone}: no such.*1 more"
    ):
        shop.teach("colour", {red: "red", str(gone): "blue", str(tmp_path / "g.jpg"): "blue"})
    with pytest.raises(InputError, match="unknown layer 'neck'; known: stem"):
        shop.teach("colour", examples, layers=["neck"])
    with pytest.raises(InputError, match="has no columns: leave them out"):
        shop.teach("colour", examples, value_column="colour")
    with pytest.raises(InputError, match="and a mapping has no columns"):
        shop.teach("colour", {red: "red"}, group_column="g")
    with pytest.raises(InputError, match="kind must be single or multi, got 'many'"):
        shop.teach("colour", examples, kind="many")
    with pytest.raises(InputError, match="without = or !"):
        shop.teach("a=b", examples)
    with pytest.raises(InputError, match="no attribute is taught"):
        shop.tag()
    assert shop.info().attributes == {}
    shop.teach("colour", examples)
    with pytest.raises(InputError, match="of kind single: forget it first"):
        shop.teach("colour", examples, kind="multi")
    with pytest.raises(InputError, match="unknown attribute 'size'; known: colour"):
        shop.tag(["size"])
    with pytest.raises(InputError, match="unknown attribute 'size'"):
        shop.predict([red], attributes=["size"])


def test_forget(shop: Catalogue, examples: Path, photos: Path) -> None:
    shop.teach("colour", examples)
    shop.tag()
    with pytest.raises(InputError, match="no value 'pink'; it has blue, green, red"):
        shop.forget("colour", "pink")
    shop.forget("colour", "red")
    assert shop.info().attributes["colour"].values == ("blue", "green")
    with pytest.raises(InputError, match="needs two values"):
        shop.forget("colour", "blue")
    shop.forget("colour")
    assert shop.facets().attributes == {}
    with pytest.raises(InputError, match="no attribute is taught yet"):
        shop.predict([photos / "red0.jpg"])
    with pytest.raises(InputError, match="unknown look 'attribute:colour'"):
        shop.search(photos / "red0.jpg", looks={"attribute:colour": 1}, with_self=True)


def test_multi(shop: Catalogue, tmp_path: Path, photos: Path) -> None:
    table = tmp_path / "has.csv"
    rows = []
    for colour in COLOURS:
        for seed in range(200, 212):
            path = draw(tmp_path / "m" / f"{colour}{seed}.jpg", colour, seed, striped=seed % 2 == 1)
            rows.append((str(path), f"{colour}|{'striped' if seed % 2 else '!striped'}"))
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "has"), *rows])
    result = shop.teach("has", table, kind="multi")
    assert result.values == ("blue", "green", "red", "striped")
    counts = shop.tag().attributes["has"]
    assert all(counts[value] >= 9 for value in result.values)
    found = shop.search(photos / "red1.jpg", n=1, with_self=True)[0].attributes["has"]
    assert sorted(found) == ["red", "striped"]
    prediction = next(shop.predict([photos / "red1.jpg"])).predictions["has"]
    assert sorted(prediction.value or ()) == ["red", "striped"]
    assert isinstance(prediction.evidence[0].value, list)
    assert shop.facets(["has=striped"]).images == counts["striped"]


# search


def test_search_finds_itself_and_scores_are_the_weighted_sum(shop: Catalogue, photos: Path) -> None:
    for weights in ({"colour": 1.0}, {"texture": 2.0}, {"colour": 1.0, "semantic": 0.1}):
        hits = shop.search(photos / "green4.jpg", looks=weights, n=36, with_self=True)
        assert len(hits) == 36
        assert hits[0].image == str(photos / "green4.jpg")
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        for hit in hits:
            expected = sum(weight * hit.looks[look] for look, weight in weights.items())
            assert hit.score == pytest.approx(expected, abs=1e-4)


def test_minimum_score_leaves_out_the_rest(shop: Catalogue, photos: Path) -> None:
    image = photos / "green4.jpg"
    hits = shop.search(image, n=36, with_self=True)
    for limit in (hits[0].score, hits[7].score, hits[-1].score, hits[0].score + 0.1, -100.0):
        expected = [(hit.id, hit.score) for hit in hits if hit.score >= limit]
        for n in (36, 3):
            found = shop.search(image, n=n, min_score=limit, with_self=True)
            assert [(hit.id, hit.score) for hit in found] == expected[:n]
    with pytest.raises(InputError, match="min_score must be a finite number, got nan"):
        shop.search(image, min_score=float("nan"), with_self=True)


def test_search_by_colour_and_by_taught_look(shop: Catalogue, photos: Path, examples: Path) -> None:
    assert {
        colour_of(h.image)
        for h in shop.search(photos / "red0.jpg", looks={"colour": 1}, with_self=True)
    } == {"red"}
    shop.teach("colour", examples)
    hits = shop.search(
        photos / "blue2.jpg", looks={"attribute:colour": 1, "texture": 0.01}, n=12, with_self=True
    )
    assert {colour_of(hit.image) for hit in hits} == {"blue"}
    assert set(hits[0].looks) >= {"attribute:colour", "texture"}


def test_several_and_unlike_images(shop: Catalogue, photos: Path) -> None:
    pair = [photos / "red0.jpg", photos / "blue0.jpg"]
    colours = {
        colour_of(h.image) for h in shop.search(pair, looks={"colour": 1}, n=24, with_self=True)
    }
    assert colours == {"red", "blue"}
    hits = shop.search(
        pair, looks={"colour": 1}, unlike=[photos / "blue1.jpg"], n=12, with_self=True
    )
    assert {colour_of(hit.image) for hit in hits} == {"red"}


def test_filters_equal_a_plain_scan(shop: Catalogue, photos: Path, examples: Path) -> None:
    shop.teach("colour", examples)
    shop.tag()
    everything = shop.search(photos / "red0.jpg", n=100, with_self=True)
    for where, keep in (
        (["colour=red"], lambda v: v == "red"),
        (["colour=red", "colour=blue"], lambda v: v in ("red", "blue")),
        (["colour!=red"], lambda v: v != "red"),
    ):
        hits = shop.search(photos / "red0.jpg", where=where, n=100, with_self=True)
        expected = [h.id for h in everything if keep(h.attributes["colour"])]
        assert [h.id for h in hits] == expected


def test_bad_searches_say_what_there_is(shop: Catalogue, photos: Path, tmp_path: Path) -> None:
    image = photos / "red0.jpg"
    with pytest.raises(InputError, match="unknown look 'taste'; known: colour, texture"):
        shop.search(image, looks={"taste": 1}, with_self=True)
    with pytest.raises(InputError, match="unknown attribute 'size'"):
        shop.search(image, where=["size=big"], with_self=True)
    with pytest.raises(InputError, match="at least 1"):
        shop.search(image, n=0, with_self=True)
    with pytest.raises(InputError, match="at least one"):
        shop.search([])
    with pytest.raises(ImageError, match="no such file"):
        shop.search(tmp_path / "nowhere.jpg", with_self=True)


def test_an_empty_catalogue_answers(tmp_path: Path, runtime: FakeRuntime) -> None:
    image = draw(tmp_path / "a.jpg", "red", 0)
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.search(image, with_self=True) == []
        assert shop.facets().images == 0
        assert shop.verify() == []
        shop.rebuild()
        assert shop.export(tmp_path / "all.csv") == 0


# the folder


def test_what_a_killed_create_leaves_behind_is_no_obstacle(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / ".tmp-abc.json").write_text("{")
    (tmp_path / "shop" / "lock").touch()
    Catalogue.create(tmp_path / "shop", runtime=runtime).close()


def test_closing_lets_others_in(tmp_path: Path, runtime: FakeRuntime) -> None:
    for _ in range(3):
        Catalogue.create(tmp_path / "shop", runtime=runtime).close()
        Catalogue.open(tmp_path / "shop", runtime=runtime).close()
        shutil.rmtree(tmp_path / "shop")


def test_other_backbones_weights_and_formats_are_refused(
    shop: Catalogue, tmp_path: Path, runtime: FakeRuntime
) -> None:
    shop.close()
    with pytest.raises(CatalogueError, match="made with backbone fake, not resnet50"):
        Catalogue.open(shop.folder, backbone="resnet50")
    with pytest.raises(CatalogueError, match="index into a new catalogue"):
        Catalogue.open(shop.folder, runtime=FakeRuntime("other weights"))
    with pytest.raises(CatalogueError, match="is already a catalogue"):
        Catalogue.create(shop.folder, runtime=runtime)
    with pytest.raises(CatalogueError, match="is not a catalogue"):
        Catalogue.create(tmp_path / "photos", runtime=runtime)
    with pytest.raises(CatalogueError, match="gingham index"):
        Catalogue.open(tmp_path / "photos")
    state = shop.folder / "catalogue.json"
    state.write_text(
        state.read_text(encoding="utf-8").replace(f'"format": {FORMAT}', '"format": 9')
    )
    with pytest.raises(CatalogueError, match="has format 9"):
        Catalogue.open(shop.folder)
    state.write_text(state.read_text(encoding="utf-8").replace('"format": 9', '"format": 2'))
    Catalogue.open(shop.folder, runtime=runtime).close()


def test_everything_derived_can_be_lost(
    shop: Catalogue, photos: Path, examples: Path, runtime: FakeRuntime
) -> None:
    shop.teach("colour", examples)
    shop.tag()
    looks = {"colour": 1.0, "attribute:colour": 0.5}
    before = shop.search(photos / "red0.jpg", looks=looks, n=36, with_self=True)
    predicted = list(shop.predict([photos / "blue0.jpg"]))
    shop.close()
    shutil.rmtree(shop.folder / "index")
    (shop.folder / "attributes" / "colour" / "attribute.npz").write_bytes(b"junk")
    with Catalogue.open(shop.folder, runtime=runtime) as again:
        assert again.search(photos / "red0.jpg", looks=looks, n=36, with_self=True) == before
        assert list(again.predict([photos / "blue0.jpg"])) == predicted
        again.rebuild()
        assert again.search(photos / "red0.jpg", looks=looks, n=36, with_self=True) == before
        assert again.verify() == []


def test_a_damaged_index_is_rebuilt(shop: Catalogue, photos: Path, runtime: FakeRuntime) -> None:
    before = shop.search(photos / "red0.jpg", n=36, with_self=True)
    shop.close()
    for path in (shop.folder / "index").rglob("*"):
        if path.is_file() and path.name != "lock":
            path.write_bytes(b"damaged")
    with Catalogue.open(shop.folder, runtime=runtime) as again:
        assert again.search(photos / "red0.jpg", n=36, with_self=True) == before


def test_verify_finds_damage(shop: Catalogue) -> None:
    shop.close()
    (shard,) = (shop.folder / "features").glob("*.parquet")
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0xFF
    shard.write_bytes(data)
    with Catalogue.open(shop.folder) as again:
        assert any(shard.name in problem for problem in again.verify())


def test_export(shop: Catalogue, examples: Path, tmp_path: Path) -> None:
    shop.teach("colour", examples)
    shop.tag()
    assert shop.export(tmp_path / "out.parquet") == 36
    assert shop.export(tmp_path / "out.csv") == 36
    rows = pq.read_table(tmp_path / "out.parquet").to_pylist()
    with (tmp_path / "out.csv").open(newline="") as file:
        plain = list(csv.DictReader(file))
    assert [r["image"] for r in rows] == [r["image"] for r in plain]
    assert [r["colour"] for r in rows] == [r["colour"] for r in plain]
    assert set(rows[0]) == {*("image", "id", "colour", "colour_confidence", "colour_best_guess")}
    with pytest.raises(InputError, match=r"ends in \.parquet or \.csv"):
        shop.export(tmp_path / "out.xlsx")
    with pytest.raises(InputError, match=r"there is no folder .*nowhere: make it"):
        shop.export(tmp_path / "nowhere" / "out.csv")
    assert not (tmp_path / "nowhere").exists()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(StorageError, match="a folder is where a file should be"):
        shop.export(tmp_path / "folder.csv")


def test_info(shop: Catalogue, examples: Path) -> None:
    shop.teach("colour", examples)
    info = shop.info()
    assert (info.images, info.files, info.backbone) == (36, 36, "fake")
    assert info.looks == ("colour", "texture", "semantic", "attribute:colour")
    assert info.attributes["colour"].examples == 18
    assert info.bytes > 1000
