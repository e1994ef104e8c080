"""The libraries of the page: copied from `node_modules` into the package, with their licences.

`make page` runs this file after `npm ci`; it imports nothing of gingham.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

STATIC = Path(__file__).parent / "static"
LIBRARIES = STATIC / "lib"
"""Made when gingham is set up or built, never committed."""

FILES = {
    "preact.js": "preact/dist/preact.mjs",
    "preact-hooks.js": "preact/hooks/dist/hooks.mjs",
    "htm.js": "htm/dist/htm.mjs",
    "regl-scatterplot.js": "regl-scatterplot/dist/regl-scatterplot.esm.js",
    "regl.js": "regl/dist/regl.min.js",
    "pub-sub-es.js": "pub-sub-es/dist/index.js",
}
"""Name in `LIBRARIES`: file in `node_modules`."""

LICENCES = "LICENSES.txt"

HOW = (
    "the page is not in this installation: in a checkout of gingham, run `make page`, which needs "
    "npm; all other addresses work without it"
)


def missing() -> str | None:
    """Say what to run where the page's libraries are not there; None if they are."""
    return None if all((LIBRARIES / name).is_file() for name in (*FILES, LICENCES)) else HOW


def copy(modules: Path) -> None:
    """Copy what the page loads, and one file of all licences.

    Parameters
    ----------
    modules : the folder `node_modules`, as `npm ci` makes it.
    """
    LIBRARIES.mkdir(exist_ok=True)
    for name, source in FILES.items():
        shutil.copyfile(modules / source, LIBRARIES / name)
    (LIBRARIES / LICENCES).write_text(licences(modules), encoding="utf-8")


def licences(modules: Path) -> str:
    """Write the licences of all packages, also of those that others are built from.

    Packages that only tests use are left out.
    """
    lock = json.loads((modules / ".package-lock.json").read_text(encoding="utf-8"))
    parts = []
    for place, package in sorted(lock["packages"].items()):
        if package.get("dev"):
            continue
        folder = modules.parent / place
        name = place.rpartition("node_modules/")[2]
        (text,) = folder.glob("LICEN[CS]E*")
        parts.append(
            f"{name} {package['version']} ({package['license']})\n\n"
            f"{text.read_text(encoding='utf-8').strip()}\n"
        )
    return f"\n{'-' * 72}\n\n".join(parts)


if __name__ == "__main__":
    copy(Path(sys.argv[1]))
