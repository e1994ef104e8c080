from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

import gingham.cli
from conftest import COLOURS, SHARED, draw, needs_shared
from gingham import Catalogue, sources
from gingham.cli.options import app, evaluate_app, unknown_list
from gingham.names import UNKNOWN_WORDS
from helpers import CLI, run, weights_of

COMMANDS = (
    *("index", "teach", "forget", "predict", "tag", "search", "facets"),
    *(
        "sheet",
        "serve",
        "attach",
        "info",
        "verify",
        "rebuild",
        "remove",
        "export",
        "explain",
        "study",
    ),
    *("relocate", "prune", "compact"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real catalogue of 24 images on the default backbone, with colour taught and tagged."""
    folder = tmp_path_factory.mktemp("cli")
    for colour in COLOURS:
        for seed in range(8):
            draw(folder / "photos" / f"{colour}{seed}.jpg", colour, seed)
        for seed in range(50, 56):
            draw(folder / "examples" / colour / f"{seed}.jpg", colour, seed)
    assert run("index", folder / "shop", folder / "photos").returncode == 0
    assert run("teach", folder / "shop", "colour", folder / "examples").returncode == 0
    assert run("tag", folder / "shop").returncode == 0
    return folder / "shop"


def without_note(said: str) -> str:
    """Leave out what is said where no network can be kept, as when tests/harsh.sh runs this."""
    return "".join(
        line for line in said.splitlines(keepends=True) if "networks are not kept" not in line
    )


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout
    code = (
        "import sys, gingham, gingham.cli\n"
        "heavy = {'torch', 'timm', 'openvino', 'sklearn', 'numpy', 'pyarrow', 'usearch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_predict_of_one_image_imports_neither_torch_nor_scikit_learn(shop: Path) -> None:
    image = shop.parent / "examples" / "red" / "50.jpg"
    new = shop.parent / "new.jpg"
    shutil.copy(image, new)
    with new.open("ab") as file:
        file.write(b"\0")  # other bytes: it must be read by the network
    code = f"""
import sys
import time
sys.argv = ["gingham", "predict", {str(shop)!r}, {str(new)!r}, "--json"]
from gingham.cli import main
try:
    main()
finally:
    assert not {{"torch", "timm", "sklearn", "scipy"}} & sys.modules.keys()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["predictions"]["colour"]["value"] == "red"


def test_json_is_all_there_is_on_stdout_and_people_get_tables(shop: Path) -> None:
    image = shop.parent / "photos" / "red0.jpg"
    for command in (
        ("index", shop, shop.parent / "photos"),
        ("tag", shop),
        ("facets", shop),
        ("info", shop),
        ("verify", shop),
        ("predict", shop, image),
        ("search", shop, image, "-n", "1"),
        ("export", shop, shop.parent / "out.csv"),
        ("sheet", shop, "--attribute", "colour", "--out", shop.parent / "sheet.html"),
        ("rebuild", shop),
        ("compact", shop),
    ):
        done = run(*command, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
        plain = run(*command)
        assert plain.returncode == 0
        assert plain.stdout.strip()
        with pytest.raises(json.JSONDecodeError):
            json.loads(plain.stdout)


def test_exit_one_when_some_images_failed(shop: Path) -> None:
    bad = shop.parent / "bad.jpg"
    bad.write_text("no picture")
    done = run("index", shop, bad, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failures"][0]["image"] == str(bad)
    assert run("index", shop, bad).stderr.startswith("failed: ")
    done = run("predict", shop, "-", "--json", stdin=os.fsencode(f"{bad}\n"))
    assert done.returncode == 1
    assert set(json.loads(done.stdout)) == {"image", "error"}


def test_names_that_are_not_utf8(shop: Path) -> None:
    name = os.fsencode(shop.parent) + b"/\xff\xe9.jpg"
    shutil.copy(shop.parent / "photos" / "blue0.jpg", os.fsdecode(name))
    done = run("index", shop, "-", "--json", stdin=name + b"\n")
    assert done.returncode == 0, done.stderr
    done = run("predict", shop, "-", "--json", stdin=name + b"\n")
    assert os.fsencode(json.loads(done.stdout)["image"]) == name
    assert run("predict", shop, "-", stdin=name + b"\n").returncode == 0
    assert run("remove", shop, "-", stdin=name + b"\n").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["index", "SHOP", "nowhere"], "nowhere does not exist"),
        (["index", "SHOP", "PHOTOS", "--backbone", "vgg16"], "leave --backbone out"),
        (["index", "SHOP", "PHOTOS", "--view", "whole"], "leave --view and --resolution out"),
        (["index", "SHOP", "PHOTOS", "--resolution", "320"], "with view square, resolution 224"),
        (["index", "NEW", "PHOTOS", "--view", "hole"], "did you mean 'whole'?"),
        (["index", "NEW", "PHOTOS", "--resolution", "300"], "a multiple of 32 from 160 to 1024"),
        (["index", "NEW", "PHOTOS", "--backbone", "nonsense"], "unknown backbone 'nonsense'"),
        (["index", "NEW", "PHOTOS", "--device", "tpu"], "auto, cpu or cuda"),
        (["index", "NEW", "nowhere"], "nowhere does not exist"),
        (["teach", "SHOP", "colour", "nowhere.csv"], "do not exist"),
        (["teach", "SHOP", "colour", "PHOTOS"], "a folder for each value"),
        (["teach", "SHOP", "a=b", "PHOTOS"], "without = or !"),
        (["forget", "SHOP", "size"], "unknown attribute 'size'; known: colour"),
        (["predict", "SHOP", "x.jpg", "--attribute", "size"], "unknown attribute 'size'"),
        (["tag", "SHOP", "size"], "unknown attribute 'size'"),
        (["search", "SHOP", "nowhere.jpg"], "no such file"),
        (["search", "SHOP", "PHOTO", "--look", "colour"], "LOOK=WEIGHT"),
        (["search", "SHOP", "PHOTO", "--look", "taste=1"], "known: colour, texture, semantic"),
        (["search", "SHOP", "PHOTO", "--look", "colour=1", "--look", "colour=2"], "given twice"),
        (["search", "SHOP", "PHOTO", "--where", "colour"], "ATTRIBUTE=VALUE"),
        (["search", "SHOP", "PHOTO", "--where", "colour=mauve"], "'blue', 'green', 'red'"),
        (["facets", "SHOP", "--where", "size=1"], "unknown attribute 'size'"),
        (["remove", "SHOP", "nowhere.jpg"], "is not in catalogue"),
        (["export", "SHOP", "out.xlsx"], "ends in .parquet or .csv"),
        (["export", "SHOP", "out.json", "--format", "coc"], "unknown format 'coc'; known: "),
        (["export", "SHOP", "nowhere/out.csv"], "there is no folder nowhere: make it first"),
        (
            ["teach", "SHOP", "colour", "PHOTOS", "--value-column", "x"],
            "go with a table, and folder",
        ),
        (["sheet", "SHOP", "--attribute", "size", "--out", "a.html"], "unknown attribute 'size'"),
        (
            ["sheet", "SHOP", "--attribute", "colour", "--out", "nowhere/a.html"],
            "no folder nowhere",
        ),
        (["sheet", "SHOP", "--attribute", "colour", "--out", "a.jpg"], "ends in .html"),
        (["tag", "SHOP", "color"], "did you mean 'colour'?"),
        (["forget", "SHOP", "colour", "gren"], "did you mean 'green'?"),
        (["explain", "SHOP", "PHOTO", "--value", "gren"], "did you mean 'green'?"),
        (["facets", "SHOP", "--where", "colour=gren"], "did you mean 'green'?"),
        (["search", "SHOP", "PHOTO", "--look", "texure=1"], "did you mean 'texture'?"),
        (["search", "SHOP", "PHOTO", "--look", "attribute:color=1"], "did you mean 'attri"),
        (["teach", "SHOP", "hue", "EXAMPLES", "--layers", "steem"], "did you mean 'stem'?"),
        (["teach", "SHOP", "hue", "TABLE", "--image-column", "imgae"], "did you mean 'image'?"),
        (["teach", "SHOP", "color", "TABLE"], "did you mean 'colour'?"),
        (["curate", "TABLE", "--out", "NEW", "--config", "RULES"], "did you mean 'colour'?"),
        (["index", "NEW", "PHOTOS", "--descriptors", "conf"], "did you mean 'conv'?"),
        (["sheet", "SHOP"], "gingham sheet CATALOGUE --attribute ... --out ..."),
        (["info", "nowhere"], "is not a catalogue"),
        (
            ["predict", "photo.jpg"],
            'no catalogue given: gingham predict CATALOGUE IMAGE... ("photo.jpg" is an image)',
        ),
        (["search", "PHOTO", "PHOTO"], "is a file: give the folder of the catalogue first"),
        (["search", "SHOP"], "search needs at least one image, a colour or a filter"),
        (["tag"], "no CATALOGUE given: gingham tag CATALOGUE [ATTRIBUTE...]"),
        (["curate", "t.csv"], "--out is missing: gingham curate TABLE --out ..."),
        (["serch"], "'search'"),
        (["info", "SHOP", "--jsn"], "see gingham info --help"),
        (["info", "PHOTOS"], "is not a catalogue"),
    ],
)
def test_refused_with_exit_two_and_a_reason(shop: Path, arguments: list[str], words: str) -> None:
    places = {
        "SHOP": shop,
        "PHOTOS": shop.parent / "photos",
        "PHOTO": shop.parent / "photos" / "red0.jpg",
        "NEW": shop.parent / "never",
        "EXAMPLES": shop.parent / "examples",
        "TABLE": shop.parent / "labels.csv",
        "RULES": shop.parent / "rules.toml",
    }
    places["TABLE"].write_text("image,colour\nphotos/red0.jpg,red\nphotos/blue0.jpg,blue\n")
    places["RULES"].write_text('[values]\nrules = ["color: rde -> red"]\n')
    done = run(*(places.get(a, a) for a in arguments), env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 2, done.stdout
    assert done.stdout == ""
    assert without_note(done.stderr).startswith("error: ")
    assert words in done.stderr
    assert not (shop.parent / "never" / "catalogue.json").exists()


def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, str, str]:
    """Run a command in this process: its exit status, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["gingham", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        gingham.cli.main()
    assert isinstance(ended.value.code, int)
    return (ended.value.code, *capsys.readouterr())


@pytest.mark.parametrize(
    "command",
    [*(name for name in COMMANDS if name != "serve"), "curate", "train", "evaluate model"],
)
def test_with_json_every_command_tells_errors_as_json(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = call(monkeypatch, capsys, *command.split(), "--json", "--jsn")
    assert (status, err) == (2, "")
    (said,) = json.loads(out).values()
    assert (said["type"], "path" in said) == ("UsageError", False)
    assert "--jsn" in said["message"]
    # What stands after -- is no option.
    status, out, err = call(monkeypatch, capsys, *command.split(), "--jsn", "--", "--json")
    assert (status, out) == (2, "")
    assert err.startswith("error: ")


def test_errors_as_json_name_what_they_are_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "nowhere"
    status, out, err = call(monkeypatch, capsys, "info", place, "--json")
    assert (status, err) == (2, "")
    said = json.loads(out)["error"]
    assert said["message"].startswith(f"{place} is not a catalogue: ")
    assert said == {"type": "CatalogueError", "message": said["message"], "path": str(place)}
    status, out, _ = call(monkeypatch, capsys, "index", tmp_path / "new", place, "--json")
    assert json.loads(out)["error"]["path"] == str(place)
    draw(tmp_path / "red.jpg", "red", 0)
    assert call(monkeypatch, capsys, "index", tmp_path / "c", tmp_path / "red.jpg")[0] == 0
    for command in ("teach", "relocate"):
        given = ("c", "colour", place) if command == "teach" else ("c", tmp_path, place)
        out = call(monkeypatch, capsys, command, tmp_path / given[0], *given[1:], "--json")[1]
        assert json.loads(out)["error"]["path"] == str(place)
    said = json.loads(call(monkeypatch, capsys, "predict", "--json", place)[1])["error"]
    assert (said["type"], "path" in said) == ("UsageError", False)


def test_nothing_taught_and_nothing_tagged_is_said(shop: Path, tmp_path: Path) -> None:
    photo = shop.parent / "photos" / "red0.jpg"
    assert run("index", tmp_path / "new", photo).returncode == 0
    done = run("predict", tmp_path / "new", photo)
    assert (done.returncode, done.stderr) == (0, "")
    assert ": colours red" in done.stdout
    done = run("search", tmp_path / "new")
    assert done.returncode == 2
    assert "search needs at least one image, a colour or a filter" in done.stderr
    done = run("search", tmp_path / "new", "--colour", "#b03a2e=2", "--json")
    (hit,) = map(json.loads, done.stdout.splitlines())
    assert hit["looks"].keys() == {"colours"}
    assert hit["score"] == pytest.approx(2 * hit["looks"]["colours"])
    done = run("facets", tmp_path / "new")
    assert done.returncode == 0
    assert done.stdout.startswith("nothing is tagged yet: run gingham tag")


def test_every_reader_of_labelled_tables_has_the_same_options() -> None:
    options = {
        name: {option for one in command.params for option in one.opts}
        for group in (app, evaluate_app)
        for name, command in typer.main.get_group(group).commands.items()
    }
    readers = ("teach", "study", "curate", "train", "model", "retrieval")
    for name in readers:
        assert {"--unknown-words", "--skip-bad-rows"} <= options[name], name
    assert "--skip-bad-rows" in options["index"]
    assert unknown_list(None) == UNKNOWN_WORDS
    assert (unknown_list("none, ?,"), unknown_list("")) == (("none", "?"), ())


def test_verify_says_how_much_it_checked(shop: Path) -> None:
    images = json.loads(run("info", shop, "--json").stdout)["images"]
    assert run("verify", shop).stdout == f"OK: {images} images checked, no problems\n"


def test_version_and_help() -> None:
    assert run("--version").stdout == f"gingham {gingham.__version__}\n"
    nothing = run()
    assert nothing.returncode == 2
    assert nothing.stderr.strip() == run("--help").stdout.strip()


def test_ctrl_c_says_that_what_was_done_is_kept(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(self: Catalogue) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Catalogue, "info", stop)
    monkeypatch.setattr(sys, "argv", ["gingham", "info", str(shop)])
    with pytest.raises(SystemExit) as ended:
        gingham.cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted: everything done so far is kept\n"


def test_ctrl_c_before_a_command_begins_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """
import os, signal, sys
from gingham.__main__ import main

class Now:
    def find_spec(self, name, *_):
        if name == "gingham.cli":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Now())
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job may ignore it
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")

    def stop(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gingham.cli, "app", stop)
    assert call(monkeypatch, capsys, "info") == (
        130,
        "",
        "interrupted: everything done so far is kept\n",
    )


