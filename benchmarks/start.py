"""How long a person waits for `gingham --help` and for `gingham predict` of one image.

Usage: start.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

from measure import DATA, GINGHAM, machine, rows, run


def main(rounds: int) -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        shop, table = Path(folder, "shop"), Path(folder, "examples.csv")
        chosen = [r for r in rows("colour_texture/colour.csv") if r["colour"] in ("red", "blue")]
        with table.open("w", newline="") as file:
            pairs = [(DATA / "colour_texture" / r["image"], r["colour"]) for r in chosen[:40]]
            csv.writer(file).writerows([("image", "colour"), *pairs])
        image = DATA / "colour_texture" / rows("colour_texture/texture.csv")[0]["image"]
        run(GINGHAM, "index", shop, pairs[0][0])
        run(GINGHAM, "teach", shop, "colour", table)
        for name, command in (
            ("--help", (GINGHAM, "--help")),
            ("predict", (GINGHAM, "predict", shop, image, "--json")),
            ("search", (GINGHAM, "search", shop, image, "--json")),
        ):
            run(*command)
            times = [run(*command).seconds for _ in range(rounds)]
            print(f"gingham {name}: median {np.median(times):.2f} s, most {max(times):.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    main(parser.parse_args().rounds)
