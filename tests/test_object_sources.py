"""Images in object storage: found, read, known again, and what is said where that fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import FakeRuntime
from gingham.catalogue import Catalogue
from gingham.errors import InputError, MissingExtraError, StorageError
from gingham.object_storage import ListedObject, list_objects, read_object
from gingham.sources import find_images
from helpers import run
from s3 import Proxy, environment, files_at, shared

ODD = ("a b.jpg", "q?x.jpg", "h#1.jpg", "p%41.jpg", "ü/+&=.jpg", "deep/er/x.jpg")


def upload(address: str, photos: Path, names: dict[str, str] | None = None) -> dict[str, Path]:
    """Copy photos below an address: name of the object -> name of the photo; None: all as named."""
    names = names or {path.name: path.name for path in sorted(photos.iterdir())}
    files = files_at(address)
    for name, photo in names.items():
        data = (photos / photo).read_bytes()
        files.put(name, lambda file, data=data: file.write(data))  # type: ignore[misc]
    return {f"{address}/{name}": photos / photo for name, photo in names.items()}


@pytest.fixture
def proxy(bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    one = Proxy(shared())
    monkeypatch.setenv("AWS_ENDPOINT_URL", one.address)
    yield one
    one.close()


def reads(proxy: Proxy) -> int:
    return sum(one.startswith("GET") and ".jpg" in one for one in proxy.seen)


def test_objects_are_listed_as_a_folder_s_files_are(bucket: str, photos: Path) -> None:
    upload(f"{bucket}/in", photos, dict.fromkeys(ODD, "red0.jpg"))
    upload(f"{bucket}/in-not", photos, {"x.jpg": "red0.jpg"})
    files = files_at(f"{bucket}/in")
    for name in (".hidden/a.jpg", ".hidden/b.jpg", "er/Thumbs.db", "shop/features/1.parquet"):
        files.put(name, lambda file: file.write(b"x"))
    for folder in ("deep", "made.new"):
        files.put(folder, lambda file: file.write(b""))
    files.put("made.new/x.jpg", lambda file: file.write(b"x"))
    files.put("empty.jpg", lambda file: file.write(b""))
    walk = find_images([f"{bucket}/in/", f"{bucket}/in/deep"], exclude=f"{bucket}/in/shop")
    expected = sorted([*ODD, "made.new/x.jpg", "empty.jpg"])
    assert sorted(walk.images) == [f"{bucket}/in/{name}" for name in expected]
    assert walk.ignored == [f"{bucket}/in/{x}" for x in (".hidden", "er/Thumbs.db", "shop")]
    assert walk.repeated == [f"{bucket}/in/deep"]
    one = find_images([f"{bucket}/in/a b.jpg"])
    assert one.images == [f"{bucket}/in/a b.jpg"]
    expected_bytes = (photos / "red0.jpg").read_bytes()
    assert all(read_object(f"{bucket}/in/{name}") == expected_bytes for name in ODD)


def test_the_catalogue_is_that_of_the_same_files_in_a_folder(
    bucket: str, photos: Path, tmp_path: Path
) -> None:
    upload(f"{bucket}/photos", photos)
    with Catalogue.create(tmp_path / "local", runtime=FakeRuntime()) as local:
        local.index([photos])
        expected = local.search(photos / "red3.jpg", n=5)
        features = local._truth.features.get(list(local._truth.locations.images))
    for place in (tmp_path / "far", f"{bucket}/shop"):
        with Catalogue.create(place, runtime=FakeRuntime()) as shop:
            result = shop.index([f"{bucket}/photos"])
            assert (result.added, result.failed) == (36, 0)
            assert shop.images() == {
                image: tuple(name.replace(str(photos), f"{bucket}/photos") for name in names)
                for image, names in local.images().items()
            }
            got = shop._truth.features.get(list(local._truth.locations.images))
            assert all((got[layer] == features[layer]).all() for layer in features)
            found = shop.search(f"{bucket}/photos/red3.jpg", n=5)
            assert [(x.id, x.score) for x in found] == [(x.id, x.score) for x in expected]
            shop.teach(
                "colour",
                {f"{bucket}/photos/{c}{n}.jpg": c for c in ("red", "blue") for n in range(6)},
            )
            shop.tag()
            page = tmp_path / "sheet.html"
            assert shop.sheet(page, "colour") > 0
            assert "data:image" in page.read_text()
            assert shop.prune().missing == ()
            assert shop.verify() == []


def test_only_what_the_storage_lists_as_new_is_read_again(
    bucket: str, photos: Path, tmp_path: Path, proxy: Proxy
) -> None:
    upload(f"{bucket}/photos", photos)
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        shop.index([f"{bucket}/photos"])
        assert reads(proxy) == 36
    upload(f"{bucket}/photos", photos, {"red0.jpg": "blue0.jpg", "new.jpg": "red1.jpg"})
    with Catalogue.open(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        result = shop.index([f"{bucket}/photos"])
        assert (result.added, result.unchanged) == (0, 37)
        assert reads(proxy) == 38
        blue = [
            sorted(files)
            for files in shop.images().values()
            if f"{bucket}/photos/blue0.jpg" in files
        ]
        assert blue == [[f"{bucket}/photos/blue0.jpg", f"{bucket}/photos/red0.jpg"]]
        shop.index([f"{bucket}/photos"])
        before = reads(proxy)
        shop.remove([f"{bucket}/photos/green3.jpg"])
        assert shop.index([f"{bucket}/photos"]).added == 1
        assert reads(proxy) == before + 1


@pytest.mark.parametrize("action", ["503 SlowDown", "429 TooManyRequests", "lost", "short"])
def test_an_object_is_asked_for_again_however_the_answer_fails(
    bucket: str, photos: Path, tmp_path: Path, proxy: Proxy, action: str
) -> None:
    upload(f"{bucket}/photos", photos)
    seen: set[str] = set()

    def rule(method: str, path: str) -> str:
        if method != "GET" or path in seen:
            return ""
        seen.add(path)
        return action

    proxy.rule = rule
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        assert shop.index([f"{bucket}/photos"]).failed == 0
        assert len(shop) == 36
    assert len(seen) == 37  # the list, too


def test_an_object_that_is_replaced_meanwhile_is_not_taken_for_the_one_listed(
    bucket: str, photos: Path
) -> None:
    upload(f"{bucket}/photos", photos, {"x.jpg": "red0.jpg"})
    (listed,) = list_objects(f"{bucket}/photos")
    assert isinstance(listed, ListedObject)
    upload(f"{bucket}/photos", photos, {"x.jpg": "blue0.jpg"})
    (again,) = list_objects(f"{bucket}/photos")
    assert again == listed
    assert again.mark != listed.mark
    with pytest.raises(StorageError, match="replaced since it was listed"):
        read_object(listed)
    assert read_object(again) == (photos / "blue0.jpg").read_bytes()


def test_tables_and_archives_in_storage_are_refused_without_reading_them(
    bucket: str, photos: Path, proxy: Proxy
) -> None:
    names = ("in/shop.zip", "in/x.jpg", "packed.zip/x.jpg", "shop.csv", "shop.tar")
    upload(bucket, photos, dict.fromkeys(names, "red0.jpg"))
    walk = find_images([f"{bucket}/in", f"{bucket}/packed.zip"])
    assert walk.images == [f"{bucket}/in/x.jpg", f"{bucket}/packed.zip/x.jpg"]
    (failure,) = walk.failures
    assert failure.image == f"{bucket}/in/shop.zip"
    assert "download it and give the file" in failure.reason
    for name in ("shop.csv", "shop.tar", "in/shop.zip"):
        with pytest.raises(InputError, match=f"{name}: tables and archives are not read from"):
            find_images([f"{bucket}/{name}"])
    assert not any(one.startswith("GET") and "/shop." in one for one in proxy.seen)


def test_what_is_known_of_objects_is_one_file_after_compact(
    bucket: str, photos: Path, tmp_path: Path, proxy: Proxy
) -> None:
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as shop:
        for path in sorted(photos.iterdir())[:4]:
            upload(f"{bucket}/photos", photos, {path.name: path.name})
            shop.index([f"{bucket}/photos"])
        folder = tmp_path / "shop" / "objects"
        assert len(list(folder.iterdir())) == 4
        shop.compact()
        assert len(list(folder.iterdir())) == 1
        before = reads(proxy)
        assert shop.index([f"{bucket}/photos"]).unchanged == 4
        assert reads(proxy) == before
        assert shop.verify() == []


def test_what_cannot_be_listed_is_said_and_leaves_no_catalogue(
    bucket: str, photos: Path, tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, said in (
        (f"{bucket}/nothing", "holds no objects"),
        ("s3://no-such-bucket-at-all/x", "no such bucket"),
        ("s3:///x", "expected a bucket"),
    ):
        with pytest.raises((InputError, StorageError), match=said):
            find_images([address])
    proxy.rule = lambda method, path: "403 AccessDenied"
    done = run("index", tmp_path / "shop", f"{bucket}/photos")
    assert done.returncode == 2
    assert "the storage refuses who asks: AccessDenied" in done.stderr
    assert "Traceback" not in done.stderr
    assert environment("")["AWS_SECRET_ACCESS_KEY"] not in done.stderr
    assert not (tmp_path / "shop").exists()


def test_without_the_extra_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gingham.errors.find_spec", lambda module: None)
    for ask in (
        lambda: find_images(["s3://bucket/photos"]),
        lambda: read_object("s3://bucket/a.jpg"),
    ):
        with pytest.raises(MissingExtraError, match=r"gingham\[storage\]"):
            ask()
