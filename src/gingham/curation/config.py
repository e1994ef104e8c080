"""What decides a curation: frozen sections, read from TOML, checked once, written back whole."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self, get_type_hints

from gingham.backbones.table import DEFAULT_BACKBONE
from gingham.errors import InputError
from gingham.store.files import replace_file


def _option(default: Any, **limits: Any) -> Any:
    """Give a field its default and its limits: `low`, `high` or `choices`."""
    return field(default=default, metadata=limits)


@dataclass(frozen=True)
class ConfigSection:
    """Base of the sections: every field is checked against its type and its limits.

    Raises
    ------
    InputError
        If a value is not what it must be; the message names the key, what was expected, what came.
    """

    def __post_init__(self) -> None:
        kinds = get_type_hints(type(self))
        for one in fields(self):
            value = _checked(one.name, getattr(self, one.name), kinds[one.name], one.metadata)
            object.__setattr__(self, one.name, value)

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str) -> Self:
        """Make a section of a TOML table; `where` is what messages call it."""
        known = [one.name for one in fields(cls)]
        if unknown := [key for key in values if key not in known]:
            raise InputError(f"{where} has no key {unknown[0]!r}; it has {', '.join(known)}")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{where} {error}") from None


def _checked(key: str, value: Any, kind: Any, limits: Mapping[str, Any]) -> Any:
    def refuse(expected: str) -> InputError:
        return InputError(f"{key}: expected {expected}, got {value!r}")

    if kind == tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise refuse("a list of texts")
        return tuple(value)
    if isinstance(kind, type) and issubclass(kind, ConfigSection):
        assert isinstance(value, kind)
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
        raise refuse(names[kind])
    if "choices" in limits and value not in limits["choices"]:
        raise refuse("one of " + ", ".join(limits["choices"]))
    low, high = limits.get("low"), limits.get("high")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        bounds = [f"at least {low}"] if low is not None else []
        raise refuse(" and ".join(bounds + ([f"at most {high}"] if high is not None else [])))
    return value


@dataclass(frozen=True)
class TableSection(ConfigSection):
    """How the table is read.

    Attributes
    ----------
    image : the column of the images.
    attributes : the columns to curate; none named means every column that looks like an attribute.
    multi : those of them that hold any number of values an image.
    group : the column of groups that are known: rows of one stay together, with their copies, in
        one group of the clean table. None named means `group`, if the table has it.
    separator : between the values of a cell of a CSV; the clean one has `|`, whatever this is.
    """

    image: str = "image"
    attributes: tuple[str, ...] = ()
    multi: tuple[str, ...] = ()
    group: str = ""
    separator: str = "|"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.separator.strip():
            raise InputError(f"separator: expected a visible text, got {self.separator!r}")


@dataclass(frozen=True)
class FeaturesSection(ConfigSection):
    """Which network's features tell what is alike and which labels are doubtful.

    Attributes
    ----------
    backbone, weights : see `gingham.load_runtime`.
    dimensions : to which the joined hidden layers are reduced.
    """

    backbone: str = DEFAULT_BACKBONE
    weights: str = ""
    dimensions: int = _option(256, low=2, high=4096)


@dataclass(frozen=True)
class InvalidSection(ConfigSection):
    """Files that cannot be read are removed. `max_megapixels` refuses larger ones undecoded."""

    enabled: bool = True
    max_megapixels: float = _option(100.0, low=0.01, high=10_000.0)


@dataclass(frozen=True)
class DuplicatesSection(ConfigSection):
    """Copies of one picture.

    Attributes
    ----------
    perceptual, features : where candidates come from, besides equal pixels.
    flips : look for mirrored, upside-down and quarter-turned copies too.
    remove : `near` (all copies but one), `exact` (only those of equal pixels), or `none`. Copies
        that stay share a group, which is never split.
    conflicts : where copies are labelled differently: `majority` (a tie keeps what the kept row
        says) or `unknown`.
    neighbours : candidates looked at, an image and source.
    """

    enabled: bool = True
    perceptual: bool = True
    features: bool = True
    flips: bool = True
    remove: str = _option("near", choices=("near", "exact", "none"))
    conflicts: str = _option("majority", choices=("majority", "unknown"))
    neighbours: int = _option(16, low=1, high=256)


@dataclass(frozen=True)
class PicturesSection(ConfigSection):
    """Pictures that show too little.

    Attributes
    ----------
    min_side : of the shorter side, in pixels.
    min_deviation : of the brightness over the picture, of 255; less is blank.
    max_aspect : longer side over shorter side.
    """

    enabled: bool = True
    min_side: int = _option(32, low=1, high=1_000_000)
    min_deviation: float = _option(1.0, low=0.0, high=127.0)
    max_aspect: float = _option(5.0, low=1.0, high=1e6)


@dataclass(frozen=True)
class ValuesSection(ConfigSection):
    """Values to merge or to drop.

    Attributes
    ----------
    rules : `ATTRIBUTE: OLD -> NEW`, or `ATTRIBUTE: OLD ->` to drop a value; applied in order.
    min_count : a value of fewer images is dropped: its images become unknown.
    """

    enabled: bool = True
    rules: tuple[str, ...] = ()
    min_count: int = _option(5, low=1, high=1_000_000_000)


@dataclass(frozen=True)
class UnknownSection(ConfigSection):
    """Missing labels, which stay unknown: never a value, never a negative.

    Attributes
    ----------
    spellings : cells that mean it, in any case of letters, besides empty ones.
    drop_unlabelled : remove the rows of which no attribute at all is known.
    """

    enabled: bool = True
    spellings: tuple[str, ...] = ("NA", "N/A", "#N/A", "NaN", "null", "none", "<NA>", "unknown")
    drop_unlabelled: bool = False


@dataclass(frozen=True)
class LabelErrorsSection(ConfigSection):
    """Labels that a model which never saw them finds improbable.

    Attributes
    ----------
    attributes : those to judge; none named means all.
    folds : of the cross-validation.
    context : learn from the other attributes' labels too, not from the picture alone.
    action : for the labels that are flagged: `report`, `unknown` or `replace` (by the suggestion).
    max_probability : a label is flagged where cleanlab calls it an error and its out-of-sample
        probability is at most this.
    """

    enabled: bool = True
    attributes: tuple[str, ...] = ()
    folds: int = _option(5, low=2, high=50)
    context: bool = True
    action: str = _option("report", choices=("report", "unknown", "replace"))
    max_probability: float = _option(0.05, low=0.0, high=1.0)


@dataclass(frozen=True)
class SplitSection(ConfigSection):
    """Shares of the images held out; the rest is for training."""

    enabled: bool = True
    validation: float = _option(0.1, low=0.0, high=0.9)
    test: float = _option(0.1, low=0.0, high=0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.validation + self.test >= 1:
            raise InputError(
                "validation and test: expected less than 1 together, "
                f"got {self.validation + self.test}"
            )


@dataclass(frozen=True)
class BalanceSection(ConfigSection):
    """Rare values are shown to training more often, in other views as far as it makes any.

    Attributes
    ----------
    attributes : those to balance; none named means all.
    strength : 0 changes nothing, 1 would bring every value to the median count; 0.5 is the root.
    max_repeat : the most that one row is shown an epoch.
    """

    enabled: bool = True
    attributes: tuple[str, ...] = ()
    strength: float = _option(0.5, low=0.0, high=1.0)
    max_repeat: int = _option(4, low=1, high=1000)


@dataclass(frozen=True)
class CurationConfig(ConfigSection):
    """All that decides a curation but the table and its pictures.

    Raises
    ------
    InputError
        If a key is unknown or a value is not what it must be.
    """

    seed: int = _option(0, low=0, high=2**32 - 1)
    table: TableSection = TableSection()
    features: FeaturesSection = FeaturesSection()
    invalid: InvalidSection = InvalidSection()
    duplicates: DuplicatesSection = DuplicatesSection()
    pictures: PicturesSection = PicturesSection()
    values: ValuesSection = ValuesSection()
    unknown: UnknownSection = UnknownSection()
    label_errors: LabelErrorsSection = LabelErrorsSection()
    split: SplitSection = SplitSection()
    balance: BalanceSection = BalanceSection()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file; what it does not say has its default.

        Raises
        ------
        InputError
            If it is missing, no TOML, or says something that is not understood.
        """
        try:
            given = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"config {path} does not exist: check the path") from None
        except (OSError, ValueError) as error:
            raise InputError(f"config {path} cannot be read: {error}") from None
        kinds = get_type_hints(cls)
        made: dict[str, Any] = {}
        for key, value in given.items():
            kind = kinds.get(key)
            if isinstance(kind, type) and issubclass(kind, ConfigSection):
                if not isinstance(value, dict):
                    raise InputError(f"config {path}: {key}: expected a table, got {value!r}")
                made[key] = kind.read(value, f"config {path}: [{key}]")
            else:
                made[key] = value
        return cls.read(made, f"config {path}:")

    def save(self, path: Path) -> None:
        """Write every key with its value, so that the same curation can be had again."""
        lines: list[str] = []
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, ConfigSection):
                lines += ["", f"[{one.name}]"]
                lines += [f"{k.name} = {_toml(getattr(value, k.name))}" for k in fields(value)]
            else:
                lines.append(f"{one.name} = {_toml(value)}")
        text = "\n".join(lines) + "\n"
        replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # JSON writes texts, numbers and booleans as TOML does, but for the character DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
