"""What `curate.toml` says: one section for each stage; every key has a default."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from gingham.backbones.table import DEFAULT_BACKBONE
from gingham.names import UNKNOWN_WORDS
from gingham.settings import Seed, SettingsFile, Texts, settings
from gingham.store.files import replace_file


@settings
class TableSection:
    """How the table is read.

    Attributes
    ----------
    image : the column of the images.
    attributes : the columns to curate; none named means every column that looks like an attribute.
    multi : those of them that hold any number of values per image.
    group : the column of known groups: rows of one group stay together, with their copies, in one
        group of the clean table. None named means `group`, if the table has it.
    separator : between the values in a cell of the CSV; the clean table always has `|`.
    """

    image: str = "image"
    attributes: Texts = ()
    multi: Texts = ()
    group: str = ""
    separator: str = "|"

    @model_validator(mode="after")
    def _check_separator(self) -> Self:
        if not self.separator.strip():
            raise ValueError(f"separator must be visible text, got {self.separator!r}")
        return self


@settings
class FeaturesSection:
    """The features that find similar images and doubtful labels.

    Attributes
    ----------
    backbone, weights : see `gingham.load_runtime`.
    dimensions : number of dimensions to which the joined hidden layers are reduced.
    """

    backbone: str = DEFAULT_BACKBONE
    weights: str = ""
    dimensions: int = Field(default=256, ge=2, le=4096)


@settings
class InvalidSection:
    """Unreadable files are removed; images over `max_megapixels` are refused before decoding."""

    enabled: bool = True
    max_megapixels: float = Field(default=100.0, ge=0.01, le=10_000.0)


@settings
class DuplicatesSection:
    """Copies of one image.

    Attributes
    ----------
    perceptual, features : where candidates come from, in addition to equal pixels.
    flips : look for mirrored, upside-down and quarter-turned copies too.
    remove : `near` (all copies but one), `exact` (only those with equal pixels), or `none`. Copies
        that stay share a group, which is never split.
    conflicts : label where copies are labelled differently: `majority` (a tie keeps the label of
        the kept row) or `unknown`.
    neighbours : candidates per image and source.
    """

    enabled: bool = True
    perceptual: bool = True
    features: bool = True
    flips: bool = True
    remove: Literal["near", "exact", "none"] = "near"
    conflicts: Literal["majority", "unknown"] = "majority"
    neighbours: int = Field(default=16, ge=1, le=256)


@settings
class PicturesSection:
    """Images that show too little, or show it badly.

    Attributes
    ----------
    min_side : of the shorter side, in pixels.
    min_deviation : standard deviation of the brightness (0 to 255); an image with less is blank.
    max_aspect : longer side over shorter side.
    min_sharpness : of the sharpest edges, against the contrast of the whole; an image with less is
        blurred.
    min_brightness : of its brightest parts (0 to 255); an image with less is dark.
    faults : what is done with blurred and dark images: `report` or `remove`.
    """

    enabled: bool = True
    min_side: int = Field(default=32, ge=1, le=1_000_000)
    min_deviation: float = Field(default=1.0, ge=0.0, le=127.0)
    max_aspect: float = Field(default=5.0, ge=1.0, le=1e6)
    min_sharpness: float = Field(default=0.6, ge=0.0, le=100.0)
    min_brightness: float = Field(default=50.0, ge=0.0, le=255.0)
    faults: Literal["report", "remove"] = "report"


@settings
class ValuesSection:
    """Values to merge or to drop.

    Attributes
    ----------
    rules : `ATTRIBUTE: OLD -> NEW`, or `ATTRIBUTE: OLD ->` to drop a value; applied in order.
    merge_variants : values that differ only in case, spaces or Unicode form become the most
        frequent of them, before they are counted.
    min_count : a value with fewer images is dropped: its labels become unknown.
    """

    enabled: bool = True
    rules: Texts = ()
    merge_variants: bool = True
    min_count: int = Field(default=5, ge=1, le=1_000_000_000)


@settings
class UnknownSection:
    """Missing labels, which stay unknown: never a value, never a negative.

    Attributes
    ----------
    spellings : cells that mean unknown, in upper or lower case, in addition to empty ones.
    drop_unlabelled : remove the rows without any known attribute.
    """

    enabled: bool = True
    spellings: Texts = UNKNOWN_WORDS
    drop_unlabelled: bool = False


@settings
class LabelErrorsSection:
    """Labels that a model trained without them finds improbable.

    Attributes
    ----------
    attributes : those to judge; none named means all that pictures show.
    folds : of the cross-validation.
    context : learn from the labels of the other attributes too, not only from the image.
    action : for flagged labels: `report`, `unknown` or `replace` (by the suggestion).
    max_probability : a label is flagged where cleanlab calls it an error and its out-of-sample
        probability is at most this.
    """

    enabled: bool = True
    attributes: Texts = ()
    folds: int = Field(default=5, ge=2, le=50)
    context: bool = True
    action: Literal["report", "unknown", "replace"] = "report"
    max_probability: float = Field(default=0.05, ge=0.0, le=1.0)


@settings
class SplitSection:
    """Shares of the images held out; the rest is for training."""

    enabled: bool = True
    validation: float = Field(default=0.1, ge=0.0, le=0.9)
    test: float = Field(default=0.1, ge=0.0, le=0.9)

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError(
                "validation and test must add up to less than 1, "
                f"got {self.validation!r} and {self.test!r}"
            )
        return self


@settings
class BalanceSection:
    """Rare values are shown more often in training, each time in another view where it has any.

    Attributes
    ----------
    attributes : those to balance; none named means all.
    strength : 0 changes nothing, 1 raises every value to the median count; 0.5: the square root.
    max_repeat : how often a row is shown per epoch at most.
    """

    enabled: bool = True
    attributes: Texts = ()
    strength: float = Field(default=0.5, ge=0.0, le=1.0)
    max_repeat: int = Field(default=4, ge=1, le=1000)


@settings
class CurationConfig(SettingsFile):
    """Everything that decides a curation, apart from the table and its images."""

    seed: Seed = 0
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

    def save(self, path: Path) -> None:
        """Write every key with its value, so that the same curation can be run again."""
        text = self.to_toml()
        replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
