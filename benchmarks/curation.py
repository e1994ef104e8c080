"""Faults planted in the 16,000 products, and how many of them `gingham curate` finds.

5 % of the labels of each attribute flipped, 200 re-encoded copies (a third of them resized too, a
third mirrored), 50 corrupt files; and what it makes of the folder of near duplicates.

With --synonyms a part of the images of every fifth frequent value gets another name for it, which
says nothing, and what is counted is how many of these pairs are proposed to be merged, and which
others.

With --year the table has the season's year too, which is not judged, but tells of the season.

Usage: curation.py [--seed N] [--half 0|1] [--flips uniform|frequent] [--year] [--synonyms]
                   [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from measure import DATA, GINGHAM, machine, rows, run

ATTRIBUTES = ("gender", "articleType", "baseColour", "season", "usage")
COPIES, CORRUPT, FLIPPED = 200, 50, 0.05
OFTEN = 50  # images of a value that may get another name
Row = dict[str, str]


def plant_flips(
    table: list[Row], rng: np.random.Generator, flips: str
) -> dict[str, dict[int, str]]:
    """Give 5 % of each attribute's known labels another value; returns what they were."""
    planted: dict[str, dict[int, str]] = {}
    for name in ATTRIBUTES:
        counts = Counter(row[name] for row in table if row[name] not in ("", "NA"))
        values = sorted(value for value, count in counts.items() if count >= 5)
        weights = np.array([counts[v] if flips == "frequent" else 1 for v in values], float)
        known = [i for i, row in enumerate(table) if row[name] in values]
        planted[name] = {}
        for i in rng.choice(known, round(FLIPPED * len(known)), replace=False).tolist():
            other = np.array([value != table[i][name] for value in values]) * weights
            planted[name][i] = table[i][name]
            table[i][name] = str(rng.choice(values, p=other / other.sum()))
    return planted


