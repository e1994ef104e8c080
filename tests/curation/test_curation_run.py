"""A whole curation of drawn pictures, on a tiny fake backbone; its page in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from test_curation_copies import scene

import gingham
import gingham.cli
from conftest import COLOURS, FakeRuntime, draw
from gingham.curation import CurationConfig, CurationResult, curate
from gingham.curation.config import (
    DuplicatesSection,
    InvalidSection,
    LabelErrorsSection,
    PicturesSection,
    SplitSection,
    TableSection,
    ValuesSection,
)
from gingham.curation.copies import Difference
from gingham.curation.duplicates import Link, without_doubtful
from gingham.curation.spreads import spread
from gingham.errors import InputError, StorageError
from gingham.store.files import write_csv

pytest.importorskip("faiss", reason="faiss-cpu comes with the extra `train`")
pytest.importorskip("cleanlab", reason="cleanlab comes with the extra `train`")

SMALL = CurationConfig(
    pictures=PicturesSection(min_side=20),
    values=ValuesSection(min_count=2, rules=("hue: azure -> blue",)),
)


class Loader:
    """Loads the fake backbone, and remembers the runtimes it gave."""

    def __init__(self) -> None:
        self.loaded: list[FakeRuntime] = []

    def __call__(
        self, backbone: str, weights: str | Path | None = None, *, device: str
    ) -> FakeRuntime:
        self.loaded.append(FakeRuntime())
        return self.loaded[-1]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A table of 80 pictures with every fault a stage is for."""
    folder = tmp_path / "shop"
    rows: list[tuple[str, str, str]] = []
    for seed in range(20):
        for hue in COLOURS:
            draw(folder / f"{hue}{seed}.png", hue, seed, striped=seed % 2 == 0)
            rows.append((f"{hue}{seed}.png", hue, "striped" if seed % 2 == 0 else "plain"))
    for seed in range(8):
        scene(seed).save(folder / f"scene{seed}.jpg", quality=90)
        rows.append((f"scene{seed}.jpg", "azure", ""))
    with Image.open(folder / "scene0.jpg") as picture:
        picture.save(folder / "again.jpg", quality=60)
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / "mirror.jpg", quality=80)
    shutil.copy(folder / "scene1.jpg", folder / "same.jpg")
    (folder / "broken.jpg").write_bytes((folder / "scene2.jpg").read_bytes()[:300])
    Image.new("RGB", (40, 40), "white").save(folder / "blank.png")
    scene(50, (200, 30)).save(folder / "long.png")
    scene(51, (12, 14)).save(folder / "tiny.png")
    rows += [
        ("again.jpg", "azure", "odd"), ("mirror.jpg", "red", "plain"),
        ("same.jpg", "NA", "striped"),
        ("broken.jpg", "red", "plain"), ("gone.jpg", "red", "plain"), ("blank.png", "red", "plain"),
        ("long.png", "red", "plain"), ("tiny.png", "red", "plain"),
    ]  # fmt: skip
    rows[0] = (rows[0][0], "blue", rows[0][2])
    with (tmp_path / "shop" / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "hue", "pattern"), *rows])
    return folder / "table.csv"


def run(shop: Path, config: CurationConfig = SMALL) -> CurationResult:
    return curate(shop, shop.parent.parent / "out", config, load=Loader())


