"""What museums and biologists have: Darwin Core archives and IIIF manifests."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from conftest import draw
from gingham.errors import InputError
from gingham.image_cells import why_missing
from gingham.images import read_file
from gingham.labels import read_labels
from gingham.sources import find_images
from gingham.tables import read_table

META = """<?xml version="1.0" encoding="UTF-8"?>
<archive xmlns="http://rs.tdwg.org/dwc/text/">
  <core encoding="UTF-8" fieldsTerminatedBy="\\t" fieldsEnclosedBy="" ignoreHeaderLines="1"
        rowType="http://rs.tdwg.org/dwc/terms/Occurrence">
    <files><location>occurrence.txt</location></files>
    <id index="0"/>
    <field index="1" term="http://rs.tdwg.org/dwc/terms/scientificName"/>
    <field index="2" term="http://rs.tdwg.org/dwc/terms/associatedMedia"/>
  </core>
  {extension}
</archive>"""
EXTENSION = """<extension encoding="UTF-8" fieldsTerminatedBy="," fieldsEnclosedBy='"'
        ignoreHeaderLines="1" rowType="http://rs.gbif.org/terms/1.0/Multimedia">
    <files><location>multimedia.csv</location></files>
    <coreid index="0"/>
    <field index="1" term="http://purl.org/dc/terms/identifier"/>
    <field index="2" term="http://purl.org/dc/terms/license"/>
  </extension>"""


def archive(folder: Path, extension: str) -> Path:
    picture = draw(folder / "x.jpg", "red", 1).read_bytes()
    with zipfile.ZipFile(folder / "dwca.zip", "w") as made:
        made.writestr("meta.xml", META.format(extension=extension))
        lines = ["id\tname\tmedia", '1\tParus "major"\ta.jpg | b.jpg', "2\tPica pica\t"]
        made.writestr("occurrence.txt", "\n".join(lines) + "\n")
        rows = [
            "id,url,license",
            '2,media/1.jpg,"CC0, yes"',
            "1,https://a.test/2.jpg,CC-BY",
            "9,c,",
        ]
        made.writestr("multimedia.csv", "\n".join(rows) + "\n")
        made.writestr("media/1.jpg", picture)
    return folder / "dwca.zip"


def test_media_have_the_terms_of_their_occurrence(tmp_path: Path) -> None:
    file = archive(tmp_path, EXTENSION)
    rows = read_table(file, None).rows
    assert [row["scientificName"] for row in rows] == ["Pica pica", 'Parus "major"', None]
    assert [row["license"] for row in rows] == ["CC0, yes", "CC-BY", None]
    labels = read_labels(file, kind="single", value_column="scientificName").rows
    assert read_file(labels[0].image) == (tmp_path / "x.jpg").read_bytes()
    assert "gingham download" in why_missing(labels[1].image)
    assert len(find_images([file]).images) == 3


def test_without_an_extension_the_media_of_the_core_count(tmp_path: Path) -> None:
    rows = read_table(archive(tmp_path, ""), None).rows
    assert [row["image"] for row in rows] == ["a.jpg", "b.jpg", None]


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    file = archive(tmp_path, EXTENSION.replace("identifier", "title"))
    with pytest.raises(InputError, match="no column of media"):
        read_table(file, None)
    for text in ("<archive>", "<archive/>", META.format(extension="").replace("location>", "x>")):
        with zipfile.ZipFile(file, "w") as made:
            made.writestr("meta.xml", text)
        with pytest.raises(
            InputError, match=r"dwca\.zip cannot be read: its meta\.xml describes no"
        ):
            read_table(file, None)


def v2() -> dict[str, Any]:
    resource = {"@id": "https://m.test/{}/full/full/0/default.jpg", "@type": "dctypes:Image"}
    canvases = [
        {
            "label": f"p. {n}",
            "images": [{"resource": resource | {"@id": f"https://m.test/{n}.jpg"}}],
        }
        for n in (1, 2)
    ]
    return {
        "@context": "http://iiif.io/api/presentation/2/context.json",
        "label": "Book",
        "metadata": [{"label": "Artist", "value": ["A", "B"]}],
        "sequences": [{"canvases": canvases}],
    }


def v3() -> dict[str, Any]:
    def canvas(n: int) -> dict[str, Any]:
        body = {"id": f"https://m.test/{n}.jpg", "type": "Image"}
        choice = {"type": "Choice", "items": [body, body | {"id": "https://m.test/x.jpg"}]}
        annotation = {"type": "Annotation", "body": body if n == 1 else choice}
        return {
            "type": "Canvas",
            "label": {"en": [f"p. {n}"]},
            "items": [{"type": "AnnotationPage", "items": [annotation]}],
        }

    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "label": {"none": ["Book"]},
        "metadata": [{"label": {"en": ["Artist"]}, "value": {"en": ["A", "B"]}}],
        "items": [canvas(1), canvas(2)],
    }


def described(folder: Path, core: str, names: bytes, field: str = "") -> Path:
    """Write an archive whose core is described in another way."""
    meta = META.format(extension="")
    old = 'encoding="UTF-8" fieldsTerminatedBy="\\t" fieldsEnclosedBy="" ignoreHeaderLines="1"'
    assert old in meta
    meta = meta.replace(old, core).replace("</core>", f"{field}</core>")
    with zipfile.ZipFile(folder / "other.zip", "w") as made:
        made.writestr("meta.xml", meta)
        made.writestr("occurrence.txt", names)
    return folder / "other.zip"


@pytest.mark.parametrize(
    ("core", "names"),
    [
        ('encoding="latin-1" fieldsTerminatedBy="|"', "1|Érable|u".encode("latin-1")),
        ('encoding="UTF-16" ignoreHeaderLines="2"', "a\nb\n1,Érable,u".encode("utf-16")),
        ('fieldsTerminatedBy="¦"', "1¦Érable¦u".encode()),
        ('encoding="utf-8" ignoreHeaderLines=""', "1,Érable,u".encode("utf-8-sig")),
        ('fieldsEnclosedBy="\'"', "1,'Érable','u'\r\n".encode()),
    ],
)
def test_cores_are_read_as_they_are_described(tmp_path: Path, core: str, names: bytes) -> None:
    constant = '<field default="CC0" term="http://purl.org/dc/terms/license"/>'
    (row,) = read_table(described(tmp_path, core, names, constant), None).rows
    assert row == {
        **{"image": "u", "associatedMedia": "u"},
        **{"scientificName": "Érable", "license": "CC0"},
    }


@pytest.mark.parametrize(
    ("core", "said"), [('encoding="klingon"', "klingon"), ('encoding="rot13"', "rot13")]
)
def test_an_unknown_encoding_is_refused(tmp_path: Path, core: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_table(described(tmp_path, core, b"1,a,u"), None)


def test_damaged_archives_are_refused_wherever_they_are_cut(tmp_path: Path) -> None:
    whole = archive(tmp_path, EXTENSION).read_bytes()
    flipped = whole.replace(b"Parus", b"Varus")
    # An end that says where the list of files is, and lies.
    lie = b"junk" + b"PK\5\6" + bytes(4) + struct.pack("<HHIIH", 1, 1, 5000, 10**6, 0)
    for damaged in (whole[: len(whole) // 2], whole[len(whole) // 2 :], flipped, lie, b""):
        (tmp_path / "damaged.zip").write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged\.zip cannot be read: "):
            read_table(tmp_path / "damaged.zip", None)
        walk = find_images([tmp_path])
        assert str(tmp_path / "x.jpg") in walk.images, "a folder is read but for such a file"
        assert [one.image for one in walk.failures] == [str(tmp_path / "damaged.zip")]


def test_of_a_choice_the_first_image_counts(tmp_path: Path) -> None:
    old, new = v2(), v3()
    canvas = old["sequences"][0]["canvases"][0]
    shown = canvas["images"][0]["resource"]
    canvas["images"][0]["resource"] = {"@type": "oa:Choice", "default": shown, "item": []}
    annotations = new["items"][0]["items"][0]["items"]
    annotations[0]["body"] = [annotations[0]["body"], {"id": "https://m.test/x.jpg"}]
    new["items"][1]["items"][0]["items"][0]["body"] = "https://m.test/2.jpg"
    for manifest in (old, new):
        (tmp_path / "m.json").write_text(json.dumps(manifest))
        found = [row["image"] for row in read_table(tmp_path / "m.json", None).rows]
        assert found == ["https://m.test/1.jpg", "https://m.test/2.jpg"]


@pytest.mark.parametrize(
    ("manifest", "said"),
    [('"items": ["x"]', "not built as its format asks"), ('"items": ' + "[" * 99999, "too deeply")],
)
def test_what_is_built_otherwise_is_refused(tmp_path: Path, manifest: str, said: str) -> None:
    context = '"@context": "http://iiif.io/api/presentation/3/context.json"'
    (tmp_path / "m.json").write_text(f"{{{context}, {manifest}}}")
    with pytest.raises(InputError, match=said):
        read_table(tmp_path / "m.json", None)


@pytest.mark.parametrize("manifest", [v2(), v3()])
def test_a_manifest_is_a_table_of_addresses(tmp_path: Path, manifest: dict[str, Any]) -> None:
    (tmp_path / "m.json").write_text(json.dumps(manifest))
    said = {"title": "Book", "Artist": "A, B"}
    assert read_table(tmp_path / "m.json", None).rows == [
        {"image": f"https://m.test/{n}.jpg", "label": f"p. {n}"} | said for n in (1, 2)
    ]
