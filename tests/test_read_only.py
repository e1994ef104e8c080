"""A catalogue on a disk that is mounted to be read only answers all that reads."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import CLI, run

MOUNTED = """
mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" || exit 77
touch "$0/x" 2> /dev/null && exit 77
exec "$@"
"""


def mounted(folder: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command where a folder is mounted to be read only; skip the test if that cannot be."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    own = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNTED, folder]
    done = subprocess.run(
        [*map(str, own), *CLI, *map(str, command)], capture_output=True, text=True, timeout=300
    )
    if done.returncode == 77 or done.stderr.startswith("unshare"):
        pytest.skip("this system does not let a test mount anything")
    return done


@pytest.mark.slow
def test_a_catalogue_on_a_read_only_mount_answers_all_that_reads(
    photos: Path, examples: Path, tmp_path: Path
) -> None:
    shop, red = tmp_path / "shop", photos / "red0.jpg"
    command: tuple[str | Path, ...]
    for command in (("index", shop, photos), ("teach", shop, "colour", examples), ("tag", shop)):
        assert run(*command).returncode == 0, command
    for command in (
        ("info", shop, "--json"),
        ("facets", shop, "--json"),
        ("verify", shop),
        ("search", shop, red, "--json"),
        ("search", shop, red, "--look", "attribute:colour=1", "--where", "colour=red", "--json"),
        ("predict", shop, red, "--json"),
        ("predict", shop, examples / "red" / "100.jpg", "--json"),
        ("history", shop),
    ):
        done, free = mounted(shop, *command), run(*command)
        assert (done.returncode, done.stdout) == (0, free.stdout), (command, done.stderr)
        assert "warning" not in done.stderr
    out = tmp_path / "explained"
    done = mounted(shop, "explain", shop, red, "--out", out)
    assert done.returncode == 0, done.stderr
    assert list(out.iterdir())
    refused = mounted(shop, "tag", shop)
    assert refused.returncode != 0
    assert "read" in refused.stderr.lower()
    # Without what is derived, each makes its own.
    shutil.rmtree(shop / "index")
    shutil.rmtree(shop / "attributes")
    command = ("search", shop, red, "--look", "attribute:colour=1", "--json")
    done = mounted(shop, *command)
    assert (done.returncode, done.stdout) == (0, run(*command).stdout), done.stderr
