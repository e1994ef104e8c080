"""A catalogue as the table: its images, and what was taught of them."""

from __future__ import annotations

from pathlib import Path

from gingham.backbones.table import FeatureConfig
from gingham.curation.table import TableRows
from gingham.errors import InputError
from gingham.store.examples import ExampleLog
from gingham.store.features import FeatureStore, ImageId
from gingham.store.files import LocalFiles
from gingham.store.header import Header
from gingham.store.locations import Locations

CONTRADICTORY = "taught two values"


def read_catalogue(folder: Path) -> TableRows:
    """List the files of a catalogue with their taught values; what was not taught is unknown.

    Tags that gingham predicted are no labels, and are not read.

    Raises
    ------
    InputError
        If no attribute was taught.
    """
    stored = LocalFiles(folder)
    taught = ExampleLog(stored).read()
    files = Locations.beside(stored, Header.read(stored).home, folder).files
    if not taught:
        raise InputError(
            f"catalogue {folder} has no taught attributes to take labels from: teach it first"
        )
    names = list(files)
    samples = TableRows(names, names, {})
    samples.multi = frozenset(name for name, one in taught.items() if one.kind == "multi")
    for name, one in taught.items():
        # What was only said to be absent does not say that there is nothing else.
        known = {
            example.id: tuple(sorted(value for value, present in example.values.items() if present))
            for example in one.examples
        }
        column = [known.get(image_id) or None for image_id in files.values()]
        if name not in samples.multi:
            two = [row for row, said in enumerate(column) if said is not None and len(said) > 1]
            samples.spelled[name] = [(row, CONTRADICTORY) for row in two]
            column = [said if said is None or len(said) == 1 else None for said in column]
        samples.values[name] = list(column)
    return samples


def copy_features(folder: Path, store: FeatureStore, config: FeatureConfig) -> None:
    """Take over what a catalogue has read, if it was read with the same settings."""
    files = LocalFiles(folder)
    if Header.read(files).config.fingerprint != config.fingerprint:
        return
    for ids, features in FeatureStore(files, config).batches():
        new: list[ImageId] = [image_id for image_id in ids if image_id not in store]
        at = {image_id: i for i, image_id in enumerate(ids)}
        store.append(
            new, [{k: block[at[image_id]] for k, block in features.items()} for image_id in new]
        )