def test_a_new_catalogue_walks_its_sources_once(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walked: list[str] = []
    walk = sources._walk_folder

    def counted(found: sources.Walk, top: str, left_out: str | None) -> None:
        walked.append(top)
        walk(found, top, left_out)

    monkeypatch.setattr(sources, "_walk_folder", counted)
    photos = shop.parent / "photos"
    for times in (1, 2):
        monkeypatch.setattr(sys, "argv", ["gingham", "index", str(tmp_path / "new"), str(photos)])
        with pytest.raises(SystemExit) as ended:
            gingham.cli.main()
        assert ended.value.code == 0
        assert walked == [str(photos)] * times


def test_a_folder_without_images(shop: Path) -> None:
    (shop.parent / "hollow").mkdir()
    done = run("index", shop.parent / "hollow-shop", shop.parent / "hollow")
    assert done.returncode == 2
    assert "holds no files" in done.stderr
    assert not (shop.parent / "hollow-shop").exists()


def test_whoever_stops_reading_is_no_error(shop: Path) -> None:
    process = subprocess.Popen(
        [
            *CLI,
            "predict",
            str(shop),
            *[str(p) for p in (shop.parent / "photos").iterdir()],
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr
    errors = process.stderr.read()
    process.stderr.close()
    assert errors == b""
    assert process.wait(60) in (0, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [("info", "--json"), ("facets",)])
def test_what_cannot_be_printed_is_one_sentence(shop: Path, command: tuple[str, ...]) -> None:
    name, *options = command
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*CLI, name, str(shop), *options], stdout=full, stderr=subprocess.PIPE, timeout=60
        )
    assert done.stderr.decode() == (
        "error: what is printed cannot be written (No space left on device): free some space "
        "there, then run the command again\n"
    )
    assert done.returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_an_error_that_cannot_be_printed_keeps_its_status(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*CLI, "info", str(tmp_path), *options], stdout=full, stderr=full, timeout=60
        )
    assert done.returncode == 2


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed_as_cron_and_services_leave_them(
    shop: Path, tmp_path: Path, closed: str
) -> None:
    cat, given = tmp_path / "cat", shop.parent
    for command in (
        ("index", cat, given / "photos"),
        ("teach", cat, "colour", given / "examples"),
        ("tag", cat),
        ("verify", cat),
    ):
        shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *CLI, *map(str, command)]
        done = subprocess.run(shell, capture_output=True, timeout=100)
        assert (done.returncode, done.stderr) == (0, b""), command
        assert bool(done.stdout) == (">&- 2" not in closed)
    assert json.loads(run("info", cat, "--json").stdout)["attributes"]["colour"]["tagged"] == 24


