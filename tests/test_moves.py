"""Files that were moved, copied, deleted, or lie on a disk that is not there."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import COLOURS, FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.curation.catalogue import read_catalogue
from gingham.errors import InputError, StorageError
from gingham.explaining.explain import Explainer
from gingham.options import DEFAULTS
from gingham.store.files import LocalFiles
from gingham.store.locations import Locations, is_missing
from helpers import run


@pytest.fixture
def shop(tmp_path: Path, photos: Path, runtime: FakeRuntime) -> Iterator[Catalogue]:
    with Catalogue.create(tmp_path / "cat", runtime=runtime) as catalogue:
        catalogue.index([photos])
        yield catalogue


def files(shop: Catalogue) -> set[str]:
    return {file for names in shop.images().values() for file in names}


def test_moved_files_are_followed_without_reading_them(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    read, before = runtime.images_read, shop.images()
    photos.rename(tmp_path / "new")
    assert len(shop.missing()) == 36
    result = shop.relocate(photos, tmp_path / "new")
    assert (result.moved, result.missing, result.kept) == (36, (), ())
    assert shop.missing() == []
    for known in (shop.images(), reopened(shop).images()):
        assert known == {
            i: tuple(name.replace("/photos/", "/new/") for name in names)
            for i, names in before.items()
        }
    assert runtime.images_read == read
    assert shop.search(tmp_path / "new/red0.jpg", n=1, with_self=True)[0].image == str(
        tmp_path / "new/red0.jpg"
    )
    assert shop.verify() == []


def reopened(shop: Catalogue) -> Catalogue:
    shop.close()
    found = Catalogue.open(shop.folder, runtime=shop._loaded)
    shop.__dict__.update(found.__dict__)
    return shop


def test_what_was_not_moved_keeps_its_path_and_what_is_nowhere_is_named(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    for name in ("red0.jpg", "red1.jpg"):
        (tmp_path / "new").mkdir(exist_ok=True)
        (photos / name).rename(tmp_path / "new" / name)
    (photos / "red2.jpg").unlink()
    result = shop.relocate(photos, tmp_path / "new")
    assert result.moved == 3
    assert result.missing == (str(tmp_path / "new/red2.jpg"),)
    assert len(result.kept) == 33
    assert shop.missing() == [str(tmp_path / "new/red2.jpg")]
    assert len(shop) == 36


def test_an_image_known_by_the_new_path_is_never_overwritten(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    """Else the image that was at the old path would leave the catalogue."""
    other = draw(tmp_path / "new/red0.jpg", "blue", 50)
    (photos / "red1.jpg").rename(tmp_path / "new/red1.jpg")
    shop.index([other])
    result = shop.relocate(photos, tmp_path / "new")
    assert str(photos / "red0.jpg") in result.kept
    assert result.moved == 1
    assert len(shop) == 37


def test_folders_on_two_disks_are_each_followed(tmp_path: Path, runtime: FakeRuntime) -> None:
    for disk, colour in (("one", "red"), ("two", "blue"), ("home", "green")):
        draw(tmp_path / disk / "shop/1.jpg", colour, 1)
    with Catalogue.create(tmp_path / "home/cat", runtime=runtime) as shop:
        shop.index([tmp_path / disk / "shop" for disk in ("one", "two", "home")])
    for disk in ("one", "two", "home"):
        (tmp_path / disk).rename(tmp_path / f"new-{disk}")
    with Catalogue.open(tmp_path / "new-home/cat", runtime=runtime) as shop:
        # Below its home it finds them by itself; what lies elsewhere is followed by name.
        assert len(shop.missing()) == 2
        for disk in ("two", "one"):
            result = shop.relocate(tmp_path / disk, tmp_path / f"new-{disk}")
            assert (result.moved, result.missing, result.kept) == (1, (), ())
        assert shop.missing() == []
    with Catalogue.open(tmp_path / "new-home/cat", runtime=runtime) as shop:
        assert files(shop) == {
            str(tmp_path / f"new-{disk}/shop/1.jpg") for disk in ("one", "two", "home")
        }


def test_evidence_names_a_file_that_is_there(
    shop: Catalogue, photos: Path, tmp_path: Path, examples: Path
) -> None:
    shop.teach("colour", examples)
    query = photos / "red0.jpg"
    before = next(shop.predict([query])).predictions["colour"].evidence
    shutil.copytree(examples, tmp_path / "copy")
    shop.index([tmp_path / "copy"])
    # Of what is not in the catalogue there is no other file: the name stays.
    examples.rename(tmp_path / "away")
    after = next(shop.predict([query])).predictions["colour"].evidence
    assert [one.image.replace("/copy/", "/examples/") for one in after] == [
        one.image for one in before
    ]
    assert all(Path(one.image).exists() for one in after)
    (tmp_path / "copy").rename(tmp_path / "nowhere")
    assert next(shop.predict([query])).predictions["colour"].evidence


def test_a_file_or_a_table_that_was_renamed_is_followed(shop: Catalogue, tmp_path: Path) -> None:
    image = bytes(32)
    shop._truth.locations.append([(f"{tmp_path}/t.parquet#image/0", image)])
    assert shop.missing() == [f"{tmp_path}/t.parquet#image/0"]
    (tmp_path / "u.parquet").touch()
    assert shop.relocate(tmp_path / "t.parquet", tmp_path / "u.parquet").moved == 1
    assert shop.images()[image.hex()] == (f"{tmp_path}/u.parquet#image/0",)
    assert shop.missing() == []


def test_a_move_that_finds_nothing_is_refused_and_changes_nothing(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    before = shop._truth.locations.version
    with pytest.raises(InputError, match=r"gone does not exist: give the folder where"):
        shop.relocate(photos, tmp_path / "gone")
    with pytest.raises(InputError, match=r"lies below .*/other: nothing"):
        shop.relocate(tmp_path / "other", photos)
    # Not a folder, only the start of the name of one.
    with pytest.raises(InputError, match="no file of the catalogue lies below"):
        shop.relocate(str(photos)[:-1], photos)
    shutil.rmtree(photos)
    with pytest.raises(InputError, match=r"none of the 36 files below .* first would be .*/cat/"):
        shop.relocate(photos, tmp_path / "cat")
    assert shop._truth.locations.version == before


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAMES, st.integers(0, 2), max_size=6), st.sets(NAMES), NAMES, NAMES)
def test_a_move_equals_a_plain_dictionary(
    tmp_path_factory: pytest.TempPathFactory,
    known: dict[str, int],
    there: set[str],
    old: str,
    new: str,
) -> None:
    folder = tmp_path_factory.mktemp("move")
    for name in sorted(there):
        # A name that is also a folder of another cannot be a file.
        if not any(other.startswith(f"{name}/") for other in there):
            path = folder / "disk" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    with Catalogue.create(folder / "cat", runtime=FakeRuntime()) as shop:
        top = f"{folder}/disk/"
        shop._truth.locations.append([(top + k, bytes([v] * 32)) for k, v in known.items()])
        expected, kept, found = dict(known), set(), 0
        for name, image in known.items():
            if (name + "/").startswith(old + "/"):
                target = new + name[len(old) :]
                alive = os.path.lexists(top + target)
                found += alive
                if known.get(target, image) != image or (not alive and os.path.lexists(top + name)):
                    kept.add(top + name)
        moves = [
            name for name in known if (name + "/").startswith(old + "/") and top + name not in kept
        ]
        for name in moves:
            expected.pop(name)
        expected |= {new + name[len(old) :]: known[name] for name in moves}
        try:
            result = shop.relocate(top + old, top + new)
        except InputError:
            assert not found or not os.path.lexists(top + new)
            expected, kept = known, set()
        else:
            assert found
            assert set(result.kept) == kept
            assert result.moved == len(moves)
        assert shop._truth.locations.files == {
            top + name: bytes([image] * 32) for name, image in expected.items()
        }


def test_a_write_that_fails_during_a_move_changes_nothing(
    shop: Catalogue, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(shop)
    photos.rename(tmp_path / "new")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("gingham.store.files.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            shop.relocate(photos, tmp_path / "new")
    assert files(shop) == files(reopened(shop)) == before
    assert shop.relocate(photos, tmp_path / "new").moved == 36


def test_a_file_that_is_there_comes_before_one_that_is_missing(
    shop: Catalogue, photos: Path, examples: Path, tmp_path: Path
) -> None:
    shop.index([examples])
    shop.teach("colour", examples)
    shop.tag()
    photos.rename(tmp_path / "new")
    shutil.copytree(examples, tmp_path / "new/examples")
    shutil.rmtree(examples)
    shop.index([tmp_path / "new"])
    hit = shop.search(tmp_path / "new/red0.jpg", n=1, with_self=True)[0]
    assert hit.image == str(tmp_path / "new/red0.jpg")
    assert hit.copies == (str(photos / "red0.jpg"),)
    assert shop.export(tmp_path / "out.csv") == 36 + 18
    with (tmp_path / "out.csv").open(newline="") as file:
        assert all(Path(row["image"]).exists() for row in csv.DictReader(file))
    shop.sheet(tmp_path / "sheet.html", "colour", n=99)
    page = (tmp_path / "sheet.html").read_text()
    assert str(tmp_path / "new/red0.jpg") in page
    assert str(photos) not in page
    explainer = Explainer(
        shop._attributes.attributes(),
        shop._truth,
        shop._attributes,
        shop._load,
        shop.search,
        DEFAULTS,
    )
    (answer,) = shop.predict([tmp_path / "new/red0.jpg"])
    prediction, _ = explainer._without_itself(
        answer.predictions["colour"], "colour", str(tmp_path / "new/red0.jpg")
    )
    assert prediction.evidence
    assert all(Path(one.image).exists() for one in prediction.evidence)


def test_the_only_file_of_an_image_is_exported_even_if_it_is_missing(
    shop: Catalogue, photos: Path, tmp_path: Path
) -> None:
    (photos / "red0.jpg").unlink()
    assert shop.export(tmp_path / "out.csv") == 36


def test_search_answers_while_the_disk_is_not_there(shop: Catalogue, photos: Path) -> None:
    image = next(iter(shop.images()))
    before = shop.search(image, n=5, with_self=True)
    photos.rename(photos.with_name("unmounted"))
    assert shop.search(image, n=5, with_self=True) == before
    assert shop.verify() == []
    assert len(shop.missing()) == 36


def test_prune_removes_what_is_missing_and_nothing_else(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    shutil.copytree(photos, tmp_path / "copy")
    shop.index([tmp_path / "copy"])
    image = shop.search(photos / "red0.jpg", n=1, with_self=True)[0].id
    gone = (photos / "red0.jpg", tmp_path / "copy/red0.jpg", photos / "red1.jpg")
    for path in gone:
        path.rename(path.with_suffix(".away"))
    before = files(shop)
    planned = shop.prune(dry_run=True)
    assert (set(planned.missing), planned.lost, planned.images, planned.dry_run) == (
        {str(path) for path in gone},
        1,
        35,
        True,
    )
    assert files(shop) == before
    done = shop.prune()
    assert (done.missing, done.lost, done.images) == (planned.missing, 1, 35)
    assert files(shop) == before - set(done.missing)
    assert len(shop) == 35
    assert image not in {hit.id for hit in shop.search(photos / "blue0.jpg", n=99, with_self=True)}
    assert shop.prune() == shop.prune(everything=True)
    read = runtime.images_read
    shop.index([photos / "red0.away"])
    assert (len(shop), runtime.images_read) == (36, read)


def test_a_disk_that_is_not_mounted_does_not_empty_a_catalogue(
    shop: Catalogue, photos: Path
) -> None:
    shop.index(images=[draw(photos / "bytes.jpg", "red", 60).read_bytes()])
    photos.rename(photos.with_name("unmounted"))
    with pytest.raises(InputError, match=r"all 36 files of .* is a disk not mounted"):
        shop.prune()
    assert shop.prune(dry_run=True).lost == 36
    assert len(shop) == 37
    assert shop.prune(everything=True).images == 1


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything"
)
def test_what_may_not_be_looked_at_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "shut").mkdir(mode=0)
    try:
        assert not is_missing(str(tmp_path / "shut/a.jpg"))
    finally:
        (tmp_path / "shut").chmod(0o700)


def test_only_what_is_known_to_have_left_is_missing(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").touch()
    (tmp_path / "round").symlink_to("round")
    for there in ("t.parquet", "t.parquet#image/3", "round"):
        assert not is_missing(str(tmp_path / there))
    for gone in ("a.jpg", "t.parquet/a.jpg", "u.parquet#image/3", "t.csv#image/3"):
        assert is_missing(str(tmp_path / gone))
    assert not is_missing(bytes(32).hex())


def test_the_command_line_lists_follows_and_removes_missing_files(tmp_path: Path) -> None:
    for seed, colour in enumerate(COLOURS):
        draw(tmp_path / "shop" / f"{colour}.jpg", colour, seed)
    cat = tmp_path / "cat"
    assert run("index", cat, tmp_path / "shop").returncode == 0
    (tmp_path / "shop").rename(tmp_path / "new")
    done = run("verify", cat)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 3)
    assert (
        done.stdout
        == "OK: 3 images checked, 3 files missing (see gingham relocate, gingham prune)\n"
    )
    assert done.stderr.startswith(f"missing: {tmp_path}/shop/")
    done = run("verify", cat, "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["missing"]) == 3
    assert run("prune", cat).returncode == 2
    done = run("prune", cat, "--dry-run")
    assert done.stdout == (
        "3 missing files would be removed, and with them 3 images; 0 images would remain\n"
    )
    assert len(done.stderr.splitlines()) == 3
    done = run("relocate", cat, tmp_path / "shop", tmp_path / "new")
    assert (done.stdout, done.returncode) == ("3 files moved, 0 of them missing there\n", 0)
    (tmp_path / "new/red.jpg").unlink()
    done = run("prune", cat, "--json")
    assert json.loads(done.stdout) == {
        "missing": [f"{tmp_path}/new/red.jpg"],
        "lost": 1,
        "images": 2,
        "dry_run": False,
    }
    shutil.copytree(tmp_path / "new", tmp_path / "shop")
    run("index", cat, tmp_path / "shop")
    shutil.rmtree(tmp_path / "new")
    done = run("export", cat, tmp_path / "out.csv")
    assert done.stdout == (
        f"2 rows written to {tmp_path}/out.csv\n"
        "2 missing files left out: other files of their images are there\n"
    )


def home_of(folder: Path) -> str:
    home = json.loads((folder / "catalogue.json").read_text())["home"]
    assert isinstance(home, str)
    return home


def test_a_catalogue_that_is_moved_with_its_images_finds_them(
    tmp_path: Path, runtime: FakeRuntime, caplog: pytest.LogCaptureFixture
) -> None:
    before = ""
    for place in ("one", "two", "deep/three"):
        if place == "one":
            draw(tmp_path / "one/shop/red.jpg", "red", 1)
            outside = draw(tmp_path / "outside.jpg", "blue", 1)
            with Catalogue.create(tmp_path / "one/cat", runtime=runtime) as shop:
                shop.index([tmp_path / "one/shop", outside])
        else:
            (tmp_path / place).parent.mkdir(exist_ok=True)
            (tmp_path / before).rename(tmp_path / place)
        with Catalogue.open(tmp_path / place / "cat", runtime=runtime) as shop:
            assert files(shop) == {str(tmp_path / place / "shop/red.jpg"), str(outside)}
            assert shop.missing() == shop.verify() == []
            said = f"below {tmp_path / place}" in caplog.text
            assert said == (place != "one")
            shop.remove([])
        assert home_of(tmp_path / place / "cat") == str(tmp_path / place)
        caplog.clear()
        before = place
    # Once the catalogue was changed there it is not said again.
    with Catalogue.open(tmp_path / place / "cat", runtime=runtime):
        assert caplog.text == ""


def test_a_catalogue_that_is_moved_alone_finds_its_images_where_they_were(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    before = files(shop)
    shop.close()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cat").rename(tmp_path / "elsewhere/cat")
    with Catalogue.open(tmp_path / "elsewhere/cat", runtime=runtime) as moved:
        assert files(moved) == before
        assert moved.missing() == []
        # Nor does a disk that is not mounted change anything.
        photos.rename(tmp_path / "unmounted")
    with Catalogue.open(tmp_path / "elsewhere/cat", runtime=runtime) as moved:
        assert files(moved) == before
    assert home_of(tmp_path / "elsewhere/cat") == str(tmp_path)


def test_a_copy_of_all_uses_its_own_images(tmp_path: Path, runtime: FakeRuntime) -> None:
    draw(tmp_path / "one/shop/red.jpg", "red", 1)
    with Catalogue.create(tmp_path / "one/cat", runtime=runtime) as shop:
        shop.index([tmp_path / "one/shop"])
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "link").symlink_to("one")
    for place, found in (("two", "two"), ("one", "one"), ("link", "one")):
        with Catalogue.open(tmp_path / place / "cat", runtime=runtime) as shop:
            assert files(shop) == {str(tmp_path / found / "shop/red.jpg")}


def test_the_home_need_not_be_writable_to_be_found(
    tmp_path: Path, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "one/shop/red.jpg", "red", 1)
    with Catalogue.create(tmp_path / "one/cat", runtime=runtime) as shop:
        shop.index([tmp_path / "one/shop"])
    (tmp_path / "one").rename(tmp_path / "two")

    def refused(*_: object) -> None:
        raise StorageError(30, "Read-only file system", "catalogue.json")

    monkeypatch.setattr("gingham.operations.opening.move_home", refused)
    for _ in range(2):
        with Catalogue.open(tmp_path / "two/cat", runtime=runtime) as shop:
            assert shop.missing() == []
            shop.remove([])


def test_absolute_names_of_format_2_stay_and_new_ones_are_relative(
    shop: Catalogue, photos: Path, tmp_path: Path, runtime: FakeRuntime
) -> None:
    shop.close()
    header = json.loads((shop.folder / "catalogue.json").read_text())
    del header["home"]
    (shop.folder / "catalogue.json").write_text(json.dumps(header | {"format": 2}))
    shutil.rmtree(shop.folder / "locations")
    old = [(str(path), sha256(path.read_bytes()).digest()) for path in sorted(photos.iterdir())]
    Locations(LocalFiles(shop.folder)).append(old)
    extra = draw(tmp_path / "extra/red.jpg", "red", 70)
    with Catalogue.open(shop.folder, runtime=runtime) as opened:
        assert opened.verify() == []
        opened.index([photos, extra])
    assert Locations(LocalFiles(shop.folder)).files == dict(old) | {
        "./extra/red.jpg": sha256(extra.read_bytes()).digest()
    }


def test_images_on_two_disks_that_are_mounted_elsewhere_are_found_again(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    for seed, disk in enumerate(("home", "one", "two")):
        draw(tmp_path / disk / "shop/red.jpg", "red", seed)
    with Catalogue.create(tmp_path / "home/cat", runtime=runtime) as shop:
        shop.index([tmp_path / disk / "shop" for disk in ("home", "one", "two")])
    for disk in ("home", "one", "two"):
        (tmp_path / disk).rename(tmp_path / f"{disk}-moved")
    read = runtime.images_read
    with Catalogue.open(tmp_path / "home-moved/cat", runtime=runtime) as shop:
        assert shop.missing() == [f"{tmp_path}/{disk}/shop/red.jpg" for disk in ("one", "two")]
        for disk in ("one", "two"):
            assert shop.relocate(tmp_path / disk, tmp_path / f"{disk}-moved").moved == 1
        assert shop.missing() == []
        assert len(shop) == 3
    assert runtime.images_read == read


def test_a_catalogue_that_was_moved_is_curated_with_its_images(
    shop: Catalogue, examples: Path, tmp_path: Path
) -> None:
    shop.index([examples])
    shop.teach("colour", examples)
    shop.close()
    (tmp_path / "two").mkdir()
    for name in ("cat", "photos", "examples"):
        (tmp_path / name).rename(tmp_path / "two" / name)
    rows = read_catalogue(tmp_path / "two/cat")
    assert len(rows.paths) == 36 + 18
    assert all(Path(image).exists() for image in rows.paths)
