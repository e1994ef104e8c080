"""What keeping a catalogue in order returns."""

from __future__ import annotations

from dataclasses import dataclass

from gingham.results import Result


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
