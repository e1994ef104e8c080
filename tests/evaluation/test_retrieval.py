from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.extra.numpy as npst
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import average_precision_score

from conftest import COLOURS, FakeRuntime, draw
from gingham.backbones.descriptors import rgb_histogram
from gingham.backbones.runtime import Runtime
from gingham.backbones.table import Descriptor
from gingham.catalogue import Catalogue
from gingham.errors import CatalogueError, InputError, ShapeError, StorageError
from gingham.evaluation.retrieval import RetrievalResult, evaluate_retrieval
from gingham.evaluation.retrieval.measures import colour_distances, draw_queries, judge, to_lab
from gingham.evaluation.retrieval.run import _picture
from gingham.options import MAX_PIXELS

Key = TypeVar("Key")
ALL = ("fc", "conv", "fc+conv", "fc+conv:balanced")


class DescribingRuntime(FakeRuntime):
    """The fake backbone with the descriptors: pixels again."""

    def __init__(self) -> None:
        super().__init__()
        made = (
            Descriptor("fc", ("head",)),
            Descriptor("conv", ("stem", "stage1"), 0.5),
            Descriptor("rgb", (), bins=4),
        )
        self.config = replace(self.config, descriptors=made)

    def stream(
        self,
        images: Iterable[tuple[Key, NDArray[np.uint8] | None]],
        layers: Sequence[str] | None = None,
    ) -> Iterator[tuple[Key, dict[str, NDArray[np.float32]] | None]]:
        pooled = [x.name for x in self.config.layers]
        given = list(images)
        for (key, features), (_, image) in zip(super().stream(given, pooled), given, strict=True):
            if features is not None and image is not None:
                features["fc"] = features["head"][:12]
                features["conv"] = np.concatenate([features["stem"][:3], features["stage1"][:8]])
                features["rgb"] = rgb_histogram(image, 4)
                features = {name: features[name] for name in layers or self.config.widths}
            yield key, features


@pytest.fixture
def labels(photos: Path) -> Path:
    table = photos.parent / "labels.csv"
    lines = ["image,class"]
    lines += [
        f"photos/{name.name},{name.stem.rstrip('0123456789')}" for name in sorted(photos.iterdir())
    ]
    table.write_text("\n".join(lines))
    return table


def run(collection: Path, labels: Path, out: Path, **options: Any) -> RetrievalResult:
    options = dict[str, Any](runtime=DescribingRuntime(), descriptors=ALL) | options
    return evaluate_retrieval(collection, labels, out, **options)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), images=st.integers(3, 14))
def test_ranking_measures_equal_a_plain_count(data: st.DataObject, images: int) -> None:
    levels = st.sampled_from([0.0, 0.25, 0.5, 1.0])
    scores = data.draw(npst.arrays(np.float32, (2, images), elements=levels))
    relevant = data.draw(npst.arrays(np.bool_, (2, images)))
    allowed = data.draw(npst.arrays(np.bool_, (2, images)))
    relevant[:, 0] = allowed[:, 0] = True
    judged = judge(scores, relevant, allowed)
    for query in range(2):
        there = np.flatnonzero(allowed[query])
        order = there[np.argsort(-scores[query, there], kind="stable")].tolist()
        hits = [bool(relevant[query, i]) for i in order]
        assert [i for i in judged.best[query].tolist() if i >= 0] == order[:10]
        for place, k in enumerate((1, 5, 10)):
            assert judged.precision[query, place] == pytest.approx(np.mean(hits[:k]))
            assert judged.recall[query, place] == pytest.approx(sum(hits[:k]) / sum(hits))
        ranks = -np.arange(len(hits))
        assert judged.average_precision[query] == pytest.approx(
            average_precision_score(hits, ranks)
        )