def test_every_fault_is_found_and_written_down(shop: Path) -> None:
    result = run(shop)
    out = shop.parent.parent / "out"
    stages = out / "stages"
    reasons = {r["image"]: r["reason"] for r in read(stages / "1_invalid.csv")}
    assert set(reasons) == {"broken.jpg", "gone.jpg"}
    assert reasons["gone.jpg"].startswith(f"no such file: {shop.parent}/gone.jpg (relative to")
    assert reasons["broken.jpg"].startswith("damaged or truncated")
    listed = {r["image"]: r for r in read(stages / "2_duplicates.csv")}
    copies = {
        k: (r["of_image"], r["turn"]) for k, r in listed.items() if "but no" not in r["reason"]
    }
    assert copies == {
        "again.jpg": ("scene0.jpg", ""),
        "mirror.jpg": ("scene0.jpg", "flip_left_right"),
        "same.jpg": ("scene1.jpg", ""),
    }
    assert listed["same.jpg"]["reason"] == "the same pixels"
    labels = [
        (r["image"], r["action"], r["attribute"], r["value"], r["resolved"])
        for r in read(stages / "2_labels.csv")
    ]
    assert ("mirror.jpg", "removed", "hue", "red", "azure") in labels
    assert ("scene0.jpg", "kept", "hue", "azure", "azure") in labels
    assert ("scene1.jpg", "filled", "pattern", "unknown", "striped") in labels
    assert {r["image"]: r["reason"].split(":")[0] for r in read(stages / "3_pictures.csv")} == {
        "blank.png": "blank", "long.png": "extreme aspect", "tiny.png": "too small",
    }  # fmt: skip
    assert {(r["before"], r["reason"]) for r in read(stages / "4_values.csv")} == {
        ("azure", "rule hue: azure -> blue"),
        ("odd", "1 images, fewer than 2"),
    }
    top = next(r for r in read(stages / "6_label_errors.csv") if r["attribute"] == "hue")
    assert (top["image"], top["value"], top["suggested"]) == ("red0.png", "blue", "red")
    assert result.rows == 76
    assert result.kept == 76 - 2 - 3 - 3
    assert result.removed == {"invalid": 2, "duplicates": 3, "pictures": 3, "unknown": 0}
    assert result.failed == 2
    json.dumps(result.to_dict(), allow_nan=False)

    clean = read(out / "clean.csv")
    assert list(clean[0]) == ["image", "hue", "pattern", "group", "split", "repeat"]
    by_name = {Path(r["image"]).name: r for r in clean}
    assert len(by_name) == result.kept
    assert Path(clean[0]["image"]).is_absolute()
    # What its copies say fills what the row that stays does not.
    assert by_name["scene1.jpg"]["pattern"] == "striped"
    assert by_name["scene1.jpg"]["hue"] == "blue"
    assert {r["split"] for r in clean} == {"train", "validation", "test"}
    table = pq.read_table(out / "clean.parquet")
    assert [str(v or "") for v in table["hue"].to_pylist()] == [r["hue"] for r in clean]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert summary["splits"] == result.splits
    assert sum(result.splits.values()) == result.kept
    assert CurationConfig.read(out / "curate.toml") == SMALL

    # The clean table is a table, too: with it alone nothing is left to remove.
    once_more = curate(out / "clean.csv", out, SMALL, load=Loader())
    assert once_more.kept == once_more.rows == result.kept
    assert list(once_more.ignored) == ["group", "split", "repeat"]
    assert len(read(out / "clean.csv")) == result.kept


def test_a_second_run_reads_nothing_again_and_says_the_same(shop: Path) -> None:
    loader = Loader()
    out = shop.parent.parent / "out"
    curate(shop, out, SMALL, load=loader)
    first = {p.name: p.read_bytes() for p in (out / "stages").iterdir()}
    first["clean.csv"] = (out / "clean.csv").read_bytes()
    again = Loader()
    curate(shop, out, SMALL, load=again)
    assert loader.loaded[0].images_read > 60
    assert again.loaded[0].images_read == 0
    second = {p.name: p.read_bytes() for p in (out / "stages").iterdir()}
    second["clean.csv"] = (out / "clean.csv").read_bytes()
    assert first == second


def test_proposed_merges_are_accepted_in_their_file(shop: Path) -> None:
    with shop.open(newline="") as file:
        rows = list(csv.reader(file))
    # Somebody else called every third blue picture "blues".
    blue = [row for row in rows if row[1] == "blue"]
    for row in blue[::3]:
        row[1] = "blues"
    with shop.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    out = shop.parent.parent / "out"
    first = run(shop)
    proposed = read(out / "merges.csv")
    (one,) = (row for row in proposed if row["value"] == "blues")
    assert (one["accept"], one["into"]) == ("", "blue")
    assert first.stages["label_errors"]["merges"][0]["value"] == "blues"
    assert "merges.csv" in Path(first.report).read_text(encoding="utf-8")
    one["accept"] = "yes"
    write_csv(out / "merges.csv", list(one), proposed)
    second = run(shop)
    assert second.stages["values"]["rules"]["hue: blues -> blue"] == len(blue[::3])
    assert "blues" not in {row["hue"] for row in read(out / "clean.csv")}
    # The config that was written says the same, and the answer stays.
    saved = CurationConfig.read(out / "curate.toml")
    assert saved.values.rules == (*SMALL.values.rules, "hue: blues -> blue")
    assert read(out / "merges.csv")[0] == one
    one["accept"] = "no"
    write_csv(out / "merges.csv", list(one), [one])
    third = run(shop)
    assert "blues" in {row["hue"] for row in read(out / "clean.csv")}
    assert "blues" not in {row["value"] for row in third.stages["label_errors"]["merges"]}
    assert read(out / "merges.csv")[0] == one


