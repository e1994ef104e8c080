from __future__ import annotations

import csv
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gingham.errors import InputError
from gingham.training.config import DataConfig, TrainConfig
from gingham.training.data import read_samples
from gingham.training.samples import PARTS
from gingham.training.vocabulary import ModelAttribute, Vocabulary


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: "|".join(v) if isinstance(v, list) else v for k, v in row.items()})
    return path


def rows(count: int = 60) -> list[dict[str, Any]]:
    colours = ["red", "green", "blue"]
    worn = [["hat"], ["hat", "scarf"], ["scarf"], None]
    return [
        {
            "image": f"{i}.jpg",
            "colour": None if i % 10 == 9 else colours[i % 3],
            "worn": worn[i % 4],
            "dotted": ["yes", "no", None][i % 3],
        }
        for i in range(count)
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_unknown_is_never_negative(tmp_path: Path, suffix: str) -> None:
    samples = read_samples(write(tmp_path / f"t{suffix}", rows()), DataConfig(min_count=5))
    assert samples.vocabulary == Vocabulary(
        (
            ModelAttribute("colour", "single", ("blue", "green", "red")),
            ModelAttribute("worn", "multi", ("hat", "scarf")),
            ModelAttribute("dotted", "binary", ("yes",)),
        )
    )
    nan = np.nan
    expected = [[0, 0, 1, 1, 0, 1], [0, 1, 0, 1, 1, 0], [1, 0, 0, 0, 1, nan]]
    np.testing.assert_array_equal(samples.targets[:3], expected)
    assert np.isnan(samples.targets[9, :3]).all()
    assert np.isnan(samples.targets[3, 3:5]).all()
    assert samples.images[0] == str(tmp_path / "0.jpg")


def test_an_empty_list_says_none_of_them(tmp_path: Path) -> None:
    table = rows()
    table[0]["worn"] = []
    samples = read_samples(write(tmp_path / "t.parquet", table), DataConfig(min_count=5))
    np.testing.assert_array_equal(samples.targets[0, 3:5], [0, 0])


def test_a_list_column_is_multi_though_no_cell_holds_two(tmp_path: Path) -> None:
    table = [row | {"worn": ["hat"] if i % 2 else ["scarf"]} for i, row in enumerate(rows())]
    samples = read_samples(write(tmp_path / "t.parquet", table), DataConfig(min_count=5))
    assert samples.vocabulary.attributes[1] == ModelAttribute("worn", "multi", ("hat", "scarf"))
    config = DataConfig(min_count=5, kinds={"worn": "single"})
    samples = read_samples(tmp_path / "t.parquet", config)
    assert samples.vocabulary.attributes[1].kind == "single"


def test_two_values_of_which_one_means_yes(tmp_path: Path) -> None:
    table = [row | {"dotted": ["1", "2", None][i % 3]} for i, row in enumerate(rows())]
    file = write(tmp_path / "t.csv", table)
    assert read_samples(file, DataConfig(min_count=5)).vocabulary.attributes[2].kind == "single"
    config = DataConfig(min_count=5, yes={"dotted": "2"})
    samples = read_samples(file, config)
    assert samples.vocabulary.attributes[2] == ModelAttribute("dotted", "binary", ("yes",))
    np.testing.assert_array_equal(samples.targets[:3, -1], [0, 1, np.nan])
    # A network that learned it so is judged so, even where no image has it; words stay words.
    part = [table[0], table[0] | {"dotted": "yes"}]
    again = read_samples(write(tmp_path / "p.csv", part), config, vocabulary=samples.vocabulary)
    np.testing.assert_array_equal(again.targets[:, -1], [0, 1])
    table[0]["dotted"] = "3"
    with pytest.raises(InputError, match=r"dotted: data\.yes needs .*besides '2' there are 1, 3"):
        read_samples(write(file, table), config)
    with pytest.raises(InputError, match=r"data\.yes: unknown attribute 'cut'"):
        read_samples(file, DataConfig(min_count=5, yes={"cut": "2"}))


def test_images_whose_group_is_not_known_stand_alone(tmp_path: Path) -> None:
    table = [row | {"group": "NA" if i % 3 else str(i // 6)} for i, row in enumerate(rows(60))]
    samples = read_samples(write(tmp_path / "t.csv", table), DataConfig(min_count=5))
    assert np.unique(samples.groups, return_counts=True)[1].max() == 2


def test_the_split_is_made_by_groups_and_stratified(tmp_path: Path) -> None:
    table = [row | {"group": str(i // 2)} for i, row in enumerate(rows(240))]
    config = DataConfig(min_count=5, validation=0.2, test=0.25)
    samples = read_samples(write(tmp_path / "t.csv", table), config, seed=3)
    parts = [samples.part[samples.groups == group] for group in np.unique(samples.groups)]
    assert all(len(set(part.tolist())) == 1 for part in parts)
    for part, share in zip(PARTS, (0.55, 0.2, 0.25), strict=True):
        assert len(samples.rows(part)) == pytest.approx(share * 240, abs=10)
        assert (samples.targets[samples.rows(part)] == 1).any(0).all()
    again = read_samples(write(tmp_path / "t.csv", table), config, seed=3)
    assert again.fingerprint == samples.fingerprint
    other = read_samples(write(tmp_path / "t.csv", table), config, seed=4)
    assert other.fingerprint != samples.fingerprint


def test_a_split_and_repeats_in_the_table_are_kept(tmp_path: Path) -> None:
    table = [row | {"split": PARTS[i % 3], "repeat": 1 + i % 2} for i, row in enumerate(rows())]
    samples = read_samples(write(tmp_path / "t.parquet", table), DataConfig(min_count=2))
    np.testing.assert_array_equal(samples.part, np.arange(60) % 3)
    np.testing.assert_array_equal(samples.repeat, 1 + np.arange(60) % 2)


def test_rare_values_are_unknown_and_reported(tmp_path: Path) -> None:
    table = rows()
    table[0]["colour"] = table[1]["colour"] = "mauve"
    samples = read_samples(write(tmp_path / "t.csv", table), DataConfig(min_count=5))
    assert samples.dropped == {"colour": {"mauve": 2}}
    assert np.isnan(samples.targets[:2, :3]).all()


def test_a_trained_vocabulary_says_what_it_does_not_know(tmp_path: Path) -> None:
    vocabulary = Vocabulary((ModelAttribute("colour", "single", ("green", "red")),))
    samples = read_samples(write(tmp_path / "t.csv", rows(12)), vocabulary=vocabulary)
    assert samples.dropped == {"colour": {"blue": 4}}
    assert (samples.part == PARTS.index("test")).all()
    np.testing.assert_array_equal(samples.targets[:2], [[0, 1], [1, 0]])
    assert np.isnan(samples.targets[2]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "dev"}, "column split must hold train, validation or test, got 'dev'"),
        ({"repeat": "0"}, "column repeat must hold whole numbers from 1 to 1000, got '0'"),
        ({"colour": "re\x07d"}, "not printable"),
    ],
)
def test_cells_that_cannot_be_are_refused(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    table = [row | change for row in rows()]
    with pytest.raises(InputError, match=message):
        read_samples(write(tmp_path / "t.csv", table))


def test_what_cannot_be_learned_is_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "t.csv", rows())
    with pytest.raises(InputError, match="no column 'cut'; it has image, colour"):
        read_samples(table, DataConfig(attributes=("cut",)))
    with pytest.raises(InputError, match=r"two values with 99 training images.*data\.min_count"):
        read_samples(table, DataConfig(min_count=99, attributes=("colour",)))
    names = [{"image": f"{i}.jpg", "title": f"shirt {i}"} for i in range(80)]
    with pytest.raises(InputError, match=r"'title' has 80 values.*data\.attributes"):
        read_samples(write(tmp_path / "n.csv", names))
    with pytest.raises(InputError, match="does not exist"):
        read_samples(tmp_path / "absent.csv")


# The format of CUB-200-2011.


def write_cub(folder: Path, birds: int = 24) -> Path:
    """Four attributes in two groups; bird i of species i % 3."""
    (folder / "attributes").mkdir(parents=True)
    species = ["001.Albatross", "002.Auklet", "003.Bunting"]
    names = ["bill::curved_(up_or_down)", "bill::dagger", "wing_color::blue", "wing_color::red"]
    images = [f"{i + 1} {species[i % 3]}/{i}.jpg" for i in range(birds)]
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    (folder / "train_test_split.txt").write_text(
        "".join(f"{i + 1} {int(i % 4 != 0)}\n" for i in range(birds))
    )
    (folder / "attributes" / "attributes.txt").write_text(
        "".join(f"{i} has_{name}\n" for i, name in enumerate(names, 1))
    )
    # The certainty: 1 not visible, 2 guessing, 3 probably, 4 definitely.
    lines = [
        f"{i + 1} {a + 1} {int((i + a) % 3 == 0)} {1 + (i + a) % 4} 2.5"
        for i in range(birds)
        for a in range(4)
    ]
    lines[5] += " 1.0"  # as some lines of the published file are
    (folder / "attributes" / "image_attribute_labels.txt").write_text("\n".join(lines))
    return folder


def test_cub_is_read_by_groups_and_certainties(tmp_path: Path) -> None:
    samples = read_samples(write_cub(tmp_path / "cub"), DataConfig(validation=0.25))
    assert samples.vocabulary == Vocabulary(
        (
            ModelAttribute("has_bill", "multi", ("curved_(up_or_down)", "dagger")),
            ModelAttribute("has_wing_color", "multi", ("blue", "red")),
        )
    )
    for i in range(24):
        for a in range(4):
            sure = 1 + (i + a) % 4 >= 3
            got = samples.targets[i, a]
            assert got == int((i + a) % 3 == 0) if sure else np.isnan(got)
    np.testing.assert_array_equal(samples.rows("test"), np.arange(0, 24, 4))
    assert len(samples.rows("validation")) in (4, 5)
    assert samples.images[4] == str(tmp_path / "cub" / "images" / "002.Auklet" / "4.jpg")
    chosen = read_samples(tmp_path / "cub", DataConfig(attributes=("has_wing_color",)))
    np.testing.assert_array_equal(chosen.targets, samples.targets[:, 2:])


def test_cub_refuses_what_does_not_fit(tmp_path: Path) -> None:
    cub = write_cub(tmp_path / "cub")
    with pytest.raises(InputError, match="no attribute 'beak'; it has has_bill, has_wing_color"):
        read_samples(cub, DataConfig(attributes=("beak",)))
    other = Vocabulary((ModelAttribute("has_bill", "multi", ("dagger",)),))
    with pytest.raises(InputError, match="other attributes than the model"):
        read_samples(cub, vocabulary=other)
    labels = cub / "attributes" / "image_attribute_labels.txt"
    labels.write_text("1 1 yes 4 2.0\n")
    with pytest.raises(InputError, match=r"expected image attribute 0\|1 certainty, got '1 yes"):
        read_samples(cub)
    labels.unlink()
    with pytest.raises(InputError, match=r"image_attribute_labels\.txt cannot be read"):
        read_samples(cub)


# train.toml


def test_a_configuration_is_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text(
        '[data]\nattributes = ["colour"]\nkinds = {colour = "multi"}\n'
        '[model]\nhead = "finetag"\nlayers = ["stage5"]\ncrop = 1\n'
        "[training]\nlearning_rate = 1e-3\n"
    )
    config = TrainConfig.read(file)
    assert config.data.kinds == {"colour": "multi"}
    assert config.model.layers == ("stage5",)
    assert config.model.crop == 1.0
    assert config.training.epochs == 20
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_the_page_shows_every_default() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "training.md"
    (text,) = re.findall(
        r"^```toml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    said = tomllib.loads(text)
    assert TrainConfig.from_dict(said) == TrainConfig()
    assert {name: set(keys) for name, keys in said.items()} == {
        name: set(keys) for name, keys in TrainConfig().to_dict().items()
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[model]\nhed = 'multi'",
            r"key 'model\.hed', did you mean 'model\.head'\? \(known keys: head, ba",
        ),
        ("[modl]", r"key 'modl', did you mean 'model'\? \(known keys: data, model, training"),
        ("model = 3", "model must be a table, got 3"),
        ("[model]\nhead = 'tag'", r"model\.head must be 'multi', 'finetag' or 'rank', got 'tag'"),
        ("[model]\nlayers = 'stage5'", r"model\.layers must be a list, got 'stage5'"),
        ("[model]\nlayers = [5]", r"model\.layers\[0\] must be text, got 5"),
        ("[model]\ncrop = 2.0", r"model: crop must be from 0\.05 to 1"),
        (
            "[training]\nseed = 5000000000",
            r"seed must be at least 0 and less than 4294967296, got 50000",
        ),
        ("[training]\nepochs = 0", r"training\.epochs must be at least 1, got 0"),
        ("[training]\nbatch_size = 1", r"training\.batch_size must be at least 2, got 1"),
        (
            "[data]\nvalidation = 0.5\ntest = 0.49",
            "at least a quarter for training, got 0.5 and 0.49",
        ),
        ("[training]\nepochs = true", r"training\.epochs must be a whole number, got True"),
        ("[training]\nmirror = 1", r"training\.mirror must be true or false, got 1"),
        ("[data]\nkinds = {colour = 'many'}", r"data\.kinds\.colour must be 'single', 'multi' or"),
        ("[data\n", "cannot be read"),
    ],
)
def test_a_wrong_configuration_names_the_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "train.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        TrainConfig.read(file)
    assert str(file) in str(caught.value)