def test_a_short_answer_that_no_one_reads_is_no_error(shop: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*CLI, "verify", str(shop)], stdout=writing, stderr=subprocess.PIPE, timeout=60
    )
    os.close(writing)
    assert (done.stderr, done.returncode) == (b"", 1)


def test_folders_and_patterns_are_walked_alike_by_index_predict_and_teach(
    shop: Path, tmp_path: Path
) -> None:
    examples = shutil.copytree(shop.parent / "examples", tmp_path / "examples")
    (examples / "red" / "@eaDir").mkdir()
    (examples / "blue").rename(tmp_path / "elsewhere")
    (examples / "blue").symlink_to(tmp_path / "elsewhere")
    said = (
        f"hidden or system files and folders left out: 1, first {examples}/red/@eaDir\n"
        f"linked folders followed: 1, first {examples}/blue\n"
    )
    listed = {
        "ignored": [f"{examples}/red/@eaDir"],
        "followed": [f"{examples}/blue"],
        "repeated": [],
    }
    assert without_note(run("index", tmp_path / "cat", examples).stderr) == said
    for command in (("index", tmp_path / "cat"), ("teach", tmp_path / "cat", "colour")):
        done = run(*command, examples, "--json")
        assert without_note(done.stderr) == ""
        assert json.loads(done.stdout).items() >= listed.items()
    assert without_note(run("teach", tmp_path / "cat", "tone", examples).stderr) == said
    done = run("predict", tmp_path / "cat", examples, f"{examples}/green/5[01].jpg", "--json")
    assert without_note(done.stderr) == said
    assert len(done.stdout.splitlines()) == 3 * 6 + 2
    done = run("predict", tmp_path / "cat", f"{examples}/*.png")
    assert done.returncode == 2
    assert "as a pattern it matches nothing" in done.stderr


