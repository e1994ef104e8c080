"""Missing files taken out of a catalogue."""

from __future__ import annotations

from gingham.errors import InputError
from gingham.store.locations import has_path
from gingham.store.truth import Truth
from gingham.upkeep_results import PruneResult


def prune(truth: Truth, catalogue: str, *, dry_run: bool, everything: bool) -> PruneResult:
    """Remove missing files; see `Catalogue.prune`."""
    locations = truth.locations
    missing, before = locations.missing(), len(locations.images)
    on_disk = sum(has_path(name) for name, _ in locations.file_ids())
    if missing and len(missing) == on_disk and not (dry_run or everything):
        raise InputError(
            f"all {len(missing)} files of catalogue {catalogue} are missing, the first is "
            f"{missing[0]}: is a disk not mounted? Files that moved are followed by gingham "
            "relocate; to remove them all the same, add --all"
        )
    gone = set(missing)
    lost = sum(gone.issuperset(files) for _, files in locations.image_files())
    if not dry_run:
        locations.append([(name, None) for name in missing])
    return PruneResult(tuple(missing), lost, before - lost, dry_run)
