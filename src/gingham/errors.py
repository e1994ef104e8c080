"""The family of errors. A message names the input, what was expected, what came, what to do."""

from __future__ import annotations

import errno
import os
import re
from importlib.util import find_spec
from typing import Self


class GinghamError(Exception):
    """Base of every error that gingham raises on purpose.

    Attributes
    ----------
    path : the file or folder that it is about, where it is about one.
    """

    def __init__(self, *args: object, path: str | os.PathLike[str] | None = None) -> None:
        super().__init__(*args)
        self.path = None if path is None else os.fspath(path)


class InputError(GinghamError, ValueError):
    """An argument, a table or a name is invalid."""


class UndoError(InputError):
    """A change cannot be undone now; the message says what to undo first."""


class ShapeError(InputError):
    """An array has the wrong shape."""

    def __init__(self, name: str, *, expected: str, got: object) -> None:
        super().__init__(f"{name} must have shape {expected}, got {got}")


class ImageError(GinghamError, ValueError):
    """One image cannot be read; a run records the reason and continues."""


class CatalogueError(GinghamError, RuntimeError):
    """A catalogue is missing, damaged, or was made with other settings."""


class CatalogueBusyError(CatalogueError):
    """Another process holds the catalogue open."""


class LeaseLostError(CatalogueBusyError):
    """Another process has the right to change a catalogue that this one had."""


class ServerError(CatalogueError):
    """A server cannot be reached, refuses whoever asks, or cannot answer now."""


_OFTEN = {
    errno.ENOSPC: ("written", "free some space there, then run the command again"),
    errno.EDQUOT: ("written", "free some of your quota there, then run the command again"),
    errno.EROFS: ("written", "make it writable, or choose another place"),
    errno.EFBIG: ("written", "raise the limit on the size of a file (ulimit -f)"),
    errno.EACCES: ("used", "get the right to read and write it, or choose another place"),
    errno.EPERM: ("used", "get the right to read and write it, or choose another place"),
    errno.ENOENT: ("found", "check that it exists"),
    errno.ENOTDIR: ("used", "a file is where a folder should be: choose another place"),
    errno.EISDIR: ("used", "a folder is where a file should be: choose another place"),
    errno.EMFILE: ("opened", "raise the limit on open files (ulimit -n)"),
    errno.ENFILE: ("opened", "close other programs, then run the command again"),
    errno.ENOMEM: ("used", "close other programs, then run the command again"),
    errno.EIO: ("used", "check the disk that it lies on"),
    errno.EBUSY: ("used now", "run the command again in some minutes"),
    errno.EHOSTUNREACH: ("reached", "check its address and the network"),
    errno.EPROTO: ("used", "check its address and its settings (for S3, the region)"),
}
"""Number of an error -> what cannot be done with the file, and what to do."""


_DAMAGE = (0, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EIO)
_IN_RUST = re.compile(r"(?:\bos error |\bOs \{ code: )(\d+)")


class StorageError(GinghamError, OSError):
    """The system refuses to read or write a file or folder: no space, no permission, ...

    What was there before is still there. Made as every `OSError`, or by `of`.
    """

    @classmethod
    def of(cls, error: BaseException, path: str | os.PathLike[str]) -> Self:
        """Say what an error about a file or folder means; libraries in Rust give plain errors."""
        if isinstance(error, cls):
            return error
        number = error.errno if isinstance(error, OSError) else None
        if number is None and (found := _IN_RUST.search(str(error))):
            number = int(found[1])
        return cls(number or 0, os.strerror(number) if number else str(error), os.fspath(path))

    @property
    def damage(self) -> bool:
        """Whether the file may be to blame, and not the state that the system is in."""
        return (self.errno or 0) in _DAMAGE

    def __str__(self) -> str:
        what, advice = _OFTEN.get(self.errno or 0, ("used", "check it, then run the command again"))
        return f"{self.filename} cannot be {what} ({self.strerror}): {advice}"


class BackboneError(GinghamError, RuntimeError):
    """A backbone is unknown, or its weights are missing or do not fit."""


class MissingExtraError(GinghamError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, *, extra: str, purpose: str = "") -> None:
        missing = f"{purpose} needs {package}, which is" if purpose else f"{package} is"
        super().__init__(f"{missing} not installed; run: pip install 'gingham[{extra}]'")


_PACKAGES = {
    "faiss": "faiss-cpu",
    "open_clip": "open-clip-torch",
    "prometheus_client": "prometheus-client",
    "python_multipart": "python-multipart",
    "pytorch_grad_cam": "grad-cam",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
}


def require_extra(extra: str, *modules: str, purpose: str = "") -> None:
    """Check that the modules of an extra can be imported, without importing them.

    Parameters
    ----------
    extra : as in `pip install 'gingham[extra]'`.
    modules : top-level names.
    purpose : what needs them, for the message; it ends before "needs".

    Raises
    ------
    MissingExtraError
        If one is missing.
    """
    for module in modules:
        if find_spec(module) is None:
            package = _PACKAGES.get(module, module)
            raise MissingExtraError(package, extra=extra, purpose=purpose)
