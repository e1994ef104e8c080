"""Commands take the address of a served catalogue in place of its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra service is not installed")

from typer.testing import CliRunner

from gingham.cli.options import app
from gingham.errors import CatalogueBusyError, InputError
from gingham.service.app import create_app
from gingham.service.served import ServedCatalogue
from serving import MappingRuntime, examples, listening, pictures


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("addresses")
    with (
        ServedCatalogue.create(folder / "shop", runtime=MappingRuntime()) as shop,
        listening(create_app(shop)) as address,
    ):
        shop.hold(address)
        yield address, folder


def run(*args: str | Path, status: int = 0) -> list[Any]:
    done = CliRunner().invoke(app, [*map(str, args), "--json"], catch_exceptions=False)
    assert done.exit_code == status, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_catalogue_is_made_useful_over_http(served: tuple[str, Path]) -> None:
    url, folder = served
    photos = pictures(folder / "photos", 3)
    assert run("index", url, photos)[0]["added"] == 9
    assert run("teach", url, "colour", examples(folder / "examples"))[0]["examples"] == 18
    assert run("tag", url)[0]["images"] == 27
    assert run("info", url)[0]["attributes"]["colour"]["tagged"] == 27
    assert run("facets", url, "--where", "colour=red")[0]["images"] == 9
    (found,) = run("predict", url, photos / "red0.jpg")
    assert found["predictions"]["colour"]["value"] == "red"
    hits = run("search", url, photos / "red0.jpg", "-n", "3", "--look", "attribute:colour=1")
    assert len(hits) == 3
    schema = folder / "schema.toml"
    schema.write_text(
        "[attributes.colour.values.warm]\n[attributes.colour.values.red]\n"
        "parent = 'warm'\nsynonyms = ['crimson']\n"
    )
    assert run("schema", url, schema) == [
        {"attributes": ["colour"], "untagged": {"colour": ["red is below warm, was below none"]}}
    ]
    values = run("schema", url)[0]["attributes"]["colour"]["values"]
    assert values == {"warm": {}, "red": {"parent": "warm", "synonyms": ["crimson"]}}
    assert run("tag", url)[0]["attributes"]["colour"]["warm"] == 9
    for words in ("warm things", "Crimson", "not blue, colour red"):
        hits = run("search", url, "--text", words, "-n", "20")
        assert [hit["attributes"]["colour"] for hit in hits] == ["red"] * 9
    with pytest.raises(InputError, match="no word of 'shiny things' is understood: use values of"):
        run("search", url, "--text", "shiny things")
    (found,) = run("predict", url, photos / "red0.jpg")
    assert found["predictions"]["colour"]["value"] == "red"
    (why,) = run("explain", url, photos / "red0.jpg", "--out", folder / "why")
    assert Path(why["explanations"][0]["overlay"]).is_file()
    assert (folder / "why" / "index.html").is_file()
    assert run("export", url, folder / "tags.csv")[0]["rows"] == 27
    sheet = run("sheet", url, "--attribute", "colour", "--out", folder / "sheet.html", "-n", "2")
    assert sheet[0]["images"] == 6
    assert (folder / "sheet.html").is_file()
    assert run("remove", url, hits[0]["id"]) == [{"removed": 1, "images": 26}]
    assert run("history", url, "-n", "1")[0]["changes"][0]["verb"] == "remove"
    run("forget", url, "colour")
    assert run("info", url)[0]["attributes"] == {}


@pytest.mark.parametrize("command", ["verify", "rebuild", "compact", "prune"])
def test_what_needs_the_folder_says_so(served: tuple[str, Path], command: str) -> None:
    with pytest.raises(InputError, match=f"{command} works on a catalogue's folder"):
        run(command, served[0])


def test_what_the_server_decides_is_refused(served: tuple[str, Path]) -> None:
    with pytest.raises(InputError, match="server's choice"):
        run("index", served[0], served[1], "--backbone", "resnet50")
    with pytest.raises(InputError, match="server's choice"):
        run("index", served[0], served[1], "--view", "whole")
    with pytest.raises(InputError, match="--key goes with the address"):
        run("info", served[1] / "shop", "--key", "abc")
    with pytest.raises(InputError, match="--wait goes with the folder"):
        run("tag", served[0], "--wait", "3")


def test_whoever_wants_the_folder_is_told_the_address(served: tuple[str, Path]) -> None:
    url, folder = served
    with pytest.raises(CatalogueBusyError, match=f"is served at {url}: use that address"):
        run("forget", folder / "shop", "colour")
    assert run("info", folder / "shop")[0]["images"] == run("info", url)[0]["images"]


def test_the_client_is_not_imported_for_help() -> None:
    code = (
        "import sys; sys.argv = ['gingham', '--help']\n"
        "import gingham.cli\n"
        "try:\n gingham.cli.main()\nexcept SystemExit: pass\n"
        "sys.exit('urllib3' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=dict(os.environ), timeout=120
    )
    assert done.returncode == 0, done.stderr
