"""Services over one catalogue in object storage: one writes, others read, each with its cache."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from conftest import draw
from gingham.errors import CatalogueBusyError
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, client, make


def test_what_one_service_adds_the_others_find(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = f"{bucket}/shop"
    make(tmp_path, place=place).close()
    new = draw(tmp_path / "new" / "red.jpg", "red", 99).read_bytes()
    with ServedCatalogue.open(place, runtime=MappingRuntime()) as writing:
        monkeypatch.setenv("GINGHAM_CACHE", str(tmp_path / "other"))
        with (
            client(writing) as writer,
            ServedCatalogue.open(place, runtime=MappingRuntime()) as reading,
            client(reading, read_only=True) as reader,
        ):
            said = reader.get("/v1/catalogue").json()
            assert (said["name"], said["images"], said["read_only"]) == ("shop", 18, True)
            added = writer.post("/v1/images", files=[("image", ("red.jpg", new, "image/jpeg"))])
            assert added.status_code in (200, 201), added.text
            assert reader.get("/v1/catalogue").json()["images"] == 19
            (one,) = set(reading.images()) - {
                image for image, files in reading.images().items() if "uploads/" not in files[0]
            }
            for service in (writer, reader):
                shown = service.get(f"/v1/images/{one}/thumbnail")
                assert shown.status_code == 200, shown.text
            refused = reader.post("/v1/images", files=[("image", ("red.jpg", new, "image/jpeg"))])
            assert refused.status_code in (403, 409), refused.text
            # The service that writes has the lease until it ends.
            with pytest.raises(CatalogueBusyError, match=f"{place} is in use by"):
                reading.remove([one])
        writing.close()
