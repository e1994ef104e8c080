"""What `compact` leaves of a catalogue, and of what was removed from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from conftest import FakeRuntime, draw
from gingham.catalogue import Catalogue
from gingham.errors import InputError, UndoError
from gingham.options import ReadOptions


@pytest.fixture
def shop(
    tmp_path: Path, photos: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Catalogue]:
    monkeypatch.setattr("gingham.extract.KEEP_VIEWS", 8)
    with Catalogue.create(tmp_path / "shop", runtime=FakeRuntime()) as catalogue:
        catalogue.index([photos])
        catalogue.teach("colour", examples)
        catalogue.tag()
        yield catalogue


def places_of(shop: Catalogue, image_id: str) -> list[str]:
    """Name the folders in which bytes of an id are."""
    found = []
    for path in shop.folder.rglob("*"):
        if path.is_file() and "changes" not in path.parts:
            table = pq.read_table(path) if path.suffix == ".parquet" else None
            kept = table["id"].to_pylist() if table and "id" in table.column_names else []
            if bytes.fromhex(image_id) in (kept or [path.read_bytes()][0:0]) or (
                table is None and bytes.fromhex(image_id) in path.read_bytes()
            ):
                found.append(path.relative_to(shop.folder).parts[0])
    return sorted(set(found))


def test_removed_images_are_gone_for_good_and_all_else_is_as_it_was(
    shop: Catalogue, photos: Path
) -> None:
    with Catalogue.open(shop.folder, runtime=FakeRuntime()) as reader:
        (hit,) = reader.search(photos / "red0.jpg", n=1, with_self=True)
        others = [one.score for one in reader.search(photos / "blue1.jpg", n=30, with_self=True)]
    tags = {i: rest for i, *rest in shop._attributes.predictions("colour")}
    shop.remove([hit.id])
    assert "features" in places_of(shop, hit.id)
    many = len(list((shop.folder / "features").iterdir()))
    result = shop.compact()
    assert result.shards < many
    assert result.dropped == 1
    assert result.bytes < result.bytes_before
    # The log says which file it was, and so does what is kept of it.
    assert set(places_of(shop, hit.id)) <= {"locations", "places"}
    assert shop.verify() == []
    assert len(shop) == 35
    del tags[bytes.fromhex(hit.id)]
    assert {i: rest for i, *rest in shop._attributes.predictions("colour")} == tags
    found = [one.score for one in shop.search(photos / "blue1.jpg", n=30, with_self=True)]
    assert found == pytest.approx(others, abs=1e-5)
    again = shop.compact()
    assert (again.shards_before, again.shards, again.dropped) == (result.shards, result.shards, 0)
    with pytest.raises(UndoError, match="compact has deleted the features of 1 image; index"):
        shop.undo(shop.history()[0].number)
    assert shop.index([photos]).added == 1


def test_removed_images_that_are_examples_keep_their_features(
    shop: Catalogue, examples: Path, tmp_path: Path
) -> None:
    shop.index([examples])
    shop.remove(sorted(str(path) for path in examples.rglob("*.jpg")))
    assert shop.compact().dropped == 0
    shop.rebuild()
    shop.forget("colour")
    taught = shop.history()[0].number
    assert shop.compact().dropped > 0
    with pytest.raises(InputError, match=r"examples of 'colour' have no features, the first is"):
        shop.undo(taught)
    assert shop.info().attributes == {}


def test_uploads_that_no_location_names_are_deleted(shop: Catalogue, tmp_path: Path) -> None:
    data = draw(tmp_path / "late.jpg", "red", 77).read_bytes()
    shop._truth.uploads.put(b"x" * 32, ".jpg", data)
    upload = shop.folder / "uploads" / f"{(b'x' * 32).hex()}.jpg"
    assert upload.exists()
    assert shop.compact().uploads == 1
    assert not upload.exists()


def test_an_index_run_after_it_reads_no_image_again(shop: Catalogue, photos: Path) -> None:
    shop.compact()
    runtime = FakeRuntime()
    with Catalogue.open(shop.folder, runtime=runtime) as again:
        result = again.index([photos], options=ReadOptions())
        assert (result.unchanged, runtime.images_read) == (36, 0)
