"""What users point at (folders, files, tables, lists of paths, buckets) -> image paths."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from gingham.errors import InputError
from gingham.formats.table import is_archive, is_called_table, recognised
from gingham.image_cells import resolve, why_missing
from gingham.object_storage import is_object_address, list_objects
from gingham.results import BadRow, Failure
from gingham.tables import columns, settle, stream_table

CLUTTER = frozenset(
    {
        *("$recycle.bin", "@eadir", "__macosx", "lost+found", "system volume information"),
        *("desktop.ini", "ehthumbs.db", "thumbs.db"),
    }
)
"""Names, in lower case, of what systems and file managers leave in folders of images."""

_PRODUCT = "product"
_NOT_FROM_STORAGE = (
    "tables and archives are not read from object storage: download it and give the file, or put "
    "what is in it there"
)


@dataclass
class Walk:
    """The image paths below some sources, in a fixed order, and what was left out or followed.

    Folders are walked by their own paths first; links to folders are followed after all of them.
    However many ways lead to a folder, it is read once, so links that go round in circles end.

    Attributes
    ----------
    images : paths to try; every regular file of a folder is one, whatever its name.
    failures : folders that cannot be listed, broken links, and what is not a regular file.
    ignored : hidden files and folders (a leading dot), `CLUTTER`, and the catalogue itself.
    followed : links to folders whose files are among the images.
    repeated : folders, and links to folders, that were already read under another path.
    bad_rows : rows of tables that cannot be used and were left out.
    products : image -> the product that it shows, where a table says so.
    """

    images: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    bad_rows: list[BadRow] = field(default_factory=list)
    products: dict[str, str] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)
    _links: list[str] = field(default_factory=list)

    @property
    def listed(self) -> dict[str, tuple[str, ...]]:
        """What results list of a walk."""
        return {
            "ignored": tuple(self.ignored),
            "followed": tuple(self.followed),
            "repeated": tuple(self.repeated),
        }

    def _found(self) -> int:
        return len(self.images) + len(self.failures) + len(self.repeated) + len(self._links)


def find_images(
    sources: Iterable[str | os.PathLike[str]],
    *,
    exclude: str | os.PathLike[str] | None = None,
    skip_bad_rows: bool | None = None,
    product_column: str | None = None,
) -> Walk:
    """List the images of folders (recursively), archives, tables with a column `image`, and files.

    Parameters
    ----------
    sources : what the user gave: paths, patterns such as `shop/*.jpg`, or addresses in object
        storage, as in `s3://bucket/photos`.
    exclude : a folder to leave out (the catalogue itself, if it lies below a source), or an
        address.
    skip_bad_rows : leave out rows of tables that cannot be used; None: there is no such choice.
    product_column : of tables, which product an image shows; None: `product`, where there is one.

    Raises
    ------
    InputError
        If a source does not exist, holds no file at all, or is a table without the column or with
        bad rows that are not skipped.
    StorageError
        If object storage refuses.
    """
    walk = Walk()
    left_out = None if exclude is None else _real(exclude)
    for source in sources:
        if is_pattern(source):
            asked = Path(source).parts
            for name in sorted(glob.glob(os.fspath(source), recursive=True)):  # noqa: PTH207
                if any(_is_clutter(part) for part in Path(name).parts if part not in asked):
                    walk.ignored.append(name)
                else:
                    _add(walk, name, left_out, skip_bad_rows, product_column)
        else:
            _add(walk, source, left_out, skip_bad_rows, product_column)
    for link in walk._links:
        if os.path.realpath(link) not in walk._read:
            walk.followed.append(link)
        _walk_folder(walk, link, left_out)
    return walk


def is_pattern(source: str | os.PathLike[str]) -> bool:
    """Say whether a source that is not a path matches paths.

    Raises
    ------
    InputError
        If it looks like a pattern and matches nothing.
    """
    name = os.fspath(source)
    if os.path.lexists(name) or "://" in name or not glob.has_magic(name):
        return False
    if next(glob.iglob(name, recursive=True), None) is None:  # noqa: PTH207
        raise InputError(
            f"{name} does not exist, and as a pattern it matches nothing: check it", path=name
        )
    return True


def _add(
    walk: Walk,
    source: str | os.PathLike[str],
    left_out: str | None,
    skip_bad_rows: bool | None,
    product: str | None,
) -> None:
    path = Path(source)
    if is_object_address(source):
        _add_objects(walk, str(source), left_out)
    elif recognised(path):
        _add_table(walk, path, skip_bad_rows, product)
    elif path.is_dir():
        before, ignored = walk._found(), len(walk.ignored)
        _walk_folder(walk, os.fspath(path), left_out)
        if walk._found() == before:
            hidden = " but hidden ones" if len(walk.ignored) > ignored else ""
            raise InputError(
                f"folder {path} holds no files{hidden}: give a folder with images", path=path
            )
    elif not os.path.lexists(path):
        raise InputError(f"source {path} does not exist: check the path", path=path)
    else:
        walk.images.append(os.fspath(source))


def _real(path: str | os.PathLike[str]) -> str:
    return str(path) if is_object_address(path) else os.path.realpath(path)


def _add_objects(walk: Walk, address: str, left_out: str | None) -> None:
    """Add the objects below an address in object storage, as a folder's files are."""
    address = address.rstrip("/")
    if any(_is_in(address, known) for known in walk._read):
        walk.repeated.append(address)
        return
    walk._read.add(address)
    ignored: dict[str, None] = {}
    before = walk._found()
    empty: str | None = None
    for found in chain(list_objects(address), [None]):
        # An empty object may stand for a folder: one that is not empty, or was just made.
        if empty is not None and not (found and _is_in(found, empty)) and "." in _last(empty):
            walk.images.append(empty)
        empty = None
        if found is None:
            break
        parts = found[len(address) + 1 :].split("/")
        clutter = next((i for i, part in enumerate(parts, 1) if _is_clutter(part)), None)
        if clutter is not None:
            ignored["/".join([address, *parts[:clutter]])] = None
        elif left_out is not None and _is_in(found, left_out):
            ignored[left_out] = None
        elif found == address and is_called_table(Path(found)):
            raise InputError(f"{address}: {_NOT_FROM_STORAGE}", path=address)
        elif found.size and is_archive(Path(found)):
            walk.failures.append(Failure(found, _NOT_FROM_STORAGE))
        elif found.size:
            walk.images.append(found)
        else:
            empty = found
    walk.ignored += ignored
    if walk._found() == before:
        hidden = " but hidden ones" if ignored else ""
        raise InputError(
            f"{address} holds no objects{hidden}: check the address, as in s3://bucket/photos",
            path=address,
        )


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _is_in(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder + "/")