def test_stages_that_are_off_leave_things_alone_and_no_old_lines(shop: Path) -> None:
    run(shop)
    out = shop.parent.parent / "out"
    off = CurationConfig(
        invalid=InvalidSection(enabled=False),
        duplicates=DuplicatesSection(enabled=False),
        pictures=PicturesSection(enabled=False),
        values=ValuesSection(enabled=False),
        label_errors=LabelErrorsSection(enabled=False),
        split=SplitSection(enabled=False),
    )
    loader = Loader()
    result = curate(shop, out, off, load=loader)
    assert result.kept == 76
    assert loader.loaded == []
    assert sorted(p.name for p in (out / "stages").iterdir()) == ["5_unknown.csv", "8_balance.csv"]
    assert {r["split"] for r in read(out / "clean.csv")} == {"train"}
    assert "Turned off: invalid, duplicates" in (out / "report.html").read_text(encoding="utf-8")


def test_copies_can_stay_and_then_share_a_group(shop: Path) -> None:
    result = run(shop, replace(SMALL, duplicates=DuplicatesSection(remove="none")))
    rows = {Path(r["image"]).name: r for r in read(Path(result.table))}
    assert result.removed["duplicates"] == 0
    family = [rows[name] for name in ("scene0.jpg", "again.jpg", "mirror.jpg")]
    assert len({r["group"] for r in family}) == 1
    assert len({r["split"] for r in family}) == 1
    assert rows["same.jpg"]["group"] == rows["scene1.jpg"]["group"] != family[0]["group"]
    exact = run(shop, replace(SMALL, duplicates=DuplicatesSection(remove="exact", features=False)))
    assert exact.removed["duplicates"] == 1


def test_bad_input_is_refused_before_anything_is_read(shop: Path, tmp_path: Path) -> None:
    loader = Loader()
    for config, message in (
        (CurationConfig(table=TableSection(attributes=("size",))), "no column 'size'"),
        (CurationConfig(values=ValuesSection(rules=("size: a -> b",))), "unknown attribute 'size'"),
        (
            CurationConfig(label_errors=LabelErrorsSection(attributes=("size",))),
            "names attribute 'size'",
        ),
    ):
        with pytest.raises(InputError, match=message):
            curate(shop, tmp_path / "new", config, load=loader)
        assert not (tmp_path / "new").exists()
    with pytest.raises(InputError, match="does not exist"):
        curate(tmp_path / "none.csv", tmp_path / "new", load=loader)
    with pytest.raises(InputError, match="is a folder but not a catalogue"):
        curate(shop.parent, tmp_path / "new", load=loader)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot be used \(Not a directory\)"):
        curate(shop, tmp_path / "file", load=loader)
    assert loader.loaded == []


def test_a_table_of_which_nothing_is_left_is_refused(shop: Path, tmp_path: Path) -> None:
    small = replace(
        SMALL,
        duplicates=DuplicatesSection(enabled=False),
        pictures=PicturesSection(min_side=5000),
    )
    message = r"no row is left: \[invalid\] removed 2, \[pictures\] removed 74; red0.png: too small"
    with pytest.raises(InputError, match=message):
        curate(shop, tmp_path / "new", small, load=Loader())
    shop.write_text("image,hue\nno1.jpg,red\nno2.jpg,blue\n")
    with pytest.raises(InputError, match=r"\[invalid\] removed 2; no1.jpg: no such file"):
        curate(shop, tmp_path / "new", load=Loader())


def test_a_catalogue_is_a_table_too(photos: Path, examples: Path, tmp_path: Path) -> None:
    runtime = FakeRuntime()
    with gingham.Catalogue.create(tmp_path / "shop", runtime=runtime) as shop:
        shop.index([photos, examples])
        shop.teach("colour", examples, views=False)
        shop.tag()
    loader = Loader()
    result = curate(tmp_path / "shop", tmp_path / "out", SMALL_CATALOGUE, load=loader)
    assert result.rows == 36 + 18
    # Tags are no labels: only the examples have any.
    assert result.stages["unknown"]["unknown"] == {"colour": 36}
    assert loader.loaded[0].images_read == 0


SMALL_CATALOGUE = CurationConfig(pictures=PicturesSection(min_side=16))


def test_the_command(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "curate.toml"
    config.write_text(
        "[duplicates]\nfeatures = false\n[label_errors]\nenabled = false\n"
        "[pictures]\nmin_side = 20\n"
        '[values]\nrules = ["hue: Azure -> blue", "hue: azure -> blue"]\n'
    )
    command = [
        "gingham",
        "curate",
        str(shop),
        "--config",
        str(config),
        "--out",
        str(tmp_path / "o"),
    ]
    monkeypatch.setattr(sys, "argv", [*command, "--json"])
    with pytest.raises(SystemExit) as ended:
        gingham.cli.main()
    assert ended.value.code == 1
    said = json.loads(capsys.readouterr().out)
    assert said["removed"]["duplicates"] == 3
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit):
        gingham.cli.main()
    said = capsys.readouterr().out
    assert "68 of 76 rows kept" in said
    assert "rule 'hue: Azure -> blue' matches no label: check its spelling" in said
    assert "'hue: azure -> blue'" not in said
    config.write_text("[duplicates]\nremov = 1")
    with pytest.raises(SystemExit) as ended:
        gingham.cli.main()
    assert ended.value.code == 2
    assert (
        "unknown key 'duplicates.remov', did you mean 'duplicates.remove'?"
        in capsys.readouterr().err
    )


