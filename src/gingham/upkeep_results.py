"""What keeping a catalogue in order returns, and what it holds."""

from __future__ import annotations

from dataclasses import dataclass

from gingham.results import Failure, Result, Verdict


@dataclass(frozen=True)
class RelocateResult(Result):
    """What `relocate` did.

    Attributes
    ----------
    moved : files that are known by new paths now.
    missing : those of them that are neither at the old path nor at the new one, by the new one.
    kept : files that keep their old path: they are still there and not at the new one, or the
        catalogue knows another image by the new one.
    """

    moved: int
    missing: tuple[str, ...]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class PruneResult(Result):
    """What `prune` removed.

    Attributes
    ----------
    missing : the files that are missing.
    lost : images none of whose files is there.
    images : that remain.
    dry_run : nothing was removed: this is what would be.
    """

    missing: tuple[str, ...]
    lost: int
    images: int
    dry_run: bool


@dataclass(frozen=True)
class CompactResult(Result):
    """What `compact` did.

    Attributes
    ----------
    shards_before, shards : files of features there were, and are now.
    dropped : images whose features were deleted: they were neither in the catalogue nor examples.
    uploads : files that the catalogue kept itself, of images no longer in it, that were deleted.
    bytes_before, bytes : of the truth.
    """

    shards_before: int
    shards: int
    dropped: int
    uploads: int
    bytes_before: int
    bytes: int


@dataclass(frozen=True)
class TextLookResult(Result):
    """What `text_look` did.

    Attributes
    ----------
    model, weights : as they were given; None: there is no look `text` any more.
    read, unchanged : images that were read now, and before.
    failures : files that cannot be read, whose images are not in the look.
    """

    model: str | None
    weights: str | None = None
    read: int = 0
    unchanged: int = 0
    failures: tuple[Failure, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class AttributeInfo(Result):
    """One attribute of a catalogue.

    Attributes
    ----------
    tagged : images with an answer of the attribute as it is now.
    model : folder of the trained model that answers; None if there is none.
    built_in : whether it answers without having been taught.
    verdict : of a taught attribute, how good it is.
    """

    kind: str
    values: tuple[str, ...]
    examples: int
    layers: tuple[str, ...]
    tagged: int
    model: str | None = None
    built_in: bool = False
    verdict: Verdict | None = None


@dataclass(frozen=True)
class TextLookInfo(Result):
    """The look `text` of a catalogue.

    Attributes
    ----------
    model : by which it was made, without the folders in which it and its weights lie.
    images : that were read for it.
    """

    model: str
    images: int


@dataclass(frozen=True)
class Info(Result):
    """What a catalogue holds.

    `view`, `resolution` and `precision` are as `Catalogue.create` was given them.
    `products` counts those that tables have named. `index` is where the search index is kept; None
    of a served catalogue, which does not say. `text` is None without a look of that name.
    """

    catalogue: str
    images: int
    files: int
    backbone: str
    view: str
    resolution: int
    precision: str
    fingerprint: str
    layers: dict[str, int]
    looks: tuple[str, ...]
    attributes: dict[str, AttributeInfo]
    bytes: int
    products: int = 0
    index: str | None = None
    text: TextLookInfo | None = None
