"""The table of formats: the first that recognises a path reads it."""

from __future__ import annotations

from pathlib import Path

from gingham.formats import (
    arrow,
    audubon,
    coco,
    coco_out,
    csv_out,
    csv_table,
    darwin_core,
    datasets,
    datasets_out,
    iiif,
    label_studio,
    label_studio_out,
    parquet,
    parquet_out,
    shopify,
    tar_archive,
    webdataset,
    woocommerce,
    zip_archive,
)
from gingham.formats.format import Format, called

FORMATS = (
    Format("Darwin Core archive", darwin_core.recognised, darwin_core.read),
    Format(
        "zip archive",
        called(".zip"),
        zip_archive.read,
        zip_archive.member,
        (".zip",),
        is_archive=True,
    ),
    Format(
        "tar archive",
        called(".tar"),
        webdataset.read,
        tar_archive.member,
        (".tar",),
        is_archive=True,
    ),
    Format(
        "datasets", datasets.recognised, datasets.read, write=datasets_out.write, is_folder=True
    ),
    Format(
        "Label Studio",
        label_studio.recognised,
        label_studio.read,
        write=label_studio_out.write,
        relative=True,
    ),
    Format("IIIF", iiif.recognised, iiif.read),
    Format("COCO", coco.recognised, coco.read, write=coco_out.write, relative=True),
    Format("Shopify", shopify.recognised, shopify.read, write=shopify.write),
    Format("WooCommerce", woocommerce.recognised, woocommerce.read, write=woocommerce.write),
    Format("Audubon Core", audubon.recognised, audubon.read, write=audubon.write, relative=True),
    Format("Arrow", called(".arrow"), arrow.read, arrow.member, (".arrow",)),
    Format("Embedding Atlas", write=parquet_out.write_points, needs_points=True),
    Format(
        "Parquet",
        called(".parquet"),
        parquet.read,
        parquet.member,
        (".parquet",),
        write=parquet_out.write,
    ),
    Format("CSV", called(".csv"), csv_table.read, write=csv_out.write),
)
"""From the most special to the most general."""


def recognised(path: Path) -> Format | None:
    """Give the format of a file or folder, or None: it is none that is read as a whole."""
    return next((one for one in FORMATS if one.read and one.recognised(path)), None)


def is_plain_folder(path: Path) -> bool:
    """Say whether a path is a folder that no format reads as a whole."""
    return path.is_dir() and not recognised(path)


def is_archive(path: Path) -> bool:
    """Say whether a path is an archive by its name: its rows are files as those of a folder are."""
    archives = (suffix for one in FORMATS if one.is_archive for suffix in one.suffixes)
    return path.suffix.lower() in archives


def is_called_table(path: Path) -> bool:
    """Say whether a path is by its name alone what is read as a whole: a table, or an archive."""
    suffixes = {suffix for one in FORMATS for suffix in one.suffixes}
    return path.suffix.lower() in suffixes | {".csv", ".json"}
