"""A catalogue in notebooks and beside other libraries: arrays, tables, pictures of results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import gingham
from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.curation.result import CurationResult
from gingham.errors import ImageError, InputError
from gingham.explaining.explanation import Explanation, ImageExplanations
from gingham.report.notebook import MOST, HitList
from gingham.results import Evidence, Failure, Result


@pytest.fixture
def shop(tmp_path: Path, photos: Path, runtime: FakeRuntime) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "shop", runtime=runtime) as catalogue:
        catalogue.index([photos])
        catalogue.teach("tint", {photos / f"{c}{i}.jpg": c for c in COLOURS for i in range(4)})
        catalogue.tag()
        yield catalogue


def test_features_are_those_that_are_stored(shop: Catalogue) -> None:
    found = shop.features(["head", "stem"])
    assert found.ids == list(shop.images())
    assert [files[0] for files in shop.images().values()] == found.images
    assert found.blocks == (("head", 0, 24), ("stem", 24, 30))
    assert found.X.shape == (36, 30)
    assert found.X.dtype == np.float16
    for image_id, row in zip(found.ids, found.X, strict=True):
        stored = shop._truth.features.get([bytes.fromhex(image_id)], ["head", "stem"])
        np.testing.assert_array_equal(row, np.concatenate([stored["head"][0], stored["stem"][0]]))
    some = shop.features(images=found.ids[4:1:-1])
    assert some.ids == found.ids[4:1:-1]
    assert [name for name, _, _ in some.blocks] == list(shop._truth.layers)
    assert "36 images" in repr(found)
    for layers, images, says in ((["haed"], None, "did you mean 'head'"), (None, ["x"], "the id")):
        with pytest.raises(InputError, match=says):
            shop.features(layers, images=images)
    with pytest.raises(InputError, match="no layer"):
        shop.features([])


def test_the_table_is_that_of_export(shop: Catalogue, tmp_path: Path) -> None:
    shop.export(tmp_path / "tags.parquet")
    expected = pq.read_table(tmp_path / "tags.parquet")
    assert shop.to_arrow().equals(expected)
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = shop.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == expected.column_names
    assert frame["tint"].tolist() == expected["tint"].to_pylist()
    # What it says can be taught.
    shop.teach("again", frame.rename(columns={"tint": "again"})[["image", "again"]])
    assert shop.info().attributes["again"].values == shop.info().attributes["tint"].values


def test_pairs_and_frames_teach_as_a_mapping_does(shop: Catalogue, photos: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    pairs = [(str(photos / f"{c}{i}.jpg"), c) for c in COLOURS for i in range(4)]
    frame = pandas.DataFrame(pairs, columns=["picture", "colour"])
    frame.loc[len(frame)] = [str(photos / "red9.jpg"), None]
    by_map = shop.teach("a", dict(pairs))
    by_pairs = shop.teach("b", pairs)
    by_frame = shop.teach("c", frame, image_column="picture", value_column="colour")
    assert by_map.examples == by_pairs.examples == by_frame.examples == 12
    assert by_frame.unlabelled == 1
    taught = shop._attributes.taught()
    for one in ("b", "c"):
        assert [e.id for e in taught[one].examples] == [e.id for e in taught["a"].examples]
    multi = [(image, [value, "!blue" if value == "red" else "!red"]) for image, value in pairs]
    assert shop.teach("d", multi, kind="multi").kind == "multi"


@pytest.mark.parametrize(
    ("examples", "more", "says"),
    [
        ([("a.jpg", "red"), ("a.jpg", "blue")], {}, "has the values 'red' and 'blue'"),
        (["ab"], {}, "example 0 is no pair"),
        ([("a.jpg", "red", "x")], {}, "example 0 is no pair"),
        ([("a.jpg", "red")], {"value_column": "x"}, "go with a table"),
    ],
)
def test_what_is_no_example_is_refused(
    shop: Catalogue, examples: Any, more: dict[str, str], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        shop.teach("e", examples, **more)  # type: ignore[arg-type]


def test_a_frame_without_the_column_is_refused(shop: Catalogue) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({"image": ["a.jpg"], "colr": ["red"]})
    with pytest.raises(InputError, match="has no column 'colour'"):
        shop.teach("colour", frame)
    with pytest.raises(InputError, match="groups go with a table on disk"):
        shop.teach("colr", frame, group_column="image")


def test_results_show_themselves(
    shop: Catalogue, photos: Path, tmp_path: Path, browser: Any
) -> None:
    hits = shop.search(photos / "red0.jpg", n=30)
    assert isinstance(hits, HitList)
    html = hits._repr_html_()
    assert html.count("data:image/jpeg") == MOST
    assert "and 6 more" in html
    assert "red1.jpg" in repr(hits)
    assert repr(HitList()) == "no hits"
    evil = draw(tmp_path / "<img src=x onerror=alert(1)>.jpg", "red", 99)
    (answer,) = shop.predict([evil])
    heat = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)
    said_of = answer.predictions["tint"]
    one = Explanation(
        *("tint", "<i>red</i>", 0.9, said_of, "projection", 1.0, {"stem": 1.0}, heat, (0, 0, 1, 1))
    )
    picture = np.asarray(Image.open(evil))
    why = ImageExplanations(str(evil), (one,), picture)
    bad = ImageExplanations("<b>.jpg", error="no such file")
    pages = [html, answer._repr_html_(), why._repr_html_(), bad._repr_html_()]
    page = browser.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.set_content("".join(map(str, pages)))
    assert page.locator("img").count() == MOST + 1 + 2
    text = page.locator("body").inner_text()
    assert "<img src=x onerror=alert(1)>.jpg" in text
    assert "<i>red</i>" in text
    assert "no such file" in text
    # Every picture is there and every bar is as wide as its number says.
    assert page.evaluate("[...document.images].every((one) => one.naturalWidth > 0)")
    assert said == []
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    page.close()
    assert repr(shop) == f"<Catalogue {shop.folder}: 36 images; taught: tint>"


def test_counts_and_what_to_review_are_shown_with_bars(shop: Catalogue, photos: Path) -> None:
    taught = shop.teach("<i>", {photos / f"{c}{i}.jpg": c for c in COLOURS for i in range(6)})
    tagged, found = shop.tag(), shop.review("tint", n=3)
    judged = taught.verdict
    assert judged is not None
    pages: list[tuple[Result, tuple[str, ...]]] = [
        (taught, (f"&lt;i&gt;, {judged.sentence}", f"{judged.values[0].right} of 6")),
        (tagged, ("tint", "&lt;i&gt;", ">unknown</span>")),
        (shop.facets(["tint=red"]), ("width:100.0%", ">12</span>")),
        (found, (found.items[0].reason, f"and {found.total - 3} more")),
        (found.items[0], (found.items[0].reason, "data:image/jpeg")),
    ]
    for one, says in pages:
        html = str(one._repr_html_())
        assert all(part in html for part in says), type(one)
        assert "<i>" not in html
    hit = shop.search(photos / "red0.jpg")[0]
    assert "data:image/jpeg" in str(hit._repr_html_())
    (answer,) = shop.predict([photos / "red0.jpg"])
    assert ">red</span>" in str(answer.predictions["tint"]._repr_html_())
    assert shop.info()._repr_html_() is None


def test_a_result_is_told_in_short(shop: Catalogue, photos: Path) -> None:
    """Every result is: empty fields are left out, long ones shortened, none is lost in JSON."""
    (answer,) = shop.predict([photos / "red0.jpg"])
    pairs = [(photos / f"{c}{i}.jpg", c) for c in COLOURS for i in range(4)]
    results = [shop.info(), shop.tag(), shop.review("tint"), answer, shop.search(answer.image)[0]]
    for one in (*results, shop.index([photos]), shop.teach("b", pairs)):
        assert repr(one).startswith(f"{type(one).__name__}(")
        assert "=()" not in repr(one)
        assert len(repr(one)) < 1500
    one = Failure("a" * 500, "x")
    assert len(repr(one)) < 100
    assert one.to_dict()["image"] == "a" * 500
    assert repr(Evidence("a.jpg", "red", 1 / 3)) == (
        "Evidence(image='a.jpg', value='red', distance=0.3333)"
    )
    todo: list[type] = [Result]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        assert getattr(kind, "__repr__") == getattr(Result, "__repr__"), kind  # noqa: B009


def test_a_pipeline_from_paths_to_attributes(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.pipeline import make_pipeline

    monkeypatch.setattr(
        "gingham.attributes.image_features.load_runtime", lambda *given, **more: FakeRuntime()
    )
    paths = [str(photos / f"{c}{i}.jpg") for c in COLOURS for i in range(8)]
    values = [c for c in COLOURS for _ in range(8)]
    features = gingham.ImageFeatures(layers=["stem", "stage2"]).fit(paths)
    assert features.blocks_ == (("stem", 0, 6), ("stage2", 6, 22))
    model = make_pipeline(features, gingham.AttributeClassifier(blocks=features.blocks_))
    model.fit(paths, values)
    new = [str(photos / f"{c}{i}.jpg") for c in COLOURS for i in (8, 9)]
    assert list(model.predict(new)) == [c for c in COLOURS for _ in range(2)]
    assert features.transform([]).shape == (0, 22)
    assert sklearn.base.clone(features).get_params()["layers"] == ["stem", "stage2"]
    with pytest.raises(ImageError, match=r"nowhere\.jpg"):
        features.transform(["nowhere.jpg"])
    with pytest.raises(InputError, match="unknown layer 'x'"):
        gingham.ImageFeatures(layers=["x"]).fit(paths)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        gingham.ImageFeatures().transform(paths)


def test_features_of_a_pipeline_are_those_of_a_catalogue(
    shop: Catalogue, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    monkeypatch.setattr(
        "gingham.attributes.image_features.load_runtime", lambda *given, **more: FakeRuntime()
    )
    found = shop.features(["stem", "head"])
    made = gingham.ImageFeatures(layers=["stem", "head"]).fit_transform(found.images)
    np.testing.assert_array_equal(made, found.X.astype(np.float32))


def test_a_curation_is_shown_with_what_was_kept_and_removed() -> None:
    removed = {"duplicates": 3, "<b>": 0}
    one = CurationResult(
        table="out/clean.csv",
        parquet="out/clean.parquet",
        report="out/<report>.html",
        rows=12,
        kept=9,
        removed=removed,
        flagged=2,
        splits={"train": 6, "test": 3},
        failed=0,
        ignored={},
        stages={},
        seconds=1.0,
    )
    html = str(one._repr_html_())
    assert "12 rows, 2 labels probably wrong: see out/&lt;report&gt;.html" in html
    assert "<b>:" not in html
    for share in ("75.0", "25.0", "66.7"):
        assert f"width:{share}%" in html
