"""The whole road on 16,000 products: curate, train, tag, evaluate; beside it, taught attributes.

Four answers to the same questions: a network trained and attributes taught, each from the table as
it comes (plain) and from the curated one.

What makes it fair. A first curation removes and changes nothing: it only ties copies and what is
alike into groups and splits the rows (65 % training, 10 % validation, 25 % test), groups on one
side. Of the test rows every label stays as the shop's table has it, errors included, and they take
no part in the second curation, which cleans the training and validation rows: copies out, rare
values and suspected labels made unknown, rare values shown more often. Plain has all of these rows
and labels. Networks learn from the training rows, and are calibrated and stopped early by the
validation rows; attributes are taught with the training rows alone. Judged are the test rows whose
value has ten training rows or more in the plain table, for all four alike; an answer `unknown` is
wrong, and macro F1 is over the values that are judged.

Every step's result stays in --work; a step that is done is not done again.

Usage: products.py --work FOLDER [--action unknown|replace|report]
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from pathlib import Path

from sklearn.metrics import f1_score

from gingham.catalogue import Catalogue
from gingham.store.files import write_json
from measure import DATA, GINGHAM, machine, rows, run

ATTRIBUTES = ("gender", "articleType", "baseColour", "season", "usage")
UNKNOWN = ("", "NA")
LEARNED = 10  # training rows that a value needs
TABLES = ("plain", "curated")
Row = dict[str, str]
Scores = dict[str, dict[str, float]]

TRAIN = f"""
[data]
attributes = {json.dumps(ATTRIBUTES)}
min_count = {LEARNED}
[model]
head = "multi"
backbone = "efficientnet_lite0"
crop = 0
dropout = 0.5
[training]
batch_size = 128
learning_rate = 0.001
mirror = false
"""
ONLY_SPLIT = f"""
[table]
attributes = {json.dumps(ATTRIBUTES)}
[duplicates]
remove = "none"
[pictures]
enabled = false
[values]
enabled = false
[label_errors]
enabled = false
[split]
validation = 0.1
test = 0.25
[balance]
enabled = false
"""
CLEAN = f"""
[table]
attributes = {json.dumps(ATTRIBUTES)}
[label_errors]
action = "ACTION"
[split]
enabled = false
"""


def read(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write(path: Path, table: list[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def curate(table: list[Row], work: Path, name: str, config: str) -> list[Row]:
    """Curate a table by the command line; gives the clean one."""
    source, settings = work / f"{name}_source.csv", work / f"{name}.toml"
    write(source, table)
    settings.write_text(config)
    done = run(
        GINGHAM, "curate", source, "--config", settings, "--out", work / "curation", "--json",
        codes=(0, 1),
    )  # fmt: skip
    result = json.loads(done.stdout)
    say(f"{name}: {result['kept']} of {result['rows']} rows, {done.seconds:.0f} s")
    for stage, figures in result["stages"].items():
        if stage in ("duplicates", "label_errors"):
            print("   ", stage, {k: v for k, v in figures.items() if not isinstance(v, list)})
    return read(Path(result["table"]))


def make_tables(work: Path, action: str) -> dict[str, Path]:
    """Write the plain and the curated table, with the same split and the same test rows."""
    paths = {"plain": work / "plain.csv", "curated": work / f"curated_{action}.csv"}
    if not paths["plain"].exists():
        table = [
            {"image": str(DATA / "fashion_products" / row["image"])}
            | {name: row[name] for name in ATTRIBUTES}
            for row in rows("fashion_products/products.csv")
        ]
        placed = {row["image"]: row for row in curate(table, work, "split", ONLY_SPLIT)}
        write(
            paths["plain"],
            [
                # The labels as they come, unknown in the spelling of the table.
                row | {key: placed[row["image"]][key] for key in ("group", "split")}
                for row in table
                if row["image"] in placed
            ],
        )
    if not paths["curated"].exists():
        plain = read(paths["plain"])
        source = [
            {name: row[name] for name in ("image", *ATTRIBUTES)}
            for row in plain
            if row["split"] != "test"
        ]
        placed = {row["image"]: row for row in plain}
        clean = [
            row | {key: placed[row["image"]][key] for key in ("group", "split")}
            for row in curate(source, work, "clean", CLEAN.replace("ACTION", action))
        ]
        for row in clean:
            row["repeat"] = row["repeat"] if row["split"] == "train" else "1"
        test = [row | {"repeat": "1"} for row in plain if row["split"] == "test"]
        write(paths["curated"], clean + test)
    return paths


def score(answers: dict[str, Row], plain: list[Row]) -> Scores:
    """Accuracy, macro F1 and the share that is answered, of each attribute, on the test rows."""
    found: Scores = {}
    for name in ATTRIBUTES:
        counts = Counter(row[name] for row in plain if row["split"] == "train")
        known = {v for v, count in counts.items() if count >= LEARNED and v not in UNKNOWN}
        judged = [row for row in plain if row["split"] == "test" and row[name] in known]
        truth = [row[name] for row in judged]
        said = [answers[row["image"]][name] for row in judged]
        found[name] = {
            "accuracy": sum(a == b for a, b in zip(truth, said, strict=True)) / len(judged),
            "macro F1": float(
                f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0)
            ),
            "answered": sum(one != "unknown" for one in said) / len(judged),
            "images": len(judged),
            "values": len(set(truth)),
        }
    return found


def exported(shop: Path, work: Path) -> dict[str, Row]:
    """The tags of the catalogue, by image."""
    run(GINGHAM, "export", shop, work / "tags.csv")
    return {row["image"]: row for row in read(work / "tags.csv")}


def trained(work: Path, table: Path, shop: Path) -> dict[str, Row]:
    """Train on a table and tag the test images with the model."""
    model = work / f"model_{table.stem}"
    if not (model / "config.json").exists():
        settings = work / "train.toml"
        settings.write_text(TRAIN)
        done = run(GINGHAM, "train", table, "--config", settings, "--out", model, "--json")
        result = json.loads(done.stdout)
        say(f"{model.name}: {done.seconds:.0f} s, {result['epochs']} epochs, {result['images']}")
    done = run(GINGHAM, "tag", shop, "--model", model)
    say(f"tagged by {model.name}: {done.seconds:.0f} s")
    return exported(shop, work)


def taught(work: Path, table: Path, shop: Path) -> dict[str, Row]:
    """Teach each attribute with the training rows, in place of what was taught, and tag."""
    examples = work / "examples.csv"
    write(examples, [row for row in read(table) if row["split"] == "train"])
    with Catalogue.open(shop) as catalogue:
        for name in ATTRIBUTES:
            if name in catalogue.examples():
                catalogue.forget(name)
            result = catalogue.teach(name, examples, group_column="group")
            say(f"{name} taught with {result.examples} of {table.stem}: {result.seconds:.0f} s")
        catalogue.tag(ATTRIBUTES)
    return exported(shop, work)


def evaluate(work: Path, table: Path) -> None:
    """Let `gingham evaluate model` judge the model by the same test rows, and write its page."""
    model, out = work / f"model_{table.stem}", work / f"evaluation_{table.stem}"
    done = run(GINGHAM, "evaluate", "model", model, table, "--out", out)
    say(f"evaluated {model.name}: {done.seconds:.0f} s")
    print(done.stdout)


def show(results: dict[str, Scores]) -> None:
    print(f"{'':14}" + "".join(f"{who:>18}" for who in results))
    for name in ATTRIBUTES:
        cells = (results[who][name] for who in results)
        print(f"{name:14}" + "".join(f"{c['accuracy']:10.3f} / {c['macro F1']:.3f}" for c in cells))


def main(work: Path, action: str) -> None:
    say(machine())
    work.mkdir(parents=True, exist_ok=True)
    tables = make_tables(work, action)
    plain = read(tables["plain"])
    say(f"rows: {dict(Counter(row['split'] for row in plain))}")
    shop, kept = work / "shop", work / f"results_{action}.json"
    write(work / "test.csv", [row for row in plain if row["split"] == "test"])
    done = run(GINGHAM, "index", shop, work / "test.csv")
    say(f"test images indexed: {done.seconds:.0f} s")
    results: dict[str, Scores] = json.loads(kept.read_text()) if kept.exists() else {}
    for way, answer in (("trained", trained), ("taught", taught)):
        for name in TABLES:
            if f"{way}, {name}" not in results:
                results[f"{way}, {name}"] = score(answer(work, tables[name], shop), plain)
                write_json(kept, results)
                show(results)
    if not (work / f"evaluation_{tables['curated'].stem}").exists():
        evaluate(work, tables["curated"])
    show(results)
    for name, one in results["trained, plain"].items():
        print(f"{name}: {one['values']:.0f} values on {one['images']:.0f} test images; answered:")
        print("   ", ", ".join(f"{who} {results[who][name]['answered']:.3f}" for who in results))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="where every step's result stays")
    parser.add_argument("--action", choices=("unknown", "replace", "report"), default="unknown")
    given = parser.parse_args()
    main(given.work.absolute(), given.action)