@needs_shared
@pytest.mark.slow
def test_the_contract_on_real_photos() -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(SHARED / "check_contract.py"),
            str(Path(sys.executable).with_name("gingham")),
        ],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout


@needs_shared
def test_everything_in_the_curation_folder_is_indexed_or_listed(tmp_path: Path) -> None:
    folder = SHARED / "data" / "curation"
    done = run("index", tmp_path / "shop", folder, "--json")
    result = json.loads(done.stdout)
    files = [p for p in folder.rglob("*") if p.is_file()]
    assert result["added"] + result["unchanged"] + result["failed"] == len(files)
    assert not result["ignored"]
    assert {Path(f["image"]).name for f in result["failures"]} == {"ukbench09268_corrupt.jpg"}
    assert done.returncode == 1
    assert run("verify", tmp_path / "shop").returncode == 0


def test_a_network_that_is_converted_first_is_said_and_counts(tmp_path: Path) -> None:
    draw(tmp_path / "red.jpg", "red", 1)
    weights = weights_of("test_resnet", tmp_path / "w.safetensors")
    own = {"GINGHAM_CACHE": str(tmp_path / "cache")}
    args = ("index", tmp_path / "shop", tmp_path / "red.jpg")
    chosen = ("--backbone", "test_resnet", "--weights", weights)
    started = time.perf_counter()
    first = run(*args, *chosen, env=own)
    took = time.perf_counter() - started
    assert first.returncode == 0, first.stderr
    assert first.stderr.startswith("converting test_resnet for OpenVINO (once")
    said = float(first.stdout.split("; ")[2].split(" s,")[0])
    # All but the start of Python and the imports of the command line.
    assert took / 2 < said < took
    again = run("index", tmp_path / "shop2", tmp_path / "red.jpg", *chosen, env=own)
    assert again.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["forget", "{shop}", "te\u0301"],
        ["tag", "{shop}", "te\u0301"],
        ["predict", "{shop}", "x.png", "--attribute", "te\u0301"],
        ["explain", "{shop}", "x.png", "--out", "x", "--attribute", "te\u0301"],
    ],
)
def test_names_of_attributes_are_composed_as_they_are_taught(
    shop: Path, arguments: list[str]
) -> None:
    done = run(*(one.format(shop=shop) for one in arguments), "--json")
    assert done.returncode == 2
    assert "'t\u00e9'" in json.loads(done.stdout)["error"]["message"]