def test_the_page_in_a_browser(browser: Any, shop: Path) -> None:
    odd = '<i>odd & "quoted"</i>.jpg'
    shutil.copy(shop.parent / "broken.jpg", shop.parent / "odd.jpg")
    (shop.parent / "odd.jpg").rename(shop.parent / odd.replace("/", "_"))
    with shop.open("a", newline="") as file:
        csv.writer(file).writerow([odd.replace("/", "_"), "red", "<b>bold</b>"])
        csv.writer(file).writerow(["/".join(["folder"] * 20), "red", "plain"])
    result = run(shop)
    report = result.report
    judged = result.stages["label_errors"]["attributes"]
    flagged = sum(min(one["flagged"], 24) for one in judged.values())
    for width, scheme in ((1300, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        said: list[str] = []
        asked: list[str] = []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(Path(report).as_uri())
        anchors = page.evaluate("[...document.querySelectorAll('section')].map((s) => s.id)")
        assert anchors[0] == "label_errors"
        assert len(anchors) == 9
        images = page.evaluate("[...document.images].map((i) => i.complete && i.naturalWidth)")
        assert len(images) >= 10
        assert all(images)
        # Only labels that were flagged are shown as doubtful.
        assert len(page.query_selector_all(".card s")) == flagged
        bars = page.evaluate("[...document.querySelectorAll('.bars i')].map((i) => i.offsetWidth)")
        assert max(bars) > 150
        assert min(bars) >= 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (
            page.evaluate(
                "[...document.querySelectorAll('th, td')]"
                ".filter((one) => one.scrollWidth > one.clientWidth)"
            )
            == []
        )
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(22, 22, 20)") == (scheme == "dark")
        assert page.query_selector("main b b, td i") is None
        assert said == []
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        page.close()


def test_a_value_that_took_over_another_is_not_folded_away() -> None:
    before = {f"value {i}": 9 for i in range(30)} | {"Tshirts": 20}
    after = {f"value {i}": 9 for i in range(30)} | {"T-shirts": 20}
    drawn = [row[0] for row in spread("kind", before, after, {}, 0)["rows"]]
    assert drawn.index("Tshirts") < drawn.index("value 0")
    assert drawn.index("T-shirts") < drawn.index("value 0")
    assert "15 others" in drawn


def test_pixels_are_compared_not_files(tmp_path: Path) -> None:
    """The same pixels in two formats are exact duplicates."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[10:20, 5:30] = 200
    for kind in ("png", "bmp"):
        Image.fromarray(pixels).save(tmp_path / f"a.{kind}")
    Image.fromarray(255 - pixels).save(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text("image,x\na.png,1\na.bmp,1\nb.png,2\n")
    config = CurationConfig(
        duplicates=DuplicatesSection(features=False), label_errors=LabelErrorsSection(enabled=False)
    )
    result = curate(tmp_path / "t.csv", tmp_path / "out", config, load=Loader())
    assert result.stages["duplicates"]["removed_exact"] == 1
    (gone,) = read(tmp_path / "out" / "stages" / "2_duplicates.csv")
    assert gone["image"] == "a.bmp"


def test_a_guess_yields_to_a_copy_that_is_far_closer() -> None:
    """Two shades of one thing, and a resized copy of the first; and one photo in three sizes."""

    def near(a: int, b: int, block: float, guessed: bool = True) -> Link:
        return Link(a, b, "near", "perceptual", 0, Difference(block, 1.0, False, guessed))

    shade_a, copy_of_a, shade_b = range(3)
    sure, guess = near(shade_a, copy_of_a, 0.5), near(copy_of_a, shade_b, 6.0)
    assert without_doubtful([sure, guess]) == [sure]
    sizes = [near(3, 4, 0.5), near(3, 5, 6.0), near(4, 5, 6.0)]
    assert without_doubtful(sizes) == sizes
    same = [near(6, 7, 0.0, guessed=False), near(6, 8, 5.0), Link(8, 9, "exact", "pixels")]
    assert without_doubtful(same) == same