def plant_synonyms(table: list[Row], rng: np.random.Generator) -> dict[str, dict[str, str]]:
    """Rename 20 to 50 % of some values' images; attribute -> the other name -> the value."""
    planted: dict[str, dict[str, str]] = {}
    for name in ATTRIBUTES:
        counts = Counter(row[name] for row in table if row[name] not in ("", "NA"))
        often = sorted(value for value, count in counts.items() if count >= OFTEN)
        planted[name] = {}
        for value in rng.permutation(often)[: max(1, len(often) // 5)].tolist():
            other = f"synonym {len(planted[name])}"
            planted[name][other] = value
            own = [row for row in table if row[name] == value]
            share = rng.uniform(0.2, 0.5)
            for i in rng.permutation(len(own))[: round(share * len(own))].tolist():
                own[i][name] = other
    return planted


def plant_copies(table: list[Row], folder: Path, rng: np.random.Generator) -> dict[int, int]:
    """Add re-encoded copies of pictures; returns row of the copy -> row of the original."""
    planted = {}
    for number, original in enumerate(rng.choice(len(table), COPIES, replace=False).tolist()):
        picture = Image.open(table[original]["image"]).convert("RGB")
        if number % 3 == 1:
            scale = rng.uniform(0.7, 1.6)
            filters = (
                Image.Resampling.BILINEAR,
                Image.Resampling.BICUBIC,
                Image.Resampling.LANCZOS,
            )
            size = (round(picture.width * scale), round(picture.height * scale))
            picture = picture.resize(size, filters[rng.integers(3)])
        if number % 3 == 2:
            picture = ImageOps.mirror(picture)
        path = folder / f"copy{number}.jpg"
        picture.save(path, quality=int(rng.integers(40, 95)))
        planted[len(table)] = original
        table.append(table[original] | {"image": str(path)})
    return planted


def plant_corrupt(table: list[Row], folder: Path, rng: np.random.Generator) -> set[int]:
    """Add files that cannot be read: cut off, overwritten, empty, or no picture at all."""
    planted = set()
    for number, original in enumerate(rng.choice(len(table), CORRUPT, replace=False).tolist()):
        data = Path(table[original]["image"]).read_bytes()
        broken = (
            data[: int(len(data) * rng.uniform(0.2, 0.8))],
            b"\x00" * 64 + data[64:],
            b"",
            b"<html><body>404 not found</body></html>",
        )[number % 4]
        path = folder / f"corrupt{number}.jpg"
        path.write_bytes(broken)
        planted.add(len(table))
        table.append(table[original] | {"image": str(path)})
    return planted


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def write(path: Path, table: list[Row]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def products(
    folder: Path,
    out: Path,
    seed: int,
    half: int | None,
    flips: str,
    witnesses: tuple[str, ...],
    *,
    synonyms: bool,
) -> None:
    rng = np.random.default_rng(seed)
    names = ATTRIBUTES + witnesses
    table = [
        {"image": str(DATA / "fashion_products" / row["image"])} | {a: row[a] for a in names}
        for i, row in enumerate(rows("fashion_products/products.csv"))
        if half is None or i % 2 == half
    ]
    images = len(table)
    flipped = {} if synonyms else plant_flips(table, rng, flips)
    renamed = plant_synonyms(table, rng) if synonyms else {}
    copies = plant_copies(table, folder, rng)
    corrupt = plant_corrupt(table, folder, rng)
    write(folder / "table.csv", table)
    config = folder / "curate.toml"
    config.write_text(
        f"[table]\nattributes = {json.dumps(names)}\n"
        f"[label_errors]\nattributes = {json.dumps(ATTRIBUTES)}\n"
    )
    done = run(
        GINGHAM, "curate", folder / "table.csv", "--config", config, "--out", out, "--json",
        codes=(0, 1),
    )  # fmt: skip
    print(f"{images} products, seed {seed}, flips {flips}, {len(table)} rows: {done.seconds:.0f} s")
    print(f"peak {done.peak_mb:.0f} MB")
    stages = out / "stages"
    removed = {int(row["row"]) for row in read(stages / "1_invalid.csv")}
    print(f"corrupt files found: {len(corrupt & removed)} of {len(corrupt)}; ", end="")
    print(f"sound files called invalid: {len(removed - corrupt)}")
    judge_copies(table, copies, corrupt, read(stages / "2_duplicates.csv"))
    if synonyms:
        judge_synonyms(renamed, read(out / "merges.csv"))
    else:
        judge_flips(flipped, read(stages / "6_label_errors.csv"))


def judge_copies(
    table: list[Row], copies: dict[int, int], corrupt: set[int], listed: list[Row]
) -> None:
    """Count the copies found, and what else was called a copy."""
    pixels: dict[bytes, list[int]] = {}
    for i, row in enumerate(table):
        if i not in corrupt:
            with Image.open(row["image"]) as picture:
                pixels.setdefault(picture.convert("RGB").tobytes(), []).append(i)
    same = {i: set(group) for group in pixels.values() for i in group}
    called = [row for row in listed if row["reason"] != "alike, but no copy"]
    group = {int(row["row"]): row["group"] for row in called}
    for row in called:
        group.setdefault(int(row["of_row"]), row["group"])
    found = [i for i, of in copies.items() if i in group and group[i] == group.get(of)]
    true = other = 0
    unplanted = []
    for row in called:
        a, b = int(row["row"]), int(row["of_row"])
        # Copies of pictures that are themselves of equal pixels are copies of each other.
        a_, b_ = (same[copies.get(x, x)] for x in (a, b))
        if a_ & b_ or a in same[b]:
            true += 1
        else:
            other += 1
            unplanted.append((Path(table[a]["image"]).name, Path(table[b]["image"]).name))
    print(f"planted copies found: {len(found)} of {len(copies)} = {len(found) / len(copies):.3f}")
    print(
        f"rows called copies: {true + other}; planted or of equal pixels {true}; neither {other} "
        f"= {other / (true + other):.3%} (to be looked at: {unplanted})"
    )
    gone = {int(row["row"]) for row in called if row["action"] == "removed"}
    print(f"of the planted copies {len(gone & set(copies))} went and their original stayed")
    missed = sorted(set(copies) - set(found))
    if missed:
        print("missed:", [Path(table[i]["image"]).name for i in missed])


def judge_flips(flipped: dict[str, dict[int, str]], ranked: list[Row]) -> None:
    """Say how many flips are among the 10 % most doubtful labels, and how often it is mended."""
    total = planted = 0
    place = {(int(row["row"]), row["attribute"]): row for row in ranked}
    for name, rows_ in flipped.items():
        judged = [row for row in ranked if row["attribute"] == name]
        top = len(judged) // 10
        hits = [
            i for i in rows_ if (i, name) in place and int(place[i, name]["attribute_rank"]) <= top
        ]
        pooled = sum(
            (i, name) in place and int(place[i, name]["rank"]) <= len(ranked) // 10 for i in rows_
        )
        right = sum(place[i, name]["suggested"] == rows_[i] for i in hits)
        flags = {int(row["row"]) for row in judged if row["flagged"] == "True"}
        print(
            f"  {name}: {len(rows_)} flipped; in the top 10 % of its {len(judged)} labels "
            f"{len(hits) / len(rows_):.3f}, the old value suggested for {right / len(hits):.3f} of "
            f"these; in the top 10 % of all {pooled / len(rows_):.3f}; flagged {len(flags)}, of "
            f"these flipped {len(flags & set(rows_)) / max(len(flags), 1):.3f}"
        )
        total += pooled
        planted += len(rows_)
    print(f"flips among the top 10 % of all {len(ranked)} labels: {total / planted:.3f}")


def judge_synonyms(renamed: dict[str, dict[str, str]], proposed: list[Row]) -> None:
    """Count the pairs that are proposed to be merged, and list those that nobody planted."""
    found, others = 0, []
    for row in proposed:
        names = renamed[row["attribute"]]
        one, other = row["value"], row["into"]
        if names.get(one) == other or names.get(other) == one:
            found += 1
        else:
            others.append(f"{row['attribute']}: {one} -> {other} ({row['told_apart']})")
    planted = sum(map(len, renamed.values()))
    print(f"planted synonyms proposed: {found} of {planted}; others: {'; '.join(others) or 'none'}")


def near_duplicates(folder: Path, out: Path) -> None:
    """Say what is made of each altered copy of one photo."""
    pictures = sorted((DATA / "curation" / "near_duplicates").rglob("*.*"))
    table = [{"image": str(p), "what": ("one", "two")[i % 2]} for i, p in enumerate(pictures)]
    write(folder / "near.csv", table)
    run(GINGHAM, "curate", folder / "near.csv", "--out", out, "--json", codes=(0, 1))
    for row in read(out / "stages" / "1_invalid.csv"):
        print(f"  {Path(row['image']).name}: invalid: {row['reason']}")
    for row in read(out / "stages" / "2_duplicates.csv"):
        print(
            f"  {Path(row['image']).name}: {row['reason']} of {Path(row['of_image']).name}"
            f" {row['turn']} (found by {row['found_by']})"
        )
    said = {
        int(row["row"])
        for n in ("1_invalid", "2_duplicates")
        for row in read(out / "stages" / f"{n}.csv")
    }
    print("  kept:", ", ".join(p.name for i, p in enumerate(pictures) if i not in said))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", type=int, choices=(0, 1))
    parser.add_argument("--flips", choices=("uniform", "frequent"), default="uniform")
    parser.add_argument("--year", action="store_true")
    parser.add_argument("--synonyms", action="store_true", help="rename values, flip no labels")
    parser.add_argument("--keep", type=Path, help="where features stay for the next run")
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        kept = given.keep or place / "kept"
        witnesses = ("year",) if given.year else ()
        products(
            place, kept / "products", given.seed, given.half, given.flips, witnesses,
            synonyms=given.synonyms,
        )  # fmt: skip
        if not given.synonyms:
            print("near duplicates:")
            near_duplicates(place, kept / "near")