def _add_table(
    walk: Walk, path: Path, skip_bad_rows: bool | None, product: str | None = None
) -> None:
    """Add the images of a table, an archive, or whatever else a format reads."""
    bad: dict[int, str] = {}
    archive = is_archive(path)
    if product is None and not archive and _PRODUCT in columns(path):
        product = _PRODUCT
    for row in stream_table(path, ["image"] if product is None else ["image", product]).rows:
        image = row.cells["image"]
        if row.bad and archive:
            walk.failures.append(Failure(resolve(image, path.parent), row.bad))
        elif row.bad:
            bad[row.number] = row.bad
        else:
            try:
                image = resolve(image or "", path.parent)
            except InputError as error:
                bad[row.number] = str(error)
                continue
            if image:
                walk.images.append(image)
                shown = None if product is None else row.cells[product]
                if isinstance(shown, str) and shown:
                    walk.products[image] = shown
            else:
                walk.failures.append(Failure(f"{path}, row {row.number}", why_missing(image)))
    walk.bad_rows += settle(path, bad, skip_bad_rows)


def _walk_folder(walk: Walk, top: str, left_out: str | None) -> None:
    """Add what lies below a folder; links to folders are noted, to be followed later."""

    def failed(error: OSError) -> None:
        reason = f"folder cannot be listed: {error.strerror}"
        walk.failures.append(Failure(str(error.filename), reason))

    def is_new(folder: str) -> bool:
        real = os.path.realpath(folder)
        if real == left_out:
            walk.ignored.append(folder)
        elif real in walk._read:
            walk.repeated.append(folder)
        else:
            walk._read.add(real)
            return True
        return False

    if not is_new(top):
        return
    for parent, folders, files in os.walk(top, onerror=failed):
        clutter = {name for name in (*folders, *files) if _is_clutter(name)}
        walk.ignored += sorted(os.path.join(parent, name) for name in clutter)
        below = [(name, os.path.join(parent, name)) for name in sorted(set(folders) - clutter)]
        links = {path for _, path in below if _is_link(path)}
        walk._links += sorted(links)
        folders[:] = [name for name, path in below if path not in links and is_new(path)]
        for name in sorted(set(files) - clutter):
            path = os.path.join(parent, name)
            if reason := _why_no_file(path):
                walk.failures.append(Failure(path, reason))
            elif is_archive(Path(path)):
                try:
                    _add_table(walk, Path(path), None)
                except InputError as error:
                    walk.failures.append(Failure(path, str(error)))
            else:
                walk.images.append(path)


def _is_clutter(name: str) -> bool:
    return name.startswith(".") or name.lower() in CLUTTER


def _is_link(path: str) -> bool:
    # `Path.is_symlink` raises where the folder may be listed and not entered.
    return os.path.islink(path)  # noqa: PTH114


def _why_no_file(path: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if not _is_link(path):
            return None  # Reading it will tell why.
        return f"broken link to {Path(path).readlink()} ({error.strerror}): mend or delete it"
    return None if stat.S_ISREG(mode) else "not a regular file: give an image file"


def iterate_stdin(data: bytes) -> Iterator[str]:
    """Split paths, one per line or, where there are any, between zero bytes (`find -print0`).

    Undecodable bytes are preserved.
    """
    zero = b"\0" in data
    for line in data.split(b"\0" if zero else b"\n"):
        if name := line if zero else line.removesuffix(b"\r"):
            yield os.fsdecode(name)