def test_of_many_images_some_are_queries_and_all_are_answers(
    photos: Path, labels: Path, tmp_path: Path
) -> None:
    whole = run(photos, labels, tmp_path / "out", descriptors=["fc"])
    assert (whole.queries, whole.possible) == (36, 36)
    for most in (7, 36, 0):
        some = run(photos, labels, tmp_path / "out", descriptors=["fc"], max_queries=most)
        assert (some.queries, some.possible, len(some.images)) == (most or 36, 36, 36)
        if most != 7:
            assert some.methods == whole.methods
    page = (tmp_path / "out" / "retrieval.html").read_text(encoding="utf-8")
    assert "36 queries;" in page
    some = run(photos, labels, tmp_path / "out", descriptors=["fc"], max_queries=7)
    page = (tmp_path / "out" / "retrieval.html").read_text(encoding="utf-8")
    assert "7 queries, drawn at random of 36;" in page
    with pytest.raises(InputError, match="max_queries must be 0"):
        run(photos, labels, tmp_path / "out", max_queries=-1)


def test_ranking_refuses_what_cannot_be_judged() -> None:
    yes, no = np.ones((1, 2), bool), np.zeros((1, 2), bool)
    with pytest.raises(InputError, match="each query needs"):
        judge(np.zeros((1, 2), np.float32), no, yes)
    with pytest.raises(ShapeError, match="relevant"):
        judge(np.zeros((1, 3), np.float32), yes, yes)


