"""Teach and tag a new attribute over the 16,000 products, with the folder of images moved away.

Usage: teach_tag.py
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

from measure import DATA, GINGHAM, machine, rows, run

VALUES = 8
EXAMPLES = 20


def main(folder: Path) -> None:
    print(machine())
    photos = folder / "photos"
    shutil.copytree(DATA / "fashion_products" / "images", photos / "images")
    indexed = run(GINGHAM, "index", folder / "shop", photos, "--json")
    print(f"index: {indexed.seconds:.1f} s, peak {indexed.peak_mb:.0f} MB")
    by_value = defaultdict(list)
    for row in rows("fashion_products/products.csv"):
        by_value[row["articleType"]].append(row["image"])
    values = sorted(by_value, key=lambda value: -len(by_value[value]))[:VALUES]
    table = photos / "examples.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(
            [("image", "articleType"), *((i, v) for v in values for i in by_value[v][:EXAMPLES])]
        )
    full = photos / "all.csv"
    shutil.copy(DATA / "fashion_products" / "products.csv", full)
    (photos / "images").rename(folder / "moved away")
    for name, path, column in (
        (f"{VALUES} values, {EXAMPLES} examples each", table, "articleType"),
        ("every product an example of baseColour", full, "baseColour"),
    ):
        taught = run(GINGHAM, "teach", folder / "shop", column, path, "--json", codes=(0, 1))
        tagged = run(GINGHAM, "tag", folder / "shop", column, "--json")
        result = json.loads(taught.stdout)
        print(
            f"{name}: teach {taught.seconds:.1f} s + tag {json.loads(tagged.stdout)['images']} "
            f"images {tagged.seconds:.1f} s = {taught.seconds + tagged.seconds:.1f} s (processes "
            f"from start to end); cross-validated accuracy {result['accuracy']:.3f}; "
            f"peak {max(taught.peak_mb, tagged.peak_mb):.0f} MB"
        )
        run(GINGHAM, "forget", folder / "shop", column)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