def test_histograms() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    for bins in (2, 16, 100, 256):
        got = rgb_histogram(image, bins)
        expected = np.zeros((3, bins))
        for pixel in image.reshape(-1, 3).tolist():
            for channel, value in enumerate(pixel):
                expected[channel, value * bins // 256] += bins / 63
        np.testing.assert_allclose(got, expected.ravel(), rtol=1e-5)
        assert got.mean() == pytest.approx(1)
    black, white = (np.full((2, 2, 3), v, np.uint8) for v in (0, 255))
    pair = np.stack([rgb_histogram(black, 16), rgb_histogram(white, 16)])
    found = np.array([0, 1, 1, -1])
    assert colour_distances(pair, 0, found) == pytest.approx((4 / 3, 4 / 3))
    with pytest.raises(InputError, match="bins must be from 2 to 256, got 1"):
        rgb_histogram(black, 1)


def test_lab() -> None:
    # Of sRGB at D50: CIE's published values, rounded to bytes.
    known = {
        (255, 255, 255): (100, 0, 0),
        (0, 0, 0): (0, 0, 0),
        (255, 0, 0): (54.3, 80.8, 69.9),
        (0, 0, 255): (29.6, 68.3, -112.0),
        (0, 255, 0): (87.8, -79.3, 81.0),
    }
    for colour, (lightness, a, b) in known.items():
        expected = (lightness * 2.55, a + 128, b + 128)
        got = to_lab(Image.new("RGB", (2, 3), colour))
        assert got.shape == (3, 2, 3)
        np.testing.assert_allclose(got, np.broadcast_to(expected, (3, 2, 3)), atol=1)


def test_queries_are_drawn_of_different_classes() -> None:
    classes = np.repeat(np.arange(12), 5)
    drawn = draw_queries(classes, 10, np.random.default_rng(0))
    assert len({*classes[drawn].tolist()}) == 10
    assert len(draw_queries(classes[:15], 10, np.random.default_rng(0))) == 3


def test_a_folder_is_indexed_and_everything_is_compared(
    photos: Path, labels: Path, tmp_path: Path
) -> None:
    result = run(photos, labels, tmp_path / "out", looks=["colour=1", "semantic=1,conv=0.5"])
    assert [m.name for m in result.methods] == [*ALL, "colour=1", "semantic=1,conv=0.5"]
    assert result.queries == 36
    assert result.failed == 0
    assert result.drawn == 3
    colour = result.methods[4]
    assert colour.precision[1] > 0.9
    for method in result.methods:
        # One relevant answer among the first is one of eleven.
        assert method.recall[1] == pytest.approx(method.precision[1] / 11)
        assert method.colour_drawn[10].mean == pytest.approx(method.colour[10].mean, rel=0.1)
        assert 0 < method.colour_lab[5].mean < 2
    with (tmp_path / "out" / "retrieval.csv").open() as file:
        (first, *_) = csv.DictReader(file)
    assert float(first["precision@10"]) == result.methods[0].precision[10]
    stored = json.loads((tmp_path / "out" / "retrieval.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(result.to_dict()))
    page = (tmp_path / "out" / "retrieval.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg") >= 3
    again = run(photos, labels, tmp_path / "out", descriptors=["fc"])
    assert again.methods == result.methods[:1]


def test_descriptors_equal_a_plain_scan(photos: Path, labels: Path, tmp_path: Path) -> None:
    runtime = DescribingRuntime()
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([photos])
    result = run(tmp_path / "shop", labels, tmp_path / "out", runtime=runtime)
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        ids = [shop._truth.find(image) for image in result.images]
        vectors = shop._truth.features.get([i for i in ids if i], ["fc", "conv"])
    joined = np.concatenate([vectors["fc"], vectors["conv"]], axis=1).astype(np.float64)
    for name, rows in (("fc", vectors["fc"]), ("fc+conv", joined)):
        (found,) = [one.found[name] for one in result.searches][:1]
        query = result.searches[0].query
        distances = np.abs(rows.astype(np.float64) - rows[query].astype(np.float64)).mean(1)
        distances[query] = np.inf
        np.testing.assert_allclose(distances[found], np.sort(distances)[:10], rtol=1e-4)


def test_groups_are_no_answers_to_each_other(photos: Path, tmp_path: Path) -> None:
    table = tmp_path / "grouped.csv"
    rows = [f"photos/{c}{s}.jpg,{c},{c if s < 11 else ''}" for c in COLOURS for s in range(12)]
    table.write_text("\n".join(["image,class,group", *rows]))
    result = run(photos, table, tmp_path / "out", group_column="group", descriptors=["fc"])
    assert result.queries == 36
    assert result.methods[0].precision[10] <= 0.2
    for one in result.searches:
        same = [r for r in one.found["fc"] if result.classes[r] == result.classes[one.query]]
        # Eleven of a group have only the twelfth to find, and it has all of them.
        assert len(same) <= 1 or result.images[one.query].endswith("11.jpg")


def test_what_cannot_be_compared_is_said(photos: Path, labels: Path, tmp_path: Path) -> None:
    (photos / "odd.jpg").write_text("no image")
    (photos / "half.jpg").write_bytes((photos / "red2.jpg").read_bytes()[:500])
    shutil.copy(photos / "red3.jpg", photos / "again.jpg")
    shutil.copy(photos / "red4.jpg", photos / "other.jpg")
    more = ["odd.jpg,red", "odd.jpg,red", "gone.jpg,red", "half.jpg,red", "red0.jpg,blue"]
    more += ["red1.jpg,", "again.jpg,red", "red5.jpg,red", "other.jpg,green"]
    labels.write_text(
        "\n".join([labels.read_text(encoding="utf-8"), *(f"photos/{row}" for row in more)])
    )
    result = run(photos, labels, tmp_path / "out", descriptors=["fc"])
    reasons = {Path(f.image).name: f.reason for f in result.failures}
    assert len(reasons) == result.failed == 6
    assert "given 2 classes (blue, red)" in reasons["red0.jpg"]
    assert "given 2 classes (green, red)" in reasons["red4.jpg"]
    assert reasons["other.jpg"] == reasons["red4.jpg"]
    assert "not an image" in reasons["odd.jpg"]
    assert "no such file" in reasons["gone.jpg"]
    assert "damaged or truncated" in reasons["half.jpg"]
    assert (result.unlabelled, result.copies) == (1, 2)
    assert len(result.images) == 34
    labels.write_text("image,class\nphotos/half.jpg,red\nphotos/gone.jpg,red")
    with pytest.raises(InputError, match=r"can be compared; .*half\.jpg: damaged or truncated"):
        run(photos, labels, tmp_path / "out", descriptors=["fc"])


def test_an_image_of_two_classes_in_one_row_is_refused(
    photos: Path, labels: Path, tmp_path: Path
) -> None:
    with labels.open() as file:
        rows = [{"image": row["image"], "class": [row["class"]]} for row in csv.DictReader(file)]
    rows[0]["class"] = ["crab", "red"]
    table = labels.with_suffix(".parquet")
    pq.write_table(pa.Table.from_pylist(rows), table)
    with pytest.raises(InputError, match=r"row 2: several values \('crab', 'red'\)"):
        run(photos, table, tmp_path / "out", descriptors=["fc"])
    result = run(photos, table, tmp_path / "out", descriptors=["fc"], skip_bad_rows=True)
    assert [(one.row, one.reason[:14]) for one in result.bad_rows] == [(2, "several values")]
    assert len(result.images) == 35


def test_colours_of_large_pictures_are_counted_alike_in_every_format(tmp_path: Path) -> None:
    pixels = np.zeros((1040, 1200, 3), np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = 220
    pixels[:, 800:] //= 2
    found = []
    for name in ("fine.png", "fine.jpg"):
        Image.fromarray(pixels).save(tmp_path / name, quality=95)
        picture = _picture(str(tmp_path / name), MAX_PIXELS)
        assert picture.size == (300, 260)
        found.append(rgb_histogram(np.asarray(picture), 4))
    # Not the black and the white of the pattern, but the grey that is seen.
    np.testing.assert_allclose(found[0], np.tile([4 / 3, 8 / 3, 0, 0], 3), rtol=0.02)
    np.testing.assert_allclose(found[1], found[0], atol=0.05)


def test_what_is_not_there_is_refused(
    photos: Path, labels: Path, tmp_path: Path, runtime: Runtime
) -> None:
    with Catalogue.create(tmp_path / "plain", runtime=runtime) as shop:
        shop.index([photos])
    with pytest.raises(InputError, match=r"does not store descriptor fc.*--descriptors fc,conv"):
        run(tmp_path / "plain", labels, tmp_path / "out", runtime=runtime)
    result = run(
        tmp_path / "plain",
        labels,
        tmp_path / "out",
        runtime=runtime,
        descriptors=(),
        looks=["colour=1"],
    )
    assert result.methods[0].precision[1] > 0.9
    for options, said in (
        ({"descriptors": ["pool"]}, "unknown descriptor 'pool'; known: fc, conv"),
        ({"descriptors": ["fc", "fc"]}, "fc is given twice"),
        ({"descriptors": []}, "nothing to compare"),
        ({"looks": ["hue=1"]}, "unknown look 'hue'"),
        ({"looks": ["attribute:colour=1"]}, "attribute:colour is taught.*give colour, texture"),
        ({"looks": ["semantic=1, semantic=5"]}, "look semantic is given twice"),
        ({"looks": ["rgb=1e39,fc=1"]}, "weight of look 'rgb' must be from 0 to 1,000,000, got 1e"),
        ({"bins": 0}, "bins must be from 2 to 256"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"class_column": "kind"}, "no column 'kind'"),
    ):
        with pytest.raises(InputError, match=said):
            run(photos, labels, tmp_path / "out", **options)
    with pytest.raises(StorageError, match=r"labels\.csv cannot be used .*choose another place"):
        run(photos, labels, labels)
    with pytest.raises(InputError, match="neither a catalogue nor a folder"):
        run(tmp_path / "nowhere", labels, tmp_path / "out")
    lonely = tmp_path / "lonely.csv"
    lonely.write_text("image,class\nphotos/red0.jpg,a\nphotos/red1.jpg,b\n")
    with pytest.raises(InputError, match="no two images"):
        run(photos, lonely, tmp_path / "out")


def test_search_by_descriptors_is_exact_and_mixes(photos: Path, tmp_path: Path) -> None:
    runtime = DescribingRuntime()
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([photos])
        image = str(photos / "red0.jpg")
        named = {name: [name] for name in ("fc", "conv", "rgb")} | {"fc+conv": ["fc", "conv"]}
        for look, names in named.items():
            hits = shop.search(image, looks={look: 1}, n=36, with_self=True)
            stored = shop._truth.features.get([bytes.fromhex(h.id) for h in hits], names)
            rows = np.concatenate([stored[name] for name in names], axis=1).astype(np.float32)
            distances = np.abs(rows - rows[0]).mean(axis=1)
            assert hits[0].looks[look] == pytest.approx(1)
            assert (np.diff(distances) >= -1e-6).all()
            scale = (1 - hits[-1].looks[look]) / distances[-1]
            got = [1 - hit.looks[look] for hit in hits]
            np.testing.assert_allclose(got, scale * distances, rtol=1e-3, atol=1e-5)
        mixed = shop.search(image, looks={"conv": 1, "semantic": 0.5}, n=36, with_self=True)
        for hit in mixed:
            expected = hit.looks["conv"] + 0.5 * hit.looks["semantic"]
            assert hit.score == pytest.approx(expected, abs=1e-4)
        alone = {
            hit.id: hit.looks["fc"]
            for hit in shop.search(image, looks={"fc": 1}, n=36, with_self=True)
        }
        red = shop.search(
            image, looks={"fc": 1}, unlike=[photos / "blue0.jpg"], n=36, with_self=True
        )
        blue = {
            hit.id: hit.looks["fc"]
            for hit in shop.search(photos / "blue0.jpg", looks={"fc": 1}, n=36, with_self=True)
        }
        for hit in red:
            turned = alone[hit.id] + 0.5 * (1 - blue[hit.id])
            assert hit.looks["fc"] == pytest.approx(turned, abs=1e-4)
        # An image from outside is read; images that come and go are seen.
        outside = draw(tmp_path / "new.jpg", "red", 77)
        found = shop.search(outside, looks={"fc": 1}, with_self=True)[0]
        assert Path(found.image).name.startswith("red")
        shop.index([outside])
        shop.remove([photos / "red0.jpg"])
        hits = shop.search(outside, looks={"fc": 1}, n=40, with_self=True)
        assert Path(hits[0].image).name == "new.jpg"
        assert len(hits) == 36
        shop.rebuild()
        assert [h.id for h in shop.search(outside, looks={"fc": 1}, n=40, with_self=True)] == [
            h.id for h in hits
        ]
        assert shop.verify() == []
        with pytest.raises(InputError, match="unknown look 'pool'"):
            shop.search(outside, looks={"pool": 1}, with_self=True)
        with pytest.raises(InputError, match="weight of look 'conv' must be from 0 to 1,000,000"):
            shop.search(outside, looks={"conv": 1e39}, with_self=True)


def test_a_damaged_look_is_made_again(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = DescribingRuntime()
    image, looks = photos / "red0.jpg", {"fc+conv": 1.0}
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([photos])
        expected = shop.search(image, looks=looks, with_self=True)
    for damage in (lambda b: b[:-5], lambda b: b[:-48], lambda b: b + b[:4], lambda _: b"", None):
        file = sorted((tmp_path / "shop").rglob("*.f32"))[0]
        if damage is None:
            file.unlink()
        else:
            file.write_bytes(damage(file.read_bytes()))
        with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
            caplog.clear()
            assert shop.search(image, looks=looks, with_self=True) == expected
            assert f"{file.name} cannot be read" in caplog.text
    with Catalogue.open(tmp_path / "shop", runtime=runtime) as shop:
        assert shop.search(image, looks=looks, with_self=True) == expected
        sorted((tmp_path / "shop").rglob("*.f32"))[0].write_bytes(b"")
        assert shop.search(image, looks=looks, with_self=True) == expected  # from a copy of its own
        shop.rebuild()
        assert shop.search(image, looks=looks, with_self=True) == expected


def test_descriptors_are_a_part_of_the_catalogue(
    photos: Path, examples: Path, tmp_path: Path, runtime: Runtime
) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=DescribingRuntime()) as shop:
        shop.index([photos])
        assert shop.info().looks == (
            "colour",
            "texture",
            "semantic",
            "fc",
            "conv",
            "rgb",
            "fc+conv",
        )
        # Taught attributes read the hidden layers alone.
        assert shop.teach("colour", examples).accuracy == pytest.approx(1, abs=0.2)
        shop.tag()
    with pytest.raises(CatalogueError, match="stores fc, conv, rgb descriptors, not fc: leave"):
        Catalogue.open(tmp_path / "shop", descriptors=["fc"], runtime=DescribingRuntime())
    with Catalogue.create(tmp_path / "plain", runtime=runtime) as shop:
        shop.index([photos])
        assert "descriptors" not in shop.config.to_dict()
        with pytest.raises(InputError, match="does not store it; index into a new"):
            shop.search(photos / "red0.jpg", looks={"conv": 1}, with_self=True)
    for kept in ("fc", "rgb"):
        described = DescribingRuntime()
        described.config = replace(
            described.config,
            descriptors=tuple(x for x in described.config.descriptors if x.name == kept),
        )
        with Catalogue.create(tmp_path / kept, runtime=described) as shop:
            shop.index([photos])
            assert shop.info().looks == ("colour", "texture", "semantic", kept)
            assert (
                shop.search(photos / "red0.jpg", looks={kept: 1}, with_self=True)[0].looks[kept]
                == 1
            )
            for other in {"fc", "rgb", "fc+conv"} - {kept}:
                with pytest.raises(InputError, match=r"does not store it.*fc,conv,rgb"):
                    shop.search(photos / "red0.jpg", looks={other: 1}, with_self=True)
    with pytest.raises(CatalogueError, match="stores no descriptors, not fc: leave"):
        Catalogue.open(tmp_path / "plain", descriptors=["fc"], runtime=runtime)
    with pytest.raises(InputError, match="unknown descriptor 'neck': give some of fc, conv"):
        Catalogue.open(tmp_path / "plain", descriptors=["neck"], runtime=runtime)


def test_the_page_in_a_browser(browser: Any, photos: Path, labels: Path, tmp_path: Path) -> None:
    run(photos, labels, tmp_path / "out", looks=["semantic=1,colour=0.5"])
    for width, scheme in ((1300, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.goto((tmp_path / "out" / "retrieval.html").as_uri())
        tiles = page.evaluate(
            "[...document.querySelectorAll('.tile i')]"
            ".map((i) => getComputedStyle(i).backgroundImage.slice(0, 15))"
        )
        assert len(tiles) == 3 * (1 + 5 * 10)
        assert set(tiles) == {'url("data:image'}
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # A name breaks between looks only, and its count stands apart.
        lines = page.evaluate(
            "[...document.querySelectorAll('th[scope=row]')].map((head) => {"
            " const text = document.createRange(); text.selectNodeContents(head);"
            " return new Set([...text.getClientRects()].map((r) => r.top)).size; })"
        )
        assert lines[:4] == [1] * 4
        assert lines[4] <= 2
        names = page.evaluate(
            "[...document.querySelectorAll('.strip > span')].map((s) => s.innerText)"
        )
        assert all(re.fullmatch(r"\S+\s\d+ of 10", name) for name in names), names[:5]
        assert said == []


def test_the_command_line(photos: Path, labels: Path, tmp_path: Path) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=DescribingRuntime()) as shop:
        shop.index([photos])
    asked = (
        "evaluate",
        "retrieval",
        tmp_path / "shop",
        "--labels",
        labels,
        "--out",
        tmp_path / "o",
    )
    done = gingham(*asked, "--descriptors", "fc+conv", "--looks", "colour=1", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [method["name"] for method in said["methods"]] == ["fc+conv", "colour=1"]
    assert said == json.loads((tmp_path / "o" / "retrieval.json").read_text(encoding="utf-8"))
    (photos / "red0.jpg").unlink()
    done = gingham(*asked, "--bins", "8")
    assert done.returncode == 1
    assert "red0.jpg: no such file" in done.stderr
    assert "fc+conv:balanced" in done.stdout
    assert "35 queries, 35 images" in done.stdout
    looks = "semantic=1,texture=0.25,colour=0.3"
    done = gingham(*asked, "--looks", looks)
    heads, base, *_, mixture = done.stdout.splitlines()[:6]
    assert " ".join(heads.split()[-9:]) == "P@10 vs fc colours vs fc Lab vs fc"
    assert base.split()[-5:] == ["+0.0", "+0.0", "%", "+0.0", "%"]
    # Piped, no name wraps.
    assert mixture.split()[0] == looks
    done = gingham(*asked, "--descriptors", "pool")
    assert done.returncode == 2
    assert "unknown descriptor 'pool'" in done.stderr
    done = gingham(
        "search",
        tmp_path / "shop",
        photos / "red1.jpg",
        "--look",
        "conv=1",
        "--with-self",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[0])
    assert first["looks"]["conv"] == pytest.approx(1)
    done = gingham("index", tmp_path / "shop", photos, "--descriptors", "conv")
    assert done.returncode == 2
    assert "stores fc, conv, rgb descriptors, not conv: leave --descriptors out" in done.stderr
    done = gingham("index", tmp_path / "new", photos, "--descriptors", ",")
    assert done.returncode == 2
    assert "--descriptors is empty" in done.stderr
    assert not (tmp_path / "new").exists()


def gingham(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gingham", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
